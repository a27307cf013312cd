//! The cluster from a snapshot file, as `kubectl get … -o json` or `-o yaml` writes it: a `List`,
//! a typed list such as `NodeList`, single objects, or several of these as documents.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::cluster::object::Object;
use crate::cluster::{ClusterView, read};
use crate::domain::Network;
use crate::wire::Text;
use crate::yaml;

/// The largest file that is read, in bytes: many times what a cluster of 5,000 nodes comes to.
const LARGEST: u64 = 4 << 30;

/// How many lists in lists are taken apart. kubectl writes one.
const DEEPEST: usize = 8;

/// Why a snapshot can't be used. A person is there to mend the file, so nothing is skipped.
#[derive(Debug, thiserror::Error)]
#[error("--snapshot {path}: {source}", path = path.display())]
pub struct SnapshotError {
    /// The file.
    path: PathBuf,
    /// Why.
    source: FormatError,
}

/// Why a text is not a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The file can't be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// It is too large to be a snapshot.
    #[error("the file has {bytes} bytes, and at most {LARGEST} are read")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// It is empty, as what a failed `kubectl … > FILE` leaves.
    #[error("the file is empty; did the kubectl that wrote it fail?")]
    Empty,
    /// It begins as JSON and is none.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// It is neither JSON nor YAML.
    #[error("not YAML: {0}")]
    NotYaml(String),
    /// A document is not a Kubernetes object.
    #[error(
        "document {document} is not a Kubernetes object: it has no kind; kubectl writes them with -o json or -o yaml"
    )]
    NoKind {
        /// Its position in the file, from 1.
        document: usize,
    },
    /// kubectl wrote why it failed.
    #[error(
        "document {document} is no object of a cluster: the kubectl that wrote the file failed: {message}"
    )]
    Status {
        /// Its position in the file, from 1.
        document: usize,
        /// What kubectl, or the API server, said.
        message: String,
    },
    /// A list has no items.
    #[error("document {document} is a {kind} without items, which kubectl always writes")]
    NoItems {
        /// Its position in the file, from 1.
        document: usize,
        /// The list's kind.
        kind: String,
    },
    /// Lists are in lists, over and over.
    #[error("document {document} has lists in lists in lists, which kubectl never writes")]
    TooDeep {
        /// Its position in the file, from 1.
        document: usize,
    },
    /// An object of a kind that berth uses can't be read.
    #[error("{kind} {name}: {problem}")]
    Object {
        /// Its kind.
        kind: String,
        /// Its namespace and name as far as they are known.
        name: String,
        /// What is wrong, and in which field.
        problem: String,
    },
}

/// Reads a snapshot file. The network's agents live in its namespace for them; pods elsewhere with the
/// same labels are not they.
pub fn load(path: &Path, network: &Network) -> Result<ClusterView, SnapshotError> {
    load_with(path, |text| parse(text, network))
}

/// Reads a snapshot file into what this function makes of it.
pub(crate) fn load_with<T>(
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, FormatError>,
) -> Result<T, SnapshotError> {
    let bytes = fs::metadata(path).map_or(0, |metadata| metadata.len());
    let text = if bytes > LARGEST {
        Err(FormatError::TooLarge { bytes })
    } else {
        yaml::read(path).map_err(FormatError::from)
    };
    let parsed = text.and_then(|text| parse(&text));
    parsed.map_err(|source| SnapshotError {
        path: path.to_owned(),
        source,
    })
}

/// Reads a snapshot.
pub fn parse(text: &str, network: &Network) -> Result<ClusterView, FormatError> {
    let documents = documents(text)?;
    let mut view = Vec::new();
    for (identity, text) in objects(&documents)? {
        view.extend(object(identity, network, text)?);
    }
    Ok(view.into_iter().collect())
}

/// The documents of a file, as JSON.
pub(crate) fn documents(text: &str) -> Result<Vec<Cow<'_, str>>, FormatError> {
    if text.trim().is_empty() {
        return Err(FormatError::Empty);
    }
    if text.trim_start().starts_with(['{', '[']) {
        let documents = serde_json::Deserializer::from_str(text).into_iter();
        return documents
            .map(|document: Result<&RawValue, _>| document.map(|raw| raw.get().into()))
            .collect::<Result<_, _>>()
            .map_err(|error| FormatError::NotJson(json_fault(&error)));
    }
    // The file is the operator's own: what bounds it is the size of a cluster, not suspicion.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_documents: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
        },
        strict_booleans: true,
    };
    let documents = serde_saphyr::from_multiple_with_options::<Value>(text, options);
    let documents = documents.map_err(|error| FormatError::NotYaml(yaml::fault(text, &error)))?;
    Ok(documents
        .into_iter()
        .map(|document| document.to_string().into())
        .collect())
}

/// What is wrong with a text that is not JSON, and where.
fn json_fault(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    let what = match (error.is_eof(), said.split_once(" at line ")) {
        (true, _) => "it ends too early; was it written to its end?",
        (false, Some((what, _))) => what,
        (false, None) => &said,
    };
    format!("line {line}, column {column}: {what}")
}

/// Which object it is, as far as it says so.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Identity {
    /// Its API group; empty for the core group.
    pub(crate) group: String,
    /// Its kind.
    pub(crate) kind: String,
    /// Its namespace, if it says one.
    pub(crate) namespace: Option<String>,
    /// Its name, if it has one.
    pub(crate) name: Option<String>,
}

/// The objects in documents, as JSON. What is listed twice, as several calls of kubectl in one file may
/// do, is one object.
pub(crate) fn objects<'a>(
    documents: &'a [Cow<'_, str>],
) -> Result<BTreeMap<Identity, &'a str>, FormatError> {
    let mut objects = BTreeMap::new();
    for (index, document) in documents.iter().enumerate() {
        if document != "null" {
            let outermost = List {
                document: index + 1,
                ..List::default()
            };
            collect(document, outermost, &mut objects)?;
        }
    }
    Ok(objects)
}

/// The list that an object is in.
#[derive(Clone, Copy, Default)]
struct List<'a> {
    /// The position of its document in the file, from 1.
    document: usize,
    /// How many lists are around it.
    depth: usize,
    /// What its items leave out, if it is a typed one.
    version: &'a str,
    kind: &'a str,
}

/// Takes lists apart.
fn collect<'a>(
    text: &'a str,
    list: List<'_>,
    objects: &mut BTreeMap<Identity, &'a str>,
) -> Result<(), FormatError> {
    let document = list.document;
    let fields = fields(text);
    let or_of_list = |own: Option<String>, of_list: &str| {
        own.or_else(|| (!list.kind.is_empty()).then(|| of_list.to_owned()))
    };
    let kind = or_of_list(text_at(&fields, "kind"), list.kind);
    let kind = kind.ok_or(FormatError::NoKind { document })?;
    let version = or_of_list(text_at(&fields, "apiVersion"), list.version).unwrap_or_default();
    let Some(item_kind) = kind.strip_suffix("List") else {
        let failed = text_at(&fields, "status").is_some_and(|status| status == "Failure");
        if kind == "Status" && version == "v1" && failed {
            let message = text_at(&fields, "message").or_else(|| text_at(&fields, "reason"));
            return Err(FormatError::Status {
                document,
                message: message.unwrap_or_else(|| "it does not say why".to_owned()),
            });
        }
        let metadata = field(&fields, "metadata").map(self::fields);
        let metadata = metadata.unwrap_or_default();
        let group = version.rsplit_once('/').map_or("", |(group, _)| group);
        let identity = Identity {
            group: group.to_owned(),
            kind,
            namespace: text_at(&metadata, "namespace"),
            name: text_at(&metadata, "name"),
        };
        objects.insert(identity, text);
        return Ok(());
    };
    let listed = field(&fields, "items").map(serde_json::from_str);
    let Some(Ok(listed)) = listed else {
        return Err(FormatError::NoItems { document, kind });
    };
    let listed: Vec<&'a RawValue> = listed;
    if list.depth == DEEPEST {
        return Err(FormatError::TooDeep { document });
    }
    for item in listed {
        let list = List {
            document,
            depth: list.depth + 1,
            version: &version,
            kind: item_kind,
        };
        collect(item.get(), list, objects)?;
    }
    Ok(())
}

/// The fields of an object, each as it stands in the text; none for anything else.
fn fields(text: &str) -> BTreeMap<Text<'_>, &RawValue> {
    serde_json::from_str(text).unwrap_or_default()
}

fn field<'a>(fields: &BTreeMap<Text<'a>, &'a RawValue>, key: &str) -> Option<&'a str> {
    let key = Text(key.into());
    let mut found = fields.iter().filter(|(name, _)| **name == key);
    found.next().map(|(_, value)| value.get())
}

fn text_at(fields: &BTreeMap<Text<'_>, &RawValue>, key: &str) -> Option<String> {
    serde_json::from_str(field(fields, key)?).ok()
}

/// The object as berth uses it; `None` for kinds and pods that it does not use.
fn object(
    identity: Identity,
    network: &Network,
    text: &str,
) -> Result<Option<Object>, FormatError> {
    let Identity {
        group,
        kind,
        namespace,
        name,
    } = identity;
    let place = [&namespace, &name].map(|text| text.as_deref().unwrap_or_default());
    read::of_kind(&group, &kind, place, network, text).map_err(|problem| {
        let name = name.as_deref().unwrap_or("without a name");
        FormatError::Object {
            name: match &namespace {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name.to_owned(),
            },
            kind,
            problem,
        }
    })
}

#[cfg(test)]
mod tests;

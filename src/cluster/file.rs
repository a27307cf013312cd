//! The cluster from a snapshot file, as `kubectl get … -o json` or `-o yaml` writes it: a `List`,
//! a typed list such as `NodeList`, single objects, or several of these as documents.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use kube::core::{GroupVersionKind, TypeMeta};
use serde_json::Value;

use crate::cluster::object::{Object, ObjectKey, ObjectKind};
use crate::cluster::{View, read};
use crate::domain::Network;
use crate::yaml;

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
    /// A list has no items.
    #[error("document {document} is a {kind} without items, which kubectl always writes")]
    NoItems {
        /// Its position in the file, from 1.
        document: usize,
        /// The list's kind.
        kind: String,
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
pub fn load(path: &Path, network: &Network) -> Result<View, SnapshotError> {
    let text = yaml::read(path).map_err(FormatError::from);
    let view = text.and_then(|text| parse(&text, network));
    view.map_err(|source| SnapshotError {
        path: path.to_owned(),
        source,
    })
}

/// Reads a snapshot.
pub fn parse(text: &str, network: &Network) -> Result<View, FormatError> {
    if text.trim().is_empty() {
        return Err(FormatError::Empty);
    }
    let mut objects = Vec::new();
    for (index, document) in documents(text)?.into_iter().enumerate() {
        if !document.is_null() {
            collect(index + 1, document, &mut objects)?;
        }
    }
    // What is listed twice, as several calls of kubectl in one file may do, is one object.
    let mut latest = BTreeMap::new();
    for value in &objects {
        let metadata = value.get("metadata").unwrap_or(&Value::Null);
        let version = text_at(value, "apiVersion").unwrap_or_default();
        let group = version.rsplit_once('/').map(|(group, _)| group.to_owned());
        let key = [
            group,
            text_at(value, "kind"),
            text_at(metadata, "namespace"),
            text_at(metadata, "name"),
        ];
        latest.insert(key, value);
    }
    let mut view = Vec::with_capacity(latest.len());
    for value in latest.into_values() {
        view.extend(object(value, network)?);
    }
    Ok(view.into_iter().collect())
}

fn documents(text: &str) -> Result<Vec<Value>, FormatError> {
    if text.trim_start().starts_with(['{', '[']) {
        return serde_json::Deserializer::from_str(text)
            .into_iter()
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
    serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| FormatError::NotYaml(yaml::fault(text, &error)))
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

/// Takes lists apart.
fn collect(document: usize, value: Value, objects: &mut Vec<Value>) -> Result<(), FormatError> {
    let kind = text_at(&value, "kind").ok_or(FormatError::NoKind { document })?;
    let Some(item_kind) = kind.strip_suffix("List") else {
        objects.push(value);
        return Ok(());
    };
    let api_version = text_at(&value, "apiVersion").unwrap_or_default();
    let Value::Object(mut list) = value else {
        return Err(FormatError::NoKind { document });
    };
    let Some(Value::Array(items)) = list.remove("items") else {
        return Err(FormatError::NoItems { document, kind });
    };
    for mut item in items {
        // The items of a typed list leave out what the list's own kind says.
        if let Value::Object(fields) = &mut item
            && !item_kind.is_empty()
        {
            fields.entry("kind").or_insert(item_kind.into());
            fields
                .entry("apiVersion")
                .or_insert(api_version.clone().into());
        }
        collect(document, item, objects)?;
    }
    Ok(())
}

/// The object as berth uses it; `None` for kinds and pods that it does not use.
fn object(value: &Value, network: &Network) -> Result<Option<Object>, FormatError> {
    let types = TypeMeta {
        api_version: text_at(value, "apiVersion").unwrap_or_default(),
        kind: text_at(value, "kind").unwrap_or_default(),
    };
    // A version that is none is of no kind that berth uses.
    let Ok(GroupVersionKind { group, kind, .. }) = GroupVersionKind::try_from(types) else {
        return Ok(None);
    };
    let metadata = value.get("metadata").unwrap_or(&Value::Null);
    let at = |key| text_at(metadata, key).unwrap_or_default();
    let key = ObjectKey::new(&at("namespace"), &at("name"));
    let kinds: &[ObjectKind] = match (group.as_str(), kind.as_str()) {
        ("", "Node") => &[ObjectKind::Node],
        ("", "Pod") if at("namespace") == *network.agent_namespace => {
            &[ObjectKind::AgentPod, ObjectKind::TargetPod]
        }
        ("", "Pod") => &[ObjectKind::TargetPod],
        ("", "Namespace") => &[ObjectKind::Namespace],
        ("kubevirt.io", "VirtualMachineInstance") => &[ObjectKind::Vmi],
        ("kubevirt.io", "VirtualMachineInstanceMigration") => &[ObjectKind::Migration],
        ("kubevirt.io", "KubeVirt") => &[ObjectKind::KubeVirt],
        _ => return Ok(None),
    };
    let text = value.to_string();
    let mut objects = kinds
        .iter()
        .map(|kind| read::object(*kind, network.provider, key.clone(), &text));
    let used = objects.find(|object| !matches!(object, Ok(None)));
    used.unwrap_or(Ok(None)).map_err(|problem| {
        let name = text_at(metadata, "name").unwrap_or_else(|| "without a name".to_owned());
        FormatError::Object {
            kind,
            name: match text_at(metadata, "namespace") {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name,
            },
            problem,
        }
    })
}

fn text_at(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;

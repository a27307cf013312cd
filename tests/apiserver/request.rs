//! What a request is about: its verb, as RBAC names it, and the object or collection of its path.

use std::collections::BTreeMap;
use std::fmt;

use axum::extract::Query;
use axum::http::{Method, Uri};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

/// A request as far as its first line tells.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) verb: Verb,
    pub(crate) path: String,
    pub(crate) group: String,
    pub(crate) version: String,
    /// The plural, or nothing if the path is of another form.
    pub(crate) resource: String,
    pub(crate) subresource: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) query: BTreeMap<String, String>,
    /// The status of the answer, once there is one.
    pub(crate) status: Option<u16>,
}

impl Request {
    pub(crate) fn read(method: &Method, uri: &Uri) -> Self {
        let query = Query::<BTreeMap<String, String>>::try_from_uri(uri);
        let query = query.map(|Query(query)| query).unwrap_or_default();
        let parts: Vec<_> = uri.path().split('/').skip(1).collect();
        let (group, version, rest) = match parts[..] {
            ["api", version, ref rest @ ..] => ("", version, rest),
            ["apis", group, version, ref rest @ ..] => (group, version, rest),
            _ => ("", "", &[][..]),
        };
        let (namespace, rest) = match rest {
            // `namespaces/x` is the namespace itself, and so are its subresources.
            ["namespaces", namespace, rest @ ..]
                if !matches!(rest, [] | ["status" | "finalize"]) =>
            {
                (Some((*namespace).to_owned()), rest)
            }
            _ => (None, rest),
        };
        let part = |at: usize| rest.get(at).copied().unwrap_or_default().to_owned();
        let name = part(1);
        let verb = match method.as_str() {
            "POST" => Verb::Create,
            "PUT" => Verb::Update,
            "PATCH" => Verb::Patch,
            "DELETE" if name.is_empty() => Verb::DeleteCollection,
            "DELETE" => Verb::Delete,
            _ if !name.is_empty() || rest.is_empty() => Verb::Get,
            _ if query
                .get("watch")
                .is_some_and(|watch| matches!(watch.as_str(), "true" | "1")) =>
            {
                Verb::Watch
            }
            _ => Verb::List,
        };
        Self {
            verb,
            path: uri.path().to_owned(),
            group: group.to_owned(),
            version: version.to_owned(),
            resource: part(0),
            // Deeper paths match nothing, as subresources that nothing serves.
            subresource: rest.get(2..).unwrap_or_default().join("/"),
            namespace,
            name,
            query,
            status: None,
        }
    }

    /// A parameter of the query; an empty one is none.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether nothing is to be stored.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.parameter("dryRun") == Some("All")
    }

    /// Whether it is this verb on this resource.
    pub(crate) fn is(&self, verb: Verb, resource: &str) -> bool {
        self.verb == verb && self.resource == resource
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        })
    }
}

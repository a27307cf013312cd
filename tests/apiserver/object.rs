//! A stored object: its JSON, ready to send, beside the little that selecting needs of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::kinds::{Kind, Origin};

#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    pub(crate) revision: u64,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) node_name: String,
    pub(crate) phase: String,
    json: Arc<str>,
    /// Where the fields after `kind` and `apiVersion` begin: items of typed lists come without them.
    untyped_from: Option<usize>,
}

impl Object {
    /// An object as clients make them, at a revision.
    pub(crate) fn new(kind: &Kind, mut value: Value, revision: u64) -> Self {
        value["metadata"]["resourceVersion"] = revision.to_string().into();
        let key = kind.key(
            value["metadata"]["namespace"].as_str(),
            value["metadata"]["name"].as_str().unwrap_or_default(),
        );
        value["kind"] = kind.name.into();
        value["apiVersion"] = kind.api_version().into();
        match kind.origin {
            Origin::CustomResource => {
                Self::described(key, &value, value.to_string(), None, revision)
            }
            Origin::BuiltIn => {
                let mut fields = value.clone();
                let map = fields.as_object_mut().unwrap();
                map.remove("kind");
                map.remove("apiVersion");
                let head = format!(
                    r#"{{"kind":"{}","apiVersion":"{}","#,
                    kind.name,
                    kind.api_version()
                );
                let json = format!("{head}{}", &fields.to_string()[1..]);
                Self::described(key, &value, json, Some(head.len()), revision)
            }
        }
    }

    /// Any JSON at all. It is sent as it is.
    pub(crate) fn raw(key: &str, value: &Value, revision: u64) -> Self {
        Self::described(key.to_owned(), value, value.to_string(), None, revision)
    }

    fn described(
        key: String,
        value: &Value,
        json: String,
        untyped_from: Option<usize>,
        revision: u64,
    ) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &value["metadata"];
        let labels = metadata["labels"].as_object().into_iter().flatten();
        Self {
            key,
            name: text(&metadata["name"]),
            namespace: text(&metadata["namespace"]),
            uid: text(&metadata["uid"]),
            revision,
            labels: labels
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            node_name: text(&value["spec"]["nodeName"]),
            phase: text(&value["status"]["phase"]),
            json: json.into(),
            untyped_from,
        }
    }

    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.json).unwrap()
    }

    /// Appends it as an item of a list.
    pub(crate) fn write_item(&self, list: &mut String) {
        match self.untyped_from {
            Some(at) => {
                list.push('{');
                list.push_str(&self.json[at..]);
            }
            None => list.push_str(&self.json),
        }
    }

    /// The same object as of a later revision, the way a deletion shows it.
    pub(crate) fn at(&self, kind: &Kind, revision: u64) -> Self {
        let mut value = self.value();
        let is_object = value["metadata"]["resourceVersion"].is_string();
        if is_object && value["kind"] == kind.name {
            return Self::new(kind, value, revision);
        }
        if is_object {
            value["metadata"]["resourceVersion"] = revision.to_string().into();
        }
        Self::raw(&self.key, &value, revision)
    }
}

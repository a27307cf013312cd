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
        value["kind"] = kind.name.into();
        value["apiVersion"] = kind.api_version().into();
        let mut object = Self::described(&value, revision);
        object.key = kind.key(value["metadata"]["namespace"].as_str(), &object.name);
        if kind.origin == Origin::BuiltIn {
            let fields = value.as_object_mut().unwrap();
            let mut take = |name| fields.remove(name).unwrap_or_default();
            let (name, api_version) = (take("kind"), take("apiVersion"));
            let metadata = take("metadata");
            let head = format!(r#"{{"kind":{name},"apiVersion":{api_version},"#);
            let mut json = format!(r#"{head}"metadata":{metadata}"#);
            match serde_json::to_string(&value).unwrap().as_str() {
                "{}" => json.push('}'),
                rest => json.extend([",", &rest[1..]]),
            }
            object.json = json.into();
            object.untyped_from = Some(head.len());
        } else {
            object.json = serde_json::to_string(&value).unwrap().into();
        }
        object
    }

    /// Any JSON at all. It is sent as it is.
    pub(crate) fn raw(key: &str, value: &Value, revision: u64) -> Self {
        Self {
            key: key.to_owned(),
            json: value.to_string().into(),
            ..Self::described(value, revision)
        }
    }

    /// What is known of it, before it has a place and bytes.
    fn described(value: &Value, revision: u64) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let metadata = &value["metadata"];
        let labels = metadata["labels"].as_object().into_iter().flatten();
        Self {
            key: String::new(),
            name: text(&metadata["name"]),
            namespace: text(&metadata["namespace"]),
            uid: text(&metadata["uid"]),
            revision,
            labels: labels
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            node_name: text(&value["spec"]["nodeName"]),
            phase: text(&value["status"]["phase"]),
            json: Arc::default(),
            untyped_from: None,
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

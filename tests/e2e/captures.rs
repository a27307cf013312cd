//! What a real cluster looked like: objects from `tests/data/captures`, to be made anew.

use std::fs;

use serde_json::{Value, json};

use crate::programs;

/// A capture as JSON.
pub(crate) fn capture(name: &str) -> Value {
    let path = programs::repository("tests/data/captures").join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The object of an admission review.
pub(crate) fn reviewed(name: &str) -> Value {
    anew(&capture(name)["request"]["object"])
}

/// The objects of this kind that were in the cluster.
pub(crate) fn in_cluster(kind: &str) -> Vec<Value> {
    let cluster = capture("cluster");
    let items = cluster["items"].as_array().unwrap();
    let of_kind = items.iter().filter(|item| item["kind"] == kind);
    of_kind.map(anew).collect()
}

/// The object without what its API server and its controllers gave it.
fn anew(object: &Value) -> Value {
    let mut object = object.clone();
    let old = object["metadata"].take();
    object["metadata"] = json!({});
    for kept in ["name", "namespace", "labels", "annotations"] {
        if let Some(value) = old.get(kept) {
            object["metadata"][kept] = value.clone();
        }
    }
    object
}

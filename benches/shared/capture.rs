//! The captured cluster, from whose objects benchmarks make larger ones.

use serde_json::Value;

const CLUSTER: &str = include_str!("../../tests/data/captures/cluster.json");

/// Its objects.
pub(crate) fn items() -> Vec<Value> {
    let cluster: Value = serde_json::from_str(CLUSTER).expect("a good capture");
    cluster["items"].as_array().expect("a list").clone()
}

/// The object of a kind and a name.
pub(crate) fn captured(kind: &str, name: &str) -> Value {
    let mut items = items().into_iter();
    let item = items.find(|item| item["kind"] == kind && item["metadata"]["name"] == name);
    item.expect(name)
}

/// The name of a made node.
pub(crate) fn node_name(i: usize) -> String {
    format!("worker-{i:05}.example.com")
}

/// The UID of a made object.
pub(crate) fn uid(i: usize) -> String {
    format!("00000000-1111-4222-8333-{i:012}")
}

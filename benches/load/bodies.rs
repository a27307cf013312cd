//! What is sent, and the cluster that it is about, made from what a real control plane sent.

use serde_json::{Value, json};

const CLUSTER: &str = include_str!("../../tests/data/captures/cluster.json");
const TARGET: &str = include_str!("../../tests/data/captures/filter-names-migration.json");
const OTHER: &str = include_str!("../../tests/data/captures/filter-names-launch.json");
const REVIEW: &str = include_str!("../../tests/data/captures/admission-create-vm-bridge.json");

/// Labels of a node in a real cluster.
const LABELS: usize = 200;

/// Every tenth node has no chassis.
const WITHOUT_CHASSIS: usize = 10;

/// The form in which nodes are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Names,
    Whole,
}

impl Form {
    pub(crate) const ALL: [Self; 2] = [Self::Names, Self::Whole];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Whole => "whole",
        }
    }
}

fn node_name(i: usize) -> String {
    format!("worker-{i:05}.example.com")
}

/// Of the first so many nodes, those that the target passes on.
pub(crate) fn passing(nodes: usize) -> usize {
    // One of the others is its source.
    nodes - nodes.div_ceil(WITHOUT_CHASSIS) - 1
}

fn captured(kind: &str, name: &str) -> Value {
    let cluster: Value = serde_json::from_str(CLUSTER).unwrap();
    let items = cluster["items"].as_array().unwrap();
    let item = items
        .iter()
        .find(|item| item["kind"] == kind && item["metadata"]["name"] == name);
    item.expect(name).clone()
}

/// A cluster of so many nodes as `kubectl get -o json` writes it, as far as berth reads it.
pub(crate) fn snapshot(nodes: usize) -> String {
    let node = captured("Node", "el9-1");
    let mut labels = node["metadata"]["labels"].clone();
    let machine_type = |label: &str| label.starts_with("machine-type.");
    let kept = labels.as_object_mut().unwrap();
    kept.retain(|label, _| machine_type(label));
    let mut vmi = captured("VirtualMachineInstance", "web");
    vmi["status"]["nodeName"] = json!(node_name(1));
    let mut items = vec![vmi];
    for i in 0..nodes {
        let mut annotations = json!({});
        if i % WITHOUT_CHASSIS != 0 {
            let chassis = format!("00000000-1111-4222-8333-{i:012}");
            annotations["ovn.kubernetes.io/chassis"] = json!(chassis);
        }
        items.push(json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": node_name(i), "labels": labels, "annotations": annotations},
        }));
        for (app, name) in [("ovs", "ovs-ovn"), ("kube-ovn-cni", "kube-ovn-cni")] {
            items.push(json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": format!("{name}-{i}"),
                    "namespace": "kube-system",
                    "labels": {"app": app},
                },
                "spec": {"nodeName": node_name(i)},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }));
        }
    }
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// A filter call for the target of a migration, or for the first launch of a VM, with the first so
/// many nodes.
pub(crate) fn filter_call(is_target: bool, form: Form, nodes: usize) -> String {
    let call: Value = serde_json::from_str(if is_target { TARGET } else { OTHER }).unwrap();
    let pod = &call["Pod"];
    // In the order in which Go writes the fields.
    match form {
        Form::Names => {
            let names: Vec<String> = (0..nodes).map(node_name).collect();
            let names = json!(names);
            format!(r#"{{"Pod":{pod},"Nodes":null,"NodeNames":{names}}}"#)
        }
        Form::Whole => {
            let whole = WholeNode::new();
            let items: Vec<String> = (0..nodes).map(|i| whole.text(i)).collect();
            let items = items.join(",");
            format!(
                r#"{{"Pod":{pod},"Nodes":{{"metadata":{{}},"items":[{items}]}},"NodeNames":null}}"#
            )
        }
    }
}

/// A node as kube-scheduler sends it: 200 labels, the name first.
struct WholeNode {
    metadata: String,
    rest: String,
}

impl WholeNode {
    fn new() -> Self {
        let mut node = captured("Node", "el9-1");
        let labels = node["metadata"]["labels"].as_object_mut().unwrap();
        for i in labels.len()..LABELS {
            labels.insert(format!("cpu-feature.node.kubevirt.io/f-{i}"), json!("true"));
        }
        let mut metadata = node["metadata"].clone();
        metadata.as_object_mut().unwrap().remove("name");
        let metadata = metadata.to_string();
        Self {
            metadata: metadata[1..].to_owned(),
            rest: format!(r#""spec":{},"status":{}"#, node["spec"], node["status"]),
        }
    }

    fn text(&self, i: usize) -> String {
        let Self { metadata, rest } = self;
        let name = node_name(i);
        format!(r#"{{"metadata":{{"name":"{name}",{metadata},{rest}}}"#)
    }
}

/// A review of a VM that gets the annotation.
pub(crate) fn review() -> String {
    REVIEW.to_owned()
}

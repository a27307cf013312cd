//! The nodes of the captured cluster, with Kube-OVN's agents on them, and what can go wrong there.
//!
//! `el9-0` to `el9-3` know machine types up to rhel9.6, `el10-0` to `el10-2` rhel10 and rhel9.4 to
//! 9.8; `el9-nochassis` has neither a chassis nor agents, `old-nolabels` no machine type.

use serde_json::{Value, json};

use crate::api::Api;
use crate::captures;

const NODES: &str = "/api/v1/nodes";
const AGENTS: &str = "/api/v1/namespaces/kube-system/pods";

/// Makes all nodes and agents as they were, whatever became of the last ones.
pub(crate) fn renew(api: &Api) {
    api.delete(NODES);
    api.delete(AGENTS);
    for node in captures::in_cluster("Node") {
        api.post(NODES, &node);
    }
    for pod in captures::in_cluster("Pod") {
        if pod["metadata"]["namespace"] == "kube-system" {
            start_agent(api, &pod);
        }
    }
}

/// Makes a node anew like a captured one, with agents of its own and a chassis by this number where that
/// one has them.
pub(crate) fn add(api: &Api, name: &str, like: &str, number: u32) {
    let mut nodes = captures::in_cluster("Node").into_iter();
    let node = nodes.find(|node| node["metadata"]["name"] == like);
    let mut node = node.unwrap_or_else(|| panic!("no node {like}"));
    let metadata = &mut node["metadata"];
    metadata["name"] = name.into();
    metadata["labels"]["kubernetes.io/hostname"] = name.into();
    let chassis = &mut metadata["annotations"]["ovn.kubernetes.io/chassis"];
    if !chassis.is_null() {
        *chassis = format!("{number:08}-2222-4222-8333-444455556666").into();
    }
    api.post(NODES, &node);
    for mut pod in captures::in_cluster("Pod") {
        let is_agent = pod["metadata"]["namespace"] == "kube-system";
        if is_agent && pod["spec"]["nodeName"] == like {
            let app = pod["metadata"]["labels"]["app"].as_str().unwrap();
            pod["metadata"]["name"] = format!("{app}-of-{name}").into();
            pod["spec"]["nodeName"] = name.into();
            start_agent(api, &pod);
        }
    }
}

/// An agent's pod on its node, with the status that a kubelet would give it.
fn start_agent(api: &Api, pod: &Value) {
    api.post(AGENTS, pod);
    let name = pod["metadata"]["name"].as_str().unwrap();
    let status = json!({"status": pod["status"]});
    api.merge(&format!("{AGENTS}/{name}/status"), &status);
}

/// A label of a node, or none.
pub(crate) fn set_label(api: &Api, node: &str, label: &str, value: Option<&str>) {
    let change = json!({"metadata": {"labels": {label: value}}});
    api.merge(&format!("{NODES}/{node}"), &change);
}

/// An annotation of a node, or none.
pub(crate) fn set_annotation(api: &Api, node: &str, annotation: &str, value: Option<&str>) {
    let change = json!({"metadata": {"annotations": {annotation: value}}});
    api.merge(&format!("{NODES}/{node}"), &change);
}

/// A condition of a node.
pub(crate) fn set_condition(api: &Api, node: &str, condition: &str, status: &str) {
    let change = json!({"status": {"conditions": [{"type": condition, "status": status}]}});
    api.strategic_merge(&format!("{NODES}/{node}/status"), &change);
}

/// The readiness of the ovs-ovn pod on a node.
pub(crate) fn set_ovs_ready(api: &Api, node: &str, ready: bool) {
    let pods = api.list(&format!("{AGENTS}?labelSelector=app%3Dovs"));
    let pod = pods.iter().find(|pod| pod["spec"]["nodeName"] == node);
    let name = pod.expect(node)["metadata"]["name"].as_str().unwrap();
    let status = if ready { "True" } else { "False" };
    let change = json!({"status": {"conditions": [{"type": "Ready", "status": status}]}});
    api.strategic_merge(&format!("{AGENTS}/{name}/status"), &change);
}

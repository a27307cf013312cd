//! VMs, VMIs and the pods that migrations make, as KubeVirt makes them.

use serde_json::{Value, json};

use crate::api::Api;
use crate::captures;
use crate::wait;

/// The annotation that berth adds.
pub(crate) const ALLOW: &str = "kubevirt.io/allow-pod-bridge-network-live-migration";

/// The machine type of VMs here: only the `el9` nodes run it.
pub(crate) const MACHINE_TYPE: &str = "pc-q35-rhel9.2.0";

/// The prefix of the labels that say which machine types a node runs.
pub(crate) const MACHINE_LABEL: &str = "machine-type.node.kubevirt.io/";

pub(crate) fn vms(namespace: &str) -> String {
    format!("/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines")
}

pub(crate) fn vmis(namespace: &str) -> String {
    format!("/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances")
}

pub(crate) fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

pub(crate) fn migrations(namespace: &str) -> String {
    format!("/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstancemigrations")
}

/// A VM whose pod network is bound by bridge.
pub(crate) fn bridge_vm(namespace: &str, name: &str) -> Value {
    placed(
        captures::reviewed("admission-create-vm-bridge"),
        namespace,
        name,
    )
}

/// An object under another name.
pub(crate) fn placed(mut object: Value, namespace: &str, name: &str) -> Value {
    object["metadata"]["namespace"] = namespace.into();
    object["metadata"]["name"] = name.into();
    object
}

/// A VMI that runs on `node`, as the API server made it.
pub(crate) fn run_vmi(api: &Api, namespace: &str, name: &str, node: &str) -> Value {
    let legacy = captures::in_cluster("VirtualMachineInstance")
        .into_iter()
        .find(|vmi| vmi["metadata"]["name"] == "legacy")
        .expect("VMI legacy");
    let mut vmi = placed(legacy, namespace, name);
    assert_eq!(vmi["status"]["machine"]["type"], MACHINE_TYPE);
    vmi["status"]["nodeName"] = node.into();
    api.post(&vmis(namespace), &vmi)
}

/// The pod that is to take over a VMI, as virt-controller made it before KubeVirt 1.5.1.
pub(crate) fn target_pod(vmi: &Value) -> Value {
    let captured = &captures::capture("filter-names-migration-no-selector")["Pod"];
    let (namespace, name) = (&vmi["metadata"]["namespace"], &vmi["metadata"]["name"]);
    let uid = &vmi["metadata"]["uid"];
    let mut labels = captured["metadata"]["labels"].clone();
    labels["kubevirt.io/created-by"] = uid.clone();
    let mut owner = captured["metadata"]["ownerReferences"][0].clone();
    owner["name"] = name.clone();
    owner["uid"] = uid.clone();
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": format!("virt-launcher-{}-", name.as_str().unwrap()),
            "namespace": namespace,
            "labels": labels,
            "annotations": captured["metadata"]["annotations"],
            "ownerReferences": [owner],
        },
        "spec": captured["spec"],
    });
    let spec = &mut pod["spec"];
    // Not every version of Kubernetes knows volumes from images, and none is needed to be scheduled.
    spec["volumes"] = json!([]);
    for containers in ["containers", "initContainers"] {
        spec[containers][0]["volumeMounts"] = json!([]);
    }
    let rules = &mut spec["affinity"]["podAntiAffinity"];
    let rule = &mut rules["requiredDuringSchedulingIgnoredDuringExecution"][0];
    rule["labelSelector"]["matchLabels"]["kubevirt.io/created-by"] = uid.clone();
    pod
}

/// Adds what virt-controller adds from KubeVirt 1.5.1 on.
pub(crate) fn select_machine_type(pod: &mut Value) {
    let label = format!("{MACHINE_LABEL}{MACHINE_TYPE}");
    pod["spec"]["nodeSelector"][label] = "true".into();
}

/// What kube-scheduler asks of a target pod of a VMI.
pub(crate) fn filter_args(vmi: &Value, nodes: &[&str]) -> Value {
    let mut pod = target_pod(vmi);
    pod["metadata"]["name"] = "virt-launcher".into();
    json!({"Pod": pod, "Nodes": null, "NodeNames": nodes})
}

/// Makes a pod, and returns the path to it.
pub(crate) fn start_pod(api: &Api, pod: &Value) -> String {
    let pods = pods(pod["metadata"]["namespace"].as_str().unwrap());
    let pod = api.post(&pods, pod);
    format!("{pods}/{}", pod["metadata"]["name"].as_str().unwrap())
}

/// Makes the target pod of a VMI, and returns the path to it.
pub(crate) fn start_target(api: &Api, vmi: &Value) -> String {
    start_pod(api, &target_pod(vmi))
}

/// Makes the migration of a VMI, which virt-controller makes a target pod for, and returns it.
pub(crate) fn start_migration(api: &Api, vmi: &Value) -> Value {
    let namespace = vmi["metadata"]["namespace"].as_str().unwrap();
    let migration = json!({
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"generateName": "migration-"},
        "spec": {"vmiName": vmi["metadata"]["name"]},
    });
    api.post(&migrations(namespace), &migration)
}

/// A migration that has come to its end, or goes on.
pub(crate) fn set_migration_phase(api: &Api, migration: &Value, phase: &str) {
    let metadata = &migration["metadata"];
    let [namespace, name] = ["namespace", "name"].map(|field| metadata[field].as_str().unwrap());
    let migrations = migrations(namespace);
    let change = json!({"status": {"phase": phase}});
    api.merge(&format!("{migrations}/{name}/status"), &change);
}

/// The node of a pod, once it has one.
pub(crate) fn wait_until_bound(api: &Api, pod: &str) -> String {
    wait::until("the pod is bound", || {
        let pod = api.get(pod);
        match pod["spec"]["nodeName"].as_str() {
            Some(node) => Ok(node.to_owned()),
            None => Err(pod["status"].to_string()),
        }
    })
}

/// What kube-scheduler says of a pod that fits nowhere, once it does.
pub(crate) fn wait_until_rejected(api: &Api, pod: &str) -> String {
    wait::until("the pod is rejected", || {
        let status = api.get(pod)["status"].take();
        rejection(&status).ok_or_else(|| status.to_string())
    })
}

/// What a pod's status says of why it is not scheduled.
pub(crate) fn rejection(status: &Value) -> Option<String> {
    let conditions = status["conditions"].as_array()?;
    let scheduled = conditions
        .iter()
        .find(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False")?;
    scheduled["message"].as_str().map(str::to_owned)
}

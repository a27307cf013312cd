//! Clusters and VMs of many shapes, from `tests/e2e/data`.

use std::fs;

use serde_json::{Value, json};

use crate::api::Api;
use crate::fleet;
use crate::manifests::document;
use crate::programs::repository;
use crate::virt_controller::{AS_MACHINE, MIGRATABLE, ON_NODE};
use crate::vms;
use crate::world::World;

pub(crate) const NODES: &str = "/api/v1/nodes";
const VOLUMES: &str = "/api/v1/persistentvolumes";

/// The label with the name of its node, by which one node can be selected.
pub(crate) const NODE_LABEL: &str = "example.com/node-name";

/// A cluster of a file.
pub(crate) fn cluster(file: &str) -> Value {
    let path = repository("tests/e2e/data").join(file);
    document(&fs::read_to_string(path).unwrap())
}

/// The items of a list, which may be missing.
pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The field `name`.
pub(crate) fn name(object: &Value) -> &str {
    object["name"].as_str().unwrap()
}

/// Makes the cluster without its VMs. Its pods and claims are in this namespace.
pub(crate) fn make(world: &World, namespace: &str, cluster: &Value) {
    make_nodes(&world.api, namespace, cluster);
    make_volumes(&world.api, namespace, cluster);
    world.configure_kubevirt(&cluster["kubevirt"]["configuration"]);
}

/// Makes the nodes and the pods that fill them.
fn make_nodes(api: &Api, namespace: &str, cluster: &Value) {
    for (number, node) in (1..).zip(list(&cluster["nodes"])) {
        let name = name(node);
        if let Some(like) = node["like"].as_str() {
            fleet::add(api, name, like, number);
        }
        let path = format!("{NODES}/{name}");
        api.merge(&path, &cluster["every-node"]);
        api.merge(&path, &json!({"metadata": {"labels": {NODE_LABEL: name}}}));
        api.merge(&path, &node["patch"]);
        if let Some(status) = node["patch"].get("status") {
            api.merge(&format!("{path}/status"), &json!({"status": status}));
        }
    }
    for pod in list(&cluster["pods"]) {
        let resources = json!({"requests": pod["requests"]});
        let container = json!({"name": "c", "image": "none", "resources": resources});
        let spec = json!({"nodeName": pod["node"], "containers": [container]});
        let pod = json!({"metadata": {"generateName": "there-"}, "spec": spec});
        api.post(&vms::pods(namespace), &pod);
    }
}

/// Makes the volumes, each with a claim of its name that is bound to it.
fn make_volumes(api: &Api, namespace: &str, cluster: &Value) {
    let claims = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims");
    for volume in list(&cluster["volumes"]) {
        let name = name(volume);
        let mode = volume["mode"].as_str().unwrap_or("Filesystem");
        let terms = json!([{"matchExpressions": [volume["affinity"]]}]);
        let affinity = volume
            .get("affinity")
            .map(|_| json!({"required": {"nodeSelectorTerms": terms}}));
        api.delete(&format!("{claims}/{name}"));
        api.delete(&format!("{VOLUMES}/{name}"));
        let size = json!({"storage": "1Gi"});
        let volume = json!({
            "metadata": {"name": name, "labels": volume["labels"]},
            "spec": {
                "capacity": size,
                "accessModes": ["ReadWriteMany"],
                "volumeMode": mode,
                "storageClassName": "",
                "csi": {"driver": "example.com", "volumeHandle": name},
                "claimRef": {"namespace": namespace, "name": name},
                "nodeAffinity": affinity,
            },
        });
        api.post(VOLUMES, &volume);
        let claim = json!({
            "metadata": {
                "name": name,
                "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
            },
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "volumeMode": mode,
                "storageClassName": "",
                "volumeName": name,
                "resources": {"requests": size},
            },
        });
        api.post(&claims, &claim);
        let status = json!({"phase": "Bound", "accessModes": ["ReadWriteMany"], "capacity": size});
        api.merge(
            &format!("{claims}/{name}/status"),
            &json!({"status": status}),
        );
    }
}

/// The VMI of a row.
pub(crate) fn vmi(every: &Value, vm: &Value) -> Value {
    let mut spec = every.clone();
    merge(&mut spec, &vm["spec"]);
    if let Some(terms) = vm["terms"].as_array() {
        let terms: Vec<Value> = terms
            .iter()
            .map(|term| json!({"matchExpressions": term}))
            .collect();
        let required = json!({"nodeSelectorTerms": terms});
        spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
            required;
    }
    for claim in list(&vm["claims"]) {
        let volume = json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}});
        push(&mut spec["volumes"], volume);
        let disk = json!({"name": claim, "disk": {"bus": "virtio"}});
        push(&mut spec["domain"]["devices"]["disks"], disk);
    }
    for claim in list(&vm["luns"]) {
        let volume = json!({"name": claim, "persistentVolumeClaim": {"claimName": claim}});
        push(&mut spec["volumes"], volume);
        let lun = json!({"bus": "scsi", "reservation": true});
        let disk = json!({"name": claim, "lun": lun});
        push(&mut spec["domain"]["devices"]["disks"], disk);
    }
    let mut annotations = json!({});
    for (annotation, field) in [
        (ON_NODE, "node"),
        (AS_MACHINE, "machine"),
        (MIGRATABLE, "migratable"),
    ] {
        if let Some(value) = vm.get(field) {
            annotations[annotation] = value.clone();
        }
    }
    json!({
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": vm["name"], "labels": vm["labels"], "annotations": annotations},
        "spec": spec,
    })
}

fn push(list: &mut Value, item: Value) {
    match list {
        Value::Array(items) => items.push(item),
        other => *other = json!([item]),
    }
}

/// Changes what a merge patch names.
fn merge(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        if !patch.is_null() {
            *object = patch.clone();
        }
        return;
    };
    for (field, value) in fields {
        match object.as_object_mut() {
            Some(object) if value.is_null() => drop(object.remove(field)),
            _ => merge(&mut object[field], value),
        }
    }
}

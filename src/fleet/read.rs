//! JSON objects to the objects of a fleet, as they come from an API server or from a file.

mod core;
mod requests;
mod workload;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cluster::object::ObjectKey;
use crate::fleet::Fleet;
use crate::fleet::kind::Kind;
use crate::fleet::model::{
    Claim, KubeVirt, Migration, MigrationPolicy, Node, Quota, Resources, StorageClass, Subnet, Vm,
    Vmi, Volume,
};
use crate::fleet::quantity;
use crate::fleet::target::HOOKS;
use crate::wire::objects;

/// The longest annotation that is kept, in bytes. `kubectl apply` keeps a whole object in one.
const LONGEST_ANNOTATION: usize = 1024;

/// The annotation of a network attachment definition with the resource that its networks take a device of.
const DEVICE_RESOURCE: &str = "k8s.v1.cni.cncf.io/resourceName";

/// Reads an object into a fleet, over the one of its name if there is one.
///
/// # Errors
/// What is wrong, and in which field. The fleet then lacks the object.
pub(super) fn object(
    fleet: &mut Fleet,
    kind: Kind,
    key: &ObjectKey,
    name: &str,
    text: &str,
) -> Result<(), String> {
    let (key, name) = (key.clone(), name.to_owned());
    match kind {
        Kind::Node => {
            fleet.nodes.insert(name, node(read(text)?)?);
        }
        Kind::Pod => {
            let pod: core::Pod = read(text)?;
            fleet.images.extend(workload::images(&pod));
            if let Some(pod) = workload::pod(pod)? {
                fleet.pods.insert(key, pod);
            }
        }
        Kind::Namespace => {
            let namespace: core::Namespace = read(text)?;
            fleet.namespaces.insert(name, namespace.metadata.labels);
        }
        Kind::VirtualMachine => {
            fleet.vms.insert(key, read_pruned::<Vm>(text)?);
        }
        Kind::VirtualMachineInstance => {
            fleet.vmis.insert(key, read_pruned::<Vmi>(text)?);
        }
        Kind::VirtualMachineInstanceMigration => {
            fleet
                .migrations
                .insert(key, read_pruned::<Migration>(text)?);
        }
        Kind::KubeVirt => {
            add_kubevirt(fleet, read_pruned(text)?);
        }
        Kind::MigrationPolicy => {
            fleet
                .policies
                .insert(name, read_pruned::<MigrationPolicy>(text)?);
        }
        Kind::PersistentVolumeClaim => {
            fleet.claims.insert(key, claim(read(text)?));
        }
        Kind::PersistentVolume => {
            fleet.volumes.insert(name, volume(read(text)?));
        }
        Kind::StorageClass => {
            let class: core::StorageClass = read(text)?;
            let mode = class.volume_binding_mode;
            let waits_for_consumer = mode.as_deref() == Some("WaitForFirstConsumer");
            let class = StorageClass { waits_for_consumer };
            fleet.storage_classes.insert(name, class);
        }
        Kind::NetworkAttachmentDefinition => {
            let definition: core::Namespace = read(text)?;
            let mut annotations = definition.metadata.annotations;
            let resource = annotations.remove(DEVICE_RESOURCE);
            let resource = resource.filter(|resource| !resource.is_empty());
            fleet.attachments.insert(key, resource);
        }
        Kind::ResourceQuota => {
            fleet.quotas.insert(key, quota(read(text)?)?);
        }
        Kind::Subnet => {
            fleet.subnets.insert(name, subnet(read(text)?));
        }
        Kind::Vpc => {
            fleet.vpcs.insert(name);
        }
        Kind::Ip => {
            let core::Ip { spec } = read(text)?;
            let owner = ObjectKey::new(&spec.namespace, &spec.pod_name);
            fleet.addresses.insert(owner);
        }
    }
    Ok(())
}

/// Reads an object of Kubernetes. A field that is `null` counts as one that is absent.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    // Nearly all have no `null` that matters.
    serde_json::from_str(text).or_else(|_| read_pruned(text))
}

/// Reads an object of KubeVirt, in the same way, without its long annotations.
fn read_pruned<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut value: Value = objects::read(text)?;
    prune(&mut value);
    T::deserialize(&value).or_else(|_| objects::read(&value.to_string()))
}

/// Takes away what counts as absent, and what is too long to keep.
fn prune(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            if let Some(Value::Object(annotations)) = fields.get_mut("annotations") {
                let length = |text: &Value| text.as_str().map_or(0, str::len);
                annotations.retain(|key, text| key == HOOKS || length(text) <= LONGEST_ANNOTATION);
            }
            fields.values_mut().for_each(prune);
        }
        Value::Array(items) => {
            items.retain(|item| !item.is_null());
            items.iter_mut().for_each(prune);
        }
        _ => {}
    }
}

/// KubeVirt itself refuses a second CR.
fn add_kubevirt(fleet: &mut Fleet, kubevirt: KubeVirt) {
    let place = |kubevirt: &KubeVirt| {
        let metadata = &kubevirt.metadata;
        (metadata.namespace.clone(), metadata.name.clone())
    };
    let known = fleet.kubevirt.as_ref();
    if known.is_none_or(|known| place(&kubevirt) <= place(known)) {
        fleet.kubevirt = Some(kubevirt);
    }
}

fn node(node: core::Node) -> Result<Node, String> {
    let core::Node {
        metadata,
        spec,
        status,
    } = node;
    Ok(Node {
        labels: metadata.labels,
        taints: spec.taints,
        unschedulable: spec.unschedulable,
        is_drained: false,
        not_ready: not_ready(&status.conditions),
        allocatable: amounts(&status.allocatable, "status.allocatable")?,
        kubelet: status.info.kubelet_version,
    })
}

/// What the condition `Ready` says, where that is not `True`.
fn not_ready(conditions: &[core::Condition]) -> Option<String> {
    let mut conditions = conditions.iter();
    let Some(ready) = conditions.find(|condition| condition.kind == "Ready") else {
        return Some("missing".to_owned());
    };
    let reason = ready.reason.as_deref().filter(|reason| !reason.is_empty());
    let reason = reason.map(|reason| format!(" ({reason})"));
    let status = &ready.status;
    (status != "True").then(|| format!("{status}{}", reason.unwrap_or_default()))
}

fn subnet(subnet: core::Subnet) -> Subnet {
    Subnet {
        vpc: subnet.spec.vpc.filter(|vpc| !vpc.is_empty()),
        is_ready: not_ready(&subnet.status.conditions).is_none(),
    }
}

fn claim(claim: core::PersistentVolumeClaim) -> Claim {
    let spec = claim.spec;
    let annotations = &claim.metadata.annotations;
    let selected_node = annotations
        .get("volume.kubernetes.io/selected-node")
        .cloned();
    Claim {
        access_modes: spec.access_modes,
        volume_mode: spec.volume_mode,
        volume: spec.volume_name,
        storage_class: spec.storage_class_name,
        selected_node,
    }
}

fn volume(volume: core::PersistentVolume) -> Volume {
    Volume {
        node_affinity: volume.spec.node_affinity.required,
        labels: volume.metadata.labels,
    }
}

/// The limits that hold are those of the status (`apiserver/pkg/admission/plugin/resourcequota`).
fn quota(quota: core::ResourceQuota) -> Result<Quota, String> {
    let core::ResourceQuota { spec, status } = quota;
    Ok(Quota {
        hard: match &status.hard {
            Some(hard) => amounts(hard, "status.hard")?,
            None => amounts(&spec.hard, "spec.hard")?,
        },
        used: amounts(&status.used, "status.used")?,
        is_scoped: !spec.scopes.is_empty() || !spec.scope_selector.match_expressions.is_empty(),
    })
}

/// Quantities by resource, which are in this field.
fn amounts(quantities: &core::Quantities, field: &str) -> Result<Resources, String> {
    quantities
        .iter()
        .map(|(resource, Quantity(text))| {
            let amount = quantity::amount(resource, text);
            let amount = amount.map_err(|error| format!("{error}, in {field}.{resource}"))?;
            Ok((resource.clone(), amount))
        })
        .collect()
}

#[cfg(test)]
mod tests;

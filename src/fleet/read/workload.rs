//! Pods: where they are, what they take of their node, and what is special about the launcher of a VM.

use k8s_openapi::api::core::v1::PodAffinityTerm;

use super::core::{self, Metadata, PodSpec, PodStatus};
use super::requests;
use crate::fleet::fit::pods::anti_affinity;
use crate::fleet::model::{Labels, Launcher, OvnNetwork, Pod};
use crate::fleet::target::labels;

/// The images of its containers.
pub(super) fn images(pod: &core::Pod) -> impl Iterator<Item = String> {
    let containers = pod.spec.init_containers.iter().chain(&pod.spec.containers);
    containers.filter_map(|container| container.image.clone())
}

/// What is kept of a pod; `None` once it has ended, when it takes nothing of its node any more.
pub(super) fn pod(pod: core::Pod) -> Result<Option<Pod>, String> {
    let core::Pod {
        metadata,
        spec,
        status,
    } = pod;
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return Ok(None);
    }
    Ok(Some(Pod {
        node: spec.node_name.clone().filter(|node| !node.is_empty()),
        labels: metadata.labels.clone(),
        requests: requests::of(&spec, &status)?,
        host_ports: host_ports(&spec),
        repels: repels(&spec),
        launcher: launcher(metadata, spec, &status).map(Box::new),
    }))
}

/// The ports of its node that a pod takes (kube-scheduler, `util.GetHostPorts`).
fn host_ports(spec: &PodSpec) -> Vec<(String, i32)> {
    let sidecars = spec.init_containers.iter();
    let sidecars = sidecars.filter(|container| requests::is_sidecar(container));
    let containers = spec.containers.iter().chain(sidecars);
    let ports = containers.flat_map(|container| &container.ports);
    ports
        .filter_map(|port| {
            let number = port.host_port.filter(|number| *number > 0)?;
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            Some((protocol.to_owned(), number))
        })
        .collect()
}

/// The pods that a pod keeps away, but for those of its own VM.
fn repels(spec: &PodSpec) -> Vec<PodAffinityTerm> {
    let is_of_other = |term: &&PodAffinityTerm| {
        let selector = term.label_selector.as_ref();
        let exact = selector.and_then(|selector| selector.match_labels.as_ref());
        !exact.is_some_and(|exact| exact.contains_key(labels::CREATED_BY))
    };
    let terms = anti_affinity(spec.affinity.as_ref()).iter();
    terms.filter(is_of_other).cloned().collect()
}

/// What is kept of the launcher of a VM; `None` for any other pod, also for those that attach a volume
/// to a running VM, and for one that has a launcher's labels and is not controlled by a VMI.
fn launcher(metadata: Metadata, spec: PodSpec, status: &PodStatus) -> Option<Launcher> {
    let labels = metadata.labels;
    if labels
        .get("kubevirt.io")
        .is_none_or(|role| role != "virt-launcher")
    {
        return None;
    }
    let mut owners = metadata.owner_references.into_iter();
    let owner = owners.find(|owner| {
        owner.controller
            && owner.kind == "VirtualMachineInstance"
            && owner.api_version.starts_with("kubevirt.io/")
    })?;
    let mut containers = status.container_statuses.iter();
    Some(Launcher {
        vmi: owner.name,
        vmi_uid: owner.uid,
        migration: labels.get(labels::MIGRATION).cloned(),
        is_running: status.phase.as_deref() == Some("Running")
            && containers.all(|container| container.ready)
            && metadata.deletion_timestamp.is_none(),
        created: metadata.creation_timestamp.unwrap_or_default(),
        node_selector: spec.node_selector,
        affinity: spec.affinity,
        tolerations: spec.tolerations,
        networks: ovn_networks(&metadata.annotations),
    })
}

/// The networks that Kube-OVN has attached a pod to: of each provider its annotations name the subnet
/// and, for a VLAN, the provider network (Kube-OVN v1.16 `pkg/util/const.go`).
fn ovn_networks(annotations: &Labels) -> Vec<OvnNetwork> {
    let subnets = annotations.iter().filter_map(|(key, subnet)| {
        let provider = key.strip_suffix(".kubernetes.io/logical_switch")?;
        let network = annotations.get(&format!("{provider}.kubernetes.io/provider_network"));
        let is_set = |text: &&String| !text.is_empty();
        Some(OvnNetwork {
            subnet: Some(subnet).filter(is_set)?.clone(),
            provider_network: network.filter(is_set).cloned(),
        })
    });
    subnets.collect()
}

//! Whether KubeVirt migrates a VMI at all: every cause, where its condition `LiveMigratable` names the
//! first alone (KubeVirt v1.9.0 `pkg/virt-handler/vm.go`, `calculateLiveMigrationCondition`).

use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::decide::codes::Code;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::model::{
    Condition, Interface, KubeVirtConfiguration, Labels, VmiSpec, VmiStatus, VmiVolume,
};

/// KubeVirt `api/core/v1/types.go`, `AllowPodBridgeNetworkLiveMigrationAnnotation`. Its value does not
/// count.
const BRIDGE_ANNOTATION: &str = "kubevirt.io/allow-pod-bridge-network-live-migration";

/// The access mode of a claim that two nodes can use at a time.
const SHARED: &str = "ReadWriteMany";

/// The feature gate with which a VM with one vGPU can be migrated.
const VGPU_GATE: &str = "VGPULiveMigration";

/// A VMI, or the one that a VM's template will make.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'f> {
    /// Its namespace.
    pub namespace: &'f str,
    /// Its annotations.
    pub annotations: &'f Labels,
    /// Its spec.
    pub spec: &'f VmiSpec,
    /// Its status, if it runs.
    pub status: Option<&'f VmiStatus>,
    /// An instance type or a preference adds to the spec, and is not read.
    pub is_partial: bool,
}

/// Why KubeVirt does not migrate a VMI, in KubeVirt's order; empty if it does. What KubeVirt itself says
/// of a VMI that runs comes before what its spec says: virt-api refuses a migration by the condition alone
/// (`migration-create-admitter.go`), so that with a condition of `True` no cause is left, and what its spec says
/// against it is information.
#[must_use]
pub fn causes<'f>(subject: Subject<'f>, fleet: &'f Fleet) -> Vec<Finding<'f>> {
    let condition = subject.status.and_then(live_migratable);
    let configuration = fleet.kubevirt.as_ref().map(|cr| &cr.spec.configuration);
    let default = KubeVirtConfiguration::default();
    let mut found = of_spec(subject, fleet, configuration.unwrap_or(&default));
    if condition.is_some_and(|condition| condition.status == "True") {
        let against: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
        let differing = (!against.is_empty())
            .then(|| Finding::of(Cause::ConditionDiffers, &against.join("; ")));
        return differing.into_iter().collect();
    }
    let Some(condition) = condition else {
        if subject.status.is_some_and(runs) {
            found.push(Finding::of(Cause::ConditionMissing, ""));
        }
        return found;
    };
    let reason = condition.reason.as_deref().unwrap_or_default();
    let named = of_reason(reason);
    let is_named =
        |found: &Finding<'_>| named.iter().any(|cause| found.code == Code::Cause(*cause));
    if !found.iter().any(is_named) {
        let said = condition.message.as_deref().unwrap_or(reason);
        found.push(Finding::of(Cause::NotLiveMigratable, said));
    }
    found
}

/// KubeVirt's condition on whether it migrates a VMI.
#[must_use]
pub fn live_migratable(status: &VmiStatus) -> Option<&Condition> {
    let mut conditions = status.conditions.iter();
    conditions.find(|condition| condition.condition_type == "LiveMigratable")
}

/// Whether KubeVirt would migrate a VMI. It does not before it has judged the VMI.
pub(super) fn is_live_migratable(status: &VmiStatus) -> bool {
    live_migratable(status).is_some_and(|condition| condition.status == "True")
}

fn runs(status: &VmiStatus) -> bool {
    status.phase.as_deref() == Some("Running")
}

/// The causes of a reason of KubeVirt's condition (`api/core/v1/types.go`,
/// `VirtualMachineInstanceReason…`).
const fn of_reason(reason: &str) -> &'static [Cause] {
    match reason.as_bytes() {
        b"InterfaceNotLiveMigratable" => &[
            Cause::InterfaceNotMigratable,
            Cause::BridgeAnnotationMissing,
        ],
        b"CPUModeLiveMigratable" => &[Cause::HostCpuUnknown],
        b"HostDeviceNotLiveMigratable" => &[Cause::HostDevice],
        b"SEVNotLiveMigratable" => &[Cause::Sev],
        b"TDXNotLiveMigratable" => &[Cause::Tdx],
        b"SecureExecutionNotLiveMigratable" => &[Cause::SecureExecution],
        b"NoTSCFrequencyNotLiveMigratable" => &[Cause::NoTscFrequency],
        b"HypervPassthroughNotLiveMigratable" => &[Cause::HypervPassthrough],
        b"DisksNotLiveMigratable" => &[Cause::DiskNotShared],
        _ => &[],
    }
}

fn of_spec<'f>(
    subject: Subject<'f>,
    fleet: &'f Fleet,
    configuration: &KubeVirtConfiguration,
) -> Vec<Finding<'f>> {
    let domain = &subject.spec.domain;
    let mut found = Vec::new();
    let mut add = |cause, detail: &str| found.push(Finding::of(cause, detail));
    if let Some((cause, detail)) = interface(subject, fleet, configuration) {
        add(cause, &detail);
    }
    if has_host_model(subject.spec) && host_model_is_unknown(subject, fleet) {
        let node = subject
            .status
            .and_then(|status| status.node_name.as_deref());
        add(Cause::HostCpuUnknown, node.unwrap_or_default());
    }
    if let Some(detail) = devices(subject.spec, configuration) {
        add(Cause::HostDevice, &detail);
    }
    let is_s390x = subject.spec.architecture.as_deref() == Some("s390x");
    if let Some(security) = &domain.launch_security {
        if security.sev.is_some() || security.snp.is_some() {
            add(Cause::Sev, "");
        }
        if security.tdx.is_some() {
            add(Cause::Tdx, "");
        }
        if is_s390x {
            add(Cause::SecureExecution, "");
        }
    }
    if lacks_tsc_frequency(subject) {
        add(Cause::NoTscFrequency, "");
    }
    let features = domain.features.as_ref();
    let passthrough = features.and_then(|features| features.hyperv_passthrough.as_ref());
    if passthrough.is_some_and(|passthrough| passthrough.enabled == Some(true)) {
        add(Cause::HypervPassthrough, "");
    }
    for volume in &subject.spec.volumes {
        if let Some(detail) = disk(volume, subject, fleet) {
            add(Cause::DiskNotShared, &detail);
        }
    }
    found
}

/// What is wrong with the interface on the pod network (KubeVirt `pkg/network/vmispec/interface.go`,
/// `VerifyVMIMigratable`). Those on other networks do not count.
fn interface(
    subject: Subject<'_>,
    fleet: &Fleet,
    configuration: &KubeVirtConfiguration,
) -> Option<(Cause, String)> {
    let VmiSpec {
        domain, networks, ..
    } = subject.spec;
    let interfaces = &domain.devices.interfaces;
    let is_annotated = subject.annotations.contains_key(BRIDGE_ANNOTATION);
    if interfaces.is_empty() {
        // KubeVirt adds one when it makes the VMI.
        let is_added = subject.status.is_none()
            && !subject.is_partial
            && fleet.kubevirt.is_some()
            && networks.is_empty()
            && domain.devices.autoattach_pod_interface != Some(false);
        let network = &configuration.network;
        let binding = network.default_network_interface.as_deref();
        return (is_added && binding.unwrap_or("bridge") == "bridge" && !is_annotated).then(|| {
            (
                Cause::BridgeAnnotationMissing,
                "the default interface".to_owned(),
            )
        });
    }
    let network = networks.iter().find(|network| network.pod.is_some())?;
    let on_network = |interface: &&Interface| interface.name == network.name;
    let Some(interface) = interfaces.iter().find(on_network) else {
        let detail = format!("no interface is on the pod network {}", network.name);
        return Some((Cause::InterfaceNotMigratable, detail));
    };
    let name = interface.name.clone();
    if interface.masquerade.is_some() || interface.passt_binding.is_some() {
        return None;
    }
    if interface.bridge.is_some() {
        let detail = format!("interface {name}");
        return (!is_annotated).then_some((Cause::BridgeAnnotationMissing, detail));
    }
    if let Some(plugin) = &interface.binding {
        let known = configuration.network.binding.get(&plugin.name);
        let is_migratable = known.is_some_and(|known| known.migration.is_some());
        return (!is_migratable).then(|| {
            let detail = format!("{name} has the binding plugin {}", plugin.name);
            (Cause::InterfaceNotMigratable, detail)
        });
    }
    let detail = if interface.sriov.is_some() {
        format!("{name} is an SR-IOV interface on the pod network")
    } else {
        name
    };
    Some((Cause::InterfaceNotMigratable, detail))
}

/// Whether the CPU model is that of the node. KubeVirt writes its default into the VMI that it makes.
fn has_host_model(spec: &VmiSpec) -> bool {
    let model = spec
        .domain
        .cpu
        .as_ref()
        .and_then(|cpu| cpu.model.as_deref());
    model == Some("host-model")
}

/// Whether the node on which the VM runs does not say which CPU model it has.
fn host_model_is_unknown(subject: Subject<'_>, fleet: &Fleet) -> bool {
    let node = subject.status.and_then(|status| status.node_name.as_ref());
    let node = node.and_then(|node| fleet.nodes.get(node));
    node.is_some_and(|node| {
        let mut labels = node.labels.keys();
        !labels.any(|label| label.starts_with("host-model-cpu.node.kubevirt.io/"))
    })
}

/// Which devices of the node a VM has that can't move (KubeVirt
/// `vmiContainsNonMigratablePCIHostDevices`). Whether one GPU is a mediated device is for KubeVirt's
/// condition to say.
fn devices(spec: &VmiSpec, configuration: &KubeVirtConfiguration) -> Option<String> {
    let devices = &spec.domain.devices;
    let gates = &configuration.developer_configuration.feature_gates;
    let may_move = devices.gpus.len() == 1 && gates.iter().any(|gate| gate == VGPU_GATE);
    let gpus = devices.gpus.iter().filter(|_| !may_move);
    let names: Vec<&str> = devices
        .host_devices
        .iter()
        .chain(gpus)
        .map(|device| device.name.as_str())
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Whether the guest needs a frequency that is not known (KubeVirt
/// `pkg/virt-controller/watch/topology/tsc.go`, `RequiredForMigration`).
fn lacks_tsc_frequency(subject: Subject<'_>) -> bool {
    let domain = &subject.spec.domain;
    let features = domain.cpu.iter().flat_map(|cpu| &cpu.features);
    let needs_it_to_boot = features.into_iter().any(|feature| {
        feature.name == "invtsc"
            && matches!(
                feature.policy.as_deref(),
                None | Some("" | "require" | "force")
            )
    });
    let hyperv = domain
        .features
        .as_ref()
        .and_then(|features| features.hyperv.as_ref());
    let reenlightenment = hyperv.and_then(|hyperv| hyperv.get("reenlightenment"));
    let is_on = reenlightenment.is_some_and(|feature| feature["enabled"] != false);
    let known = subject
        .status
        .and_then(|status| status.topology_hints.as_ref());
    let is_known = known.is_some_and(|hints| hints.tsc_frequency.is_some());
    subject.status.is_some() && is_on && !needs_it_to_boot && !is_known
}

/// What keeps a disk from being used from two nodes (KubeVirt `checkVolumesForMigration`).
fn disk(volume: &VmiVolume, subject: Subject<'_>, fleet: &Fleet) -> Option<String> {
    let status = subject.status;
    let is_moved = status.is_some_and(|status| {
        let moved = &status.migrated_volumes;
        moved.iter().any(|moved| moved.volume_name == volume.name)
    });
    if is_moved {
        return None;
    }
    let known = status.and_then(|status| {
        let mut volumes = status.volume_status.iter();
        volumes
            .find(|known| known.name == volume.name)?
            .persistent_volume_claim_info
            .as_ref()
    });
    let source = volume
        .persistent_volume_claim
        .as_ref()
        .map(|claim| claim.claim_name.as_str());
    let claim = source.or_else(|| volume.data_volume.as_ref().map(|data| data.name.as_str()));
    let in_fleet =
        claim.and_then(|claim| fleet.claims.get(&ObjectKey::new(subject.namespace, claim)));
    let modes = match (known, in_fleet) {
        (Some(known), _) => Some(&known.access_modes),
        (None, Some(claim)) => Some(&claim.access_modes),
        (None, None) => None,
    };
    match (&volume.host_disk, claim, modes) {
        (_, _, Some(modes)) if modes.iter().any(|mode| mode == SHARED) => None,
        (_, claim, Some(modes)) => Some(format!(
            "{}: claim {} has the access modes {}",
            volume.name,
            claim.unwrap_or_default(),
            modes.join(", ")
        )),
        (Some(disk), _, None) if disk.shared != Some(true) => {
            Some(format!("{}: a file of the node", volume.name))
        }
        // A claim that is not known is a finding of its own.
        (Some(_) | None, _, None) => None,
    }
}

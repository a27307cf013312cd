//! The memory that a launcher needs beside that of its guest, as virt-controller estimates it (KubeVirt v1.9.0
//! `pkg/hypervisor/kvm/hypervisorbackend.go`, `GetMemoryOverhead`, which to v1.7 is in
//! `pkg/virt-controller/services/renderresources.go`; and `pkg/network/resources/memory.go`). Where releases
//! differ, it is as their tags have it.

use std::collections::BTreeSet;

use super::requests::amount;
use super::version::version;
use crate::decide::version::Version;
use crate::fleet::model::{Domain, KubeVirt, VmiSpec};

const MI: i64 = 1 << 20;
const MEMORY: &str = "memory";

/// What the overhead depends on beside the spec.
pub(super) struct Guest {
    /// The memory that the VMI itself requests, or that KubeVirt wrote there; 0 for none.
    pub(super) requested: i64,
    /// Its CPUs.
    pub(super) vcpus: i64,
    /// It has CPUs of its own, or its pod is in the class Guaranteed.
    pub(super) is_guaranteed: bool,
}

/// The overhead in bytes.
pub(super) fn of_launcher(spec: &VmiSpec, guest: &Guest, kubevirt: Option<&KubeVirt>) -> i64 {
    let version = version(kubevirt);
    let of_guaranteed = if guest.is_guaranteed && version >= Version(1, 1, 0) {
        100 * MI
    } else {
        0
    };
    let own = [
        page_tables(guest.requested),
        processes(version),
        // Each CPU, and the I/O thread.
        guest.vcpus.max(1).saturating_add(1).saturating_mul(8 * MI),
        machine(spec, version, kubevirt),
        probes(spec),
        encryption(&spec.domain),
        passt_of_old(&spec.domain, version),
        reserved(&spec.domain, version),
    ];
    let own = own.into_iter().fold(0, i64::saturating_add);
    let ratio = kubevirt.and_then(ratio).unwrap_or(1.0);
    // It is not multiplied before.
    let own = if version >= Version(1, 5, 3) {
        multiplied(own.saturating_add(of_guaranteed), ratio)
    } else {
        multiplied(own, ratio).saturating_add(of_guaranteed)
    };
    own.saturating_add(networks(spec, version, kubevirt))
}

/// One bit for each 512, of whole kilobytes.
fn page_tables(requested: i64) -> i64 {
    kilobytes(requested).saturating_mul(1000) / 512
}

fn kilobytes(bytes: i64) -> i64 {
    bytes.saturating_add(999) / 1000
}

fn processes(version: Version) -> i64 {
    let virt_launcher = 100;
    let virt_launcher_monitor = 25;
    let qemu = if version >= Version(1, 10, 0) { 50 } else { 30 };
    let virtlogd = if version >= Version(1, 5, 0) { 25 } else { 20 };
    let virtqemud = if version >= Version(1, 4, 1) { 40 } else { 35 };
    (virt_launcher + virt_launcher_monitor + qemu + virtlogd + virtqemud) * MI
}

fn machine(spec: &VmiSpec, version: Version, kubevirt: Option<&KubeVirt>) -> i64 {
    let devices = &spec.domain.devices;
    let mut interfaces = devices.interfaces.iter();
    let has_vfio = !devices.gpus.is_empty()
        || !devices.host_devices.is_empty()
        || interfaces.any(|interface| interface.sriov.is_some());
    let mut volumes = spec.volumes.iter();
    let has_metrics = volumes.any(|volume| volume.downward_metrics.is_some());
    let reads_enabled = version == Version(1, 4, 1) || version >= Version(1, 5, 1);
    let is_on = |enabled: Option<bool>| !reads_enabled || enabled != Some(false);
    let has_tpm = devices.tpm.as_ref().is_some_and(|tpm| is_on(tpm.enabled));
    let graphics = if version >= Version(1, 6, 0) { 32 } else { 16 };
    let parts = [
        (devices.autoattach_graphics_device != Some(false), graphics),
        // The flash of UEFI.
        (is_arm64(spec, kubevirt), 128),
        (has_vfio, 1024),
        (has_metrics, 1),
        (has_tpm, 53),
    ];
    let parts = parts.into_iter().filter(|(has, _)| *has);
    parts.map(|(_, size)| size * MI).sum()
}

/// Whether the guest is of this architecture. KubeVirt writes its default into the VMs that it is given.
fn is_arm64(spec: &VmiSpec, kubevirt: Option<&KubeVirt>) -> bool {
    let own = spec.architecture.as_deref().filter(|name| !name.is_empty());
    let default = kubevirt.and_then(|cr| {
        let architectures = &cr.spec.configuration.architecture_configuration;
        architectures.default_architecture.as_deref()
    });
    own.or(default) == Some("arm64")
}

/// Each probe that runs a command, and what they need together.
fn probes(spec: &VmiSpec) -> i64 {
    let probes = [&spec.readiness_probe, &spec.liveness_probe];
    let probes = probes.into_iter().flatten();
    match probes.filter(|probe| probe.exec.is_some()).count() {
        0 => 0,
        1 => 110 * MI,
        _ => 120 * MI,
    }
}

fn encryption(domain: &Domain) -> i64 {
    let security = domain.launch_security.as_ref();
    let is_amd = security.is_some_and(|security| security.sev.is_some() || security.snp.is_some());
    if is_amd { 256 * MI } else { 0 }
}

/// The passt binding that KubeVirt itself had before 1.3, where it forwards all ports.
fn passt_of_old(domain: &Domain, version: Version) -> i64 {
    if version >= Version(1, 3, 0) {
        return 0;
    }
    let interfaces = domain.devices.interfaces.iter();
    let forwarding = interfaces
        .filter(|interface| interface.passt.is_some() && interface.ports.is_empty())
        .map(|_| 800 * MI);
    forwarding.sum()
}

fn reserved(domain: &Domain, version: Version) -> i64 {
    let memory = domain.memory.as_ref();
    let reserved = memory.and_then(|memory| memory.reserved_overhead.as_ref());
    let added = reserved.and_then(|reserved| amount(MEMORY, reserved.added_overhead.as_ref()?));
    added
        .filter(|_| version >= Version(1, 8, 0))
        .unwrap_or_default()
}

/// `spec.configuration.additionalGuestMemoryOverheadRatio`. One that is no number does not count.
fn ratio(kubevirt: &KubeVirt) -> Option<f64> {
    let configuration = &kubevirt.spec.configuration;
    let ratio = configuration
        .additional_guest_memory_overhead_ratio
        .as_ref()?;
    ratio.parse().ok()
}

/// Multiplied as KubeVirt does it: what is added is a whole number of kilobytes.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "KubeVirt computes it so, and the result is the same"
)]
fn multiplied(bytes: i64, ratio: f64) -> i64 {
    let added = kilobytes(bytes) as f64 * (ratio - 1.0);
    bytes.saturating_add((added as i64).saturating_mul(1000))
}

/// What the bindings of the interfaces need of the launcher, from KubeVirt 1.4 on: each plugin once.
fn networks(spec: &VmiSpec, version: Version, kubevirt: Option<&KubeVirt>) -> i64 {
    if version < Version(1, 4, 0) {
        return 0;
    }
    let interfaces = &spec.domain.devices.interfaces;
    let mut others = interfaces.iter();
    let has_passt = others.any(|interface| interface.passt_binding.is_some());
    let of_passt = if has_passt { 250 * MI } else { 0 };
    let Some(kubevirt) = kubevirt else {
        return of_passt;
    };
    let known = &kubevirt.spec.configuration.network.binding;
    let names = interfaces.iter().filter_map(|interface| {
        let binding = interface.binding.as_ref()?;
        Some(binding.name.as_str())
    });
    let names: BTreeSet<&str> = names.collect();
    let plugins = names.into_iter().filter_map(|name| known.get(name));
    let of_plugins = plugins.filter_map(|plugin| {
        let requests = &plugin.compute_resource_overhead.requests;
        amount(MEMORY, requests.get(MEMORY)?)
    });
    of_plugins.fold(of_passt, i64::saturating_add)
}

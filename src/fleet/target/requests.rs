//! What a launcher requests, computed from the spec of the VMI (KubeVirt v1.9.0
//! `pkg/virt-controller/services/renderresources.go` and `template.go`, `VMIResourcePredicates`, with the defaults
//! of `pkg/defaults/defaults.go`). Where releases differ, it is as their tags have it.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::version::{
    counts_io_threads, has_gate, overcommits_requests, version, writes_memory_requests,
};
use super::{containers, overhead};
use crate::decide::version::Version;
use crate::fleet::model::{KubeVirt, Labels, Resources, Vmi, VmiSpec};
use crate::fleet::quantity;

const CPU: &str = "cpu";
const MEMORY: &str = "memory";
const EPHEMERAL_STORAGE: &str = "ephemeral-storage";
const DEVICES: &str = "devices.kubevirt.io/";
/// What every launcher requests for itself, in bytes.
const OWN_EPHEMERAL_STORAGE: i64 = 50_000_000;

const CPU_ALLOCATION_RATIO: u32 = 10;
const MEMORY_OVERCOMMIT: u32 = 100;
/// `spec.configuration.cpuRequest`, if it is not set. This value means the same as none.
const CPU_REQUEST: i64 = 100;
/// The annotation, of the VMI or of the KubeVirt CR, by which QEMU gets CPUs of its own so that their number is
/// even.
const EVEN_CPUS: &str = "alpha.kubevirt.io/EmulatorThreadCompleteToEvenParity";

/// The requests of a launcher of a VMI with this spec and these annotations, with the memory overhead that KubeVirt
/// says it has; where KubeVirt says nothing, the one that it would compute.
pub(super) fn of_launcher(
    spec: &VmiSpec,
    annotations: &Labels,
    memory_overhead: Option<&Quantity>,
    kubevirt: Option<&KubeVirt>,
) -> Resources {
    let own = &spec.domain.resources;
    let mut requests: Resources = own
        .requests
        .iter()
        .filter_map(|(resource, value)| Some((resource.clone(), amount(resource, value)?)))
        .collect();
    let vcpus = vcpus(spec, kubevirt);
    let cpu = cpu(spec, annotations, vcpus, kubevirt);
    requests.insert(CPU.to_owned(), cpu);

    let Memory {
        requested,
        written,
        in_pages,
    } = memory(spec, kubevirt);
    let is_guaranteed = is_guaranteed(spec, kubevirt);
    let computed = || {
        let guest = overhead::Guest {
            requested: written,
            vcpus,
            is_guaranteed,
        };
        overhead::of_launcher(spec, &guest, kubevirt)
    };
    let known = memory_overhead.and_then(|overhead| amount(MEMORY, overhead));
    let overhead = known.unwrap_or_else(computed);
    let of_launcher = match in_pages {
        None if own.overcommit_guest_overhead => requested,
        None => requested.saturating_add(overhead),
        Some((page, bytes)) => {
            requests.insert(format!("hugepages-{page}"), bytes);
            requested.saturating_sub(bytes).saturating_add(overhead)
        }
    };
    requests.insert(MEMORY.to_owned(), of_launcher);

    let mut add = |resource: &str, amount: i64| {
        let sum = requests.entry(resource.to_owned()).or_default();
        *sum = sum.saturating_add(amount);
    };
    add(EPHEMERAL_STORAGE, OWN_EPHEMERAL_STORAGE);
    add("pods", 1);
    for device in devices(spec, kubevirt) {
        add(&format!("{DEVICES}{device}"), 1);
    }
    let passed = &spec.domain.devices;
    for device in passed.gpus.iter().chain(&passed.host_devices) {
        if let Some(resource) = device
            .device_name
            .as_deref()
            .filter(|name| !name.is_empty())
        {
            add(resource, 1);
        }
    }
    for (resource, amount) in containers::requests(spec, is_guaranteed, kubevirt) {
        add(&resource, amount);
    }
    requests
}

/// The memory of a guest.
struct Memory<'a> {
    /// What its launcher requests for it.
    requested: i64,
    /// What of that stands in the VMI; 0 for nothing.
    written: i64,
    /// The size of its huge pages, and what is in them.
    in_pages: Option<(&'a str, i64)>,
}

fn memory<'a>(spec: &'a VmiSpec, kubevirt: Option<&KubeVirt>) -> Memory<'a> {
    let own = &spec.domain.resources;
    let memory = spec.domain.memory.as_ref();
    let guest = memory.and_then(|memory| amount(MEMORY, memory.guest.as_ref()?));
    let page_size = memory.and_then(|memory| Some(memory.hugepages.as_ref()?.page_size.as_str()));
    let developer = kubevirt.map(|kubevirt| &kubevirt.spec.configuration.developer_configuration);
    let percent = developer.and_then(|developer| developer.memory_overcommit);
    let percent = i64::from(
        percent
            .filter(|percent| *percent > 0)
            .unwrap_or(MEMORY_OVERCOMMIT),
    );
    let overcommitted = |bytes: i64| bytes.saturating_mul(100) / percent;

    let set = |amounts: &std::collections::BTreeMap<String, Quantity>| {
        amount(MEMORY, amounts.get(MEMORY)?).filter(|bytes| *bytes > 0)
    };
    let own = set(&own.requests).or_else(|| set(&own.limits));
    let asked = own.or(guest).or_else(|| quantity::whole(page_size?).ok());
    let asked = asked.unwrap_or_default();
    let version = version(kubevirt);
    let (requested, written) = if overcommits_requests(version) {
        (overcommitted(asked), asked)
    } else {
        let requested = own.unwrap_or_else(|| overcommitted(asked));
        let written = if writes_memory_requests(version) {
            requested
        } else {
            set(&spec.domain.resources.requests).unwrap_or_default()
        };
        (requested, written)
    };
    let in_pages = page_size.map(|page| {
        let bytes = guest.map_or(requested, |guest| guest.min(requested));
        (page, bytes)
    });
    Memory {
        requested,
        written,
        in_pages,
    }
}

/// The CPU in thousandths.
fn cpu(spec: &VmiSpec, annotations: &Labels, vcpus: i64, kubevirt: Option<&KubeVirt>) -> i64 {
    let version = version(kubevirt);
    let threads = spec.domain.io_threads.as_ref();
    let threads = threads.and_then(|threads| threads.supplemental_pool_thread_count);
    let threads = threads.filter(|_| counts_io_threads(version));
    let threads = i64::from(threads.unwrap_or_default());
    let total = vcpus.saturating_add(threads);
    let dedicated = spec.domain.cpu.as_ref();
    if let Some(cpu) = dedicated.filter(|cpu| cpu.dedicated_cpu_placement) {
        let of_cr = kubevirt.map(|kubevirt| &kubevirt.metadata.annotations);
        let mut annotations = [Some(annotations), of_cr].into_iter().flatten();
        let is_evened = version >= Version(1, 1, 1)
            && annotations.any(|annotations| annotations.contains_key(EVEN_CPUS));
        let of_emulator = match cpu.isolate_emulator_thread {
            false => 0,
            true if is_evened && vcpus % 2 == 0 => 2,
            true => 1,
        };
        return total.saturating_add(of_emulator).saturating_mul(1000);
    }
    if let Some(requested) = requested_cpu(spec, kubevirt) {
        return requested;
    }
    let developer = kubevirt.map(|kubevirt| &kubevirt.spec.configuration.developer_configuration);
    let ratio = developer.and_then(|developer| developer.cpu_allocation_ratio);
    let ratio = ratio.filter(|ratio| *ratio > 0);
    let ratio = i64::from(ratio.unwrap_or(CPU_ALLOCATION_RATIO));
    total.saturating_mul(1000).saturating_add(ratio - 1) / ratio
}

/// The CPU that a VMI requests, in thousandths: its own request or limit, or what the KubeVirt CR gives it.
fn requested_cpu(spec: &VmiSpec, kubevirt: Option<&KubeVirt>) -> Option<i64> {
    let own = &spec.domain.resources;
    let mut own = [&own.requests, &own.limits].into_iter();
    let own = own.find_map(|amounts| amount(CPU, amounts.get(CPU)?));
    let cpu = spec.domain.cpu.as_ref();
    let is_dedicated = cpu.is_some_and(|cpu| cpu.dedicated_cpu_placement);
    own.or_else(|| {
        let default = kubevirt?.spec.configuration.cpu_request.as_ref()?;
        amount(CPU, default).filter(|milli| *milli != CPU_REQUEST && !is_dedicated)
    })
}

/// Whether the guest has CPUs of its own, or its pod is in the class Guaranteed (`IsCPUDedicated`,
/// `WantsToHaveQOSGuaranteed`).
fn is_guaranteed(spec: &VmiSpec, kubevirt: Option<&KubeVirt>) -> bool {
    let cpu = spec.domain.cpu.as_ref();
    let own = &spec.domain.resources;
    let limit = |resource: &str| amount(resource, own.limits.get(resource)?);
    let request = |resource: &str| amount(resource, own.requests.get(resource)?);
    let is_set = |amount: &Option<i64>| amount.is_some_and(|amount| amount > 0);
    let of_memory = match (request(MEMORY).filter(|bytes| *bytes > 0), limit(MEMORY)) {
        (None, limit) => is_set(&limit),
        (request, limit) => request == limit,
    };
    let of_cpu = requested_cpu(spec, kubevirt);
    cpu.is_some_and(|cpu| cpu.dedicated_cpu_placement)
        || of_memory && is_set(&of_cpu) && of_cpu == limit(CPU)
}

/// The devices of KubeVirt's own that a launcher uses (`getRequiredResources`).
fn devices(spec: &VmiSpec, kubevirt: Option<&KubeVirt>) -> Vec<&'static str> {
    let domain = &spec.domain;
    let devices = &domain.devices;
    let is_of_1_9 = version(kubevirt) >= Version(1, 9, 0);
    let developer = kubevirt.map(|kubevirt| &kubevirt.spec.configuration.developer_configuration);
    let is_emulated = developer.is_some_and(|developer| developer.use_emulation);
    let attaches = devices.autoattach_pod_interface != Some(false);
    // KubeVirt adds one to a VMI without any.
    let gets_interface = attaches && devices.interfaces.is_empty() && spec.networks.is_empty();
    let mut interfaces = devices.interfaces.iter();
    let has_virtio = gets_interface
        || interfaces
            .any(|interface| matches!(interface.model.as_deref(), None | Some("" | "virtio")));
    let security = domain.launch_security.as_ref();
    let is_amd = security.is_some_and(|security| security.sev.is_some() || security.snp.is_some());
    let mut disks = devices.disks.iter();
    let reserves = disks.any(|disk| disk.lun.as_ref().is_some_and(|lun| lun.reservation));
    let used = [
        (attaches || !devices.interfaces.is_empty(), "tun"),
        (has_virtio && !is_emulated, "vhost-net"),
        (!is_emulated, "kvm"),
        (devices.autoattach_vsock == Some(true), "vhost-vsock"),
        (is_amd, "sev"),
        (
            is_of_1_9 && security.is_some_and(|security| security.tdx.is_some()),
            "tdx",
        ),
        (reserves, "pr-helper"),
        (is_of_1_9 && has_gate(kubevirt, "IOMMUFD"), "iommufd"),
    ];
    used.into_iter()
        .filter_map(|(is_used, name)| is_used.then_some(name))
        .collect()
}

/// What the target pod requests of a VM whose pod requests this, where CPUs or memory were plugged in since
/// that pod was made: the VM has them once it has migrated. `computed` is what its spec makes of a launcher.
pub(super) fn grown(of_source: &Resources, computed: &Resources, vmi: &Vmi) -> Resources {
    let mut requests = of_source.clone();
    let memory = vmi.spec.domain.memory.as_ref();
    let wanted = memory.and_then(|memory| amount(MEMORY, memory.guest.as_ref()?));
    let status = vmi.status.memory.as_ref();
    let current = status.and_then(|status| amount(MEMORY, status.guest_current.as_ref()?));
    let is_paged = memory.is_some_and(|memory| memory.hugepages.is_some());
    if let (Some(wanted), Some(current), Some(requested), false) =
        (wanted, current, requests.get_mut(MEMORY), is_paged)
    {
        *requested = requested.saturating_add(wanted.saturating_sub(current).max(0));
    }
    for (resource, requested) in &mut requests {
        let is_pluggable =
            matches!(resource.as_str(), CPU | MEMORY) || resource.starts_with("hugepages-");
        if let Some(computed) = computed.get(resource).filter(|_| is_pluggable) {
            *requested = (*requested).max(*computed);
        }
    }
    requests
}

pub(super) fn amount(resource: &str, Quantity(text): &Quantity) -> Option<i64> {
    quantity::amount(resource, text).ok()
}

/// The vCPUs: the product of what is set of the topology, or what KubeVirt makes of a spec without one.
fn vcpus(spec: &VmiSpec, kubevirt: Option<&KubeVirt>) -> i64 {
    let topology = spec
        .domain
        .cpu
        .iter()
        .flat_map(|cpu| [cpu.cores, cpu.sockets, cpu.threads]);
    let set: Vec<i64> = topology
        .flatten()
        .filter(|count| *count > 0)
        .map(i64::from)
        .collect();
    if !set.is_empty() {
        let product = set.into_iter().fold(1, i64::saturating_mul);
        return product.min(i64::from(u32::MAX));
    }
    let limits = &spec.domain.resources.limits;
    let limit = limits.get(CPU).and_then(|limit| amount(CPU, limit));
    let milli = limit.or_else(|| requested_cpu(spec, kubevirt));
    milli.map_or(1, |milli| milli.saturating_add(999) / 1000)
}

#[cfg(test)]
mod tests;

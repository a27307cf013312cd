//! What a launcher requests, computed from the spec of the VMI
//! (`pkg/virt-controller/services/renderresources.go`). It is less than the pod will have: sidecars,
//! networks that bring devices, and the memory overhead of a VM that does not run are not counted.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use crate::fleet::model::{KubeVirt, Resources, Vmi, VmiSpec};
use crate::fleet::quantity;

const CPU: &str = "cpu";
const MEMORY: &str = "memory";
const EPHEMERAL_STORAGE: &str = "ephemeral-storage";
const KVM: &str = "devices.kubevirt.io/kvm";
const TUN: &str = "devices.kubevirt.io/tun";
/// What every launcher requests for itself, in bytes.
const OWN_EPHEMERAL_STORAGE: i64 = 50_000_000;

const CPU_ALLOCATION_RATIO: u32 = 10;
const MEMORY_OVERCOMMIT: u32 = 100;

/// The requests of a launcher of this spec, with the memory overhead that is known of the VMI.
pub(super) fn of_launcher(
    spec: &VmiSpec,
    memory_overhead: Option<&Quantity>,
    kubevirt: Option<&KubeVirt>,
) -> Resources {
    let own = &spec.domain.resources;
    let mut requests: Resources = own
        .requests
        .iter()
        .filter_map(|(resource, value)| Some((resource.clone(), amount(resource, value)?)))
        .collect();
    let limit = |resource: &str| amount(resource, own.limits.get(resource)?);
    let developer = kubevirt.map(|kubevirt| &kubevirt.spec.configuration.developer_configuration);

    let cpu = spec.domain.cpu.as_ref();
    let vcpus = vcpus(spec);
    if let Some(cpu) = cpu.filter(|cpu| cpu.dedicated_cpu_placement) {
        let emulator = i64::from(cpu.isolate_emulator_thread);
        if vcpus > 0 {
            requests.insert(CPU.to_owned(), (vcpus + emulator) * 1000);
        }
    } else if !requests.contains_key(CPU) {
        let ratio = developer.and_then(|developer| developer.cpu_allocation_ratio);
        let ratio = i64::from(
            ratio
                .filter(|ratio| *ratio > 0)
                .unwrap_or(CPU_ALLOCATION_RATIO),
        );
        let milli = limit(CPU).unwrap_or((vcpus * 1000 + ratio - 1) / ratio);
        requests.insert(CPU.to_owned(), milli);
    }

    let memory = spec.domain.memory.as_ref();
    let guest = memory.and_then(|memory| amount(MEMORY, memory.guest.as_ref()?));
    let page_size = memory.and_then(|memory| Some(memory.hugepages.as_ref()?.page_size.as_str()));
    let overcommit = developer.and_then(|developer| developer.memory_overcommit);
    let overcommit = overcommit
        .filter(|percent| *percent > 0)
        .unwrap_or(MEMORY_OVERCOMMIT);
    let requested = requests.get(MEMORY).copied().filter(|bytes| *bytes > 0);
    let requested = requested.or_else(|| limit(MEMORY)).or_else(|| {
        let guest = guest.or_else(|| quantity::whole(page_size?).ok())?;
        Some(guest.saturating_mul(100) / i64::from(overcommit))
    });
    let requested = requested.unwrap_or_default();
    let overhead = memory_overhead
        .and_then(|overhead| amount(MEMORY, overhead))
        .unwrap_or_default();
    let in_memory = match page_size {
        None => requested,
        Some(page_size) => {
            let in_pages = guest.map_or(requested, |guest| guest.min(requested));
            requests.insert(format!("hugepages-{page_size}"), in_pages);
            requested.saturating_sub(in_pages)
        }
    };
    requests.insert(MEMORY.to_owned(), in_memory.saturating_add(overhead));

    let mut add = |resource: &str, amount: i64| {
        let sum = requests.entry(resource.to_owned()).or_default();
        *sum = sum.saturating_add(amount);
    };
    add(EPHEMERAL_STORAGE, OWN_EPHEMERAL_STORAGE);
    add("pods", 1);
    let devices = &spec.domain.devices;
    if !devices.interfaces.is_empty() || devices.autoattach_pod_interface != Some(false) {
        add(TUN, 1);
    }
    if !developer.is_some_and(|developer| developer.use_emulation) {
        add(KVM, 1);
    }
    for device in devices.gpus.iter().chain(&devices.host_devices) {
        if let Some(resource) = &device.device_name {
            add(resource, 1);
        }
    }
    requests
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

fn amount(resource: &str, Quantity(text): &Quantity) -> Option<i64> {
    quantity::amount(resource, text).ok()
}

/// The vCPUs: the product of what is set of the topology, or what KubeVirt makes of a spec without one.
fn vcpus(spec: &VmiSpec) -> i64 {
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
    let own = &spec.domain.resources;
    let milli = [&own.limits, &own.requests]
        .into_iter()
        .find_map(|amounts| amount(CPU, amounts.get(CPU)?));
    milli.map_or(1, |milli| milli.saturating_add(999) / 1000)
}

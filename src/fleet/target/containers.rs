//! The containers that virt-controller puts beside the one with the guest (KubeVirt v1.9.0
//! `pkg/virt-controller/services`, `serialconsolelog.go` and `virtiofs.go`, and
//! `pkg/container-disk/container-disk.go`).

use super::requests::amount;
use super::version::{has_image_volumes, logs_consoles, version};
use crate::fleet::model::{KubeVirt, Labels, Resources, VmiSpec};

/// The annotation by which a VMI asks for containers of its own (`pkg/hooks/hooks.go`).
pub(in crate::fleet) const HOOKS: &str = "hooks.kubevirt.io/hookSidecars";
/// The annotation by which Istio adds containers to a pod.
const ISTIO: &str = "sidecar.istio.io/inject";

/// A kind of container, with what it asks for if the KubeVirt CR says nothing: CPU in thousandths and memory in
/// bytes, of a pod like most, and of one in the class Guaranteed.
struct Kind {
    name: &'static str,
    usual: [i64; 2],
    guaranteed: [i64; 2],
}

const CONSOLE_LOG: Kind = Kind {
    name: "guest-console-log",
    usual: [5, 35_000_000],
    guaranteed: [15, 60_000_000],
};
const VIRTIOFS: Kind = Kind {
    name: "virtiofs",
    usual: [10, 1_000_000],
    guaranteed: [100, 80_000_000],
};
const CONTAINER_DISK: Kind = Kind {
    name: "container-disk",
    usual: [1, 1_000_000],
    guaranteed: [10, 40_000_000],
};
/// What a container disk writes, in bytes.
const DISK_STORAGE: i64 = 50_000_000;

/// What the containers ask for together.
pub(super) fn requests(
    spec: &VmiSpec,
    is_guaranteed: bool,
    kubevirt: Option<&KubeVirt>,
) -> Resources {
    let disks = disks(spec, kubevirt);
    let counted = [
        (CONSOLE_LOG, i64::from(has_console_log(spec, kubevirt))),
        (VIRTIOFS, filesystems(spec)),
        (CONTAINER_DISK, disks),
    ];
    let mut sum = Resources::new();
    for (kind, count) in counted {
        let of_one = kind.requests(is_guaranteed, kubevirt);
        for (resource, amount) in ["cpu", "memory"].into_iter().zip(of_one) {
            let entry = sum.entry(resource.to_owned()).or_default();
            *entry = entry.saturating_add(amount.saturating_mul(count));
        }
    }
    let storage = disks.saturating_mul(DISK_STORAGE);
    sum.insert("ephemeral-storage".to_owned(), storage);
    sum
}

impl Kind {
    /// What one asks for. In the class Guaranteed that is its limit.
    fn requests(&self, is_guaranteed: bool, kubevirt: Option<&KubeVirt>) -> [i64; 2] {
        let containers = kubevirt.iter().flat_map(|kubevirt| {
            let configuration = &kubevirt.spec.configuration;
            &configuration.support_container_resources
        });
        let configured = |resource: &str| {
            let mut own = containers.clone().filter(|own| own.container == self.name);
            own.find_map(|own| {
                let amounts = if is_guaranteed {
                    &own.resources.limits
                } else {
                    &own.resources.requests
                };
                amount(resource, amounts.get(resource)?).filter(|amount| *amount != 0)
            })
        };
        let [cpu, memory] = if is_guaranteed {
            self.guaranteed
        } else {
            self.usual
        };
        [
            configured("cpu").unwrap_or(cpu),
            configured("memory").unwrap_or(memory),
        ]
    }
}

fn has_console_log(spec: &VmiSpec, kubevirt: Option<&KubeVirt>) -> bool {
    let devices = &spec.domain.devices;
    let is_off = kubevirt.is_some_and(|kubevirt| {
        let options = &kubevirt.spec.configuration.virtual_machine_options;
        options.disable_serial_console_log.is_some()
    });
    logs_consoles(version(kubevirt))
        && devices.autoattach_serial_console != Some(false)
        && devices.log_serial_console.unwrap_or(!is_off)
}

/// The volumes that the guest has as filesystems.
fn filesystems(spec: &VmiSpec) -> i64 {
    let filesystems = &spec.domain.devices.filesystems;
    let volumes = spec.volumes.iter().filter(|volume| {
        let mut filesystems = filesystems.iter();
        volume.container_path.is_none() && filesystems.any(|own| own.name == volume.name)
    });
    count(volumes)
}

/// The disks, and the kernel, that come in a container. With image volumes they need none.
fn disks(spec: &VmiSpec, kubevirt: Option<&KubeVirt>) -> i64 {
    if has_image_volumes(kubevirt) {
        return 0;
    }
    let volumes = spec.volumes.iter();
    let firmware = spec.domain.firmware.as_ref();
    let boot = firmware.and_then(|firmware| firmware.kernel_boot.as_ref());
    let has_kernel = boot.is_some_and(|boot| boot.container.is_some());
    count(volumes.filter(|volume| volume.container_disk.is_some())) + i64::from(has_kernel)
}

fn count<T>(items: impl Iterator<Item = T>) -> i64 {
    i64::try_from(items.count()).unwrap_or(i64::MAX)
}

/// What adds containers to a launcher that are not known here, in a few words each.
pub(in crate::fleet) fn unknown(
    spec: &VmiSpec,
    annotations: &Labels,
    kubevirt: Option<&KubeVirt>,
) -> Vec<String> {
    let mut found = Vec::new();
    if annotations.contains_key(HOOKS) {
        found.push(format!("annotation {HOOKS}"));
    }
    if annotations.get(ISTIO).is_some_and(|value| value == "true") {
        found.push(format!("annotation {ISTIO}"));
    }
    let plugins = spec
        .domain
        .devices
        .interfaces
        .iter()
        .filter_map(|interface| {
            let name = &interface.binding.as_ref()?.name;
            let plugin = kubevirt?.spec.configuration.network.binding.get(name)?;
            let image = plugin.sidecar_image.as_ref()?;
            (!image.is_empty()).then(|| format!("network binding plugin {name}"))
        });
    for plugin in plugins {
        if !found.contains(&plugin) {
            found.push(plugin);
        }
    }
    found
}

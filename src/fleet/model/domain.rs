//! The machine of a VMI: CPU, memory, devices and what it needs of its node.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Deserialize;

/// The machine of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Domain {
    /// The CPU.
    pub cpu: Option<Cpu>,
    /// The memory.
    pub memory: Option<Memory>,
    /// The machine type.
    pub machine: Option<Machine>,
    /// The devices.
    pub devices: Devices,
    /// What the launcher asks for.
    pub resources: ResourceRequirements,
    /// Encrypted memory.
    pub launch_security: Option<LaunchSecurity>,
    /// Features.
    pub features: Option<Features>,
    /// Threads for the I/O of disks.
    pub io_threads: Option<IoThreads>,
    /// What it boots.
    pub firmware: Option<Firmware>,
}

/// Threads for the I/O of disks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IoThreads {
    /// How many are added to the guest's CPUs.
    pub supplemental_pool_thread_count: Option<u32>,
}

/// What a VMI boots.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Firmware {
    /// A kernel from outside of its disks.
    pub kernel_boot: Option<KernelBoot>,
}

/// A kernel from outside of the disks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct KernelBoot {
    /// The container that has it.
    pub container: Option<serde::de::IgnoredAny>,
}

/// The CPU of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Cpu {
    /// `host-model`, `host-passthrough`, a model, or nothing, which is the cluster's default.
    pub model: Option<String>,
    /// Features that are asked for or refused.
    pub features: Vec<CpuFeature>,
    /// Sockets.
    pub sockets: Option<u32>,
    /// Cores in a socket.
    pub cores: Option<u32>,
    /// Threads in a core.
    pub threads: Option<u32>,
    /// CPUs of the node that nobody else uses.
    pub dedicated_cpu_placement: bool,
    /// One more dedicated CPU for QEMU itself.
    pub isolate_emulator_thread: bool,
    /// The guest sees the node's NUMA cells.
    pub numa: Option<serde::de::IgnoredAny>,
    /// Real-time scheduling.
    pub realtime: Option<serde::de::IgnoredAny>,
}

/// A CPU feature.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CpuFeature {
    /// Its name, such as `vmx`.
    pub name: String,
    /// `force`, `require` (which nothing means too), `optional`, `disable` or `forbid`.
    pub policy: Option<String>,
}

/// The memory of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What the guest sees.
    pub guest: Option<Quantity>,
    /// Huge pages.
    pub hugepages: Option<Hugepages>,
    /// More than KubeVirt reserves by itself beside the memory of the guest.
    #[serde(rename = "reservedOverhead")]
    pub reserved_overhead: Option<ReservedOverhead>,
}

/// Memory that is reserved beside that of the guest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ReservedOverhead {
    /// How much.
    pub added_overhead: Option<Quantity>,
}

/// Huge pages.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hugepages {
    /// Their size, such as `2Mi`.
    pub page_size: String,
}

/// The machine type of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// The type.
    #[serde(rename = "type")]
    pub machine_type: Option<String>,
}

impl Machine {
    /// The type; `None` where it is empty.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.machine_type.as_deref().filter(|name| !name.is_empty())
    }
}

/// The devices of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Devices {
    /// Network interfaces.
    pub interfaces: Vec<Interface>,
    /// `false` keeps KubeVirt from adding an interface to a VMI without any.
    pub autoattach_pod_interface: Option<bool>,
    /// PCI devices of the node.
    pub host_devices: Vec<HostDevice>,
    /// GPUs.
    pub gpus: Vec<HostDevice>,
    /// Directories of the node, through virtiofs.
    pub filesystems: Vec<Named>,
    /// Disks.
    pub disks: Vec<Disk>,
    /// `false` leaves out the graphics card.
    pub autoattach_graphics_device: Option<bool>,
    /// `false` leaves out the serial console.
    pub autoattach_serial_console: Option<bool>,
    /// Whether the serial console is logged; if it is not set, as the KubeVirt CR says.
    pub log_serial_console: Option<bool>,
    /// `true` adds a vsock device.
    #[serde(rename = "autoattachVSOCK")]
    pub autoattach_vsock: Option<bool>,
    /// A TPM.
    pub tpm: Option<Tpm>,
}

/// A TPM.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Tpm {
    /// `false` for none, from KubeVirt 1.4.1 on.
    pub enabled: Option<bool>,
}

/// Something with a name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    /// The name.
    pub name: String,
}

/// A disk.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Disk {
    /// The name of its volume.
    pub name: String,
    /// The guest and others can write to it at a time.
    pub shareable: Option<bool>,
    /// A LUN, whose SCSI reservations may be the node's.
    pub lun: Option<Lun>,
}

/// A LUN.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Lun {
    /// It has persistent reservations.
    pub reservation: bool,
}

/// A device of the node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HostDevice {
    /// Its name.
    pub name: String,
    /// The resource under which a device plugin offers it; empty if a claim allocates it (DRA).
    pub device_name: Option<String>,
}

/// A network interface.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Interface {
    /// The name of its network.
    pub name: String,
    /// Bridge binding.
    pub bridge: Option<serde::de::IgnoredAny>,
    /// Masquerade binding.
    pub masquerade: Option<serde::de::IgnoredAny>,
    /// SR-IOV.
    pub sriov: Option<serde::de::IgnoredAny>,
    /// passt binding.
    pub passt_binding: Option<serde::de::IgnoredAny>,
    /// passt binding of KubeVirt before 1.3.
    pub passt: Option<serde::de::IgnoredAny>,
    /// The ports that are forwarded; how many there are is all that is kept.
    pub ports: Vec<serde::de::IgnoredAny>,
    /// The network card, `virtio` if it is not set.
    pub model: Option<String>,
    /// A binding plugin.
    pub binding: Option<Named>,
    /// `absent` for one that is unplugged, `up`, `down`.
    pub state: Option<String>,
}

/// What a launcher or a container beside it asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceRequirements {
    /// Requests.
    pub requests: BTreeMap<String, Quantity>,
    /// Limits.
    pub limits: BTreeMap<String, Quantity>,
    /// What the launcher needs beside the memory of the guest is not requested.
    pub overcommit_guest_overhead: bool,
}

/// Encrypted memory.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LaunchSecurity {
    /// AMD SEV.
    pub sev: Option<Sev>,
    /// AMD SEV-SNP.
    pub snp: Option<serde::de::IgnoredAny>,
    /// Intel TDX.
    pub tdx: Option<serde::de::IgnoredAny>,
}

/// AMD SEV.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Sev {
    /// With this, SEV-ES.
    pub policy: Option<SevPolicy>,
}

/// The policy of AMD SEV.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SevPolicy {
    /// SEV-ES.
    pub encrypted_state: Option<bool>,
}

/// Features of the machine.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Features {
    /// Hyper-V, by enlightenment.
    pub hyperv: Option<BTreeMap<String, serde_json::Value>>,
    /// Every Hyper-V feature of the node.
    #[serde(rename = "hypervPassthrough")]
    pub hyperv_passthrough: Option<HypervPassthrough>,
}

/// Every Hyper-V feature of the node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HypervPassthrough {
    /// Whether the guest has them.
    pub enabled: Option<bool>,
}

//! The objects of a [`Fleet`](super::Fleet), each with the fields that are judged. KubeVirt's have the
//! shapes of `kubevirt.io/api/core/v1`, those of Kubernetes are cut down from its own types. No command
//! changes or writes one.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, NodeSelector, PodAffinityTerm, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Deserialize;

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// Amounts by resource: milli-cores of `cpu`, bytes or pieces of everything else.
pub type Resources = BTreeMap<String, i64>;

/// A node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its labels.
    pub labels: Labels,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// It is cordoned.
    pub unschedulable: bool,
    /// Its condition `Ready` is `True`.
    pub is_ready: bool,
    /// What pods can have of it.
    pub allocatable: Resources,
    /// The version of its kubelet, such as `v1.34.1`.
    pub kubelet: Option<String>,
}

/// A pod that has not ended.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Its node; `None` while it waits for one.
    pub node: Option<String>,
    /// Its labels.
    pub labels: Labels,
    /// What the scheduler counts for it: the sum of its containers or the largest init container, its
    /// sidecars and its overhead, as kube-scheduler adds them up, and one of `pods`.
    pub requests: Resources,
    /// The host ports that it takes, as `(protocol, port)`.
    pub host_ports: Vec<(String, i32)>,
    /// The pods that it keeps away: its required anti-affinity, without the rule by which KubeVirt keeps the
    /// target of a migration from the VM's own node.
    pub repels: Vec<PodAffinityTerm>,
    /// What only the launcher of a VM has.
    pub launcher: Option<Box<Launcher>>,
}

/// What is kept of the pod of a VM.
#[derive(Clone, Debug, Default)]
pub struct Launcher {
    /// The name of the VMI that controls it.
    pub vmi: String,
    /// That VMI's UID.
    pub vmi_uid: String,
    /// The UID of the migration that made it, if one did.
    pub migration: Option<String>,
    /// Its phase is `Running`, all its containers are ready, and it is not being deleted.
    pub is_running: bool,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// The labels that its node has to have.
    pub node_selector: Labels,
    /// Its affinity.
    pub affinity: Option<Affinity>,
    /// Its tolerations.
    pub tolerations: Vec<Toleration>,
    /// Its networks of Kube-OVN.
    pub networks: Vec<OvnNetwork>,
}

/// A network that Kube-OVN has attached a pod to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OvnNetwork {
    /// The subnet.
    pub subnet: String,
    /// The provider network, if the subnet is a VLAN of the nodes' own network.
    pub provider_network: Option<String>,
}

/// A subnet of Kube-OVN.
#[derive(Clone, Debug, Default)]
pub struct Subnet {
    /// Its VPC.
    pub vpc: Option<String>,
    /// Its condition `Ready` is `True`.
    pub is_ready: bool,
}

/// A persistent volume claim.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Its access modes, such as `ReadWriteMany`.
    pub access_modes: Vec<String>,
    /// `Block` or `Filesystem`.
    pub volume_mode: Option<String>,
    /// The volume that it is bound to.
    pub volume: Option<String>,
    /// Its storage class.
    pub storage_class: Option<String>,
    /// Its annotation `volume.kubernetes.io/selected-node`.
    pub selected_node: Option<String>,
}

/// A persistent volume.
#[derive(Clone, Debug, Default)]
pub struct Volume {
    /// The nodes from which it can be reached; `None` for all.
    pub node_affinity: Option<NodeSelector>,
    /// Its labels.
    pub labels: Labels,
}

/// A storage class.
#[derive(Clone, Debug, Default)]
pub struct StorageClass {
    /// Its volumes are bound when a pod needs them, not when they are claimed.
    pub waits_for_consumer: bool,
}

/// A resource quota.
#[derive(Clone, Debug, Default)]
pub struct Quota {
    /// The limits, by the quota's own names of resources such as `requests.cpu` and `count/pods`.
    pub hard: Resources,
    /// What is used of them.
    pub used: Resources,
    /// It counts only some of the pods (`scopes` or `scopeSelector`).
    pub is_scoped: bool,
}

/// A `VirtualMachine`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Vm {
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    pub spec: VmSpec,
    /// Status.
    pub status: VmStatus,
}

/// The spec of a VM.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VmSpec {
    /// The VMI that is made from it.
    pub template: Template,
    /// The instance type, whose fields are not in the template.
    pub instancetype: Option<Matcher>,
    /// The preference, whose fields are not in the template.
    pub preference: Option<Matcher>,
}

/// A reference to an instance type or a preference.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Matcher {
    /// Its name.
    pub name: String,
}

/// The template of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Template {
    /// The VMI's metadata.
    pub metadata: Metadata,
    /// The VMI's spec.
    pub spec: VmiSpec,
}

/// The status of a VM.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VmStatus {
    /// What people are shown, such as `Stopped`.
    pub printable_status: Option<String>,
}

/// A `VirtualMachineInstance`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Vmi {
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    pub spec: VmiSpec,
    /// Status.
    pub status: VmiStatus,
}

/// What is kept of an object's metadata.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// Its labels.
    pub labels: Labels,
    /// Its annotations, without those of more than 1,024 bytes.
    pub annotations: Labels,
    /// When it was made, in RFC 3339.
    pub creation_timestamp: Option<String>,
    /// When it was deleted.
    pub deletion_timestamp: Option<String>,
}

/// The spec of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VmiSpec {
    /// The labels that its node has to have.
    pub node_selector: Labels,
    /// Its affinity.
    pub affinity: Option<Affinity>,
    /// Its tolerations.
    pub tolerations: Vec<Toleration>,
    /// Its topology spread constraints; how many there are is all that is kept.
    pub topology_spread_constraints: Vec<serde::de::IgnoredAny>,
    /// Its scheduler.
    pub scheduler_name: Option<String>,
    /// Its claims of dynamic resources (DRA).
    pub resource_claims: Vec<serde::de::IgnoredAny>,
    /// What happens to it when its node is drained.
    pub eviction_strategy: Option<String>,
    /// The architecture, such as `amd64`.
    pub architecture: Option<String>,
    /// The machine.
    pub domain: Domain,
    /// The networks.
    pub networks: Vec<Network>,
    /// The volumes.
    pub volumes: Vec<VmiVolume>,
}

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
    /// The resource under which a device plugin offers it.
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
    /// A binding plugin.
    pub binding: Option<Named>,
    /// `absent` for one that is unplugged, `up`, `down`.
    pub state: Option<String>,
}

/// A network of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The pod's own.
    pub pod: Option<serde::de::IgnoredAny>,
    /// One that Multus attaches.
    pub multus: Option<Multus>,
}

/// A network that Multus attaches.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Multus {
    /// `NAME` or `NAMESPACE/NAME` of its definition.
    pub network_name: String,
    /// It replaces the pod's own.
    pub default: bool,
}

/// A volume of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VmiVolume {
    /// Its name.
    pub name: String,
    /// A claim.
    pub persistent_volume_claim: Option<ClaimSource>,
    /// A data volume, whose claim has its name.
    pub data_volume: Option<Named>,
    /// A claim under a layer that is lost with the VMI.
    pub ephemeral: Option<Ephemeral>,
    /// A file or device of the node.
    pub host_disk: Option<HostDisk>,
    /// An empty disk on the node.
    pub empty_disk: Option<serde::de::IgnoredAny>,
}

/// A claim under a layer that is lost with the VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Ephemeral {
    /// The claim.
    pub persistent_volume_claim: Option<ClaimSource>,
}

/// A claim that a VMI uses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClaimSource {
    /// Its name, in the VMI's namespace.
    pub claim_name: String,
    /// It was plugged in while the VM ran.
    pub hotpluggable: bool,
}

/// A file or device of the node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HostDisk {
    /// All nodes have it.
    pub shared: Option<bool>,
}

/// What a launcher asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResourceRequirements {
    /// Requests.
    pub requests: BTreeMap<String, Quantity>,
    /// Limits.
    pub limits: BTreeMap<String, Quantity>,
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

/// The status of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VmiStatus {
    /// Its phase.
    pub phase: Option<String>,
    /// Its node.
    pub node_name: Option<String>,
    /// The nodes of its pods, by their UID.
    pub active_pods: BTreeMap<String, String>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// The machine type that runs.
    pub machine: Option<Machine>,
    /// `LiveMigration` or `BlockMigration`.
    pub migration_method: Option<String>,
    /// Its last or current migration.
    pub migration_state: Option<MigrationState>,
    /// Its volumes.
    pub volume_status: Vec<VolumeStatus>,
    /// The volumes that a migration moves to other claims.
    pub migrated_volumes: Vec<MigratedVolume>,
    /// What the node has to have beside what the spec says.
    pub topology_hints: Option<TopologyHints>,
    /// Its memory.
    pub memory: Option<MemoryStatus>,
    /// The launcher's image.
    pub launcher_container_image_version: Option<String>,
    /// The node that it is to leave because of a drain.
    pub evacuation_node_name: Option<String>,
}

/// The memory of a running VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MemoryStatus {
    /// What the launcher needs beside the memory of the guest, as a quantity.
    pub memory_overhead: Option<Quantity>,
    /// What the guest has now. The spec has more once memory was plugged in that waits for a migration.
    pub guest_current: Option<Quantity>,
}

/// A condition.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub condition_type: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Its reason.
    pub reason: Option<String>,
    /// Its message.
    pub message: Option<String>,
}

/// The last or current migration of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MigrationState {
    /// The UID of the migration.
    pub migration_uid: Option<String>,
    /// The pod that it comes from.
    pub source_pod: Option<String>,
    /// The pod that it goes to.
    pub target_pod: Option<String>,
    /// The node that it comes from.
    pub source_node: Option<String>,
    /// The node that it goes to.
    pub target_node: Option<String>,
    /// It is over.
    pub completed: bool,
    /// It failed.
    pub failed: bool,
}

/// A volume of a running VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeStatus {
    /// Its name.
    pub name: String,
    /// What its claim is.
    pub persistent_volume_claim_info: Option<ClaimInfo>,
    /// It was plugged in while the VM ran.
    pub hotplug_volume: Option<serde::de::IgnoredAny>,
}

/// What the claim of a volume is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClaimInfo {
    /// Its name.
    pub claim_name: Option<String>,
    /// Its access modes.
    pub access_modes: Vec<String>,
}

/// A volume that a migration moves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MigratedVolume {
    /// Its name.
    pub volume_name: String,
}

/// What a node has to have beside what the spec says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TopologyHints {
    /// The frequency of its time-stamp counter, in Hz.
    pub tsc_frequency: Option<i64>,
}

/// A `VirtualMachineInstanceMigration`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Migration {
    /// Metadata. A drain's is annotated `kubevirt.io/evacuationMigration`, a workload update's has the
    /// label `kubevirt.io/workloadUpdateMigration`.
    pub metadata: Metadata,
    /// Spec.
    pub spec: MigrationSpec,
    /// Status.
    pub status: MigrationStatus,
}

/// The spec of a migration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MigrationSpec {
    /// The VMI.
    pub vmi_name: String,
    /// Labels that the target's node has to have.
    pub added_node_selector: Labels,
}

/// The status of a migration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MigrationStatus {
    /// Its phase.
    pub phase: Option<String>,
}

/// A `MigrationPolicy`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MigrationPolicy {
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    pub spec: MigrationPolicySpec,
}

/// The spec of a migration policy.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MigrationPolicySpec {
    /// The VMIs that it is for; without it there are none.
    pub selectors: Option<PolicySelectors>,
    /// What it sets.
    #[serde(flatten)]
    pub options: MigrationOptions,
}

/// How a migration is carried out, as far as it is set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MigrationOptions {
    /// The target may run before all memory is there, if the migration takes too long.
    pub allow_post_copy: Option<bool>,
    /// The guest may be paused, if the migration takes too long; if it is not set, as post-copy.
    pub allow_workload_disruption: Option<bool>,
    /// The guest may be slowed down.
    pub allow_auto_converge: Option<bool>,
    /// Bytes in a second; no limit if it is zero.
    pub bandwidth_per_migration: Option<Quantity>,
    /// Seconds for each GiB; 150 if it is not set.
    pub completion_timeout_per_gi_b: Option<i64>,
}

/// The VMIs that a migration policy is for: they have all these labels.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PolicySelectors {
    /// Labels of the namespace.
    pub namespace_selector: Labels,
    /// Labels of the VMI.
    pub virtual_machine_instance_selector: Labels,
}

/// The KubeVirt CR.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct KubeVirt {
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    pub spec: KubeVirtSpec,
    /// Status.
    pub status: KubeVirtStatus,
}

/// The spec of the KubeVirt CR.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct KubeVirtSpec {
    /// The configuration.
    pub configuration: KubeVirtConfiguration,
}

/// The configuration of KubeVirt.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KubeVirtConfiguration {
    /// For developers, and node selectors.
    pub developer_configuration: DeveloperConfiguration,
    /// Migrations.
    pub migrations: MigrationConfiguration,
    /// What happens to VMs that say nothing when their node is drained.
    pub eviction_strategy: Option<String>,
    /// The CPU model of VMs that say nothing.
    pub cpu_model: Option<String>,
    /// Networks.
    pub network: NetworkConfiguration,
}

/// The configuration of networks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkConfiguration {
    /// The binding of the interface that KubeVirt adds to a VMI without any; `bridge` if it is not set.
    pub default_network_interface: Option<String>,
    /// The binding plugins by name.
    pub binding: BTreeMap<String, BindingPlugin>,
}

/// A binding plugin.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BindingPlugin {
    /// Set if VMs that use it can be migrated.
    pub migration: Option<serde::de::IgnoredAny>,
}

/// A part of KubeVirt's configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeveloperConfiguration {
    /// Labels that every launcher's node has to have.
    pub node_selectors: Labels,
    /// Feature gates.
    pub feature_gates: Vec<String>,
    /// KVM may be emulated.
    pub use_emulation: bool,
    /// vCPUs for each CPU that a launcher requests; 10 if it is not set.
    pub cpu_allocation_ratio: Option<u32>,
    /// The memory of a guest in percent of what its launcher requests for it; 100 if it is not set.
    pub memory_overcommit: Option<u32>,
}

/// The configuration of migrations.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MigrationConfiguration {
    /// At a time in the cluster; 5 if it is not set.
    pub parallel_migrations_per_cluster: Option<u32>,
    /// At a time from one node; 2 if it is not set.
    pub parallel_outbound_migrations_per_node: Option<u32>,
    /// The taint of a node that is drained; `kubevirt.io/drain` if it is not set.
    pub node_drain_taint_key: Option<String>,
    /// The network of the migrations' own.
    pub network: Option<String>,
    /// How each is carried out.
    #[serde(flatten)]
    pub options: MigrationOptions,
}

/// The status of the KubeVirt CR.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KubeVirtStatus {
    /// The version that runs, such as `v1.9.0`.
    pub observed_kube_virt_version: Option<String>,
}

impl VmiVolume {
    /// The claim that it is on, in the VMI's namespace.
    #[must_use]
    pub fn claim(&self) -> Option<&str> {
        let own = self.persistent_volume_claim.as_ref();
        let below = self.ephemeral.as_ref();
        let below = below.and_then(|ephemeral| ephemeral.persistent_volume_claim.as_ref());
        let claim = own.or(below).map(|claim| claim.claim_name.as_str());
        claim.or_else(|| Some(self.data_volume.as_ref()?.name.as_str()))
    }
}

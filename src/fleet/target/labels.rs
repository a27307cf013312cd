//! The labels of nodes by which KubeVirt places VMs (`kubevirt.io/api/core/v1/types.go`).

/// virt-handler runs on the node. The value is `true`.
pub(crate) const SCHEDULABLE: &str = "kubevirt.io/schedulable";
/// The name of the node, as the system on it knows it.
pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";
/// The UID of the VMI whose pod it is (`CreatedByLabel`).
pub(crate) const CREATED_BY: &str = "kubevirt.io/created-by";
/// The UID of the migration that made a pod (`MigrationJobLabel`).
pub(crate) const MIGRATION: &str = "kubevirt.io/migrationJobUID";
/// The prefix of a LUN's claim with SCSI reservations (`PersistentReservationLabelPrefix`).
pub(crate) const RESERVATION: &str = "pr.kubevirt.io/";
/// The architecture of the node.
pub(crate) const ARCH: &str = "kubernetes.io/arch";
/// The node can run VMs of the architecture that follows, natively or emulated.
pub(crate) const VM_ARCH: &str = "kubevirt.io/vm-arch-";
/// The kubelet has the static CPU manager.
pub(crate) const CPU_MANAGER: &str = "kubevirt.io/cpumanager";
/// A named CPU model that the node can give to a guest follows.
pub(crate) const CPU_MODEL: &str = "cpu-model.node.kubevirt.io/";
/// A CPU model that the node can take over from a host-model guest follows.
pub(crate) const CPU_MODEL_MIGRATION: &str = "cpu-model-migration.node.kubevirt.io/";
/// A CPU feature of the node follows.
pub(crate) const CPU_FEATURE: &str = "cpu-feature.node.kubevirt.io/";
/// A machine type that the node can run follows.
pub(crate) const MACHINE_TYPE: &str = "machine-type.node.kubevirt.io/";
/// The vendor of the node's CPU follows.
pub(crate) const CPU_VENDOR: &str = "cpu-vendor.node.kubevirt.io/";
/// The CPU model of the node follows.
pub(crate) const HOST_CPU_MODEL: &str = "host-model-cpu.node.kubevirt.io/";
/// A CPU feature that a host-model guest of the node has follows.
pub(crate) const HOST_CPU_FEATURE: &str = "host-model-required-features.node.kubevirt.io/";
/// The CPU model of the node is one that KubeVirt does not give to guests.
pub(crate) const OBSOLETE_HOST_MODEL: &str = "node-labeller.kubevirt.io/obsolete-host-model";
/// A Hyper-V enlightenment that the node supports follows.
pub(crate) const HYPERV: &str = "hyperv.node.kubevirt.io/";
/// A frequency of the time-stamp counter, in Hz, that the node can give to a guest follows.
pub(crate) const TSC_FREQUENCY: &str = "scheduling.node.kubevirt.io/tsc-frequency-";
/// The node is set up for real-time VMs.
pub(crate) const REALTIME: &str = "kubevirt.io/realtime";
/// The node has AMD SEV.
pub(crate) const SEV: &str = "kubevirt.io/sev";
/// The node has AMD SEV-ES.
pub(crate) const SEV_ES: &str = "kubevirt.io/sev-es";
/// The node has AMD SEV-SNP.
pub(crate) const SEV_SNP: &str = "kubevirt.io/sev-snp";
/// The node has IBM Secure Execution.
pub(crate) const SECURE_EXECUTION: &str = "kubevirt.io/s390-pv";
/// The node has Intel TDX.
pub(crate) const TDX: &str = "kubevirt.io/tdx";

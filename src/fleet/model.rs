//! The objects of a [`Fleet`](super::Fleet), each with the fields that are judged. KubeVirt's have the
//! shapes of `kubevirt.io/api/core/v1`, those of Kubernetes are cut down from its own types. No command
//! changes or writes one.

mod domain;
mod kube_ovn;
mod kubernetes;
mod kubevirt;
mod migration;
mod status;
mod vm;
mod vmi;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use domain::{
    Cpu, CpuFeature, Devices, Disk, Domain, Features, Firmware, HostDevice, Hugepages,
    HypervPassthrough, Interface, IoThreads, KernelBoot, LaunchSecurity, Lun, Machine, Memory,
    Named, ReservedOverhead, ResourceRequirements, Sev, SevPolicy, Tpm,
};
pub use kube_ovn::{OvnNetwork, Subnet};
pub use kubernetes::{Claim, Launcher, Node, Pod, Quota, StorageClass, Volume};
pub use kubevirt::{
    ArchitectureConfiguration, BindingPlugin, DeveloperConfiguration, KubeVirt,
    KubeVirtConfiguration, KubeVirtSpec, KubeVirtStatus, MigrationConfiguration,
    NetworkConfiguration, SupportContainer, VmOptions,
};
pub use migration::{
    Migration, MigrationOptions, MigrationPolicy, MigrationPolicySpec, MigrationSpec,
    MigrationStatus, PolicySelectors,
};
pub use status::{
    ClaimInfo, Condition, MemoryStatus, MigratedVolume, MigrationState, TopologyHints, VmiStatus,
    VolumeStatus,
};
pub use vm::{DataVolumeTemplate, Matcher, Template, Vm, VmSpec, VmStatus};
pub use vmi::{ClaimSource, Ephemeral, HostDisk, Multus, Network, Probe, Vmi, VmiSpec, VmiVolume};

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// Amounts by resource: milli-cores of `cpu`, bytes or pieces of everything else.
pub type Resources = BTreeMap<String, i64>;

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
    /// Its annotations, without those of more than 1,024 bytes; that of hooks is kept.
    pub annotations: Labels,
    /// When it was made, in RFC 3339.
    pub creation_timestamp: Option<String>,
    /// When it was deleted.
    pub deletion_timestamp: Option<String>,
    /// What made it.
    pub owner_references: Vec<Owner>,
}

/// An object that made another one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Owner {
    /// Its kind, such as `VirtualMachine`.
    pub kind: String,
}

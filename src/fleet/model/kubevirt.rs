//! The KubeVirt CR.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Deserialize;

use super::domain::ResourceRequirements;
use super::migration::MigrationOptions;
use super::{Labels, Metadata};

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
    /// The runtime class of all launcher pods.
    pub default_runtime_class: Option<String>,
    /// Networks.
    pub network: NetworkConfiguration,
    /// What is reserved beside the memory of the guest is multiplied by this, such as `1.2`.
    pub additional_guest_memory_overhead_ratio: Option<String>,
    /// The CPU that launchers request whose VMI says nothing; by `cpuAllocationRatio` if it is not set.
    pub cpu_request: Option<Quantity>,
    /// What the containers beside the launcher ask for.
    pub support_container_resources: Vec<SupportContainer>,
    /// Options of all VMIs.
    pub virtual_machine_options: VmOptions,
    /// The architectures.
    pub architecture_configuration: ArchitectureConfiguration,
}

/// What one kind of container beside the launcher asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SupportContainer {
    /// `container-disk`, `guest-console-log`, `sidecar`, `virtiofs` or another one.
    #[serde(rename = "type")]
    pub container: String,
    /// What it asks for.
    pub resources: ResourceRequirements,
}

/// Options of all VMIs.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VmOptions {
    /// Set if serial consoles are not logged, unless their VMI says so.
    pub disable_serial_console_log: Option<serde::de::IgnoredAny>,
}

/// The configuration of architectures.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ArchitectureConfiguration {
    /// The architecture of VMs that say nothing.
    pub default_architecture: Option<String>,
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
#[serde(default, rename_all = "camelCase")]
pub struct BindingPlugin {
    /// Set if VMs that use it can be migrated.
    pub migration: Option<serde::de::IgnoredAny>,
    /// The image of a container that it runs beside the launcher.
    pub sidecar_image: Option<String>,
    /// What the launcher needs for it.
    pub compute_resource_overhead: ResourceRequirements,
}

/// A part of KubeVirt's configuration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DeveloperConfiguration {
    /// Labels that every launcher's node has to have.
    pub node_selectors: Labels,
    /// Feature gates.
    pub feature_gates: Vec<String>,
    /// Feature gates that are on by default and not here, from KubeVirt 1.8 on.
    pub disabled_feature_gates: Vec<String>,
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

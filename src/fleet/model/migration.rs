//! Migrations, and the policies by which they are carried out.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Deserialize;

use super::{Labels, Metadata};

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

impl Migration {
    /// Whether it has succeeded or failed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"))
    }
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

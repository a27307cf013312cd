//! The status of a VMI.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Deserialize;

use super::domain::Machine;

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
    /// `PreCopy`, `PostCopy` or `Paused`; nothing before it copies.
    pub mode: Option<String>,
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

//! What the drain of a node does to a VM (KubeVirt v1.9.0 `pkg/util/migrations/migrations.go`,
//! `VMIEvictionStrategy`).

use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::model::VmiSpec;

/// What a drain does to a VM that runs, unless it migrates the VM. `is_blocked` says that it can't be
/// migrated.
#[must_use]
pub fn outcome<'f>(fleet: &Fleet, spec: &VmiSpec, is_blocked: bool) -> Option<Finding<'f>> {
    let configuration = fleet.kubevirt.as_ref().map(|cr| &cr.spec.configuration);
    let of_cluster =
        configuration.and_then(|configuration| configuration.eviction_strategy.as_deref());
    let strategy = spec.eviction_strategy.as_deref().or(of_cluster);
    match (strategy, is_blocked) {
        (Some("LiveMigrate" | "LiveMigrateIfPossible"), false) => None,
        (Some("LiveMigrate"), true) => Some(Finding::of(Cause::BlocksDrain, "LiveMigrate")),
        (Some("External"), _) => Some(Finding::of(Cause::BlocksDrain, "External")),
        (Some(strategy), _) => Some(Finding::of(Cause::ShutDownByDrain, strategy)),
        (None, _) => Some(Finding::of(Cause::ShutDownByDrain, "no eviction strategy")),
    }
}

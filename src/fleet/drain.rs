//! What the drain of a node does to a VM (KubeVirt v1.9.0 `pkg/util/migrations/migrations.go`,
//! `VMIEvictionStrategy`).

use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::model::VmiSpec;

/// What a drain does to a VM that runs, unless it migrates the VM. `is_blocked` says that the VM can't be
/// migrated now, `is_migratable` that KubeVirt would try (its condition `LiveMigratable`). Without the
/// KubeVirt CR the strategy of a VM that has none of its own is not known.
#[must_use]
pub fn outcome<'f>(
    fleet: &Fleet,
    spec: &VmiSpec,
    is_blocked: bool,
    is_migratable: bool,
) -> Option<Finding<'f>> {
    let own = spec.eviction_strategy.as_deref();
    if own.is_none() && fleet.kubevirt.is_none() {
        return None;
    }
    let configuration = fleet.kubevirt.as_ref().map(|cr| &cr.spec.configuration);
    let of_cluster =
        configuration.and_then(|configuration| configuration.eviction_strategy.as_deref());
    match own.or(of_cluster) {
        Some("LiveMigrate" | "LiveMigrateIfPossible") if !is_blocked => None,
        Some("LiveMigrateIfPossible") if !is_migratable => {
            Some(Finding::of(Cause::ShutDownByDrain, "LiveMigrateIfPossible"))
        }
        Some(strategy @ ("LiveMigrate" | "LiveMigrateIfPossible" | "External")) => {
            Some(Finding::of(Cause::BlocksDrain, strategy))
        }
        Some(strategy) => Some(Finding::of(Cause::ShutDownByDrain, strategy)),
        None => Some(Finding::of(Cause::ShutDownByDrain, "no eviction strategy")),
    }
}

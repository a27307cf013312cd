//! What the drain of a node does to a VM (KubeVirt v1.9.0 `pkg/util/migrations/migrations.go`,
//! `VMIEvictionStrategy`).

use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::model::VmiSpec;

/// What a drain does to a VM that runs, unless it migrates the VM. `is_blocked` says that the VM can't be
/// migrated now, `is_migratable` that KubeVirt would try: its condition `LiveMigratable` is true, and not
/// missing as that of a VM that has just started. Without the KubeVirt CR the strategy of a VM that has
/// none of its own is not known.
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
        Some("LiveMigrate" | "LiveMigrateIfPossible") if is_migratable && !is_blocked => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::codes::Code;
    use crate::fleet::model::KubeVirt;

    #[test]
    fn a_drain_migrates_shuts_down_or_waits_as_strategy_and_condition_say() {
        const MIGRATES: Option<Cause> = None;
        const SHUTS_DOWN: Option<Cause> = Some(Cause::ShutDownByDrain);
        const WAITS: Option<Cause> = Some(Cause::BlocksDrain);
        // For a VM that can migrate, one that is blocked, one that KubeVirt does not try to migrate, and one
        // that is both.
        let states = [(false, true), (true, true), (false, false), (true, false)];
        for (strategy, expect) in [
            (Some("LiveMigrate"), [MIGRATES, WAITS, WAITS, WAITS]),
            (
                Some("LiveMigrateIfPossible"),
                [MIGRATES, WAITS, SHUTS_DOWN, SHUTS_DOWN],
            ),
            (Some("External"), [WAITS; 4]),
            (Some("None"), [SHUTS_DOWN; 4]),
            (None, [SHUTS_DOWN; 4]),
        ] {
            let mut of_vm = Fleet {
                kubevirt: Some(KubeVirt::default()),
                ..Fleet::default()
            };
            let own = VmiSpec {
                eviction_strategy: strategy.map(str::to_owned),
                ..VmiSpec::default()
            };
            let mut of_cluster = of_vm.clone();
            if let Some(kubevirt) = &mut of_cluster.kubevirt {
                kubevirt.spec.configuration.eviction_strategy = strategy.map(str::to_owned);
            }
            // The VM's own comes first.
            if let Some(kubevirt) = &mut of_vm.kubevirt
                && strategy.is_some()
            {
                kubevirt.spec.configuration.eviction_strategy = Some("other".to_owned());
            }
            for ((is_blocked, is_migratable), expect) in states.into_iter().zip(expect) {
                for (fleet, spec) in [(&of_vm, &own), (&of_cluster, &VmiSpec::default())] {
                    let found = outcome(fleet, spec, is_blocked, is_migratable);
                    let code = found.map(|found| found.code);
                    assert_eq!(
                        code,
                        expect.map(Code::Cause),
                        "{strategy:?} {is_blocked} {is_migratable}"
                    );
                }
            }
        }
    }

    #[test]
    fn without_the_kubevirt_cr_the_strategy_of_a_vm_without_its_own_is_not_known() {
        let fleet = Fleet::default();
        for (is_blocked, is_migratable) in [(false, true), (true, false)] {
            let found = outcome(&fleet, &VmiSpec::default(), is_blocked, is_migratable);
            assert_eq!(found, None);
        }
    }
}

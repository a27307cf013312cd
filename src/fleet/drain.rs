//! What the drain of a node does to a VM. `kubectl drain` evicts its pods, and KubeVirt's webhook refuses
//! that of the launcher pod of a VM that is to migrate (KubeVirt v1.9.0
//! `pkg/virt-api/webhooks/validating-webhook/admitters/pod-eviction-admitter.go`).

use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::migratable;
use crate::fleet::model::{Vmi, VmiSpec};

/// What becomes of a launcher pod that is evicted.
enum Eviction<'a> {
    /// It is refused until the VM has moved, because of this strategy.
    Refused(&'a str),
    /// The pod ends, because of this strategy or without one.
    Done(Option<&'a str>),
}

/// A strategy in words.
fn in_words(strategy: Option<&str>) -> String {
    match strategy {
        Some(strategy) => format!("its eviction strategy is {strategy}"),
        None => "it has no eviction strategy".to_owned(),
    }
}

/// What becomes of the launcher pod of a VM. Without the KubeVirt CR the strategy of a VM that has none of
/// its own is not known.
fn eviction<'a>(fleet: &'a Fleet, spec: &'a VmiSpec, is_migratable: bool) -> Option<Eviction<'a>> {
    let own = spec.eviction_strategy.as_deref();
    if own.is_none() && fleet.kubevirt.is_none() {
        return None;
    }
    let configuration = fleet.kubevirt.as_ref().map(|cr| &cr.spec.configuration);
    let of_cluster =
        configuration.and_then(|configuration| configuration.eviction_strategy.as_deref());
    Some(match own.or(of_cluster) {
        Some(strategy @ ("LiveMigrate" | "External")) => Eviction::Refused(strategy),
        Some(strategy @ "LiveMigrateIfPossible") if is_migratable => Eviction::Refused(strategy),
        strategy => Eviction::Done(strategy),
    })
}

/// What a drain does to a VM that runs, unless it migrates the VM. `is_blocked` says that the VM can't be
/// migrated now, `is_migratable` that KubeVirt would try: its condition `LiveMigratable` is true, and not
/// missing as that of a VM that has just started.
#[must_use]
pub fn outcome<'f>(
    fleet: &Fleet,
    spec: &VmiSpec,
    is_blocked: bool,
    is_migratable: bool,
) -> Option<Finding<'f>> {
    match eviction(fleet, spec, is_migratable)? {
        Eviction::Refused("LiveMigrate" | "LiveMigrateIfPossible")
            if is_migratable && !is_blocked =>
        {
            None
        }
        Eviction::Refused(strategy) => {
            let why = match strategy {
                "External" => "which leaves its migration to another controller",
                _ => "and it cannot migrate",
            };
            let detail = format!("{}, {why}", in_words(Some(strategy)));
            Some(Finding::of(Cause::BlocksDrain, &detail))
        }
        Eviction::Done(strategy) => {
            let why = match strategy {
                Some("LiveMigrateIfPossible") => ", and KubeVirt does not migrate it",
                _ => "",
            };
            let detail = format!("{}{why}", in_words(strategy));
            Some(Finding::of(Cause::ShutDownByDrain, &detail))
        }
    }
}

/// What a drain does to a VM that is not on the node yet: it starts there, or it arrives there in a migration
/// `from` a node, where it runs on if the target pod ends, `to` the drained one.
#[must_use]
pub fn outcome_before<'f>(
    fleet: &Fleet,
    vmi: &Vmi,
    migration: Option<(&str, &str)>,
) -> Option<Finding<'f>> {
    let is_migratable = migratable::is_live_migratable(&vmi.status);
    let Some((from, to)) = migration else {
        return match eviction(fleet, &vmi.spec, is_migratable)? {
            Eviction::Refused(strategy) => {
                let strategy = in_words(Some(strategy));
                let detail = format!("{strategy}, and it is starting: wait until it runs");
                Some(Finding::of(Cause::BlocksDrain, &detail))
            }
            Eviction::Done(_) => outcome(fleet, &vmi.spec, true, is_migratable),
        };
    };
    let state = vmi.status.migration_state.as_ref();
    let mode = state.and_then(|state| state.mode.as_deref());
    Some(match eviction(fleet, &vmi.spec, is_migratable)? {
        Eviction::Refused(strategy) => {
            let detail = format!("{strategy}, until its migration to {to} is over");
            Finding::of(Cause::BlocksDrain, &detail)
        }
        // The memory of the guest is on both nodes: KubeVirt gives the VM up (`pkg/virt-handler/vm.go`,
        // `domainPausedFailedPostCopy`).
        Eviction::Done(strategy) if mode == Some("PostCopy") => {
            let strategy = in_words(strategy);
            let detail = format!("{strategy}, and its migration to {to} is in post-copy");
            Finding::of(Cause::ShutDownByDrain, &detail)
        }
        Eviction::Done(_) => {
            let detail = format!("to {to}; the VM runs on at {from}");
            Finding::of(Cause::MigrationEndsByDrain, &detail)
        }
    })
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

    #[test]
    fn the_eviction_of_a_target_pod_waits_ends_the_migration_or_shuts_the_vm_down() {
        const WAITS: &str =
            "a drain would wait for the VM: STRATEGY, until its migration to b is over";
        const ENDS: &str = "a drain would end the migration of the VM: to b; the VM runs on at a";
        const SHUTS_DOWN: &str = "a drain would shut the VM down: its eviction strategy is STRATEGY, and its migration to b is in post-copy";
        // For a VM that KubeVirt would migrate, one that it would not, and these in post-copy.
        let states = [
            (true, ""),
            (false, ""),
            (true, "PostCopy"),
            (false, "PostCopy"),
        ];
        for (strategy, expect) in [
            ("LiveMigrate", [WAITS; 4]),
            ("External", [WAITS; 4]),
            ("LiveMigrateIfPossible", [WAITS, ENDS, WAITS, SHUTS_DOWN]),
            ("None", [ENDS, ENDS, SHUTS_DOWN, SHUTS_DOWN]),
        ] {
            for ((is_migratable, mode), expect) in states.into_iter().zip(expect) {
                let migratable = if is_migratable { "True" } else { "False" };
                let vmi: Vmi = serde_json::from_value(serde_json::json!({
                    "spec": {"evictionStrategy": strategy},
                    "status": {
                        "conditions": [{"type": "LiveMigratable", "status": migratable}],
                        "migrationState": {"mode": mode},
                    },
                }))
                .unwrap();
                let found = outcome_before(&Fleet::default(), &vmi, Some(("a", "b"))).unwrap();
                assert_eq!(
                    found.message,
                    expect.replace("STRATEGY", strategy),
                    "{strategy} {is_migratable} {mode}"
                );
            }
        }
    }
}

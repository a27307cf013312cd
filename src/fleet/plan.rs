//! What the drain of nodes would do to their VMs: where each one goes, in which order, which ones would
//! be shut down, and which ones the drain would wait for.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::decide::causes::Cause;
use crate::decide::checks::Severity;
use crate::decide::codes::Code;
use crate::decide::policy::Policy;
use crate::fleet::Fleet;
use crate::fleet::finding::{Finding, Found, Verdict};
use crate::fleet::fit;
use crate::fleet::judge::{Body, Judge, Judgement};
use crate::fleet::model::{MigrationConfiguration, Resources};
use crate::snapshot::Snapshot;

/// KubeVirt's default of `parallelMigrationsPerCluster`.
const PER_CLUSTER: usize = 5;

/// KubeVirt's default of `parallelOutboundMigrationsPerNode`.
const PER_NODE: usize = 2;

/// A VM that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Move<'f> {
    /// Its namespace.
    pub namespace: &'f str,
    /// Its name.
    pub name: &'f str,
    /// The node that it leaves.
    pub from: &'f str,
    /// The node that the plan has room for it on. kube-scheduler may choose another one that fits.
    pub to: &'f str,
    /// The wave in which it moves, from 1: KubeVirt runs no more migrations at a time.
    pub wave: usize,
    /// What was not judged, and may keep it from moving.
    pub findings: Vec<Found<'f>>,
}

/// A VM that does not move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Left<'f> {
    /// Its namespace.
    pub namespace: &'f str,
    /// Its name.
    pub name: &'f str,
    /// The node that it is on.
    pub node: &'f str,
    /// Why it does not move.
    pub findings: Vec<Found<'f>>,
}

/// The plan of a drain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan<'f> {
    /// The VMs that move, in the order of their waves.
    pub moves: Vec<Move<'f>>,
    /// The VMs that the drain would wait for.
    pub stuck: Vec<Left<'f>>,
    /// The VMs that the drain would shut down.
    pub shut_down: Vec<Left<'f>>,
}

/// The cluster with these nodes cordoned, as a drain leaves them.
#[must_use]
pub fn cordoned(fleet: &Fleet, nodes: &[String]) -> Fleet {
    let mut cordoned = fleet.clone();
    for name in nodes {
        if let Some(node) = cordoned.nodes.get_mut(name) {
            node.unschedulable = true;
        }
    }
    cordoned
}

/// Plans the drain of these nodes, which are [`cordoned`] in the fleet. Each VM is placed once, the
/// largest first, where most memory is left.
#[must_use]
pub fn plan<'f>(
    fleet: &'f Fleet,
    nodes: &[String],
    snapshot: &'f Snapshot,
    policy: &'f Policy,
) -> Plan<'f> {
    let mut judge = Judge::new(fleet, snapshot, policy);
    let is_drained = |name: &str| nodes.iter().any(|node| node == name);
    let is_on_them = |body: &Body<'_>| body.occupies().any(is_drained);
    let bodies = Body::all(fleet).filter(is_on_them);
    let mut judged: Vec<Judgement<'f>> = bodies.map(|body| judge.judge(body)).collect();
    judged.sort_by_key(|judged| {
        let size = |resource: &str| judged.requests.get(resource).copied().unwrap_or_default();
        std::cmp::Reverse((size("memory"), size("cpu")))
    });
    let mut free = fit::free(fleet);
    let mut plan = Plan::default();
    for mut judgement in judged {
        let body = judgement.body;
        if judgement.depends_on_pods {
            let found = Finding::of(Cause::PodAffinityNotJudged, "");
            judgement.findings.push(found);
        }
        let has = |cause| {
            judgement
                .findings
                .iter()
                .any(|found| found.code == Code::Cause(cause))
        };
        if has(Cause::ShutDownByDrain) {
            plan.shut_down.push(left(&judgement));
            continue;
        }
        // One that starts or arrives there can't be moved yet.
        let is_still = !body.node().is_some_and(is_drained);
        let is_stuck = is_still || has(Cause::BlocksDrain) || judgement.verdict == Verdict::Blocked;
        let targets = judgement.targets.iter().copied();
        let targets = targets.filter(|target| !nodes.iter().any(|node| node == target));
        let chosen = roomiest(targets, &judgement.requests, &free).filter(|_| !is_stuck);
        let Some(target) = chosen else {
            if is_still {
                // Where it could go is a question for later.
                judgement.findings.retain(|found| found.nodes.is_empty());
            }
            if !is_stuck {
                let found = Finding::of(Cause::NoRoomLeft, "");
                judgement.findings.insert(0, found);
            }
            plan.stuck.push(left(&judgement));
            continue;
        };
        if let Some(left) = free.get_mut(target) {
            take(left, &judgement.requests);
        }
        let findings = judgement.findings.iter();
        let not_judged = findings.filter(|found| found.severity() == Severity::Unchecked);
        plan.moves.push(Move {
            namespace: body.namespace(),
            name: body.name(),
            from: body.node().unwrap_or_default(),
            to: target,
            wave: 0,
            findings: not_judged.map(Found::from).collect(),
        });
    }
    let configuration = fleet
        .kubevirt
        .as_ref()
        .map(|cr| &cr.spec.configuration.migrations);
    number_waves(&mut plan.moves, configuration);
    plan
}

fn left<'f>(judgement: &Judgement<'f>) -> Left<'f> {
    let body = judgement.body;
    Left {
        namespace: body.namespace(),
        name: body.name(),
        node: body.node().unwrap_or_default(),
        findings: judgement.findings.iter().map(Found::from).collect(),
    }
}

/// Of the targets that have room, the one with most memory left, as kube-scheduler spreads pods.
fn roomiest<'f>(
    targets: impl Iterator<Item = &'f str>,
    requests: &Resources,
    free: &BTreeMap<&str, Resources>,
) -> Option<&'f str> {
    let left = |node: &str, resource: &str| {
        let of_node = free.get(node);
        of_node
            .and_then(|left| left.get(resource))
            .copied()
            .unwrap_or_default()
    };
    let has_room = |node: &&str| {
        requests
            .iter()
            .all(|(resource, amount)| *amount <= 0 || *amount <= left(node, resource))
    };
    // Of equal ones the first by name.
    let mut best: Option<&str> = None;
    for node in targets.filter(has_room) {
        if best.is_none_or(|best| left(best, "memory") < left(node, "memory")) {
            best = Some(node);
        }
    }
    best
}

fn take(left: &mut Resources, requests: &Resources) {
    for (resource, amount) in requests {
        if let Some(left) = left.get_mut(resource) {
            *left = left.saturating_sub(*amount);
        }
    }
}

/// Puts each move in the first wave in which KubeVirt's limits leave room for it.
fn number_waves(moves: &mut [Move<'_>], configuration: Option<&MigrationConfiguration>) {
    let limit = |set: Option<u32>, default| {
        let set = set.and_then(|limit| usize::try_from(limit).ok());
        set.filter(|limit| *limit > 0).unwrap_or(default)
    };
    let per_cluster = limit(
        configuration.and_then(|c| c.parallel_migrations_per_cluster),
        PER_CLUSTER,
    );
    let per_node = limit(
        configuration.and_then(|c| c.parallel_outbound_migrations_per_node),
        PER_NODE,
    );
    let mut waves: Vec<BTreeMap<&str, usize>> = Vec::new();
    for one in moves.iter_mut() {
        let has_room = |wave: &BTreeMap<&str, usize>| {
            wave.values().sum::<usize>() < per_cluster
                && wave.get(one.from).copied().unwrap_or_default() < per_node
        };
        let at = waves.iter().position(has_room).unwrap_or(waves.len());
        if at == waves.len() {
            waves.push(BTreeMap::new());
        }
        if let Some(wave) = waves.get_mut(at) {
            *wave.entry(one.from).or_default() += 1;
        }
        one.wave = at + 1;
    }
    moves.sort_by_key(|one| one.wave);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_move<'f>(name: &'f str, from: &'f str) -> Move<'f> {
        Move {
            namespace: "default",
            name,
            from,
            to: "z",
            wave: 0,
            findings: Vec::new(),
        }
    }

    #[test]
    fn a_wave_has_no_more_moves_than_kubevirt_runs_at_a_time() {
        let moves = || {
            ["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"].map(|name| mk_move(name, &name[..1]))
        };
        let waves = |configuration: Option<&MigrationConfiguration>| {
            let mut moves = moves();
            number_waves(&mut moves, configuration);
            let waves = moves.chunk_by(|one, next| one.wave == next.wave);
            waves
                .map(|wave| {
                    wave.iter()
                        .map(|one| one.name)
                        .collect::<Vec<_>>()
                        .join(" ")
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(waves(None), ["a0 a1 b0 b1", "a2 a3 b2 b3"]);
        let three = MigrationConfiguration {
            parallel_migrations_per_cluster: Some(3),
            ..MigrationConfiguration::default()
        };
        assert_eq!(waves(Some(&three)), ["a0 a1 b0", "a2 a3 b1", "b2 b3"]);
    }

    #[test]
    fn the_node_with_most_memory_left_is_chosen_among_those_with_room() {
        let left = |memory: i64, cpu: i64| {
            Resources::from([("memory".to_owned(), memory), ("cpu".to_owned(), cpu)])
        };
        let free = BTreeMap::from([
            ("a", left(9, 1)),
            ("b", left(5, 8)),
            ("c", left(5, 8)),
            ("d", left(7, 8)),
        ]);
        for (targets, requests, expect) in [
            (&["a", "b", "c", "d"][..], left(2, 2), Some("d")),
            (&["a", "b", "c"], left(2, 2), Some("b")),
            (&["a", "b", "c"], left(2, 1), Some("a")),
            (&["b", "c"], left(6, 1), None),
            (&[], left(1, 1), None),
            (&["x"], left(1, 1), None),
            (
                &["b"],
                Resources::from([("vendor/gpu".to_owned(), 1)]),
                None,
            ),
        ] {
            let chosen = roomiest(targets.iter().copied(), &requests, &free);
            assert_eq!(chosen, expect, "{targets:?} {requests:?}");
        }
    }
}

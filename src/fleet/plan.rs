//! What the drain of nodes would do to their VMs: where each one goes, in which order, which ones would
//! be shut down, and which ones the drain would wait for.

mod rooms;
mod wave;

use std::cmp::Reverse;
use std::mem;

use schemars::JsonSchema;
use serde::Serialize;

use crate::decide::causes::Cause;
use crate::decide::checks::Severity;
use crate::decide::codes::Code;
use crate::decide::policy::Policy;
use crate::fleet::finding::{Finding, Found, Verdict};
use crate::fleet::judge::{Body, Judge, Judgement, Kind};
use crate::fleet::{Fleet, drain};
use crate::snapshot::Snapshot;
use rooms::Rooms;
use wave::{Limits, Wave};

/// A VM that moves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Move<'f> {
    /// Its kind.
    #[serde(skip)]
    pub vm_kind: Kind,
    /// Its namespace.
    pub namespace: &'f str,
    /// Its name.
    pub name: &'f str,
    /// The node that it leaves.
    pub from: &'f str,
    /// The node that the plan has room for it on. kube-scheduler may choose another one that fits.
    pub to: &'f str,
    /// A migration to that node is under way. KubeVirt finishes it before it begins another one of the VM.
    pub is_under_way: bool,
    /// The wave in which it moves, from 1: KubeVirt runs no more migrations at a time.
    pub wave: usize,
    /// What was not judged and may keep it from moving, and a migration that is under way, with what is against its
    /// target.
    pub findings: Vec<Found<'f>>,
}

/// The plan of a drain.
#[derive(Clone, Debug, Default)]
pub struct Plan<'f> {
    /// The VMs that move, in the order of their waves.
    pub moves: Vec<Move<'f>>,
    /// The VMs that the drain would wait for, by name.
    pub stuck: Vec<Judgement<'f>>,
    /// The VMs that could not be judged, by name: the drain may wait for them.
    pub not_judged: Vec<Judgement<'f>>,
    /// The VMs that the drain would shut down, by name.
    pub shut_down: Vec<Judgement<'f>>,
    /// The VMs that run on elsewhere, and whose migration to the nodes the drain would end, by name.
    pub ended_migrations: Vec<Judgement<'f>>,
}

/// The cluster in which these nodes are drained, so that they take no pods.
#[must_use]
pub fn drained(fleet: &Fleet, nodes: &[String]) -> Fleet {
    let mut drained = fleet.clone();
    for name in nodes {
        if let Some(node) = drained.nodes.get_mut(name) {
            node.is_drained = true;
        }
    }
    drained
}

/// Plans the drain of these nodes, which are [`drained`] in the fleet. Each VM has a place of its own: the
/// largest one chooses first, where most memory is left. The waves follow each other, so that a VM is judged
/// with the pods that those before it have moved.
#[must_use]
pub fn plan<'f>(
    fleet: &'f Fleet,
    nodes: &[String],
    snapshot: &'f Snapshot,
    policy: &'f Policy,
) -> Plan<'f> {
    let mut judge = Judge::new(fleet, snapshot, policy);
    let mut plan = Plan::default();
    let mut waiting = Vec::new();
    let mut under_way = Vec::new();
    for body in Body::all(fleet) {
        let is_drained = |node: &&str| nodes.iter().any(|drained| drained == node);
        let arrives = judge.arrives_on(&body);
        if body.node().as_ref().is_some_and(is_drained) {
            let judgement = judge.judge(body);
            let arrives = arrives.filter(|_| can_arrive(&judgement));
            if has(&judgement, Cause::ShutDownByDrain) {
                plan.shut_down.push(judgement);
            } else if let Some(to) = arrives.filter(is_drained) {
                plan.stuck.push(before_it_runs(fleet, judgement, to));
            } else if judgement.verdict == Verdict::Unknown {
                plan.not_judged.push(judgement);
            } else if let Some(to) = arrives {
                under_way.push((judgement, to));
            } else {
                waiting.push(judgement);
            }
            continue;
        }
        if body.lacks_vmi(fleet).is_some() {
            // It may be on a drained node.
            plan.not_judged.push(judge.judge(body));
            continue;
        }
        if let Some(node) = arrives.or_else(|| body.starts_on()).filter(is_drained) {
            let judgement = before_it_runs(fleet, judge.judge(body), node);
            if has(&judgement, Cause::MigrationEndsByDrain) {
                plan.ended_migrations.push(judgement);
            } else if has(&judgement, Cause::ShutDownByDrain) {
                plan.shut_down.push(judgement);
            } else {
                plan.stuck.push(judgement);
            }
        }
    }
    waiting.sort_by_key(|judged| {
        let size = |resource: &str| judged.requests.get(resource).copied().unwrap_or_default();
        Reverse((size("memory"), size("cpu")))
    });
    let mut rooms = Rooms::new(fleet, nodes);
    let waiting = waiting.into_iter().map(|judgement| Waiting {
        target: choose(&judgement, &mut rooms),
        judgement,
    });
    let waiting: Vec<Waiting<'f>> = waiting.collect();
    let limits = Limits::of(fleet.kubevirt.as_ref());
    let mut first = Wave::new(limits);
    for &(ref judgement, to) in &under_way {
        // Its target pod is there already.
        first.add(judgement.body.node().unwrap_or_default());
        plan.moves.push(Move::under_way(judgement, to));
    }
    let moving = under_way.iter().map(|(judgement, _)| judgement.body);
    let first = (first, moving.collect());
    move_in_waves(waiting, first, &mut judge, &mut rooms, &mut plan);
    let Plan {
        stuck,
        not_judged,
        shut_down,
        ended_migrations,
        ..
    } = &mut plan;
    for judged in [stuck, not_judged, shut_down, ended_migrations] {
        judged.sort_by_key(|judged| judged.body.key);
    }
    plan
}

/// A VM that is to move, and the node where it has taken a place.
struct Waiting<'f> {
    judgement: Judgement<'f>,
    target: Option<&'f str>,
}

/// Moves VMs wave by wave. The first wave has the VMs whose migration is under way. One that other pods leave
/// no target is tried again when the others have moved, and one for whose target pod a quota has no room beside
/// those of a wave in the next one.
fn move_in_waves<'f>(
    mut waiting: Vec<Waiting<'f>>,
    (mut wave, mut moving): (Wave<'f>, Vec<Body<'f>>),
    judge: &mut Judge<'f>,
    rooms: &mut Rooms<'_>,
    plan: &mut Plan<'f>,
) {
    let mut number = 1;
    let mut deferred = Vec::new();
    let mut has_moved = false;
    loop {
        if waiting.is_empty() && moving.is_empty() {
            waiting = mem::take(&mut deferred);
            if !mem::take(&mut has_moved) {
                break;
            }
            continue;
        }
        let mut later = Vec::new();
        for mut vm in waiting {
            let body = vm.judgement.body;
            let from = body.node().unwrap_or_default();
            if !wave.has_room(from) {
                later.push(vm);
                continue;
            }
            let is_of_namespace = |moving: &Body<'_>| moving.namespace() == body.namespace();
            if moving.iter().any(is_of_namespace) && judge.exceeds_quota(&vm.judgement) {
                // There is room again when the pods that this wave leaves are gone.
                later.push(vm);
                continue;
            }
            if vm.judgement.depends_on_pods && !plan.moves.is_empty() {
                judge_again(&mut vm, judge, rooms);
            }
            match vm.target {
                Some(to) => {
                    wave.add(from);
                    judge.arrive(&vm.judgement, to);
                    plan.moves.push(Move::of(&vm.judgement, to, number));
                    moving.push(body);
                }
                None if vm.judgement.depends_on_pods => deferred.push(vm),
                None => plan.stuck.push(stuck(vm.judgement)),
            }
        }
        for body in &moving {
            judge.leave(body);
        }
        if !moving.is_empty() {
            number += 1;
            has_moved = true;
        }
        moving.clear();
        wave = wave.next();
        waiting = later;
    }
    plan.stuck
        .extend(waiting.into_iter().map(|vm| stuck(vm.judgement)));
}

/// Judges a VM with the pods where they are now. It keeps its place if it still fits there.
fn judge_again<'f>(vm: &mut Waiting<'f>, judge: &mut Judge<'f>, rooms: &mut Rooms<'_>) {
    vm.judgement = judge.judge(vm.judgement.body);
    let keeps =
        |target: &&str| !cannot_move(&vm.judgement) && vm.judgement.targets.contains(target);
    if vm.target.as_ref().is_some_and(keeps) {
        return;
    }
    if let Some(target) = vm.target {
        rooms.give_back(target, &vm.judgement.requests);
    }
    vm.target = choose(&vm.judgement, rooms);
}

/// Takes a place for a VM, if it can move and there is one.
fn choose<'f>(judgement: &Judgement<'f>, rooms: &mut Rooms<'_>) -> Option<&'f str> {
    let targets = judgement.targets.iter().copied();
    (!cannot_move(judgement))
        .then(|| rooms.take(targets, &judgement.requests))
        .flatten()
}

/// The judgement of a VM that is not yet on the drained node where it starts or arrives. Where it could go from
/// there is a question for later.
fn before_it_runs<'f>(fleet: &Fleet, mut judgement: Judgement<'f>, node: &'f str) -> Judgement<'f> {
    judgement.targets.clear();
    judgement.findings.retain(|found| {
        let is_for_later = matches!(
            found.code,
            Code::Cause(
                Cause::NoTarget | Cause::OneTarget | Cause::ShutDownByDrain | Cause::BlocksDrain
            )
        );
        found.nodes.is_empty() && !is_for_later
    });
    let source = judgement.body.node();
    let outcome = judgement
        .body
        .vmi
        .and_then(|vmi| drain::outcome_before(fleet, vmi, source.map(|source| (source, node))));
    judgement.findings.extend(outcome);
    judgement.findings.sort_by_key(|found| found.code);
    judgement.verdict = Verdict::of(&judgement.findings);
    judgement
}

fn has(judgement: &Judgement<'_>, cause: Cause) -> bool {
    let mut findings = judgement.findings.iter();
    findings.any(|found| found.code == Code::Cause(cause))
}

/// Whether a migration that is under way can take a VM to its target.
fn can_arrive(judgement: &Judgement<'_>) -> bool {
    let ends = [Cause::Ending, Cause::SourceNotReady];
    !ends.into_iter().any(|cause| has(judgement, cause))
}

fn cannot_move(judgement: &Judgement<'_>) -> bool {
    judgement.verdict == Verdict::Blocked || has(judgement, Cause::BlocksDrain)
}

/// The judgement of a VM that does not move, with the reason.
fn stuck(mut judgement: Judgement<'_>) -> Judgement<'_> {
    if !cannot_move(&judgement) {
        let found = Finding::of(Cause::NoRoomLeft, "");
        judgement.findings.insert(0, found);
        judgement.verdict = Verdict::Blocked;
    }
    judgement
}

impl<'f> Move<'f> {
    /// Whether a migration that is under way takes it to a node that does not fit.
    #[must_use]
    pub fn goes_to_unfit(&self) -> bool {
        let code = Cause::TargetDoesNotFit.row().code;
        self.findings.iter().any(|found| found.code == code)
    }

    fn of(judgement: &Judgement<'f>, to: &'f str, wave: usize) -> Self {
        let body = judgement.body;
        let findings = judgement.findings.iter().filter(|found| {
            found.severity() == Severity::Unchecked
                || found.is(Cause::MigrationInProgress)
                || found.is(Cause::TargetDoesNotFit)
        });
        Self {
            vm_kind: body.kind,
            namespace: body.namespace(),
            name: body.name(),
            from: body.node().unwrap_or_default(),
            to,
            is_under_way: false,
            wave,
            findings: findings.map(Found::from).collect(),
        }
    }
    /// A move to the target pod of a migration that is under way, with what is against its node.
    fn under_way(judgement: &Judgement<'f>, to: &'f str) -> Self {
        let mut vm = Self::of(judgement, to, 1);
        vm.is_under_way = true;
        let against = judgement.findings.iter();
        let against = against.filter(|found| found.is_against_arrival(to));
        vm.findings.extend(against.map(|found| Found {
            nodes: vec![to],
            ..Found::from(found)
        }));
        vm
    }
}

//! The timeline of a migration's network: which stages it has reached and when, and how it ended. It is
//! told what is seen at one moment after another, and may miss moments in between.

use std::time::Duration;

use strum::{AsRefStr, EnumCount, VariantArray};

use crate::decide::causes::Cause;
use crate::decide::continuity::detect::{Faults, Finding, Moment};
use crate::domain::{MigrationEnd, MigrationPhase, UnixTime};

/// After this time a migration that has ended is left, whatever its ports say.
pub const SETTLED: Duration = Duration::from_mins(1);

/// A migration that is seen for the first time so long after its creation is met in the middle: what has
/// no time of its own was there for an unknown time.
const LATE: Duration = Duration::from_secs(3);

/// A stage of a migration, in the order in which they are usually reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumCount, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum Stage {
    /// The migration was created.
    Created,
    /// KubeVirt made the target pod.
    TargetPod,
    /// The VM's VPC has a warm port on the target's chassis.
    Warm,
    /// All ports of the VM name both chassis.
    Pair,
    /// The target pod was bound to its node.
    Bound,
    /// The target's chassis has bound all ports of the VM, beside the source's.
    Additional,
    /// The target's chassis has the flows of the VM's VPC.
    Flows,
    /// Both ends are ready for the cut-over: the pair, the flows, and tunnels.
    Ready,
    /// The VM is on the target.
    DomainReady,
    /// The VM has announced itself on the target, whose chassis forwards its packets.
    Activated,
    /// All ports of the VM are bound on the target's chassis.
    Moved,
    /// The ports name one chassis again.
    Single,
    /// The migration is over, and its network is settled.
    Done,
}

impl Stage {
    /// What has happened, in a few words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::TargetPod => "target pod made",
            Self::Warm => "warm port bound on the target",
            Self::Pair => "ports name both chassis",
            Self::Bound => "target pod bound",
            Self::Additional => "ports bound on the target as well",
            Self::Flows => "flows on the target",
            Self::Ready => "both ends ready",
            Self::DomainReady => "VM on the target",
            Self::Activated => "VM announced on the target",
            Self::Moved => "ports moved to the target",
            Self::Single => "ports name one chassis",
            Self::Done => "done",
        }
    }

    /// What is waited for while this stage is the next one.
    #[must_use]
    pub const fn awaited(self) -> &'static str {
        match self {
            Self::Created | Self::TargetPod => "KubeVirt makes the target pod",
            Self::Bound => "kube-scheduler binds the target pod",
            Self::Warm | Self::Pair => "Kube-OVN or berth writes the pair of chassis to the ports",
            Self::Additional => "the target's chassis binds the ports",
            Self::Flows | Self::Ready => "the target's chassis installs the flows",
            Self::DomainReady => "KubeVirt copies the VM",
            Self::Activated => "the VM announces itself on the target",
            Self::Moved => "the ports move to the target",
            Self::Single => "Kube-OVN or berth removes the pair from the ports",
            Self::Done => "KubeVirt ends the migration",
        }
    }
}

/// Who wrote the pair of chassis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr)]
#[strum(serialize_all = "snake_case")]
pub enum Writer {
    /// berth.
    Berth,
    /// Somebody else: Kube-OVN.
    Other,
}

/// How a migration ended, and its network with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// It succeeded, and both ends were seen to be right: before the cut-over the target had the pair, the
    /// flows and tunnels, after it the ports are bound there alone.
    Confirmed,
    /// It succeeded, and one of these was not seen.
    Unconfirmed,
    /// It succeeded, and nothing was seen of the VM's ports.
    Unobserved,
    /// It failed.
    Failed,
}

/// A stage that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: UnixTime,
    /// It was reached at this time or any time before: berth saw the migration only then.
    pub or_before: bool,
}

/// The stages that were reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks([Option<Mark>; Stage::COUNT]);

impl Marks {
    pub(super) const fn mark(&self, stage: Stage) -> Option<Mark> {
        self.0[stage as usize]
    }

    pub(super) const fn has(&self, stage: Stage) -> bool {
        self.mark(stage).is_some()
    }

    pub(super) fn at(&self, stage: Stage) -> Option<UnixTime> {
        self.mark(stage).map(|mark| mark.at)
    }
}

/// What is seen of a migration at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight<'a> {
    /// How far KubeVirt is.
    pub phase: MigrationPhase,
    /// When the migration was created.
    pub created: Option<UnixTime>,
    /// The node that the VM came from.
    pub source: Option<&'a str>,
    /// The target pod, once there is one.
    pub pod: Option<PodSight<'a>>,
    /// When the VM was there on the target.
    pub domain_ready: Option<UnixTime>,
    /// How the migration ended.
    pub end: Option<MigrationEnd>,
    /// Nothing more is to be learned of it: the VM does not run any more, or migrates again.
    pub is_superseded: bool,
    /// The VM's ports, where OVN is read and knows them, and the nodes' chassis are known.
    pub network: Option<NetworkSight>,
}

/// What is seen of a target pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodSight<'a> {
    /// The node that it is bound to.
    pub node: Option<&'a str>,
    /// When it was created.
    pub created: Option<UnixTime>,
    /// When it was bound.
    pub bound: Option<UnixTime>,
}

/// What is seen of a VM's ports, and of the chassis that they move to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkSight {
    /// The number of the VM's ports.
    pub ports: usize,
    /// Those that the target's chassis may bind beside the source's.
    pub paired: usize,
    /// Those that it has bound, alone or beside.
    pub additional: usize,
    /// Those on which the VM has announced itself there.
    pub activated: usize,
    /// Those that are bound there alone or first.
    pub at_target: usize,
    /// Those that are bound on the chassis of the node that the VM runs on, alone or first.
    pub at_home: usize,
    /// Those that name, or are bound on, more than one chassis.
    pub open: usize,
    /// Whether the VPCs of the ports are on the target's chassis.
    pub presence: Presence,
    /// Both chassis have tunnels.
    pub has_tunnels: bool,
    /// What OVN asked last of every chassis, and what the target's answered last; `None` where chassis do
    /// not say.
    pub answers: Option<(i64, i64)>,
    /// For how long the target's chassis has not answered, if it has not.
    pub behind: Option<Duration>,
    /// This release of OVN says that a port is installed before the flows are there.
    pub says_installed_early: bool,
}

/// Whether the VPCs of a VM are on a chassis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// At least one of them is not.
    #[default]
    Cold,
    /// Each has a port or a warm port there, and at least one only the latter.
    Warm,
    /// Each has a port there: the flows are there.
    Local,
}

impl NetworkSight {
    /// Whether a count is that of all ports.
    pub(super) const fn is_all(&self, count: usize) -> bool {
        count == self.ports
    }
}

/// What is new after a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A stage was reached, so long after the one before it; `None` where one of both is not exact.
    Reached(Stage, Option<Duration>),
    /// Something is wrong.
    Found(Finding),
    /// It is over.
    Ended(Outcome),
}

/// The timeline of one migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// How far KubeVirt was last.
    pub phase: MigrationPhase,
    /// The node that the VM came from.
    pub source: Option<String>,
    /// The node that it goes to.
    pub target: Option<String>,
    /// Who wrote the pair of chassis.
    pub writer: Option<Writer>,
    /// What went wrong, in the order in which it was seen.
    pub findings: Vec<Finding>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    marks: Marks,
    since: UnixTime,
    is_late: bool,
    sees_network: bool,
    /// At the last look the target was known and OVN was not.
    was_blind: bool,
    ended: Option<UnixTime>,
    /// What OVN had asked when the warm port was seen, and when the ports were bound on the target.
    asked: [Option<i64>; 2],
    faults: Faults,
}

impl Timeline {
    /// The timeline of a migration that is seen for the first time.
    #[must_use]
    pub fn new(created: Option<UnixTime>, now: UnixTime) -> Self {
        Self {
            phase: MigrationPhase::Unset,
            source: None,
            target: None,
            writer: None,
            findings: Vec::new(),
            outcome: None,
            marks: Marks::default(),
            since: now,
            is_late: created.is_some_and(|created| now.saturating_sub(created) > LATE),
            sees_network: false,
            was_blind: false,
            ended: None,
            asked: [None; 2],
            faults: Faults::default(),
        }
    }

    /// When a stage was reached.
    #[must_use]
    pub const fn mark(&self, stage: Stage) -> Option<Mark> {
        self.marks.mark(stage)
    }

    const fn has(&self, stage: Stage) -> bool {
        self.marks.has(stage)
    }

    /// The stages that were reached, by their time.
    #[must_use]
    pub fn reached(&self) -> Vec<(Stage, Mark)> {
        let stages = Stage::VARIANTS.iter();
        let marks = stages.filter_map(|stage| Some((*stage, self.mark(*stage)?)));
        let mut marks: Vec<_> = marks.collect();
        // Of one time, as the API server has them by the second, the usual order.
        marks.sort_by_key(|(_, mark)| mark.at);
        marks
    }

    /// The stage that is waited for; `None` once it is over.
    #[must_use]
    pub fn next(&self) -> Option<Stage> {
        if self.outcome.is_some() {
            return None;
        }
        let by_kubevirt = [Stage::TargetPod, Stage::Bound];
        let by_ovn = [Stage::Pair, Stage::Additional];
        let rest = [
            (Stage::DomainReady, true),
            (Stage::Moved, self.sees_network),
            (Stage::Single, self.sees_network && self.has(Stage::Pair)),
        ];
        let by_ovn =
            by_ovn.map(|stage| (stage, self.sees_network && !self.has(Stage::DomainReady)));
        let stages = by_kubevirt.map(|stage| (stage, true));
        let mut stages = stages.into_iter().chain(by_ovn).chain(rest);
        let next = stages.find(|(stage, counts)| *counts && !self.has(*stage));
        Some(next.map_or(Stage::Done, |(stage, _)| stage))
    }

    /// Takes what is seen now. Returns what is new, in order.
    pub fn see(&mut self, sight: &Sight<'_>, now: UnixTime) -> Vec<News> {
        if self.outcome.is_some() {
            return Vec::new();
        }
        let before = self.marks.clone();
        self.phase = match sight.end {
            Some(MigrationEnd::Succeeded) => MigrationPhase::Succeeded,
            Some(MigrationEnd::Failed) => MigrationPhase::Failed,
            None => sight.phase,
        };
        self.reach(Stage::Created, true, sight.created, now);
        if let Some(pod) = &sight.pod {
            self.reach(Stage::TargetPod, true, pod.created, now);
            self.reach(Stage::Bound, pod.node.is_some(), pod.bound, now);
            if let Some(node) = pod.node {
                self.target = Some(node.to_owned());
            }
        }
        if self.source.is_none() {
            let source = sight
                .source
                .filter(|node| Some(*node) != self.target.as_deref());
            self.source = source.map(str::to_owned);
        }
        if sight.end.is_some() {
            self.ended.get_or_insert(now);
        }
        let is_ready = sight.domain_ready.is_some();
        let network = sight.network.as_ref().filter(|network| network.ports > 0);
        if let Some(network) = network {
            self.sees_network = true;
            self.see_network(network, is_ready, now);
        }
        self.reach(Stage::DomainReady, is_ready, sight.domain_ready, now);
        self.was_blind = self.has(Stage::Bound) && network.is_none();
        let mut news = self.reached_since(&before);
        let moment = Moment {
            network: network.filter(|_| !sight.is_superseded),
            marks: &self.marks,
            end: sight.end.zip(self.ended),
        };
        let found = self.faults.look(&moment, now);
        self.findings.extend(found.iter().cloned());
        news.extend(found.into_iter().map(News::Found));
        if let Some(end) = sight.end {
            self.end(end, sight, now, &mut news);
        }
        news
    }

    /// Takes a finding from elsewhere. Returns it where it is new.
    pub fn find(&mut self, cause: Cause, message: String, now: UnixTime) -> Option<News> {
        if self.findings.iter().any(|finding| finding.cause == cause) {
            return None;
        }
        let finding = Finding {
            cause,
            at: now,
            message,
        };
        self.findings.push(finding.clone());
        Some(News::Found(finding))
    }

    fn see_network(&mut self, network: &NetworkSight, is_ready: bool, now: UnixTime) {
        let all = |count| network.is_all(count);
        let (asked, answered) = network.answers.unzip();
        let is_bound = self.has(Stage::Bound);
        let was_additional = self.has(Stage::Additional);
        if network.presence == Presence::Warm && !self.has(Stage::Warm) {
            self.asked[0] = asked;
            self.reach(Stage::Warm, true, None, now);
        }
        self.reach(Stage::Pair, all(network.paired), None, now);
        if all(network.additional) && !was_additional {
            self.asked[1] = asked;
            self.reach(Stage::Additional, true, None, now);
        }
        let [warm, additional] = self.asked;
        // A port of the VM itself makes the VPC local before the flows are there.
        let was_local = network.presence == Presence::Local && network.additional == 0;
        let has_flows = (was_local && !was_additional)
            || warm.zip(answered).is_some_and(|(asked, answer)| answer >= asked)
            // The ports may have been bound after the last question was asked.
            || additional.zip(answered).is_some_and(|(asked, answer)| answer > asked);
        self.reach(Stage::Flows, is_bound && has_flows, None, now);
        let has_moved = all(network.at_target);
        let ready = self.has(Stage::Pair) && self.has(Stage::Additional) && self.has(Stage::Flows);
        let ready = ready && network.has_tunnels && !has_moved && !is_ready;
        self.reach(Stage::Ready, ready, None, now);
        let announced = all(network.activated) || (has_moved && is_ready);
        self.reach(Stage::Activated, announced, None, now);
        // Before that, chassis contend for ports that name none.
        let may_move = is_ready || self.ended.is_some();
        self.reach(Stage::Moved, has_moved && may_move, None, now);
        let is_over = self.has(Stage::Moved) || self.ended.is_some();
        let was_paired = self.has(Stage::Pair);
        self.reach(
            Stage::Single,
            is_over && was_paired && network.open == 0,
            None,
            now,
        );
    }

    fn reach(&mut self, stage: Stage, is_there: bool, at: Option<UnixTime>, now: UnixTime) {
        let mark = &mut self.marks.0[stage as usize];
        if is_there && mark.is_none() {
            *mark = Some(Mark {
                at: at.unwrap_or(now),
                or_before: at.is_none() && (self.was_blind || (self.is_late && now == self.since)),
            });
        }
    }

    fn reached_since(&self, before: &Marks) -> Vec<News> {
        let marks = self.reached();
        let earlier = std::iter::once(None).chain(marks.iter().map(|(_, mark)| Some(*mark)));
        let pairs = marks.iter().zip(earlier);
        let new = pairs.filter(|((stage, _), _)| !before.has(*stage));
        new.map(|((stage, mark), earlier)| {
            let earlier = earlier.filter(|earlier| !earlier.or_before && !mark.or_before);
            let took = earlier.map(|earlier| mark.at.saturating_sub(earlier.at));
            News::Reached(*stage, took)
        })
        .collect()
    }

    fn end(&mut self, end: MigrationEnd, sight: &Sight<'_>, now: UnixTime, news: &mut Vec<News>) {
        let waited = self
            .ended
            .is_some_and(|ended| now.saturating_sub(ended) >= SETTLED);
        let is_settled = match &sight.network {
            Some(network) => network.is_all(network.at_home) && network.open == 0,
            // OVN may be away for a moment.
            None => !self.sees_network,
        };
        let waited = waited || sight.is_superseded;
        if !is_settled && !waited {
            return;
        }
        let before = self.marks.clone();
        self.reach(Stage::Done, true, Some(now), now);
        news.extend(self.reached_since(&before));
        let outcome = match end {
            MigrationEnd::Failed => Outcome::Failed,
            MigrationEnd::Succeeded if !self.sees_network => Outcome::Unobserved,
            MigrationEnd::Succeeded
                if self.has(Stage::Ready) && self.has(Stage::Moved) && is_settled =>
            {
                Outcome::Confirmed
            }
            MigrationEnd::Succeeded => Outcome::Unconfirmed,
        };
        self.outcome = Some(outcome);
        news.push(News::Ended(outcome));
    }
}

#[cfg(test)]
mod tests;

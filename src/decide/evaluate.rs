//! The verdict on a node: may this VM land there? The filter, preemption, the node condition and the
//! gauges all ask here. Every active check is made, so that a verdict has every reason.

use strum::IntoStaticStr;

use crate::decide::checks::{Check, CheckSet};
use crate::decide::origin::Origin;
use crate::decide::policy::{ClusterCapabilities, Policy, WhenUnlabelled};
use crate::domain::{
    AgentSet, Agents, ChassisIdentity, MachineType, MachineTypes, NodeFacts, Southbound,
};

/// Why a pod of a VM is being scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum SchedulingReason {
    /// It is the target of a live migration.
    #[strum(serialize = "migration")]
    MigrationTarget,
    /// It is the first launch of a VM.
    Launch,
}

impl SchedulingReason {
    /// The reason of a pod that berth guards; `None` for every other pod.
    #[must_use]
    pub const fn of(launcher: bool, migration: bool, policy: &Policy) -> Option<Self> {
        match (launcher, migration) {
            (true, true) => Some(Self::MigrationTarget),
            (true, false) if policy.launches => Some(Self::Launch),
            (true | false, _) => None,
        }
    }

    /// The name in logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A node that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its facts.
    pub facts: &'a NodeFacts,
    /// Its agents.
    pub agents: Agents,
    /// Its chassis in the southbound database.
    pub southbound: Southbound,
}

/// The verdict on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The checks that the node fails.
    pub failed: CheckSet,
}

impl Verdict {
    /// Whether the node fails no check.
    #[must_use]
    pub const fn fits(self) -> bool {
        self.failed.is_empty()
    }
}

/// The verdicts of one call, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerdictCounts {
    /// Nodes that fit.
    pub passed: u64,
    /// Nodes that berth has not seen yet.
    pub unknown: u64,
    /// Rejected nodes by the check that was reported.
    pub reported: [u64; Check::ALL.len()],
    /// Failed checks of all nodes, also those that were not reported.
    pub failed: [u64; Check::ALL.len()],
}

impl VerdictCounts {
    /// Counts the verdict on a node; `None` for a node that berth has not seen yet.
    pub fn add(&mut self, verdict: Option<Verdict>) {
        let Some(Verdict { failed }) = verdict else {
            self.unknown += 1;
            return;
        };
        let Some(first) = failed.first() else {
            self.passed += 1;
            return;
        };
        self.reported[first as usize] += 1;
        for check in failed.iter() {
            self.failed[check as usize] += 1;
        }
    }

    /// Nodes that do not fit.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.reported.iter().sum()
    }
}

/// Makes the checks that apply to one VM, or to any, in one cluster.
pub struct Evaluator<'a> {
    policy: &'a Policy,
    cluster: ClusterCapabilities,
    active: CheckSet,
    required_agents: AgentSet,
    source: Option<&'a str>,
    machine_type: Option<&'a MachineType>,
    equivalents: &'a [Box<str>],
    /// The machine types of the node before, and whether they do: the next node's are most often the
    /// same.
    last: Option<(MachineTypes, bool)>,
}

impl<'a> Evaluator<'a> {
    /// Makes the checks for a VM that is scheduled for this reason.
    #[must_use]
    pub fn for_vm(
        policy: &'a Policy,
        cluster: ClusterCapabilities,
        reason: SchedulingReason,
        origin: Origin<'a>,
    ) -> Self {
        let Origin { node, machine_type } = origin;
        let equivalents = machine_type.and_then(|wanted| policy.equivalents.get(wanted.name()?));
        Self {
            source: node.filter(|_| reason == SchedulingReason::MigrationTarget),
            machine_type,
            equivalents: equivalents.map_or(&[], Vec::as_slice),
            ..Self::for_any_vm(policy, cluster)
        }
    }

    /// Makes the checks that do not depend on the VM: whether a node can take over the network of any.
    #[must_use]
    pub fn for_any_vm(policy: &'a Policy, cluster: ClusterCapabilities) -> Self {
        Self {
            policy,
            cluster,
            active: policy.active_checks(cluster),
            required_agents: policy.required_agents(cluster),
            source: None,
            machine_type: None,
            equivalents: &[],
            last: None,
        }
    }

    /// The verdict on a node, with every check that it fails.
    #[must_use]
    pub fn evaluate(&mut self, node: &Candidate<'_>) -> Verdict {
        let mut failed = CheckSet::default();
        // The compiler turns a loop over all checks into straight code, which one over the active ones
        // is not.
        for check in Check::ALL {
            failed = failed.with(check, self.fails(check, node));
        }
        Verdict {
            failed: failed.intersection(self.active),
        }
    }

    /// The rule of each check, for where the check is active.
    fn fails(&mut self, check: Check, node: &Candidate<'_>) -> bool {
        let Candidate {
            facts, southbound, ..
        } = node;
        let row = southbound.row();
        match check {
            Check::MigrationSource => self.source == Some(node.name),
            Check::MachineType => !self.runs_machine_type(&facts.machine_types),
            Check::ChassisNotRegistered => {
                *southbound == Southbound::NoChassis || facts.chassis.name().is_none()
            }
            Check::ChassisIdentity => row.is_some_and(|row| row.identity != ChassisIdentity::Own),
            Check::ChassisNoTunnel => row.is_some_and(|row| !row.has_tunnel),
            Check::AgentsNotReady => {
                let unready = node.agents.unready();
                !unready.intersection(self.required_agents).is_empty()
            }
            Check::NetworkUnavailable => facts.network_unavailable,
            Check::ChassisNotResponding => {
                row.is_some_and(|row| row.behind > Some(self.policy.allowed_lag) && !row.is_held)
            }
            Check::SouthboundOutOfReach => *southbound == Southbound::Stale,
        }
    }

    fn runs_machine_type(&mut self, types: &MachineTypes) -> bool {
        match &self.last {
            Some((last, runs)) if last.are_shared_with(types) => *runs,
            Some(_) | None => {
                let runs = self.is_run_by(types);
                self.last = Some((types.clone(), runs));
                runs
            }
        }
    }

    fn is_run_by(&self, types: &MachineTypes) -> bool {
        let Some(wanted) = self.machine_type else {
            return true;
        };
        if !types.is_labelled() {
            return match self.policy.when_unlabelled {
                WhenUnlabelled::Auto => !self.cluster.machine_types_seen,
                WhenUnlabelled::Exclude => false,
                WhenUnlabelled::Allow => true,
            };
        }
        let MachineType::Named(wanted) = wanted else {
            return false;
        };
        types.contains(wanted) || self.equivalents.iter().any(|other| types.contains(other))
    }
}

#[cfg(test)]
mod tests;

//! Logs when the snapshot of the cluster is complete, and which checks are off, in whole or in
//! part, because the cluster lacks what they need.

use crate::cluster::{ClusterView, ObjectKind};
use crate::decide::checks::Check;
use crate::decide::policy::{Policy, WhenUnlabelled};
use crate::domain::{Agent, AgentSet, Provider};

/// The checks that a cluster can turn off.
const CHECKS: [Check; 2] = [Check::MachineType, Check::AgentsNotReady];

/// The log line for each check that is off.
fn texts(provider: Provider) -> [String; CHECKS.len()] {
    let agents: Vec<String> = provider
        .agents()
        .iter()
        .map(|agent| format!("no {}", agent.name()))
        .collect();
    [
        "no node carries a machine-type label: the machine-type check is off (machineType.whenUnlabelled)".to_owned(),
        format!(
            "{} pod is in the cluster: the agents check is off (agents.whenUnseen, agents.namespace, network.provider)",
            agents.join(" and ")
        ),
    ]
}

/// Logs each state once, and again when it changes.
#[derive(Debug)]
pub(super) struct ClusterLog {
    policy: Policy,
    texts: [String; CHECKS.len()],
    known: bool,
    off: [bool; CHECKS.len()],
    /// The agents that are not required, while others are.
    unneeded: AgentSet,
    /// It was logged that only some nodes are labelled, since the machine-type check is on.
    labelled_in_part: bool,
}

impl ClusterLog {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            texts: texts(policy.provider),
            policy,
            known: false,
            off: [false; CHECKS.len()],
            unneeded: AgentSet::default(),
            labelled_in_part: false,
        }
    }

    /// Logs what is new in a view.
    pub(super) fn update(&mut self, view: &ClusterView) {
        if !view.is_complete() {
            return;
        }
        if !std::mem::replace(&mut self.known, true) {
            let [nodes, vmis] = [ObjectKind::Node, ObjectKind::Vmi].map(|kind| view.count(kind));
            tracing::info!(nodes, vmis, "the cluster view is complete");
            if nodes == 0 {
                tracing::warn!(
                    "the cluster has no nodes: every node asked about by name is unknown"
                );
            }
        }
        let active = self.policy.active_checks(view.capabilities());
        for ((check, text), was_off) in CHECKS.into_iter().zip(&self.texts).zip(&mut self.off) {
            let off = self.policy.checks.contains(check) && !active.contains(check);
            let check = check.name();
            match (std::mem::replace(was_off, off), off) {
                (false, true) => tracing::warn!(check, "{text}"),
                (true, false) => {
                    tracing::info!(check, "the check is on: the cluster shows what it looks at");
                }
                _ => {}
            }
        }
        self.update_agents(view, active.contains(Check::AgentsNotReady));
        self.update_labels(view, active.contains(Check::MachineType));
    }

    /// The cluster may have pods of one agent and none of another.
    fn update_agents(&mut self, view: &ClusterView, is_active: bool) {
        let check = Check::AgentsNotReady.name();
        let required = self.policy.required_agents(view.capabilities());
        let agents = self.policy.provider.agents().iter().copied();
        let unneeded: AgentSet = agents
            .filter(|agent| is_active && !required.contains(*agent))
            .collect();
        let before = std::mem::replace(&mut self.unneeded, unneeded);
        for &agent in Agent::ALL {
            let name = agent.name();
            if unneeded.contains(agent) && !before.contains(agent) {
                tracing::warn!(
                    check,
                    agent = name,
                    "no {name} pod is in the cluster: nodes pass the agents check without one (agents.whenUnseen, agents.namespace)"
                );
            } else if before.contains(agent) && required.contains(agent) {
                tracing::info!(
                    check,
                    agent = name,
                    "{name} pods are in the cluster: nodes need one to pass the agents check"
                );
            }
        }
    }

    /// The first labelled node turns the check on for all nodes. This is logged once, not for each
    /// node that joins: a new node is unlabelled until KubeVirt labels it.
    fn update_labels(&mut self, view: &ClusterView, is_active: bool) {
        if !is_active {
            self.labelled_in_part = false;
            return;
        }
        let (labelled, nodes) = (view.labelled_nodes(), view.count(ObjectKind::Node));
        let is_in_part = self.policy.when_unlabelled == WhenUnlabelled::Auto && labelled < nodes;
        if is_in_part && !std::mem::replace(&mut self.labelled_in_part, true) {
            tracing::info!(
                check = Check::MachineType.name(),
                labelled,
                nodes,
                "{labelled} of {nodes} nodes carry machine-type labels: the others are no target of a migration until KubeVirt has labelled them (machineType.whenUnlabelled: Allow lets them pass)"
            );
        }
    }
}

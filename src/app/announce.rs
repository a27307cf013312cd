//! What the log says of the cluster: that it is known, and which checks are off because it does not
//! show what they look at.

use crate::cluster::{ObjectKind, View};
use crate::decide::guard::{self, Policy};
use crate::decide::reason::Reason;
use crate::domain::Provider;

/// The checks that a cluster can turn off.
const CHECKS: [Reason; 2] = [Reason::MachineType, Reason::AgentsNotReady];

/// What the log says then.
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

/// Says everything once, and again when it changes.
#[derive(Debug)]
pub(super) struct Announcer {
    policy: Policy,
    texts: [String; CHECKS.len()],
    known: bool,
    off: [bool; CHECKS.len()],
}

impl Announcer {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            texts: texts(policy.provider),
            policy,
            known: false,
            off: [false; CHECKS.len()],
        }
    }

    /// Looks at a new view.
    pub(super) fn look(&mut self, view: &View) {
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
        for ((check, text), was_off) in CHECKS.into_iter().zip(&self.texts).zip(&mut self.off) {
            let off = self.policy.checks.contains(check)
                && !guard::is_active(&self.policy, view.fleet(), check);
            let check = check.name();
            match (std::mem::replace(was_off, off), off) {
                (false, true) => tracing::warn!(check, "{text}"),
                (true, false) => {
                    tracing::info!(check, "the check is on: the cluster shows what it looks at");
                }
                _ => {}
            }
        }
    }
}

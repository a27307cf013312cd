//! The details behind a reason, for people who read logs. The reason texts leave them out, because
//! those must not differ from node to node.

use std::fmt;

use crate::decide::guard::Candidate;
use crate::decide::reason::{Reason, Reasons};
use crate::domain::{Agent, ChassisClaim};

/// Writes a rejected node with all that is against it:
/// `el9-2: chassis_not_registered (annotation missing), agents_not_ready (ovs-ovn missing)`.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// The node.
    pub candidate: Candidate<'a>,
    /// What is against it.
    pub reasons: Reasons,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.candidate.name)?;
        for (i, reason) in self.reasons.iter().enumerate() {
            f.write_str(if i == 0 { ": " } else { ", " })?;
            f.write_str(reason.name())?;
            self.detail(reason, f)?;
        }
        Ok(())
    }
}

impl Explained<'_> {
    fn detail(&self, reason: Reason, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Candidate { facts, agents, .. } = self.candidate;
        match reason {
            Reason::MigrationSource | Reason::NetworkUnavailable => Ok(()),
            Reason::MachineType if facts.machine_types.is_empty() => f.write_str(" (no labels)"),
            Reason::MachineType => {
                let types: Vec<&str> = facts.machine_types.iter().collect();
                write!(f, " (has {})", types.join(" "))
            }
            Reason::ChassisNotRegistered => match &facts.chassis {
                ChassisClaim::Malformed(claim) => write!(f, " (annotation {claim:?} is no UUID)"),
                ChassisClaim::Missing | ChassisClaim::Registered(_) => {
                    f.write_str(" (annotation missing)")
                }
            },
            Reason::AgentsNotReady => write!(
                f,
                " ({} {}, {} {})",
                Agent::Ovs.name(),
                agents.ovs,
                Agent::Cni.name(),
                agents.cni
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AgentState, Agents, NodeFacts};

    #[track_caller]
    fn check(facts: &NodeFacts, reasons: &[Reason], expect: &str) {
        let explained = Explained {
            candidate: Candidate {
                name: "el9-1",
                facts,
                agents: Agents {
                    ovs: AgentState::NotReady,
                    cni: AgentState::Ready,
                },
            },
            reasons: reasons
                .iter()
                .fold(Reasons::default(), |set, reason| set.with(*reason, true)),
        };
        assert_eq!(explained.to_string(), expect);
    }

    #[test]
    fn every_reason_comes_with_what_the_node_has_instead() {
        check(
            &NodeFacts::default(),
            &Reason::ALL,
            "el9-1: migration_source, machine_type (no labels), chassis_not_registered (annotation missing), agents_not_ready (ovs-ovn not ready, kube-ovn-cni ready), network_unavailable",
        );
        check(
            &NodeFacts {
                machine_types: ["q35", "pc"].into_iter().collect(),
                chassis: ChassisClaim::Malformed("el9\n".into()),
                network_unavailable: false,
            },
            &[Reason::MachineType, Reason::ChassisNotRegistered],
            "el9-1: machine_type (has pc q35), chassis_not_registered (annotation \"el9\\n\" is no UUID)",
        );
    }
}

//! The details behind a reason, for people who read logs. The reason texts leave them out, because
//! those must not differ from node to node.

use std::fmt;

use crate::decide::guard::Candidate;
use crate::decide::reason::{Reason, Reasons};
use crate::decide::score::Inputs;
use crate::domain::{AgentSet, ChassisClaim, ChassisIdentity};

/// How many machine types of a node are named: QEMU has a few dozen.
const SHOWN_MACHINE_TYPES: usize = 64;

/// Writes a rejected node with all that is against it:
/// `el9-2: chassis_not_registered (annotation missing), agents_not_ready (ovs-ovn missing)`.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// The node.
    pub candidate: Candidate<'a>,
    /// What is against it.
    pub reasons: Reasons,
    /// The agents that it needs.
    pub required_agents: AgentSet,
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
        let Candidate {
            facts,
            agents,
            southbound,
            ..
        } = self.candidate;
        let row = southbound.row();
        match reason {
            Reason::MigrationSource | Reason::NetworkUnavailable | Reason::ChassisNoTunnel => {
                Ok(())
            }
            Reason::MachineType if !facts.machine_types.is_labelled() => {
                f.write_str(" (no labels)")
            }
            Reason::MachineType => {
                let mut types = facts.machine_types.iter();
                let shown: Vec<&str> = types.by_ref().take(SHOWN_MACHINE_TYPES).collect();
                if shown.is_empty() {
                    return f.write_str(" (no label is true)");
                }
                write!(f, " (has {}", shown.join(" "))?;
                match types.count() {
                    0 => f.write_str(")"),
                    more => write!(f, " and {more} more)"),
                }
            }
            Reason::ChassisNotRegistered => match &facts.chassis {
                ChassisClaim::Malformed(claim) => write!(f, " (annotation \"{claim}\" is no UUID)"),
                ChassisClaim::Missing => f.write_str(" (annotation missing)"),
                ChassisClaim::Registered(name) => write!(f, " (no chassis {name})"),
            },
            Reason::ChassisIdentity => {
                f.write_str(match row.map(|row| row.identity).unwrap_or_default() {
                    ChassisIdentity::Remote => " (a chassis of another availability zone)",
                    ChassisIdentity::OtherHost => " (its hostname is another)",
                    ChassisIdentity::RemoteRival => {
                        " (OVN finds a chassis of another availability zone under this hostname)"
                    }
                    ChassisIdentity::Rival | ChassisIdentity::Own => {
                        " (two chassis have this hostname)"
                    }
                })
            }
            Reason::ChassisNotResponding => match row.and_then(|row| row.behind) {
                Some(behind) => write!(f, " (behind for {} s)", behind.as_secs()),
                None => f.write_str(" (the southbound database is out of reach)"),
            },
            Reason::AgentsNotReady => {
                let states: Vec<String> = self
                    .required_agents
                    .iter()
                    .map(|agent| format!("{} {}", agent.name(), agents.state(agent)))
                    .collect();
                write!(f, " ({})", states.join(", "))
            }
        }
    }
}

/// Writes a node with its score and what that is made of, as far as it is known:
/// `el9-2: 7 (1 of 2 switches local, 3 arriving, answers in 12 ms, steady for 600 s)`.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// The node.
    pub node: &'a str,
    /// Its score.
    pub score: u8,
    /// What is known of it.
    pub inputs: Inputs,
    /// How many logical switches the VM has.
    pub switches: usize,
}

impl fmt::Display for Scored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            node,
            score,
            inputs,
            switches,
        } = self;
        let Inputs {
            local,
            arriving,
            response,
            steady,
        } = inputs;
        let local = local.map(|local| format!("{local} of {switches} switches local"));
        let arriving = arriving.map(|arriving| format!("{arriving} arriving"));
        let response = response.map(|time| format!("answers in {} ms", time.as_millis()));
        let steady = steady.map(|time| format!("steady for {} s", time.as_secs()));
        let known = [local, arriving, response, steady].into_iter().flatten();
        let known: Vec<_> = known.collect();
        write!(f, "{node}: {score}")?;
        if known.is_empty() {
            return f.write_str(" (nothing known)");
        }
        write!(f, " ({})", known.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Agent, AgentState, Agents, ChassisRow, MachineTypes, NodeFacts, Southbound,
    };
    use std::time::Duration;

    const ROW: ChassisRow = ChassisRow {
        identity: ChassisIdentity::OtherHost,
        has_tunnel: false,
        behind: Some(Duration::from_millis(41_900)),
        is_held: false,
        seen_for: Duration::MAX,
    };

    const AGENTS: Agents = Agents {
        ovs: AgentState::NotReady,
        cni: AgentState::Ready,
        ovnkube_node: AgentState::Missing,
    };

    #[track_caller]
    fn check(facts: &NodeFacts, southbound: Southbound, reasons: &[Reason], expect: &str) {
        let explained = Explained {
            candidate: Candidate {
                name: "el9-1",
                facts,
                agents: AGENTS,
                southbound,
            },
            reasons: reasons
                .iter()
                .fold(Reasons::default(), |set, reason| set.with(*reason, true)),
            required_agents: [Agent::Ovs, Agent::Cni].into_iter().collect(),
        };
        assert_eq!(explained.to_string(), expect);
    }

    #[test]
    fn agents_are_those_that_the_node_needs() {
        for (required, expect) in [
            (
                &[Agent::Ovs, Agent::Cni][..],
                "ovs-ovn not ready, kube-ovn-cni ready",
            ),
            (&[Agent::Ovs], "ovs-ovn not ready"),
            (&[Agent::OvnkubeNode], "ovnkube-node missing"),
        ] {
            let explained = Explained {
                candidate: Candidate {
                    name: "a",
                    facts: &NodeFacts::default(),
                    agents: AGENTS,
                    southbound: Southbound::Unknown,
                },
                reasons: Reasons::default().with(Reason::AgentsNotReady, true),
                required_agents: required.iter().copied().collect(),
            };
            let expect = format!("a: agents_not_ready ({expect})");
            assert_eq!(explained.to_string(), expect);
        }
    }

    #[test]
    fn a_score_comes_with_what_is_known_of_the_node() {
        let scored = |inputs| Scored {
            node: "el9-2",
            score: 7,
            inputs,
            switches: 2,
        };
        let all = Inputs {
            local: Some(1),
            arriving: Some(3),
            response: Some(Duration::from_micros(12_800)),
            steady: Some(Duration::from_mins(10)),
        };
        for (inputs, expect) in [
            (
                all,
                "el9-2: 7 (1 of 2 switches local, 3 arriving, answers in 12 ms, steady for 600 s)",
            ),
            (
                Inputs {
                    arriving: Some(0),
                    ..Inputs::default()
                },
                "el9-2: 7 (0 arriving)",
            ),
            (Inputs::default(), "el9-2: 7 (nothing known)"),
        ] {
            assert_eq!(scored(inputs).to_string(), expect);
        }
    }

    #[test]
    fn every_reason_comes_with_what_the_node_has_instead() {
        check(
            &NodeFacts::default(),
            Southbound::Chassis(ROW),
            &Reason::ALL,
            "el9-1: migration_source, machine_type (no labels), chassis_not_registered (annotation missing), chassis_identity (its hostname is another), chassis_no_tunnel, agents_not_ready (ovs-ovn not ready, kube-ovn-cni ready), network_unavailable, chassis_not_responding (behind for 41 s)",
        );
        check(
            &NodeFacts {
                machine_types: ["q35", "pc"].into_iter().collect(),
                chassis: ChassisClaim::Malformed("el9\\n".into()),
                network_unavailable: false,
                published: None,
            },
            Southbound::Unknown,
            &[Reason::MachineType, Reason::ChassisNotRegistered],
            "el9-1: machine_type (has pc q35), chassis_not_registered (annotation \"el9\\n\" is no UUID)",
        );
        check(
            &NodeFacts {
                machine_types: MachineTypes::labelled::<&str>([]),
                ..NodeFacts::default()
            },
            Southbound::Unknown,
            &[Reason::MachineType],
            "el9-1: machine_type (no label is true)",
        );
        check(
            &NodeFacts {
                chassis: ChassisClaim::Registered("0000000a".into()),
                ..NodeFacts::default()
            },
            Southbound::NoChassis,
            &[Reason::ChassisNotRegistered],
            "el9-1: chassis_not_registered (no chassis 0000000a)",
        );
        check(
            &NodeFacts::default(),
            Southbound::Stale,
            &[Reason::ChassisNotResponding],
            "el9-1: chassis_not_responding (the southbound database is out of reach)",
        );
        for (identity, expect) in [
            (
                ChassisIdentity::Rival,
                "el9-1: chassis_identity (two chassis have this hostname)",
            ),
            (
                ChassisIdentity::Remote,
                "el9-1: chassis_identity (a chassis of another availability zone)",
            ),
            (
                ChassisIdentity::RemoteRival,
                "el9-1: chassis_identity (OVN finds a chassis of another availability zone under this hostname)",
            ),
        ] {
            let row = Southbound::Chassis(ChassisRow { identity, ..ROW });
            check(
                &NodeFacts::default(),
                row,
                &[Reason::ChassisIdentity],
                expect,
            );
        }
    }
}

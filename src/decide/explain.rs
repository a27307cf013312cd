//! Details of failed checks and of scores, for logs. The texts for kube-scheduler leave them out, because
//! those texts must not differ between nodes.

use std::fmt;

use crate::decide::checks::Check;
use crate::decide::evaluate::{Candidate, Verdict};
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
    /// The verdict on it.
    pub verdict: Verdict,
    /// The agents that it needs.
    pub required_agents: AgentSet,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.candidate.name)?;
        for (i, check) in self.verdict.failed.iter().enumerate() {
            f.write_str(if i == 0 { ": " } else { ", " })?;
            f.write_str(check.name())?;
            self.detail(check, f)?;
        }
        Ok(())
    }
}

impl Explained<'_> {
    /// The relevant facts of the node, if they add to the text of a check.
    #[must_use]
    pub fn detail_of(&self, check: Check) -> String {
        let detail = fmt::from_fn(|f| self.detail(check, f)).to_string();
        let bare = detail.trim_start_matches(" (");
        bare.strip_suffix(')').unwrap_or(bare).to_owned()
    }

    /// The relevant facts of the node in brackets, if they add to the name of the check.
    fn detail(&self, check: Check, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Candidate {
            facts,
            agents,
            southbound,
            ..
        } = self.candidate;
        let row = southbound.row();
        match check {
            Check::MachineType if !facts.machine_types.is_labelled() => f.write_str(" (no labels)"),
            Check::MachineType => {
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
            Check::ChassisNotRegistered => match &facts.chassis {
                ChassisClaim::Malformed(claim) => {
                    write!(f, " (annotation \"{claim}\" is not a UUID)")
                }
                ChassisClaim::Missing => f.write_str(" (annotation missing)"),
                ChassisClaim::Registered(name) => write!(f, " (no chassis {name})"),
            },
            Check::ChassisIdentity => {
                f.write_str(match row.map(|row| row.identity).unwrap_or_default() {
                    ChassisIdentity::Remote => " (a chassis of another availability zone)",
                    ChassisIdentity::OtherHost => " (it has the hostname of another node)",
                    ChassisIdentity::RemoteRival => {
                        " (OVN finds a chassis of another availability zone under this hostname)"
                    }
                    ChassisIdentity::Rival | ChassisIdentity::Own => {
                        " (two chassis have this hostname)"
                    }
                })
            }
            Check::ChassisNotResponding => {
                let behind = row.and_then(|row| row.behind).unwrap_or_default();
                write!(f, " (behind for {} s)", behind.as_secs())
            }
            Check::AgentsNotReady => {
                let states: Vec<String> = self
                    .required_agents
                    .iter()
                    .map(|agent| format!("{} {}", agent.name(), agents.state(agent)))
                    .collect();
                write!(f, " ({})", states.join(", "))
            }
            Check::MigrationSource
            | Check::ChassisNoTunnel
            | Check::NetworkUnavailable
            | Check::SouthboundOutOfReach => Ok(()),
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
mod tests;

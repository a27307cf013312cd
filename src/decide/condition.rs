//! The node condition `OVNChassisReady`, which shows a node's verdict on the node. kube-scheduler retries
//! pods that fit nowhere when its status changes.

use std::borrow::Cow;

use crate::decide::checks::Check;
use crate::decide::evaluate::{Candidate, Evaluator};
use crate::decide::policy::{ClusterCapabilities, Policy};
use crate::domain::{
    Agent, AgentSet, ChassisClaim, ChassisIdentity, ChassisReady, Southbound, Status,
};

/// The condition's type.
pub const CONDITION: &str = "OVNChassisReady";

/// The condition that a node should have, given the one that it has. It contains no ages, so that it
/// changes only when something happens.
#[must_use]
pub fn condition(
    policy: &Policy,
    cluster: ClusterCapabilities,
    candidate: &Candidate<'_>,
    published: Option<&ChassisReady>,
) -> ChassisReady {
    let verdict = Evaluator::for_any_vm(policy, cluster).evaluate(candidate);
    if let Some(check) = verdict.failed.first() {
        return against(check, candidate, policy.required_agents(cluster));
    }
    // A replica that has just started cannot tell yet how long a chassis has lagged. No replica can if
    // all chassis fell behind at once.
    let may_be_late = candidate.southbound.row().is_some_and(|row| {
        row.behind.is_some()
            && (row.is_held || row.seen_for <= policy.allowed_lag)
            && policy
                .active_checks(cluster)
                .contains(Check::ChassisNotResponding)
    });
    match published {
        Some(before) if may_be_late && before.reason == Check::ChassisNotResponding.code_name() => {
            before.clone()
        }
        // Without the database, a good verdict stays.
        Some(before)
            if before.status == Status::True && candidate.southbound == Southbound::Stale =>
        {
            before.clone()
        }
        _ if candidate.southbound == Southbound::Stale => new(
            Status::Unknown,
            Check::SouthboundOutOfReach.code_name(),
            "the southbound database is out of reach, and its checks are left out",
        ),
        _ => ready(policy, cluster),
    }
}

/// The condition of a node that fails no check. Its message says if lag cannot be checked.
fn ready(policy: &Policy, cluster: ClusterCapabilities) -> ChassisReady {
    let lag_is_unknown = cluster.southbound_counts
        && !cluster.lag_reported
        && policy.checks.contains(Check::ChassisNotResponding);
    let message = if lag_is_unknown {
        "the OVN chassis can take over a VM's network; OVN does not report whether it responds"
    } else {
        "the OVN chassis can take over a VM's network"
    };
    new(Status::True, "ChassisReady", message)
}

/// The condition of a node that fails a check, with the code name of the check as its reason.
fn against(check: Check, candidate: &Candidate<'_>, required: AgentSet) -> ChassisReady {
    let Candidate {
        facts,
        agents,
        southbound,
        ..
    } = candidate;
    let message: Cow<'static, str> = match check {
        Check::ChassisNotRegistered => match &facts.chassis {
            ChassisClaim::Missing => "the node has no annotation that names its chassis".into(),
            ChassisClaim::Malformed(claim) => {
                format!("the node's annotation does not name a chassis: \"{claim}\" is not a UUID")
                    .into()
            }
            ChassisClaim::Registered(name) => {
                format!("the southbound database has no chassis {name}").into()
            }
        },
        Check::ChassisIdentity => {
            match southbound.row().map(|row| row.identity).unwrap_or_default() {
                ChassisIdentity::Remote => {
                    "the chassis is one of another availability zone (other_config:is-remote)"
                }
                ChassisIdentity::OtherHost => "the chassis has the hostname of another node",
                ChassisIdentity::RemoteRival => {
                    "OVN finds a chassis of another availability zone under this node's hostname"
                }
                ChassisIdentity::Rival | ChassisIdentity::Own => {
                    "another chassis has this node's hostname as well"
                }
            }
            .into()
        }
        Check::ChassisNoTunnel => "the chassis has no address for tunnels".into(),
        Check::AgentsNotReady => {
            let unready = agents.unready();
            let lacking = required.iter().filter(|agent| unready.contains(*agent));
            let lacking: Vec<_> = lacking.map(Agent::name).collect();
            format!("not running or not Ready: {}", lacking.join(", ")).into()
        }
        Check::NetworkUnavailable => "the node's condition NetworkUnavailable is True".into(),
        Check::ChassisNotResponding => {
            "the chassis has been behind the southbound database for too long".into()
        }
        Check::SouthboundOutOfReach => {
            "the southbound database is out of reach, and every node is rejected (onStale: Reject)"
                .into()
        }
        Check::MigrationSource | Check::MachineType => check.text(None),
    };
    ChassisReady {
        status: Status::False,
        reason: check.code_name().into(),
        message,
    }
}

fn new(status: Status, reason: &'static str, message: &'static str) -> ChassisReady {
    ChassisReady {
        status,
        reason: reason.into(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests;

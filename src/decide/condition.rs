//! The node condition `OVNChassisReady`: a node's verdict, for all who look at the node. A change of
//! its status wakes the pods that kube-scheduler could place nowhere.

use std::borrow::Cow;

use crate::decide::guard::{
    Candidate, Fleet, Policy, chassis_obstacles, is_active, required_agents,
};
use crate::decide::reason::Reason;
use crate::domain::{
    Agent, AgentSet, ChassisClaim, ChassisIdentity, ChassisReady, Southbound, Status,
};

/// The condition's type.
pub const CONDITION: &str = "OVNChassisReady";

const NOT_RESPONDING: &str = "ChassisNotResponding";

const OUT_OF_REACH: &str = "SouthboundOutOfReach";

/// What the condition of a node is to be, where `published` is what it is. Only what it says changes
/// it, and no age does, so that it is written only when something happens.
#[must_use]
pub fn condition(
    policy: &Policy,
    fleet: Fleet,
    candidate: &Candidate<'_>,
    published: Option<&ChassisReady>,
) -> ChassisReady {
    let obstacles = chassis_obstacles(policy, fleet, candidate);
    let agents = required_agents(policy, fleet);
    let against = obstacles
        .iter()
        .find_map(|reason| against(reason, candidate, agents));
    if let Some(condition) = against {
        return condition;
    }
    // A replica that has just begun to look can't tell yet for how long a chassis has been behind, nor
    // can any where all chassis fell behind together.
    let may_be_late = candidate.southbound.row().is_some_and(|row| {
        row.behind.is_some()
            && (row.is_held || row.seen_for <= policy.allowed_lag)
            && is_active(policy, fleet, Reason::ChassisNotResponding)
    });
    match published {
        Some(before) if may_be_late && before.reason == NOT_RESPONDING => before.clone(),
        // What is out of sight may be as bad as it was, and says nothing against what was good.
        Some(before)
            if before.status == Status::True && candidate.southbound == Southbound::LeftOut =>
        {
            before.clone()
        }
        _ if candidate.southbound == Southbound::LeftOut => new(
            Status::Unknown,
            OUT_OF_REACH,
            "the southbound database is out of reach, and its checks are left out",
        ),
        _ => ready(policy, fleet),
    }
}

/// With what is left open by an OVN whose chassis do not report how far they are.
fn ready(policy: &Policy, fleet: Fleet) -> ChassisReady {
    let lag_is_unknown = fleet.southbound_counts
        && !fleet.lag_reported
        && policy.checks.contains(Reason::ChassisNotResponding);
    let message = if lag_is_unknown {
        "the OVN chassis can take over a VM's network; OVN does not report whether it responds"
    } else {
        "the OVN chassis can take over a VM's network"
    };
    new(Status::True, "ChassisReady", message)
}

/// What a reason says of the chassis; `None` for those that a VM brings with it.
fn against(reason: Reason, candidate: &Candidate<'_>, required: AgentSet) -> Option<ChassisReady> {
    let Candidate {
        facts,
        agents,
        southbound,
        ..
    } = candidate;
    let (reason, message): (_, Cow<'static, str>) = match reason {
        Reason::MigrationSource | Reason::MachineType => return None,
        Reason::ChassisNotRegistered => (
            "ChassisNotRegistered",
            match &facts.chassis {
                ChassisClaim::Missing => "the node has no annotation that names its chassis".into(),
                ChassisClaim::Malformed(claim) => {
                    format!("the node's annotation names no chassis: \"{claim}\" is no UUID").into()
                }
                ChassisClaim::Registered(name) => {
                    format!("the southbound database has no chassis {name}").into()
                }
            },
        ),
        Reason::ChassisIdentity => (
            "ChassisIdentityMismatch",
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
            .into(),
        ),
        Reason::ChassisNoTunnel => (
            "ChassisNoTunnelEndpoint",
            "the chassis has no address for tunnels".into(),
        ),
        Reason::AgentsNotReady => {
            let unready = agents.unready();
            let lacking = required.iter().filter(|agent| unready.contains(*agent));
            let lacking: Vec<_> = lacking.map(Agent::name).collect();
            let message = format!("not running or not Ready: {}", lacking.join(", "));
            ("AgentsNotReady", message.into())
        }
        Reason::NetworkUnavailable => (
            "NetworkUnavailable",
            "the node's condition NetworkUnavailable is True".into(),
        ),
        Reason::ChassisNotResponding if *southbound == Southbound::Stale => (
            OUT_OF_REACH,
            "the southbound database is out of reach, and nobody passes (onStale: Reject)".into(),
        ),
        Reason::ChassisNotResponding => (
            NOT_RESPONDING,
            "the chassis is behind the southbound database for too long".into(),
        ),
    };
    Some(ChassisReady {
        status: Status::False,
        reason: reason.into(),
        message,
    })
}

fn new(status: Status, reason: &'static str, message: &'static str) -> ChassisReady {
    ChassisReady {
        status,
        reason: reason.into(),
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::reason::Reasons;
    use crate::domain::{AgentState, Agents, ChassisRow, NodeFacts, Provider};
    use std::time::Duration;

    const FLEET: Fleet = Fleet {
        machine_types_seen: true,
        agents_seen: AgentSet::ALL,
        southbound_counts: true,
        lag_reported: true,
    };

    const GOOD: ChassisRow = ChassisRow {
        identity: ChassisIdentity::Own,
        has_tunnel: true,
        behind: None,
        is_held: false,
        seen_for: Duration::from_hours(1),
    };

    const READY: Agents = Agents {
        ovs: AgentState::Ready,
        cni: AgentState::Ready,
        ovnkube_node: AgentState::Missing,
    };

    fn mk_facts() -> NodeFacts {
        NodeFacts {
            chassis: ChassisClaim::Registered("0000000a".into()),
            ..NodeFacts::default()
        }
    }

    fn behind(seconds: u64) -> Southbound {
        Southbound::Chassis(ChassisRow {
            behind: Some(Duration::from_secs(seconds)),
            ..GOOD
        })
    }

    fn judge(facts: &NodeFacts, agents: Agents, southbound: Southbound) -> ChassisReady {
        judge_after(None, facts, agents, southbound)
    }

    fn judge_after(
        published: Option<&ChassisReady>,
        facts: &NodeFacts,
        agents: Agents,
        southbound: Southbound,
    ) -> ChassisReady {
        let fleet = Fleet {
            southbound_counts: !matches!(southbound, Southbound::Unknown | Southbound::LeftOut),
            ..FLEET
        };
        let candidate = Candidate {
            name: "el9-1",
            facts,
            agents,
            southbound,
        };
        condition(&Policy::default(), fleet, &candidate, published)
    }

    #[track_caller]
    fn check(is: &ChassisReady, expect: (Status, &str, &str)) {
        assert_eq!((is.status, &*is.reason, &*is.message), expect);
    }

    #[track_caller]
    fn check_bad(
        facts: &NodeFacts,
        agents: Agents,
        southbound: Southbound,
        reason: &str,
        message: &str,
    ) {
        let is = judge(facts, agents, southbound);
        check(&is, (Status::False, reason, message));
    }

    #[test]
    fn what_kubernetes_says_of_a_chassis_has_a_reason_and_a_message() {
        let claims = |chassis| NodeFacts {
            chassis,
            ..NodeFacts::default()
        };
        let unavailable = NodeFacts {
            network_unavailable: true,
            ..mk_facts()
        };
        let half = Agents {
            ovs: AgentState::NotReady,
            ..READY
        };
        for (facts, agents, reason, message) in [
            (
                &claims(ChassisClaim::Missing),
                READY,
                "ChassisNotRegistered",
                "the node has no annotation that names its chassis",
            ),
            (
                &claims(ChassisClaim::Malformed("el9\\n".into())),
                READY,
                "ChassisNotRegistered",
                "the node's annotation names no chassis: \"el9\\n\" is no UUID",
            ),
            (
                &unavailable,
                Agents::default(),
                "AgentsNotReady",
                "not running or not Ready: ovs-ovn, kube-ovn-cni",
            ),
            (
                &unavailable,
                half,
                "AgentsNotReady",
                "not running or not Ready: ovs-ovn",
            ),
            (
                &unavailable,
                READY,
                "NetworkUnavailable",
                "the node's condition NetworkUnavailable is True",
            ),
        ] {
            check_bad(facts, agents, Southbound::Unknown, reason, message);
        }
    }

    #[test]
    fn what_the_southbound_database_says_of_a_chassis_has_a_reason_and_a_message() {
        let row = Southbound::Chassis;
        for (southbound, reason, message) in [
            (
                Southbound::NoChassis,
                "ChassisNotRegistered",
                "the southbound database has no chassis 0000000a",
            ),
            (
                row(ChassisRow {
                    identity: ChassisIdentity::Remote,
                    ..GOOD
                }),
                "ChassisIdentityMismatch",
                "the chassis is one of another availability zone (other_config:is-remote)",
            ),
            (
                row(ChassisRow {
                    identity: ChassisIdentity::RemoteRival,
                    ..GOOD
                }),
                "ChassisIdentityMismatch",
                "OVN finds a chassis of another availability zone under this node's hostname",
            ),
            (
                row(ChassisRow {
                    identity: ChassisIdentity::OtherHost,
                    ..GOOD
                }),
                "ChassisIdentityMismatch",
                "the chassis has the hostname of another node",
            ),
            (
                row(ChassisRow {
                    identity: ChassisIdentity::Rival,
                    ..GOOD
                }),
                "ChassisIdentityMismatch",
                "another chassis has this node's hostname as well",
            ),
            (
                row(ChassisRow {
                    has_tunnel: false,
                    ..GOOD
                }),
                "ChassisNoTunnelEndpoint",
                "the chassis has no address for tunnels",
            ),
            (
                behind(31),
                "ChassisNotResponding",
                "the chassis is behind the southbound database for too long",
            ),
            (
                Southbound::Stale,
                "SouthboundOutOfReach",
                "the southbound database is out of reach, and nobody passes (onStale: Reject)",
            ),
        ] {
            check_bad(&mk_facts(), READY, southbound, reason, message);
        }
        let text = "the OVN chassis can take over a VM's network";
        for southbound in [row(GOOD), behind(30), Southbound::Unknown] {
            let condition = judge(&mk_facts(), READY, southbound);
            check(&condition, (Status::True, "ChassisReady", text));
        }
    }

    #[test]
    fn the_agents_that_are_named_are_those_of_the_network_provider() {
        let policy = Policy {
            provider: Provider::OvnKubernetes,
            ..Policy::default()
        };
        let connected = Agents {
            ovnkube_node: AgentState::Ready,
            ..Agents::default()
        };
        let judge = |agents| {
            let candidate = Candidate {
                name: "a",
                facts: &mk_facts(),
                agents,
                southbound: Southbound::Unknown,
            };
            condition(&policy, FLEET, &candidate, None)
        };
        assert_eq!(judge(connected), ready(&policy, FLEET));
        let lacking = "not running or not Ready: ovnkube-node";
        check(&judge(READY), (Status::False, "AgentsNotReady", lacking));
    }

    #[test]
    fn an_agent_that_is_seen_nowhere_is_not_named() {
        let nothing = Agents::default();
        for (seen, message) in [
            (&[][..], None),
            (
                &[Agent::Cni],
                Some("not running or not Ready: kube-ovn-cni"),
            ),
            (&[Agent::Ovs], Some("not running or not Ready: ovs-ovn")),
        ] {
            let fleet = Fleet {
                agents_seen: seen.iter().copied().collect(),
                ..FLEET
            };
            let candidate = Candidate {
                name: "a",
                facts: &mk_facts(),
                agents: nothing,
                southbound: Southbound::Unknown,
            };
            let policy = Policy::default();
            let condition = condition(&policy, fleet, &candidate, None);
            match message {
                Some(message) => check(&condition, (Status::False, "AgentsNotReady", message)),
                None => assert_eq!(condition, ready(&policy, fleet)),
            }
        }
    }

    #[test]
    fn a_chassis_that_did_not_respond_stays_so_for_whoever_can_not_tell_yet() {
        let late = judge(&mk_facts(), READY, behind(31));
        let seen = |behind: Option<u64>, seen_for| {
            Southbound::Chassis(ChassisRow {
                behind: behind.map(Duration::from_secs),
                seen_for: Duration::from_secs(seen_for),
                ..GOOD
            })
        };
        let after_late = |southbound| judge_after(Some(&late), &mk_facts(), READY, southbound);
        for (southbound, expect) in [
            // It is as old as the replica that looks.
            (seen(Some(1), 1), Status::False),
            (seen(Some(30), 30), Status::False),
            (seen(None, 1), Status::True),
            // It has answered in the time in which it was seen.
            (seen(Some(29), 31), Status::True),
            (seen(Some(31), 31), Status::False),
        ] {
            assert_eq!(after_late(southbound).status, expect, "{southbound:?}");
        }
        let other = after_late(Southbound::NoChassis);
        assert_eq!(other.reason, "ChassisNotRegistered");
        // What else was wrong is over, and a chassis may be behind for a moment.
        let good = judge_after(Some(&other), &mk_facts(), READY, seen(Some(1), 1));
        assert_eq!(good.status, Status::True);

        let unchecked = Policy {
            checks: Reasons::default(),
            ..Policy::default()
        };
        let candidate = Candidate {
            name: "el9-1",
            facts: &mk_facts(),
            agents: READY,
            southbound: seen(Some(1), 1),
        };
        let unchecked = condition(&unchecked, FLEET, &candidate, Some(&late));
        assert_eq!(unchecked.status, Status::True);
    }

    #[test]
    fn a_lag_that_is_held_leaves_a_condition_as_it_was() {
        let held = Southbound::Chassis(ChassisRow {
            behind: Some(Duration::from_secs(31)),
            is_held: true,
            ..GOOD
        });
        let good = judge(&mk_facts(), READY, Southbound::Chassis(GOOD));
        let late = judge(&mk_facts(), READY, behind(31));
        for (before, expect) in [(None, &good), (Some(&good), &good), (Some(&late), &late)] {
            let condition = judge_after(before, &mk_facts(), READY, held);
            assert_eq!(&condition, expect, "{before:?}");
        }
    }

    #[test]
    fn chassis_that_do_not_report_their_lag_are_ready_with_what_that_leaves_open() {
        let unreported = Fleet {
            lag_reported: false,
            ..FLEET
        };
        let candidate = Candidate {
            name: "el9-1",
            facts: &mk_facts(),
            agents: READY,
            southbound: behind(3600),
        };
        let judge = |policy: &Policy, published: Option<&ChassisReady>| {
            condition(policy, unreported, &candidate, published)
        };
        let late = judge_after(None, &mk_facts(), READY, behind(31));
        let open =
            "the OVN chassis can take over a VM's network; OVN does not report whether it responds";
        let whole = Policy::default();
        for published in [None, Some(&late)] {
            let condition = judge(&whole, published);
            check(&condition, (Status::True, "ChassisReady", open));
        }
        // What berth was told not to check is left open by nothing.
        let unchecked = Policy {
            checks: Reason::ALL
                .into_iter()
                .fold(Reasons::default(), |checks, check| {
                    checks.with(check, check != Reason::ChassisNotResponding)
                }),
            ..Policy::default()
        };
        assert_eq!(judge(&unchecked, None), ready(&unchecked, FLEET));
        // The words stay while nothing is seen of the database.
        let published = judge(&whole, None);
        let out_of_sight = judge_after(Some(&published), &mk_facts(), READY, Southbound::LeftOut);
        assert_eq!(out_of_sight, published);
    }

    #[test]
    fn a_database_out_of_sight_leaves_what_was_good_and_makes_the_rest_unknown() {
        let good = judge(&mk_facts(), READY, Southbound::Chassis(GOOD));
        let bad = judge(&mk_facts(), READY, Southbound::NoChassis);
        let unknown = judge(&mk_facts(), READY, Southbound::LeftOut);
        check(
            &unknown,
            (
                Status::Unknown,
                "SouthboundOutOfReach",
                "the southbound database is out of reach, and its checks are left out",
            ),
        );
        for (before, agents, expect) in [
            (&good, READY, Status::True),
            (&bad, READY, Status::Unknown),
            (&unknown, READY, Status::Unknown),
            (&good, Agents::default(), Status::False),
        ] {
            let condition = judge_after(Some(before), &mk_facts(), agents, Southbound::LeftOut);
            assert_eq!(condition.status, expect, "{before:?}");
        }
    }
}

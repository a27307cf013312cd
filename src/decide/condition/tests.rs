//! The node condition for every verdict, and what it keeps.

use super::*;
use crate::decide::checks::CheckSet;
use crate::decide::tests::{CLUSTER, GOOD};
use crate::domain::{AgentState, Agents, ChassisRow, NodeFacts, Provider};
use std::time::Duration;

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
    let cluster = ClusterCapabilities {
        southbound_counts: !matches!(southbound, Southbound::Unknown | Southbound::Stale),
        ..CLUSTER
    };
    let candidate = Candidate {
        name: "el9-1",
        facts,
        agents,
        southbound,
    };
    condition(&Policy::default(), cluster, &candidate, published)
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
            "the node's annotation does not name a chassis: \"el9\\n\" is not a UUID",
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
            "ChassisIdentity",
            "the chassis is one of another availability zone (other_config:is-remote)",
        ),
        (
            row(ChassisRow {
                identity: ChassisIdentity::RemoteRival,
                ..GOOD
            }),
            "ChassisIdentity",
            "OVN finds a chassis of another availability zone under this node's hostname",
        ),
        (
            row(ChassisRow {
                identity: ChassisIdentity::OtherHost,
                ..GOOD
            }),
            "ChassisIdentity",
            "the chassis has the hostname of another node",
        ),
        (
            row(ChassisRow {
                identity: ChassisIdentity::Rival,
                ..GOOD
            }),
            "ChassisIdentity",
            "another chassis has this node's hostname as well",
        ),
        (
            row(ChassisRow {
                has_tunnel: false,
                ..GOOD
            }),
            "ChassisNoTunnel",
            "the chassis has no address for tunnels",
        ),
        (
            behind(31),
            "ChassisNotResponding",
            "the chassis has been behind the southbound database for too long",
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
        condition(&policy, CLUSTER, &candidate, None)
    };
    assert_eq!(judge(connected), ready(&policy, CLUSTER));
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
        let cluster = ClusterCapabilities {
            agents_seen: seen.iter().copied().collect(),
            ..CLUSTER
        };
        let candidate = Candidate {
            name: "a",
            facts: &mk_facts(),
            agents: nothing,
            southbound: Southbound::Unknown,
        };
        let policy = Policy::default();
        let condition = condition(&policy, cluster, &candidate, None);
        match message {
            Some(message) => check(&condition, (Status::False, "AgentsNotReady", message)),
            None => assert_eq!(condition, ready(&policy, cluster)),
        }
    }
}

#[test]
fn a_new_replica_keeps_chassis_not_responding_until_it_can_tell() {
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
        checks: CheckSet::default(),
        ..Policy::default()
    };
    let candidate = Candidate {
        name: "el9-1",
        facts: &mk_facts(),
        agents: READY,
        southbound: seen(Some(1), 1),
    };
    let unchecked = condition(&unchecked, CLUSTER, &candidate, Some(&late));
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
    let unreported = ClusterCapabilities {
        lag_reported: false,
        ..CLUSTER
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
        checks: CheckSet::ALL.without(Check::ChassisNotResponding),
        ..Policy::default()
    };
    assert_eq!(judge(&unchecked, None), ready(&unchecked, CLUSTER));
    // The words stay while nothing is seen of the database.
    let published = judge(&whole, None);
    let out_of_sight = judge_after(Some(&published), &mk_facts(), READY, Southbound::Stale);
    assert_eq!(out_of_sight, published);
}

#[test]
fn a_stale_database_makes_every_node_not_ready_where_it_rejects() {
    let policy = Policy {
        checks: CheckSet::ALL,
        ..Policy::default()
    };
    let cluster = ClusterCapabilities {
        southbound_counts: false,
        ..CLUSTER
    };
    let facts = mk_facts();
    let candidate = Candidate {
        name: "el9-1",
        facts: &facts,
        agents: READY,
        southbound: Southbound::Stale,
    };
    check(
        &condition(&policy, cluster, &candidate, None),
        (
            Status::False,
            "SouthboundOutOfReach",
            "the southbound database is out of reach, and every node is rejected (onStale: Reject)",
        ),
    );
}

#[test]
fn a_database_out_of_sight_leaves_what_was_good_and_makes_the_rest_unknown() {
    let good = judge(&mk_facts(), READY, Southbound::Chassis(GOOD));
    let bad = judge(&mk_facts(), READY, Southbound::NoChassis);
    let unknown = judge(&mk_facts(), READY, Southbound::Stale);
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
        let condition = judge_after(Some(before), &mk_facts(), agents, Southbound::Stale);
        assert_eq!(condition.status, expect, "{before:?}");
    }
}

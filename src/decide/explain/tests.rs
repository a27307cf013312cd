//! The details of every check and score.

use super::*;
use crate::domain::{Agent, AgentState, Agents, ChassisRow, MachineTypes, NodeFacts, Southbound};
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
fn check(facts: &NodeFacts, southbound: Southbound, checks: &[Check], expect: &str) {
    let explained = Explained {
        candidate: Candidate {
            name: "el9-1",
            facts,
            agents: AGENTS,
            southbound,
        },
        verdict: Verdict {
            failed: checks.iter().copied().collect(),
        },
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
            verdict: Verdict {
                failed: [Check::AgentsNotReady].into_iter().collect(),
            },
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
        &Check::ALL,
        "el9-1: migration_source, machine_type (no labels), chassis_not_registered (annotation missing), chassis_identity (it has the hostname of another node), chassis_no_tunnel, agents_not_ready (ovs-ovn not ready, kube-ovn-cni ready), network_unavailable, chassis_not_responding (behind for 41 s), southbound_out_of_reach",
    );
    check(
        &NodeFacts {
            machine_types: ["q35", "pc"].into_iter().collect(),
            chassis: ChassisClaim::Malformed("el9\\n".into()),
            network_unavailable: false,
            published: None,
        },
        Southbound::Unknown,
        &[Check::MachineType, Check::ChassisNotRegistered],
        "el9-1: machine_type (has pc q35), chassis_not_registered (annotation \"el9\\n\" is not a UUID)",
    );
    check(
        &NodeFacts {
            machine_types: MachineTypes::labelled::<&str>([]),
            ..NodeFacts::default()
        },
        Southbound::Unknown,
        &[Check::MachineType],
        "el9-1: machine_type (no label is true)",
    );
    check(
        &NodeFacts {
            chassis: ChassisClaim::Registered("0000000a".into()),
            ..NodeFacts::default()
        },
        Southbound::NoChassis,
        &[Check::ChassisNotRegistered],
        "el9-1: chassis_not_registered (no chassis 0000000a)",
    );
    check(
        &NodeFacts::default(),
        Southbound::Stale,
        &[Check::SouthboundOutOfReach],
        "el9-1: southbound_out_of_reach",
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
            &[Check::ChassisIdentity],
            expect,
        );
    }
}

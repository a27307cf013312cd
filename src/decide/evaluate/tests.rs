//! Each check, on nodes that differ by one thing from one with everything in order.

use std::time::Duration;

use super::*;
use crate::decide::policy::{ALLOWED_LAG, WhenUnseen};
use crate::decide::tests::{CLUSTER, GOOD};
use crate::domain::AgentState::{self, Missing, NotReady, Ready};
use crate::domain::{Agent, ChassisClaim, ChassisRow, Provider};

const WANTED: &str = "pc-q35-rhel9.2.0";
const HOPELESS: ChassisRow = ChassisRow {
    identity: ChassisIdentity::Remote,
    has_tunnel: false,
    behind: Some(Duration::MAX),
    is_held: false,
    seen_for: Duration::MAX,
};

fn mk_node(machine_types: &[&str]) -> NodeFacts {
    NodeFacts {
        machine_types: machine_types.iter().copied().collect::<MachineTypes>(),
        chassis: ChassisClaim::Registered("00000001-1111-4222-8333-444455556666".into()),
        network_unavailable: false,
        published: None,
    }
}

fn mk_agents(ovs: AgentState, cni: AgentState) -> Agents {
    Agents {
        ovs,
        cni,
        ..Agents::default()
    }
}

/// Judges one node with everything else in order.
struct Case<'a> {
    policy: Policy,
    cluster: ClusterCapabilities,
    reason: SchedulingReason,
    source: Option<&'a str>,
    machine_type: Option<MachineType>,
    name: &'a str,
    node: NodeFacts,
    agents: Agents,
    southbound: Southbound,
}

impl Default for Case<'_> {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            cluster: CLUSTER,
            reason: SchedulingReason::MigrationTarget,
            source: Some("el9-0"),
            machine_type: Some(MachineType::new(WANTED)),
            name: "el9-1",
            node: mk_node(&[WANTED]),
            agents: mk_agents(Ready, Ready),
            southbound: Southbound::Chassis(GOOD),
        }
    }
}

#[track_caller]
fn check(case: &Case<'_>, expect: &[Check]) {
    let origin = Origin {
        node: case.source,
        machine_type: case.machine_type.as_ref(),
    };
    let mut evaluator = Evaluator::for_vm(&case.policy, case.cluster, case.reason, origin);
    let verdict = evaluator.evaluate(&Candidate {
        name: case.name,
        facts: &case.node,
        agents: case.agents,
        southbound: case.southbound,
    });
    assert_eq!(verdict.failed.iter().collect::<Vec<_>>(), expect);
    assert_eq!(verdict.fits(), expect.is_empty());
}

#[test]
fn only_launchers_of_a_migration_are_guarded_unless_launches_are_too() {
    use SchedulingReason::{Launch, MigrationTarget};
    for (launcher, migration, default, with_launches) in [
        (true, true, Some(MigrationTarget), Some(MigrationTarget)),
        (true, false, None, Some(Launch)),
        // A hot-plug attachment pod carries the migration's labels.
        (false, true, None, None),
        (false, false, None, None),
    ] {
        let launches = Policy {
            launches: true,
            ..Policy::default()
        };
        assert_eq!(
            SchedulingReason::of(launcher, migration, &Policy::default()),
            default
        );
        assert_eq!(
            SchedulingReason::of(launcher, migration, &launches),
            with_launches
        );
    }
}

#[test]
fn a_node_with_everything_in_order_passes() {
    check(&Case::default(), &[]);
}

#[test]
fn the_source_node_is_rejected_for_a_migration_and_not_for_a_launch() {
    let source = |reason| Case {
        reason,
        name: "el9-0",
        ..Case::default()
    };
    check(
        &source(SchedulingReason::MigrationTarget),
        &[Check::MigrationSource],
    );
    check(&source(SchedulingReason::Launch), &[]);
}

#[test]
fn a_vm_that_runs_nowhere_in_the_cluster_has_no_source() {
    check(
        &Case {
            name: "el9-0",
            source: None,
            ..Case::default()
        },
        &[],
    );
}

#[test]
fn the_machine_type_must_be_among_the_nodes_labels() {
    let node = |types: &[&str]| Case {
        node: mk_node(types),
        ..Case::default()
    };
    check(&node(&["pc-q35-rhel10.0.0"]), &[Check::MachineType]);
    // A longer or shorter name is another machine type.
    check(
        &node(&["pc-q35-rhel9.2.00", "pc-q35"]),
        &[Check::MachineType],
    );
    check(&node(&["pc", WANTED, "q35"]), &[]);
}

#[test]
fn a_vmi_without_a_known_machine_type_passes_the_check() {
    check(
        &Case {
            machine_type: None,
            node: mk_node(&[]),
            ..Case::default()
        },
        &[],
    );
}

#[test]
fn a_machine_type_that_no_label_can_name_is_supported_by_no_labelled_node() {
    let labelled = Case {
        machine_type: Some(MachineType::Unsupported),
        ..Case::default()
    };
    check(&labelled, &[Check::MachineType]);
    let unlabelled = Case {
        machine_type: Some(MachineType::Unsupported),
        node: mk_node(&[]),
        ..Case::default()
    };
    check(&unlabelled, &[Check::MachineType]);
}

#[test]
fn an_equivalent_label_satisfies_the_machine_type() {
    let policy = Policy {
        equivalents: [(WANTED.into(), vec!["pc-q35-rhel9.2.1".into()])].into(),
        ..Policy::default()
    };
    let node = |types: &[&str]| Case {
        policy: policy.clone(),
        node: mk_node(types),
        ..Case::default()
    };
    check(&node(&["pc-q35-rhel9.2.1"]), &[]);
    check(&node(&[WANTED]), &[]);
    check(&node(&["pc-q35-rhel10.0.0"]), &[Check::MachineType]);
}

#[test]
fn an_unlabelled_node_is_judged_as_configured() {
    use WhenUnlabelled::{Allow, Auto, Exclude};
    for (when_unlabelled, machine_types_seen, expect) in [
        (Auto, true, &[Check::MachineType][..]),
        (Auto, false, &[]),
        (Exclude, true, &[Check::MachineType]),
        (Exclude, false, &[Check::MachineType]),
        (Allow, true, &[]),
        (Allow, false, &[]),
    ] {
        check(
            &Case {
                policy: Policy {
                    when_unlabelled,
                    ..Policy::default()
                },
                cluster: ClusterCapabilities {
                    machine_types_seen,
                    ..CLUSTER
                },
                node: mk_node(&[]),
                ..Case::default()
            },
            expect,
        );
    }
}

#[test]
fn a_node_whose_labels_are_all_false_counts_as_labelled() {
    use WhenUnlabelled::{Allow, Auto, Exclude};
    for when_unlabelled in [Auto, Exclude, Allow] {
        check(
            &Case {
                policy: Policy {
                    when_unlabelled,
                    ..Policy::default()
                },
                node: NodeFacts {
                    machine_types: MachineTypes::labelled::<&str>([]),
                    ..mk_node(&[])
                },
                ..Case::default()
            },
            &[Check::MachineType],
        );
    }
}

#[test]
fn a_node_without_a_chassis_is_rejected() {
    for claim in [
        ChassisClaim::Missing,
        ChassisClaim::Malformed("el9-1".into()),
    ] {
        check(
            &Case {
                node: NodeFacts {
                    chassis: claim,
                    ..mk_node(&[WANTED])
                },
                ..Case::default()
            },
            &[Check::ChassisNotRegistered],
        );
    }
}

#[test]
fn the_state_of_its_chassis_in_the_southbound_database_rejects_a_node() {
    let lag = ALLOWED_LAG;
    let more = lag + Duration::from_millis(1);
    for (southbound, expect) in [
        (Southbound::Unknown, &[][..]),
        (Southbound::Stale, &[]),
        (Southbound::NoChassis, &[Check::ChassisNotRegistered]),
        (Southbound::Chassis(GOOD), &[]),
        (
            Southbound::Chassis(ChassisRow {
                identity: ChassisIdentity::Remote,
                ..GOOD
            }),
            &[Check::ChassisIdentity],
        ),
        (
            Southbound::Chassis(ChassisRow {
                identity: ChassisIdentity::OtherHost,
                ..GOOD
            }),
            &[Check::ChassisIdentity],
        ),
        (
            Southbound::Chassis(ChassisRow {
                identity: ChassisIdentity::Rival,
                ..GOOD
            }),
            &[Check::ChassisIdentity],
        ),
        (
            Southbound::Chassis(ChassisRow {
                identity: ChassisIdentity::RemoteRival,
                ..GOOD
            }),
            &[Check::ChassisIdentity],
        ),
        (
            Southbound::Chassis(ChassisRow {
                has_tunnel: false,
                ..GOOD
            }),
            &[Check::ChassisNoTunnel],
        ),
        (
            Southbound::Chassis(ChassisRow {
                behind: Some(lag),
                ..GOOD
            }),
            &[],
        ),
        (
            Southbound::Chassis(ChassisRow {
                behind: Some(more),
                ..GOOD
            }),
            &[Check::ChassisNotResponding],
        ),
        (
            Southbound::Chassis(ChassisRow {
                behind: Some(more),
                is_held: true,
                ..GOOD
            }),
            &[],
        ),
    ] {
        check(
            &Case {
                southbound,
                ..Case::default()
            },
            expect,
        );
    }
}

#[test]
fn a_stale_southbound_database_rejects_every_node_where_the_policy_says_so() {
    for (checks, expect) in [
        (Policy::default().checks, &[][..]),
        (CheckSet::ALL, &[Check::SouthboundOutOfReach]),
        (
            CheckSet::ALL.without(Check::ChassisNotResponding),
            &[Check::SouthboundOutOfReach],
        ),
    ] {
        check(
            &Case {
                policy: Policy {
                    checks,
                    ..Policy::default()
                },
                cluster: ClusterCapabilities {
                    southbound_counts: false,
                    lag_reported: false,
                    ..CLUSTER
                },
                southbound: Southbound::Stale,
                ..Case::default()
            },
            expect,
        );
    }
}

#[test]
fn a_southbound_database_that_does_not_count_rejects_no_node() {
    check(
        &Case {
            cluster: ClusterCapabilities {
                southbound_counts: false,
                ..CLUSTER
            },
            southbound: Southbound::Chassis(HOPELESS),
            ..Case::default()
        },
        &[],
    );
}

#[test]
fn a_lag_that_chassis_do_not_report_rejects_no_node_and_turns_the_check_off_alone() {
    let cluster = ClusterCapabilities {
        lag_reported: false,
        ..CLUSTER
    };
    let active = Policy::default().active_checks(cluster);
    let all = Policy::default().checks;
    assert_eq!(active, all.without(Check::ChassisNotResponding));
    check(
        &Case {
            cluster,
            southbound: Southbound::Chassis(HOPELESS),
            ..Case::default()
        },
        &[Check::ChassisIdentity, Check::ChassisNoTunnel],
    );
}

#[test]
fn both_agents_must_be_ready() {
    for (ovs, cni, expect) in [
        (Ready, Ready, &[][..]),
        (NotReady, Ready, &[Check::AgentsNotReady]),
        (Missing, Ready, &[Check::AgentsNotReady]),
        (Ready, NotReady, &[Check::AgentsNotReady]),
        (Ready, Missing, &[Check::AgentsNotReady]),
        (Missing, Missing, &[Check::AgentsNotReady]),
    ] {
        check(
            &Case {
                agents: mk_agents(ovs, cni),
                ..Case::default()
            },
            expect,
        );
    }
}

#[test]
fn a_node_needs_the_agents_of_its_own_network_provider_and_no_others() {
    use Provider::{KubeOvn, OvnKubernetes};
    let none = Agents::default();
    let kube_ovns = mk_agents(Ready, Ready);
    let ovnkube_node = |state| Agents {
        ovnkube_node: state,
        ..none
    };
    for (provider, agents, expect) in [
        (KubeOvn, kube_ovns, &[][..]),
        (KubeOvn, ovnkube_node(Ready), &[Check::AgentsNotReady]),
        (OvnKubernetes, ovnkube_node(Ready), &[]),
        (
            OvnKubernetes,
            ovnkube_node(NotReady),
            &[Check::AgentsNotReady],
        ),
        (OvnKubernetes, kube_ovns, &[Check::AgentsNotReady]),
        (OvnKubernetes, none, &[Check::AgentsNotReady]),
    ] {
        check(
            &Case {
                policy: Policy {
                    provider,
                    ..Policy::default()
                },
                agents,
                ..Case::default()
            },
            expect,
        );
    }
}

#[test]
fn an_agent_that_is_seen_nowhere_is_required_only_where_configured() {
    use WhenUnseen::{Auto, Exclude};
    let not_ready = &[Check::AgentsNotReady][..];
    let (ovs, cni, other) = (Agent::Ovs, Agent::Cni, Agent::OvnkubeNode);
    for (seen, (on_ovs, on_cni), by_auto, by_exclude) in [
        (&[][..], (Missing, Missing), &[][..], not_ready),
        // Open vSwitch runs on the hosts, outside pods.
        (&[cni], (Missing, Ready), &[], not_ready),
        (&[cni], (Missing, NotReady), not_ready, not_ready),
        (&[cni], (Missing, Missing), not_ready, not_ready),
        (&[ovs], (Ready, Missing), &[], not_ready),
        (&[ovs], (Missing, Missing), not_ready, not_ready),
        (&[ovs, cni], (Missing, Ready), not_ready, not_ready),
        (&[ovs, cni], (Ready, Ready), &[], &[]),
        // Another provider's agent says nothing.
        (&[other], (Missing, Missing), &[], not_ready),
    ] {
        let agents_seen = seen.iter().copied().collect();
        for (when_unseen, expect) in [(Auto, by_auto), (Exclude, by_exclude)] {
            let policy = Policy {
                when_unseen,
                ..Policy::default()
            };
            let cluster = ClusterCapabilities {
                agents_seen,
                ..CLUSTER
            };
            let required = when_unseen == Exclude || seen.iter().any(|agent| *agent != other);
            assert_eq!(
                policy
                    .active_checks(cluster)
                    .contains(Check::AgentsNotReady),
                required,
                "{seen:?} {when_unseen:?}"
            );
            check(
                &Case {
                    policy,
                    cluster,
                    agents: mk_agents(on_ovs, on_cni),
                    ..Case::default()
                },
                expect,
            );
        }
    }
}

#[test]
fn a_node_with_its_network_unavailable_is_rejected() {
    check(
        &Case {
            node: NodeFacts {
                network_unavailable: true,
                ..mk_node(&[WANTED])
            },
            ..Case::default()
        },
        &[Check::NetworkUnavailable],
    );
}

#[test]
fn a_verdict_has_every_failed_check_and_every_check_can_be_turned_off() {
    let hopeless = |policy| Case {
        policy,
        name: "el9-0",
        node: NodeFacts {
            network_unavailable: true,
            ..NodeFacts::default()
        },
        agents: Agents::default(),
        southbound: Southbound::Chassis(HOPELESS),
        ..Case::default()
    };
    let all = Policy::default().checks;
    check(
        &hopeless(Policy::default()),
        &all.iter().collect::<Vec<_>>(),
    );
    for off in all.iter() {
        let policy = Policy {
            checks: all.without(off),
            ..Policy::default()
        };
        let rest: Vec<_> = policy.checks.iter().collect();
        check(&hopeless(policy), &rest);
    }
}

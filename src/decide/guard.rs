//! The guard: may this VM land on that node? One check per reason, each of which the operator can
//! turn off, and every check is made so that all of a node's obstacles are known.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decide::obstacles::Obstacles;
use crate::decide::origin::Origin;
use crate::decide::reason::{Reason, Reasons};
use crate::decide::score::Weights;
use crate::domain::{
    AgentSet, Agents, ChassisIdentity, MachineType, MachineTypes, NodeFacts, Provider, Southbound,
};

/// Whether a node without any machine-type label passes the machine-type check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnlabelled {
    /// It passes where no node of the cluster is labelled (KubeVirt before its labeller wrote
    /// machine types), and is rejected where others are.
    #[default]
    Auto,
    /// It is rejected.
    Exclude,
    /// It passes.
    Allow,
}

/// Whether nodes need an agent that has no pod in the whole cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenUnseen {
    /// They don't: the agent runs elsewhere, or not as a pod.
    #[default]
    Auto,
    /// They do, and are rejected.
    Exclude,
}

/// What the operator wants checked, and how the nodes that pass are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whose agents a node needs.
    pub provider: Provider,
    /// Guard the first launch of a VM like a migration.
    pub launches: bool,
    /// The checks that are made, each by the reason that it gives.
    pub checks: Reasons,
    /// What a node without machine-type labels means.
    pub when_unlabelled: WhenUnlabelled,
    /// For a machine type, the types whose label satisfies it as well.
    pub equivalents: BTreeMap<Box<str>, Vec<Box<str>>>,
    /// What a cluster without any pod of an agent means.
    pub when_unseen: WhenUnseen,
    /// For how long a chassis may be behind the southbound database.
    pub allowed_lag: Duration,
    /// How much each input of a score counts.
    pub weights: Weights,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            provider: Provider::default(),
            launches: false,
            checks: Reasons::all(),
            when_unlabelled: WhenUnlabelled::default(),
            equivalents: BTreeMap::new(),
            when_unseen: WhenUnseen::default(),
            allowed_lag: ALLOWED_LAG,
            weights: Weights::default(),
        }
    }
}

/// The default of [`Policy::allowed_lag`]: a busy ovn-controller takes a few seconds for a large
/// change, a dead one for ever.
pub const ALLOWED_LAG: Duration = Duration::from_secs(30);

/// What is true of the cluster as a whole, and decides whether some checks can be made at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// At least one node carries a machine-type label.
    pub machine_types_seen: bool,
    /// The agents of which at least one pod was seen.
    pub agents_seen: AgentSet,
    /// The southbound database is read, and what was read of it counts.
    pub southbound_counts: bool,
    /// Chassis report how far they are in it, so that one that is behind shows.
    pub lag_reported: bool,
}

/// Why the pod is being scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journey {
    /// The target of a live migration.
    Migration,
    /// The first launch of a VM.
    Launch,
}

impl Journey {
    /// The journey of a pod that berth guards; `None` for every other pod.
    #[must_use]
    pub const fn of(launcher: bool, migration: bool, policy: &Policy) -> Option<Self> {
        match (launcher, migration) {
            (true, true) => Some(Self::Migration),
            (true, false) if policy.launches => Some(Self::Launch),
            (true | false, _) => None,
        }
    }

    /// The name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Migration => "migration",
            Self::Launch => "launch",
        }
    }
}

/// A node that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its facts.
    pub facts: &'a NodeFacts,
    /// Its agents.
    pub agents: Agents,
    /// Its chassis in the southbound database.
    pub southbound: Southbound,
}

/// The checks that apply to one VM in one cluster.
pub struct Guard<'a> {
    policy: &'a Policy,
    fleet: Fleet,
    active: Reasons,
    required_agents: AgentSet,
    source: Option<&'a str>,
    machine_type: Option<&'a MachineType>,
    equivalents: &'a [Box<str>],
    /// The last machine types that were looked at, and what came of it: the next node's are most
    /// often the same.
    last: Option<(MachineTypes, bool)>,
}

impl<'a> Guard<'a> {
    /// The guard of a VM on its journey.
    #[must_use]
    pub fn new(policy: &'a Policy, fleet: Fleet, journey: Journey, origin: Origin<'a>) -> Self {
        let Origin { node, machine_type } = origin;
        let equivalents = machine_type.and_then(|wanted| policy.equivalents.get(wanted.name()?));
        Self {
            source: node.filter(|_| journey == Journey::Migration),
            machine_type,
            equivalents: equivalents.map_or(&[], Vec::as_slice),
            ..Self::of_anybody(policy, fleet)
        }
    }

    /// The guard of a VM of which nothing is known.
    fn of_anybody(policy: &'a Policy, fleet: Fleet) -> Self {
        let active = Reason::ALL
            .into_iter()
            .fold(Reasons::default(), |active, check| {
                active.with(check, is_active(policy, fleet, check))
            });
        Self {
            policy,
            fleet,
            active,
            required_agents: required_agents(policy, fleet),
            source: None,
            machine_type: None,
            equivalents: &[],
            last: None,
        }
    }

    /// Every reason against the candidate; none is a pass.
    #[must_use]
    pub fn judge(&mut self, candidate: &Candidate<'_>) -> Reasons {
        let Candidate {
            name,
            facts,
            agents,
            southbound,
        } = candidate;
        let obstacles = Obstacles::of(facts, *agents);
        self.verdict(name, &facts.machine_types, obstacles, southbound)
    }

    /// Every reason against a node of which these are known.
    #[must_use]
    #[inline]
    pub fn verdict(
        &mut self,
        name: &str,
        machine_types: &MachineTypes,
        obstacles: Obstacles,
        southbound: &Southbound,
    ) -> Reasons {
        let runs = self.runs_machine_type(machine_types);
        let reasons = obstacles
            .where_required(self.required_agents)
            .with(Reason::MigrationSource, self.source == Some(name))
            .with(Reason::MachineType, !runs);
        let reasons = if self.fleet.southbound_counts {
            self.with_southbound(reasons, southbound)
        } else {
            reasons
        };
        reasons.among(self.active)
    }

    fn with_southbound(&self, reasons: Reasons, southbound: &Southbound) -> Reasons {
        match southbound {
            Southbound::Unknown | Southbound::LeftOut => reasons,
            Southbound::Stale => reasons.with(Reason::ChassisNotResponding, true),
            Southbound::NoChassis => reasons.with(Reason::ChassisNotRegistered, true),
            Southbound::Chassis(row) => {
                let behind = row.behind > Some(self.policy.allowed_lag) && !row.is_held;
                reasons
                    .with(
                        Reason::ChassisIdentity,
                        row.identity != ChassisIdentity::Own,
                    )
                    .with(Reason::ChassisNoTunnel, !row.has_tunnel)
                    .with(Reason::ChassisNotResponding, behind)
            }
        }
    }

    #[inline]
    fn runs_machine_type(&mut self, types: &MachineTypes) -> bool {
        match &self.last {
            Some((last, runs)) if last.are_shared_with(types) => *runs,
            Some(_) | None => {
                let runs = self.is_run_by(types);
                self.last = Some((types.clone(), runs));
                runs
            }
        }
    }

    fn is_run_by(&self, types: &MachineTypes) -> bool {
        let Some(wanted) = self.machine_type else {
            return true;
        };
        if !types.is_labelled() {
            return match self.policy.when_unlabelled {
                WhenUnlabelled::Auto => !self.fleet.machine_types_seen,
                WhenUnlabelled::Exclude => false,
                WhenUnlabelled::Allow => true,
            };
        }
        let MachineType::Named(wanted) = wanted else {
            return false;
        };
        types.contains(wanted) || self.equivalents.iter().any(|other| types.contains(other))
    }
}

/// What keeps a node from taking over the network of any VM.
#[must_use]
pub fn chassis_obstacles(policy: &Policy, fleet: Fleet, candidate: &Candidate<'_>) -> Reasons {
    Guard::of_anybody(policy, fleet).judge(candidate)
}

/// The agents that a node needs: those of its provider that are seen anywhere in the cluster, or all
/// of them where the operator says so. An agent that is seen nowhere says nothing of any node.
#[must_use]
pub fn required_agents(policy: &Policy, fleet: Fleet) -> AgentSet {
    let is_required = |agent: &_| match policy.when_unseen {
        WhenUnseen::Auto => fleet.agents_seen.contains(*agent),
        WhenUnseen::Exclude => true,
    };
    let agents = policy.provider.agents().iter().copied();
    agents.filter(is_required).collect()
}

/// Whether a check can reject any node of this cluster: it is not turned off, and the cluster shows
/// what it looks at.
#[must_use]
pub fn is_active(policy: &Policy, fleet: Fleet, check: Reason) -> bool {
    let shown = match check {
        Reason::MachineType => {
            fleet.machine_types_seen || policy.when_unlabelled == WhenUnlabelled::Exclude
        }
        Reason::AgentsNotReady => !required_agents(policy, fleet).is_empty(),
        Reason::MigrationSource | Reason::ChassisNotRegistered | Reason::NetworkUnavailable => true,
        Reason::ChassisIdentity | Reason::ChassisNoTunnel => fleet.southbound_counts,
        Reason::ChassisNotResponding => fleet.southbound_counts && fleet.lag_reported,
    };
    shown && policy.checks.contains(check)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AgentState::{self, Missing, NotReady, Ready};
    use crate::domain::{Agent, ChassisClaim, ChassisRow, MachineTypes};

    const WANTED: &str = "pc-q35-rhel9.2.0";
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
        seen_for: Duration::MAX,
    };

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
        fleet: Fleet,
        journey: Journey,
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
                fleet: FLEET,
                journey: Journey::Migration,
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
    fn check(case: &Case<'_>, expect: &[Reason]) {
        let origin = Origin {
            node: case.source,
            machine_type: case.machine_type.as_ref(),
        };
        let mut guard = Guard::new(&case.policy, case.fleet, case.journey, origin);
        let reasons = guard.judge(&Candidate {
            name: case.name,
            facts: &case.node,
            agents: case.agents,
            southbound: case.southbound,
        });
        assert_eq!(reasons.iter().collect::<Vec<_>>(), expect);
        assert_eq!(reasons.is_empty(), expect.is_empty());
    }

    #[test]
    fn only_launchers_of_a_migration_are_guarded_unless_launches_are_too() {
        use Journey::{Launch, Migration};
        for (launcher, migration, default, with_launches) in [
            (true, true, Some(Migration), Some(Migration)),
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
                Journey::of(launcher, migration, &Policy::default()),
                default
            );
            assert_eq!(Journey::of(launcher, migration, &launches), with_launches);
        }
    }

    #[test]
    fn a_node_with_everything_in_order_passes() {
        check(&Case::default(), &[]);
    }

    #[test]
    fn the_source_node_is_rejected_for_a_migration_and_not_for_a_launch() {
        let source = |journey| Case {
            journey,
            name: "el9-0",
            ..Case::default()
        };
        check(&source(Journey::Migration), &[Reason::MigrationSource]);
        check(&source(Journey::Launch), &[]);
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
        check(&node(&["pc-q35-rhel10.0.0"]), &[Reason::MachineType]);
        // A longer or shorter name is another machine type.
        check(
            &node(&["pc-q35-rhel9.2.00", "pc-q35"]),
            &[Reason::MachineType],
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
        check(&labelled, &[Reason::MachineType]);
        let unlabelled = Case {
            machine_type: Some(MachineType::Unsupported),
            node: mk_node(&[]),
            ..Case::default()
        };
        check(&unlabelled, &[Reason::MachineType]);
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
        check(&node(&["pc-q35-rhel10.0.0"]), &[Reason::MachineType]);
    }

    #[test]
    fn an_unlabelled_node_is_judged_as_configured() {
        use WhenUnlabelled::{Allow, Auto, Exclude};
        for (when_unlabelled, machine_types_seen, expect) in [
            (Auto, true, &[Reason::MachineType][..]),
            (Auto, false, &[]),
            (Exclude, true, &[Reason::MachineType]),
            (Exclude, false, &[Reason::MachineType]),
            (Allow, true, &[]),
            (Allow, false, &[]),
        ] {
            check(
                &Case {
                    policy: Policy {
                        when_unlabelled,
                        ..Policy::default()
                    },
                    fleet: Fleet {
                        machine_types_seen,
                        ..FLEET
                    },
                    node: mk_node(&[]),
                    ..Case::default()
                },
                expect,
            );
        }
    }

    #[test]
    fn a_node_whose_labels_name_no_supported_type_is_labelled_all_the_same() {
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
                &[Reason::MachineType],
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
                &[Reason::ChassisNotRegistered],
            );
        }
    }

    #[test]
    fn what_the_southbound_database_says_of_a_chassis_is_held_against_its_node() {
        let lag = ALLOWED_LAG;
        let more = lag + Duration::from_millis(1);
        for (southbound, expect) in [
            (Southbound::Unknown, &[][..]),
            (Southbound::Stale, &[Reason::ChassisNotResponding]),
            (Southbound::NoChassis, &[Reason::ChassisNotRegistered]),
            (Southbound::Chassis(GOOD), &[]),
            (
                Southbound::Chassis(ChassisRow {
                    identity: ChassisIdentity::Remote,
                    ..GOOD
                }),
                &[Reason::ChassisIdentity],
            ),
            (
                Southbound::Chassis(ChassisRow {
                    identity: ChassisIdentity::OtherHost,
                    ..GOOD
                }),
                &[Reason::ChassisIdentity],
            ),
            (
                Southbound::Chassis(ChassisRow {
                    identity: ChassisIdentity::Rival,
                    ..GOOD
                }),
                &[Reason::ChassisIdentity],
            ),
            (
                Southbound::Chassis(ChassisRow {
                    identity: ChassisIdentity::RemoteRival,
                    ..GOOD
                }),
                &[Reason::ChassisIdentity],
            ),
            (
                Southbound::Chassis(ChassisRow {
                    has_tunnel: false,
                    ..GOOD
                }),
                &[Reason::ChassisNoTunnel],
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
                &[Reason::ChassisNotResponding],
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
    fn a_southbound_database_that_does_not_count_is_held_against_nobody() {
        check(
            &Case {
                fleet: Fleet {
                    southbound_counts: false,
                    ..FLEET
                },
                southbound: Southbound::Chassis(HOPELESS),
                ..Case::default()
            },
            &[],
        );
    }

    #[test]
    fn a_lag_that_chassis_do_not_report_rejects_no_node_and_turns_the_check_off_alone() {
        let fleet = Fleet {
            lag_reported: false,
            ..FLEET
        };
        let checks = Reason::ALL.into_iter();
        let off = checks.filter(|check| !is_active(&Policy::default(), fleet, *check));
        assert_eq!(off.collect::<Vec<_>>(), [Reason::ChassisNotResponding]);
        check(
            &Case {
                fleet,
                southbound: Southbound::Chassis(HOPELESS),
                ..Case::default()
            },
            &[Reason::ChassisIdentity, Reason::ChassisNoTunnel],
        );
    }

    #[test]
    fn both_agents_must_be_ready() {
        for (ovs, cni, expect) in [
            (Ready, Ready, &[][..]),
            (NotReady, Ready, &[Reason::AgentsNotReady]),
            (Missing, Ready, &[Reason::AgentsNotReady]),
            (Ready, NotReady, &[Reason::AgentsNotReady]),
            (Ready, Missing, &[Reason::AgentsNotReady]),
            (Missing, Missing, &[Reason::AgentsNotReady]),
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
            (KubeOvn, ovnkube_node(Ready), &[Reason::AgentsNotReady]),
            (OvnKubernetes, ovnkube_node(Ready), &[]),
            (
                OvnKubernetes,
                ovnkube_node(NotReady),
                &[Reason::AgentsNotReady],
            ),
            (OvnKubernetes, kube_ovns, &[Reason::AgentsNotReady]),
            (OvnKubernetes, none, &[Reason::AgentsNotReady]),
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
        let not_ready = &[Reason::AgentsNotReady][..];
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
                let fleet = Fleet {
                    agents_seen,
                    ..FLEET
                };
                let required = when_unseen == Exclude || seen.iter().any(|agent| *agent != other);
                assert_eq!(
                    is_active(&policy, fleet, Reason::AgentsNotReady),
                    required,
                    "{seen:?} {when_unseen:?}"
                );
                check(
                    &Case {
                        policy,
                        fleet,
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
            &[Reason::NetworkUnavailable],
        );
    }

    #[test]
    fn every_reason_of_a_node_is_found_and_every_check_can_be_turned_off() {
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
        check(&hopeless(Policy::default()), &Reason::ALL);
        for (i, reason) in Reason::ALL.into_iter().enumerate() {
            let policy = Policy {
                checks: Reason::ALL
                    .into_iter()
                    .filter(|check| *check != reason)
                    .fold(Reasons::default(), |set, check| set.with(check, true)),
                ..Policy::default()
            };
            let mut rest = Reason::ALL.to_vec();
            rest.remove(i);
            check(&hopeless(policy), &rest);
        }
    }
}

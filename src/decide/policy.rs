//! What the operator wants checked, and which of that the cluster has the facts for.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decide::checks::{Check, CheckSet, Needs};
use crate::decide::score::Weights;
use crate::domain::{AgentSet, Provider};

/// The default of [`Policy::allowed_lag`]: a busy ovn-controller takes a few seconds for a large
/// change; a dead one never catches up.
pub const ALLOWED_LAG: Duration = Duration::from_secs(30);

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

/// What happens to the creation of a migration that no node can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationAdmission {
    /// It is allowed, with warnings.
    #[default]
    Warn,
    /// It is refused if a user makes it, and allowed with warnings otherwise.
    Deny,
    /// It is allowed, and not judged.
    Off,
}

/// What the operator wants checked, and how the nodes that pass are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The network provider, whose agents a node needs.
    pub provider: Provider,
    /// Guard the first launch of a VM like a migration.
    pub launches: bool,
    /// The checks that are made.
    pub checks: CheckSet,
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
    /// What happens to the creation of a migration that no node can take.
    pub migration_admission: MigrationAdmission,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            provider: Provider::default(),
            launches: false,
            checks: CheckSet::ALL.without(Check::SouthboundOutOfReach),
            when_unlabelled: WhenUnlabelled::default(),
            equivalents: BTreeMap::new(),
            when_unseen: WhenUnseen::default(),
            allowed_lag: ALLOWED_LAG,
            weights: Weights::default(),
            migration_admission: MigrationAdmission::default(),
        }
    }
}

/// What is true of the cluster as a whole, and decides whether some checks can be made at all.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterCapabilities {
    /// At least one node carries a machine-type label.
    pub machine_types_seen: bool,
    /// The agents of which at least one pod was seen.
    pub agents_seen: AgentSet,
    /// berth reads the southbound database.
    pub southbound_configured: bool,
    /// What it has read is not stale.
    pub southbound_counts: bool,
    /// Chassis report their `nb_cfg`, so that their lag is known.
    pub lag_reported: bool,
}

impl Policy {
    /// The agents of the provider that a node needs. With [`WhenUnseen::Auto`], an agent without a
    /// pod anywhere in the cluster is not required; with [`WhenUnseen::Exclude`], every agent is.
    #[must_use]
    pub fn required_agents(&self, cluster: ClusterCapabilities) -> AgentSet {
        let is_required = |agent: &_| match self.when_unseen {
            WhenUnseen::Auto => cluster.agents_seen.contains(*agent),
            WhenUnseen::Exclude => true,
        };
        let agents = self.provider.agents().iter().copied();
        agents.filter(is_required).collect()
    }

    /// The checks that can reject a node of this cluster: they are not turned off, and the cluster
    /// has what they look at.
    #[must_use]
    pub fn active_checks(&self, cluster: ClusterCapabilities) -> CheckSet {
        let has_facts = |check: &Check| match check.row().needs {
            Needs::Objects => true,
            Needs::MachineTypeLabels => {
                cluster.machine_types_seen || self.when_unlabelled == WhenUnlabelled::Exclude
            }
            Needs::AgentPods => !self.required_agents(cluster).is_empty(),
            Needs::SouthboundConfigured => cluster.southbound_configured,
            Needs::Southbound => cluster.southbound_counts,
            Needs::SouthboundLag => cluster.southbound_counts && cluster.lag_reported,
        };
        self.checks.iter().filter(has_facts).collect()
    }
}

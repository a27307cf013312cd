//! The cluster view: what decisions need of the cluster's objects, looked up by the keys that requests bring.
//! It does not change. A `Snapshot` has one, and one of the chassis.
//!
//! Its maps share what did not change with the views before and after it, so that a copy costs
//! nothing and a new view costs the path to what is new in it, whatever the size of the cluster.

use foldhash::quality::RandomState;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};

use crate::cluster::index::Index;
use crate::cluster::object::{Object, ObjectKey, ObjectKind};
use crate::decide::origin::Origin;
use crate::decide::policy::ClusterCapabilities;
use crate::domain::{
    Agent, AgentState, Agents, DefaultBinding, MigrationEnd, MigrationPhase, NodeFacts, UnixTime,
    Vmi,
};
use crate::sharded::ShardedMap;

/// What is known about one node name: the node, what runs on it, or either alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeEntry {
    pub(super) facts: Option<NodeFacts>,
    pub(super) ovs: PodCounts,
    pub(super) cni: PodCounts,
    pub(super) ovnkube_node: PodCounts,
    pub(super) arriving: u32,
}

impl NodeEntry {
    /// The node's facts, once the node was seen.
    #[must_use]
    pub fn facts(&self) -> Option<&NodeFacts> {
        self.facts.as_ref()
    }

    /// The agents on it.
    #[must_use]
    pub fn agents(&self) -> Agents {
        Agents {
            ovs: self.ovs.state(),
            cni: self.cni.state(),
            ovnkube_node: self.ovnkube_node.state(),
        }
    }

    /// How many migrations that are not over have their target pod on it.
    #[must_use]
    pub const fn arriving(&self) -> u32 {
        self.arriving
    }

    pub(super) fn agent_pods(&mut self, agent: Agent) -> &mut PodCounts {
        match agent {
            Agent::Ovs => &mut self.ovs,
            Agent::Cni => &mut self.cni,
            Agent::OvnkubeNode => &mut self.ovnkube_node,
        }
    }
}

/// The pods of one agent on one node. There may be two: a rolling update may leave an old pod
/// beside the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PodCounts {
    pub(super) ready: u16,
    pub(super) not_ready: u16,
}

impl PodCounts {
    /// The best of them counts.
    const fn state(self) -> AgentState {
        match self {
            Self {
                ready: 0,
                not_ready: 0,
            } => AgentState::Missing,
            Self { ready: 0, .. } => AgentState::NotReady,
            Self { .. } => AgentState::Ready,
        }
    }
}

/// A migration that is not over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveMigration {
    /// Its namespace and name.
    pub key: ObjectKey,
    /// The VMI that migrates.
    pub vmi: ObjectKey,
    /// How far it is.
    pub phase: MigrationPhase,
    /// When it was created.
    pub created: Option<UnixTime>,
    /// Its target pod, once there is one.
    pub target: Option<Target>,
}

/// The target pod of a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The node that it is bound to.
    pub node: Option<Box<str>>,
    /// When it was created.
    pub created: Option<UnixTime>,
    /// When it was bound.
    pub bound: Option<UnixTime>,
}

/// An immutable snapshot of the cluster. Only an [`Index`] makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterView {
    pub(super) nodes: ShardedMap<NodeEntry>,
    pub(super) vmis: HashTrieMapSync<ObjectKey, Vmi, RandomState>,
    /// Where each VMI is, by its UID.
    pub(super) vmis_by_uid: HashTrieMapSync<Box<str>, ObjectKey, RandomState>,
    /// The VMI of each migration that is not over, by the migration's UID.
    pub(super) migrations: HashTrieMapSync<Box<str>, ActiveMigration, RandomState>,
    /// How each migration ended that is over, by its UID.
    pub(super) ended: HashTrieMapSync<Box<str>, MigrationEnd, RandomState>,
    pub(super) namespaces: HashTrieMapSync<Box<str>, bool, RandomState>,
    pub(super) kubevirts: RedBlackTreeMapSync<ObjectKey, DefaultBinding>,
    /// How many nodes carry a machine-type label.
    pub(super) labelled_nodes: usize,
    /// How many pods of each agent there are, on a node or not yet.
    pub(super) agent_pods: [usize; Agent::ALL.len()],
    pub(super) counts: [usize; ObjectKind::ALL.len()],
    /// Of which kinds all objects were listed at least once.
    pub(super) listed: [bool; ObjectKind::ALL.len()],
}

impl ClusterView {
    /// Whether all objects of a kind were listed at least once.
    #[must_use]
    pub const fn is_listed(&self, kind: ObjectKind) -> bool {
        self.listed[kind as usize]
    }

    /// Whether every kind was listed. Before that the view says of things that are there that they
    /// are not, and nothing is to be decided on it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.listed.iter().all(|listed| *listed)
    }

    /// The namespace opts out of injection. One that is not in the view does not: the webhook
    /// configuration's own selectors hold in the API server, where every namespace is known.
    #[must_use]
    pub fn namespace_opts_out(&self, namespace: &str) -> bool {
        self.namespaces.get(namespace).copied().unwrap_or_default()
    }

    /// The binding of the interface that KubeVirt adds by default. KubeVirt itself refuses a second
    /// CR. If there are two, the first by namespace and name counts, so that replicas agree.
    #[must_use]
    pub fn default_binding(&self) -> DefaultBinding {
        let first = self.kubevirts.values().next();
        first.copied().unwrap_or_default()
    }

    /// The VMI of this name and UID. Another UID is another VMI, which was here before or will be.
    #[must_use]
    pub fn vmi(&self, namespace: &str, name: &str, uid: &str) -> Option<&Vmi> {
        let vmi = self.vmi_named(namespace, name)?;
        (vmi.uid.as_ref() == uid).then_some(vmi)
    }

    /// The VMI that has this name now.
    #[must_use]
    pub fn vmi_named(&self, namespace: &str, name: &str) -> Option<&Vmi> {
        self.vmi_at(&ObjectKey::new(namespace, name))
    }

    /// The VMI of this key.
    #[must_use]
    pub fn vmi_at(&self, key: &ObjectKey) -> Option<&Vmi> {
        self.vmis.get(key)
    }

    /// The VMI of the migration of this UID, unless the migration is over.
    #[must_use]
    pub fn vmi_of_active_migration(&self, uid: &str) -> Option<&ObjectKey> {
        self.migrations.get(uid).map(|active| &active.vmi)
    }

    /// A migration that is not over, by its UID.
    #[must_use]
    pub fn active_migration(&self, uid: &str) -> Option<&ActiveMigration> {
        self.migrations.get(uid)
    }

    /// How a migration ended, by its UID, while the API server has it.
    #[must_use]
    pub fn migration_end(&self, uid: &str) -> Option<MigrationEnd> {
        self.ended.get(uid).copied()
    }

    /// The migrations that are not over, with their UIDs, in no order.
    pub fn active_migrations(&self) -> impl Iterator<Item = (&str, &ActiveMigration)> {
        self.migrations.iter().map(|(uid, active)| (&**uid, active))
    }

    /// Where a VM comes from. A VMI that receives a migration from another one of this cluster leads to
    /// that; one of another cluster says nothing about the nodes of this one.
    #[must_use]
    pub fn origin<'a>(&'a self, vmi: &'a Vmi) -> Origin<'a> {
        Origin::of(vmi, self.sender(vmi))
    }

    /// The VMI of this cluster that a VMI receives from. KubeVirt does not say which cluster that is
    /// in: its UID does, and what else is known of it has to agree.
    fn sender(&self, vmi: &Vmi) -> Option<&Vmi> {
        let named = vmi.sender.as_deref()?;
        let sender = self.vmis.get(self.vmis_by_uid.get(&named.uid)?)?;
        let agrees = |named: &Option<Box<str>>, actual| named.as_ref().is_none_or(|n| n == actual);
        (sender.uid == named.uid
            && agrees(&named.namespace, &sender.namespace)
            && agrees(&named.name, &sender.name))
        .then_some(sender)
    }

    /// What is known about a node name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&NodeEntry> {
        self.nodes.get(name)
    }

    /// The same cluster, in which a node that it has has other facts.
    #[must_use]
    pub fn with_facts(mut self, name: &str, facts: NodeFacts) -> Self {
        if let Some(entry) = self.nodes.get(name).cloned() {
            let is_labelled = |facts: &NodeFacts| usize::from(facts.machine_types.is_labelled());
            self.labelled_nodes -= entry.facts().map_or(0, is_labelled);
            self.labelled_nodes += is_labelled(&facts);
            let facts = Some(facts);
            self.nodes.insert(name, NodeEntry { facts, ..entry });
        }
        self
    }

    /// What is known about many node names, in their order.
    #[must_use]
    pub fn nodes_by_name<'n>(
        &self,
        names: impl Iterator<Item = &'n str> + Clone,
    ) -> Vec<Option<&NodeEntry>> {
        self.nodes.get_each(names)
    }

    /// All nodes that were seen, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &NodeFacts, &NodeEntry)> {
        self.nodes
            .iter()
            .filter_map(|(name, entry)| Some((name, entry.facts()?, entry)))
    }

    /// What is true of the cluster as a whole.
    #[must_use]
    pub fn capabilities(&self) -> ClusterCapabilities {
        let is_seen = |agent: &Agent| self.agent_pods[*agent as usize] > 0;
        ClusterCapabilities {
            machine_types_seen: self.labelled_nodes > 0,
            agents_seen: Agent::ALL.iter().copied().filter(is_seen).collect(),
            southbound_configured: false,
            southbound_counts: false,
            lag_reported: false,
        }
    }

    /// How many nodes carry a machine-type label, whatever its value.
    #[must_use]
    pub const fn labelled_nodes(&self) -> usize {
        self.labelled_nodes
    }

    /// How many objects of a kind the view holds.
    #[must_use]
    pub const fn count(&self, kind: ObjectKind) -> usize {
        self.counts[kind as usize]
    }
}

/// The view of a cluster in which there is nothing else.
impl FromIterator<Object> for ClusterView {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        let mut index = Index::default();
        for object in objects {
            index.apply(object);
        }
        Self {
            listed: [true; ObjectKind::ALL.len()],
            ..index.view()
        }
    }
}

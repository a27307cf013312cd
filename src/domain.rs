//! What berth knows about a cluster, in its own words: nodes, virtual machine instances and the
//! facts that a decision needs of them. Nothing here knows a protocol; `std` is all it imports.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The machine types that KubeVirt's node-labeller found on a node, such as `pc-q35-rhel9.6.0`,
/// in sorted order. Clones share them, as most nodes of a cluster have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MachineTypes(Arc<MachineTypeLabels>);

#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct MachineTypeLabels {
    /// The node carries a machine-type label, whatever its value.
    present: bool,
    /// The types whose label says `true`.
    supported: Box<[Box<str>]>,
}

impl MachineTypes {
    /// Those of a node that carries machine-type labels, of which these say `true`: it may be none.
    pub fn labelled<S: Into<Box<str>>>(supported: impl IntoIterator<Item = S>) -> Self {
        Self::new(true, supported)
    }

    fn new<S: Into<Box<str>>>(present: bool, supported: impl IntoIterator<Item = S>) -> Self {
        let mut supported: Vec<Box<str>> = supported.into_iter().map(Into::into).collect();
        supported.sort_unstable();
        supported.dedup();
        Self(Arc::new(MachineTypeLabels {
            present: present || !supported.is_empty(),
            supported: supported.into(),
        }))
    }

    /// Whether the node can run this machine type.
    #[must_use]
    pub fn contains(&self, machine_type: &str) -> bool {
        self.0
            .supported
            .binary_search_by(|known| known.as_ref().cmp(machine_type))
            .is_ok()
    }

    /// Whether the node carries any machine-type label. A node without one may support every type;
    /// a node whose labels all say something else than `true` supports none.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        self.0.present
    }

    /// Whether these are clones of one another, and so equal without a look at them.
    #[must_use]
    pub fn are_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The types in sorted order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.supported.iter().map(AsRef::as_ref)
    }
}

/// Those of a node that is labelled with these types, or not labelled where there are none.
impl<S: Into<Box<str>>> FromIterator<S> for MachineTypes {
    fn from_iter<I: IntoIterator<Item = S>>(types: I) -> Self {
        Self::new(false, types)
    }
}

/// The machine type that a VMI runs with or asks for. It is a tenant's text, of any length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineType {
    /// A name that the label of a node can have, such as `pc-q35-rhel9.6.0`.
    Named(Box<str>),
    /// Anything else. No node can have its label, so that none supports it.
    Unsupported,
}

/// The longest name that a label can have, in bytes.
const LONGEST_LABEL_NAME: usize = 63;

impl MachineType {
    /// The machine type of this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if Self::is_name(text) {
            Self::Named(text.into())
        } else {
            Self::Unsupported
        }
    }

    /// Its name, where it has one.
    #[must_use]
    pub const fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Unsupported => None,
        }
    }

    /// Whether a text can be the name of a label: Kubernetes' `IsQualifiedName`.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let bytes = text.as_bytes();
        let is_alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        bytes.len() <= LONGEST_LABEL_NAME
            && is_alphanumeric(bytes.first())
            && is_alphanumeric(bytes.last())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    }
}

impl fmt::Display for MachineType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("(not the name of a label)"))
    }
}

/// What a node says about its OVN chassis: the network provider's agent writes the OVN system-id, a
/// UUID, into an annotation, and leaves it there when it dies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChassisClaim {
    /// No annotation: no agent ever registered this node.
    #[default]
    Missing,
    /// The annotation holds something that is not a UUID: as much of it as is shown.
    Malformed(Box<str>),
    /// The chassis name: the OVN system-id.
    Registered(Box<str>),
}

impl ChassisClaim {
    /// The name of the chassis, where it is claimed in order.
    #[must_use]
    pub const fn name(&self) -> Option<&str> {
        match self {
            Self::Registered(name) => Some(name),
            Self::Missing | Self::Malformed(_) => None,
        }
    }
}

/// What berth uses of a Node object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Machine types from the node-labeller's labels.
    pub machine_types: MachineTypes,
    /// The node's claim to an OVN chassis.
    pub chassis: ChassisClaim,
    /// Whether the node condition `NetworkUnavailable` is `True`.
    pub network_unavailable: bool,
    /// The node condition `OVNChassisReady`, once it was published.
    pub published: Option<Box<ChassisReady>>,
}

/// The node condition `OVNChassisReady`: berth's verdict on a node's chassis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChassisReady {
    /// Whether the chassis can take over a VM's network.
    pub status: Status,
    /// Why, in one word.
    pub reason: Cow<'static, str>,
    /// Why, for people.
    pub message: Cow<'static, str>,
}

/// The status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It is not known.
    Unknown,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::True, Self::False, Self::Unknown];

    /// As the API writes it, and in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What is known of a node's chassis from OVN's southbound database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Southbound {
    /// Nothing: the database is not read.
    #[default]
    Unknown,
    /// What was read is too old, and left out.
    LeftOut,
    /// What was read is too old, and rejects every node.
    Stale,
    /// No chassis has the name that the node claims.
    NoChassis,
    /// There is one.
    Chassis(ChassisRow),
}

impl Southbound {
    /// The chassis, where there is one.
    #[must_use]
    pub const fn row(&self) -> Option<&ChassisRow> {
        match self {
            Self::Chassis(row) => Some(row),
            Self::Unknown | Self::LeftOut | Self::Stale | Self::NoChassis => None,
        }
    }
}

/// A chassis in the southbound database, seen from the node that claims it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChassisRow {
    /// Whose it is.
    pub identity: ChassisIdentity,
    /// It has a tunnel endpoint.
    pub has_tunnel: bool,
    /// For how long it has not caught up with the database; `None` while it has.
    pub behind: Option<Duration>,
    /// It fell behind together with all others: the node is not at fault, and its verdict stays.
    pub is_held: bool,
    /// For how long this replica has seen it: what it did before is not known.
    pub seen_for: Duration,
}

/// Whether OVN finds a node's chassis by the node's name, by which Kube-OVN asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChassisIdentity {
    /// It does.
    #[default]
    Own,
    /// The chassis is one of another availability zone (`other_config:is-remote`).
    Remote,
    /// The chassis has the hostname of another node.
    OtherHost,
    /// Another chassis has the node's name as its hostname as well.
    Rival,
    /// A chassis of another availability zone has it, and OVN finds that one.
    RemoteRival,
}

/// Who brings OVN to the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provider {
    /// Kube-OVN.
    #[default]
    KubeOvn,
    /// OVN-Kubernetes.
    OvnKubernetes,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::KubeOvn, Self::OvnKubernetes];

    /// The agents that every node needs.
    #[must_use]
    pub const fn agents(self) -> &'static [Agent] {
        match self {
            Self::KubeOvn => &[Agent::Ovs, Agent::Cni],
            Self::OvnKubernetes => &[Agent::OvnkubeNode],
        }
    }

    /// The namespace that its own manifests put them in. OpenShift's are elsewhere.
    #[must_use]
    pub const fn agent_namespace(self) -> &'static str {
        match self {
            Self::KubeOvn => "kube-system",
            Self::OvnKubernetes => "ovn-kubernetes",
        }
    }

    /// Whether one southbound database has the chassis of all nodes. Where nodes interconnect, each
    /// has a database of its own.
    #[must_use]
    pub const fn has_central_southbound(self) -> bool {
        match self {
            Self::KubeOvn => true,
            Self::OvnKubernetes => false,
        }
    }
}

/// The network of a cluster, and where to look for its agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Who brings it.
    pub provider: Provider,
    /// The namespace of its agents.
    pub agent_namespace: Box<str>,
}

impl From<Provider> for Network {
    /// As its own manifests have it.
    fn from(provider: Provider) -> Self {
        Self {
            provider,
            agent_namespace: provider.agent_namespace().into(),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Provider::default().into()
    }
}

/// What a network provider runs on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Agent {
    /// Kube-OVN's `DaemonSet` `ovs-ovn`: Open vSwitch and ovn-controller.
    Ovs,
    /// Kube-OVN's `DaemonSet` `kube-ovn-cni`: the CNI server.
    Cni,
    /// OVN-Kubernetes' `DaemonSet` `ovnkube-node`: ovn-controller, the node's own databases and
    /// northd, and the CNI server.
    OvnkubeNode,
}

impl Agent {
    /// The agents of all providers.
    pub const ALL: [Self; 3] = [Self::Ovs, Self::Cni, Self::OvnkubeNode];

    /// The name of the agent's `DaemonSet`, and its name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ovs => "ovs-ovn",
            Self::Cni => "kube-ovn-cni",
            Self::OvnkubeNode => "ovnkube-node",
        }
    }
}

/// How an agent is on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgentState {
    /// No pod of the agent is on the node.
    #[default]
    Missing,
    /// There are pods, none of them is ready, or the ready one is being deleted.
    NotReady,
    /// At least one pod is ready.
    Ready,
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::NotReady => "not ready",
            Self::Ready => "ready",
        })
    }
}

/// The agents of one node. Those of another provider than the cluster's are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agents {
    /// [`Agent::Ovs`].
    pub ovs: AgentState,
    /// [`Agent::Cni`].
    pub cni: AgentState,
    /// [`Agent::OvnkubeNode`].
    pub ovnkube_node: AgentState,
}

impl Agents {
    /// The state of one agent.
    #[must_use]
    pub const fn state(self, agent: Agent) -> AgentState {
        match agent {
            Agent::Ovs => self.ovs,
            Agent::Cni => self.cni,
            Agent::OvnkubeNode => self.ovnkube_node,
        }
    }

    /// Those that are missing or not ready.
    #[must_use]
    pub fn unready(self) -> AgentSet {
        let is_unready = |agent: &Agent| self.state(*agent) != AgentState::Ready;
        Agent::ALL.into_iter().filter(is_unready).collect()
    }
}

/// A set of agents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentSet(u8);

impl AgentSet {
    /// All agents of all providers.
    pub const ALL: Self = Self((1 << Agent::ALL.len()) - 1);

    /// Adds an agent when a condition holds.
    #[must_use]
    pub const fn with(self, agent: Agent, holds: bool) -> Self {
        Self(self.0 | ((holds as u8) << agent as u8))
    }

    /// Whether an agent is in the set.
    #[must_use]
    pub const fn contains(self, agent: Agent) -> bool {
        self.0 & (1 << agent as u8) != 0
    }

    /// Whether any agent is in both sets.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The agents in their order.
    pub fn iter(self) -> impl Iterator<Item = Agent> {
        let mut all = Agent::ALL.into_iter();
        std::iter::from_fn(move || all.find(|agent| self.contains(*agent)))
    }
}

impl FromIterator<Agent> for AgentSet {
    fn from_iter<I: IntoIterator<Item = Agent>>(agents: I) -> Self {
        let add = |set: Self, agent| set.with(agent, true);
        agents.into_iter().fold(Self::default(), add)
    }
}

/// What berth uses of a `VirtualMachineInstance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmi {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its UID: a new instance of the same name is another VMI.
    pub uid: Box<str>,
    /// The machine type that it runs with, or that it asks for where it does not run yet.
    pub machine_type: Option<MachineType>,
    /// Whether libvirt resolved the machine type. One that is only asked for may be an alias such as
    /// `q35`.
    pub machine_type_resolved: bool,
    /// The node that it runs on; `None` while it does not run, wherever its pods are.
    pub node: Option<Box<str>>,
    /// The VMI that it is to take over from, while it receives a decentralized migration.
    pub sender: Option<Box<Sender>>,
}

/// The other end of a decentralized migration, as the receiving VMI names it. It may be in another
/// cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The UID of the VMI that sends.
    pub uid: Box<str>,
    /// Its namespace, where it is given.
    pub namespace: Option<Box<str>>,
    /// Its name, where it is given.
    pub name: Option<Box<str>>,
    /// The node that it runs on, a node of its own cluster.
    pub node: Option<Box<str>>,
}

/// How a VMI is bound to the pod network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// `bridge`: live migration needs the annotation.
    Bridge,
    /// Masquerade, passt, SR-IOV, a binding plugin, or none that is named.
    Other,
    /// No network of the VMI is the pod network.
    NoPodNetwork,
    /// Neither networks nor interfaces are given: KubeVirt adds its default interface.
    Default,
    /// Neither is given, and a preference or instancetype may still give some: the VMI will show.
    LeftToVmi,
}

/// The binding of the interface that KubeVirt adds where a VMI names none
/// (KubeVirt CR, `spec.configuration.network.defaultNetworkInterface`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultBinding {
    /// `bridge`, also when the CR is silent.
    #[default]
    Bridge,
    /// Anything else.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_type_is_named_by_what_a_label_can_be_named() {
        let longest = "x".repeat(LONGEST_LABEL_NAME);
        for name in ["q35", "pc-q35-rhel9.6.0", "pc_q35", "a", &longest] {
            assert_eq!(MachineType::new(name).name(), Some(name));
        }
        let too_long = "x".repeat(LONGEST_LABEL_NAME + 1);
        for text in [
            "", "-q35", "q35.", "q 35", "q35\n", "q/35", "q35é", &too_long,
        ] {
            assert_eq!(MachineType::new(text), MachineType::Unsupported, "{text}");
        }
    }
}

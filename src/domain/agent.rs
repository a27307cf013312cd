//! The network provider's agents on a node.

use strum::{Display, IntoStaticStr, VariantArray};

use crate::domain::{Member, Set};

/// What a network provider runs on every node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Agent {
    /// Kube-OVN's `DaemonSet` `ovs-ovn`: Open vSwitch and ovn-controller.
    #[strum(serialize = "ovs-ovn")]
    Ovs,
    /// Kube-OVN's `DaemonSet` `kube-ovn-cni`: the CNI server.
    #[strum(serialize = "kube-ovn-cni")]
    Cni,
    /// OVN-Kubernetes' `DaemonSet` `ovnkube-node`: ovn-controller, the node's own databases and
    /// northd, and the CNI server.
    OvnkubeNode,
}

impl Agent {
    /// The agents of all providers.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name of the agent's `DaemonSet`, and its name in metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How an agent is on one node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Display)]
#[strum(serialize_all = "lowercase")]
pub enum AgentState {
    /// No pod of the agent is on the node.
    #[default]
    Missing,
    /// There are pods, none of them is ready, or the ready one is being deleted.
    #[strum(serialize = "not ready")]
    NotReady,
    /// At least one pod is ready.
    Ready,
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
        let agents = Agent::ALL.iter().copied();
        agents
            .filter(|agent| self.state(*agent) != AgentState::Ready)
            .collect()
    }
}

/// A set of agents.
pub type AgentSet = Set<Agent>;

impl Member for Agent {
    fn index(self) -> usize {
        self as usize
    }
}

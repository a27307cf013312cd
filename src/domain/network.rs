//! The network provider of a cluster.

use strum::VariantArray;

use crate::domain::Agent;

/// Who brings OVN to the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray)]
pub enum Provider {
    /// Kube-OVN.
    #[default]
    KubeOvn,
    /// OVN-Kubernetes.
    OvnKubernetes,
}

impl Provider {
    /// All of them.
    pub const ALL: &[Self] = Self::VARIANTS;

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

//! What Kube-OVN has of a pod, and its subnets.

/// A network that Kube-OVN has attached a pod to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OvnNetwork {
    /// The subnet.
    pub subnet: String,
    /// The provider network, if the subnet is a VLAN of the nodes' own network.
    pub provider_network: Option<String>,
}

/// A subnet of Kube-OVN.
#[derive(Clone, Debug, Default)]
pub struct Subnet {
    /// Its VPC.
    pub vpc: Option<String>,
    /// Its condition `Ready` is `True`.
    pub is_ready: bool,
}

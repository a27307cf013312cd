//! The agents' pods, as each network provider's `DaemonSet`s make them.

use crate::domain::{Agent, Provider};

/// The values of the label `app` on an agent's pods.
///
/// Kube-OVN gives `ovs-ovn` another one where it runs on DPDK. `ovnkube-node` has another name on
/// nodes with a DPU and, on OpenShift, with a smart NIC; a node has one of them (OVN-Kubernetes
/// `helm/ovn-kubernetes/charts`, OpenShift's cluster-network-operator
/// `bindata/network/ovn-kubernetes`). Open vSwitch's own pods, `ovs-node`, are not asked for: on
/// OpenShift it is not a pod, and elsewhere ovn-controller's readiness covers it.
const fn apps(agent: Agent) -> &'static [&'static str] {
    match agent {
        Agent::Ovs => &["ovs", "ovs-dpdk"],
        Agent::Cni => &["kube-ovn-cni"],
        Agent::OvnkubeNode => &[
            "ovnkube-node",
            "ovnkube-node-dpu-host",
            "ovnkube-node-smart-nic",
        ],
    }
}

/// Containers of an agent's pod that no VM's traffic needs: metrics, and the rotation of logs.
///
/// They have no readiness probe, so that one which is not ready is down; the network goes on all the
/// same. ovn-controller alone would be too little to ask for: on OpenShift it has no probe either,
/// and that the node's southbound database answers is told by that container's.
pub(super) const fn bystanders(agent: Agent) -> &'static [&'static str] {
    match agent {
        Agent::Ovs | Agent::Cni => &[],
        Agent::OvnkubeNode => &[
            // Upstream.
            "ovs-metrics-exporter",
            // OpenShift.
            "kube-rbac-proxy-node",
            "kube-rbac-proxy-ovn-metrics",
            "ovn-acl-logging",
        ],
    }
}

/// Which of a provider's agents a pod with this label is.
pub(super) fn agent_of(provider: Provider, app: &str) -> Option<Agent> {
    let mut agents = provider.agents().iter().copied();
    agents.find(|agent| apps(*agent).contains(&app))
}

/// What selects the pods of a provider's agents, in their namespace.
#[must_use]
pub fn agent_selector(provider: Provider) -> String {
    let apps: Vec<&str> = provider
        .agents()
        .iter()
        .flat_map(|agent| apps(*agent))
        .copied()
        .collect();
    format!("app in ({})", apps.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_knows_its_own_agents_by_their_labels() {
        for (app, by_kube_ovn, by_ovn_kubernetes) in [
            ("ovs", Some(Agent::Ovs), None),
            ("ovs-dpdk", Some(Agent::Ovs), None),
            ("kube-ovn-cni", Some(Agent::Cni), None),
            ("ovn-central", None, None),
            ("ovnkube-node", None, Some(Agent::OvnkubeNode)),
            ("ovnkube-node-dpu-host", None, Some(Agent::OvnkubeNode)),
            ("ovnkube-node-smart-nic", None, Some(Agent::OvnkubeNode)),
            ("ovs-node", None, None),
            ("ovnkube-control-plane", None, None),
        ] {
            assert_eq!(
                [Provider::KubeOvn, Provider::OvnKubernetes]
                    .map(|provider| agent_of(provider, app)),
                [by_kube_ovn, by_ovn_kubernetes],
                "{app}"
            );
        }
    }

    #[test]
    fn the_pods_of_a_provider_are_selected_by_all_of_its_labels() {
        assert_eq!(
            [Provider::KubeOvn, Provider::OvnKubernetes].map(agent_selector),
            [
                "app in (ovs,ovs-dpdk,kube-ovn-cni)",
                "app in (ovnkube-node,ovnkube-node-dpu-host,ovnkube-node-smart-nic)",
            ]
        );
    }
}

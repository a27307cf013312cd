//! The network provider: who brings OVN to the nodes, whose agents are looked for and whose
//! annotation names a node's chassis.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain;

/// The network of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Network {
    /// Who brings OVN to the nodes.
    pub provider: Provider,
}

/// Who brings OVN to the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema, clap::ValueEnum)]
pub enum Provider {
    /// Kube-OVN: agents `ovs-ovn` and `kube-ovn-cni`.
    #[default]
    #[serde(rename = "KubeOVN")]
    KubeOvn,
    /// OVN-Kubernetes: agent `ovnkube-node`; each node has its own southbound database.
    #[serde(rename = "OVNKubernetes")]
    OvnKubernetes,
}

impl From<Provider> for domain::Provider {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::KubeOvn => Self::KubeOvn,
            Provider::OvnKubernetes => Self::OvnKubernetes,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::domain::{Network, Provider};

    #[test]
    fn the_agents_are_where_their_provider_puts_them_unless_configured() {
        for (text, provider, namespace) in [
            ("", Provider::KubeOvn, "kube-system"),
            (
                "agents: {namespace: kube-ovn}",
                Provider::KubeOvn,
                "kube-ovn",
            ),
            ("network: {}", Provider::KubeOvn, "kube-system"),
            (
                "network: {provider: KubeOVN}",
                Provider::KubeOvn,
                "kube-system",
            ),
            (
                "network: {provider: OVNKubernetes}",
                Provider::OvnKubernetes,
                "ovn-kubernetes",
            ),
            (
                "network: {provider: OVNKubernetes}\nagents: {namespace: openshift-ovn-kubernetes}",
                Provider::OvnKubernetes,
                "openshift-ovn-kubernetes",
            ),
            (
                "network: {provider: OVNKubernetes}\nagents: {namespace: kube-system}",
                Provider::OvnKubernetes,
                "kube-system",
            ),
        ] {
            let config = Config::parse(text).unwrap();
            let expect = Network {
                provider,
                agent_namespace: namespace.into(),
            };
            assert_eq!(config.network(), expect, "{text}");
            assert_eq!(config.policy().provider, provider, "{text}");
        }
    }

    #[test]
    fn a_provider_that_is_not_known_or_has_no_central_database_to_read_is_refused() {
        for (text, expect) in [
            (
                "network: {provider: Calico}",
                "network.provider: unknown variant `Calico`, expected `KubeOVN` or `OVNKubernetes`",
            ),
            (
                "network: {name: OVNKubernetes}",
                "network.name: unknown field `name`, expected `provider`",
            ),
            (
                "network: {provider: OVNKubernetes}\nsouthbound: {endpoints: 'tcp:a:6642'}",
                "southbound.endpoints, --ovn-sb: tcp:a:6642 is no place to ask with network.provider OVNKubernetes, where each node has databases of its own; leave it out",
            ),
            (
                "network: {provider: OVNKubernetes}\nsouthbound: {probe: {endpoints: 'tcp:a:6641'}}",
                "southbound.probe.endpoints: tcp:a:6641 is no place to ask with network.provider OVNKubernetes, where each node has databases of its own; leave it out",
            ),
        ] {
            let refusal = Config::parse(text).unwrap_err();
            assert_eq!(refusal.to_string(), expect, "{text}");
        }
    }
}

//! The network provider: who brings OVN to the nodes, whose agents are looked for and whose
//! annotation names a node's chassis.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::notation::notation;
use crate::domain::Provider;

/// The network of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Network {
    /// The network provider: `KubeOVN` or `OVNKubernetes` (`kube-ovn` and `ovn-kubernetes` mean the
    /// same). It decides which agents and which chassis annotation berth looks for.
    pub provider: Provider,
}

/// Kubernetes' enums are in `CamelCase`, flags and the projects' own names have hyphens, and people mix
/// them.
fn parse(text: &str) -> Result<Provider, &str> {
    match text.to_ascii_lowercase().as_str() {
        "kubeovn" | "kube-ovn" => Ok(Provider::KubeOvn),
        "ovnkubernetes" | "ovn-kubernetes" => Ok(Provider::OvnKubernetes),
        _ => Err(text),
    }
}

// Editors offer the enum; the pattern has what is read.
notation!(
    Provider,
    "Provider",
    "a network provider: use KubeOVN (or kube-ovn) or OVNKubernetes (or ovn-kubernetes)",
    parse,
    {
        "type": "string",
        "description": "Who brings OVN to the nodes: KubeOVN or OVNKubernetes, in any case, with or without a hyphen",
        "anyOf": [
            { "enum": ["KubeOVN", "OVNKubernetes"] },
            { "pattern": "^([Kk][Uu][Bb][Ee]-?[Oo][Vv][Nn]|[Oo][Vv][Nn]-?[Kk][Uu][Bb][Ee][Rr][Nn][Ee][Tt][Ee][Ss])$" },
        ],
    }
);

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
                "network: {provider: kube-ovn}",
                Provider::KubeOvn,
                "kube-system",
            ),
            (
                "network: {provider: Kube-OVN}",
                Provider::KubeOvn,
                "kube-system",
            ),
            (
                "network: {provider: ovn-kubernetes}",
                Provider::OvnKubernetes,
                "ovn-kubernetes",
            ),
            (
                "network: {provider: OVN-Kubernetes}",
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
    fn refuses_unknown_providers_and_endpoints_without_a_central_database() {
        for (text, expect) in [
            (
                "network: {provider: Calico}",
                "network.provider: \"Calico\" is not a network provider: use KubeOVN (or kube-ovn) or OVNKubernetes (or ovn-kubernetes)",
            ),
            (
                "network: {provider: [KubeOVN]}",
                "network.provider: a list is not a network provider: use KubeOVN (or kube-ovn) or OVNKubernetes (or ovn-kubernetes)",
            ),
            (
                "network: {name: OVNKubernetes}",
                "network.name: unknown field; the fields here are provider",
            ),
            (
                "network: {provider: OVNKubernetes}\nsouthbound: {endpoints: 'tcp:a:6642'}",
                "southbound.endpoints, --ovn-sb: tcp:a:6642 can't be used with network.provider OVNKubernetes, where each node has databases of its own; leave it out",
            ),
            (
                "network: {provider: OVNKubernetes}\nsouthbound: {probe: {endpoints: 'tcp:a:6641'}}",
                "southbound.probe.endpoints, --ovn-nb: tcp:a:6641 can't be used with network.provider OVNKubernetes, where each node has databases of its own; leave it out",
            ),
        ] {
            let refusal = Config::parse(text).unwrap_err();
            assert_eq!(refusal.to_string(), expect, "{text}");
        }
    }
}

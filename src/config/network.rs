//! The network provider: who brings OVN to the nodes, whose agents are looked for and whose
//! annotation names a node's chassis.

use std::borrow::Cow;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::config::reader::read_text;
use crate::domain;

/// The network of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Network {
    /// The network provider: `KubeOVN` or `OVNKubernetes` (`kube-ovn` and `ovn-kubernetes` mean the
    /// same). It decides which agents and which chassis annotation berth looks for.
    pub provider: Provider,
}

/// Who brings OVN to the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// Kube-OVN: agents `ovs-ovn` and `kube-ovn-cni`.
    #[default]
    KubeOvn,
    /// OVN-Kubernetes: agent `ovnkube-node`; each node has its own southbound database.
    OvnKubernetes,
}

const FORM: &str =
    "a network provider: use KubeOVN (or kube-ovn) or OVNKubernetes (or ovn-kubernetes)";

/// A text that is not a network provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not {FORM}")]
pub struct ProviderError(String);

impl FromStr for Provider {
    type Err = ProviderError;

    /// Kubernetes' enums are in `CamelCase`, flags and the projects' own names have hyphens, and people mix
    /// them.
    fn from_str(text: &str) -> Result<Self, ProviderError> {
        match text.to_ascii_lowercase().as_str() {
            "kubeovn" | "kube-ovn" => Ok(Self::KubeOvn),
            "ovnkubernetes" | "ovn-kubernetes" => Ok(Self::OvnKubernetes),
            _ => Err(ProviderError(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Provider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, FORM)
    }
}

impl JsonSchema for Provider {
    fn schema_name() -> Cow<'static, str> {
        "Provider".into()
    }

    /// Editors offer the enum; the pattern has what is read.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Who brings OVN to the nodes: KubeOVN or OVNKubernetes, in any case, with or without a hyphen",
            "anyOf": [
                { "enum": ["KubeOVN", "OVNKubernetes"] },
                { "pattern": "^([Kk][Uu][Bb][Ee]-?[Oo][Vv][Nn]|[Oo][Vv][Nn]-?[Kk][Uu][Bb][Ee][Rr][Nn][Ee][Tt][Ee][Ss])$" },
            ],
        })
    }
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
    fn a_provider_that_is_not_known_or_has_no_central_database_to_read_is_refused() {
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

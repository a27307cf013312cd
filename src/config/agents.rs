//! The agents check.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Refusal;
use crate::config::names::is_label;
use crate::decide::policy::WhenUnseen;

/// The agents check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Agents {
    /// The namespace of the agents' `DaemonSets`. The default is the provider's own: `kube-system`
    /// for Kube-OVN, `ovn-kubernetes` for OVN-Kubernetes.
    pub namespace: Option<Box<str>>,
    /// What happens if the whole cluster has no pod of an agent: `Auto` does not require that
    /// agent, and turns the check off if this is true of all agents. `Exclude` requires it, and so
    /// rejects every node.
    #[serde(deserialize_with = "WhenUnseenText::deserialize")]
    #[schemars(with = "WhenUnseenText")]
    pub when_unseen: WhenUnseen,
}

/// Whether nodes need an agent of which no pod is seen in the whole cluster.
#[derive(Deserialize, JsonSchema)]
#[serde(remote = "WhenUnseen")]
#[schemars(rename = "WhenUnseen")]
enum WhenUnseenText {
    /// They don't. Where no pod of any agent is seen, the check is off.
    Auto,
    /// They do, and are rejected.
    Exclude,
}

impl Agents {
    /// Refuses values that are out of range or contradict each other.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        if let Some(namespace) = self.namespace.as_deref()
            && !is_label(namespace)
        {
            return Err(Refusal::Combination(format!(
                "agents.namespace: {namespace:?} is not the name of a namespace: use lower-case letters, digits and '-', beginning and ending with a letter or digit, up to 63 characters"
            )));
        }
        Ok(())
    }
}

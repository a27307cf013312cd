//! The machine-type check.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Refusal;
use crate::decide::policy::WhenUnlabelled;

/// The machine-type check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct MachineType {
    /// What happens to a node without any machine-type label: `Auto` passes it if no node in the
    /// cluster has such a label and rejects it otherwise, `Exclude` always rejects it, `Allow`
    /// always passes it. A label with a value other than `"true"` counts as a label, but the node
    /// does not support that type.
    #[serde(deserialize_with = "WhenUnlabelledText::deserialize")]
    #[schemars(with = "WhenUnlabelledText")]
    pub when_unlabelled: WhenUnlabelled,
    /// For a machine type, other types whose node label also satisfies it, for example
    /// `{pc-q35-rhel9.2.0: [pc-q35-rhel9.2.1]}`.
    pub equivalents: BTreeMap<Box<str>, Vec<Box<str>>>,
}

/// Whether a node without any machine-type label passes.
#[derive(Deserialize, JsonSchema)]
#[serde(remote = "WhenUnlabelled")]
#[schemars(rename = "WhenUnlabelled")]
enum WhenUnlabelledText {
    /// It passes where no node of the cluster is labelled, else it is rejected.
    Auto,
    /// It is rejected.
    Exclude,
    /// It passes.
    Allow,
}

impl MachineType {
    /// Refuses values that are out of range or contradict each other.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        for (wanted, others) in &self.equivalents {
            if others.is_empty() {
                return Err(Refusal::Combination(format!(
                    "machineType.equivalents.{wanted}: [] names no machine type; list those whose label satisfies {wanted} as well, or leave it out"
                )));
            }
        }
        Ok(())
    }
}

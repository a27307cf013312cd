//! The objects that the cluster view is made of, read as far as their facts need. Names of labels,
//! annotations and fields are KubeVirt's and the network providers', each with its source beside it.

mod agent;
mod identity;
mod kubevirt_cr;
mod migration;
mod namespace;
mod node;
mod pod;
mod vmi;

use serde::Deserialize;

use crate::text::{LONGEST_TEXT, shorten};
use crate::wire::{Text, explain_object, read_object};

pub use agent::agent_selector;
pub use identity::Identity;
pub use kubevirt_cr::KubeVirt;
pub use migration::Migration;
pub use namespace::Namespace;
pub use node::Node;
pub use pod::{Owner, Pod};
pub use vmi::Vmi;

/// Reads an object, or says what is wrong with it and in which field.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    read_object(text).map_err(|error| {
        let explained = explain_object::<T>(text);
        explained.unwrap_or_else(|| shorten(error, LONGEST_TEXT))
    })
}

/// A condition of a node or a pod.
#[derive(Debug, Deserialize)]
pub(super) struct Condition<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow, default)]
    reason: Option<Text<'a>>,
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
}

impl Condition<'_> {
    /// Whether a condition of this type is `True`.
    pub(super) fn holds(&self, kind: &str) -> bool {
        self.is(kind) && self.status.as_str() == "True"
    }

    fn is(&self, kind: &str) -> bool {
        self.kind.as_str() == kind
    }
}

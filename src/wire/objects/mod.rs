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
use crate::wire::{explain_object, read_object};

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

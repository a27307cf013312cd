//! The objects that the cluster view is made of, read as far as their facts need. Names of labels,
//! annotations and fields are KubeVirt's and the network providers', each with its source beside it.

mod agent;
mod condition;
mod identity;
mod kubevirt_cr;
mod migration;
mod namespace;
mod node;
mod pod;
mod progress;
mod time;
mod vmi;

pub use crate::wire::read_or_explain as read;

pub use agent::agent_selector;
pub use identity::Identity;
pub use kubevirt_cr::KubeVirt;
pub use migration::{Migration, NewMigration};
pub use namespace::Namespace;
pub use node::Node;
pub use pod::{Owner, Pod};
pub use progress::{MigrationList, VmiPlace};
pub use vmi::Vmi;

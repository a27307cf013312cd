//! The cluster as berth sees it: one immutable view that requests read, and where it comes from.

mod arrivals;
pub mod file;
pub mod index;
mod kinds;
pub(crate) mod load;
pub mod lookup;
mod metrics;
pub mod object;
pub mod parts;
mod rate;
pub(crate) mod read;
mod source;
pub mod view;
pub mod watch;

pub use index::Index;
pub use lookup::{Lookup, NodeNames, VmiReader};
pub use metrics::Metrics;
pub use object::{Object, ObjectKind};
pub use view::ClusterView;

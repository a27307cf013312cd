//! The network of a migration, prepared before its target pod is bound: the [`Binder`] binds pods for
//! kube-scheduler, the [`Preparer`] writes the port pair and has the target's chassis warmed, and the
//! [`Keeper`] of the leader tidies up after them. What is to be written is decided in
//! `decide::continuity`; [`Northbound`] reads and writes it.

mod binder;
mod keeper;
mod metrics;
mod northbound;
mod preparer;
mod warmer;

pub use binder::{BindError, Binder, Binding, Bound};
pub use keeper::{Keeper, Upholding};
pub use metrics::Metrics;
pub use northbound::{Northbound, Port, State};
pub use preparer::{PairOutcome, Preparer, Target, WarmOutcome};
pub use warmer::{WarmOptions, Warmer};

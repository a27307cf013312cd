//! The network of a migration, prepared before its target pod is bound: the [`Binder`] binds pods for
//! kube-scheduler, the [`Preparer`] writes the port pair and has the target's chassis warmed, and the
//! [`Keeper`] of the leader tidies up after them. The [`Observer`] keeps the timeline of each migration,
//! and the [`Reporter`] of the leader says what is new in it. What is to be written is decided in
//! `decide::continuity`; [`Northbound`] reads and writes it.

mod binder;
pub mod history;
mod keeper;
mod metrics;
mod northbound;
pub mod observer;
mod preparer;
pub mod report;
pub mod reporter;
mod warmer;

pub use binder::{BindError, Binder, Binding, Bound};
pub use history::{History, Observed};
pub use keeper::{Keeper, Upholding};
pub use metrics::Metrics;
pub use northbound::{Northbound, Port, State};
pub use observer::{Observer, Told};
pub use preparer::{PairOutcome, Preparer, Target, WarmOutcome};
pub use reporter::Reporter;
pub use warmer::{WarmOptions, Warmer};

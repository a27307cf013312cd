//! Certificates that berth manages by itself: a long-lived CA and a short leaf in one Secret that
//! the replicas share, and the `caBundle` of berth's own webhook configurations.
//!
//! [`contents`] is the Secret in berth's own terms, [`decide`] says what is to be changed in it and
//! [`issue`] makes the change; [`bundle`] does the same for a webhook configuration. [`replica`] puts
//! them into rounds, still without I/O, and [`Keeper`] carries out what a round asks for.
//!
//! What always holds, for clocks that differ by less than [`SKEW`]: the published bundle trusts
//! every leaf that a replica serves, because a replica serves a leaf only after it has seen its CA
//! published, and a CA leaves the bundle only when no leaf of it can be valid any more.

use std::time::Duration;

pub mod bundle;
pub mod contents;
pub mod decide;
mod error;
mod event;
pub mod issue;
mod keeper;
mod names;
pub mod replica;
mod store;
mod time;
mod watch;
pub mod x509;

#[cfg(test)]
mod tests;

pub use error::{Cause, Object, PkiError, Verb};
pub use event::{Event, Publication};
pub use keeper::{Clock, Keeper, POLL, Settings};
pub use names::{Name, NameError, Names};
pub use time::{Now, Source};

/// The most that a clock may be off. Two clocks may then differ by twice as much.
pub const SKEW: Duration = Duration::from_mins(30);

/// How long before its making a certificate begins to be valid: whoever looks at it, and whoever
/// made it, may be off by [`SKEW`].
pub const BACKDATE: Duration = Duration::from_hours(1);

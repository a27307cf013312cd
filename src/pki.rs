//! Certificates that berth issues itself: a long-lived CA and a short-lived leaf in one Secret that the
//! replicas share, and the `caBundle` of berth's own webhook configurations.
//!
//! [`contents`] reads and writes the Secret, [`decide`] decides on each [`change`] of its [`state`] and
//! [`issue`] makes it; [`bundle`] does the same for a webhook configuration. [`round`] puts
//! them in order, and [`CertificateController`] runs rounds at an API server.
//!
//! What always holds, for clocks that differ by less than [`SKEW`]: the published bundle trusts
//! every leaf that a replica serves, because a replica serves a leaf only after it has seen its CA
//! published, and a CA leaves the bundle only when no leaf of it can be valid any more.

use std::collections::BTreeSet;
use std::time::Duration;

pub mod bundle;
pub mod change;
mod clock;
pub mod contents;
mod controller;
pub mod decide;
mod error;
mod event;
pub mod issue;
mod metrics;
mod reporter;
pub mod round;
pub mod state;
mod store;
mod time;
mod watch;
pub mod x509;

#[cfg(test)]
mod tests;

pub use clock::Clock;
pub use controller::{CertificateController, ControllerConfig, POLL};
pub use error::{Object, PkiError, Verb};
pub use event::{Event, Publication};
pub use metrics::Metrics;
pub use time::{Now, Source};

use crate::tls::HostName;

/// All names of a leaf.
pub type Names = BTreeSet<HostName>;

/// How far a clock may be off. Two clocks may differ by twice as much.
pub const SKEW: Duration = Duration::from_mins(30);

/// A certificate is valid from this long before it is made: the clocks of its maker and of its readers may
/// each be off by [`SKEW`].
pub const BACKDATE: Duration = Duration::from_hours(1);

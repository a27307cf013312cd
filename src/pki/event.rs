//! What happens to the certificates, for metrics; the log has the details.

use std::time::SystemTime;

use strum::{IntoStaticStr, VariantArray};

use super::decide::Change;
use super::error::PkiError;

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// The Secret was written, with this change among others.
    Changed(&'a Change),
    /// A webhook configuration's `caBundle` was written.
    Published(Publication),
    /// Something went wrong.
    Failed(&'a PkiError),
    /// What the Secret holds at the end of a round.
    Holds {
        /// When the CA that signs expires.
        ca_expires: Option<SystemTime>,
        /// When the next CA begins to sign, where there is one.
        next_signs: Option<SystemTime>,
    },
}

/// Why a `caBundle` was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Publication {
    /// A CA came or went, or the configuration is new.
    Rotated,
    /// Another client had changed it.
    Repaired,
}

impl Publication {
    /// The name in metric labels and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

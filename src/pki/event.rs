//! What happens to the certificates, for the log and the metrics.

use std::time::SystemTime;

use strum::{AsRefStr, VariantArray};

use super::bundle::ConfigurationId;
use super::change::Change;
use super::error::PkiError;

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The Secret was written with these changes.
    Wrote {
        /// The changes, in their order.
        changes: Vec<Change>,
        /// When the next CA begins to sign, where there is one.
        next_signs: Option<SystemTime>,
    },
    /// The `caBundle` of a webhook configuration was written.
    Published {
        /// The configuration.
        configuration: ConfigurationId,
        /// Why.
        why: Publication,
    },
    /// There is no mutating webhook configuration of this name; reported once until there is.
    Absent {
        /// The name.
        configuration: String,
    },
    /// Something went wrong.
    Failed(PkiError),
    /// What the Secret holds at the end of a round.
    Holds {
        /// When the CA that signs expires.
        ca_expires: Option<SystemTime>,
        /// When the next CA begins to sign, where there is one.
        next_signs: Option<SystemTime>,
    },
}

/// Why a `caBundle` was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Publication {
    /// A CA came or went, or the configuration is new.
    Rotated,
    /// Another client had changed it.
    Repaired,
}

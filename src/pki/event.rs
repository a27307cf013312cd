//! What happens to the certificates, for metrics; the log has the details.

use std::time::SystemTime;

use super::decide::Change;
use super::error::{ErrorKind, PkiError};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// A CA came or went, or the configuration is new.
    Rotated,
    /// Somebody else had changed it.
    Repaired,
}

impl Publication {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Rotated, Self::Repaired];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rotated => "rotated",
            Self::Repaired => "repaired",
        }
    }
}

impl PkiError {
    /// The name of the cause in metric labels.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        self.kind().name()
    }
}

impl ErrorKind {
    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Foreign => "foreign_secret",
            Self::ReadOnly => "read_only_secret",
            Self::Immutable => "immutable_secret",
            Self::Contested => "contested_configuration",
            Self::NoNamespace => "no_namespace",
            Self::Denied(cause) => cause.name(),
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Contended => "contended",
            Self::NotIssued => "not_issued",
            Self::NotTaken => "not_taken",
        }
    }
}

//! What is known about a migration.

use std::time::Duration;

use strum::{EnumString, IntoStaticStr};

/// A time, since 1970-01-01 00:00 UTC.
pub type UnixTime = Duration;

/// How far KubeVirt is with a migration (KubeVirt `api/core/v1/types.go`,
/// `VirtualMachineInstanceMigrationPhase`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, EnumString, IntoStaticStr)]
pub enum MigrationPhase {
    /// KubeVirt has not looked at it yet, or says something else.
    #[default]
    Unset,
    /// It waits for its turn.
    Pending,
    /// Its target pod exists.
    Scheduling,
    /// Its target pod is Ready.
    Scheduled,
    /// The target prepares itself.
    PreparingTarget,
    /// The target is prepared.
    TargetReady,
    /// The VM's memory is copied.
    Running,
    /// A decentralized migration waits for the other cluster.
    WaitingForSync,
    /// A decentralized migration exchanges its state with the other cluster.
    Synchronizing,
    /// The VM runs on the target.
    Succeeded,
    /// The VM runs where it was.
    Failed,
}

impl MigrationPhase {
    /// The phase of this name; one that berth does not know is as good as none.
    #[must_use]
    pub fn named(name: &str) -> Self {
        name.parse().unwrap_or_default()
    }

    /// The name that KubeVirt has for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// How the migration ended, if it has.
    #[must_use]
    pub const fn end(self) -> Option<MigrationEnd> {
        match self {
            Self::Succeeded => Some(MigrationEnd::Succeeded),
            Self::Failed => Some(MigrationEnd::Failed),
            _ => None,
        }
    }

    /// Whether the migration is not over yet.
    #[must_use]
    pub const fn is_active(self) -> bool {
        self.end().is_none()
    }
}

/// The latest migration of a VMI, as far as the VMI's status tells of it
/// (`VirtualMachineInstanceMigrationState`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestMigration {
    /// The UID of the migration.
    pub uid: Box<str>,
    /// When the VM was there on the target.
    pub domain_ready: Option<UnixTime>,
    /// How it ended, if it has.
    pub end: Option<MigrationEnd>,
}

/// How a migration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationEnd {
    /// The VM runs on the target.
    Succeeded,
    /// The VM runs where it was.
    Failed,
}

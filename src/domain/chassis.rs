//! What is known about the chassis of a node from the southbound database.

use std::time::Duration;

/// What is known of a node's chassis from OVN's southbound database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Southbound {
    /// Nothing: the database is not read.
    #[default]
    Unknown,
    /// What was read is too old.
    Stale,
    /// No chassis has the name that the node claims.
    NoChassis,
    /// There is one.
    Chassis(ChassisRow),
}

impl Southbound {
    /// The chassis, where there is one.
    #[must_use]
    pub const fn row(&self) -> Option<&ChassisRow> {
        match self {
            Self::Chassis(row) => Some(row),
            Self::Unknown | Self::Stale | Self::NoChassis => None,
        }
    }
}

/// A chassis in the southbound database, seen from the node that claims it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChassisRow {
    /// Whose it is.
    pub identity: ChassisIdentity,
    /// It has a tunnel endpoint.
    pub has_tunnel: bool,
    /// For how long it has not caught up with the database; `None` while it has.
    pub behind: Option<Duration>,
    /// It fell behind together with all others: the node is not at fault, and its verdict stays.
    pub is_held: bool,
    /// For how long this replica has seen it: what it did before is not known.
    pub seen_for: Duration,
}

/// Whether OVN finds a node's chassis by the node's name, by which Kube-OVN asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChassisIdentity {
    /// It does.
    #[default]
    Own,
    /// The chassis is one of another availability zone (`other_config:is-remote`).
    Remote,
    /// The chassis has the hostname of another node.
    OtherHost,
    /// Another chassis has the node's name as its hostname as well.
    Rival,
    /// A chassis of another availability zone has it, and OVN finds that one.
    RemoteRival,
}

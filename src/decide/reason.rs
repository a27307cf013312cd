//! Why a node is no place for a VM: one reason per check, with the text that kube-scheduler shows.

use std::borrow::Cow;
use std::iter;

/// A reason to reject a node, in the order in which they are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The VM runs on this node.
    MigrationSource,
    /// QEMU on this node does not know the VM's machine type.
    MachineType,
    /// The node never registered an OVN chassis, or the southbound database has none of that name.
    ChassisNotRegistered,
    /// The chassis says that it is of another node, or another chassis says that it is of this one.
    ChassisIdentity,
    /// No other chassis can reach this one: it has no tunnel endpoint.
    ChassisNoTunnel,
    /// The network's agents on the node are missing or not ready.
    AgentsNotReady,
    /// The node says itself that its network is unavailable.
    NetworkUnavailable,
    /// The chassis does not keep up with the southbound database.
    ChassisNotResponding,
}

impl Reason {
    /// All reasons, in the order in which they are reported.
    pub const ALL: [Self; 8] = [
        Self::MigrationSource,
        Self::MachineType,
        Self::ChassisNotRegistered,
        Self::ChassisIdentity,
        Self::ChassisNoTunnel,
        Self::AgentsNotReady,
        Self::NetworkUnavailable,
        Self::ChassisNotResponding,
    ];

    /// Those that only the southbound database can tell of.
    pub const SOUTHBOUND: [Self; 3] = [
        Self::ChassisIdentity,
        Self::ChassisNoTunnel,
        Self::ChassisNotResponding,
    ];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MigrationSource => "migration_source",
            Self::MachineType => "machine_type",
            Self::ChassisNotRegistered => "chassis_not_registered",
            Self::ChassisIdentity => "chassis_identity",
            Self::ChassisNoTunnel => "chassis_no_tunnel",
            Self::AgentsNotReady => "agents_not_ready",
            Self::NetworkUnavailable => "network_unavailable",
            Self::ChassisNotResponding => "chassis_not_responding",
        }
    }

    /// The text for kube-scheduler. It is the same for every node, because the scheduler groups
    /// equal texts in the pod's status, and a status that changes from try to try wakes the pod
    /// again and again. Without the name of a machine type it is as short for a text that is none.
    #[must_use]
    pub fn text(self, machine_type: Option<&str>) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::MigrationSource => "migration source node",
            Self::MachineType => match machine_type {
                Some(name) => return Cow::Owned(format!("machine type {name} not supported")),
                None => "machine type not supported",
            },
            Self::ChassisNotRegistered => "OVN chassis not registered",
            Self::ChassisIdentity => "OVN chassis identity mismatch",
            Self::ChassisNoTunnel => "OVN chassis has no tunnel endpoint",
            Self::AgentsNotReady => "OVN agents not ready",
            Self::NetworkUnavailable => "node network unavailable",
            Self::ChassisNotResponding => "OVN chassis not responding",
        })
    }
}

/// The text for a node that is asked about before berth has seen it.
pub const NOT_YET_KNOWN: &str = "node not yet known to berth";

/// A set of reasons; the empty set is a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons(u8);

impl Reasons {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Reason::ALL
            .iter()
            .fold(Self::default(), |set, reason| set.with(*reason, true))
    }

    /// Whether a reason is in the set.
    #[must_use]
    pub const fn contains(self, reason: Reason) -> bool {
        self.0 & (1 << reason as u8) != 0
    }

    /// Adds a reason when it holds.
    #[must_use]
    pub const fn with(self, reason: Reason, holds: bool) -> Self {
        Self(self.0 | ((holds as u8) << reason as u8))
    }

    /// Those of them that are among these as well.
    #[must_use]
    pub const fn among(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// The reason that is reported: the first in the order of [`Reason`].
    #[must_use]
    pub fn first(self) -> Option<Reason> {
        let place = self.0.trailing_zeros();
        Reason::ALL.get(place as usize).copied()
    }

    /// Whether there is no reason to reject.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All reasons of the set in order.
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        let mut left = self;
        iter::from_fn(move || {
            let first = left.first()?;
            left.0 &= !(1 << first as u8);
            Some(first)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_exact() {
        let texts: Vec<_> = Reason::ALL
            .iter()
            .map(|reason| reason.text(Some("pc-q35-rhel9.2.0")))
            .collect();
        assert_eq!(
            texts,
            [
                "migration source node",
                "machine type pc-q35-rhel9.2.0 not supported",
                "OVN chassis not registered",
                "OVN chassis identity mismatch",
                "OVN chassis has no tunnel endpoint",
                "OVN agents not ready",
                "node network unavailable",
                "OVN chassis not responding",
            ]
        );
        assert_eq!(Reason::MachineType.text(None), "machine type not supported");
        assert_eq!(NOT_YET_KNOWN, "node not yet known to berth");
    }

    #[test]
    fn the_first_reason_in_order_is_reported_whatever_was_added_first() {
        let reasons = Reasons::default()
            .with(Reason::NetworkUnavailable, true)
            .with(Reason::MachineType, true)
            .with(Reason::MigrationSource, false);
        assert_eq!(reasons.first(), Some(Reason::MachineType));
        assert_eq!(
            reasons.iter().collect::<Vec<_>>(),
            [Reason::MachineType, Reason::NetworkUnavailable]
        );
    }

    #[test]
    fn all_lists_the_reasons_in_their_order() {
        assert!(Reason::ALL.is_sorted());
        assert!(
            Reason::ALL
                .iter()
                .enumerate()
                .all(|(i, r)| i == *r as usize)
        );
    }
}

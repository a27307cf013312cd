//! The southbound database at one look, and the ports that name two chassis by their owner.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use crate::ovn::ChassisView;
use crate::ovn::locality::PairedPort;
use crate::snapshot::{Snapshot, SouthboundState};

/// The database at one look.
pub(super) struct Paired<'a> {
    pub(super) view: &'a Arc<ChassisView>,
    pub(super) now: Instant,
    /// The ports, by `namespace/name` of their VM or pod, or by their name where OVN has nothing else.
    pub(super) by_owner: BTreeMap<&'a str, Vec<&'a PairedPort>>,
}

impl<'a> Paired<'a> {
    /// What a snapshot has of it; `None` while the database is not read.
    pub(super) fn of(snapshot: &'a Snapshot) -> Option<Self> {
        let SouthboundState::Fresh(view, now) = &snapshot.southbound else {
            return None;
        };
        let mut by_owner: BTreeMap<&str, Vec<&PairedPort>> = BTreeMap::new();
        for port in view.locality.paired() {
            by_owner.entry(&port.owner).or_default().push(port);
        }
        Some(Self {
            view,
            now: *now,
            by_owner,
        })
    }

    /// The ports of a VM that name two chassis.
    pub(super) fn ports_of(&self, namespace: &str, vm: &str) -> Vec<&'a PairedPort> {
        let owner = |name: String| self.by_owner.get(name.as_str()).cloned();
        let by_id = owner(format!("{namespace}/{vm}"));
        by_id
            .or_else(|| owner(format!("{vm}.{namespace}")))
            .unwrap_or_default()
    }
}

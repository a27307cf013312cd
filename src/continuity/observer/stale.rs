//! Pairs of chassis that were left on the ports of VMs that do not migrate (kube-ovn#7419).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::cluster::object::ObjectKey;
use crate::continuity::observer::Told;
use crate::continuity::observer::paired::Paired;
use crate::domain::UnixTime;
use crate::ovn::locality::PairedPort;
use crate::snapshot::Snapshot;

/// A pair is left once no migration of its VM is under way for so long: Kube-OVN removes it within seconds,
/// and berth after 30 s.
const STALE_AFTER: Duration = Duration::from_mins(1);

/// The pairs without a migration, by the owner of their ports.
#[derive(Debug, Default)]
pub(super) struct StalePairs {
    since: BTreeMap<String, Stale>,
}

#[derive(Debug)]
struct Stale {
    since: UnixTime,
    is_told: bool,
}

impl StalePairs {
    /// How many VMs have one.
    pub(super) fn count(&self) -> usize {
        self.since.values().filter(|stale| stale.is_told).count()
    }

    /// What is to be told of them now.
    pub(super) fn look(
        &mut self,
        snapshot: &Snapshot,
        paired: &Paired<'_>,
        migrating: &BTreeSet<&ObjectKey>,
        now: UnixTime,
    ) -> Vec<Told> {
        let migrates = |port: &PairedPort| {
            let mut vms = migrating.iter().map(|key| key.parts());
            vms.any(|[namespace, vm]| port.is_of(namespace, vm))
        };
        let mut ports = paired.by_owner.clone();
        ports.retain(|_, ports| !ports.iter().any(|port| migrates(port)));
        self.since
            .retain(|owner, _| ports.contains_key(owner.as_str()));
        let mut told = Vec::new();
        for (owner, ports) in ports {
            let stale = self.since.entry(owner.to_owned()).or_insert(Stale {
                since: now,
                is_told: false,
            });
            if stale.is_told || now.saturating_sub(stale.since) < STALE_AFTER {
                continue;
            }
            stale.is_told = true;
            let mut names: Vec<&str> = ports.iter().map(|port| &*port.name).collect();
            names.sort_unstable();
            let vmi = owner
                .split_once('/')
                .and_then(|(namespace, vm)| snapshot.cluster.vmi_named(namespace, vm));
            told.push(Told::Stale {
                vm: owner.to_owned(),
                vmi_uid: vmi.map(|vmi| vmi.uid.to_string()),
                message: names.join(", "),
            });
        }
        told
    }
}

//! Which warm ports, HA groups and records of berth are left over.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::decide::continuity::record::{Records, WarmRecord, warm_key};

/// Everything that berth made to warm chassis, as it was read in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// The ports: the name of each, and its chassis.
    pub ports: Vec<(String, String)>,
    /// The names of the HA groups.
    pub groups: Vec<String>,
}

/// What is to be deleted. A group goes in a later transaction than its port: in the same one the database
/// refuses it, because the port still refers to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// The names of ports.
    pub ports: Vec<String>,
    /// The names of groups without a port.
    pub groups: Vec<String>,
    /// The keys of records whose port is gone, or that can't be read.
    pub records: Vec<String>,
}

impl Leftovers {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty() && self.groups.is_empty() && self.records.is_empty()
    }
}

/// What is left over at `now`, in seconds since the epoch: ports that no migration has needed for `keep`,
/// unless a migration arrives at their chassis, and whatever lost its port.
#[must_use]
pub fn leftovers(
    made: &Made,
    records: &Records,
    now: u64,
    keep: Duration,
    arrives_at: impl Fn(&str) -> bool,
) -> Leftovers {
    let is_due = |name: &str, chassis: &str| match records.warm.get(name) {
        // A record of the future is of a clock that was wrong.
        Some(WarmRecord { used, .. }) => {
            now.abs_diff(*used) >= keep.as_secs() && !arrives_at(chassis)
        }
        None => !arrives_at(chassis),
    };
    let due = made.ports.iter();
    let due = due.filter(|(name, chassis)| is_due(name, chassis));
    let named: BTreeSet<_> = made.ports.iter().map(|(name, _)| name).collect();
    let groups = made.groups.iter().filter(|name| !named.contains(name));
    let lost = records.warm.keys().filter(|name| !named.contains(name));
    let lost = lost.map(|name| warm_key(name));
    Leftovers {
        ports: due.map(|(name, _)| name.clone()).collect(),
        groups: groups.cloned().collect(),
        records: lost.chain(records.damaged.iter().cloned()).collect(),
    }
}

#[cfg(test)]
mod tests;

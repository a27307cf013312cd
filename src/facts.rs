//! What is known at one moment, put together from its sources: the cluster by the API server, the
//! chassis by OVN's southbound database.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use tokio::sync::Notify;

use crate::cluster::View;
use crate::cluster::view::NodeEntry;
use crate::decide::guard::{self, Candidate, Fleet};
use crate::decide::reason::Reasons;
use crate::decide::score::Inputs;
use crate::domain::{Agents, ChassisIdentity, ChassisRow, NodeFacts, Southbound};
pub use crate::ovn::locality::Switches;
use crate::ovn::{self, ChassisView, ClientStats, Problem};

/// Everything that a decision looks at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The cluster.
    pub view: &'a View,
    /// The chassis.
    pub chassis: Chassis<'a>,
}

/// What there is of the southbound database.
#[derive(Clone, Copy, Debug)]
pub enum Chassis<'a> {
    /// It is not read.
    Unknown,
    /// It is too old, and left out.
    LeftOut,
    /// It is too old to pass anybody on it.
    Stale,
    /// It is as it was a moment ago, at the time of whoever asks.
    Known(&'a ChassisView, Instant),
}

/// What to do with a southbound database that nothing has been heard of for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Staleness {
    /// What is too long.
    pub after: Duration,
    /// Reject every node, rather than leave the database out.
    pub rejects: bool,
}

/// Where facts come from, for as long as berth runs.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The cluster.
    pub cluster: Arc<ArcSwap<View>>,
    /// The southbound database, where it is read.
    pub southbound: Option<SouthboundSource>,
    /// Told of each change of any of them.
    pub news: Arc<Notify>,
}

/// The southbound database, as it is followed.
#[derive(Clone, Debug)]
pub struct SouthboundSource {
    /// What is in it.
    pub view: Arc<ArcSwap<ChassisView>>,
    /// How its connection is.
    pub stats: Arc<ClientStats>,
    /// What to do when it is not.
    pub staleness: Staleness,
}

/// How much the southbound database counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is as it was a moment ago.
    Fresh,
    /// It is too old, and left out.
    LeftOut,
    /// It is too old, and nobody passes.
    Rejects,
}

impl SouthboundSource {
    /// How much it counts now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let Staleness { after, rejects } = self.staleness;
        match self.stats.silence() {
            Some(silence) if silence <= after => Standing::Fresh,
            _ if rejects => Standing::Rejects,
            _ => Standing::LeftOut,
        }
    }
}

impl From<Arc<ArcSwap<View>>> for Sources {
    /// The cluster alone.
    fn from(cluster: Arc<ArcSwap<View>>) -> Self {
        Self {
            cluster,
            southbound: None,
            news: Arc::default(),
        }
    }
}

impl Sources {
    /// What is known now, as it is for as long as it is held.
    #[must_use]
    pub fn load(&self) -> Known {
        let southbound = self.southbound.as_ref();
        Known {
            view: self.cluster.load(),
            chassis: southbound.map(|source| (source.view.load(), source.standing())),
            now: tokio::time::Instant::now().into_std(),
        }
    }
}

/// What is known at one moment.
#[derive(Debug)]
pub struct Known {
    view: Guard<Arc<View>>,
    chassis: Option<(Guard<Arc<ChassisView>>, Standing)>,
    now: Instant,
}

impl Known {
    /// The cluster.
    #[must_use]
    pub fn view(&self) -> &View {
        &self.view
    }

    /// All of it.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        let chassis = match &self.chassis {
            Some((view, Standing::Fresh)) => Chassis::Known(view, self.now),
            Some((_, Standing::Rejects)) => Chassis::Stale,
            Some((_, Standing::LeftOut)) => Chassis::LeftOut,
            None => Chassis::Unknown,
        };
        Facts {
            view: &self.view,
            chassis,
        }
    }
}

impl<'a> Facts<'a> {
    /// The cluster alone.
    #[must_use]
    pub const fn of(view: &'a View) -> Self {
        Self {
            view,
            chassis: Chassis::Unknown,
        }
    }

    /// What is true of all of it.
    #[must_use]
    pub fn fleet(&self) -> Fleet {
        Fleet {
            southbound_counts: matches!(self.chassis, Chassis::Stale | Chassis::Known(..)),
            lag_reported: match self.chassis {
                Chassis::Known(view, _) => view.reports_lag(),
                Chassis::Unknown | Chassis::LeftOut | Chassis::Stale => true,
            },
            ..self.view.fleet()
        }
    }

    /// A node as a candidate, if it was seen.
    #[must_use]
    pub fn candidate<'n>(&self, name: &'n str) -> Option<Candidate<'n>>
    where
        'a: 'n,
    {
        let entry = self.view.node(name)?;
        Some(self.judged_by(name, entry.facts()?, entry.agents()))
    }

    /// Of some names, the verdicts on the nodes that were seen: looked up together, which is faster
    /// than one after the other.
    #[must_use]
    pub fn judge<const N: usize>(
        &self,
        names: &[&str; N],
        guard: &mut guard::Guard<'_>,
    ) -> [Option<Reasons>; N] {
        let slots = self.view.slots(names);
        let mut rows = [None; N];
        if let Chassis::Known(view, _) = self.chassis {
            let mut claimed = [""; N];
            for (claimed, slot) in claimed.iter_mut().zip(&slots) {
                let facts = slot.and_then(|slot| slot.entry().facts());
                *claimed = facts.and_then(|facts| facts.chassis.name()).unwrap_or("");
            }
            rows = view.chassis_of(&claimed);
            // A node that claims no chassis has none, not even one without a name.
            for (row, claimed) in rows.iter_mut().zip(&claimed) {
                *row = row.filter(|_| !claimed.is_empty());
            }
        }
        let mut verdicts = [None; N];
        let known = names.iter().zip(&slots).zip(&rows);
        for (verdict, ((name, slot), row)) in verdicts.iter_mut().zip(known) {
            let Some(slot) = slot else { continue };
            let Some(machine_types) = slot.machine_types() else {
                continue;
            };
            let southbound = self.southbound(name, *row);
            *verdict = Some(guard.verdict(name, machine_types, slot.obstacles(), &southbound));
        }
        verdicts
    }

    /// A node with facts from wherever they are known.
    #[must_use]
    pub fn judged_by<'n>(
        &self,
        name: &'n str,
        facts: &'n NodeFacts,
        agents: Agents,
    ) -> Candidate<'n> {
        let row = match (self.chassis, facts.chassis.name()) {
            (Chassis::Known(view, _), Some(chassis)) => view.chassis(chassis),
            _ => None,
        };
        let southbound = match self.southbound(name, row) {
            // What the node does not even claim is said by that alone.
            Southbound::NoChassis if facts.chassis.name().is_none() => Southbound::Unknown,
            southbound => southbound,
        };
        Candidate {
            name,
            facts,
            agents,
            southbound,
        }
    }

    /// All nodes that were seen, with what the view has of them, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = (Candidate<'a>, &'a NodeEntry)> {
        let this = *self;
        this.view
            .nodes()
            .map(move |(name, facts, entry)| (this.judged_by(name, facts, entry.agents()), entry))
    }

    /// The logical switches of a VM, where the southbound database counts and knows of any.
    #[must_use]
    pub fn switches_of(&self, namespace: &str, vm: &str) -> Option<Switches<'a>> {
        match self.chassis {
            Chassis::Known(view, _) => view.locality().switches_of(namespace, vm),
            Chassis::Unknown | Chassis::LeftOut | Chassis::Stale => None,
        }
    }

    /// What the score of a node goes by, for a VM on these switches.
    #[must_use]
    pub fn inputs(
        &self,
        node: Option<&NodeFacts>,
        entry: Option<&NodeEntry>,
        switches: Option<&Switches<'_>>,
    ) -> Inputs {
        let seen = entry.filter(|entry| entry.facts().is_some());
        let arriving = Inputs {
            arriving: seen.map(|entry| usize::try_from(entry.arriving()).unwrap_or(usize::MAX)),
            ..Inputs::default()
        };
        let Chassis::Known(view, now) = self.chassis else {
            return arriving;
        };
        let Some(name) = node.and_then(|node| node.chassis.name()) else {
            return arriving;
        };
        let Some(chassis) = view.chassis(name) else {
            // Nothing is local on a chassis that is not there.
            return Inputs {
                local: switches.map(|_| 0),
                ..arriving
            };
        };
        Inputs {
            local: switches.map(|switches| switches.local_on(chassis)),
            response: view.response(chassis).map(|response| response.mean),
            steady: Some(view.steady_for(chassis, now)),
            ..arriving
        }
    }

    /// What the southbound database says of a node whose chassis has this row.
    #[inline]
    fn southbound(&self, node: &str, row: Option<&ovn::view::Chassis>) -> Southbound {
        match self.chassis {
            Chassis::Unknown => Southbound::Unknown,
            Chassis::LeftOut => Southbound::LeftOut,
            Chassis::Stale => Southbound::Stale,
            Chassis::Known(view, now) => read_row(view, now, node, row),
        }
    }
}

fn read_row(
    view: &ChassisView,
    now: Instant,
    node: &str,
    row: Option<&ovn::view::Chassis>,
) -> Southbound {
    // A database without a column says nothing against anybody by it.
    let judged = |problem| view.judged().contains(problem);
    let Some(chassis) = row else {
        return if judged(Problem::NotRegistered) {
            Southbound::NoChassis
        } else {
            Southbound::Unknown
        };
    };
    let lag = view.lag(chassis, now);
    Southbound::Chassis(ChassisRow {
        identity: if judged(Problem::Identity) {
            identity(view, node, chassis)
        } else {
            ChassisIdentity::Own
        },
        has_tunnel: !judged(Problem::Tunnel) || chassis.has_tunnel(),
        behind: lag.map(|lag| lag.time),
        is_held: lag.is_some_and(|lag| lag.is_held),
        seen_for: view.seen_for(chassis, now),
    })
}

fn identity(view: &ChassisView, node: &str, chassis: &ovn::view::Chassis) -> ChassisIdentity {
    if chassis.is_remote() {
        return ChassisIdentity::Remote;
    }
    if chassis.hostname() != node {
        return ChassisIdentity::OtherHost;
    }
    match view.rival_of(node, chassis) {
        None => ChassisIdentity::Own,
        Some(rival) if rival.is_remote() => ChassisIdentity::RemoteRival,
        Some(_) => ChassisIdentity::Rival,
    }
}

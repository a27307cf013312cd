//! Everything that is known at one moment: the cluster from the API server or a file, the chassis from
//! OVN's southbound database. A decision is a function of one snapshot.

pub mod changes;
mod cluster_gauges;
mod southbound_gauges;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use crate::cluster::ClusterView;
use crate::cluster::view::NodeEntry;
use crate::decide::evaluate::{Candidate, Evaluator, SchedulingReason};
use crate::decide::policy::{ClusterCapabilities, Policy};
use crate::decide::score::Inputs;
use crate::domain::{Agents, NodeFacts, Southbound, Vmi};
pub use crate::ovn::locality::Switches;
use crate::ovn::{ChassisView, ConnectionMetrics};
pub use crate::snapshot::changes::{Change, Changes};
pub use crate::snapshot::cluster_gauges::ClusterGauges;
pub use crate::snapshot::southbound_gauges::SouthboundGauges;

/// What is known at one moment. Copies share it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The cluster.
    pub cluster: Arc<ClusterView>,
    /// The southbound database.
    pub southbound: SouthboundState,
}

/// What there is of the southbound database.
#[derive(Clone, Debug)]
pub enum SouthboundState {
    /// It is not read.
    NotRead,
    /// Nothing was heard from it for too long.
    Stale,
    /// It is up to date, seen at this time.
    Fresh(Arc<ChassisView>, Instant),
}

/// Where snapshots come from, for as long as berth runs.
#[derive(Clone, Debug)]
pub struct Stores {
    /// The cluster.
    pub cluster: Arc<ArcSwap<ClusterView>>,
    /// The southbound database, where it is read.
    pub southbound: Option<SouthboundStore>,
    /// Told of each change of any of them.
    pub changes: Changes,
}

/// The southbound database, as it is followed.
#[derive(Clone, Debug)]
pub struct SouthboundStore {
    /// What is in it.
    pub view: Arc<ArcSwap<ChassisView>>,
    /// How its connection is.
    pub connection: Arc<ConnectionMetrics>,
    /// After how long without a message it is stale.
    pub stale_after: Duration,
}

impl SouthboundStore {
    /// Whether the database was heard from lately.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let silence = self.connection.silence();
        silence.is_some_and(|silence| silence <= self.stale_after)
    }

    /// What there is of it at this time.
    #[must_use]
    pub fn state(&self, now: Instant) -> SouthboundState {
        if self.is_fresh() {
            SouthboundState::Fresh(self.view.load_full(), now)
        } else {
            SouthboundState::Stale
        }
    }
}

impl From<Arc<ArcSwap<ClusterView>>> for Stores {
    /// The cluster alone.
    fn from(cluster: Arc<ArcSwap<ClusterView>>) -> Self {
        Self {
            cluster,
            southbound: None,
            changes: Changes::default(),
        }
    }
}

impl Stores {
    /// What is known now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let now = tokio::time::Instant::now().into_std();
        let southbound = self.southbound.as_ref();
        Snapshot {
            cluster: self.cluster.load_full(),
            southbound: southbound.map_or(SouthboundState::NotRead, |store| store.state(now)),
        }
    }
}

impl From<&ClusterView> for Snapshot {
    /// The cluster alone.
    fn from(cluster: &ClusterView) -> Self {
        Self {
            cluster: Arc::new(cluster.clone()),
            southbound: SouthboundState::NotRead,
        }
    }
}

impl Snapshot {
    /// What is true of the cluster as a whole.
    #[must_use]
    pub fn capabilities(&self) -> ClusterCapabilities {
        ClusterCapabilities {
            southbound_configured: !matches!(self.southbound, SouthboundState::NotRead),
            southbound_counts: matches!(self.southbound, SouthboundState::Fresh(..)),
            lag_reported: matches!(
                &self.southbound,
                SouthboundState::Fresh(chassis, _) if chassis.reports_lag()
            ),
            ..self.cluster.capabilities()
        }
    }

    /// Makes the checks for a VMI that is scheduled for this reason.
    #[must_use]
    pub fn evaluator<'a>(
        &'a self,
        policy: &'a Policy,
        reason: SchedulingReason,
        vmi: &'a Vmi,
    ) -> Evaluator<'a> {
        let origin = self.cluster.origin(vmi);
        Evaluator::for_vm(policy, self.capabilities(), reason, origin)
    }

    /// A node by its name, if it was seen.
    #[must_use]
    pub fn candidate<'a>(&'a self, name: &'a str) -> Option<Candidate<'a>> {
        let entry = self.cluster.node(name)?;
        Some(self.candidate_with(name, entry.facts()?, entry.agents()))
    }

    /// A node with facts from wherever they are known.
    #[must_use]
    pub fn candidate_with<'a>(
        &self,
        name: &'a str,
        facts: &'a NodeFacts,
        agents: Agents,
    ) -> Candidate<'a> {
        let southbound = match (&self.southbound, facts.chassis.name()) {
            (SouthboundState::Stale, _) => Southbound::Stale,
            // That the node claims no chassis says enough.
            (SouthboundState::NotRead, _) | (SouthboundState::Fresh(..), None) => {
                Southbound::Unknown
            }
            (SouthboundState::Fresh(chassis, now), Some(claimed)) => {
                chassis.southbound(name, claimed, *now)
            }
        };
        Candidate {
            name,
            facts,
            agents,
            southbound,
        }
    }

    /// All nodes that were seen, with what the cluster has of them, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = (Candidate<'_>, &NodeEntry)> {
        let nodes = self.cluster.nodes();
        nodes.map(|(name, facts, entry)| (self.candidate_with(name, facts, entry.agents()), entry))
    }

    /// The logical switches of a VM, where the southbound database counts and knows of any.
    #[must_use]
    pub fn switches_of(&self, namespace: &str, vm: &str) -> Option<Switches<'_>> {
        match &self.southbound {
            SouthboundState::Fresh(chassis, _) => chassis.locality.switches_of(namespace, vm),
            SouthboundState::NotRead | SouthboundState::Stale => None,
        }
    }

    /// The inputs of a node's score, for a VM on these switches.
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
        let SouthboundState::Fresh(view, now) = &self.southbound else {
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
            steady: Some(view.steady_for(chassis, *now)),
            ..arriving
        }
    }
}

//! Gauges that are a function of the cluster view.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use crate::cluster::ObjectKind;
use crate::decide::checks::Check;
use crate::decide::evaluate::Evaluator;
use crate::decide::policy::Policy;
use crate::metrics::NamedGauges;
use crate::snapshot::Stores;

/// They are read off the view at every scrape, so that none is ever stale and a node that is gone
/// takes its series along.
pub struct ClusterGauges {
    stores: Stores,
    policy: Policy,
    objects: IntGaugeVec,
    synced: IntGaugeVec,
    arriving: NamedGauges,
    checks: IntGaugeVec,
    agents: IntGaugeVec,
    chassis: NamedGauges,
}

impl ClusterGauges {
    /// Registers nothing yet.
    ///
    /// # Errors
    /// A name or label that is not valid: a defect.
    pub fn new(stores: Stores, policy: Policy) -> Result<Self, prometheus::Error> {
        let gauges =
            |name: &str, help: &str, label| IntGaugeVec::new(Opts::new(name, help), &[label]);
        Ok(Self {
            stores,
            policy,
            objects: gauges(
                "berth_cluster_objects",
                "Objects in the cluster view.",
                "kind",
            )?,
            synced: gauges(
                "berth_cluster_synced",
                "Whether all objects of a kind were listed at least once (1) or not (0); berth is ready when all kinds were.",
                "kind",
            )?,
            arriving: NamedGauges::new(
                "berth_migrations_arriving",
                "Migrations in progress whose target pod runs on a node; nodes without any have no series.",
                "node",
            )?,
            checks: gauges(
                "berth_check_active",
                "Whether a check can reject nodes (1), or is off by configuration or because the cluster does not show what it looks at (0). The first node with a machine-type label turns machine_type on for all nodes; machineType.whenUnlabelled: Allow lets the nodes without one pass.",
                "check",
            )?,
            agents: gauges(
                "berth_agent_required",
                "Whether a node needs this agent to pass agents_not_ready (1), or not, because the cluster shows no pod of it or the check is off (0).",
                "agent",
            )?,
            chassis: NamedGauges::new(
                "berth_chassis_ready",
                "Whether a node could take over the network of a migrating VM (1) or not (0).",
                "node",
            )?,
        })
    }
}

impl Collector for ClusterGauges {
    fn desc(&self) -> Vec<&Desc> {
        [&self.objects, &self.synced, &self.checks, &self.agents]
            .into_iter()
            .flat_map(Collector::desc)
            .chain([self.arriving.desc(), self.chassis.desc()])
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let snapshot = self.stores.snapshot();
        let view = &snapshot.cluster;
        let capabilities = snapshot.capabilities();
        let Self {
            policy,
            objects,
            synced,
            arriving,
            checks,
            agents,
            chassis,
            ..
        } = self;
        for &kind in ObjectKind::ALL {
            let count = i64::try_from(view.count(kind)).unwrap_or(i64::MAX);
            objects.with_label_values(&[kind.name()]).set(count);
            let listed = i64::from(view.is_listed(kind));
            synced.with_label_values(&[kind.name()]).set(listed);
        }
        let active = policy.active_checks(capabilities);
        for check in Check::ALL {
            checks
                .with_label_values(&[check.name()])
                .set(i64::from(active.contains(check)));
        }
        let required = policy.required_agents(capabilities);
        let checked = policy.checks.contains(Check::AgentsNotReady);
        for agent in policy.provider.agents() {
            let is_required = checked && required.contains(*agent);
            agents
                .with_label_values(&[agent.name()])
                .set(i64::from(is_required));
        }
        let mut ready = chassis.family();
        let mut arrivals = arriving.family();
        let mut evaluator = Evaluator::for_any_vm(policy, capabilities);
        for (candidate, entry) in snapshot.nodes() {
            let name = candidate.name;
            let fits = evaluator.evaluate(&candidate).fits();
            ready.add(name, if fits { 1.0 } else { 0.0 });
            if entry.arriving() > 0 {
                arrivals.add(name, f64::from(entry.arriving()));
            }
        }
        [objects, synced, checks, agents]
            .into_iter()
            .flat_map(Collector::collect)
            .chain([ready.into(), arrivals.into()])
            .collect()
    }
}

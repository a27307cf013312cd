//! Gauges that are a function of the cluster view.

use std::sync::{Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use crate::cluster::ObjectKind;
use crate::decide::guard::{self, Policy};
use crate::decide::reason::Reason;
use crate::facts::Sources;

/// They are read off the view at every scrape, so that none is ever stale and a node that is gone
/// takes its series along.
pub(super) struct ViewCollector {
    sources: Sources,
    policy: Policy,
    objects: IntGaugeVec,
    synced: IntGaugeVec,
    arriving: IntGaugeVec,
    checks: IntGaugeVec,
    chassis: IntGaugeVec,
    /// Two scrapes at once would empty each other's gauges.
    scraping: Mutex<()>,
}

impl ViewCollector {
    pub(super) fn new(sources: Sources, policy: Policy) -> Result<Self, prometheus::Error> {
        let gauges =
            |name: &str, help: &str, label| IntGaugeVec::new(Opts::new(name, help), &[label]);
        Ok(Self {
            sources,
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
            arriving: gauges(
                "berth_migrations_arriving",
                "Migrations in progress whose target pod runs on a node; nodes without any have no series.",
                "node",
            )?,
            checks: gauges(
                "berth_check_active",
                "Whether a check can reject nodes (1), or is off by configuration or because the cluster does not show what it looks at (0).",
                "check",
            )?,
            chassis: gauges(
                "berth_chassis_ready",
                "Whether a node could take over the network of a migrating VM (1) or not (0).",
                "node",
            )?,
            scraping: Mutex::new(()),
        })
    }
}

impl Collector for ViewCollector {
    fn desc(&self) -> Vec<&Desc> {
        [
            &self.objects,
            &self.synced,
            &self.arriving,
            &self.checks,
            &self.chassis,
        ]
        .into_iter()
        .flat_map(Collector::desc)
        .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _alone = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.sources.load();
        let (view, facts) = (known.view(), known.facts());
        let Self {
            policy,
            objects,
            synced,
            arriving,
            checks,
            chassis,
            ..
        } = self;
        for kind in ObjectKind::ALL {
            let count = i64::try_from(view.count(kind)).unwrap_or(i64::MAX);
            objects.with_label_values(&[kind.name()]).set(count);
            let listed = i64::from(view.is_listed(kind));
            synced.with_label_values(&[kind.name()]).set(listed);
        }
        for reason in Reason::ALL {
            let active = guard::is_active(policy, facts.fleet(), reason);
            checks
                .with_label_values(&[reason.name()])
                .set(i64::from(active));
        }
        chassis.reset();
        arriving.reset();
        for (candidate, entry) in facts.nodes() {
            let name = candidate.name;
            let obstacles = guard::chassis_obstacles(policy, facts.fleet(), &candidate);
            let ready = i64::from(obstacles.is_empty());
            chassis.with_label_values(&[name]).set(ready);
            if entry.arriving() > 0 {
                let count = i64::from(entry.arriving());
                arriving.with_label_values(&[name]).set(count);
            }
        }
        [objects, synced, arriving, checks, chassis]
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

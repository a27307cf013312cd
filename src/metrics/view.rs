//! Gauges that are a function of the cluster view.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use crate::cluster::View;
use crate::cluster::view::ObjectKind;
use crate::decide::guard::{self, Policy};
use crate::decide::reason::Reason;
use crate::domain::ChassisClaim;

/// They are read off the view at every scrape, so that none is ever stale and a node that is gone
/// takes its series along.
pub(super) struct ViewCollector {
    view: Arc<ArcSwap<View>>,
    policy: Policy,
    objects: IntGaugeVec,
    checks: IntGaugeVec,
    chassis: IntGaugeVec,
    /// Two scrapes at once would empty each other's gauges.
    scraping: Mutex<()>,
}

impl ViewCollector {
    pub(super) fn new(view: Arc<ArcSwap<View>>, policy: Policy) -> Result<Self, prometheus::Error> {
        let gauges =
            |name: &str, help: &str, label| IntGaugeVec::new(Opts::new(name, help), &[label]);
        Ok(Self {
            view,
            policy,
            objects: gauges(
                "berth_cluster_objects",
                "Objects in the cluster view.",
                "kind",
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
        [&self.objects, &self.checks, &self.chassis]
            .into_iter()
            .flat_map(Collector::desc)
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _alone = self.scraping.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.view.load();
        let Self {
            policy,
            objects,
            checks,
            chassis,
            ..
        } = self;
        for kind in ObjectKind::ALL {
            let count = i64::try_from(view.count(kind)).unwrap_or(i64::MAX);
            objects.with_label_values(&[kind.name()]).set(count);
        }
        for reason in Reason::ALL {
            let active = guard::is_active(policy, view.fleet(), reason);
            checks
                .with_label_values(&[reason.name()])
                .set(i64::from(active));
        }
        chassis.reset();
        let agents_checked = guard::is_active(policy, view.fleet(), Reason::AgentsNotReady);
        for (name, facts, agents) in view.nodes() {
            let ready = matches!(facts.chassis, ChassisClaim::Registered(_))
                && !facts.network_unavailable
                && (agents.ready() || !agents_checked);
            chassis.with_label_values(&[name]).set(i64::from(ready));
        }
        [objects, checks, chassis]
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

//! What one replica does for all: the node conditions.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGauge, Opts};

use crate::api;
use crate::domain::Status;
use crate::publish::stats::PublishStats;

/// What each duty counts.
#[derive(Clone, Debug, Default)]
pub struct DutyStats {
    /// The node conditions.
    pub publish: Arc<PublishStats>,
}

/// Each keeps its own counts; they are copied out at every scrape.
pub struct DutyCollector {
    stats: DutyStats,
    writes: IntCounterVec,
    write_failures: IntCounterVec,
    waiting: IntGauge,
}

impl DutyCollector {
    /// Registers nothing yet.
    ///
    /// # Errors
    /// A name or label that is not valid: a defect.
    pub fn new(stats: DutyStats) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label])
        };
        Ok(Self {
            stats,
            writes: counters(
                "berth_node_condition_writes_total",
                "Node conditions OVNChassisReady written, by status.",
                "status",
            )?,
            write_failures: counters(
                "berth_node_condition_failures_total",
                "Node conditions that could not be written, each time, by cause.",
                "cause",
            )?,
            waiting: IntGauge::new(
                "berth_node_conditions_waiting",
                "Nodes whose condition is not yet what it is to be.",
            )?,
        })
    }

    fn parts(&self) -> [&dyn Collector; 3] {
        [&self.writes, &self.write_failures, &self.waiting]
    }
}

impl Collector for DutyCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let DutyStats { publish } = &self.stats;
        self.waiting
            .set(i64::try_from(publish.waiting()).unwrap_or(i64::MAX));
        let copy = |counters: &IntCounterVec, label: &str, count: u64| {
            let counter = counters.with_label_values(&[label]);
            counter.reset();
            counter.inc_by(count);
        };
        for status in Status::ALL {
            copy(&self.writes, status.name(), publish.writes(status));
        }
        for cause in api::Cause::ALL {
            copy(&self.write_failures, cause.name(), publish.failures(cause));
        }
        self.parts()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

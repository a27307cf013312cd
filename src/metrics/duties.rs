//! What one replica does for all: the lease, the node conditions, the question to the chassis.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

use crate::api;
use crate::domain::Status;
use crate::lease::stats::LeaseStats;
use crate::ovn;
use crate::ovn::probe::ProbeStats;
use crate::publish::stats::PublishStats;

/// What each duty counts.
#[derive(Clone, Debug, Default)]
pub struct DutyStats {
    /// The lease.
    pub lease: Arc<LeaseStats>,
    /// The node conditions.
    pub publish: Arc<PublishStats>,
    /// The question to the chassis.
    pub probe: Arc<ProbeStats>,
}

/// Each keeps its own counts; they are copied out at every scrape.
pub(super) struct DutyCollector {
    stats: DutyStats,
    held: IntGauge,
    taken: IntCounter,
    lease_failures: IntCounterVec,
    writes: IntCounterVec,
    write_failures: IntCounterVec,
    waiting: IntGauge,
    questions: IntCounter,
    question_failures: IntCounterVec,
}

impl DutyCollector {
    pub(super) fn new(stats: DutyStats) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label])
        };
        Ok(Self {
            stats,
            held: IntGauge::new(
                "berth_lease_held",
                "Whether this replica holds the lease, publishes node conditions and asks the chassis (1) or not (0).",
            )?,
            taken: IntCounter::new(
                "berth_lease_taken_total",
                "Times that this replica came to hold the lease.",
            )?,
            lease_failures: counters(
                "berth_lease_failures_total",
                "Reads and writes of the lease that failed, by cause; conflict is another replica that was faster.",
                "cause",
            )?,
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
            questions: IntCounter::new(
                "berth_probe_questions_total",
                "Questions to all chassis, asked in the northbound database.",
            )?,
            question_failures: counters(
                "berth_probe_failures_total",
                "Questions to all chassis that could not be asked, by cause.",
                "cause",
            )?,
        })
    }

    fn parts(&self) -> [&dyn Collector; 8] {
        [
            &self.held,
            &self.taken,
            &self.lease_failures,
            &self.writes,
            &self.write_failures,
            &self.waiting,
            &self.questions,
            &self.question_failures,
        ]
    }
}

impl Collector for DutyCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let DutyStats {
            lease,
            publish,
            probe,
        } = &self.stats;
        self.held.set(i64::from(lease.is_held()));
        self.taken.reset();
        self.taken.inc_by(lease.taken());
        self.waiting
            .set(i64::try_from(publish.waiting()).unwrap_or(i64::MAX));
        self.questions.reset();
        self.questions.inc_by(probe.questions());
        let copy = |counters: &IntCounterVec, label: &str, count: u64| {
            let counter = counters.with_label_values(&[label]);
            counter.reset();
            counter.inc_by(count);
        };
        for status in Status::ALL {
            copy(&self.writes, status.name(), publish.writes(status));
        }
        for cause in api::Cause::ALL {
            copy(&self.lease_failures, cause.name(), lease.failures(cause));
            copy(&self.write_failures, cause.name(), publish.failures(cause));
        }
        for cause in ovn::Cause::ALL {
            copy(&self.question_failures, cause.name(), probe.failures(cause));
        }
        self.parts()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

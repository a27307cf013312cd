//! What the two listeners count of their connections.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use crate::server::{ServerStats, Timeout};

/// The listeners keep their own counts; they are copied out at every scrape.
pub struct ListenerCollector {
    listeners: [(&'static str, Arc<ServerStats>); 2],
    open: IntGaugeVec,
    accepted: IntCounterVec,
    failed: IntCounterVec,
    timeouts: IntCounterVec,
    panics: IntCounterVec,
}

/// Why a connection came to nothing, with how to read its count.
type Failure = (&'static str, fn(&ServerStats) -> u64);

const FAILURES: [Failure; 4] = [
    ("too_many", ServerStats::refused),
    ("gave_way", ServerStats::gave_way),
    ("handshake", ServerStats::failed_handshakes),
    ("accept", ServerStats::accept_errors),
];

impl ListenerCollector {
    /// Registers nothing yet.
    ///
    /// # Errors
    /// A name or label that is not valid: a defect.
    pub fn new(
        https: Arc<ServerStats>,
        admin: Arc<ServerStats>,
    ) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        Ok(Self {
            listeners: [("https", https), ("admin", admin)],
            open: IntGaugeVec::new(
                Opts::new("berth_connections_open", "Open connections."),
                &["listener"],
            )?,
            accepted: counters(
                "berth_connections_accepted_total",
                "Connections taken.",
                &["listener"],
            )?,
            failed: counters(
                "berth_connections_failed_total",
                "Connections that came to nothing: over the limit, ended for another one at the limit, no TLS handshake, or the system would not accept them.",
                &["listener", "cause"],
            )?,
            timeouts: counters(
                "berth_connections_timed_out_total",
                "Connections that berth ended because it waited too long; idle is the everyday end of one.",
                &["listener", "waiting_for"],
            )?,
            panics: counters(
                "berth_panics_total",
                "Handlers and connections that panicked: each is a defect, and its message is in the log.",
                &["listener"],
            )?,
        })
    }
}

impl Collector for ListenerCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.open
            .desc()
            .into_iter()
            .chain(
                [&self.accepted, &self.failed, &self.timeouts, &self.panics]
                    .into_iter()
                    .flat_map(Collector::desc),
            )
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let copy = |counters: &IntCounterVec, labels: &[&str], count: u64| {
            let counter = counters.with_label_values(labels);
            counter.reset();
            counter.inc_by(count);
        };
        for (listener, stats) in &self.listeners {
            let open = i64::try_from(stats.open()).unwrap_or(i64::MAX);
            self.open.with_label_values(&[listener]).set(open);
            copy(&self.accepted, &[listener], stats.accepted());
            copy(&self.panics, &[listener], stats.panics());
            for (cause, read) in FAILURES {
                copy(&self.failed, &[listener, cause], read(stats));
            }
            for timeout in Timeout::ALL {
                let count = stats.timeouts(timeout);
                copy(&self.timeouts, &[listener, timeout.label()], count);
            }
        }
        let mut families = self.open.collect();
        for counters in [&self.accepted, &self.failed, &self.timeouts, &self.panics] {
            families.extend(counters.collect());
        }
        families
    }
}

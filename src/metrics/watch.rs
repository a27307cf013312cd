//! What the watches count, and the reads beside them.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use crate::api::Cause;
use crate::cluster::{Lookup, ObjectKind, VmiReader, WatchStats};

/// The watches keep their own counts; they are copied out at every scrape.
pub struct WatchCollector {
    watches: Arc<WatchStats>,
    reader: Arc<VmiReader>,
    lists: IntCounterVec,
    starts: IntCounterVec,
    failures: IntCounterVec,
    unreadable: IntCounterVec,
    failing: IntGaugeVec,
    lookups: IntCounterVec,
}

impl WatchCollector {
    /// Registers nothing yet.
    ///
    /// # Errors
    /// A name or label that is not valid: a defect.
    pub fn new(
        watches: Arc<WatchStats>,
        reader: Arc<VmiReader>,
    ) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            IntCounterVec::new(Opts::new(name, help), labels)
        };
        Ok(Self {
            watches,
            reader,
            lists: counters(
                "berth_watch_lists_total",
                "Full lists taken from the API server; after the first, each is a watch that had to start over.",
                &["kind"],
            )?,
            starts: counters(
                "berth_watch_starts_total",
                "Watches asked for. The API server ends each after a minute, so that one a minute is the everyday rate.",
                &["kind"],
            )?,
            failures: counters(
                "berth_watch_restarts_total",
                "Lists and watches that failed and were begun again after a wait, by cause; not_found is a CRD that is not installed.",
                &["kind", "cause"],
            )?,
            unreadable: counters(
                "berth_watch_unreadable_objects_total",
                "Objects that came and could not be read, each time they came.",
                &["kind"],
            )?,
            failing: IntGaugeVec::new(
                Opts::new(
                    "berth_watch_failing",
                    "Whether the list or watch of a kind fails, so that what is known of it may be old (1) or not (0).",
                ),
                &["kind"],
            )?,
            lookups: counters(
                "berth_vmi_lookups_total",
                "VMIs that no watch had brought when their pods came, by what a read of them came to; limited and remembered were not read: too many were, or it was absent a moment ago.",
                &["outcome"],
            )?,
        })
    }
}

impl Collector for WatchCollector {
    fn desc(&self) -> Vec<&Desc> {
        [
            &self.lists,
            &self.starts,
            &self.failures,
            &self.unreadable,
            &self.lookups,
        ]
        .into_iter()
        .flat_map(Collector::desc)
        .chain(self.failing.desc())
        .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Self {
            watches,
            reader,
            lists,
            starts,
            failures,
            unreadable,
            failing,
            lookups,
            ..
        } = self;
        for vec in [lists, starts, failures, unreadable, lookups] {
            vec.reset();
        }
        for kind in ObjectKind::ALL {
            let label = kind.name();
            let set = |vec: &IntCounterVec, count| vec.with_label_values(&[label]).inc_by(count);
            set(lists, watches.lists(kind));
            set(starts, watches.starts(kind));
            set(unreadable, watches.unreadables(kind));
            for cause in Cause::ALL {
                failures
                    .with_label_values(&[label, cause.name()])
                    .inc_by(watches.failures(kind, cause));
            }
            failing
                .with_label_values(&[label])
                .set(i64::from(watches.is_failing(kind)));
        }
        for (outcome, count) in Lookup::OUTCOMES.into_iter().zip(reader.outcomes()) {
            lookups.with_label_values(&[outcome]).inc_by(count);
        }
        [lists, starts, failures, unreadable, lookups]
            .into_iter()
            .flat_map(Collector::collect)
            .chain(failing.collect())
            .collect()
    }
}

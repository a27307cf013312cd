//! The metrics of the watches, and of the look-ups beside them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use crate::api::{Cause, Fault};
use crate::cluster::{Lookup, ObjectKind};
use crate::metrics::Registry;

/// The metrics of every kind's watch, and what each fails of now.
#[derive(Debug)]
pub struct Metrics {
    lists: IntCounterVec,
    starts: IntCounterVec,
    failures: IntCounterVec,
    unreadable: IntCounterVec,
    failing: IntGaugeVec,
    lookups: IntCounterVec,
    faults: [Mutex<Option<Fault>>; ObjectKind::ALL.len()],
}

impl Metrics {
    /// Registers everything, at zero.
    ///
    /// # Errors
    /// As the methods of [`Registry`].
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            lists: registry.counters(
                "berth_watch_lists_total",
                "Full lists taken from the API server; after the first, each is a watch that had to start over.",
                &["kind"],
            )?,
            starts: registry.counters(
                "berth_watch_starts_total",
                "Watches asked for. The API server ends each after a minute, so that one a minute is the everyday rate.",
                &["kind"],
            )?,
            failures: registry.counters(
                "berth_watch_restarts_total",
                "Lists and watches that failed and were begun again after a wait, by cause; not_found is a CRD that is not installed.",
                &["kind", "cause"],
            )?,
            unreadable: registry.counters(
                "berth_watch_unreadable_objects_total",
                "Objects that came and could not be read, each time they came.",
                &["kind"],
            )?,
            failing: registry.gauges(
                "berth_watch_failing",
                "Whether the list or watch of a kind fails, so that what is known of it may be old (1) or not (0).",
                &["kind"],
            )?,
            lookups: registry.counters(
                "berth_vmi_lookups_total",
                "Lookups at the API server of VMIs that were not in the snapshot, by outcome; limited and remembered made no request.",
                &["outcome"],
            )?,
            faults: Default::default(),
        };
        for &kind in ObjectKind::ALL {
            for vec in [&metrics.lists, &metrics.starts, &metrics.unreadable] {
                vec.with_label_values(&[kind.name()]);
            }
            metrics.failing(kind).set(0);
            for &cause in Cause::ALL {
                metrics.failures(kind, cause).reset();
            }
        }
        for outcome in Lookup::OUTCOMES {
            metrics.lookups(outcome).reset();
        }
        Ok(metrics)
    }

    /// Full lists taken; after the first each one is a new start.
    #[must_use]
    pub fn lists(&self, kind: ObjectKind) -> IntCounter {
        self.lists.with_label_values(&[kind.name()])
    }

    /// Watches asked for. The server ends each after a while, by
    /// [`WATCH_SECONDS`](super::watch::WATCH_SECONDS).
    #[must_use]
    pub fn starts(&self, kind: ObjectKind) -> IntCounter {
        self.starts.with_label_values(&[kind.name()])
    }

    /// Failures of lists and watches by their cause.
    #[must_use]
    pub fn failures(&self, kind: ObjectKind, cause: Cause) -> IntCounter {
        self.failures
            .with_label_values(&[kind.name(), cause.name()])
    }

    /// Objects that could not be read, each time they came.
    #[must_use]
    pub fn unreadable(&self, kind: ObjectKind) -> IntCounter {
        self.unreadable.with_label_values(&[kind.name()])
    }

    /// 1 while what is known of a kind may be old, because its list or watch fails.
    #[must_use]
    pub fn failing(&self, kind: ObjectKind) -> IntGauge {
        self.failing.with_label_values(&[kind.name()])
    }

    /// Look-ups of single VMIs with one of [`Lookup::OUTCOMES`].
    #[must_use]
    pub fn lookups(&self, outcome: &str) -> IntCounter {
        self.lookups.with_label_values(&[outcome])
    }

    /// What the list or watch of a kind failed of, while it fails.
    #[must_use]
    pub fn fault(&self, kind: ObjectKind) -> Option<Fault> {
        self.lock_fault(kind).clone()
    }

    pub(super) fn failed(&self, kind: ObjectKind, fault: &Fault) {
        // A CRD that is not installed is no failure.
        let is_failing = fault.cause != Cause::NotFound;
        self.failing(kind).set(is_failing.into());
        *self.lock_fault(kind) = Some(fault.clone());
        self.failures(kind, fault.cause).inc();
    }

    /// It goes well again.
    pub(super) fn recovered(&self, kind: ObjectKind) {
        *self.lock_fault(kind) = None;
        self.failing(kind).set(0);
    }

    fn lock_fault(&self, kind: ObjectKind) -> MutexGuard<'_, Option<Fault>> {
        let fault = self.faults[kind as usize].lock();
        fault.unwrap_or_else(PoisonError::into_inner)
    }
}

//! The metrics of continuity.

use prometheus::{HistogramVec, IntCounterVec, IntGauge};
use strum::{AsRefStr, VariantArray};

use crate::continuity::preparer::{PairOutcome, WarmOutcome};
use crate::metrics::Registry;

/// From a pair that is there already to the longest wait for a chassis.
const BUCKETS: [f64; 10] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What came of a bind call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum BindOutcome {
    /// The pod is bound.
    Bound,
    /// It was bound to this node already.
    AlreadyBound,
    /// It is not bound by this call.
    Failed,
}

/// What the leader did for ports and HA groups that berth wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Upkept {
    /// A pair was written again while its migration runs.
    PairRestored,
    /// A pair was replaced by the one chassis after its migration.
    PairFinished,
    /// Somebody else replaced or removed a pair after its migration.
    PairForgotten,
    /// A warm port was deleted.
    PortDeleted,
    /// An HA group was deleted.
    GroupDeleted,
}

/// The metrics of continuity.
#[derive(Clone, Debug)]
pub struct Metrics {
    binds: IntCounterVec,
    pairs: IntCounterVec,
    warmings: IntCounterVec,
    preparation: HistogramVec,
    upkeep: IntCounterVec,
    failures: IntCounterVec,
    /// Pairs that berth wrote and that are still remembered.
    pub pairs_open: IntGauge,
    /// Warm ports that are there.
    pub warm_ports: IntGauge,
}

impl Metrics {
    /// Registers everything, at zero.
    ///
    /// # Errors
    /// As the methods of [`Registry`].
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            binds: registry.counters(
                "berth_binds_total",
                "Bind calls of kube-scheduler, by what came of them.",
                &["outcome"],
            )?,
            pairs: registry.counters(
                "berth_port_pairs_total",
                "Migrations whose target was bound, by what came of the pair of chassis on the VM's ports.",
                &["outcome"],
            )?,
            warmings: registry.counters(
                "berth_warmings_total",
                "Migrations whose target was bound, by what came of the flows of the VM's VPC on the target's chassis.",
                &["outcome"],
            )?,
            preparation: registry.histograms(
                "berth_preparation_duration_seconds",
                "How long the bind of a migration's target waited for its network.",
                &[],
                &BUCKETS,
            )?,
            upkeep: registry.counters(
                "berth_continuity_upkeep_total",
                "What was done for the ports and HA groups that berth wrote to the northbound database.",
                &["action"],
            )?,
            failures: registry.counters(
                "berth_northbound_failures_total",
                "Transactions with the northbound database that failed, by cause.",
                &["cause"],
            )?,
            pairs_open: registry.gauge(
                "berth_port_pairs_open",
                "Port pairs that berth wrote and has not seen the end of.",
            )?,
            warm_ports: registry.gauge(
                "berth_warm_ports",
                "Warm ports of berth in the northbound database.",
            )?,
        };
        for outcome in BindOutcome::VARIANTS {
            metrics.binds.with_label_values(&[outcome.as_ref()]);
        }
        for outcome in PairOutcome::VARIANTS {
            metrics.pairs.with_label_values(&[outcome.as_ref()]);
        }
        for outcome in WarmOutcome::VARIANTS {
            metrics.warmings.with_label_values(&[outcome.as_ref()]);
        }
        for action in Upkept::VARIANTS {
            metrics.upkeep.with_label_values(&[action.as_ref()]);
        }
        for kind in ovsdb::ErrorKind::ALL {
            metrics.failures.with_label_values(&[kind.name()]);
        }
        Ok(metrics)
    }

    /// A bind call was answered.
    pub fn bind(&self, outcome: BindOutcome) {
        self.binds.with_label_values(&[outcome.as_ref()]).inc();
    }

    /// The network of a migration was prepared, as far as it went.
    pub fn prepared(&self, pair: PairOutcome, warm: WarmOutcome, took: std::time::Duration) {
        self.pairs.with_label_values(&[pair.as_ref()]).inc();
        self.warmings.with_label_values(&[warm.as_ref()]).inc();
        let none: [&str; 0] = [];
        let histogram = self.preparation.with_label_values(&none);
        histogram.observe(took.as_secs_f64());
    }

    /// The leader did this so many times.
    pub fn upkept(&self, action: Upkept, times: usize) {
        let times = u64::try_from(times).unwrap_or(u64::MAX);
        self.upkeep
            .with_label_values(&[action.as_ref()])
            .inc_by(times);
    }

    /// A transaction failed.
    pub fn failed(&self, error: &ovsdb::TransactError) {
        self.failures
            .with_label_values(&[error.kind().name()])
            .inc();
    }
}

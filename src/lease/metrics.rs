//! The metrics of the lease.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use crate::api::Cause;
use crate::metrics::Registry;

/// The metrics of one replica's part in the lease.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// 1 while this replica holds the lease.
    pub held: IntGauge,
    /// How often this replica came to hold it.
    pub taken: IntCounter,
    failures: IntCounterVec,
}

impl Metrics {
    /// Registers everything, at zero.
    ///
    /// # Errors
    /// As the methods of [`Registry`].
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            held: registry.gauge(
                "berth_lease_held",
                "Whether this replica holds the lease, publishes node conditions and probes the chassis (1) or not (0).",
            )?,
            taken: registry.counter(
                "berth_lease_taken_total",
                "Times that this replica came to hold the lease.",
            )?,
            failures: registry.counters(
                "berth_lease_failures_total",
                "Reads and writes of the lease that failed, by cause; conflict is another replica that was faster.",
                &["cause"],
            )?,
        };
        for cause in Cause::ALL {
            metrics.failures.with_label_values(&[cause.name()]);
        }
        Ok(metrics)
    }

    /// Reads and writes of the lease that failed with this cause.
    #[must_use]
    pub fn failures(&self, cause: Cause) -> IntCounter {
        self.failures.with_label_values(&[cause.name()])
    }
}

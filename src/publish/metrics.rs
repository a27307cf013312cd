//! The metrics of the node conditions.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use crate::api::Cause;
use crate::domain::Status;
use crate::metrics::Registry;

/// The metrics of the conditions that this replica writes.
#[derive(Clone, Debug)]
pub struct Metrics {
    writes: IntCounterVec,
    failures: IntCounterVec,
    /// Nodes whose condition is not what it is to be: they wait for their turn, or for the API server.
    pub waiting: IntGauge,
}

impl Metrics {
    /// Registers everything, at zero.
    ///
    /// # Errors
    /// As the methods of [`Registry`].
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            writes: registry.counters(
                "berth_node_condition_writes_total",
                "Node conditions OVNChassisReady written, by status.",
                &["status"],
            )?,
            failures: registry.counters(
                "berth_node_condition_failures_total",
                "Node conditions that could not be written, each time, by cause.",
                &["cause"],
            )?,
            waiting: registry.gauge(
                "berth_node_conditions_waiting",
                "Nodes whose condition is not yet what it is to be.",
            )?,
        };
        for &status in Status::ALL {
            metrics.writes(status).reset();
        }
        for &cause in Cause::ALL {
            metrics.failures(cause).reset();
        }
        Ok(metrics)
    }

    /// Conditions written with this status.
    #[must_use]
    pub fn writes(&self, status: Status) -> IntCounter {
        self.writes.with_label_values(&[status.name()])
    }

    /// Conditions that could not be written, each time, with this cause.
    #[must_use]
    pub fn failures(&self, cause: Cause) -> IntCounter {
        self.failures.with_label_values(&[cause.name()])
    }
}

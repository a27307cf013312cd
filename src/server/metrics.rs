//! What the listeners count of their connections.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use strum::{AsRefStr, VariantArray};

use crate::metrics::Registry;

/// The metrics of all listeners.
#[derive(Clone, Debug)]
pub struct ServerMetrics {
    open: IntGaugeVec,
    accepted: IntCounterVec,
    failed: IntCounterVec,
    timeouts: IntCounterVec,
    panics: IntCounterVec,
}

impl ServerMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// As the methods of [`Registry`].
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            open: registry.gauges("berth_connections_open", "Open connections.", &["listener"])?,
            accepted: registry.counters(
                "berth_connections_accepted_total",
                "Connections taken.",
                &["listener"],
            )?,
            failed: registry.counters(
                "berth_connections_failed_total",
                "Connections that came to nothing: over the limit, ended for another one at the limit, no TLS handshake, or the system would not accept them.",
                &["listener", "cause"],
            )?,
            timeouts: registry.counters(
                "berth_connections_timed_out_total",
                "Connections that berth ended because it waited too long; idle is the everyday end of one.",
                &["listener", "waiting_for"],
            )?,
            panics: registry.counters(
                "berth_panics_total",
                "Handlers and connections that panicked: each is a defect, and its message is in the log.",
                &["listener"],
            )?,
        })
    }

    /// The metrics of one listener.
    #[must_use]
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        let failed = |cause| self.failed.with_label_values(&[name, cause]);
        ListenerMetrics {
            open: self.open.with_label_values(&[name]),
            accepted: self.accepted.with_label_values(&[name]),
            refused: failed("too_many"),
            displaced: failed("gave_way"),
            failed_handshakes: failed("handshake"),
            accept_errors: failed("accept"),
            panics: self.panics.with_label_values(&[name]),
            timeouts: std::array::from_fn(|index| {
                let labels = [name, Timeout::VARIANTS[index].as_ref()];
                self.timeouts.with_label_values(&labels)
            }),
            in_flight: AtomicUsize::new(0),
        }
    }
}

/// The metrics of one listener.
#[derive(Debug)]
pub struct ListenerMetrics {
    /// Connections open now, those in a TLS handshake included.
    pub(super) open: IntGauge,
    /// Connections accepted and served, refused ones not included.
    pub(super) accepted: IntCounter,
    /// Connections dropped because as many as allowed were open.
    pub(super) refused: IntCounter,
    /// Connections that ended for another one, because as many as allowed were open.
    pub(super) displaced: IntCounter,
    /// TLS handshakes that ended in an error; those that took too long are [`Timeout::Handshake`].
    pub(super) failed_handshakes: IntCounter,
    /// Failures of the listener itself, such as too many open files.
    pub(super) accept_errors: IntCounter,
    /// Handlers and connections that panicked.
    pub(super) panics: IntCounter,
    timeouts: [IntCounter; Timeout::VARIANTS.len()],
    /// Requests whose response has not been handed over in full. It is not exported.
    pub(super) in_flight: AtomicUsize,
}

impl ListenerMetrics {
    /// Connections that ended because of this timeout.
    pub(super) fn timeouts(&self, timeout: Timeout) -> &IntCounter {
        &self.timeouts[timeout as usize]
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Relaxed)
    }
}

/// Which wait the server gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Timeout {
    /// For the TLS handshake.
    Handshake,
    /// For the head of a request, or for the first byte of a new connection.
    Header,
    /// For another request on a connection that was done with the last: the everyday end of one.
    Idle,
    /// For the peer to take output.
    Write,
    /// For the peer to agree to the end of a connection.
    Close,
}

#[cfg(test)]
impl ListenerMetrics {
    /// Those of a listener of its own.
    pub(super) fn for_test() -> Self {
        let metrics = ServerMetrics::register(&Registry::default());
        metrics.map(|metrics| metrics.listener("test")).unwrap()
    }
}

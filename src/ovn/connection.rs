//! How the connection to the southbound database is: what the log and Prometheus say of it, and for how
//! long no server has answered.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ovsdb::client::SETTLED;
use ovsdb::{ClientEvent, Error, ErrorKind};
use prometheus::{IntCounter, IntCounterVec, IntGauge};
use tokio::time::Instant;

use crate::failure_log::FailureLog;
use crate::metrics::Registry;
use crate::text::{LONGEST_TEXT, shorten};
use crate::tls;

/// What is counted of the connection.
#[derive(Debug)]
pub struct ConnectionMetrics {
    connected: IntGauge,
    /// Connections that were established.
    pub connections: IntCounter,
    /// Times that all rows were read (`full`) or only what changed (`resumed`), by `kind`.
    pub syncs: IntCounterVec,
    /// Connections that could not be established or have ended, by `cause`.
    pub failures: IntCounterVec,
    began: Instant,
    /// When a followed server last answered: milliseconds from the beginning, plus one; zero is never.
    last_contact: AtomicU64,
}

impl ConnectionMetrics {
    /// Registers the metrics, at zero.
    ///
    /// # Errors
    /// A metric of the same name is registered already: a defect.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            connected: registry.gauge(
                "berth_southbound_connected",
                "Whether a server of the southbound database is followed (1) or not (0).",
            )?,
            connections: registry.counter(
                "berth_southbound_connections_total",
                "Connections to servers of the southbound database; all but the first are reconnects.",
            )?,
            syncs: registry.counters(
                "berth_southbound_syncs_total",
                "Times that the database was read as a whole, or that a new connection went on where the last one ended.",
                &["kind"],
            )?,
            failures: registry.counters(
                "berth_southbound_failures_total",
                "Connections that came to nothing or to their end, by cause.",
                &["cause"],
            )?,
            began: Instant::now(),
            last_contact: AtomicU64::new(0),
        };
        metrics.syncs.with_label_values(&["full"]);
        metrics.syncs.with_label_values(&["resumed"]);
        for kind in ErrorKind::ALL {
            metrics.failures.with_label_values(&[kind.name()]);
        }
        Ok(metrics)
    }

    /// Counts an event.
    pub fn observe(&self, event: &ClientEvent<'_>) {
        match event {
            ClientEvent::Connected(_) => self.connections.inc(),
            ClientEvent::Synced { resumed, .. } => {
                let kind = if *resumed { "resumed" } else { "full" };
                self.syncs.with_label_values(&[kind]).inc();
                self.connected.set(1);
                self.answered();
            }
            // Before everything is known, an answer says nothing about what is known.
            ClientEvent::Answered if self.is_synced() => self.answered(),
            ClientEvent::Answered | ClientEvent::Changed(_) => {}
            ClientEvent::Failed { error, .. } => {
                self.connected.set(0);
                self.failures
                    .with_label_values(&[error.kind().name()])
                    .inc();
            }
        }
    }

    fn answered(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.last_contact.store(now + 1, Relaxed);
    }

    /// Whether the database is followed: what is known of it is what is in it.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.connected.get() == 1
    }

    /// How long ago a followed server last answered; `None` before the first time. It is asked after
    /// the inactivity time, and this is up to that.
    #[must_use]
    pub fn silence(&self) -> Option<Duration> {
        let last = self.last_contact.load(Relaxed).checked_sub(1)?;
        let last = Duration::from_millis(last);
        Some(self.began.elapsed().saturating_sub(last))
    }
}

/// What the log says of a connection: each kind of failure of a server once, until things went well.
#[derive(Debug, Default)]
pub(super) struct ConnectionLog {
    failures: FailureLog<(String, ErrorKind)>,
}

impl ConnectionLog {
    pub(super) fn write(&mut self, database: &str, event: &ClientEvent<'_>) {
        match event {
            ClientEvent::Synced {
                endpoint,
                status,
                changes,
                resumed,
                took,
                ..
            } => tracing::info!(
                database,
                endpoint = %endpoint,
                server = status.server.map(tracing::field::display),
                resumed,
                changes = changes.len(),
                milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                "the database is followed"
            ),
            ClientEvent::Failed {
                endpoint,
                error,
                synced_for,
            } => {
                if synced_for.is_some_and(|time| time >= SETTLED) {
                    self.failures.clear();
                }
                let (kind, endpoint) = (error.kind(), endpoint.to_string());
                let (cause, error) = (kind.name(), message(error));
                if self.failures.record((endpoint.clone(), kind)) {
                    tracing::warn!(
                        database,
                        endpoint,
                        cause,
                        "the database is not followed, and its last data stay in use: {error}"
                    );
                } else {
                    tracing::debug!(
                        database,
                        endpoint,
                        cause,
                        "the database is not followed again: {error}"
                    );
                }
            }
            ClientEvent::Connected(_) | ClientEvent::Answered | ClientEvent::Changed(_) => {}
        }
    }
}

/// An error for the log: the server's text is escaped, and TLS errors are explained.
pub(super) fn message(error: &Error) -> String {
    let text = tls::explain(error).unwrap_or_else(|| error.to_string());
    shorten(text, LONGEST_TEXT)
}

#[cfg(test)]
mod tests {
    use ovsdb::Endpoints;
    use ovsdb::server_status::ServerStatus;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_timed_from_the_last_answer_of_a_followed_server() {
        let endpoints = Endpoints::parse("test", "tcp:a:1").unwrap();
        let endpoint = endpoints.at(0);
        let metrics = ConnectionMetrics::register(&Registry::default()).unwrap();
        metrics.observe(&ClientEvent::Connected(endpoint));
        metrics.observe(&ClientEvent::Answered);
        assert_eq!(metrics.silence(), None);
        metrics.observe(&ClientEvent::Synced {
            endpoint,
            status: ServerStatus::default(),
            changes: &[],
            missing: &[],
            resumed: false,
            took: Duration::ZERO,
        });
        tokio::time::advance(Duration::from_secs(3)).await;
        metrics.observe(&ClientEvent::Changed(&[]));
        assert_eq!(metrics.silence(), Some(Duration::from_secs(3)));
        metrics.observe(&ClientEvent::Answered);
        assert_eq!(metrics.silence(), Some(Duration::ZERO));
        metrics.observe(&ClientEvent::Failed {
            endpoint,
            error: &Error::new(ErrorKind::Closed, "closed"),
            synced_for: Some(Duration::from_secs(3)),
        });
        assert!(!metrics.is_synced());
        tokio::time::advance(Duration::from_secs(2)).await;
        metrics.observe(&ClientEvent::Answered);
        assert_eq!(metrics.silence(), Some(Duration::from_secs(2)));
        let counts = [
            metrics.connections.get(),
            metrics.syncs.with_label_values(&["full"]).get(),
            metrics.syncs.with_label_values(&["resumed"]).get(),
            metrics.failures.with_label_values(&["closed"]).get(),
        ];
        assert_eq!(counts, [1, 1, 0, 1]);
    }
}

//! What the connection to a database counts, for the caller to export.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

use crate::ovn::fault::Cause;

/// Counts of one database's connection. Those of what happened only rise.
#[derive(Debug)]
pub struct ClientStats {
    began: Instant,
    synced: AtomicBool,
    connections: AtomicU64,
    full_syncs: AtomicU64,
    resumed_syncs: AtomicU64,
    updates: AtomicU64,
    bytes: AtomicU64,
    failures: [AtomicU64; Cause::ALL.len()],
    /// Milliseconds from the beginning, plus one; zero is never.
    last_contact: AtomicU64,
}

impl Default for ClientStats {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            synced: AtomicBool::new(false),
            connections: AtomicU64::new(0),
            full_syncs: AtomicU64::new(0),
            resumed_syncs: AtomicU64::new(0),
            updates: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            failures: Cause::ALL.map(|_| AtomicU64::new(0)),
            last_contact: AtomicU64::new(0),
        }
    }
}

impl ClientStats {
    /// Whether the database is followed: what is known of it is what is in it.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced.load(Relaxed)
    }

    /// Connections that were established; all but the first are reconnects.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// How often all of the tables was read.
    #[must_use]
    pub fn full_syncs(&self) -> u64 {
        self.full_syncs.load(Relaxed)
    }

    /// How often a connection went on where the last one ended.
    #[must_use]
    pub fn resumed_syncs(&self) -> u64 {
        self.resumed_syncs.load(Relaxed)
    }

    /// Updates that changed something.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.updates.load(Relaxed)
    }

    /// Bytes received.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Connections that came to nothing or to their end, by the cause.
    #[must_use]
    pub fn failures(&self, cause: Cause) -> u64 {
        self.failures[cause as usize].load(Relaxed)
    }

    /// How long ago the server that is followed last answered; `None` where none ever did. It is asked
    /// at the inactivity time, and this is up to that.
    #[must_use]
    pub fn silence(&self) -> Option<Duration> {
        let last = self.last_contact.load(Relaxed).checked_sub(1)?;
        Some(
            self.began
                .elapsed()
                .saturating_sub(Duration::from_millis(last)),
        )
    }

    pub(super) fn connected(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn synced(&self, resumed: bool) {
        let syncs = if resumed {
            &self.resumed_syncs
        } else {
            &self.full_syncs
        };
        syncs.fetch_add(1, Relaxed);
        self.synced.store(true, Relaxed);
        self.answered();
    }

    pub(super) fn updated(&self) {
        self.updates.fetch_add(1, Relaxed);
    }

    pub(super) fn received(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Relaxed);
    }

    /// What comes before all is known says nothing of what is known.
    pub(super) fn answered(&self) {
        if self.is_synced() {
            let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
            self.last_contact.store(now + 1, Relaxed);
        }
    }

    pub(super) fn failed(&self, cause: Cause) {
        self.synced.store(false, Relaxed);
        self.failures[cause as usize].fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_counted_from_the_last_answer_of_a_server_that_is_followed() {
        let stats = ClientStats::default();
        stats.answered();
        assert_eq!((stats.silence(), stats.bytes()), (None, 0));
        stats.synced(false);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(stats.silence(), Some(Duration::from_secs(3)));
        stats.received(10);
        let silence = stats.silence();
        assert_eq!((silence, stats.bytes()), (Some(Duration::from_secs(3)), 10));
        stats.answered();
        assert_eq!(stats.silence(), Some(Duration::ZERO));
        stats.failed(Cause::Closed);
        assert!(!stats.is_synced());
        tokio::time::advance(Duration::from_secs(2)).await;
        stats.answered();
        assert_eq!(stats.silence(), Some(Duration::from_secs(2)));
        assert_eq!(stats.failures(Cause::Closed), 1);
    }
}

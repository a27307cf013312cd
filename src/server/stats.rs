//! What a listener counts, for the caller to export.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Counts of one listener. Counters only rise; [`Self::open`] and [`Self::in_flight`] are gauges.
#[derive(Debug, Default)]
pub struct ServerStats {
    pub(super) open: Gauge,
    pub(super) in_flight: Gauge,
    pub(super) accepted: Counter,
    pub(super) refused: Counter,
    pub(super) gave_way: Counter,
    pub(super) failed_handshakes: Counter,
    pub(super) accept_errors: Counter,
    pub(super) panics: Counter,
    timeouts: [Counter; Timeout::ALL.len()],
}

impl ServerStats {
    /// Connections open now, those in a TLS handshake included.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.get()
    }

    /// Requests whose response has not been handed over in full.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.get()
    }

    /// Connections accepted and served, refused ones not included.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    /// Connections dropped because as many as allowed were open.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.get()
    }

    /// Connections that ended for another one, because as many as allowed were open.
    #[must_use]
    pub fn gave_way(&self) -> u64 {
        self.gave_way.get()
    }

    /// TLS handshakes that ended in an error; those that took too long are [`Timeout::Handshake`].
    #[must_use]
    pub fn failed_handshakes(&self) -> u64 {
        self.failed_handshakes.get()
    }

    /// Failures of the listener itself, such as too many open files.
    #[must_use]
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.get()
    }

    /// Handlers and connections that panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.panics.get()
    }

    /// Connections ended by the server because of `timeout`.
    #[must_use]
    pub fn timeouts(&self, timeout: Timeout) -> u64 {
        self.timeouts[timeout as usize].get()
    }

    pub(super) fn timed_out(&self, timeout: Timeout) {
        self.timeouts[timeout as usize].add();
    }
}

/// Which wait the server gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl Timeout {
    /// Every timeout, in the order of the enum.
    pub const ALL: [Self; 5] = [
        Self::Handshake,
        Self::Header,
        Self::Idle,
        Self::Write,
        Self::Close,
    ];

    /// The value for a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Header => "header",
            Self::Idle => "idle",
            Self::Write => "write",
            Self::Close => "close",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

#[derive(Debug, Default)]
pub(super) struct Gauge(AtomicUsize);

impl Gauge {
    pub(super) fn up(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(super) fn down(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

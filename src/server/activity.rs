//! What a connection is doing, and so until when it may go on doing it.
//!
//! Hyper's own header timeout also runs between the requests of a kept-alive connection, so it
//! cannot be shorter than the idle timeout. Here the bytes and the requests of a connection are
//! reported by its IO wrapper and its service, and [`State::due`] tells the two apart.
//! [`State`] knows no clock: every event brings its time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Limits;
use super::stats::{ServerStats, Timeout};

const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug)]
pub(super) struct State {
    protocol: Protocol,
    opened: Instant,
    served: bool,
    /// Since when bytes have come that belong to no request yet.
    head_since: Option<Instant>,
    /// Requests a handler works on.
    handling: usize,
    /// Responses not yet handed over in full.
    sending: usize,
    /// The last time a response made progress or ended.
    progress: Instant,
    /// Since when the peer has taken no output, while there is some.
    blocked_since: Option<Instant>,
    /// Since when the connection is being closed.
    closing_since: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// So many bytes came, all of them the start of the HTTP/2 preface.
    Unknown(usize),
    Http1,
    Http2,
}

impl State {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            protocol: Protocol::Unknown(0),
            opened: now,
            served: false,
            head_since: None,
            handling: 0,
            sending: 0,
            progress: now,
            blocked_since: None,
            closing_since: None,
        }
    }

    pub(super) fn read(&mut self, bytes: &[u8], now: Instant) {
        if let Protocol::Unknown(matched) = self.protocol {
            self.protocol = identify(matched, bytes);
        }
        // Bytes during a request are its body, or a pipelined head that counts as idle time.
        if !bytes.is_empty() && self.in_flight() == 0 {
            self.head_since.get_or_insert(now);
        }
    }

    pub(super) fn request_begun(&mut self) {
        self.served = true;
        self.head_since = None;
        self.handling += 1;
    }

    pub(super) fn response_begun(&mut self, now: Instant) {
        self.handling -= 1;
        self.sending += 1;
        self.progress = now;
    }

    pub(super) fn response_progressed(&mut self, now: Instant) {
        self.progress = now;
    }

    /// Whether the connection's task must be woken to see it: an HTTP/2 request ends in a task of
    /// its own, all else happens while the connection is polled.
    pub(super) fn request_ended(&mut self, stage: Stage, now: Instant) -> bool {
        match stage {
            Stage::Handling => self.handling -= 1,
            Stage::Sending => self.sending -= 1,
        }
        self.progress = now;
        self.protocol == Protocol::Http2 && self.handling == 0
    }

    pub(super) fn write_blocked(&mut self, now: Instant) {
        self.blocked_since.get_or_insert(now);
    }

    /// Some output was taken, but more may wait.
    pub(super) fn write_progressed(&mut self, now: Instant) {
        if let Some(since) = &mut self.blocked_since {
            *since = now;
        }
    }

    pub(super) fn flushed(&mut self, now: Instant) {
        if self.blocked_since.take().is_some() {
            self.progress = now;
        }
    }

    pub(super) fn closing(&mut self, now: Instant) {
        self.closing_since.get_or_insert(now);
    }

    fn in_flight(&self) -> usize {
        self.handling + self.sending
    }

    /// Until when the connection may go on as it is, and what it waits for in vain by then.
    /// `None` while a handler works: how long that may take is for the router to say.
    pub(super) fn due(&self, limits: &Limits) -> Option<(Instant, Timeout)> {
        let Limits {
            header_timeout,
            idle_timeout,
            ..
        } = *limits;
        if let Some(since) = self.blocked_since {
            return Some((since + idle_timeout, Timeout::Write));
        }
        if self.handling > 0 {
            return None;
        }
        if self.sending > 0 {
            // HTTP/2 flow control can hold a response back while the socket takes output.
            return Some((self.progress + idle_timeout, Timeout::Write));
        }
        if let Some(since) = self.closing_since {
            let since = since.max(self.progress);
            return Some((since + header_timeout, Timeout::Close));
        }
        let head_since = match self.protocol {
            // Frames without a stream, such as pings, are no sign of a request to come.
            Protocol::Http2 => None,
            Protocol::Http1 | Protocol::Unknown(_) if self.served => self.head_since,
            Protocol::Http1 | Protocol::Unknown(_) => Some(self.opened),
        };
        Some(match head_since {
            Some(since) => (since + header_timeout, Timeout::Header),
            None => (self.progress + idle_timeout, Timeout::Idle),
        })
    }
}

fn identify(matched: usize, bytes: &[u8]) -> Protocol {
    let expected = &H2_PREFACE[matched..];
    let compared = expected.len().min(bytes.len());
    if bytes[..compared] != expected[..compared] {
        Protocol::Http1
    } else if compared == expected.len() {
        Protocol::Http2
    } else {
        Protocol::Unknown(matched + compared)
    }
}

/// How far a request in flight has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Handling,
    Sending,
}

/// The state of a connection, shared by its IO, its service and its task.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    /// Wakes the connection's task, see [`State::request_ended`].
    pub(super) ended: Notify,
    stats: Arc<ServerStats>,
}

impl Activity {
    pub(super) fn new(stats: Arc<ServerStats>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(Instant::now())),
            ended: Notify::new(),
            stats,
        })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight, from its head to the last byte of its response or the loss of either.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
    stage: Stage,
}

impl InFlight {
    pub(super) fn begin(activity: Arc<Activity>) -> Self {
        activity.stats.in_flight.up();
        activity.state().request_begun();
        Self {
            activity,
            stage: Stage::Handling,
        }
    }

    pub(super) fn response_begun(&mut self) {
        self.stage = Stage::Sending;
        self.activity.state().response_begun(Instant::now());
    }

    pub(super) fn response_progressed(&self) {
        self.activity.state().response_progressed(Instant::now());
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        let wake = state.request_ended(self.stage, Instant::now());
        drop(state);
        self.activity.stats.in_flight.down();
        if wake {
            self.activity.ended.notify_one();
        }
    }
}

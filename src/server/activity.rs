//! What a connection is doing, and the deadline that follows from it.
//!
//! Hyper's own header timeout also runs between the requests of a kept-alive connection, so it
//! cannot be shorter than the idle timeout. Here the bytes and the requests of a connection are
//! reported by its IO wrapper and its service, and [`State::due`] tells the two apart.
//! [`State`] reads no clock: every event carries its time.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::Limits;
use super::metrics::{ListenerMetrics, Timeout};

const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug)]
pub(super) struct State {
    protocol: Protocol,
    opened: Instant,
    served: bool,
    /// When the first bytes arrived that belong to no request yet.
    head_since: Option<Instant>,
    /// Requests in a handler.
    handling: usize,
    /// Responses that are not fully sent.
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
    /// The first bytes, this many, match the HTTP/2 preface.
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

    /// Whether the connection's task must be woken: an HTTP/2 request ends in its own task,
    /// everything else happens while the connection is polled.
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

    /// When the connection last made progress; `None` while a handler works.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.handling == 0).then_some(self.progress)
    }

    fn in_flight(&self) -> usize {
        self.handling + self.sending
    }

    /// The deadline of the connection, and the timeout that then applies. `None` while a handler
    /// works: the router limits the time of a handler.
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
            // Frames without a stream, such as pings, do not start a request.
            Protocol::Http2 if self.served => None,
            Protocol::Http1 | Protocol::Unknown(_) if self.served => self.head_since,
            Protocol::Http2 | Protocol::Http1 | Protocol::Unknown(_) => Some(self.opened),
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

/// The stage of a request in flight.
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
    /// Tells the connection's task that the HTTP/2 client must reconnect elsewhere.
    pub(super) leaving: Notify,
    /// Tells the connection's task to close the connection for a new one.
    pub(super) displaced: Notify,
    metrics: Arc<ListenerMetrics>,
}

impl Activity {
    pub(super) fn new(metrics: Arc<ListenerMetrics>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(Instant::now())),
            ended: Notify::new(),
            leaving: Notify::new(),
            displaced: Notify::new(),
            metrics,
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
        activity.metrics.in_flight.fetch_add(1, Relaxed);
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
        self.activity.metrics.in_flight.fetch_sub(1, Relaxed);
        if wake {
            self.activity.ended.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HEADER: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(100);

    /// The deadline after events at given seconds. One table, because the rules are ordered.
    #[test]
    fn due() {
        let check = |name: &str, expected: Option<(u64, Timeout)>, events: &[(u64, Event)]| {
            let start = Instant::now();
            let mut state = State::new(start);
            for (second, event) in events {
                event(&mut state, start + Duration::from_secs(*second));
            }
            let due = state.due(&mk_limits());
            let due = due.map(|(at, timeout)| ((at - start).as_secs(), timeout));
            assert_eq!(due, expected, "{name}");
        };
        let header = |second| Some((second, Timeout::Header));
        let idle = |second| Some((second, Timeout::Idle));
        let write = |second| Some((second, Timeout::Write));
        let close = |second| Some((second, Timeout::Close));

        check("new", header(10), &[]);
        check("first head", header(10), &[(5, head)]);
        check("handler", None, &[(5, head), (5, request)]);
        check("body", None, &[(5, head), (5, request), (6, head)]);
        let answered = [(5, head as Event), (5, request), (7, answer), (8, end)];
        check("response", write(107), &answered[..3]);
        check("kept alive", idle(108), &answered);
        let and = |more: &[(u64, Event)]| [&answered[..], more].concat();
        check("second head", header(60), &and(&[(50, head)]));
        check(
            "its first byte counts",
            header(60),
            &and(&[(50, head), (55, head)]),
        );
        check("blocked", write(120), &and(&[(20, block)]));
        check("blocked on", write(120), &and(&[(20, block), (30, block)]));
        check("some taken", write(130), &and(&[(20, block), (30, wrote)]));
        check("all taken", idle(140), &and(&[(20, block), (40, flush)]));
        check("not blocked", idle(108), &and(&[(40, wrote), (41, flush)]));
        check("closing", close(30), &and(&[(20, closing)]));
        check(
            "closing, blocked",
            write(121),
            &and(&[(20, closing), (21, block)]),
        );
        check(
            "closing, at work",
            None,
            &and(&[(20, closing), (21, request)]),
        );
        check(
            "closing, done",
            close(50),
            &[(20, request), (21, closing), (30, answer), (40, end)],
        );
        check("handler lost", idle(102), &[(1, request), (2, lose)]);
        check("preface", header(10), &[(5, preface)]);
        check(
            "pings",
            idle(102),
            &[
                (1, preface),
                (1, request),
                (1, answer),
                (2, end),
                (50, head),
            ],
        );
        check("half a preface", header(10), &[(5, half_preface)]);
        check("not a preface", header(10), &[(5, half_preface), (6, head)]);
    }

    #[test]
    fn the_last_http2_request_wakes_the_connection() {
        let now = Instant::now();
        let mut state = State::new(now);
        preface(&mut state, now);
        for _ in 0..3 {
            state.request_begun();
        }
        state.response_begun(now);
        assert!(!state.request_ended(Stage::Sending, now));
        assert!(!state.request_ended(Stage::Handling, now));
        assert!(state.request_ended(Stage::Handling, now));
    }

    type Event = fn(&mut State, Instant);

    fn head(state: &mut State, now: Instant) {
        state.read(b"x", now);
    }
    fn preface(state: &mut State, now: Instant) {
        let (half, other) = H2_PREFACE.split_at(11);
        state.read(half, now);
        state.read(other, now);
    }
    fn half_preface(state: &mut State, now: Instant) {
        state.read(&H2_PREFACE[..11], now);
    }
    fn request(state: &mut State, _: Instant) {
        state.request_begun();
    }
    fn answer(state: &mut State, now: Instant) {
        state.response_begun(now);
    }
    fn end(state: &mut State, now: Instant) {
        state.request_ended(Stage::Sending, now);
    }
    fn lose(state: &mut State, now: Instant) {
        state.request_ended(Stage::Handling, now);
    }
    fn block(state: &mut State, now: Instant) {
        state.write_blocked(now);
    }
    fn wrote(state: &mut State, now: Instant) {
        state.write_progressed(now);
    }
    fn flush(state: &mut State, now: Instant) {
        state.flushed(now);
    }
    fn closing(state: &mut State, now: Instant) {
        state.closing(now);
    }

    fn mk_limits() -> Limits {
        Limits {
            handshake_timeout: Duration::ZERO,
            header_timeout: HEADER,
            idle_timeout: IDLE,
            drain_timeout: Duration::ZERO,
            max_connections: 0,
        }
    }
}

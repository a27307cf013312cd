//! An answer on its way out: it holds its bytes of the budget until they are sent, and is given up when
//! that takes too long.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, sleep};

use super::InFlight;
use super::budget::BudgetGuard;
use crate::http::metrics::{Metrics, RefusalCause, Surface};
use crate::wire::Outgoing;

/// Small enough that a connection asks again and again while its client reads slowly.
const FRAME: usize = 256 << 10;

/// How often the deadlines are checked.
const PERIOD: Duration = Duration::from_millis(250);

/// The body of an answer.
#[derive(Debug)]
pub(super) struct ResponseBody {
    unsent: Arc<Unsent>,
    deadlines: Arc<SendDeadlines>,
}

/// What has not been sent, until it is given up.
type Unsent = Mutex<Option<Answer>>;

/// It is dropped as a whole. What the connection has taken by then and has not sent still counts.
#[derive(Debug)]
struct Answer {
    rest: Outgoing,
    deadline: Instant,
    bytes: Arc<BudgetGuard>,
    _in_flight: InFlight,
}

impl ResponseBody {
    /// An answer that has to be sent within `patience`.
    pub(super) fn new(
        rest: Outgoing,
        bytes: BudgetGuard,
        in_flight: InFlight,
        patience: Duration,
        deadlines: &Arc<SendDeadlines>,
    ) -> Self {
        let unsent = Arc::new(Mutex::new(Some(Answer {
            rest,
            deadline: Instant::now() + patience,
            bytes: Arc::new(bytes),
            _in_flight: in_flight,
        })));
        deadlines.watch(&unsent);
        Self {
            unsent,
            deadlines: Arc::clone(deadlines),
        }
    }
}

/// Gives up answers that are not sent in time. A connection that can't send does not ask for more, so
/// that a task has to look; one does it for all answers, while there are any.
#[derive(Debug)]
pub(super) struct SendDeadlines {
    surface: Surface,
    metrics: Metrics,
    answers: Mutex<Vec<Weak<Unsent>>>,
}

impl SendDeadlines {
    pub(super) fn new(surface: Surface, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            surface,
            metrics,
            answers: Mutex::default(),
        })
    }

    fn watch(self: &Arc<Self>, unsent: &Arc<Unsent>) {
        let mut answers = lock(&self.answers);
        if answers.is_empty() {
            tokio::spawn(Arc::clone(self).run());
        }
        answers.push(Arc::downgrade(unsent));
    }

    async fn run(self: Arc<Self>) {
        loop {
            sleep(PERIOD).await;
            let now = Instant::now();
            let mut answers = lock(&self.answers);
            answers.retain(|answer| {
                answer.upgrade().is_some_and(|unsent| {
                    let mut answer = lock(&unsent);
                    self.give_up_late(&mut answer, now);
                    answer.is_some()
                })
            });
            if answers.is_empty() {
                return;
            }
        }
    }

    fn give_up_late(&self, answer: &mut Option<Answer>, now: Instant) {
        if answer.take_if(|answer| now > answer.deadline).is_some() {
            self.metrics.refused(self.surface, RefusalCause::Timeout);
            let surface = self.surface.as_ref();
            tracing::debug!(surface, "an answer was read too slowly");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A part of an answer that the connection has taken. A client that does not read, or whose HTTP/2
/// window is zero, leaves it in the connection's buffers.
struct Part {
    bytes: Bytes,
    _held: Arc<BudgetGuard>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut answer = lock(&self.unsent);
        self.deadlines.give_up_late(&mut answer, Instant::now());
        let Some(Answer { rest, bytes, .. }) = answer.as_mut() else {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the answer was read too slowly");
            return Poll::Ready(Some(Err(error)));
        };
        let part = rest.next(FRAME).map(|next| Part {
            bytes: next,
            _held: Arc::clone(bytes),
        });
        Poll::Ready(part.map(|part| Ok(Frame::data(Bytes::from_owner(part)))))
    }

    fn is_end_stream(&self) -> bool {
        let answer = lock(&self.unsent);
        answer.as_ref().is_some_and(|answer| answer.rest.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        let answer = lock(&self.unsent);
        let rest = answer.as_ref().map_or(0, |answer| answer.rest.len());
        SizeHint::with_exact(u64::try_from(rest).unwrap_or(u64::MAX))
    }
}

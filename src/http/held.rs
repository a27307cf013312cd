//! An answer on its way out: it holds its bytes of the budget until they are sent, and is given up when
//! that takes too long.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use slab::Slab;
use tokio::time::{Instant, sleep};

use crate::http::budget::BudgetGuard;
use crate::http::lane::Share;
use crate::wire::Outgoing;

/// Small enough that a connection asks again and again while its client reads slowly.
const FRAME: usize = 256 << 10;

/// Between two looks at the clock.
const PERIOD: Duration = Duration::from_millis(250);

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Held {
    slot: Arc<Slot>,
    clock: Arc<Clock>,
    place: usize,
}

/// What has not been sent, until it is given up.
type Slot = Mutex<Option<Answer>>;

/// It is given up as a whole. What the connection has taken by then and has not sent goes on counting.
#[derive(Debug)]
struct Answer {
    rest: Outgoing,
    deadline: Instant,
    share: Share,
}

impl Held {
    pub(super) fn new(
        rest: Outgoing,
        share: Share,
        patience: Duration,
        clock: &Arc<Clock>,
    ) -> Self {
        let deadline = Instant::now() + patience;
        let answer = Answer {
            rest,
            deadline,
            share,
        };
        let slot = Arc::new(Mutex::new(Some(answer)));
        Self {
            place: clock.watch(&slot),
            clock: Arc::clone(clock),
            slot,
        }
    }
}

/// Looks at the clock for answers that are on their way out: a connection that can't send does not
/// ask for more. One task does it for all of them, while there are any: a task for each answer would
/// wake another thread for each.
#[derive(Debug, Default)]
pub(super) struct Clock(Mutex<Watch>);

#[derive(Debug, Default)]
struct Watch {
    answers: Slab<Arc<Slot>>,
    is_running: bool,
}

impl Clock {
    /// Looks at an answer too, until its place is given back.
    fn watch(self: &Arc<Self>, slot: &Arc<Slot>) -> usize {
        let mut watch = lock(&self.0);
        if !watch.is_running {
            watch.is_running = true;
            tokio::spawn(Arc::clone(self).run());
        }
        watch.answers.insert(Arc::clone(slot))
    }

    fn forget(&self, place: usize) {
        lock(&self.0).answers.remove(place);
    }

    async fn run(self: Arc<Self>) {
        loop {
            sleep(PERIOD).await;
            let mut watch = lock(&self.0);
            if watch.answers.is_empty() {
                watch.is_running = false;
                return;
            }
            let now = Instant::now();
            for (_, slot) in &watch.answers {
                give_up_late(&mut lock(slot), now);
            }
        }
    }
}

fn give_up_late(answer: &mut Option<Answer>, now: Instant) {
    if let Some(late) = answer.take_if(|answer| now > answer.deadline) {
        late.share.given_up();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A part of an answer that the connection has taken. A client that does not read, or whose HTTP/2
/// window is zero, leaves it in the connection's buffers.
struct Part {
    bytes: Vec<u8>,
    _held: Arc<BudgetGuard>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Nobody else has the slot then, and what is in it ends with this.
        self.clock.forget(self.place);
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut answer = lock(&self.slot);
        give_up_late(&mut answer, Instant::now());
        let Some(Answer { rest, share, .. }) = answer.as_mut() else {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the answer was read too slowly");
            return Poll::Ready(Some(Err(error)));
        };
        if rest.left() == 0 {
            return Poll::Ready(None);
        }
        // A copy: a slice would keep the whole answer in memory until its last byte is sent.
        let frame = Part {
            bytes: rest.next(FRAME),
            _held: share.held(),
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_owner(frame)))))
    }

    fn is_end_stream(&self) -> bool {
        let answer = lock(&self.slot);
        answer
            .as_ref()
            .is_some_and(|answer| answer.rest.left() == 0)
    }

    fn size_hint(&self) -> SizeHint {
        let answer = lock(&self.slot);
        let rest = answer.as_ref().map_or(0, |answer| answer.rest.left());
        SizeHint::with_exact(u64::try_from(rest).unwrap_or(u64::MAX))
    }
}

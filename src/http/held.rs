//! An answer on its way out: it holds its request's share until the connection has taken it, and is
//! given up when that takes too long.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::http::lane::Share;
use crate::wire::Outgoing;

/// Small enough that a connection asks again and again while its client reads slowly.
const FRAME: usize = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Held {
    answer: Arc<Mutex<Option<Answer>>>,
    /// A connection that can't send does not ask for more, so that somebody else has to look at
    /// the clock.
    clock: JoinHandle<()>,
}

/// What has not been sent. It is given up as a whole, memory and share.
#[derive(Debug)]
struct Answer {
    rest: Outgoing,
    deadline: Instant,
    share: Share,
}

impl Held {
    pub(super) fn new(rest: Outgoing, share: Share, patience: Duration) -> Self {
        let deadline = Instant::now() + patience;
        let answer = Arc::new(Mutex::new(Some(Answer {
            rest,
            deadline,
            share,
        })));
        let watched = Arc::clone(&answer);
        let clock = tokio::spawn(async move {
            sleep_until(deadline).await;
            give_up(&watched);
        });
        Self { answer, clock }
    }
}

fn give_up(answer: &Mutex<Option<Answer>>) {
    if let Some(Answer { share, .. }) = lock(answer).take() {
        share.given_up();
    }
}

fn lock(answer: &Mutex<Option<Answer>>) -> MutexGuard<'_, Option<Answer>> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Held {
    fn drop(&mut self) {
        self.clock.abort();
        // Now, not when the runtime gets to the aborted task.
        drop(lock(&self.answer).take());
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut answer = lock(&self.answer);
        let late = |answer: &Answer| Instant::now() > answer.deadline;
        let Some(Answer { rest, .. }) = answer.as_mut().filter(|answer| !late(answer)) else {
            drop(answer);
            give_up(&self.answer);
            let error = io::Error::new(io::ErrorKind::TimedOut, "the answer was read too slowly");
            return Poll::Ready(Some(Err(error)));
        };
        if rest.left() == 0 {
            return Poll::Ready(None);
        }
        // A copy: a slice would keep the whole answer in memory until its last byte is sent.
        let frame = rest.next(FRAME);
        Poll::Ready(Some(Ok(Frame::data(frame.into()))))
    }

    fn is_end_stream(&self) -> bool {
        let answer = lock(&self.answer);
        answer
            .as_ref()
            .is_some_and(|answer| answer.rest.left() == 0)
    }

    fn size_hint(&self) -> SizeHint {
        let answer = lock(&self.answer);
        let rest = answer.as_ref().map_or(0, |answer| answer.rest.left());
        SizeHint::with_exact(u64::try_from(rest).unwrap_or(u64::MAX))
    }
}

//! An answer on its way out: it holds its request's share until the connection has taken it, and is
//! given up when that takes too long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::http::lane::Share;

/// Small enough that a connection asks again and again while its client reads slowly.
const FRAME: usize = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Held {
    rest: Bytes,
    deadline: Instant,
    /// Dropped with the body: when the last frame is taken, or the connection ends.
    _share: Share,
}

impl Held {
    pub(super) fn new(json: Vec<u8>, share: Share, patience: Duration) -> Self {
        Self {
            rest: json.into(),
            deadline: Instant::now() + patience,
            _share: share,
        }
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        if Instant::now() > self.deadline {
            let error = io::Error::new(io::ErrorKind::TimedOut, "the answer was read too slowly");
            return Poll::Ready(Some(Err(error)));
        }
        let length = self.rest.len().min(FRAME);
        let frame = self.rest.split_to(length);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }
}

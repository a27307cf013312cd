//! A body that is written while it is sent, and that can end in the middle.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// What a writer sends; when it is dropped the body ends as it should.
pub(crate) enum Part {
    Line(String),
    /// The connection is closed, and nobody says why.
    Cut,
}

pub(crate) struct Written {
    parts: mpsc::Receiver<Part>,
    cut: bool,
}

pub(crate) fn channel() -> (mpsc::Sender<Part>, Written) {
    let (send, parts) = mpsc::channel(64);
    (send, Written { parts, cut: false })
}

impl Body for Written {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.cut {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        match self.parts.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Part::Line(line))) => {
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(line)))))
            }
            Poll::Ready(Some(Part::Cut)) => {
                // An error drops what hyper still holds; a pause first makes it send that.
                self.cut = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

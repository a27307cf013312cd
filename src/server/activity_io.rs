//! A stream that reports what passes through it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::activity::Activity;

/// Lies above TLS, so that it sees requests and not records.
#[derive(Debug)]
pub(super) struct ActivityIo<Io> {
    io: Io,
    activity: Arc<Activity>,
    /// Spares the everyday write the lock.
    blocked: bool,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> ActivityIo<Io> {
    pub(super) fn new(io: Io, activity: Arc<Activity>) -> Self {
        Self {
            io,
            activity,
            blocked: false,
        }
    }

    fn wrote(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &polled {
            Poll::Pending => self.block(),
            Poll::Ready(Ok(1..)) if self.blocked => {
                self.activity.state().write_progressed(Instant::now());
            }
            Poll::Ready(_) => {}
        }
        polled
    }

    fn flushed(&mut self, polled: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        match &polled {
            Poll::Pending => self.block(),
            Poll::Ready(_) if self.blocked => {
                self.blocked = false;
                self.activity.state().flushed(Instant::now());
            }
            Poll::Ready(_) => {}
        }
        polled
    }

    fn block(&mut self) {
        self.blocked = true;
        self.activity.state().write_blocked(Instant::now());
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for ActivityIo<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        self.activity.state().read(read, Instant::now());
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ActivityIo<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.io).poll_flush(cx);
        self.flushed(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

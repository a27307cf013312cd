//! One connection, from the handshake to its end.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, error, warn};

use super::activity::Activity;
use super::activity_io::ActivityIo;
use super::metrics::{ListenerMetrics, Timeout};
use super::open_connections::OpenConnection;
use super::service::Service;
use super::{Limits, Phase, Shared, panics, stopped};
use crate::peer::{Access, Peer};
use crate::tls;

/// The most an HTTP/1 head may have, in bytes. Hyper applies it to its buffers as a whole.
const MAX_H1_BUFFER: usize = 64 * 1024;
/// The most an HTTP/2 head may have, in bytes.
const MAX_H2_HEADERS: u32 = 16 * 1024;
/// Requests at a time on one HTTP/2 connection.
const MAX_H2_STREAMS: u32 = 64;
/// How long, and for how many of its bytes, a peer is listened to after a failed handshake.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 64 * 1024;
/// How often an HTTP/2 peer is asked whether it is still there.
const H2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long it has to answer.
const H2_PING_TIMEOUT: Duration = Duration::from_secs(20);

pub(super) async fn serve<Io>(
    io: Io,
    peer: SocketAddr,
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    _open: OpenConnection,
    mut phase: watch::Receiver<Phase>,
) where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(tls) = &shared.tls else {
        let peer = Peer {
            address: peer,
            access: Access::default(),
        };
        return serve_http(io, peer, &shared, activity, phase).await;
    };
    let credentials = tls.credentials();
    let acceptor = TlsAcceptor::from(Arc::clone(&credentials.config));
    let handshake = acceptor.accept(io).into_fallible();
    let shaken = tokio::select! {
        biased;
        () = stopped(&mut phase) => return,
        () = activity.displaced.notified() => return,
        shaken = timeout(shared.limits.handshake_timeout, handshake) => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => {
            let access = credentials.access(stream.get_ref().1);
            drop(credentials);
            let peer = Peer {
                address: peer,
                access,
            };
            serve_http(stream, peer, &shared, activity, phase).await;
        }
        Ok(Err((error, io))) => {
            shared.metrics.failed_handshakes.inc();
            log_failed_handshake(&shared, peer, &error);
            tokio::select! {
                () = stopped(&mut phase) => {}
                () = activity.displaced.notified() => {}
                () = linger(io) => {}
            }
        }
        Err(_) => {
            shared.metrics.timeouts(Timeout::Handshake).inc();
            debug!(%peer, "tls handshake took too long");
        }
    }
}

/// Lets the peer read the alert that says why: closing at once, with bytes of its own unread, resets
/// the connection and takes the alert along.
async fn linger<Io: AsyncRead + AsyncWrite + Unpin>(mut io: Io) {
    let drained = async {
        io.shutdown().await?;
        tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // Whatever comes of it, the connection is over.
    drop(timeout(LINGER, drained).await);
}

async fn serve_http<Io>(
    io: Io,
    peer: Peer,
    shared: &Shared,
    activity: Arc<Activity>,
    mut phase: watch::Receiver<Phase>,
) where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Shared {
        router,
        limits,
        metrics,
        tls: _,
        handshake_log: _,
    } = shared;
    let service = Service {
        router: router.clone(),
        peer,
        activity: Arc::clone(&activity),
        metrics: Arc::clone(metrics),
        phase: phase.clone(),
    };
    let io = TokioIo::new(ActivityIo::new(io, Arc::clone(&activity)));
    // Declared before the connection, and so dropped after it: streams end with the connection.
    let streams = Arc::default();
    let builder = builder(Streams {
        tasks: Arc::downgrade(&streams),
        metrics: Arc::clone(metrics),
    });
    let mut connection = pin!(builder.serve_connection(io, service));
    let mut watchdog = Watchdog::new(&activity, limits);
    let mut closing = false;
    let peer = peer.address;
    loop {
        // Biased: the connection is polled before its watchdog, which so sees its latest state.
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    debug!(%peer, %error, "connection failed");
                }
                return;
            }
            () = stopped(&mut phase), if !closing => {}
            () = activity.ended.notified() => continue,
            () = activity.displaced.notified() => {
                debug!(%peer, "connection closed for another one at the limit");
                connection.as_mut().graceful_shutdown();
                // Sends what can be sent at once, without a wait.
                poll_fn(|cx| Poll::Ready(connection.as_mut().poll(cx).is_ready())).await;
                return;
            }
            () = activity.leaving.notified(), if !closing => {}
            overdue = poll_fn(|cx| watchdog.poll_overdue(cx)) => {
                metrics.timeouts(overdue).inc();
                debug!(%peer, waited_for = overdue.as_ref(), "connection timed out");
                if overdue != Timeout::Idle {
                    return;
                }
            }
        }
        closing = true;
        activity.state().closing(Instant::now());
        connection.as_mut().graceful_shutdown();
    }
}

/// A client that does not trust the certificate says so in an alert, which the operator should
/// see; one that just goes away is most often a probe.
fn log_failed_handshake(shared: &Shared, peer: SocketAddr, error: &io::Error) {
    let loud = error.kind() == io::ErrorKind::InvalidData;
    let passed = loud.then(|| {
        let log = shared.handshake_log.lock();
        log.unwrap_or_else(PoisonError::into_inner).pass()
    });
    let error = tls::explain(error).unwrap_or_else(|| error.to_string());
    if let Some(unlogged) = passed.flatten() {
        warn!(%peer, error, unlogged, "tls handshake failed");
    } else {
        debug!(%peer, error, "tls handshake failed");
    }
}

fn builder(streams: Streams) -> auto::Builder<Streams> {
    let mut builder = auto::Builder::new(streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None) // see `activity`
        .max_buf_size(MAX_H1_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_H2_HEADERS)
        .max_concurrent_streams(MAX_H2_STREAMS)
        .keep_alive_interval(H2_PING_INTERVAL)
        .keep_alive_timeout(H2_PING_TIMEOUT);
    builder
}

/// Wakes the connection's task when the connection is overdue.
struct Watchdog<'a> {
    activity: &'a Activity,
    limits: &'a Limits,
    sleep: Pin<Box<Sleep>>,
}

impl<'a> Watchdog<'a> {
    fn new(activity: &'a Activity, limits: &'a Limits) -> Self {
        Self {
            activity,
            limits,
            sleep: Box::pin(sleep_until(Instant::now() + limits.header_timeout)),
        }
    }

    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Timeout> {
        loop {
            let Some((at, overdue)) = self.activity.state().due(self.limits) else {
                return Poll::Pending;
            };
            if at <= Instant::now() {
                return Poll::Ready(overdue);
            }
            // A timer that goes off too early is cheaper than one that is set at each request.
            if at < self.sleep.deadline() || self.sleep.is_elapsed() {
                self.sleep.as_mut().reset(at);
            }
            ready!(self.sleep.as_mut().poll(cx));
        }
    }
}

/// Runs the requests of an HTTP/2 connection in tasks that end with the connection.
#[derive(Clone)]
struct Streams {
    /// Weak, as the tasks hold their executor.
    tasks: Weak<Mutex<JoinSet<()>>>,
    metrics: Arc<ListenerMetrics>,
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let Some(tasks) = self.tasks.upgrade() else {
            return;
        };
        let metrics = Arc::clone(&self.metrics);
        let mut tasks = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            if let Err(panic) = panics::caught(stream).await {
                metrics.panics.inc();
                error!(panic = panics::message(&*panic), "a stream panicked");
            }
        });
    }
}

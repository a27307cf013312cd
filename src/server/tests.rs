//! The server from a client's side. Time is paused wherever a timeout is waited for.

mod accepting;
mod draining;
mod http1;
mod http2;
mod https;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Extension;
use axum::http::{Request, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::accept::{self, Accept};
use super::{Drained, Limits, ListenerMetrics, Phase, Server};
use crate::peer::Peer;

const HANDSHAKE: Duration = Duration::from_secs(5);
const HEADER: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_mins(2);
/// Not yet idle for too long.
const ALMOST_IDLE: Duration = Duration::from_secs(119);
const DRAIN: Duration = Duration::from_secs(30);

/// The size of what `/big` answers, and of a pipe to a client that does not read.
const BIG: usize = 4 * 1024 * 1024;
const PIPE: usize = 64 * 1024;

const GET: &str = "GET / HTTP/1.1\r\nhost: berth\r\n\r\n";

fn mk_limits() -> Limits {
    Limits {
        handshake_timeout: HANDSHAKE,
        header_timeout: HEADER,
        idle_timeout: IDLE,
        drain_timeout: DRAIN,
        max_connections: 10,
    }
}

/// A router whose `/held` answers once `release` has a permit.
fn mk_router(release: Arc<Semaphore>) -> Router {
    let held = move || async move {
        release.acquire().await.unwrap().forget();
        "held"
    };
    Router::new()
        .route("/", get(|| async { "ok" }))
        .route("/held", get(held))
        .route(
            "/peer",
            get(|peer: Extension<Peer>| async move { peer.address.to_string() }),
        )
        .route(
            "/length",
            post(|body: Bytes| async move { body.len().to_string() }),
        )
        .route("/big", get(|| async { vec![b'x'; BIG] }))
        .route(
            "/chunks",
            get(|| async { Response::new(Body::new(Chunks)) }),
        )
        .route("/panic", get(panicking_handler))
        .route(
            "/panicking-body",
            get(|| async { Response::new(Body::new(PanickingBody)) }),
        )
}

async fn panicking_handler() -> &'static str {
    panic!("a defect in a handler")
}

/// Never ends.
struct Chunks;

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 1024])))))
    }
}

struct PanickingBody;

impl HttpBody for PanickingBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("a defect in a body")
    }
}

/// A server whose connections are pipes in memory, so that paused time works and no ports or file
/// descriptors are needed.
struct Harness {
    metrics: Arc<ListenerMetrics>,
    release: Arc<Semaphore>,
    connections: mpsc::UnboundedSender<io::Result<(DuplexStream, SocketAddr)>>,
    phase: watch::Sender<Phase>,
    serving: JoinHandle<Drained>,
}

impl Harness {
    fn new() -> Self {
        Self::with_limits(mk_limits())
    }

    fn with_limits(limits: Limits) -> Self {
        Self::with_server(|router| Server::new(router, limits, None, ListenerMetrics::for_test()))
    }

    fn with_server(mk_server: impl FnOnce(Router) -> Server) -> Self {
        let release = Arc::new(Semaphore::new(0));
        let server = mk_server(mk_router(Arc::clone(&release)));
        let metrics = Arc::clone(&server.shared.metrics);
        let (connections, pipes) = mpsc::unbounded_channel();
        let (phase, phases) = watch::channel(Phase::Serving);
        let serving = tokio::spawn(accept::run(server.shared, Pipes(pipes), phases));
        Self {
            metrics,
            release,
            connections,
            phase,
            serving,
        }
    }

    fn connect(&self) -> DuplexStream {
        self.connect_from(mk_peer())
    }

    fn connect_from(&self, peer: SocketAddr) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        self.connections.send(Ok((theirs, peer))).unwrap();
        ours
    }

    async fn stop(self) -> Drained {
        self.phase.send_replace(Phase::Stopped);
        self.serving.await.unwrap()
    }
}

struct Pipes(mpsc::UnboundedReceiver<io::Result<(DuplexStream, SocketAddr)>>);

impl Accept for Pipes {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        match self.0.recv().await {
            Some(accepted) => accepted,
            None => std::future::pending().await,
        }
    }
}

fn mk_peer() -> SocketAddr {
    ([192, 0, 2, 1], 4711).into()
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// One response with a `content-length`, as head and body.
async fn response(stream: &mut (impl AsyncRead + Unpin)) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let (length, _) = length.split_once("\r\n").unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

async fn served(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    send(stream, GET).await;
    let (head, body) = response(stream).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(body, "ok");
}

/// Lets the other tasks run until `condition` holds.
async fn until(condition: impl Fn() -> bool) {
    for _ in 0..100_000 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("the condition never held");
}

/// Waits for the server to close the connection without a word, for how many seconds.
async fn seconds_until_closed(stream: &mut (impl AsyncRead + Unpin)) -> u64 {
    let since = Instant::now();
    let mut rest = Vec::new();
    drop(stream.read_to_end(&mut rest).await);
    assert_eq!(rest, b"");
    since.elapsed().as_secs()
}

/// A client's half of an HTTP/2 connection, and the task that drives it.
async fn http2(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    window: u32,
) -> (
    hyper::client::conn::http2::SendRequest<Body>,
    JoinHandle<hyper::Result<()>>,
) {
    let executor = hyper_util::rt::TokioExecutor::new();
    let (requests, connection) = hyper::client::conn::http2::Builder::new(executor)
        .timer(hyper_util::rt::TokioTimer::new())
        .initial_stream_window_size(window)
        // As Go's client does, and by which no server may be kept from closing.
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_while_idle(true)
        .handshake(hyper_util::rt::TokioIo::new(io))
        .await
        .unwrap();
    (requests, tokio::spawn(connection))
}

fn get2(path: &str) -> Request<Body> {
    Request::get(format!("http://berth{path}"))
        .body(Body::empty())
        .unwrap()
}

async fn text(response: Response<hyper::body::Incoming>) -> String {
    let body = axum::body::to_bytes(Body::new(response.into_body()), BIG).await;
    String::from_utf8(body.unwrap().to_vec()).unwrap()
}

//! Connections that ask one thing after another, as kube-apiserver and kube-scheduler do.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::runtime::{Builder, Runtime};

use crate::tls::connect;

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    Two,
}

impl Http {
    pub(crate) const ALL: [Self; 2] = [Self::One, Self::Two];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::One => "h1",
            Self::Two => "h2",
        }
    }
}

/// What Go's client allows a stream and a connection to have on the way.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// Where so many connections run. One asks one thing after another, and its answers come on the thread
/// that waits for them: two threads would wake each other for every part of an answer, on processors
/// that the server needs.
pub(crate) fn runtime(connections: usize) -> Runtime {
    let mut builder = match connections {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    builder.enable_all().build().unwrap()
}

/// A connection over TLS.
pub(crate) struct Connection(Sender);

impl Connection {
    pub(crate) async fn open(address: SocketAddr, ca: &Path, http: Http) -> Self {
        let protocol: &[u8] = match http {
            Http::One => b"http/1.1",
            Http::Two => b"h2",
        };
        let stream = connect(address, ca, protocol).await.unwrap();
        let io = TokioIo::new(stream);
        Self(match http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                tokio::spawn(connection);
                Sender::One(sender)
            }
            Http::Two => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    .handshake(io)
                    .await
                    .unwrap();
                tokio::spawn(connection);
                Sender::Two(sender)
            }
        })
    }

    async fn send(&mut self, path: &str, body: Bytes) -> Response<Incoming> {
        let request = |uri: String| {
            Request::post(uri)
                .header(CONTENT_TYPE, "application/json")
                .header(HOST, "localhost")
                .body(Full::new(body))
                .unwrap()
        };
        match &mut self.0 {
            Sender::One(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request(path.to_owned())).await
            }
            Sender::Two(sender) => {
                sender.ready().await.unwrap();
                let uri = format!("https://localhost{path}");
                sender.send_request(request(uri)).await
            }
        }
        .unwrap()
    }

    /// Asks, and reads the answer to its end without keeping it: the status.
    async fn ask(&mut self, path: &str, body: Bytes) -> u16 {
        let mut response = self.send(path, body).await;
        while let Some(frame) = response.frame().await {
            frame.unwrap();
        }
        response.status().as_u16()
    }

    /// Asks: status and answer.
    pub(crate) async fn answer(&mut self, path: &str, body: Bytes) -> (u16, Bytes) {
        let mut response = self.send(path, body).await;
        let mut answer = BytesMut::new();
        while let Some(frame) = response.frame().await {
            answer.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
        }
        (response.status().as_u16(), answer.freeze())
    }
}

/// What came of some requests.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// How long each took that got an answer, from its first byte to the answer's last.
    pub(crate) times: Vec<Duration>,
    /// How many were refused because of too much at once.
    pub(crate) shed: usize,
}

impl Answers {
    pub(crate) fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.shed += other.shed;
    }
}

/// Asks the same thing so many times, on all connections at once: as soon as the last answer is there,
/// or so many times a second on all of them together.
pub(crate) async fn ask_all(
    connections: Vec<Connection>,
    path: &str,
    body: &Bytes,
    count: usize,
    rate: Option<u32>,
) -> (Vec<Connection>, Answers) {
    let left = Arc::new(AtomicUsize::new(count));
    let begun = tokio::time::Instant::now();
    let step = rate.map(|rate| Duration::from_secs(1) / rate);
    let turns = u32::try_from(connections.len()).unwrap();
    let mut tasks = Vec::new();
    for (mut connection, turn) in connections.into_iter().zip(0..) {
        let (left, path, body) = (Arc::clone(&left), path.to_owned(), body.clone());
        tasks.push(tokio::spawn(async move {
            let mut answers = Answers::default();
            let mut turn = turn;
            while left
                .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                })
                .is_ok()
            {
                if let Some(step) = step {
                    tokio::time::sleep_until(begun + step * turn).await;
                    turn += turns;
                }
                let begun = Instant::now();
                match connection.ask(&path, body.clone()).await {
                    200 => answers.times.push(begun.elapsed()),
                    429 | 503 => answers.shed += 1,
                    status => panic!("{path} answered {status}"),
                }
            }
            (connection, answers)
        }));
    }
    let (mut connections, mut all) = (Vec::new(), Answers::default());
    for task in tasks {
        let (connection, answers) = task.await.unwrap();
        connections.push(connection);
        all.add(answers);
    }
    (connections, all)
}

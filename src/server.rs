//! The accept loop of both listeners: HTTP/1 and HTTP/2, over TLS or plain, with every wait bounded.
//!
//! Not bounded here is the time a handler takes, nor the request body it reads meanwhile: those
//! belong to the router, which knows what it serves.

mod accept;
mod activity;
mod activity_io;
mod connection;
mod metrics;
mod open_connections;
mod open_files;
mod panics;
mod service;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use metrics::{ListenerMetrics, ServerMetrics, Timeout};
pub use open_files::allow_connections;

use crate::throttle::Throttle;
use crate::tls::CertificateStore;

/// How often a kind of event that peers can cause at will is logged.
const LOG_PERIOD: Duration = Duration::from_secs(1);

/// The bounds of one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long the head of an HTTP/1 request may take from its first byte, and how long a new
    /// connection may stay silent. Also how long a peer may take over the end of a connection.
    pub header_timeout: Duration,
    /// How long a connection that has served a request lives without another, and how long output
    /// may wait for a peer that takes none of it. For HTTP/1 clients written in Go this must be
    /// longer than their 90 s: Go does not repeat a POST that meets a close by the server.
    pub idle_timeout: Duration,
    /// How long requests in flight have to finish once the server is told to stop.
    pub drain_timeout: Duration,
    /// The limit of open connections. At the limit, a new connection closes the oldest idle one of
    /// the peer with the most; if none may be closed, the new one is dropped at once.
    pub max_connections: usize,
}

/// How far a server is on the way to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It serves on, and each answer sends its client elsewhere: an HTTP/1 connection ends with it,
    /// an HTTP/2 one takes no more requests. A connection in use so never meets the close at the
    /// end, which a POST on its way would be lost to.
    Leaving,
    /// It takes no more connections and no more requests.
    Stopped,
}

/// A listener's router, limits and metrics.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

/// What all connections of a listener have in common.
#[derive(Debug)]
struct Shared {
    router: Router,
    tls: Option<Arc<CertificateStore>>,
    limits: Limits,
    metrics: Arc<ListenerMetrics>,
    handshake_log: Mutex<Throttle>,
}

/// What was left when a server had stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were still open when the drain timeout passed, and were cut.
    pub connections: usize,
    /// Requests that were in flight on them.
    pub requests: usize,
}

impl Server {
    /// A server in plain text, or over TLS with the credentials that `tls` holds when a connection
    /// begins.
    #[must_use]
    pub fn new(
        router: Router,
        limits: Limits,
        tls: Option<Arc<CertificateStore>>,
        metrics: ListenerMetrics,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                router,
                tls,
                limits,
                metrics: Arc::new(metrics),
                handshake_log: Mutex::new(Throttle::new(LOG_PERIOD)),
            }),
        }
    }

    /// Serves until `phase` is [`Phase::Stopped`] or its sender is gone, then closes the listener,
    /// lets requests in flight finish within [`Limits::drain_timeout`] and cuts what is left.
    pub async fn serve(self, listener: TcpListener, phase: watch::Receiver<Phase>) -> Drained {
        accept::run(self.shared, listener, phase).await
    }
}

/// Returns once the server is told to stop.
async fn stopped(phase: &mut watch::Receiver<Phase>) {
    // An error says that the sender is gone, which means the same.
    drop(phase.wait_for(|phase| *phase == Phase::Stopped).await);
}

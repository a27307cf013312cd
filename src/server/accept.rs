//! Accepting connections, holding their tasks, and draining them at the end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{error, warn};

use super::activity::Activity;
use super::metrics::ListenerMetrics;
use super::open_connections::{Admitted, OpenConnections};
use super::{Drained, LOG_PERIOD, Phase, Shared, connection, panics, stopped};
use crate::throttle::Throttle;

/// The pause after an accept error such as EMFILE, which lasts until something is closed.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Where connections come from: a listener, or a script in a test.
pub(super) trait Accept: Send {
    type Io: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Must lose no connection if it is dropped.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Io, SocketAddr)>> + Send;
}

impl Accept for TcpListener {
    type Io = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Answers are small and awaited; if this fails the connection is dead anyway.
        drop(stream.set_nodelay(true));
        Ok((stream, peer))
    }
}

pub(super) async fn run<A: Accept>(
    shared: Arc<Shared>,
    mut listener: A,
    mut phase: watch::Receiver<Phase>,
) -> Drained {
    let open = OpenConnections::new(shared.limits.max_connections, shared.metrics.open.clone());
    let mut tasks = JoinSet::new();
    let mut errors = Throttle::new(LOG_PERIOD);
    let mut crowded = Throttle::new(LOG_PERIOD);
    let mut pause = Duration::ZERO;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut phase) => break,
            Some(ended) = tasks.join_next() => {
                report(&shared.metrics, ended);
                continue;
            }
            accepted = accept_after(pause, &mut listener) => accepted,
        };
        pause = Duration::ZERO;
        match accepted {
            Ok((io, peer)) => {
                let activity = Activity::new(Arc::clone(&shared.metrics));
                let admitted = open.admit(peer.ip(), &activity);
                log_crowd(&mut crowded, &shared, peer, admitted.as_ref());
                let Some(Admitted { connection, .. }) = admitted else {
                    continue;
                };
                let shared = Arc::clone(&shared);
                let phase = phase.clone();
                tasks.spawn(connection::serve(
                    io, peer, shared, activity, connection, phase,
                ));
            }
            Err(error) if is_of_peer(&error) => {}
            Err(error) => {
                shared.metrics.accept_errors.inc();
                pause = BACK_OFF;
                if let Some(unlogged) = errors.pass() {
                    error!(%error, unlogged, "cannot accept connections, trying again");
                }
            }
        }
    }
    drop(listener);
    drain(&shared, tasks).await
}

async fn accept_after<A: Accept>(
    pause: Duration,
    listener: &mut A,
) -> io::Result<(A::Io, SocketAddr)> {
    if !pause.is_zero() {
        sleep(pause).await;
    }
    listener.accept().await
}

/// Counts a new connection, and says so where all allowed ones were open.
fn log_crowd(
    throttle: &mut Throttle,
    shared: &Shared,
    peer: SocketAddr,
    admitted: Option<&Admitted>,
) {
    let Shared {
        metrics, limits, ..
    } = shared;
    let text = if let Some(admitted) = admitted {
        metrics.accepted.inc();
        if !admitted.in_place_of_another {
            return;
        }
        metrics.displaced.inc();
        "closed the oldest idle connection of the peer with the most: all allowed ones are open"
    } else {
        metrics.refused.inc();
        "refused a connection: all allowed ones are open"
    };
    if let Some(unlogged) = throttle.pass() {
        let limit = limits.max_connections;
        warn!(limit, newcomer = %peer.ip(), unlogged, "{text}");
    }
}

/// The peer went away before it was accepted: an everyday event, with no reason to pause.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

/// Each connection sees the stop signal itself; this only waits for them.
async fn drain(shared: &Shared, mut tasks: JoinSet<()>) -> Drained {
    let all_ended = async {
        while let Some(ended) = tasks.join_next().await {
            report(&shared.metrics, ended);
        }
    };
    if timeout(shared.limits.drain_timeout, all_ended)
        .await
        .is_ok()
    {
        return Drained::default();
    }
    reap(&mut tasks, shared);
    let drained = Drained {
        connections: tasks.len(),
        requests: shared.metrics.in_flight(),
    };
    warn!(
        connections = drained.connections,
        requests = drained.requests,
        "cut what did not finish in time"
    );
    tasks.shutdown().await;
    drained
}

fn reap(tasks: &mut JoinSet<()>, shared: &Shared) {
    while let Some(ended) = tasks.try_join_next() {
        report(&shared.metrics, ended);
    }
}

/// A panic costs one connection, but must not pass unseen.
fn report(metrics: &ListenerMetrics, ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        metrics.panics.inc();
        let panic = error.into_panic();
        error!(panic = panics::message(&*panic), "a connection panicked");
    }
}

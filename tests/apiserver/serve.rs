//! The listening side: a runtime of its own, and a port that can be closed and opened again.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use axum::body::Body;
use axum::http;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, JoinSet};

use super::PATIENCE;
use super::answer::answer;
use super::shared::Shared;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

pub(crate) struct Listening {
    shared: Arc<Shared>,
    address: SocketAddr,
    open: Open,
    /// Gone only while it is being dropped.
    runtime: Option<Runtime>,
}

enum Open {
    /// The task that accepts, and what ends when all of its connections have.
    Yes(JoinHandle<()>, mpsc::Receiver<()>),
    /// The port is kept from others, and refuses connections.
    No(TcpSocket),
}

impl Listening {
    /// Listens on a free port of loopback. Its thread is its own, so that a test may block.
    pub(crate) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("apiserver")
            .enable_all()
            .build()?;
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let mut listening = Self {
            shared,
            address: socket.local_addr()?,
            open: Open::No(socket),
            runtime: Some(runtime),
        };
        listening.open()?;
        Ok(listening)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().unwrap()
    }

    /// Refuses connections, and closes those there are without a word.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        if let Open::Yes(accepting, connections) = &self.open {
            accepting.abort();
            // Nobody sends: it is an error once the last sender is gone.
            let _ = connections.recv();
            self.open = Open::No(bind_again(self.address)?);
        }
        Ok(())
    }

    /// Takes connections again.
    pub(crate) fn open(&mut self) -> io::Result<()> {
        if matches!(self.open, Open::Yes(..)) {
            return Ok(());
        }
        let _inside = self.runtime().enter();
        let (alive, connections) = mpsc::channel();
        let Open::No(socket) = std::mem::replace(
            &mut self.open,
            Open::Yes(tokio::spawn(async {}), connections),
        ) else {
            return Ok(());
        };
        let listener = socket.listen(BACKLOG)?;
        let port = Port { listener, alive };
        let task = tokio::spawn(accept(Arc::clone(&self.shared), port));
        if let Open::Yes(accepting, _) = &mut self.open {
            *accepting = task;
        }
        Ok(())
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A test may drop it inside a runtime, where nothing may wait.
            runtime.shutdown_background();
        }
    }
}

/// Binds what has just been closed. A program that another thread starts at that moment holds a copy of
/// the listener until it has begun.
fn bind_again(address: SocketAddr) -> io::Result<TcpSocket> {
    let begun = Instant::now();
    loop {
        match bind(address) {
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < PATIENCE =>
            {
                std::thread::yield_now();
            }
            bound => return bound,
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Whoever waits for the end of `alive` binds the port again: the listener is dropped before it.
struct Port {
    listener: TcpListener,
    alive: mpsc::Sender<()>,
}

async fn accept(shared: Arc<Shared>, port: Port) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = port.listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(serve(Arc::clone(&shared), stream, port.alive.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream, _alive: mpsc::Sender<()>) {
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, io::Error>(answer(shared, request.map(Body::new)).await) }
    });
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // It ends badly where a test wants it to.
    let _ = connection.await;
}

//! A way to the northbound database that stops at one of the writes that pass.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// When a gate stops a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Before the database gets anything of the write.
    Before,
    /// When it got half of it.
    During,
    /// When it has answered. The answer does not come back.
    After,
}

/// The write at which a gate stops, and where in it.
type Stop = (usize, At);

/// The way. It ends when it is dropped.
pub(super) struct Gate {
    address: SocketAddr,
    stopped: watch::Receiver<bool>,
    open: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Gate {
    /// A way to a server that stops at the write of this number, from 0 on.
    pub(super) async fn start(server: &Path, stop: Stop) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stopping, stopped) = watch::channel(false);
        let (open, opened) = watch::channel(false);
        let passage = Passage {
            server: server.to_owned(),
            stop,
            writes: Arc::default(),
            stopping,
            opened,
        };
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let passage = passage.clone();
                // Whoever is at either end sees that it ended.
                connections.spawn(async move { passage.pass(client).await });
            }
        });
        Self {
            address,
            stopped,
            open,
            task,
        }
    }

    /// Its address, as an endpoint.
    pub(super) fn endpoint(&self) -> String {
        format!("tcp:{}", self.address)
    }

    /// Waits until it has stopped a write.
    pub(super) async fn has_stopped(&self) {
        let mut stopped = self.stopped.clone();
        stopped.wait_for(|is| *is).await.unwrap();
    }

    /// Lets what was stopped go on.
    pub(super) fn open(&self) {
        self.open.send_replace(true);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Passage {
    server: PathBuf,
    stop: Stop,
    writes: Arc<AtomicUsize>,
    stopping: watch::Sender<bool>,
    opened: watch::Receiver<bool>,
}

impl Passage {
    /// berth asks one thing after the other.
    async fn pass(mut self, mut client: TcpStream) -> io::Result<()> {
        let mut server = UnixStream::connect(&self.server).await?;
        loop {
            let request = message(&mut client).await?;
            let number = is_write(&request).then(|| self.writes.fetch_add(1, Ordering::Relaxed));
            let (stop, at) = self.stop;
            // What comes after the one that is stopped waits as well.
            if number.is_some_and(|number| number > stop) {
                let _ = self.opened.wait_for(|is| *is).await;
            }
            let at = (number == Some(stop)).then_some(at);
            let (half, rest) = match at {
                Some(At::Before) => request.split_at(0),
                Some(At::During) => request.split_at(request.len() / 2),
                Some(At::After) | None => request.split_at(request.len()),
            };
            server.write_all(half).await?;
            if matches!(at, Some(At::Before | At::During)) {
                self.wait().await;
            }
            server.write_all(rest).await?;
            let reply = message(&mut server).await?;
            if at == Some(At::After) {
                self.wait().await;
                return Ok(());
            }
            client.write_all(&reply).await?;
        }
    }

    async fn wait(&mut self) {
        self.stopping.send_replace(true);
        // The gate outlives what passes it.
        let _ = self.opened.wait_for(|is| *is).await;
    }
}

/// Reads one JSON text.
async fn message(from: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    while serde_json::from_slice::<Value>(&read).is_err() {
        if from.read_buf(&mut read).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(read)
}

fn is_write(request: &[u8]) -> bool {
    let request: Value = serde_json::from_slice(request).unwrap();
    let operations = request["params"].as_array().into_iter().flatten();
    let mut names = operations.map(|operation| &operation["op"]);
    names.any(|name| {
        ["insert", "update", "mutate", "delete"]
            .iter()
            .any(|op| name == op)
    })
}

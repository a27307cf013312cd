//! A way from one port to another, on which the test can hold back answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A listener that sends each new connection where it is told to, or closes it.
pub(crate) struct Relay {
    pub(crate) port: u16,
    accepted: Arc<AtomicU64>,
    held: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Relay {
    pub(crate) fn start(
        runtime: &Handle,
        target: impl Fn() -> Option<SocketAddr> + Send + 'static,
    ) -> Self {
        let bind = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = runtime.block_on(bind).unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicU64::new(0));
        let (held, holds) = watch::channel(0);
        let accept = accept(listener, target, Arc::clone(&accepted), holds);
        Self {
            port,
            accepted,
            held,
            accepting: runtime.spawn(accept),
        }
    }

    /// What is answered on the connections of now, their end too, waits. New ones are not held up.
    pub(crate) fn hold(&self) {
        self.held.send_replace(self.accepted.load(SeqCst));
    }

    /// What was held back goes on.
    pub(crate) fn release(&self) {
        self.held.send_replace(0);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: impl Fn() -> Option<SocketAddr>,
    accepted: Arc<AtomicU64>,
    holds: watch::Receiver<u64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        let number = accepted.fetch_add(1, SeqCst) + 1;
        if let Some(address) = target() {
            let holds = holds.clone();
            tokio::spawn(async move {
                if let Ok(server) = TcpStream::connect(address).await {
                    // Who is at either end sees why it ended.
                    let _ = forward(client, server, holds, number).await;
                }
            });
        }
    }
}

async fn forward(
    client: TcpStream,
    server: TcpStream,
    mut holds: watch::Receiver<u64>,
    number: u64,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = async {
        io::copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    let answering = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_server.read(&mut buffer).await;
            // Its sender lives as long as the relay does; without it nothing is held.
            let _ = holds.wait_for(|held| number > *held).await;
            match read? {
                0 => return to_client.shutdown().await,
                count => to_client.write_all(&buffer[..count]).await?,
            }
        }
    };
    tokio::try_join!(asking, answering)?;
    Ok(())
}

//! One connection to a database server: bytes in and out, within bounds of time.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::ovn::endpoint::{Address, Endpoint};
use crate::ovn::fault::{Cause, Fault};
use crate::ovn::frame::{FrameError, Framer};
use crate::tls::{self, ClientFiles};

/// To establish a connection, from the name to the end of the handshake.
const CONNECT: Duration = Duration::from_secs(5);

/// To hand a message to the system. Servers read what little they are asked.
const WRITE: Duration = Duration::from_secs(5);

/// To take leave of a server.
const CLOSE: Duration = Duration::from_secs(1);

/// What a connection runs over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An established connection.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    framer: Framer,
}

impl Connection {
    /// Connects. The files are read each time, so that a new certificate needs no restart. No message may
    /// be longer than `limit`.
    pub(super) async fn open(
        endpoint: &Endpoint,
        tls: Option<&ClientFiles>,
        limit: usize,
    ) -> Result<Self, Fault> {
        let opened = timeout(CONNECT, async {
            Ok(match endpoint {
                Endpoint::Tcp(address) => Self::over(tcp(address).await?, limit),
                Endpoint::Ssl(address) => Self::over(ssl(address, tls).await?, limit),
                Endpoint::Unix(path) => {
                    let stream = UnixStream::connect(path).await;
                    Self::over(stream.map_err(|error| unreachable(&error))?, limit)
                }
            })
        });
        let late = |_| Fault::new(Cause::Timeout, format!("no connection within {CONNECT:?}"));
        opened.await.map_err(late)?
    }

    pub(super) fn over(stream: impl Stream + 'static, limit: usize) -> Self {
        Self {
            stream: Box::new(stream),
            framer: Framer::new(limit),
        }
    }

    /// The next message, if all of it was read.
    pub(super) fn message(&mut self) -> Result<Option<Bytes>, Fault> {
        let message = self.framer.next_message();
        message.map_err(|error| {
            let cause = match error {
                FrameError::NotAnObject(_) => Cause::Unreadable,
                FrameError::TooLong(_) | FrameError::TooDeep => Cause::TooLarge,
            };
            Fault::new(cause, error.to_string())
        })
    }

    /// Waits for some bytes, and tells how many came. Nothing is lost when it is dropped.
    pub(super) async fn read(&mut self) -> Result<usize, Fault> {
        match self.stream.read_buf(self.framer.space()).await {
            Ok(0) => Err(Fault::new(
                Cause::Closed,
                "the server has closed the connection",
            )),
            Ok(count) => Ok(count),
            Err(error) => Err(broken(&error)),
        }
    }

    /// Sends a message.
    pub(super) async fn write(&mut self, message: &[u8]) -> Result<(), Fault> {
        let sent = timeout(WRITE, async {
            self.stream.write_all(message).await?;
            self.stream.flush().await
        });
        match sent.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(broken(&error)),
            Err(_) => Err(Fault::new(
                Cause::Timeout,
                format!("the server takes nothing for {WRITE:?}"),
            )),
        }
    }

    /// Takes leave, so that the server does not log a broken connection.
    pub(super) async fn close(mut self) {
        // A server that is gone needs no leave.
        let _ = timeout(CLOSE, self.stream.shutdown()).await;
    }
}

async fn tcp(address: &Address) -> Result<TcpStream, Fault> {
    let Address { host, port } = address;
    let connected = TcpStream::connect((host.as_str(), *port)).await;
    let stream = connected.map_err(|error| unreachable(&error))?;
    stream
        .set_nodelay(true)
        .map_err(|error| unreachable(&error))?;
    Ok(stream)
}

async fn ssl(address: &Address, tls: Option<&ClientFiles>) -> Result<impl Stream + use<>, Fault> {
    let config = config(tls).await?;
    let name = ServerName::try_from(address.host.clone());
    let name = name.map_err(|error| Fault::new(Cause::Connection, error.to_string()))?;
    let stream = tcp(address).await?;
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|error| {
        let text = tls::explain(&error).unwrap_or_else(|| error.to_string());
        Fault::new(Cause::Tls, text)
    })
}

async fn config(tls: Option<&ClientFiles>) -> Result<Arc<ClientConfig>, Fault> {
    let files = tls.cloned().ok_or_else(|| {
        Fault::new(
            Cause::Tls,
            "an ssl: endpoint needs the certificate authority of its servers",
        )
    })?;
    match spawn_blocking(move || files.load()).await {
        Ok(loaded) => loaded.map_err(|error| Fault::new(Cause::Tls, error.to_string())),
        Err(error) => Err(Fault::new(Cause::Tls, error.to_string())),
    }
}

/// A server that does not take berth's certificate says so only after the handshake.
fn broken(error: &io::Error) -> Fault {
    let tls: Option<&rustls::Error> = error.get_ref().and_then(|inner| inner.downcast_ref());
    let cause = tls.map_or(Cause::Closed, |_| Cause::Tls);
    Fault::new(cause, error.to_string())
}

fn unreachable(error: &io::Error) -> Fault {
    Fault::new(Cause::Connection, error.to_string())
}

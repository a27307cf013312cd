//! One connection to a database server: messages in and out, within bounds of time and size.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::endpoint::{Address, Endpoint};
use crate::error::{Error, ErrorKind};
use crate::frame::Framer;
use crate::rpc::{self, Message};
use crate::tls::Tls;

/// How long it may take to connect, from the name to the end of the handshake.
const CONNECT: Duration = Duration::from_secs(5);

/// How long it may take to hand a message to the system.
const WRITE: Duration = Duration::from_secs(5);

/// How long it may take to say goodbye.
const CLOSE: Duration = Duration::from_secs(1);

/// What a connection runs over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// An established connection.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    framer: Framer,
}

impl Connection {
    /// Connects. No message may be longer than `limit` bytes.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        tls: Option<&Tls>,
        limit: usize,
    ) -> Result<Self, Error> {
        let opened = timeout(CONNECT, async {
            Ok(match endpoint {
                Endpoint::Tcp(address) => Self::over(tcp(address).await?, limit),
                Endpoint::Ssl(address) => Self::over(ssl(address, tls).await?, limit),
                Endpoint::Unix(path) => {
                    let stream = UnixStream::connect(path).await;
                    Self::over(stream.map_err(unreachable)?, limit)
                }
            })
        });
        let late = |_| {
            Error::new(
                ErrorKind::Timeout,
                format!("no connection within {CONNECT:?}"),
            )
        };
        opened.await.map_err(late)?
    }

    pub(crate) fn over(stream: impl Stream + 'static, limit: usize) -> Self {
        Self {
            stream: Box::new(stream),
            framer: Framer::new(limit),
        }
    }

    /// The next message, if all of it was read.
    pub(crate) fn message(&mut self) -> Result<Option<Bytes>, Error> {
        Ok(self.framer.next_message()?)
    }

    /// Waits for some bytes, and returns how many came. Nothing is lost when it is dropped.
    pub(crate) async fn read(&mut self) -> Result<usize, Error> {
        match self.stream.read_buf(self.framer.space()).await {
            Ok(0) => Err(Error::new(
                ErrorKind::Closed,
                "the server has closed the connection",
            )),
            Ok(count) => Ok(count),
            Err(error) => Err(broken(error)),
        }
    }

    /// Sends a message.
    pub(crate) async fn write(&mut self, message: &[u8]) -> Result<(), Error> {
        let sent = timeout(WRITE, async {
            self.stream.write_all(message).await?;
            self.stream.flush().await
        });
        match sent.await {
            Ok(sent) => sent.map_err(broken),
            Err(_) => Err(Error::new(
                ErrorKind::Timeout,
                format!("the server takes nothing for {WRITE:?}"),
            )),
        }
    }

    /// Sends a request and waits for its reply, in JSON; what else the server asks is answered and
    /// what it tells is ignored.
    pub(crate) async fn request(
        &mut self,
        id: u64,
        method: &str,
        params: &Value,
    ) -> Result<String, Error> {
        self.write(&rpc::request(id, method, params)).await?;
        loop {
            while let Some(bytes) = self.message()? {
                match Message::parse(&bytes)? {
                    Message::Request { method, params, id } => {
                        self.write(&rpc::answer(&method, params, id)?).await?;
                    }
                    Message::Reply {
                        id: replied,
                        outcome,
                    } if replied.get().parse() == Ok(id) => {
                        return match outcome {
                            Ok(result) => Ok(result.get().to_owned()),
                            Err(error) => Err(Error::refused(method, &rpc::words(error))),
                        };
                    }
                    Message::Reply { .. } | Message::Notification { .. } => {}
                }
            }
            self.read().await?;
        }
    }

    /// Says goodbye, so that the server does not log a broken connection.
    pub(crate) async fn close(mut self) {
        // A server that is gone needs no goodbye.
        let _ = timeout(CLOSE, self.stream.shutdown()).await;
    }
}

async fn tcp(address: &Address) -> Result<TcpStream, Error> {
    let Address { host, port } = address;
    let connected = TcpStream::connect((host.as_str(), *port)).await;
    let stream = connected.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    Ok(stream)
}

async fn ssl(address: &Address, tls: Option<&Tls>) -> Result<impl Stream + use<>, Error> {
    let failed = |message: String| Error::new(ErrorKind::Tls, message);
    let tls = tls.cloned().ok_or_else(|| {
        failed("an ssl: endpoint needs the certificate authority of its servers".to_owned())
    })?;
    let loaded = spawn_blocking(move || tls.load()).await;
    let config = loaded.map_err(|error| failed(error.to_string()))?;
    let config = config.map_err(|error| failed(error.to_string()))?;
    let name = ServerName::try_from(address.host.clone());
    let name = name.map_err(|error| Error::new(ErrorKind::Connection, error.to_string()))?;
    let stream = tcp(address).await?;
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|error| Error::io(ErrorKind::Tls, error))
}

/// A server that does not accept the client's certificate says so only after the handshake.
fn broken(error: io::Error) -> Error {
    let tls: Option<&rustls::Error> = error.get_ref().and_then(|inner| inner.downcast_ref());
    let kind = tls.map_or(ErrorKind::Closed, |_| ErrorKind::Tls);
    Error::io(kind, error)
}

fn unreachable(error: io::Error) -> Error {
    Error::io(ErrorKind::Connection, error)
}

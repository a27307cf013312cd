//! The service in this process, and a client that can do what a good one would not.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use berth::app::{Cluster, Running};
use berth::config::Config;
use berth::config::ListenAddress;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::process::{PATIENCE, certificate};
use crate::support::{capture, cluster, view};

/// A service in this process, and what it takes to talk to it.
pub(crate) struct Service {
    pub(crate) running: Running,
    pub(crate) ca: PathBuf,
    _dir: Option<tempfile::TempDir>,
}

impl Service {
    /// Starts it on the captured cluster with a certificate of its own.
    pub(crate) async fn start(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ca, cert, key) = certificate(dir.path());
        let mut config = Config::parse(config).unwrap();
        config.tls.cert_file = Some(cert);
        config.tls.key_file = Some(key);
        Self {
            _dir: Some(dir),
            ..Self::with_files(config, ca).await
        }
    }

    /// Starts it with the certificate that the configuration names, issued by `ca`.
    pub(crate) async fn with_files(mut config: Config, ca: PathBuf) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        config.listen = Some(ListenAddress(loopback));
        config.admin_listen = Some(ListenAddress(loopback));
        config.shutdown = Config::parse("shutdown: {delay: 1ms, timeout: 1s}")
            .unwrap()
            .shutdown;
        let running = Running::start(config, Cluster::Snapshot(view(&cluster())))
            .await
            .unwrap();
        Self {
            running,
            ca,
            _dir: None,
        }
    }

    /// A connection whose handshake is done.
    pub(crate) async fn connect(&self) -> TlsStream<TcpStream> {
        self.connect_as(None).await.unwrap()
    }

    /// A connection of a client that has this certificate and key.
    pub(crate) async fn connect_as(
        &self,
        client: Option<(&PathBuf, &PathBuf)>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        connect(self.running.https, &self.ca, client).await
    }

    /// A connection from another of the loopback addresses, which is another peer.
    pub(crate) async fn connect_from(&self, source: [u8; 4]) -> TlsStream<TcpStream> {
        let stream = tcp_from(source, self.running.https, None).await.unwrap();
        shake(stream, &self.ca, None).await.unwrap()
    }

    /// A good review on a connection of its own.
    pub(crate) async fn good(&self) {
        good_review(&mut self.connect().await).await;
    }

    /// The value of a series on the admin port.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let mut stream = TcpStream::connect(self.running.admin).await.unwrap();
        let head = "GET /metrics HTTP/1.1\r\nHost: berth\r\nConnection: close\r\n\r\n";
        let answer = exchange(&mut stream, head, "").await;
        let line = answer.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("no series {series}"))
            .trim()
            .parse()
            .unwrap()
    }
}

/// A connection to a service whose certificate one of these CAs issued.
pub(crate) async fn connect(
    address: SocketAddr,
    ca: &Path,
    client: Option<(&PathBuf, &PathBuf)>,
) -> std::io::Result<TlsStream<TcpStream>> {
    shake(TcpStream::connect(address).await?, ca, client).await
}

/// The handshake with a service whose certificate one of these CAs issued.
pub(crate) async fn shake(
    stream: TcpStream,
    ca: &Path,
    client: Option<(&PathBuf, &PathBuf)>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    for ca in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(ca.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some((cert, key)) => {
            let cert = CertificateDer::from_pem_file(cert).unwrap();
            let key = PrivateKeyDer::from_pem_file(key).unwrap();
            config.with_client_auth_cert(vec![cert], key).unwrap()
        }
    };
    TlsConnector::from(Arc::new(config))
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
}

/// A connection from a loopback address, which receives so many bytes before it is read.
pub(crate) async fn tcp_from(
    source: [u8; 4],
    address: SocketAddr,
    receives: Option<u32>,
) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = receives {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.bind((source, 0).into())?;
    socket.connect(address).await
}

/// A good review, and its good answer.
pub(crate) async fn good_review(stream: &mut TlsStream<TcpStream>) {
    let body = capture("admission-create-vm-bridge");
    let answer = exchange(stream, &head("/mutate", body.len()), &body).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains("JSONPatch"), "{answer}");
}

/// The head of a POST.
pub(crate) fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Writes and reads until the other side closes.
pub(crate) async fn exchange<S>(stream: &mut S, head: &str, body: &str) -> String
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    // The other side may answer, or close, before it has read everything.
    for part in [head, body] {
        if stream.write_all(part.as_bytes()).await.is_err() {
            break;
        }
    }
    let _ = stream.flush().await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // An abrupt close after an answer is as good as an orderly one.
    let _ = read.expect("neither an answer nor a close");
    String::from_utf8_lossy(&answer).into_owned()
}

//! The client's side of TLS, for the load and for the soak.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What is read at once: a record of TLS, about, as Go's `crypto/tls` does in the callers' place.
/// rustls by itself reads a quarter of it.
const RECORD: usize = 17 << 10;

/// A connection to a server whose certificate one of these CAs issued.
pub(crate) type Tls = TlsStream<BufReader<TcpStream>>;

/// Connects.
pub(crate) async fn connect(address: SocketAddr, ca: &Path, protocol: &[u8]) -> io::Result<Tls> {
    let mut roots = rustls::RootCertStore::empty();
    for ca in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(ca.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    TlsConnector::from(Arc::new(config))
        .connect(
            ServerName::try_from("localhost").unwrap(),
            BufReader::with_capacity(RECORD, stream),
        )
        .await
}

//! Clients that mean harm, or are broken, over real TLS: the others do not notice.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use berth::app::Running;
use berth::config::{AdminListen, Config, Listen};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::process::{PATIENCE, certificate};
use crate::support::{capture, cluster, view};

/// A service in this process, and what it takes to talk to it.
struct Service {
    running: Running,
    ca: PathBuf,
    _dir: tempfile::TempDir,
}

impl Service {
    async fn start(limits: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ca, cert, key) = certificate(dir.path());
        let text = format!("limits: {{{limits}}}\nshutdown: {{delay: 1ms, timeout: 1s}}");
        let mut config = Config::parse(&text).unwrap();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        config.listen = Listen(loopback);
        config.admin_listen = AdminListen(loopback);
        config.tls.cert_file = Some(cert);
        config.tls.key_file = Some(key);
        let running = Running::start(config, view(&cluster())).await.unwrap();
        Self {
            running,
            ca,
            _dir: dir,
        }
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&self.ca).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.running.https).await.unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
            .unwrap()
    }

    /// A good review on a connection of its own.
    async fn good(&self) {
        let mut stream = self.connect().await;
        let body = capture("admission-create-vm-bridge");
        let answer = exchange(&mut stream, &head("/mutate", body.len()), &body).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("JSONPatch"), "{answer}");
    }

    async fn resident_bytes(&self) -> f64 {
        let mut stream = TcpStream::connect(self.running.admin).await.unwrap();
        let head = "GET /metrics HTTP/1.1\r\nHost: berth\r\nConnection: close\r\n\r\n";
        let answer = exchange(&mut stream, head, "").await;
        let line = answer
            .lines()
            .find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
        line.unwrap().parse().unwrap()
    }
}

fn head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Writes and reads until the other side closes.
async fn exchange<S>(stream: &mut S, head: &str, body: &str) -> String
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // An abrupt close after an answer is as good as an orderly one.
    let _ = read.expect("neither an answer nor a close");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_and_then_nothing_is_a_408_and_costs_nobody_else() {
    let service = Service::start("handlerTimeout: 300ms").await;
    let mut stalled = Vec::new();
    for path in ["/mutate", "/scheduler/filter"] {
        let mut stream = service.connect().await;
        stalled.push(tokio::spawn(async move {
            exchange(&mut stream, &head(path, 1000), "{\"kind\":").await
        }));
    }
    service.good().await;
    for answer in stalled {
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(
            answer.contains("no whole request and answer within 300ms"),
            "{answer}"
        );
    }
    service.good().await;
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_over_the_limit_is_refused_before_the_body_comes() {
    let service = Service::start("").await;
    let mut stream = service.connect().await;
    let answer = exchange(&mut stream, &head("/mutate", 9 << 20), "").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    service.good().await;
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_or_no_tls_is_closed() {
    let service = Service::start("").await;
    let mut stream = service.connect().await;
    let answer = exchange(&mut stream, "\u{1}\u{2}\r\n\r\n", "").await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );

    let mut plain = TcpStream::connect(service.running.https).await.unwrap();
    let answer = exchange(&mut plain, &head("/mutate", 0), "").await;
    assert!(!answer.contains("HTTP"), "{answer}");
    service.good().await;
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_cost_little_and_keep_nobody_out() {
    let service = Service::start("").await;
    service.good().await;
    let before = service.resident_bytes().await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(TcpStream::connect(service.running.https).await.unwrap());
    }
    service.good().await;
    let grown = service.resident_bytes().await - before;
    // Both ends are in this process, and so are the tests beside this one.
    assert!(grown < 256e6, "{grown} bytes more");
    service.good().await;
    drop(idle);
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_the_limit_of_connections_one_more_is_closed_and_the_open_ones_are_served() {
    let service = Service::start("connections: 2").await;
    let mut open = service.connect().await;
    let _idle = service.connect().await;
    let mut refused = TcpStream::connect(service.running.https).await.unwrap();
    let answer = exchange(&mut refused, "", "").await;
    assert_eq!(answer, "");
    let body = capture("admission-create-vm-bridge");
    let answer = exchange(&mut open, &head("/mutate", body.len()), &body).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    service.running.shut_down().await;
}

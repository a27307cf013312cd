//! Over TLS, and once over real sockets.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{
    HANDSHAKE, Harness, get2, http2, mk_limits, mk_router, seconds_until_closed, send, served,
    text, until,
};
use crate::server::{Drained, ListenerMetrics, Phase, Server, Timeout};
use crate::tls::{CertificateStore, Material, PairSource, PemPair, Source};

#[tokio::test]
async fn both_protocols_are_served_over_sockets() {
    let (tls, trusted) = mk_tls();
    let router = mk_router(Arc::new(Semaphore::new(0)));
    let server = Server::new(router, mk_limits(), Some(tls), ListenerMetrics::for_test());
    let metrics = Arc::clone(&server.shared.metrics);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (phase, phases) = watch::channel(Phase::Serving);
    let serving = tokio::spawn(server.serve(listener, phases));
    let connect = || async { TcpStream::connect(address).await.unwrap() };

    let mut garbage = connect().await;
    send(&mut garbage, super::GET).await;
    drop(garbage.read_to_end(&mut Vec::new()).await);
    assert_eq!(metrics.failed_handshakes.get(), 1);

    let mut client = shake(connect().await, &trusted, "http/1.1").await;
    served(&mut client).await;
    served(&mut client).await;
    let client2 = shake(connect().await, &trusted, "h2").await;
    let (mut requests, connection) = http2(client2, 1024).await;
    let answer = requests.send_request(get2("/")).await.unwrap();
    assert_eq!(text(answer).await, "ok");

    phase.send_replace(Phase::Stopped);
    assert_eq!(serving.await.unwrap(), Drained::default());
    assert_eq!(seconds_until_closed(&mut client).await, 0);
    connection.await.unwrap().unwrap();
    TcpStream::connect(address).await.unwrap_err();
    assert_eq!((metrics.accepted.get(), metrics.open.get()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls_is_closed() {
    let (tls, trusted) = mk_tls();
    let harness = Harness::with_server(|router| {
        Server::new(router, mk_limits(), Some(tls), ListenerMetrics::for_test())
    });
    let mut stalled = harness.connect();
    send(&mut stalled, "\u{16}").await;
    assert_eq!(
        seconds_until_closed(&mut stalled).await,
        HANDSHAKE.as_secs()
    );
    assert_eq!(harness.metrics.timeouts(Timeout::Handshake).get(), 1);
    assert_eq!(harness.metrics.failed_handshakes.get(), 0);
    served(&mut shake(harness.connect(), &trusted, "http/1.1").await).await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_does_not_hold_up_the_end() {
    let (tls, _) = mk_tls();
    let harness = Harness::with_server(|router| {
        Server::new(router, mk_limits(), Some(tls), ListenerMetrics::for_test())
    });
    let mut stalled = harness.connect();
    until(|| harness.metrics.open.get() > 0).await;
    assert_eq!(harness.stop().await, Drained::default());
    assert_eq!(seconds_until_closed(&mut stalled).await, 0);
}

fn mk_tls() -> (Arc<CertificateStore>, CertificateDer<'static>) {
    let issued = rcgen::generate_simple_self_signed(["berth.test".to_owned()]).unwrap();
    let source = Source {
        pair: PairSource::Files {
            cert: "/tls.crt".into(),
            key: "/tls.key".into(),
        },
        client_ca: None,
        scheduler_ca: None,
    };
    let material = Material {
        pair: PemPair {
            cert: issued.cert.pem().into_bytes(),
            key: issued.signing_key.serialize_pem().into_bytes(),
        },
        ..Material::default()
    };
    let store = CertificateStore::new(source, material).unwrap();
    (Arc::new(store), issued.cert.der().clone())
}

/// A TLS session of which the server has chosen `protocol`, the only one offered.
async fn shake<Io: AsyncRead + AsyncWrite + Unpin>(
    io: Io,
    trusted: &CertificateDer<'static>,
    protocol: &str,
) -> TlsStream<Io> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let name = ServerName::try_from("berth.test").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, io).await;
    let stream = stream.unwrap();
    assert_eq!(
        stream.get_ref().1.alpn_protocol(),
        Some(protocol.as_bytes())
    );
    stream
}

//! TLS with an API server whose certificates berth can't use: the fault says so in words.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use berth::api::{self, Cause, Fault};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const KEY: &str = include_str!("../../src/tls/testdata/ecdsa.pkcs8.b64");
const CA: &str = include_str!("../../src/tls/testdata/p521_ca.cert.b64");
const CA_KEY: &str = include_str!("../../src/tls/testdata/p521_ca.pkcs8.b64");
const SHA512: &str = include_str!("../../src/tls/testdata/p521_signed_sha512.cert.b64");
const SHA384: &str = include_str!("../../src/tls/testdata/p521_signed_sha384.cert.b64");

fn pem(label: &str, body: &str) -> String {
    format!("-----BEGIN {label}-----\n{body}-----END {label}-----\n")
}

/// A server that gets no further than the handshake.
async fn serve(cert: &str) -> SocketAddr {
    let cert = CertificateDer::from_pem_slice(pem("CERTIFICATE", cert).as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(pem("PRIVATE KEY", KEY).as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The client gives up.
            drop(acceptor.accept(stream).await);
        }
    });
    address
}

fn kubeconfig(dir: &Path, server: SocketAddr, user: &serde_json::Value) -> std::path::PathBuf {
    let ca = BASE64_STANDARD.encode(pem("CERTIFICATE", CA));
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {
            "server": format!("https://{server}"),
            "certificate-authority-data": ca,
        }}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    });
    let path = dir.join("kubeconfig.yaml");
    fs::write(&path, config.to_string()).unwrap();
    path
}

#[tokio::test]
async fn an_api_server_of_a_p521_ca_is_named_in_words_with_what_berth_takes() {
    let takes = "which berth can't verify: it takes RSA of 2048 to 8192 bits with SHA-256, SHA-384 or SHA-512, ECDSA on P-256 or P-384 with SHA-256 or SHA-384, or Ed25519; have the certificate issued by a CA with such a key";
    let dir = tempfile::tempdir().unwrap();
    for (cert, by) in [
        (SHA512, "ECDSA with SHA-512"),
        (SHA384, "ECDSA with SHA-384 with a key for ECDSA on P-521"),
    ] {
        let server = serve(cert).await;
        let path = kubeconfig(dir.path(), server, &json!({}));
        let client = api::connect(Some(&path)).await.unwrap().client;
        let error = client.apiserver_version().await.unwrap_err();
        let fault = Fault::from(&error);
        assert_eq!(
            (fault.cause, fault.to_string()),
            (
                Cause::Connection,
                format!(
                    "https://{server}: a certificate in the peer's chain is signed by {by}, {takes}"
                )
            )
        );
    }
}

#[tokio::test]
async fn a_client_key_that_berth_can_not_sign_with_is_named_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let user = json!({
        "client-certificate-data": BASE64_STANDARD.encode(pem("CERTIFICATE", CA)),
        "client-key-data": BASE64_STANDARD.encode(pem("PRIVATE KEY", CA_KEY)),
    });
    let path = kubeconfig(dir.path(), "127.0.0.1:1".parse().unwrap(), &user);
    let Err(error) = api::connect(Some(&path)).await else {
        panic!("it was not refused");
    };
    assert_eq!(
        error.to_string(),
        format!(
            "--kubeconfig {}: the client key can't be used: berth signs with RSA of 2048, 3072 or 4096 bits, ECDSA on P-256 or P-384, or Ed25519; have the client certificate issued again with such a key",
            path.display()
        )
    );
}

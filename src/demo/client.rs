//! An HTTPS client that asks as kube-apiserver and kube-scheduler do: HTTP/1.1, POST, JSON.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::app::Running;
use crate::demo::DemoError;
use crate::demo::certificates::Certificates;

/// The client of one running service.
pub(super) struct Client {
    https: SocketAddr,
    admin: SocketAddr,
    root: rustls::pki_types::CertificateDer<'static>,
}

/// Anything that can go wrong between here and the service, which is this process.
type Problem = Box<dyn std::error::Error + Send + Sync>;

impl Client {
    pub(super) fn new(running: &Running, certificates: &Certificates) -> Self {
        Self {
            https: running.https,
            admin: running.admin,
            root: certificates.ca_der.clone(),
        }
    }

    /// Posts to the HTTPS listener; the answer has a status of 200.
    pub(super) async fn post(
        &self,
        path: &str,
        agent: &'static str,
        body: &str,
    ) -> Result<String, DemoError> {
        let request = Request::post(path)
            .header(USER_AGENT, agent)
            .header(CONTENT_TYPE, "application/json")
            .header(HOST, "localhost");
        let answer = async {
            let stream = TcpStream::connect(self.https).await?;
            let tls = self.connector()?;
            let stream = tls
                .connect(ServerName::try_from("localhost")?, stream)
                .await?;
            send(stream, request.body(Full::from(body.to_owned()))?).await
        };
        answer
            .await
            .map_err(|problem| failed("POST", path, &problem))
    }

    /// Gets from the admin listener; the answer has a status of 200.
    pub(super) async fn get(&self, path: &str) -> Result<String, DemoError> {
        let request = Request::get(path).header(HOST, "localhost");
        let answer = async {
            let stream = TcpStream::connect(self.admin).await?;
            send(stream, request.body(Full::default())?).await
        };
        answer
            .await
            .map_err(|problem| failed("GET", path, &problem))
    }

    fn connector(&self) -> Result<TlsConnector, Problem> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn failed(method: &str, path: &str, problem: &Problem) -> DemoError {
    DemoError::Call {
        request: format!("{method} {path}"),
        problem: problem.to_string(),
    }
}

async fn send<S>(stream: S, request: Request<Full<Bytes>>) -> Result<String, Problem>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    let text = String::from_utf8(body.to_vec())?;
    if !status.is_success() {
        return Err(format!("{status}: {}", text.trim()).into());
    }
    Ok(text)
}

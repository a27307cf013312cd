//! An HTTPS client that asks as kube-apiserver and kube-scheduler do: HTTP/1.1, POST, JSON.

use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::app::Running;
use crate::demo::DemoError;
use crate::demo::steps::{Call, MUTATE};
use crate::tls::{ClientFiles, TlsError};

/// The client of one running service.
pub(super) struct Client {
    https: SocketAddr,
    admin: SocketAddr,
    tls: TlsConnector,
}

/// Anything that can go wrong between here and the service, which is this process.
type Problem = Box<dyn std::error::Error + Send + Sync>;

impl Client {
    pub(super) fn new(running: &Running, ca: PathBuf) -> Result<Self, TlsError> {
        let files = ClientFiles { ca, identity: None };
        Ok(Self {
            https: running.https,
            admin: running.admin,
            tls: files.load()?.into(),
        })
    }

    /// Posts to the HTTPS listener and decodes the response, which has a status of 200.
    pub(super) async fn post<T: DeserializeOwned>(&self, call: &Call) -> Result<T, DemoError> {
        let Call { path, body, .. } = call;
        let agent = match *path {
            MUTATE => "kube-apiserver-admission",
            _ => "kube-scheduler",
        };
        let answer = async {
            let request = Request::post(*path)
                .header(USER_AGENT, agent)
                .header(CONTENT_TYPE, "application/json")
                .header(HOST, "localhost")
                .body(Full::from(body.clone().into_owned()))?;
            let stream = TcpStream::connect(self.https).await?;
            let name = ServerName::try_from("localhost")?;
            let body = send(self.tls.connect(name, stream).await?, request).await?;
            serde_json::from_str(&body).map_err(|error| format!("{error}: {body}").into())
        };
        answer
            .await
            .map_err(|problem: Problem| DemoError::call("POST", path, &problem))
    }

    /// Gets from the admin listener; the response has a status of 200.
    pub(super) async fn get(&self, path: &str) -> Result<String, DemoError> {
        let answer = async {
            let request = Request::get(path)
                .header(HOST, "localhost")
                .body(Full::default())?;
            send(TcpStream::connect(self.admin).await?, request).await
        };
        answer
            .await
            .map_err(|problem| DemoError::call("GET", path, &problem))
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

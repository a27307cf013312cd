//! A caller that keeps its connection for a while, as kube-apiserver and kube-scheduler do.

use std::net::SocketAddr;
use std::path::PathBuf;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::calls::Call;
use crate::tls::connect;

/// Requests on a connection before the next is opened.
const REQUESTS: usize = 60;

enum Sender {
    One(http1::SendRequest<Full<bytes::Bytes>>),
    Two(http2::SendRequest<Full<bytes::Bytes>>),
}

/// One that asks one thing after another.
pub(crate) struct Client {
    address: SocketAddr,
    ca: PathBuf,
    is_h2: bool,
    sender: Option<Sender>,
    left: usize,
}

impl Client {
    /// Every other one speaks HTTP/2.
    pub(crate) fn new(address: SocketAddr, ca: PathBuf, number: usize) -> Self {
        Self {
            address,
            ca,
            is_h2: number % 2 == 1,
            sender: None,
            left: 0,
        }
    }

    /// Asks: status and text, or why there is neither.
    pub(crate) async fn ask(&mut self, call: &Call) -> Result<(u16, String), String> {
        let answered = self.try_ask(call).await;
        // A refusal before the body is read ends an HTTP/1 connection.
        if !matches!(answered, Ok((200, _))) {
            self.sender = None;
        }
        answered
    }

    async fn try_ask(&mut self, call: &Call) -> Result<(u16, String), String> {
        if self.left == 0 || self.sender.is_none() {
            self.sender = Some(self.open().await?);
            self.left = REQUESTS;
        }
        self.left -= 1;
        let request = |uri: String| {
            Request::builder()
                .method(&call.method)
                .uri(uri)
                .header("host", "localhost")
                .header("content-type", "application/json")
                .body(Full::new(call.body.clone()))
                .unwrap()
        };
        let sent = match &mut self.sender {
            Some(Sender::One(sender)) => sender.send_request(request(call.path.to_owned())).await,
            Some(Sender::Two(sender)) => {
                let uri = format!("https://localhost{}", call.path);
                sender.send_request(request(uri)).await
            }
            None => return Err("there is no connection".to_owned()),
        };
        let response: Response<_> = sent.map_err(|error| format!("{}: {error}", call.name))?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body.map_err(|error| format!("{}: {error}", call.name))?;
        Ok((
            status,
            String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        ))
    }

    async fn open(&self) -> Result<Sender, String> {
        let protocol: &[u8] = if self.is_h2 { b"h2" } else { b"http/1.1" };
        let stream = connect(self.address, &self.ca, protocol).await;
        let io = TokioIo::new(stream.map_err(|error| format!("connect: {error}"))?);
        if self.is_h2 {
            let opened = http2::handshake(TokioExecutor::new(), io).await;
            let (sender, connection) = opened.map_err(|error| format!("h2: {error}"))?;
            tokio::spawn(connection);
            Ok(Sender::Two(sender))
        } else {
            let opened = http1::handshake(io).await;
            let (sender, connection) = opened.map_err(|error| format!("h1: {error}"))?;
            tokio::spawn(connection);
            Ok(Sender::One(sender))
        }
    }
}

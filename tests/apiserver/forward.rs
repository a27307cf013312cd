//! Port forwards over a WebSocket, as kube-apiserver passes them on to a kubelet: two channels for a port, one for its
//! bytes and one for what goes wrong, each begun with the number of the port.

use std::net::SocketAddr;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::{Message, protocol::Role};

use super::request::Request;
use super::status::Status;

/// The protocol that the kubelet speaks.
const PROTOCOL: &str = "v4.channel.k8s.io";

/// Begins to forward a port of a pod to an address of this host. Without one nobody listens there.
pub(crate) fn forward(
    request: &Request,
    head: &Parts,
    upgrade: Option<OnUpgrade>,
    address: Option<SocketAddr>,
) -> Result<Response, Box<Status>> {
    let key = head.headers.get(header::SEC_WEBSOCKET_KEY);
    let (Some(key), Some(upgrade)) = (key, upgrade) else {
        return Err(Status::bad_request("Upgrade request required"));
    };
    let port = request
        .parameter("ports")
        .and_then(|port| port.parse().ok());
    let Some(port) = port else {
        return Err(Status::bad_request("query parameter \"port\" is required"));
    };
    let name = request.name.clone();
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = TokioIo::new(upgraded);
            let socket = WebSocketStream::from_raw_socket(socket, Role::Server, None).await;
            // It ends badly where the client goes away.
            let _ = pump(socket, port, address, &name).await;
        }
    });
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::UPGRADE, "websocket")
        .header(header::CONNECTION, "Upgrade")
        .header(
            header::SEC_WEBSOCKET_ACCEPT,
            derive_accept_key(key.as_bytes()),
        )
        .header(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL)
        .body(Body::empty());
    Ok(response.unwrap())
}

async fn pump(
    mut socket: WebSocketStream<TokioIo<Upgraded>>,
    port: u16,
    address: Option<SocketAddr>,
    pod: &str,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let [low, high] = port.to_le_bytes();
    for channel in [0, 1] {
        let begin = vec![channel, low, high];
        socket.send(Message::binary(begin)).await?;
    }
    let Some(address) = address else {
        let said = format!(
            "error forwarding port {port} to pod {pod}, uid : failed to connect to localhost:{port} inside namespace: connection refused"
        );
        let error = [&[1], said.as_bytes()].concat();
        socket.send(Message::binary(error)).await?;
        socket.close(None).await?;
        // What the client still sends would otherwise reset the connection, and the error with it.
        while let Some(Ok(_)) = socket.next().await {}
        return Ok(());
    };
    let mut stream = TcpStream::connect(address).await?;
    let mut buffer = vec![0; 16 << 10];
    loop {
        tokio::select! {
            read = stream.read(&mut buffer) => {
                let length = read?;
                if length == 0 {
                    return Ok(socket.close(None).await?);
                }
                let bytes = [&[0], &buffer[..length]].concat();
                socket.send(Message::binary(bytes)).await?;
            }
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&0) => {
                    stream.write_all(&bytes[1..]).await?;
                    stream.flush().await?;
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(()),
            },
        }
    }
}

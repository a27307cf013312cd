//! A GET over plain HTTP, as the kubelet and Prometheus send it to the admin port.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The kubelet's patience in the manifests.
const PATIENCE: Duration = Duration::from_secs(2);

/// Status and body.
pub(crate) async fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: berth\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let answer = timeout(PATIENCE, exchange).await??;
    let bad = || io::Error::new(io::ErrorKind::InvalidData, answer.clone());
    let status = answer.split_whitespace().nth(1).ok_or_else(bad)?;
    let status = status.parse().map_err(|_| bad())?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(bad)?;
    Ok((status, body.to_owned()))
}

//! One replica, asked through the API server. The way is a port forward, as `kubectl port-forward` makes it: the
//! kubelet connects inside the pod, so that the `NetworkPolicy` of berth, which admits Prometheus alone, is not in the
//! way.

use std::pin::pin;
use std::time::Duration;

use axum::http::{Request, StatusCode, header};
use futures_util::FutureExt;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::api::Api;
use tokio::time::timeout;

use super::super::line::Asked;
use super::super::metrics::Metrics;
use super::super::replicas::{Replica, admin_port, lack};
use super::{LARGEST, Reader, full_name};
use crate::api::{Cause, Fault};

/// How long the reason for the end of a stream may come after the end.
const LAST_WORD: Duration = Duration::from_secs(1);

impl Reader {
    /// What a pod of berth says of itself.
    pub(super) async fn replica(&self, pod: &Pod) -> Replica {
        let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
        let lack = lack(pod);
        let (missing, metrics) = if lack.is_some() {
            let stopped = || Err(Fault::new(Cause::Connection, "it does not run"));
            (Ok(None), stopped())
        } else {
            let asked = self.wait(self.answers(pod, container)).await;
            match asked {
                Ok((missing, metrics)) => (Ok(missing), metrics),
                Err(fault) => (Err(fault.clone()), Err(fault)),
            }
        };
        Replica {
            name: full_name(pod),
            image: container
                .and_then(|container| container.image.clone())
                .unwrap_or_default(),
            lack,
            missing,
            metrics,
        }
    }

    /// What it misses, if anything, and what it counted.
    async fn answers(
        &self,
        pod: &Pod,
        container: Option<&Container>,
    ) -> Asked<(Option<String>, Asked<Metrics>)> {
        let port = container.and_then(admin_port);
        let port = port.ok_or_else(|| unreadable("its container has no port named admin"))?;
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let forward = pods.portforward(name, &[port]).await;
        let mut forward = forward.map_err(|error| Fault::from(&error))?;
        let refused = forward.take_error(port);
        let stream = forward.take_stream(port);
        let stream = stream.ok_or_else(|| unreadable("no stream to its port"))?;
        let talk = talk(TokioIo::new(stream));
        let said = async {
            match refused {
                Some(refused) => refused.await,
                None => None,
            }
        };
        let refusal = |said: String| Err(Fault::new(Cause::Connection, said));
        let mut said = pin!(said.fuse());
        let answers = tokio::select! {
            biased;
            Some(said) = &mut said => refusal(said),
            answers = talk => match answers {
                // The end of the stream says nothing, and may be seen before the reason.
                Err(fault) => match timeout(LAST_WORD, said).await {
                    Ok(Some(said)) => refusal(said),
                    _ => Err(fault),
                },
                answers => answers,
            },
        };
        forward.abort();
        answers
    }
}

/// Asks for both over one connection.
async fn talk<S>(stream: S) -> Asked<(Option<String>, Asked<Metrics>)>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(stream)
        .await
        .map_err(|error| broken(&error))?;
    let connection = tokio::spawn(connection);
    let answers = async {
        let (status, text) = get(&mut sender, "/readyz").await?;
        let missing = match status {
            StatusCode::OK => None,
            StatusCode::SERVICE_UNAVAILABLE => {
                let text = text.trim();
                Some(text.strip_prefix("not ready: ").unwrap_or(text).to_owned())
            }
            status => return Err(unreadable(&format!("/readyz answers with status {status}"))),
        };
        let metrics = match get(&mut sender, "/metrics").await {
            Ok((StatusCode::OK, text)) => {
                Metrics::read(&text).ok_or_else(|| unreadable("its /metrics are not berth's"))
            }
            Ok((status, _)) => Err(unreadable(&format!(
                "/metrics answers with status {status}"
            ))),
            Err(fault) => Err(fault),
        };
        Ok((missing, metrics))
    };
    let answers = answers.await;
    connection.abort();
    answers
}

async fn get(
    sender: &mut http1::SendRequest<Empty<&'static [u8]>>,
    path: &'static str,
) -> Asked<(StatusCode, String)> {
    let request = Request::get(path).header(header::HOST, "localhost");
    let request = request.body(Empty::new()).unwrap_or_default();
    // The connection takes the next request only once it is done with the last one.
    sender.ready().await.map_err(|error| broken(&error))?;
    let response = sender.send_request(request).await;
    let (head, body) = response.map_err(|error| broken(&error))?.into_parts();
    let body = Limited::new(body, LARGEST).collect().await;
    let body = body.map_err(|error| Fault::new(Cause::Connection, error.to_string()))?;
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    Ok((head.status, text))
}

fn unreadable(what: &str) -> Fault {
    Fault::new(Cause::Unreadable, what)
}

fn broken(error: &hyper::Error) -> Fault {
    Fault::new(Cause::Connection, error.to_string())
}

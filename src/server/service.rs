//! The router as hyper calls it: each request is in flight until its response is handed over.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response, StatusCode, Version};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::sync::watch;
use tower::Service as _;
use tracing::error;

use super::activity::{Activity, InFlight};
use super::metrics::ListenerMetrics;
use super::{Phase, panics};
use crate::peer::Peer;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) router: Router,
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
    pub(super) metrics: Arc<ListenerMetrics>,
    pub(super) phase: watch::Receiver<Phase>,
}

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<TrackedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        let mut in_flight = InFlight::begin(Arc::clone(&self.activity));
        let mut router = self.router.clone();
        let metrics = Arc::clone(&self.metrics);
        let activity = Arc::clone(&self.activity);
        let phase = self.phase.clone();
        Box::pin(async move {
            let version = request.version();
            let method = request.method().clone();
            let uri = request.uri().clone();
            // The call itself runs code of the router too, so it is inside.
            let mut response = match panics::caught(async move { router.call(request).await }).await
            {
                Ok(Ok(response)) => response,
                Err(panic) => {
                    metrics.panics.inc();
                    let panic = panics::message(&*panic);
                    error!(%method, path = uri.path(), panic, "a handler panicked");
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }
            };
            if *phase.borrow() != Phase::Serving {
                send_elsewhere(version, &mut response, &activity);
            }
            in_flight.response_begun();
            Ok(response.map(|body| TrackedBody { body, in_flight }))
        })
    }
}

/// Ends the client's use of the connection, in the way of its protocol.
fn send_elsewhere(version: Version, response: &mut Response<Body>, activity: &Activity) {
    if version == Version::HTTP_2 {
        activity.leaving.notify_one();
    } else {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
}

/// A response body that reports each piece that is taken of it, and its end by being dropped.
#[derive(Debug)]
pub(super) struct TrackedBody {
    body: Body,
    in_flight: InFlight,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.in_flight.response_progressed();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

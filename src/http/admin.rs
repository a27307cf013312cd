//! The admin listener: `/livez`, `/readyz` and `/metrics`, over plain HTTP.

mod scrape;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::admin::scrape::{ScrapeError, Scrapes};
use crate::metrics::Registry;
use crate::peer::Peer;
use crate::readiness::Readiness;

#[derive(Clone)]
struct Admin {
    scrapes: Arc<Scrapes>,
    readiness: Arc<Readiness>,
}

/// The routes of the admin listener.
///
/// # Errors
/// As the methods of [`Registry`].
pub fn admin_router(
    registry: Registry,
    readiness: Arc<Readiness>,
) -> Result<Router, prometheus::Error> {
    let scrapes = Arc::new(Scrapes::new(registry)?);
    Ok(Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "berth: no such path: there are /livez, /readyz and /metrics\n",
            )
        })
        .with_state(Admin { scrapes, readiness }))
}

async fn readyz(State(Admin { readiness, .. }): State<Admin>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    let text = format!("not ready: {}\n", missing.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn scrape(State(Admin { scrapes, .. }): State<Admin>, request: Request) -> Response {
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map(|peer| peer.address.ip().to_canonical());
    let error = match scrapes.text(peer).await {
        Ok(text) => {
            let format = prometheus::TEXT_FORMAT;
            return ([(header::CONTENT_TYPE, format)], text).into_response();
        }
        Err(error) => error,
    };
    let status = match error {
        ScrapeError::TooOften => StatusCode::TOO_MANY_REQUESTS,
        ScrapeError::Encode(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, format!("berth: {error}\n")).into_response()
}

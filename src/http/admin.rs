//! The admin listener: `/livez`, `/readyz`, `/metrics` and `/migrations`, over plain HTTP.

mod scrape;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::continuity::History;
use crate::continuity::report::TimelineList;
use crate::http::admin::scrape::{ScrapeError, Scrapes};
use crate::metrics::Registry;
use crate::peer::Peer;
use crate::readiness::Readiness;

#[derive(Clone)]
struct Admin {
    scrapes: Arc<Scrapes>,
    readiness: Arc<Readiness>,
    history: History,
}

/// The routes of the admin listener.
///
/// # Errors
/// As the methods of [`Registry`].
pub fn admin_router(
    registry: Registry,
    readiness: Arc<Readiness>,
    history: History,
) -> Result<Router, prometheus::Error> {
    let scrapes = Arc::new(Scrapes::new(registry)?);
    Ok(Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .route("/migrations", get(migrations))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "berth: no such path: there are /livez, /readyz, /metrics and /migrations\n",
            )
        })
        .with_state(Admin {
            scrapes,
            readiness,
            history,
        }))
}

async fn readyz(State(Admin { readiness, .. }): State<Admin>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    let text = format!("not ready: {}\n", missing.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// The migrations that are observed, as JSON.
async fn migrations(State(Admin { history, .. }): State<Admin>) -> Response {
    match serde_json::to_string_pretty(&TimelineList::from(&history)) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text + "\n").into_response(),
        Err(error) => {
            let text = format!("berth: the timelines can't be written as JSON: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
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

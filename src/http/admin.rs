//! The admin listener: `/livez`, `/readyz` and `/metrics`, over plain HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::metrics::Metrics;
use crate::readiness::Readiness;

#[derive(Clone)]
struct Admin {
    metrics: Metrics,
    readiness: Arc<Readiness>,
}

/// The routes of the admin listener.
pub fn admin_router(metrics: Metrics, readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "berth: no such path: there are /livez, /readyz and /metrics\n",
            )
        })
        .with_state(Admin { metrics, readiness })
}

async fn readyz(State(Admin { readiness, .. }): State<Admin>) -> Response {
    let missing = readiness.missing();
    if missing.is_empty() {
        return "ok\n".into_response();
    }
    let text = format!("not ready: {}\n", missing.join(", "));
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

async fn scrape(State(Admin { metrics, .. }): State<Admin>) -> Response {
    match metrics.encode() {
        Ok(text) => {
            let format = prometheus::TEXT_FORMAT;
            ([(header::CONTENT_TYPE, format)], text).into_response()
        }
        Err(error) => {
            tracing::error!("metrics can't be encoded: {error}");
            let text = format!("berth: metrics can't be encoded: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

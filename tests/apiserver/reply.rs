//! The answers that are no refusals, and the one that is no JSON.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::Response;

pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    Response::builder()
        .status(status)
        .header(CACHE_CONTROL, "no-cache, private")
        .header(CONTENT_TYPE, "application/json")
        .body(body.into())
        .unwrap()
}

/// What a path gets that nothing serves, like those of a custom resource that is not installed.
pub(crate) fn page_not_found() -> Response {
    Response::builder()
        .status(StatusCode::NOT_FOUND)
        .header(CACHE_CONTROL, "no-cache, private")
        .header(CONTENT_TYPE, "text/plain; charset=utf-8")
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(Body::from("404 page not found\n"))
        .unwrap()
}

//! `POST /null`: reads the body and answers `{}`, which is the least that any handler does. Part of
//! the program for the benchmark alone (feature `null-route`).

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;

/// Nothing of the body is kept, so that what a handler does with its bytes counts as its own.
pub(super) async fn handle(mut body: Body) -> Response {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return StatusCode::BAD_REQUEST.into_response();
        }
    }
    ([(header::CONTENT_TYPE, "application/json")], "{}").into_response()
}

//! `POST /null`: reads the body whole, as every handler does, and answers `{}`. Part of the program for
//! the benchmark alone (feature `null-route`): it tells what the server costs, and so what an answer
//! costs on top of that.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::http::{ClientPeer, limits};

pub(super) async fn handle(ClientPeer(peer): ClientPeer, body: Body) -> Response {
    match limits::read_unlimited(peer.address, body).await {
        Ok(_) => ([(header::CONTENT_TYPE, "application/json")], "{}").into_response(),
        Err(refusal) => (refusal.answer().0, refusal.to_string()).into_response(),
    }
}

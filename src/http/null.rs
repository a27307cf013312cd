//! `POST /null`: reads the body whole, as every handler does, and answers `{}`. Part of the program for
//! the benchmark alone (feature `null-route`): it tells what the server costs, and so what an answer
//! costs on top of that.

use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;

use crate::http::body::{self, Bounds, Deadline};
use crate::http::budget::Budget;
use crate::http::lane::ByPeer;

/// No bound is reached.
const BOUNDS: Bounds = Bounds {
    limit: usize::MAX,
    field: "extenderBody",
    rate: 0,
};

pub(super) async fn handle(peer: ByPeer, body: Body) -> Response {
    let deadline = Deadline {
        start: Instant::now(),
        patience: Duration::from_mins(2),
    };
    let peer = peer.map(|Extension(peer)| peer).unwrap_or_default();
    let mut held = Budget::new(usize::MAX).guard(peer.address);
    match body::read(body, BOUNDS, deadline, &mut held).await {
        Ok(_) => ([(header::CONTENT_TYPE, "application/json")], "{}").into_response(),
        Err(refusal) => (refusal.answer().0, refusal.to_string()).into_response(),
    }
}

//! More than berth can do: refused at once, in one surface without the other.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use hyper::body::Frame;

use crate::support::{Asked, capture, cluster};

/// A body of which the first part comes and the rest never does.
struct Stalled(Option<Bytes>);

impl HttpBody for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.take() {
            Some(part) => Poll::Ready(Some(Ok(Frame::data(part)))),
            None => Poll::Pending,
        }
    }
}

fn stalled(bytes: usize) -> Body {
    Body::new(Stalled(Some(vec![b' '; bytes].into())))
}

/// Starts a review whose body stalls after so many bytes, and waits until it is in progress.
async fn occupy(asked: &Arc<Asked>, bytes: usize) -> tokio::task::JoinHandle<StatusCode> {
    let waiting = Arc::clone(asked);
    let task = tokio::spawn(async move { waiting.post("/mutate", stalled(bytes)).await.0 });
    while asked.metric(r#"berth_requests_in_flight{surface="admission"}"#) < 1.0 {
        tokio::task::yield_now().await;
    }
    task
}

fn mk_asked(limits: &str) -> Arc<Asked> {
    Arc::new(Asked::new(&cluster(), &format!("limits: {{{limits}}}")))
}

#[tokio::test(start_paused = true)]
async fn a_review_too_many_is_refused_at_once_and_the_scheduler_does_not_notice() {
    let asked = mk_asked("admissionRequests: 1, extenderRequests: 1");
    let occupied = occupy(&asked, 1).await;
    let (status, text) = asked
        .post("/mutate", capture("admission-create-vm-bridge"))
        .await;
    assert_eq!(
        (status, text.as_str()),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "berth: too many requests in progress, try again\n"
        )
    );
    let filtered = asked
        .post("/scheduler/filter", capture("filter-names-migration"))
        .await;
    assert_eq!(filtered.0, StatusCode::OK);
    assert_eq!(
        asked.metric(r#"berth_requests_refused_total{cause="overloaded",surface="admission"}"#),
        1.0
    );
    // The one that stalls is let go at its deadline, and its slot is free again.
    assert_eq!(occupied.await.unwrap(), StatusCode::REQUEST_TIMEOUT);
    let (status, _) = asked
        .post("/mutate", capture("admission-create-vm-bridge"))
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        asked.metric(r#"berth_requests_in_flight{surface="admission"}"#),
        0.0
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_gives_everything_back() {
    let asked = mk_asked(
        "admissionRequests: 1, admissionBody: 64Ki, extenderBody: 64Ki, bodiesInFlight: 64Ki",
    );
    let occupied = occupy(&asked, 60 << 10).await;
    occupied.abort();
    assert!(occupied.await.unwrap_err().is_cancelled());
    assert_eq!(
        asked.metric(r#"berth_requests_in_flight{surface="admission"}"#),
        0.0
    );
    let body = format!(
        "{}{}",
        " ".repeat(60 << 10),
        capture("admission-create-vm-bridge")
    );
    assert_eq!(asked.post("/mutate", body).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn bodies_that_hold_too_much_together_are_refused_and_give_back_what_they_held() {
    let asked = mk_asked("admissionBody: 64Ki, extenderBody: 64Ki, bodiesInFlight: 64Ki");
    let occupied = occupy(&asked, 60 << 10).await;
    let good = capture("filter-names-migration");
    let (status, text) = asked.post("/scheduler/filter", good.clone()).await;
    assert_eq!(
        (status, text.as_str()),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "berth: too many bytes in progress, try again\n"
        )
    );
    assert_eq!(occupied.await.unwrap(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(
        asked.post("/scheduler/filter", good).await.0,
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_waited_for_as_long_as_the_apiserver_waits() {
    for (query, seconds) in [("?timeout=3s", 3), ("?timeout=30s", 10), ("", 10)] {
        let asked = mk_asked("");
        let start = tokio::time::Instant::now();
        let (status, text) = asked.post(&format!("/mutate{query}"), stalled(1)).await;
        assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(
            text,
            format!("berth: no whole request and answer within {seconds}s\n")
        );
        assert_eq!(start.elapsed().as_secs(), seconds, "{query}");
    }
}

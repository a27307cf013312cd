//! More than berth can do: refused at once, in one surface without the other, and everything that a
//! request held is given back however it ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{Request, StatusCode};
use axum::response::Response;
use berth::http::router;
use http_body_util::BodyExt;
use hyper::body::Frame;
use serde_json::json;
use tokio::time::{Duration, Instant};
use tower::ServiceExt;

use crate::support::{Asked, capture, capture_json, cluster};

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
async fn stall(asked: &Arc<Asked>, bytes: usize) -> tokio::task::JoinHandle<StatusCode> {
    let waiting = Arc::clone(asked);
    let task = tokio::spawn(async move { waiting.post("/mutate", stalled(bytes)).await.0 });
    while in_flight(asked, "admission") < 1.0 {
        tokio::task::yield_now().await;
    }
    task
}

fn in_flight(asked: &Asked, surface: &str) -> f64 {
    asked.metric(&format!(
        r#"berth_requests_in_flight{{surface="{surface}"}}"#
    ))
}

/// A response whose body is not read yet.
async fn unread(asked: &Asked, path: &str, body: impl Into<Body>) -> Response {
    let request = Request::post(path).body(body.into()).unwrap();
    router(Arc::clone(&asked.service))
        .oneshot(request)
        .await
        .unwrap()
}

fn mk_asked(limits: &str) -> Arc<Asked> {
    Arc::new(Asked::new(&cluster(), &format!("limits: {{{limits}}}")))
}

const REVIEW: &str = "admission-create-vm-bridge";
const CALL: &str = "filter-names-migration";
const TOO_MANY_BYTES: &str = "berth: too many bytes in progress for this peer, try again\n";

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_is_in_progress_and_takes_no_turn() {
    let asked = mk_asked("admissionRequests: 1, extenderRequests: 1");
    let held = unread(&asked, "/mutate", capture(REVIEW)).await;
    assert_eq!(held.status(), StatusCode::OK);
    assert_eq!(
        asked.post("/mutate", capture(REVIEW)).await.0,
        StatusCode::OK
    );
    let filtered = asked.post("/scheduler/filter", capture(CALL)).await;
    assert_eq!(filtered.0, StatusCode::OK);
    assert_eq!(in_flight(&asked, "admission"), 1.0);
    // Its client is gone.
    drop(held);
    assert_eq!(in_flight(&asked, "admission"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn unread_answers_of_one_caller_are_refused_and_counted_and_the_other_is_answered() {
    let review = ("admission", "/mutate", capture(REVIEW));
    let filter = ("extender", "/scheduler/filter", capture(CALL));
    let preempt = json!({
        "Pod": capture_json(CALL)["Pod"],
        "NodeNameToMetaVictims": {"el9-1": {"Pods": [], "NumPDBViolations": 0}},
    });
    let preempt = ("extender", "/scheduler/preempt", preempt.to_string());
    for (flood, other) in [
        (&review, &filter),
        (&review, &preempt),
        (&filter, &review),
        (&preempt, &review),
    ] {
        let asked = mk_asked(
            "admissionBody: 16Ki, extenderBody: 16Ki, admissionBodiesInFlight: 48Ki, extenderBodiesInFlight: 48Ki",
        );
        let (surface, path, body) = flood;
        let mut held = Vec::new();
        let refusal = loop {
            let response = unread(&asked, path, body.clone()).await;
            if response.status() != StatusCode::OK {
                break response.status();
            }
            held.push(response);
        };
        assert_eq!(refusal, StatusCode::TOO_MANY_REQUESTS);
        assert!(held.len() > 1, "{}", held.len());
        for _ in 0..10 {
            assert_eq!(
                asked.post(path, body.clone()).await,
                (StatusCode::TOO_MANY_REQUESTS, TOO_MANY_BYTES.to_owned())
            );
            // Another peer has room, and the other caller has room of its own.
            let elsewhere = asked.post_from([10, 0, 0, 2], path, body.clone()).await;
            assert_eq!(elsewhere.0, StatusCode::OK, "{}", elsewhere.1);
            let (_, path, body) = other;
            assert_eq!(asked.post(path, body.clone()).await.0, StatusCode::OK);
        }
        let refused = |surface: &str| {
            asked.metric(&format!(
                r#"berth_requests_refused_total{{cause="peer_share",surface="{surface}"}}"#
            ))
        };
        assert_eq!((refused(surface), refused(other.0)), (11.0, 0.0));
        assert_eq!(
            in_flight(&asked, surface).to_string(),
            held.len().to_string()
        );
        drop(held);
        assert_eq!(asked.post(path, body.clone()).await.0, StatusCode::OK);
    }
}

/// hyper takes a part of an answer before the client does.
#[tokio::test(start_paused = true)]
async fn a_part_that_the_connection_has_taken_counts_until_it_is_sent() {
    let asked = mk_asked("admissionBody: 16Ki, admissionBodiesInFlight: 48Ki");
    let mut taken = Vec::new();
    let refusal = loop {
        let mut response = unread(&asked, "/mutate", capture(REVIEW)).await;
        if response.status() != StatusCode::OK {
            break response.status();
        }
        let part = response.body_mut().frame().await.unwrap().unwrap();
        taken.push(part.into_data().unwrap());
    };
    assert_eq!(refusal, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(in_flight(&asked, "admission"), 0.0);
    drop(taken);
    assert_eq!(
        asked.post("/mutate", capture(REVIEW)).await.0,
        StatusCode::OK
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_read_too_slowly_is_given_up_and_counted() {
    let asked = mk_asked("handlerTimeout: 3s, admissionRequests: 1");
    let held = unread(&asked, "/mutate", capture(REVIEW)).await;
    // The body is not polled: the connection can't send.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(in_flight(&asked, "admission"), 0.0);
    assert_eq!(
        asked.metric(r#"berth_requests_refused_total{cause="timeout",surface="admission"}"#),
        1.0
    );
    assert_eq!(
        asked.post("/mutate", capture(REVIEW)).await.0,
        StatusCode::OK
    );
    let error = held.into_body().collect().await.unwrap_err();
    assert_eq!(error.to_string(), "the answer was read too slowly");
}

#[tokio::test(start_paused = true)]
async fn half_a_body_takes_no_turn() {
    let asked = mk_asked("admissionRequests: 1");
    let waiting = stall(&asked, 1).await;
    assert_eq!(
        asked.post("/mutate", capture(REVIEW)).await.0,
        StatusCode::OK
    );
    assert_eq!(waiting.await.unwrap(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(in_flight(&asked, "admission"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_gives_everything_back() {
    let asked = mk_asked("admissionBody: 64Ki, admissionBodiesInFlight: 192Ki");
    let waiting = stall(&asked, 60 << 10).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert_eq!(in_flight(&asked, "admission"), 0.0);
    let body = format!("{}{}", " ".repeat(60 << 10), capture(REVIEW));
    assert_eq!(asked.post("/mutate", body).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn bodies_that_hold_too_much_are_refused_for_their_own_peer_and_caller_alone() {
    let asked = mk_asked("admissionBody: 64Ki, admissionBodiesInFlight: 192Ki");
    let waiting = stall(&asked, 56 << 10).await;
    let body = format!("{}{}", " ".repeat(16 << 10), capture(REVIEW));
    assert_eq!(
        asked.post("/mutate", body.clone()).await,
        (StatusCode::TOO_MANY_REQUESTS, TOO_MANY_BYTES.to_owned())
    );
    let elsewhere = asked.post_from([10, 0, 0, 2], "/mutate", body.clone());
    assert_eq!(elsewhere.await.0, StatusCode::OK);
    let filtered = asked.post("/scheduler/filter", capture(CALL)).await;
    assert_eq!(filtered.0, StatusCode::OK);
    // What stalls is given up, and gives back what it held.
    assert_eq!(waiting.await.unwrap(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(asked.post("/mutate", body).await.0, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up_after_two_seconds_or_when_the_apiserver_does() {
    const SLOW: &str = "the body brought less than 65536 bytes a second for 2s (limits.bodyRate)";
    for (query, seconds, expect) in [
        ("?timeout=1s", 1, "the body did not arrive within 1s"),
        ("?timeout=30s", 2, SLOW),
        ("", 2, SLOW),
    ] {
        let asked = mk_asked("");
        let start = Instant::now();
        let (status, text) = asked.post(&format!("/mutate{query}"), stalled(1)).await;
        assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(text, format!("berth: {expect}\n"));
        assert_eq!(start.elapsed().as_secs(), seconds, "{query}");
    }
}

/// A call with so many nodes that it is answered off the threads that serve connections.
fn large_call() -> String {
    let mut call = capture_json(CALL);
    let names: Vec<String> = (0..50_000).map(|i| format!("worker-{i:05}")).collect();
    call["NodeNames"] = json!(names);
    call.to_string()
}

#[tokio::test]
async fn work_that_outlasts_its_deadline_still_counts_until_it_is_done() {
    let asked = mk_asked("extenderRequests: 1, handlerTimeout: 1ms");
    let (status, text) = asked.post("/scheduler/filter", large_call()).await;
    assert_eq!(
        (status, text.as_str()),
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "berth: no answer was ready within 1ms\n"
        )
    );
    // The slot is the work's, not the client's. When it is done everything is free again.
    while in_flight(&asked, "extender") > 0.0 {
        let status = unread(&asked, "/scheduler/filter", capture(CALL))
            .await
            .status();
        assert!(matches!(
            status,
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE
        ));
    }
    let response = unread(&asked, "/scheduler/filter", capture(CALL)).await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_answer_comes_whole_whatever_its_length() {
    // The names in the answer make it as long as wanted, around the size of the parts it is sent in.
    let asked = mk_asked("");
    let call = |length: usize| {
        let mut call = capture_json("filter-names-launch");
        call["NodeNames"] = json!(["x".repeat(length)]);
        call.to_string()
    };
    let (_, shortest) = asked.post("/scheduler/filter", call(0)).await;
    for length in [262_143, 262_144, 262_145, 524_288, 600_000] {
        let response = unread(&asked, "/scheduler/filter", call(length - shortest.len())).await;
        let announced = response.body().size_hint().exact();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((announced, body.len()), (Some(length as u64), length));
        assert_eq!(in_flight(&asked, "extender"), 0.0);
    }
}

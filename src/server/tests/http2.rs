//! HTTP/2: idle is the absence of streams, whatever else the peer sends.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use super::{Harness, IDLE, get2, http2, text, until};
use crate::server::Timeout;

const WINDOW: u32 = 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_gracefully_despite_pings() {
    let harness = Harness::new();
    let (mut requests, connection) = http2(harness.connect(), WINDOW).await;
    for _ in 0..2 {
        let answer = requests.send_request(get2("/")).await.unwrap();
        assert_eq!(text(answer).await, "ok");
        sleep(super::ALMOST_IDLE).await;
    }
    let answer = requests.send_request(get2("/")).await.unwrap();
    assert_eq!(text(answer).await, "ok");

    let since = Instant::now();
    connection.await.unwrap().unwrap();
    assert_eq!(since.elapsed().as_secs(), IDLE.as_secs());
    assert_eq!(harness.metrics.timeouts(Timeout::Idle).get(), 1);
    assert_eq!(harness.metrics.timeouts(Timeout::Close).get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_a_stream_in_flight_is_not_idle() {
    let harness = Harness::new();
    let (mut requests, connection) = http2(harness.connect(), WINDOW).await;
    let held = tokio::spawn(requests.send_request(get2("/held")));
    sleep(IDLE * 10).await;
    harness.release.add_permits(1);
    assert_eq!(text(held.await.unwrap().unwrap()).await, "held");
    let since = Instant::now();
    connection.await.unwrap().unwrap();
    assert_eq!(since.elapsed().as_secs(), IDLE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_response_held_back_by_flow_control_is_given_up() {
    for path in ["/big", "/chunks"] {
        let harness = Harness::new();
        let (mut requests, connection) = http2(harness.connect(), 1024).await;
        let unread = requests.send_request(get2(path)).await.unwrap();
        let since = Instant::now();
        drop(connection.await.unwrap());
        let waited = since.elapsed();
        // By the idle and then the close timeout, if the whole response was handed over at once.
        assert!(
            (IDLE..=IDLE + super::HEADER * 2).contains(&waited),
            "{path}: {waited:?}"
        );
        drop(unread);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(
            (harness.metrics.open.get(), harness.metrics.in_flight()),
            (0, 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_gone_is_found_by_pings() {
    let harness = Harness::new();
    let mut client = harness.connect();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    client.write_all(&settings).await.unwrap();
    // GET / with an authority, as HPACK has it: without a request it would be the header timeout.
    let get = b"\x00\x00\x09\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x04test";
    client.write_all(get).await.unwrap();
    let since = Instant::now();
    drop(client.read_to_end(&mut Vec::new()).await);
    assert_eq!(since.elapsed().as_secs(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_partial_preface_is_a_slow_head() {
    let harness = Harness::new();
    let mut client = harness.connect();
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n")
        .await
        .unwrap();
    let since = Instant::now();
    drop(client.read_to_end(&mut Vec::new()).await);
    assert_eq!(since.elapsed(), super::HEADER);
    assert_eq!(harness.metrics.timeouts(Timeout::Header).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn panics_cost_one_stream() {
    let harness = Harness::new();
    let (mut requests, _connection) = http2(harness.connect(), WINDOW).await;
    let held = tokio::spawn(requests.send_request(get2("/held")));
    let answer = requests.send_request(get2("/panic")).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let answer = requests
        .send_request(get2("/panicking-body"))
        .await
        .unwrap();
    axum::body::to_bytes(axum::body::Body::new(answer.into_body()), 1)
        .await
        .unwrap_err();
    harness.release.add_permits(1);
    assert_eq!(text(held.await.unwrap().unwrap()).await, "held");
    assert_eq!(harness.metrics.panics.get(), 2);
    assert_eq!(harness.metrics.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn streams_end_with_their_connection() {
    let harness = Harness::new();
    let (near, mut far) = tokio::io::duplex(super::PIPE);
    let mut pipe = harness.connect();
    let network =
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut far, &mut pipe).await });
    let (mut requests, _connection) = http2(near, WINDOW).await;
    let held = tokio::spawn(requests.send_request(get2("/held")));
    until(|| harness.metrics.in_flight() > 0).await;
    network.abort();
    held.await.unwrap().unwrap_err();
    until(|| harness.metrics.open.get() == 0 && harness.metrics.in_flight() == 0).await;
}

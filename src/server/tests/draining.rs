//! Stopping: what is in flight finishes or is cut in time, all else ends at once.

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::{
    DRAIN, GET, HEADER, Harness, get2, http2, response, seconds_until_closed, send, served, text,
    until,
};
use crate::server::{Drained, Phase};

const HELD: &str = "GET /held HTTP/1.1\r\nhost: berth\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn requests_in_flight_finish_and_idle_connections_end() {
    let harness = Harness::new();
    let mut fresh = harness.connect();
    let mut idle = harness.connect();
    served(&mut idle).await;
    let mut busy = harness.connect();
    send(&mut busy, HELD).await;
    let (mut idle2, idle2_connection) = http2(harness.connect(), 1024).await;
    text(idle2.send_request(get2("/")).await.unwrap()).await;
    let (mut busy2, busy2_connection) = http2(harness.connect(), 1024).await;
    let held2 = tokio::spawn(busy2.send_request(get2("/held")));
    until(|| harness.metrics.in_flight() == 2).await;

    let since = Instant::now();
    harness.phase.send_replace(Phase::Stopped);
    assert_eq!(seconds_until_closed(&mut fresh).await, 0);
    assert_eq!(seconds_until_closed(&mut idle).await, 0);
    idle2_connection.await.unwrap().unwrap();
    // The listener is gone, so a new connection goes nowhere.
    assert!(harness.connections.is_closed());
    assert!(!harness.serving.is_finished());

    harness.release.add_permits(2);
    let (head, body) = response(&mut busy).await;
    assert!(head.contains("connection: close\r\n"), "{head}");
    assert_eq!(body, "held");
    assert_eq!(seconds_until_closed(&mut busy).await, 0);
    assert_eq!(text(held2.await.unwrap().unwrap()).await, "held");
    busy2_connection.await.unwrap().unwrap();
    assert_eq!(harness.serving.await.unwrap(), Drained::default());
    assert_eq!(since.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_serves_on_and_sends_clients_elsewhere() {
    let harness = Harness::new();
    let mut idle = harness.connect();
    served(&mut idle).await;
    let mut used = harness.connect();
    served(&mut used).await;
    let (mut used2, used2_connection) = http2(harness.connect(), 1024).await;
    text(used2.send_request(get2("/")).await.unwrap()).await;
    let held2 = tokio::spawn(used2.clone().send_request(get2("/held")));
    until(|| harness.metrics.in_flight() == 1).await;

    let since = Instant::now();
    harness.phase.send_replace(Phase::Leaving);
    for client in [&mut used, &mut harness.connect()] {
        send(client, GET).await;
        let (head, body) = response(client).await;
        assert!(head.contains("connection: close\r\n"), "{head}");
        assert_eq!(body, "ok");
        assert_eq!(seconds_until_closed(client).await, 0);
    }
    assert_eq!(
        text(used2.send_request(get2("/")).await.unwrap()).await,
        "ok"
    );
    harness.release.add_permits(1);
    assert_eq!(text(held2.await.unwrap().unwrap()).await, "held");
    // It ends by itself, with its client still there.
    used2_connection.await.unwrap().unwrap();
    assert_eq!(since.elapsed().as_secs(), 0);

    // A client that sends no request is disconnected at the end.
    assert_eq!(harness.metrics.open.get(), 1);
    assert_eq!(harness.stop().await, Drained::default());
    assert_eq!(seconds_until_closed(&mut idle).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_finish_is_cut_and_counted() {
    let harness = Harness::new();
    let mut busy = harness.connect();
    send(&mut busy, HELD).await;
    let (mut busy2, _connection) = http2(harness.connect(), 1024).await;
    let _held = tokio::spawn(busy2.send_request(get2("/held")));
    let _held = tokio::spawn(busy2.send_request(get2("/held")));
    until(|| harness.metrics.in_flight() == 3).await;
    let metrics = std::sync::Arc::clone(&harness.metrics);
    let since = Instant::now();
    let expected = Drained {
        connections: 2,
        requests: 3,
    };
    assert_eq!(harness.stop().await, expected);
    assert_eq!(since.elapsed().as_secs(), DRAIN.as_secs());
    assert_eq!(metrics.open.get(), 0);
    assert_eq!(busy.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn half_a_head_holds_up_the_end_no_longer_than_a_head_may() {
    let harness = Harness::new();
    let mut client = harness.connect();
    send(&mut client, "GET / HTTP/1.1\r\nho").await;
    until(|| harness.metrics.open.get() > 0).await;
    let since = Instant::now();
    assert_eq!(harness.stop().await, Drained::default());
    assert_eq!(since.elapsed().as_secs(), HEADER.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_lost_sender_stops_the_server() {
    let Harness { phase, serving, .. } = Harness::new();
    drop(phase);
    assert_eq!(serving.await.unwrap(), Drained::default());
}

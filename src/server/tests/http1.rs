//! HTTP/1: which wait of a connection is ended when, and what does not end it.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep};

use super::{
    BIG, HEADER, Harness, IDLE, PIPE, mk_peer, response, seconds_until_closed, send, served,
};
use crate::server::Timeout;

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed() {
    let harness = Harness::new();
    let mut client = harness.connect();
    assert_eq!(seconds_until_closed(&mut client).await, HEADER.as_secs());
    assert_eq!(harness.metrics.timeouts(Timeout::Header).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_is_closed_however_steadily_it_comes() {
    let harness = Harness::new();
    for serve_one_first in [false, true] {
        let mut client = harness.connect();
        if serve_one_first {
            served(&mut client).await;
            sleep(IDLE / 2).await;
        }
        let (mut reading, mut writing) = tokio::io::split(client);
        let trickle = tokio::spawn(async move {
            for byte in super::GET.chars() {
                send(&mut writing, &byte.to_string()).await;
                sleep(Duration::from_secs(1)).await;
            }
        });
        assert_eq!(seconds_until_closed(&mut reading).await, HEADER.as_secs());
        trickle.abort();
    }
    assert_eq!(harness.metrics.timeouts(Timeout::Header).get(), 2);
    assert_eq!(harness.metrics.timeouts(Timeout::Idle).get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_stalls_on_a_kept_alive_connection_is_closed() {
    let harness = Harness::new();
    let mut client = harness.connect();
    served(&mut client).await;
    sleep(IDLE / 2).await;
    send(&mut client, "GET / HTTP/1.1\r\n").await;
    assert_eq!(seconds_until_closed(&mut client).await, HEADER.as_secs());
    assert_eq!(harness.metrics.timeouts(Timeout::Header).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_kept_alive_connection_lives_for_the_idle_timeout() {
    let harness = Harness::new();
    let mut client = harness.connect();
    for _ in 0..3 {
        served(&mut client).await;
        sleep(super::ALMOST_IDLE).await;
    }
    served(&mut client).await;
    assert_eq!(seconds_until_closed(&mut client).await, IDLE.as_secs());
    assert_eq!(harness.metrics.timeouts(Timeout::Idle).get(), 1);
    assert_eq!(harness.metrics.timeouts(Timeout::Header).get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_is_left_to_the_router() {
    let harness = Harness::new();
    let mut client = harness.connect();
    send(&mut client, "GET /held HTTP/1.1\r\nhost: berth\r\n\r\n").await;
    sleep(IDLE * 10).await;
    assert_eq!(harness.metrics.in_flight(), 1);
    harness.release.add_permits(1);
    assert_eq!(response(&mut client).await.1, "held");
    assert_eq!(harness.metrics.in_flight(), 0);
    assert_eq!(seconds_until_closed(&mut client).await, IDLE.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_does_not_hurt_others() {
    let harness = Harness::new();
    let mut stalled = harness.connect();
    let head = "POST /length HTTP/1.1\r\nhost: berth\r\ncontent-length: 10\r\n\r\n";
    send(&mut stalled, head).await;
    send(&mut stalled, "12345").await;
    let mut other = harness.connect();
    served(&mut other).await;
    sleep(IDLE / 2).await;
    served(&mut other).await;
    send(&mut stalled, "67890").await;
    assert_eq!(response(&mut stalled).await.1, "10");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_closed() {
    let harness = Harness::new();
    let mut client = harness.connect();
    send(&mut client, "GET /big HTTP/1.1\r\nhost: berth\r\n\r\n").await;
    let since = Instant::now();
    while harness.metrics.timeouts(Timeout::Write).get() == 0 {
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(since.elapsed().as_secs(), IDLE.as_secs() + 1);
    assert_eq!(harness.metrics.open.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_is_served() {
    let harness = Harness::new();
    let mut client = harness.connect();
    send(&mut client, "GET /big HTTP/1.1\r\nhost: berth\r\n\r\n").await;
    let since = Instant::now();
    let mut read = 0;
    let mut buffer = vec![0; PIPE];
    while read < BIG {
        sleep(super::ALMOST_IDLE).await;
        let count = client.read(&mut buffer).await.unwrap();
        assert_ne!(count, 0, "closed after {read} bytes");
        read += count;
    }
    assert!(since.elapsed() > IDLE * 50);
    // Nor does the long response count as idle time; what follows its end does.
    let since = Instant::now();
    client.read_to_end(&mut Vec::new()).await.unwrap();
    assert_eq!(since.elapsed().as_secs(), IDLE.as_secs());
    assert_eq!(harness.metrics.timeouts(Timeout::Write).get(), 0);
    assert_eq!(harness.metrics.timeouts(Timeout::Idle).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_handler_costs_one_request() {
    let harness = Harness::new();
    let mut client = harness.connect();
    send(&mut client, "GET /panic HTTP/1.1\r\nhost: berth\r\n\r\n").await;
    let (head, _) = response(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    served(&mut client).await;
    assert_eq!(harness.metrics.panics.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panicking_body_costs_one_connection() {
    let harness = Harness::new();
    let mut other = harness.connect();
    served(&mut other).await;
    let mut client = harness.connect();
    send(
        &mut client,
        "GET /panicking-body HTTP/1.1\r\nhost: berth\r\n\r\n",
    )
    .await;
    assert_eq!(seconds_until_closed(&mut client).await, 0);
    served(&mut other).await;
    assert_eq!(harness.metrics.panics.get(), 1);
    assert_eq!(
        (harness.metrics.open.get(), harness.metrics.in_flight()),
        (1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_oversized_head_is_refused() {
    let harness = Harness::new();
    let mut client = harness.connect();
    let (mut reading, mut writing) = tokio::io::split(harness.connect());
    let head = format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(128 * 1024));
    let writer = tokio::spawn(async move { send(&mut writing, &head).await });
    let (head, _) = response(&mut reading).await;
    assert!(head.starts_with("HTTP/1.1 431 "), "{head}");
    writer.abort();
    served(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn handlers_learn_the_peer() {
    let harness = Harness::new();
    let mut client = harness.connect();
    send(&mut client, "GET /peer HTTP/1.1\r\nhost: berth\r\n\r\n").await;
    assert_eq!(response(&mut client).await.1, mk_peer().to_string());
}

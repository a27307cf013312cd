//! The accept loop: its limit, its errors, and that one peer does not hold up the next.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::{Harness, mk_limits, seconds_until_closed, send, served, until};
use crate::server::Limits;

#[tokio::test]
async fn a_thousand_idle_connections_leave_room_for_one_more() {
    let harness = Harness::with_limits(Limits {
        max_connections: 1001,
        ..mk_limits()
    });
    let idle: Vec<_> = (0..1000).map(|_| harness.connect()).collect();
    let mut last = harness.connect();
    served(&mut last).await;
    assert_eq!(harness.stats.open(), 1001);

    // One beyond the limit is dropped, and room is made by any that ends.
    let mut refused = harness.connect();
    assert_eq!(refused.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(harness.stats.refused(), 1);
    served(&mut last).await;
    drop(idle);
    until(|| harness.stats.open() == 1).await;
    served(&mut harness.connect()).await;
    assert_eq!(harness.stats.refused(), 1);
    assert_eq!(harness.stats.accepted(), 1002);
}

#[tokio::test(start_paused = true)]
async fn accept_errors_back_off_and_go_on() {
    let harness = Harness::new();
    let since = Instant::now();
    for _ in 0..3 {
        let too_many_open_files = io::Error::from_raw_os_error(24);
        harness.connections.send(Err(too_many_open_files)).unwrap();
    }
    let aborted = io::ErrorKind::ConnectionAborted.into();
    harness.connections.send(Err(aborted)).unwrap();
    served(&mut harness.connect()).await;
    assert_eq!(harness.stats.accept_errors(), 3);
    let pauses = since.elapsed();
    assert!(pauses >= Duration::from_millis(300), "{pauses:?}");
    assert!(pauses < Duration::from_millis(310), "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn garbage_costs_its_sender_the_connection() {
    let harness = Harness::new();
    let mut client = harness.connect();
    send(&mut client, "\0\u{1}\u{2} garbage\r\n\r\n").await;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(seconds_until_closed(&mut client).await, 0);
    served(&mut harness.connect()).await;
}

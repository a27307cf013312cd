//! The accept loop: its limit, its errors, and that one peer does not hold up the next.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::{
    GET, Harness, mk_limits, mk_peer, response, seconds_until_closed, send, served, until,
};
use crate::server::Limits;

#[tokio::test(start_paused = true)]
async fn over_the_limit_the_oldest_idle_connection_of_the_peer_with_the_most_is_closed() {
    let harness = Harness::with_limits(Limits {
        max_connections: 1000,
        ..mk_limits()
    });
    let mut only = harness.connect_from(([192, 0, 2, 9], 1).into());
    served(&mut only).await;
    let mut idle: Vec<_> = (1..1000).map(|_| harness.connect()).collect();
    until(|| harness.metrics.open.get() == 1000).await;

    // Of a peer that has none yet, of the one with the most, and half a request is not at work.
    send(&mut idle[1], "GET / HT").await;
    let mut others = [([192, 0, 2, 2], 1).into(), mk_peer()].map(|peer| harness.connect_from(peer));
    for other in &mut others {
        served(other).await;
    }
    for gone in &mut idle[..2] {
        assert_eq!(seconds_until_closed(gone).await, 0);
    }
    served(&mut idle[2]).await;
    served(&mut only).await;
    assert_eq!(
        (
            harness.metrics.displaced.get(),
            harness.metrics.refused.get()
        ),
        (2, 0)
    );
    assert_eq!(harness.metrics.open.get(), 1000);
    assert_eq!(harness.metrics.accepted.get(), 1002);
    drop(idle);
    until(|| harness.metrics.open.get() == 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_at_work_does_not_give_way_to_its_own_peer() {
    let harness = Harness::with_limits(Limits {
        max_connections: 2,
        ..mk_limits()
    });
    let mut held = [(); 2].map(|()| harness.connect());
    for held in &mut held {
        send(held, &GET.replacen('/', "/held", 1)).await;
    }
    until(|| harness.metrics.in_flight() == 2).await;
    let mut refused = harness.connect();
    assert_eq!(refused.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(
        (
            harness.metrics.displaced.get(),
            harness.metrics.refused.get()
        ),
        (0, 1)
    );
    // Another peer has none at all.
    served(&mut harness.connect_from(([192, 0, 2, 2], 1).into())).await;
    assert_eq!(seconds_until_closed(&mut held[0]).await, 0);
    harness.release.add_permits(2);
    assert_eq!(response(&mut held[1]).await.1, "held");
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
    assert_eq!(harness.metrics.accept_errors.get(), 3);
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

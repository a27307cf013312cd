//! Clients that mean harm, or are broken, over real TLS: the others do not notice.

mod bodies;
mod launchers;
mod lists;
mod logging;
mod lookups;
mod peers;
mod scraping;
mod southbound;
mod texts;

use serde_json::json;
use tokio::net::TcpStream;

use crate::process::{Served, get};
use crate::service::{Service, connect, exchange, good_review, head};
use crate::support::capture_json;
use crate::tools::tell;

#[tokio::test(flavor = "multi_thread")]
async fn half_a_body_gets_a_408_and_other_requests_are_answered() {
    let service = Service::start("limits: {handlerTimeout: 300ms}").await;
    let mut stalled = Vec::new();
    for path in ["/mutate", "/scheduler/filter"] {
        let mut stream = service.connect().await;
        stalled.push(tokio::spawn(async move {
            exchange(&mut stream, &head(path, 1000), "{\"kind\":").await
        }));
    }
    service.good().await;
    for answer in stalled {
        let answer = answer.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(
            answer.contains("the body did not arrive within 300ms"),
            "{answer}"
        );
    }
    service.good().await;
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_filter_calls_is_shed_and_counted_and_every_review_is_answered() {
    const CLIENTS: usize = 16;
    let service = Service::start("limits: {extenderRequests: 1}").await;
    let mut call = capture_json("filter-names-migration");
    let names: Vec<String> = (0..20_000).map(|i| format!("worker-{i:05}")).collect();
    call["NodeNames"] = json!(names);
    let call = call.to_string();
    let mut streams = Vec::new();
    for _ in 0..CLIENTS {
        streams.push(service.connect().await);
    }
    let flood = streams.into_iter().map(|mut stream| {
        let call = call.clone();
        tokio::spawn(async move {
            let head = head("/scheduler/filter", call.len());
            exchange(&mut stream, &head, &call).await
        })
    });
    let flood: Vec<_> = flood.collect();
    for _ in 0..10 {
        service.good().await;
    }
    let (mut answered, mut shed) = (0, 0);
    for answer in flood {
        let answer = answer.await.unwrap();
        if answer.starts_with("HTTP/1.1 200 ") {
            assert!(answer.contains(r#""Error":"""#));
            answered += 1;
        } else {
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            shed += 1;
        }
    }
    assert!(answered > 0);
    assert_eq!(answered + shed, CLIENTS);
    let refused = r#"berth_requests_refused_total{cause="overloaded",surface="extender"}"#;
    let refused = service.metric(refused).await;
    assert_eq!(refused.to_string(), shed.to_string());
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_over_the_limit_is_refused_before_the_body_comes() {
    let service = Service::start("").await;
    let mut stream = service.connect().await;
    let answer = exchange(&mut stream, &head("/mutate", 9 << 20), "}").await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    service.good().await;
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_or_no_tls_is_closed() {
    let service = Service::start("").await;
    let mut stream = service.connect().await;
    let answer = exchange(&mut stream, "\u{1}\u{2}\r\n\r\n", "}").await;
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 400 "),
        "{answer}"
    );

    let mut plain = TcpStream::connect(service.running.https).await.unwrap();
    let answer = exchange(&mut plain, &head("/mutate", 0), "}").await;
    assert!(!answer.contains("HTTP"), "{answer}");
    service.good().await;
    service.running.shut_down().await;
}

/// In a process of its own, so that its memory can be measured.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_idle_connections_cost_little_and_a_new_one_is_served() {
    berth::server::allow_connections(1000);
    let served = Served::start(&[]);
    let good = async || {
        let mut stream = connect(served.https, &served.ca, None).await.unwrap();
        good_review(&mut stream).await;
    };
    good().await;
    let before = resident_bytes(&served);
    let mut idle = Vec::new();
    while idle.len() < 1000 {
        match TcpStream::connect(served.https).await {
            Ok(stream) => idle.push(stream),
            Err(error) => {
                let held = idle.len();
                tell(&format!(
                    "left out: connections after the {held}th ({error})"
                ));
                // What a good client needs.
                idle.truncate(held.saturating_sub(16));
                break;
            }
        }
    }
    good().await;
    let grown = resident_bytes(&served) - before;
    assert!(grown < 32e6, "{grown} bytes for {} connections", idle.len());
    good().await;
}

fn resident_bytes(served: &Served) -> f64 {
    let (_, metrics) = get(served.admin, "/metrics");
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    value.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_request_are_quoted_no_longer_than_a_person_reads() {
    let service = Service::start("").await;
    let long = "x".repeat(1 << 20);
    for (path, body) in [
        ("/mutate", format!(r#"{{"kind":"{long}"}}"#)),
        ("/scheduler/filter", format!(r#""{long}""#)),
        (
            "/scheduler/filter",
            format!(r#"{{"Pod":{{"metadata":{{}}}},"NodeNames":"{long}"}}"#),
        ),
    ] {
        let mut stream = service.connect().await;
        let answer = exchange(&mut stream, &head(path, body.len()), &body).await;
        assert!(answer.len() < 1000, "{path}: {} bytes", answer.len());
        assert!(answer.contains('…'), "{answer}");
    }
    service.running.shut_down().await;
}

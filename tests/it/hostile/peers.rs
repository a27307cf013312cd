//! One peer that takes all it can get, of connections, bytes or turns: the others have room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use crate::service::{Service, exchange, good_review, head, shake, tcp_from};
use crate::support::{capture, capture_json};

const HOSTILE: [u8; 4] = [127, 0, 0, 66];
const OTHER: [u8; 4] = [127, 0, 0, 2];

/// A review with so many bytes of nothing in front of it, by a peer that has asked for nothing yet.
async fn review_of(service: &Service, bytes: usize) {
    let body = format!(
        "{}{}",
        " ".repeat(bytes),
        capture("admission-create-vm-bridge")
    );
    let mut stream = service.connect_from(OTHER).await;
    let answer = exchange(&mut stream, &head("/mutate", body.len()), &body).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

async fn filter_of(service: &Service) {
    let body = capture("filter-names-migration");
    let mut stream = service.connect_from(OTHER).await;
    let head = head("/scheduler/filter", body.len());
    let answer = exchange(&mut stream, &head, &body).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

async fn until_refused(service: &Service, surface: &str, cause: &str) {
    let series = format!(r#"berth_requests_refused_total{{cause="{cause}",surface="{surface}"}}"#);
    while service.metric(&series).await == 0.0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_one_address_that_stall_leave_room_for_another() {
    // Room for five of the bodies that stall. A rate that they keep.
    let service = Service::start(
        "limits: {admissionBody: 64Ki, admissionBodiesInFlight: 288Ki, bodyRate: 1}",
    )
    .await;
    let mut stalled = Vec::new();
    for _ in 0..8 {
        let mut stream = service.connect_from(HOSTILE).await;
        let start = head("/mutate", 60_000) + &" ".repeat(50_000);
        // It may be refused before all of it is written.
        drop(stream.write_all(start.as_bytes()).await);
        drop(stream.flush().await);
        stalled.push(stream);
    }
    until_refused(&service, "admission", "peer_share").await;
    for _ in 0..5 {
        review_of(&service, 40_000).await;
    }
    let overloaded = r#"berth_requests_refused_total{cause="overloaded",surface="admission"}"#;
    assert_eq!(service.metric(overloaded).await, 0.0);
    drop(stalled);
    service.running.shut_down().await;
}

/// An HTTP/2 connection whose client takes no byte of any answer's body.
struct ZeroWindow {
    requests: http2::SendRequest<Body>,
    connection: JoinHandle<()>,
}

impl ZeroWindow {
    async fn open(service: &Service) -> Self {
        let stream = service.connect_from(HOSTILE).await;
        let (requests, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(0)
            .handshake(TokioIo::new(stream))
            .await
            .unwrap();
        Self {
            requests,
            connection: tokio::spawn(async move { drop(connection.await) }),
        }
    }

    /// The head of an answer, whose body is held back.
    async fn ask(&mut self, path: &str, body: &str) -> Response<Incoming> {
        self.requests.ready().await.unwrap();
        let request = Request::post(format!("https://localhost{path}"));
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.requests.send_request(request).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_held_back_by_an_http2_window_take_no_turns() {
    let service = Service::start("limits: {extenderRequests: 2, admissionRequests: 2}").await;
    for (path, body) in [
        ("/scheduler/filter", capture("filter-names-migration")),
        ("/mutate", capture("admission-create-vm-bridge")),
    ] {
        let mut client = ZeroWindow::open(&service).await;
        let mut held = Vec::new();
        for _ in 0..40 {
            let answer = client.ask(path, &body).await;
            assert_eq!(answer.status(), StatusCode::OK);
            held.push(answer);
        }
        filter_of(&service).await;
        review_of(&service, 0).await;
        drop((held, client.requests));
        client.connection.abort();
    }
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_held_back_by_an_http2_window_are_bounded_by_their_bytes() {
    let service =
        Service::start("limits: {extenderBody: 64Ki, extenderBodiesInFlight: 192Ki}").await;
    let call = capture("filter-names-migration");
    let mut client = ZeroWindow::open(&service).await;
    let mut held = Vec::new();
    loop {
        let answer = client.ask("/scheduler/filter", &call).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        assert_eq!(answer.status(), StatusCode::OK);
        held.push(answer);
        assert!(held.len() < 60, "nothing bounds it");
    }
    for _ in 0..5 {
        filter_of(&service).await;
    }
    drop((held, client.requests));
    client.connection.abort();
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_that_are_not_read_take_no_turns() {
    // Longer than a busy machine takes for three of them: none is given up meanwhile.
    let service = Service::start("limits: {extenderRequests: 2, handlerTimeout: 2m}").await;
    // More than the buffers of a connection take.
    let mut call = capture_json("filter-names-launch");
    call["NodeNames"] = json!(["x".repeat(8 << 20)]);
    let call = call.to_string();
    let mut held: Vec<TlsStream<TcpStream>> = Vec::new();
    for _ in 0..3 {
        let stream = tcp_from(HOSTILE, service.running.https, Some(4096)).await;
        let mut stream = shake(stream.unwrap(), &service.ca, None).await.unwrap();
        let request = head("/scheduler/filter", call.len()) + &call;
        stream.write_all(request.as_bytes()).await.unwrap();
        // What the socket had no room for is still with the TLS session.
        stream.flush().await.unwrap();
        let mut status = [0; 15];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200 OK");
        held.push(stream);
    }
    let in_flight = r#"berth_requests_in_flight{surface="extender"}"#;
    assert_eq!(service.metric(in_flight).await, 3.0);
    filter_of(&service).await;
    drop(held);
    service.running.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_connection_limit_the_peer_with_the_most_loses_its_oldest_idle_connection() {
    let service = Service::start("limits: {connections: 4}").await;
    let mut first = service.connect().await;
    let mut idle = Vec::new();
    for _ in 0..3 {
        idle.push(service.connect_from(HOSTILE).await);
    }
    let mut newcomer = service.connect_from(OTHER).await;
    let answer = exchange(&mut idle[0], "", "").await;
    assert_eq!(answer, "");
    for stream in [&mut newcomer, &mut first]
        .into_iter()
        .chain(&mut idle[1..])
    {
        good_review(stream).await;
    }
    let displaced = r#"berth_connections_failed_total{cause="gave_way",listener="https"}"#;
    assert_eq!(service.metric(displaced).await, 1.0);
    service.running.shut_down().await;
}

/// As many clients as the admin port has connections, and more, which keep theirs in use.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_fill_the_admin_port_keep_no_probe_out() {
    let service = Service::start("").await;
    let address = service.running.admin;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut flood = Vec::new();
    for count in 0..100 {
        let is_over = Arc::clone(&is_over);
        flood.push(tokio::spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let Ok(mut stream) = tcp_from(HOSTILE, address, None).await else {
                    continue;
                };
                // Half a head that never ends, or one request after the other.
                let request: &[u8] = if count % 2 == 0 {
                    b"GET /livez HT"
                } else {
                    b"GET /livez HTTP/1.1\r\nHost: berth\r\n\r\n"
                };
                while !is_over.load(Ordering::Relaxed) && stream.write_all(request).await.is_ok() {
                    let mut answer = [0; 1024];
                    let answered =
                        tokio::time::timeout(Duration::from_millis(50), stream.read(&mut answer));
                    if matches!(answered.await, Ok(Ok(0) | Err(_))) {
                        break;
                    }
                }
            }
        }));
    }
    let open = r#"berth_connections_open{listener="admin"}"#;
    while service.metric(open).await < 64.0 {
        tokio::task::yield_now().await;
    }
    for probe in 0..39 {
        let mut stream = tcp_from(OTHER, address, None).await.unwrap();
        let request = "GET /livez HTTP/1.1\r\nHost: berth\r\nConnection: close\r\n\r\n";
        let answer = exchange(&mut stream, request, "").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{probe}: {answer}");
    }
    is_over.store(true, Ordering::Relaxed);
    for client in flood {
        client.await.unwrap();
    }
    service.running.shut_down().await;
}

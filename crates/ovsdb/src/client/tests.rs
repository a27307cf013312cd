//! A server's end of a connection, by hand and on paused time.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::schema::MonitorColumns;

const SPEC: MonitorSpec = MonitorSpec {
    limit: 8 << 20,
    ..MonitorSpec::new(
        "D",
        &[MonitorColumns {
            table: "T",
            columns: &["name"],
        }],
    )
};
const A: &str = "00000000-0000-4000-8000-00000000000a";

/// The server's end.
struct Server(DuplexStream);

impl Server {
    async fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        loop {
            bytes.push(self.0.read_u8().await.unwrap());
            if let Ok(message) = serde_json::from_slice(&bytes) {
                return message;
            }
        }
    }

    async fn write(&mut self, message: &Value) {
        let bytes = message.to_string();
        self.0.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Answers the question that is next.
    async fn answer(&mut self, method: &str, result: &Value) {
        let asked = self.read().await;
        assert_eq!(asked["method"], method);
        self.write(&json!({"id": asked["id"], "result": result, "error": null}))
            .await;
    }

    async fn refuse(&mut self, method: &str) {
        let asked = self.read().await;
        assert_eq!(asked["method"], method);
        self.write(&json!({"id": asked["id"], "result": null, "error": "no"}))
            .await;
    }

    async fn sync(&mut self) {
        self.refuse("get_schema").await;
        let schema = json!({"tables": {"T": {"columns": {"name": {"type": "string"}}}}});
        self.answer("get_schema", &schema).await;
        let rows = json!({"T": {A: {"initial": {"name": "x"}}}});
        self.answer("monitor_cond_since", &json!([false, A, rows]))
            .await;
    }
}

/// Follows one connection. Returns its events, with the error that ended it at the end.
async fn follow(stream: DuplexStream) -> Vec<String> {
    follow_within(stream, INACTIVITY).await
}

async fn follow_within(stream: DuplexStream, inactivity: Duration) -> Vec<String> {
    let mut said = Vec::new();
    let endpoints = Endpoints::parse("test", "tcp:localhost:1").unwrap();
    let mut follower = Follower {
        session: Session::new(SPEC),
        connection: Connection::over(stream, budget::message(SPEC.limit)),
        inactivity,
        synced: None,
        endpoint: endpoints.at(0),
    };
    let mut on_event = |event: ClientEvent<'_>| {
        said.push(match event {
            ClientEvent::Synced {
                changes, missing, ..
            } => format!("synced {} {}", changes.len(), missing.len()),
            ClientEvent::Changed(changes) => format!("changed {}", changes.len()),
            ClientEvent::Answered => return,
            other => format!("{other:?}"),
        });
    };
    let Err(error) = follower.follow(&mut on_event).await;
    said.push(format!("{}: {error}", error.kind().name()));
    said
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_sent_an_echo_and_left_when_it_does_not_answer() {
    let (client, server) = duplex(1 << 16);
    let mut server = Server(server);
    let began = Instant::now();
    let serve = async {
        server.sync().await;
        for _ in 0..3 {
            let asked = server.read().await;
            assert_eq!(asked["method"], "echo");
            let reply = json!({"id": asked["id"], "result": asked["params"], "error": null});
            server.write(&reply).await;
        }
        // Asked for the fourth time, and now it says nothing.
        server.read().await;
        server
    };
    let (said, _server) = tokio::join!(follow(client), serve);
    assert_eq!(
        said,
        ["synced 1 0", "timeout: the server answers nothing for 20 s"]
    );
    assert_eq!(began.elapsed().as_secs(), 3 * 10 + 2 * 10);
}

#[tokio::test(start_paused = true)]
async fn requests_of_a_server_are_answered_and_its_updates_taken() {
    let (client, server) = duplex(1 << 16);
    let mut server = Server(server);
    let serve = async {
        server.sync().await;
        server
            .write(&json!({"method": "echo", "params": [], "id": "echo"}))
            .await;
        assert_eq!(
            server.read().await,
            json!({"id": "echo", "result": [], "error": null})
        );
        server.write(&mk_update("y")).await;
        drop(server);
    };
    let (said, ()) = tokio::join!(follow(client), serve);
    assert_eq!(
        said,
        [
            "synced 1 0",
            "changed 1",
            "closed: the server has closed the connection"
        ]
    );
}

fn mk_update(name: &str) -> Value {
    json!({"method": "update3", "id": null,
        "params": ["0", A, {"T": {A: {"modify": {"name": name}}}}]})
}

/// Sends pieces at intervals until nobody takes them any more, and answers nothing.
async fn trickle(server: &mut Server, pieces: impl Iterator<Item = Vec<u8>>, every: Duration) {
    for piece in pieces {
        if server.0.write_all(&piece).await.is_err() {
            break;
        }
        sleep(every).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sends_without_end_and_answers_nothing_is_left() {
    let bytes = || mk_update(&"y".repeat(1000)).to_string().into_bytes();
    let byte_by_byte = bytes().into_iter().map(|byte| vec![byte]);
    let updates = (0..100).map(|number| mk_update(&number.to_string()).to_string().into_bytes());
    let spaces = (0..100).map(|_| b" ".to_vec());
    let cases: [(&str, Vec<Vec<u8>>); 3] = [
        ("a message that has no end", byte_by_byte.collect()),
        ("one message after the other", updates.collect()),
        ("what is between messages", spaces.collect()),
    ];
    for (what, pieces) in cases {
        let (client, server) = duplex(1 << 16);
        let mut server = Server(server);
        let began = Instant::now();
        let serve = async {
            server.sync().await;
            trickle(&mut server, pieces.into_iter(), Duration::from_secs(1)).await;
        };
        let (said, ()) = tokio::join!(follow(client), serve);
        let last = said.last().unwrap();
        assert_eq!(
            last, "timeout: the server answers nothing for 20 s",
            "{what}"
        );
        let took = began.elapsed().as_secs();
        assert!((20..=22).contains(&took), "{what}: {took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_message_is_waited_for_while_it_comes_fast_enough() {
    let (client, server) = duplex(1 << 20);
    let mut server = Server(server);
    let serve = async {
        server.sync().await;
        // Two MiB, a little faster than has to be: longer than a silence may be.
        let update = mk_update(&"y".repeat(2 << 20)).to_string();
        let chunk = 100 * 1024;
        for piece in update.as_bytes().chunks(chunk) {
            server.0.write_all(piece).await.unwrap();
            let rate = LEAST_RATE + LEAST_RATE / 10;
            sleep(Duration::from_millis(chunk as u64 * 1000 / rate)).await;
        }
        drop(server);
    };
    let inactivity = Duration::from_secs(2);
    let (said, ()) = tokio::join!(follow_within(client, inactivity), serve);
    assert_eq!(
        said,
        [
            "synced 1 0",
            "changed 1",
            "closed: the server has closed the connection"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sends_more_than_a_limit_is_left() {
    let name = "y".repeat(3 << 20);
    let deep = "[".repeat(100);
    for (bytes, expect) in [
        (
            mk_update(&name).to_string(),
            "too_large: the database is larger than the limit: its content takes more than 8388608 bytes",
        ),
        (
            mk_update(&name.repeat(3)).to_string(),
            "too_large: a message is longer than 6291456 bytes",
        ),
        (
            format!("{{\"method\":{deep}"),
            "too_large: a message is nested deeper than 64 levels",
        ),
        (
            json!({"method": "echo", "params": [&name], "id": 1}).to_string(),
            "too_large: a request of the server is longer than 65536 bytes",
        ),
    ] {
        let (client, server) = duplex(16 << 20);
        let mut server = Server(server);
        let serve = async {
            server.sync().await;
            server.0.write_all(bytes.as_bytes()).await.unwrap();
            server
        };
        let (said, _server) = tokio::join!(follow(client), serve);
        assert_eq!(said, ["synced 1 0", expect]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_syncs_is_left() {
    let (client, server) = duplex(1 << 16);
    let mut server = Server(server);
    let began = Instant::now();
    let serve = async {
        server.read().await;
        // It is there, and does what it was asked for in no time that it is given.
        for _ in 0..2 {
            let asked = server.read().await;
            assert_eq!(asked["method"], "echo");
            let reply = json!({"id": asked["id"], "result": asked["params"], "error": null});
            server.write(&reply).await;
        }
        server
    };
    let (said, _server) = tokio::join!(follow(client), serve);
    assert_eq!(
        said,
        ["timeout: the server does not come to the end of what it was asked for"]
    );
    assert_eq!(began.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_holds_no_messages_is_left_at_once() {
    for (bytes, expect) in [
        (
            "HTTP/1.1 400 Bad Request",
            "unreadable: a message begins with byte 0x48",
        ),
        ("{}", "unreadable: a message neither asks nor answers"),
    ] {
        let (client, mut server) = duplex(1 << 16);
        server.write_all(bytes.as_bytes()).await.unwrap();
        assert_eq!(follow(client).await, [expect]);
    }
}

#[test]
fn endpoints_are_tried_in_turn_with_growing_waits_between_rounds() {
    let mut rounds = Rounds::new(3);
    for round in 0..8 {
        for number in 0..3 {
            let (tried, wait) = rounds.next();
            assert_eq!(tried, number);
            let least = FIRST_WAIT * 2u32.pow(round) / 2;
            let waits = round > 0 && number == 0;
            assert_eq!(wait > Duration::ZERO, waits, "{round} {number}");
            assert!(!waits || wait >= least.min(LONGEST_WAIT), "{wait:?}");
            assert!(wait <= 2 * LONGEST_WAIT, "{wait:?}");
        }
    }
    rounds.settled();
    assert_eq!(rounds.next(), (0, Duration::ZERO));
}

#[tokio::test]
async fn a_large_message_is_decoded_elsewhere_and_the_session_goes_on() {
    let (client, server) = duplex(1 << 16);
    let mut server = Server(server);
    let serve = async {
        server.refuse("get_schema").await;
        let schema = json!({"tables": {"T": {"columns": {"name": {"type": "string"}}}}});
        server.answer("get_schema", &schema).await;
        let name = "x".repeat(4 * LARGE);
        let rows = json!({"T": {A: {"initial": {"name": name}}}});
        server
            .answer("monitor_cond_since", &json!([false, A, rows]))
            .await;
        let update = json!({"T": {A: {"modify": {"name": "y"}}}});
        server
            .write(&json!({"method": "update3", "params": ["0", A, update], "id": null}))
            .await;
        drop(server);
    };
    let (said, ()) = tokio::join!(follow(client), serve);
    assert_eq!(said[..2], ["synced 1 0", "changed 1"]);
}

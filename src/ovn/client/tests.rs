//! A server's end of a connection, by hand and on paused time.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::ovn::schema::Wanted;

const SUBJECT: Subject = Subject {
    database: "D",
    wanted: &[Wanted {
        table: "T",
        columns: &["name"],
    }],
    leader_only: false,
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

/// Follows one connection, and tells what was told, with the fault that ended it at the end.
async fn follow(stream: DuplexStream, stats: &ClientStats) -> Vec<String> {
    let mut said = Vec::new();
    let endpoints = Endpoints::parse("test", "tcp:localhost:1").unwrap();
    let mut follower = Follower {
        session: Session::new(SUBJECT),
        connection: Connection::over(stream),
        stats,
        inactivity: INACTIVITY,
        synced: None,
        endpoint: endpoints.at(0),
    };
    let mut tell = |told: Told<'_>| {
        said.push(match told {
            Told::Synced { changes, missing } => {
                format!("synced {} {}", changes.len(), missing.len())
            }
            Told::Changed(changes) => format!("changed {}", changes.len()),
            Told::Lost => "lost".to_owned(),
        });
    };
    let Err(fault) = follower.follow(&mut tell).await;
    said.push(format!("{}: {fault}", fault.cause.name()));
    said
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_asked_and_left_when_it_does_not_answer() {
    let (client, server) = duplex(1 << 16);
    let mut server = Server(server);
    let stats = ClientStats::default();
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
    let (said, _server) = tokio::join!(follow(client, &stats), serve);
    assert_eq!(
        said,
        [
            "synced 1 0",
            "timeout: nothing came from the server for 20s"
        ]
    );
    assert_eq!(began.elapsed().as_secs(), 3 * 10 + 2 * 10);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_is_answered_and_every_byte_counts_as_life() {
    let (client, server) = duplex(1 << 16);
    let mut server = Server(server);
    let stats = ClientStats::default();
    let serve = async {
        server.sync().await;
        server
            .write(&json!({"method": "echo", "params": [], "id": "echo"}))
            .await;
        assert_eq!(
            server.read().await,
            json!({"id": "echo", "result": [], "error": null})
        );
        let update = json!({"method": "update3", "id": null,
            "params": ["berth", A, {"T": {A: {"modify": {"name": "y"}}}}]});
        // A message that takes its time, and of which half the bytes are no message.
        for byte in update.to_string().as_bytes() {
            sleep(INACTIVITY / 2).await;
            server.0.write_all(&[*byte]).await.unwrap();
        }
        drop(server);
    };
    let (said, ()) = tokio::join!(follow(client, &stats), serve);
    assert_eq!(
        said,
        [
            "synced 1 0",
            "changed 1",
            "closed: the server has closed the connection"
        ]
    );
    assert_eq!((stats.updates(), stats.full_syncs()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_come_to_an_end_is_left() {
    let (client, server) = duplex(1 << 16);
    let mut server = Server(server);
    let stats = ClientStats::default();
    let began = Instant::now();
    let serve = async {
        server.read().await;
        loop {
            let echo = json!({"method": "echo", "params": [], "id": "echo"});
            if server
                .0
                .write_all(echo.to_string().as_bytes())
                .await
                .is_err()
            {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    let (said, ()) = tokio::join!(follow(client, &stats), serve);
    assert_eq!(
        said,
        ["timeout: the server does not come to the end of what it was asked for"]
    );
    assert_eq!(began.elapsed().as_secs(), 30);
    assert_eq!(stats.silence(), None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_none_of_messages_is_left_at_once() {
    for (bytes, expect) in [
        (
            "HTTP/1.1 400 Bad Request",
            "unreadable: a message begins with byte 0x48",
        ),
        ("{}", "unreadable: a message neither asks nor answers"),
    ] {
        let (client, mut server) = duplex(1 << 16);
        server.write_all(bytes.as_bytes()).await.unwrap();
        assert_eq!(follow(client, &ClientStats::default()).await, [expect]);
    }
}

#[test]
fn the_endpoints_are_tried_in_turn_and_then_after_longer_and_longer_waits() {
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
async fn a_large_message_is_taken_elsewhere_and_nothing_of_the_conversation_is_lost() {
    let (client, server) = duplex(1 << 16);
    let mut server = Server(server);
    let stats = ClientStats::default();
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
            .write(&json!({"method": "update3", "params": ["berth", A, update], "id": null}))
            .await;
        drop(server);
    };
    let (said, ()) = tokio::join!(follow(client, &stats), serve);
    assert_eq!(said[..2], ["synced 1 0", "changed 1"]);
}

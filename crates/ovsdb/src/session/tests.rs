//! A server that answers as told, and a session that talks to it.

use super::*;
use crate::schema::MonitorColumns;

const TABLES: [MonitorColumns; 2] = [
    MonitorColumns {
        table: "T",
        columns: &["name"],
    },
    MonitorColumns {
        table: "U",
        columns: &["name"],
    },
];
const A: &str = "00000000-0000-4000-8000-00000000000a";
const CLUSTER: &str = "00000000-0000-4000-8000-0000000000c1";
const OTHER: &str = "00000000-0000-4000-8000-0000000000c2";
const TXN: &str = "00000000-0000-4000-8000-0000000000f1";

/// A server that answers as told, and a session that talks to it.
struct Talk {
    session: Session,
    said: Vec<u8>,
}

impl Talk {
    fn new() -> Self {
        Self::about(&TABLES, &[])
    }

    fn about(tables: &'static [MonitorColumns], large_tables: &'static [MonitorColumns]) -> Self {
        let mut session = Session::new(MonitorSpec {
            large_tables,
            limit: 1 << 20,
            ..MonitorSpec::new("D", tables)
        });
        let said = session.begin();
        Self { session, said }
    }

    fn begin(&mut self) {
        self.said = self.session.begin();
    }

    /// What was asked last, `METHOD PARAMS`.
    #[track_caller]
    fn asked(&self) -> String {
        let json: Value = serde_json::from_slice(&self.said).unwrap();
        format!("{} {}", json["method"].as_str().unwrap(), json["params"])
    }

    fn take(&mut self, message: &Value) -> Result<Option<SessionEvent>, String> {
        let received = self.session.receive(message.to_string().as_bytes());
        let Received { send, event, .. } =
            received.map_err(|error| format!("{}: {error}", error.kind().name()))?;
        if let Some(send) = send {
            self.said = send;
        }
        Ok(event)
    }

    fn reply(&mut self, result: &Value) -> Result<Option<SessionEvent>, String> {
        let asked: Value = serde_json::from_slice(&self.said).unwrap();
        self.take(&json!({"id": asked["id"], "result": result, "error": null}))
    }

    fn refuse(&mut self, error: &Value) -> Result<Option<SessionEvent>, String> {
        let asked: Value = serde_json::from_slice(&self.said).unwrap();
        self.take(&json!({"id": asked["id"], "result": null, "error": error}))
    }

    fn tell(&mut self, method: &str, params: &Value) -> Result<Option<SessionEvent>, String> {
        self.take(&json!({"method": method, "params": params, "id": null}))
    }

    /// As far as the question for the data, of a member of a cluster.
    fn up_to_data(&mut self, cluster: &str, index: i64) -> Result<(), String> {
        self.reply(&about_schema())?;
        self.reply(&about(cluster, index, true))?;
        self.reply(&schema(&["name", "other"]))?;
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        let rows = self.session.cache().rows("T");
        rows.map(|(_, row)| row.get("name").unwrap().text().unwrap().to_owned())
            .collect()
    }
}

fn schema(columns: &[&str]) -> Value {
    let columns = columns
        .iter()
        .map(|name| ((*name).to_owned(), json!({"type": "string"})));
    let columns: serde_json::Map<_, _> = columns.collect();
    json!({"name": "D", "tables": {"T": {"columns": columns}}})
}

fn about_schema() -> Value {
    let one = |base: &str| json!({ "type": base });
    let maybe = |base: &str| json!({"type": {"key": base, "min": 0}});
    json!({"name": "_Server", "tables": {"Database": {"columns": {
        "name": one("string"), "model": one("string"), "connected": one("boolean"),
        "cid": maybe("uuid"), "index": maybe("integer")}}}})
}

fn about(cluster: &str, index: i64, connected: bool) -> Value {
    json!({"Database": {A: {"initial": {"name": "D", "model": "clustered",
        "connected": connected, "cid": ["uuid", cluster], "index": index}}}})
}

fn rows(kind: &str, name: &str) -> Value {
    json!({"T": {A: {kind: {"name": name}}}})
}

fn is_synced(event: Option<SessionEvent>) -> (usize, bool) {
    match event {
        Some(SessionEvent::Synced { changes, resumed }) => (changes.len(), resumed),
        other => panic!("{other:?}"),
    }
}

/// As far as the question for the first tables, of a server from before there was one about itself.
fn up_to_groups(talk: &mut Talk, tables: &[&str]) {
    let columns = json!({"columns": {"name": {"type": "string"}}});
    let tables = tables
        .iter()
        .map(|table| ((*table).to_owned(), columns.clone()));
    let tables: serde_json::Map<_, _> = tables.collect();
    talk.refuse(&json!("no")).unwrap();
    talk.reply(&json!({ "tables": tables })).unwrap();
}

#[test]
fn a_large_table_is_asked_for_by_itself_and_the_event_comes_when_all_is_there() {
    let mut talk = Talk::about(&TABLES[..1], &TABLES[1..]);
    let row = |table: &str, kind: &str, name: &str| json!({table: {A: {kind: {"name": name}}}});
    up_to_groups(&mut talk, &["T", "U"]);
    let none = Uuid::ZERO;
    let first =
        format!(r#"monitor_cond_since ["D","0",{{"T":[{{"columns":["name"]}}]}},"{none}"]"#);
    assert_eq!(talk.asked(), first);
    let reply = json!([false, TXN, row("T", "initial", "x")]);
    assert_eq!(talk.reply(&reply), Ok(None));
    let second =
        format!(r#"monitor_cond_since ["D","1",{{"U":[{{"columns":["name"]}}]}},"{none}"]"#);
    assert_eq!(talk.asked(), second);
    // What changes meanwhile is told once, as it is in the end.
    let update = json!(["0", OTHER, row("T", "modify", "y")]);
    assert_eq!(talk.tell("update3", &update), Ok(None));
    let reply = json!([false, TXN, row("U", "initial", "u")]);
    let Ok(Some(SessionEvent::Synced { changes, resumed })) = talk.reply(&reply) else {
        panic!("{}", talk.asked());
    };
    let named = |change: &Change| {
        let name = change.row.as_ref().and_then(|row| row.get("name")?.text());
        format!("{} {}", change.table, name.unwrap_or("gone"))
    };
    let told: Vec<_> = changes.iter().map(named).collect();
    assert_eq!((told.join(", ").as_str(), resumed), ("T y, U u", false));
    let update = json!(["1", CLUSTER, row("U", "modify", "v")]);
    let told = talk.tell("update3", &update);
    assert!(matches!(told, Ok(Some(SessionEvent::Changed(changes))) if changes.len() == 1));

    // Each goes on after its own last transaction, and a connection that was lost in between
    // loses no change.
    talk.begin();
    up_to_groups(&mut talk, &["T", "U"]);
    assert_eq!(talk.asked(), first.replace(&none.to_string(), OTHER));
    let reply = json!([true, TXN, row("T", "modify", "z")]);
    assert_eq!(talk.reply(&reply), Ok(None));
    talk.begin();
    up_to_groups(&mut talk, &["T", "U"]);
    assert_eq!(talk.reply(&json!([true, TXN, {}])), Ok(None));
    assert_eq!(talk.asked(), second.replace(&none.to_string(), CLUSTER));
    let event = talk.reply(&json!([true, TXN, {}]));
    assert_eq!(is_synced(event.unwrap()), (1, true));

    // What is gone of one table takes nothing of the other along.
    talk.begin();
    up_to_groups(&mut talk, &["T", "U"]);
    talk.reply(&json!([false, TXN, {}])).unwrap();
    let event = talk.reply(&json!([true, TXN, {}]));
    assert_eq!(is_synced(event.unwrap()), (1, false));
    assert_eq!(talk.session.cache().rows("U").count(), 1);
}

#[test]
fn a_large_table_that_a_database_lacks_is_not_asked_for() {
    let mut talk = Talk::about(&TABLES[..1], &TABLES[1..]);
    up_to_groups(&mut talk, &["T"]);
    let event = talk.reply(&json!([false, TXN, rows("initial", "x")]));
    assert_eq!(is_synced(event.unwrap()), (1, false));
}

#[test]
fn only_replies_to_own_requests_count_as_answers() {
    let mut talk = Talk::new();
    let echo: Value = serde_json::from_slice(&talk.session.echo()).unwrap();
    let first: Value = serde_json::from_slice(&talk.said).unwrap();
    for (message, expect) in [
        (
            json!({"id": echo["id"], "result": ["ovsdb"], "error": null}),
            true,
        ),
        (json!({"id": 77, "result": [], "error": null}), false),
        (json!({"id": "x", "result": [], "error": null}), false),
        (json!({"method": "echo", "params": [], "id": 7}), false),
        (
            json!({"method": "update2", "params": ["0", {}], "id": null}),
            false,
        ),
        (
            json!({"id": first["id"], "result": about_schema(), "error": null}),
            true,
        ),
    ] {
        let outcome = talk.session.receive(message.to_string().as_bytes());
        assert_eq!(outcome.unwrap().answered, expect, "{message}");
    }
}

#[test]
fn a_session_asks_for_the_status_then_the_schema_then_the_tables() {
    let mut talk = Talk::new();
    assert_eq!(talk.asked(), r#"get_schema ["_Server"]"#);
    talk.reply(&about_schema()).unwrap();
    assert_eq!(
        talk.asked(),
        r#"monitor_cond ["_Server","status",{"Database":[{"columns":["name","model","connected","cid","index"]}]}]"#
    );
    talk.reply(&about(CLUSTER, 1, true)).unwrap();
    assert_eq!(talk.asked(), r#"get_schema ["D"]"#);
    talk.reply(&schema(&["name", "other"])).unwrap();
    assert_eq!(
        talk.asked(),
        r#"monitor_cond_since ["D","0",{"T":[{"columns":["name"]}]},"00000000-0000-0000-0000-000000000000"]"#
    );
    assert!(!talk.session.is_synced());
    let event = talk.reply(&json!([false, TXN, rows("initial", "x")]));
    assert_eq!(is_synced(event.unwrap()), (1, false));
    assert!(talk.session.is_synced());
    let missing: Vec<_> = talk
        .session
        .missing()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(missing, ["U"]);
    let event = talk.tell("update3", &json!(["0", TXN, rows("modify", "y")]));
    assert!(matches!(event, Ok(Some(SessionEvent::Changed(changes))) if changes.len() == 1));
    assert_eq!(talk.names(), ["y"]);
    // Of another monitor, without a change, and without meaning.
    for (method, params) in [
        ("update3", json!(["other", TXN, rows("modify", "z")])),
        ("update3", json!(["0", TXN, {}])),
        (
            "update2",
            json!(["status", {"Database": {A: {"modify": {"index": 2}}}}]),
        ),
        ("locked", json!(["l"])),
    ] {
        assert_eq!(talk.tell(method, &params), Ok(None));
    }
    assert_eq!(talk.names(), ["y"]);
    assert_eq!(talk.session.status().index, Some(2));
}

#[test]
fn the_next_connection_resumes_only_in_the_same_cluster() {
    for (cluster, last) in [
        (CLUSTER, TXN),
        (OTHER, "00000000-0000-0000-0000-000000000000"),
    ] {
        let mut talk = Talk::new();
        talk.up_to_data(CLUSTER, 1).unwrap();
        talk.reply(&json!([false, TXN, rows("initial", "x")]))
            .unwrap();
        talk.begin();
        assert!(!talk.session.is_synced());
        talk.up_to_data(cluster, 1).unwrap();
        assert!(
            talk.asked().ends_with(&format!("{last:?}]")),
            "{}",
            talk.asked()
        );
        assert_eq!(talk.names(), ["x"], "until there is an answer");
    }
}

#[test]
fn a_server_with_history_sends_changes_and_one_without_sends_all() {
    for (reply, expect, names) in [
        (json!([true, TXN, {}]), (0, true), vec!["x"]),
        (
            json!([true, TXN, rows("modify", "y")]),
            (1, true),
            vec!["y"],
        ),
        (
            json!([false, TXN, rows("initial", "x")]),
            (0, false),
            vec!["x"],
        ),
        (json!([false, TXN, {}]), (1, false), vec![]),
    ] {
        let mut talk = Talk::new();
        talk.up_to_data(CLUSTER, 1).unwrap();
        talk.reply(&json!([false, TXN, rows("initial", "x")]))
            .unwrap();
        talk.begin();
        talk.up_to_data(CLUSTER, 1).unwrap();
        let event = talk.reply(&reply).unwrap();
        assert_eq!(is_synced(event), expect);
        assert_eq!(talk.names(), names);
    }
}

#[test]
fn a_schema_with_other_columns_begins_again() {
    let mut talk = Talk::new();
    talk.up_to_data(CLUSTER, 1).unwrap();
    talk.reply(&json!([false, TXN, rows("initial", "x")]))
        .unwrap();
    talk.begin();
    talk.reply(&about_schema()).unwrap();
    talk.reply(&about(CLUSTER, 1, true)).unwrap();
    talk.reply(&schema(&["other"])).unwrap();
    assert_eq!(
        talk.asked(),
        r#"monitor_cond_since ["D","0",{"T":[{"columns":[]}]},"00000000-0000-0000-0000-000000000000"]"#
    );
    let missing: Vec<_> = talk
        .session
        .missing()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(missing, ["T.name", "U"]);
}

#[test]
fn an_old_server_is_asked_by_what_it_knows() {
    let unknown = json!({"error": "unknown method", "details": "x"});
    let mut talk = Talk::new();
    talk.refuse(&json!({"error": "unknown database"})).unwrap();
    assert_eq!(talk.asked(), r#"get_schema ["D"]"#);
    talk.reply(&schema(&["name"])).unwrap();
    talk.refuse(&unknown).unwrap();
    assert_eq!(
        talk.asked(),
        r#"monitor_cond ["D","0",{"T":[{"columns":["name"]}]}]"#
    );
    talk.refuse(&unknown).unwrap();
    assert_eq!(
        talk.asked(),
        r#"monitor ["D","0",{"T":[{"columns":["name"]}]}]"#
    );
    let event = talk.reply(&json!({"T": {A: {"new": {"name": "x"}}}}));
    assert_eq!(is_synced(event.unwrap()), (1, false));
    let update = json!(["0", {"T": {A: {"old": {"name": "x"}, "new": {"name": "y"}}}}]);
    assert!(matches!(
        talk.tell("update", &update),
        Ok(Some(SessionEvent::Changed(_)))
    ));
    assert_eq!(talk.names(), ["y"]);

    talk.begin();
    talk.refuse(&json!("unknown database")).unwrap();
    talk.reply(&schema(&["name"])).unwrap();
    talk.refuse(&unknown).unwrap();
    let event = talk.reply(&rows("initial", "z"));
    assert_eq!(is_synced(event.unwrap()), (1, false));
    let update = json!(["0", {"T": {A: {"delete": null}}}]);
    talk.tell("update2", &update).unwrap();
    assert_eq!(talk.names(), [""; 0]);
}

#[test]
fn a_server_is_left_when_it_is_unfit_or_becomes_so() {
    let mut talk = Talk::new();
    talk.reply(&about_schema()).unwrap();
    assert_eq!(
        talk.reply(&about(CLUSTER, 1, false)),
        Err(
            "unfit: the server is left for the next: it is disconnected from its cluster"
                .to_owned()
        )
    );
    talk.begin();
    talk.up_to_data(CLUSTER, 7).unwrap();
    talk.reply(&json!([false, TXN, rows("initial", "x")]))
        .unwrap();
    let lost = json!(["status", {"Database": {A: {"modify": {"connected": false}}}}]);
    assert_eq!(
        talk.tell("update2", &lost),
        Err(
            "unfit: the server is left for the next: it is disconnected from its cluster"
                .to_owned()
        )
    );
    talk.begin();
    assert_eq!(
        talk.up_to_data(CLUSTER, 6),
        Err("unfit: the server is left for the next: it is at index 6 of its cluster's log, and another was at 7".to_owned())
    );
    talk.begin();
    talk.up_to_data(CLUSTER, 7).unwrap();
    talk.reply(&json!([true, TXN, {}])).unwrap();
    assert_eq!(
        talk.tell("monitor_canceled", &json!(["0"])),
        Err("unfit: the server has taken the database away".to_owned())
    );
}

#[test]
fn after_changes_that_can_not_be_applied_everything_is_asked_for_again() {
    let mut talk = Talk::new();
    talk.up_to_data(CLUSTER, 1).unwrap();
    talk.reply(&json!([false, TXN, {}])).unwrap();
    let wrong = talk.tell("update3", &json!(["0", TXN, rows("modify", "y")]));
    let unknown = format!("unreadable: T: row {A} changes and was never there");
    assert_eq!(wrong, Err(unknown));
    talk.begin();
    talk.up_to_data(CLUSTER, 1).unwrap();
    assert!(
        talk.asked()
            .ends_with(r#""00000000-0000-0000-0000-000000000000"]"#)
    );
}

#[test]
fn requests_of_a_server_are_answered() {
    let mut session = Talk::new().session;
    for (request, reply) in [
        (
            json!({"method": "echo", "params": ["a"], "id": "echo"}),
            r#"{"id":"echo","result":["a"],"error":null}"#,
        ),
        (
            json!({"method": "steal", "params": [], "id": 1}),
            r#"{"id":1,"result":null,"error":"unknown method"}"#,
        ),
    ] {
        let outcome = session.receive(request.to_string().as_bytes()).unwrap();
        assert_eq!(String::from_utf8(outcome.send.unwrap()).unwrap(), reply);
    }
}

#[test]
fn a_reply_to_another_request_moves_nothing() {
    let mut talk = Talk::new();
    let echo: Value = serde_json::from_slice(&talk.session.echo()).unwrap();
    assert_eq!(echo["method"], "echo");
    for id in [echo["id"].clone(), json!("echo"), json!(99)] {
        let reply = json!({"id": id, "result": ["ovsdb"], "error": null});
        assert_eq!(talk.take(&reply), Ok(None));
    }
    assert_eq!(talk.asked(), r#"get_schema ["_Server"]"#);
    talk.reply(&about_schema()).unwrap();
    assert!(talk.asked().starts_with("monitor_cond "));
}

#[test]
fn what_a_server_refuses_or_garbles_ends_the_conversation() {
    let mut talk = Talk::new();
    talk.refuse(&json!("no")).unwrap();
    let refused = talk.refuse(&json!({"error": "unknown database", "details": "D"}));
    let expect = "refused: the server refuses get_schema: unknown database: D";
    assert_eq!(refused, Err(expect.to_owned()));
    talk.begin();
    talk.refuse(&json!("no")).unwrap();
    let expect = "unreadable: the schema has no tables";
    assert_eq!(talk.reply(&json!({})), Err(expect.to_owned()));
    talk.begin();
    talk.up_to_data(CLUSTER, 1).unwrap();
    let expect = "unreadable: the reply to monitor_cond_since can't be read";
    assert_eq!(talk.reply(&json!({})), Err(expect.to_owned()));
    for (method, params) in [
        ("update", json!(["0"])),
        ("update2", json!(null)),
        ("update3", json!(["0", {}])),
    ] {
        let expect = format!("unreadable: the params of {method} can't be read");
        assert_eq!(talk.tell(method, &params), Err(expect));
    }
}

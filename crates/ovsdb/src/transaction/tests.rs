//! Transactions as they are sent, and replies as they are read.

use super::*;
use crate::error::ErrorKind;

const ID: &str = "0a1b2c3d-0000-4222-8333-444455556666";

fn id() -> Uuid {
    Uuid::parse(ID).unwrap()
}

#[test]
fn operations_are_written_as_the_rfc_has_them() {
    let mut transaction = Transaction::new("D");
    let inserted = transaction.insert("T", [("name", "a".into()), ("number", 1.into())]);
    transaction.update(
        "T",
        &[
            Condition::equal("name", "b"),
            Condition::new("number", Function::GreaterOrEqual, 2),
        ],
        [("some", Datum::set(["y", "x"]))],
    );
    transaction.mutate(
        "U",
        &[Condition::row(id())],
        &[
            Mutation::new("rows", Mutator::Insert, inserted.reference()),
            Mutation::new("map", Mutator::Delete, Datum::map([("k", "v")])),
            Mutation::new("number", Mutator::Add, 1),
        ],
    );
    let includes = Datum::set([inserted.reference(), id().into()]);
    let condition = Condition::new("rows", Function::Includes, includes);
    transaction.delete("U", &[condition]);
    transaction.select("T", &[], &["_uuid", "name"]);
    let none: [SelectedRow; 0] = [];
    let named = [Condition::equal("name", "c")];
    let timeout = Duration::from_millis(1500);
    transaction.wait("T", &named, Until::NotEqual, &["name"], &none, timeout);
    transaction.verify(
        "T",
        id(),
        [("name", "a".into()), ("maybe", Datum::Set([].into()))],
    );
    assert_eq!(transaction.comment("why"), 7);
    let expect = json!([
        "D",
        {"op": "insert", "table": "T", "row": {"name": "a", "number": 1}, "uuid-name": "row0"},
        {"op": "update", "table": "T", "where": [["name", "==", "b"], ["number", ">=", 2]], "row": {"some": ["set", ["x", "y"]]}},
        {"op": "mutate", "table": "U", "where": [["_uuid", "==", ["uuid", ID]]], "mutations": [
            ["rows", "insert", ["named-uuid", "row0"]],
            ["map", "delete", ["map", [["k", "v"]]]],
            ["number", "+=", 1],
        ]},
        {"op": "delete", "table": "U", "where": [["rows", "includes", ["set", [["uuid", ID], ["named-uuid", "row0"]]]]]},
        {"op": "select", "table": "T", "where": [], "columns": ["_uuid", "name"]},
        {"op": "wait", "table": "T", "where": [["name", "==", "c"]], "until": "!=", "columns": ["name"], "rows": [], "timeout": 1500},
        {"op": "wait", "table": "T", "where": [["_uuid", "==", ["uuid", ID]]], "until": "==", "columns": ["maybe", "name"], "rows": [{"maybe": ["set", []], "name": "a"}], "timeout": 0},
        {"op": "comment", "comment": "why"},
    ]);
    assert_eq!(transaction.params(), expect);
}

fn read(reply: &Value, operations: usize) -> Result<Result<TransactReply, OperationError>, Error> {
    read_reply(&reply.to_string(), operations)
}

#[test]
fn each_operation_has_its_result() {
    let row = json!({"name": "x", "number": 7, "rows": ["set", []], "_uuid": ["uuid", ID]});
    let reply = json!([{"uuid": ["uuid", ID]}, {"count": 3}, {"rows": [row]}, {}]);
    let reply = read(&reply, 4).unwrap().unwrap();
    assert_eq!(reply.id(Inserted { operation: 0 }), Some(id()));
    assert_eq!((reply.count(1), reply.count(0)), (Some(3), None));
    let [row] = reply.rows(2) else {
        panic!("{reply:?}");
    };
    assert_eq!(row["name"].text(), Some("x"));
    assert_eq!(row["number"].integer(), Some(7));
    assert_eq!(row["rows"].atoms(), []);
    assert_eq!(row["_uuid"].uuids().collect::<Vec<_>>(), [id()]);
    assert_eq!((reply.count(3), reply.rows(3).len()), (None, 0));
}

#[test]
fn an_error_names_the_operation_that_failed() {
    let timed_out = json!({"error": "timed out", "details": "\"wait\" timed out"});
    let not_leader = json!({"error": "not leader"});
    for (reply, operation, words) in [
        (
            json!([{}, timed_out, null]),
            Some(1),
            "timed out: \"wait\" timed out",
        ),
        (
            json!([{}, {"count": 1}, {}, not_leader]),
            None,
            "not leader",
        ),
    ] {
        let error = read(&reply, 3).unwrap().unwrap_err();
        assert_eq!(error.operation, operation);
        assert_eq!(error.to_string(), words);
        assert_eq!(error.is_timed_out(), operation.is_some());
    }
}

#[test]
fn a_reply_of_another_form_can_not_be_read() {
    for reply in [
        json!({}),
        json!([]),
        json!([null]),
        json!([{}, {}]),
        json!([{"count": -1}]),
        json!([{"uuid": null}, 7]),
        json!([{"rows": [{"name": null}]}]),
    ] {
        let error = read(&reply, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreadable, "{reply}");
    }
}

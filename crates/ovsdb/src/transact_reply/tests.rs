//! Replies as they are read.

use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;

const ID: &str = "0a1b2c3d-0000-4222-8333-444455556666";

fn id() -> Uuid {
    Uuid::parse(ID).unwrap()
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

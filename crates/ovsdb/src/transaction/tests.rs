//! Transactions as they are sent.

use super::*;

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

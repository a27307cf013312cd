//! Values of every type, and their differences.

use serde_json::{Value, json};

use super::*;
use crate::error::ErrorKind;

const STRING: ColumnType = ColumnType::one(Base::String);
const STRINGS: ColumnType = ColumnType::many(Base::String);
const MAP: ColumnType = ColumnType::map(Base::String, Base::String);

fn try_parse(json: &Value, kind: ColumnType) -> Result<Datum, String> {
    let column = Column {
        name: "c",
        kind,
        keys: "",
    };
    let mut budget = Budget::new(1 << 20);
    let parsed = Datum::parse(&json.to_string(), &column, &mut budget);
    if let Ok(datum) = &parsed {
        assert!(datum.size() <= budget.spent(), "{json}");
    }
    parsed.map_err(|error| error.to_string())
}

#[track_caller]
fn parse(json: &Value, kind: ColumnType) -> Datum {
    try_parse(json, kind).unwrap()
}

#[test]
fn one_value_and_a_set_of_one_are_equal() {
    assert_eq!(
        parse(&json!("a"), STRING),
        parse(&json!(["set", ["a"]]), STRING)
    );
    assert_eq!(
        parse(&json!(["set", ["b", "a", "b"]]), STRINGS),
        parse(&json!(["set", ["a", "b"]]), STRINGS)
    );
    let id = "0a1b2c3d-0000-4222-8333-444455556666";
    let uuids = parse(&json!(["uuid", id]), ColumnType::many(Base::Uuid));
    assert_eq!(
        uuids.uuids().collect::<Vec<_>>(),
        [Uuid::parse(id).unwrap()]
    );
}

#[test]
fn a_value_of_another_type_is_refused() {
    for (json, column, error) in [
        (json!(1), STRING, "a value is not of type string"),
        (json!(null), STRING, "a value is not of type string"),
        (
            json!("1"),
            ColumnType::one(Base::Integer),
            "a value is not of type integer",
        ),
        (
            json!(1.5),
            ColumnType::one(Base::Integer),
            "a value is not of type integer",
        ),
        (
            json!(["uuid", "x"]),
            ColumnType::one(Base::Uuid),
            "a value is not of type uuid",
        ),
        (
            json!(["set", [["set", []]]]),
            STRINGS,
            "a value is not of type string",
        ),
        (json!(["map", []]), STRINGS, "expected a set, not a map"),
        (json!("a"), MAP, "expected a map"),
        (json!(["set", ["a"]]), MAP, "expected a map"),
        (
            json!(["map", [["a"]]]),
            MAP,
            "an element of a map is not a key with a value",
        ),
        (
            json!(["map", [["a", 1]]]),
            MAP,
            "a value is not of type string",
        ),
    ] {
        assert_eq!(try_parse(&json, column), Err(error.to_owned()), "{json}");
    }
}

#[test]
fn a_difference_toggles_elements_and_replaces_values_of_a_map() {
    for (column, old, difference, new) in [
        (STRINGS, json!(["set", []]), json!("a"), json!("a")),
        (
            STRINGS,
            json!(["set", ["a", "b"]]),
            json!(["set", ["b", "c"]]),
            json!(["set", ["a", "c"]]),
        ),
        (STRINGS, json!("a"), json!("a"), json!(["set", []])),
        (
            MAP,
            json!(["map", []]),
            json!(["map", [["k", "1"]]]),
            json!(["map", [["k", "1"]]]),
        ),
        (
            MAP,
            json!(["map", [["k", "1"]]]),
            json!(["map", [["k", "1"]]]),
            json!(["map", []]),
        ),
        (
            MAP,
            json!(["map", [["k", "1"], ["l", "2"]]]),
            json!(["map", [["k", "3"], ["j", "0"]]]),
            json!(["map", [["j", "0"], ["k", "3"], ["l", "2"]]]),
        ),
    ] {
        let changed = parse(&old, column).with_difference(parse(&difference, column));
        assert_eq!(changed, parse(&new, column), "{old} {difference}");
    }
}

#[test]
fn a_map_keeps_only_the_wanted_keys() {
    let column = Column {
        name: "options",
        kind: MAP,
        keys: "peer,chassis",
    };
    let mut budget = Budget::new(1 << 20);
    let mut parse = |json: &Value| Datum::parse(&json.to_string(), &column, &mut budget);
    let datum = parse(&json!(["map", [["peer", "p"], ["mtu", "1"]]])).unwrap();
    let difference = json!(["map", [["mtu", "2"], ["chassis", "c"], ["peer", "p"]]]);
    let changed = datum.with_difference(parse(&difference).unwrap());
    let found = ["peer", "mtu", "chassis"].map(|key| (datum.entry(key), changed.entry(key)));
    assert_eq!(found, [(Some("p"), None), (None, None), (None, Some("c"))]);
    let error = parse(&json!(["map", [["mtu", 1]]])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a value is not of type string",
        "not kept, but checked"
    );
}

#[test]
fn a_value_over_the_budget_is_refused() {
    let refused = |json: &Value, kind, limit| {
        let column = Column {
            name: "c",
            kind,
            keys: "",
        };
        let parsed = Datum::parse(&json.to_string(), &column, &mut Budget::new(limit));
        parsed.is_err_and(|error| error.kind() == ErrorKind::TooLarge)
    };
    let many: Vec<u32> = (0..100).collect();
    let integers = ColumnType::many(Base::Integer);
    for (json, kind, size) in [
        (json!("abc"), STRING, 41),
        (json!(["set", many]), integers, 100 * 128),
        (json!(["map", [["k", "v"]]]), MAP, 128 + 35 + 35),
    ] {
        assert!(refused(&json, kind, size - 1), "{json}");
        assert!(!refused(&json, kind, size), "{json}");
    }
}

#[test]
fn a_value_takes_three_words() {
    assert_eq!(size_of::<Datum>(), 24);
}

#[test]
fn an_accessor_returns_only_its_own_type() {
    let text = parse(&json!("a"), STRING);
    assert_eq!(
        (text.text(), text.integer(), text.boolean()),
        (Some("a"), None, None)
    );
    let map = parse(&json!(["map", [["k", "v"]]]), MAP);
    assert_eq!(
        (map.entry("k"), map.entry("v"), map.text()),
        (Some("v"), None, None)
    );
    assert_eq!(text.entry("a"), None);
    let none = Datum::default_of(STRINGS);
    assert_eq!((none.text(), none.uuids().count()), (None, 0));
}

#[test]
fn a_value_without_a_type_is_read_as_it_is_written() {
    let id = "0a1b2c3d-0000-4222-8333-444455556666";
    for (json, expect) in [
        (json!(7), Datum::from(7)),
        (json!(1.5), Datum::from(1.5)),
        (json!(true), Datum::from(true)),
        (json!("a"), Datum::from("a")),
        (json!(["uuid", id]), Uuid::parse(id).unwrap().into()),
        (json!(["set", []]), Datum::Set([].into())),
        (json!(["set", [2, 1]]), Datum::set([1, 2])),
        (json!(["map", [["k", 1]]]), Datum::map([("k", 1)])),
    ] {
        let read = Datum::parse_untyped(&json.to_string());
        assert_eq!(read.unwrap(), expect, "{json}");
        assert_eq!(Value::from(&expect), parse_written(&json), "{json}");
    }
    for json in ["null", "{}", "[1]", r#"["map",[1]]"#, r#"["set",[null]]"#] {
        let read = Datum::parse_untyped(json);
        assert!(read.is_err(), "{json}");
    }
}

/// Sets are written in order.
fn parse_written(json: &Value) -> Value {
    if *json == json!(["set", [2, 1]]) {
        json!(["set", [1, 2]])
    } else {
        json.clone()
    }
}

#[test]
fn the_strings_of_a_map_are_given_by_their_keys_and_nothing_else_is() {
    let map = Datum::map([("b", "2"), ("a", "1")]);
    assert_eq!(map.pairs().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    assert_eq!(map.entry("b"), Some("2"));
    for other in [Datum::map([("a", 1)]), Datum::set(["a", "b"]), "a".into()] {
        assert_eq!(other.pairs().count(), 0, "{other:?}");
    }
}

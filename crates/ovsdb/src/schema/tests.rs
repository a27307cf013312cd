//! Schemas as they are read, and what is asked for.

use super::*;

impl ColumnType {
    /// At most one value.
    pub(crate) const fn maybe(key: Base) -> Self {
        Self {
            optional: true,
            ..Self::one(key)
        }
    }

    /// Any number of values.
    pub(crate) const fn many(key: Base) -> Self {
        Self {
            optional: true,
            composite: true,
            ..Self::one(key)
        }
    }

    /// Any number of keys with their values.
    pub(crate) const fn map(key: Base, value: Base) -> Self {
        Self {
            value: Some(value),
            ..Self::many(key)
        }
    }
}

const SCHEMA: &str = r#"{"name": "D", "version": "1.0.0", "tables": {"T": {"columns": {
    "name": {"type": "string"},
    "hostname": {"type": {"key": "string"}},
    "maybe": {"type": {"key": {"type": "uuid", "refTable": "T"}, "min": 0, "max": 1}},
    "some": {"type": {"key": {"type": "integer", "minInteger": 1}, "min": 1, "max": "unlimited"}},
    "few": {"type": {"key": "boolean", "min": 0, "max": 3}},
    "options": {"type": {"key": "string", "value": "real", "min": 0, "max": "unlimited"}},
    "odd": {"type": "quaternion"},
    "none": {"type": {}}}}}}"#;

#[test]
fn every_form_of_a_type_is_read_and_a_column_of_an_unknown_type_is_left_out() {
    let schema = Schema::parse(SCHEMA).unwrap();
    let expect = [
        ("few", ColumnType::many(Base::Boolean)),
        ("hostname", ColumnType::one(Base::String)),
        ("maybe", ColumnType::maybe(Base::Uuid)),
        ("name", ColumnType::one(Base::String)),
        ("options", ColumnType::map(Base::String, Base::Real)),
        (
            "some",
            ColumnType {
                optional: false,
                ..ColumnType::many(Base::Integer)
            },
        ),
    ];
    let columns: Vec<_> = schema.tables["T"]
        .iter()
        .map(|(name, kind)| (name.as_str(), *kind))
        .collect();
    assert_eq!(columns, expect);
}

#[test]
fn what_a_database_lacks_is_named_and_not_asked_for() {
    let wanted = [
        MonitorColumns {
            table: "T",
            columns: &["name", "odd", "later", "options:peer,chassis"],
        },
        MonitorColumns {
            table: "U",
            columns: &["name"],
        },
    ];
    let plan = MonitorPlan::new(&wanted, &Schema::parse(SCHEMA).unwrap());
    let missing: Vec<_> = plan.missing.iter().map(Missing::to_string).collect();
    assert_eq!(missing, ["T.odd", "T.later", "U"]);
    assert_eq!(
        plan.requests(|_| true),
        json!({"T": [{"columns": ["name", "options"]}]})
    );
    let [name, options] = plan.tables[0].columns.as_ref() else {
        panic!("{plan:?}");
    };
    assert!(name.keeps("any"));
    let kept = ["peer", "chassis", "peer,chassis", "", "pee"].map(|key| options.keeps(key));
    assert_eq!(kept, [true, true, false, false, false]);
}

#[test]
fn a_schema_that_is_too_long_or_none_is_refused() {
    let long = format!(r#"{{"tables": {{}}, "x": "{}"}}"#, "x".repeat(LONGEST));
    for (text, kind, message) in [
        (
            long.as_str(),
            ErrorKind::TooLarge,
            "the schema is longer than 1048576 bytes",
        ),
        ("{}", ErrorKind::Unreadable, "the schema has no tables"),
        (
            r#"{"tables": []}"#,
            ErrorKind::Unreadable,
            "the schema can't be read: invalid type: sequence, expected a map at line 1 column 11",
        ),
        (
            r#"{"tables": {"T": {"columns": 1}}}"#,
            ErrorKind::Unreadable,
            "the schema can't be read: invalid type: integer `1`, expected a map at line 1 column 30",
        ),
        (
            "{",
            ErrorKind::Unreadable,
            "the schema can't be read: EOF while parsing an object at line 1 column 1",
        ),
    ] {
        let error = Schema::parse(text).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, message));
    }
}

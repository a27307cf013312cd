//! What a database has, and which of it a client asks for: a server of another version may lack a
//! table or a column, which is then left out and named.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorKind};
use crate::json::unreadable;

/// A table that a client follows, and of it these columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorColumns {
    /// The table.
    pub table: &'static str,
    /// The columns. Of a map, `options:peer,router-port` keeps these keys alone.
    pub columns: &'static [&'static str],
}

/// The types of single values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Base {
    /// A 64-bit integer.
    Integer,
    /// A real number.
    Real,
    /// A boolean.
    Boolean,
    /// A string.
    String,
    /// A row's id.
    Uuid,
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Boolean => "boolean",
            Self::String => "string",
            Self::Uuid => "uuid",
        })
    }
}

/// The type of a column, as far as a cache has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// The type of its values, or of its keys where it is a map.
    pub key: Base,
    /// The type of a map's values.
    pub value: Option<Base>,
    /// It may be empty.
    pub optional: bool,
    /// It may hold more than one value, so that a change of it comes as a difference.
    pub composite: bool,
}

impl ColumnType {
    /// Exactly one value.
    pub(crate) const fn one(key: Base) -> Self {
        Self {
            key,
            value: None,
            optional: false,
            composite: false,
        }
    }

    /// `None` where it is no type that is known.
    fn parse(json: &Value) -> Option<Self> {
        let base = |json: &Value| {
            let name = if json.is_object() {
                json.get("type")?
            } else {
                json
            };
            Base::deserialize(name).ok()
        };
        if json.is_string() {
            return base(json).map(Self::one);
        }
        let max = match json.get("max") {
            None => 1,
            Some(max) if max == "unlimited" => u64::MAX,
            Some(max) => max.as_u64()?,
        };
        Some(Self {
            key: base(json.get("key")?)?,
            value: match json.get("value") {
                None => None,
                Some(value) => Some(base(value)?),
            },
            optional: json.get("min").is_some_and(|min| min == 0),
            composite: max > 1,
        })
    }
}

/// The tables of a database with their columns. A column of a type that is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    tables: BTreeMap<String, BTreeMap<String, ColumnType>>,
}

/// The longest schema that is read, in bytes. The longest of OVN and Open vSwitch have some 60 KiB.
const LONGEST: usize = 1 << 20;

impl Schema {
    /// Reads a `<database-schema>`, which is the result of `get_schema`.
    ///
    /// # Errors
    /// It is longer than 1 MiB, is not JSON, or has no tables.
    pub fn parse(text: &str) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Document {
            tables: Option<BTreeMap<String, Table>>,
        }
        #[derive(Deserialize)]
        struct Table {
            columns: BTreeMap<String, Column>,
        }
        #[derive(Deserialize)]
        struct Column {
            #[serde(rename = "type")]
            kind: Value,
        }
        if text.len() > LONGEST {
            let message = format!("the schema is longer than {LONGEST} bytes");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let document: Document =
            serde_json::from_str(text).map_err(|error| unreadable("the schema", &error))?;
        let no_tables = || Error::unreadable("the schema has no tables");
        let tables = document.tables.ok_or_else(no_tables)?.into_iter();
        let tables = tables.map(|(name, Table { columns })| {
            let columns = columns.into_iter();
            let known =
                columns.filter_map(|(name, column)| Some((name, ColumnType::parse(&column.kind)?)));
            (name, known.collect())
        });
        Ok(Self {
            tables: tables.collect(),
        })
    }
}

/// A table or a column of it that a database does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The table.
    pub table: &'static str,
    /// The column, where the table is there.
    pub column: Option<&'static str>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.table)?;
        if let Some(column) = self.column {
            write!(f, ".{column}")?;
        }
        Ok(())
    }
}

/// A column that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type in this database.
    pub kind: ColumnType,
    /// Of a map, the keys that are kept, with commas between them; all, where there are none.
    pub keys: &'static str,
}

impl Column {
    /// Whether this key of a map is kept.
    #[must_use]
    pub fn keeps(&self, key: &str) -> bool {
        self.keys.is_empty() || self.keys.split(',').any(|kept| kept == key)
    }
}

/// A table that is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorTable {
    /// Its name.
    pub name: &'static str,
    /// Those of the wanted columns that the database has.
    pub columns: Arc<[Column]>,
}

/// What to ask a server for: those of the wanted tables and columns that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MonitorPlan {
    /// The tables.
    pub tables: Vec<MonitorTable>,
    /// What the database does not have.
    pub missing: Vec<Missing>,
}

impl MonitorPlan {
    /// The part of `wanted` that a database of this schema has.
    #[must_use]
    pub fn new(wanted: &[MonitorColumns], schema: &Schema) -> Self {
        let mut plan = Self::default();
        for MonitorColumns { table, columns } in wanted {
            let Some(known) = schema.tables.get(*table) else {
                plan.missing.push(Missing {
                    table,
                    column: None,
                });
                continue;
            };
            let mut found = Vec::new();
            for column in *columns {
                let (name, keys) = column.split_once(':').unwrap_or((column, ""));
                match known.get(name) {
                    Some(&kind) => found.push(Column { name, kind, keys }),
                    None => plan.missing.push(Missing {
                        table,
                        column: Some(name),
                    }),
                }
            }
            plan.tables.push(MonitorTable {
                name: table,
                columns: found.into(),
            });
        }
        plan
    }

    /// The `<monitor-requests>` of all three monitor methods, for the tables that `selected` holds of.
    #[must_use]
    pub fn requests(&self, selected: impl Fn(&str) -> bool) -> Value {
        let request = |table: &MonitorTable| {
            let columns: Vec<_> = table.columns.iter().map(|column| column.name).collect();
            (table.name.to_owned(), json!([{ "columns": columns }]))
        };
        let tables = self.tables.iter().filter(|table| selected(table.name));
        Value::Object(tables.map(request).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
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
}

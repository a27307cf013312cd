//! What a database has, and which of it berth asks for: a server of another version may lack a table
//! or a column, and then one check less can be made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::ovn::json::{PartError, entries, quoted};

/// A table that berth wants to see, and of it these columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The table.
    pub table: &'static str,
    /// The columns. Of a map, `options:peer,router-port` keeps these keys alone.
    pub columns: &'static [&'static str],
}

/// The types of single values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// A 64-bit integer.
    Integer,
    /// A real number.
    Real,
    /// A truth value.
    Boolean,
    /// A string.
    String,
    /// A row's id.
    Uuid,
}

impl Base {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "integer" => Self::Integer,
            "real" => Self::Real,
            "boolean" => Self::Boolean,
            "string" => Self::String,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }
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

/// The type of a column, as far as a replica has to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// Of its values, or of its keys where it is a map.
    pub key: Base,
    /// Of a map's values.
    pub value: Option<Base>,
    /// It may be empty.
    pub optional: bool,
    /// It may hold more than one value, so that a change of it comes as a difference.
    pub composite: bool,
}

impl ColumnType {
    /// Of exactly one value.
    #[must_use]
    pub const fn one(key: Base) -> Self {
        Self {
            key,
            value: None,
            optional: false,
            composite: false,
        }
    }

    /// Of at most one value.
    #[must_use]
    pub const fn maybe(key: Base) -> Self {
        Self {
            optional: true,
            ..Self::one(key)
        }
    }

    /// Of any number of values.
    #[must_use]
    pub const fn many(key: Base) -> Self {
        Self {
            optional: true,
            composite: true,
            ..Self::one(key)
        }
    }

    /// Of any number of keys with their values.
    #[must_use]
    pub const fn map(key: Base, value: Base) -> Self {
        Self {
            value: Some(value),
            ..Self::many(key)
        }
    }

    fn parse(json: &Value) -> Option<Self> {
        let base =
            |json: &Value| Base::named(json.as_str().or_else(|| json.get("type")?.as_str())?);
        if json.is_string() {
            return base(json).map(Self::one);
        }
        let max = match json.get("max") {
            None => 1,
            Some(Value::String(text)) if text == "unlimited" => u64::MAX,
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

/// The tables of a database with their columns. What has a type that is not known is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    tables: BTreeMap<String, BTreeMap<String, ColumnType>>,
}

/// Why an answer to `get_schema` is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is not JSON.
    #[error("the schema is not JSON: {0}")]
    Json(String),
    /// It has no tables.
    #[error("the schema has no tables")]
    NoTables,
    /// It has more than any database has.
    #[error("the schema has more than {MOST_COLUMNS} columns")]
    TooLarge,
}

/// OVN's southbound database has some 250 in 35 tables.
const MOST_COLUMNS: usize = 10_000;

/// The longest name of a table or a column, and the longest type, of which enumerations are the
/// longest. A longer one is as if it were not there.
const LONGEST_NAME: usize = 256;
const LONGEST_TYPE: usize = 16 << 10;

impl Schema {
    /// Reads the answer to `get_schema`.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        #[derive(Deserialize)]
        struct Document<'a> {
            #[serde(borrow)]
            tables: Option<&'a RawValue>,
        }
        let json =
            |error: serde_json::Error| SchemaError::Json(quoted(&error.to_string()).into_owned());
        let document: Document<'_> = serde_json::from_str(text).map_err(json)?;
        let tables = document.tables.ok_or(SchemaError::NoTables)?;
        let mut schema = Self::default();
        let mut count = 0;
        objects(tables, |name, table| {
            let columns = columns(table, &mut count)?;
            schema.tables.insert(name.to_owned(), columns);
            Ok(())
        })?
        .ok_or(SchemaError::NoTables)?;
        Ok(schema)
    }
}

fn columns(
    table: &RawValue,
    count: &mut usize,
) -> Result<BTreeMap<String, ColumnType>, SchemaError> {
    let mut known = BTreeMap::new();
    // An empty table is one column as well: there may not be any number of them.
    spend(count)?;
    objects(table, |name, columns| {
        if name != "columns" {
            return Ok(());
        }
        objects(columns, |name, column| {
            spend(count)?;
            let mut kind = None;
            objects(column, |name, value| {
                if name == "type" && value.get().len() <= LONGEST_TYPE {
                    let json = serde_json::from_str(value.get());
                    kind = json.ok().as_ref().and_then(ColumnType::parse);
                }
                Ok(())
            })?;
            if let Some(kind) = kind {
                known.insert(name.to_owned(), kind);
            }
            Ok(())
        })?;
        Ok(())
    })?;
    Ok(known)
}

fn spend(count: &mut usize) -> Result<(), SchemaError> {
    *count += 1;
    if *count > MOST_COLUMNS {
        return Err(SchemaError::TooLarge);
    }
    Ok(())
}

/// Looks at the entries of an object; `None` where it is none.
fn objects<'a>(
    json: &'a RawValue,
    mut look: impl FnMut(&str, &'a RawValue) -> Result<(), SchemaError>,
) -> Result<Option<()>, SchemaError> {
    if !json.get().starts_with('{') {
        return Ok(None);
    }
    let shown = entries(json.get(), |name, value| {
        if name.len() > LONGEST_NAME {
            return Ok(());
        }
        look(name, value)
    });
    match shown {
        Ok(()) => Ok(Some(())),
        Err(PartError::Part(error)) => Err(error),
        Err(PartError::Json(error)) => Err(SchemaError::Json(error)),
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

/// A column of a replica.
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

/// A table of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTable {
    /// Its name.
    pub name: &'static str,
    /// Those of the wanted columns that the database has.
    pub columns: Arc<[Column]>,
}

/// What to ask a server for: those of the wanted tables and columns that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The tables.
    pub tables: Vec<PlannedTable>,
    /// What the database does not have.
    pub missing: Vec<Missing>,
}

impl Plan {
    /// What there is of what is wanted.
    #[must_use]
    pub fn new(wanted: &[Wanted], schema: &Schema) -> Self {
        let mut plan = Self::default();
        for Wanted { table, columns } in wanted {
            let Some(known) = schema.tables.get(*table) else {
                plan.missing.push(Missing {
                    table,
                    column: None,
                });
                continue;
            };
            let mut planned = Vec::new();
            for column in *columns {
                let (name, keys) = column.split_once(':').unwrap_or((column, ""));
                match known.get(name) {
                    Some(kind) => planned.push(Column {
                        name,
                        kind: *kind,
                        keys,
                    }),
                    None => plan.missing.push(Missing {
                        table,
                        column: Some(name),
                    }),
                }
            }
            plan.tables.push(PlannedTable {
                name: table,
                columns: planned.into(),
            });
        }
        plan
    }

    /// The `<monitor-requests>` of all three monitor methods for some of the tables.
    #[must_use]
    pub fn requests(&self, holds: impl Fn(&str) -> bool) -> Value {
        let request = |table: &PlannedTable| {
            let columns: Vec<_> = table.columns.iter().map(|column| column.name).collect();
            (table.name.to_owned(), json!([{ "columns": columns }]))
        };
        let tables = self.tables.iter().filter(|table| holds(table.name));
        Value::Object(tables.map(request).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"name": "D", "version": "1.0.0", "tables": {"T": {"columns": {
        "name": {"type": "string"},
        "hostname": {"type": {"key": "string"}},
        "maybe": {"type": {"key": {"type": "uuid", "refTable": "T"}, "min": 0, "max": 1}},
        "some": {"type": {"key": {"type": "integer", "minInteger": 1}, "min": 1, "max": "unlimited"}},
        "few": {"type": {"key": "boolean", "min": 0, "max": 3}},
        "options": {"type": {"key": "string", "value": "real", "min": 0, "max": "unlimited"}},
        "odd": {"type": "quaternion"},
        "none": {}}}}}"#;

    #[test]
    fn every_form_of_a_type_is_known_and_an_unknown_one_is_as_if_the_column_were_not_there() {
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
    fn what_a_database_lacks_is_not_asked_for_and_named() {
        let wanted = [
            Wanted {
                table: "T",
                columns: &["name", "odd", "later", "options:peer,chassis"],
            },
            Wanted {
                table: "U",
                columns: &["name"],
            },
        ];
        let plan = Plan::new(&wanted, &Schema::parse(SCHEMA).unwrap());
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
    fn a_schema_of_more_columns_than_any_database_has_is_refused() {
        let columns = |count: usize| {
            let columns = (0..count).map(|number| format!(r#""c{number}":{{}}"#));
            let columns = columns.collect::<Vec<_>>().join(",");
            format!(r#"{{"tables":{{"T":{{"columns":{{{columns}}}}}}}}}"#)
        };
        assert!(Schema::parse(&columns(MOST_COLUMNS - 1)).is_ok());
        assert_eq!(
            Schema::parse(&columns(MOST_COLUMNS)),
            Err(SchemaError::TooLarge)
        );
        let tables = (0..=MOST_COLUMNS).map(|number| format!(r#""t{number}":0"#));
        let tables = tables.collect::<Vec<_>>().join(",");
        let tables = format!(r#"{{"tables":{{{tables}}}}}"#);
        assert_eq!(Schema::parse(&tables), Err(SchemaError::TooLarge));
    }

    #[test]
    fn a_long_name_or_type_is_as_if_it_were_not_there() {
        let name = "n".repeat(LONGEST_NAME + 1);
        let longest = format!(
            r#"{{"key": "string", "x": "{}"}}"#,
            "x".repeat(LONGEST_TYPE)
        );
        let text = format!(
            r#"{{"tables": {{"{name}": {{}}, "T": {{"columns": {{
                "{name}": {{"type": "string"}}, "long": {{"type": {longest}}}, "good": {{"type": "string"}}}}}}}}}}"#
        );
        let schema = Schema::parse(&text).unwrap();
        let names: Vec<_> = schema.tables["T"].keys().map(String::as_str).collect();
        assert_eq!((schema.tables.len(), names), (1, vec!["good"]));
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        assert_eq!(Schema::parse("{}"), Err(SchemaError::NoTables));
        assert_eq!(
            Schema::parse(r#"{"tables": []}"#),
            Err(SchemaError::NoTables)
        );
        assert!(matches!(Schema::parse("{"), Err(SchemaError::Json(_))));
        assert_eq!(
            Schema::parse(r#"{"tables": {"T": 1}}"#).unwrap().tables["T"],
            BTreeMap::new()
        );
    }
}

//! What a database has, and which of it a client asks for: a server of another version may lack a
//! table or a column, which is then left out and named.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::budget;
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

/// What is followed, of whatever server.
#[derive(Clone, Copy, Debug)]
pub struct MonitorSpec {
    /// The database.
    pub database: &'static str,
    /// The tables that are asked for together, and so never differ by a transaction.
    pub tables: &'static [MonitorColumns],
    /// The tables of which each is asked for by itself, after the others.
    pub large_tables: &'static [MonitorColumns],
    /// Only the leader of a cluster will do.
    pub leader_only: bool,
    /// What may be kept of it, in bytes as [`budget`] counts them. A message may have three quarters of
    /// it.
    pub limit: usize,
}

impl MonitorSpec {
    /// A spec of tables that are asked for together, from any server, with the default
    /// [limit](budget::LIMIT).
    #[must_use]
    pub const fn new(database: &'static str, tables: &'static [MonitorColumns]) -> Self {
        Self {
            database,
            tables,
            large_tables: &[],
            leader_only: false,
            limit: budget::LIMIT,
        }
    }

    /// How often the server is asked for tables.
    pub(crate) const fn groups(&self) -> usize {
        1 + self.large_tables.len()
    }

    /// In which of the groups a table is.
    pub(crate) fn group_of(&self, table: &str) -> usize {
        let mut large = self.large_tables.iter();
        let at = large.position(|wanted| wanted.table == table);
        at.map_or(0, |at| at + 1)
    }
}

/// The types of single values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, strum::Display)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
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

    /// `None` for an unknown type.
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
mod tests;

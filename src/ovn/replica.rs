//! A replica of some tables: what a server first says is there, and every change after it. Whatever
//! the changes were, the replica is then what a fresh copy would be.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::ovn::schema::{Column, Plan};
use crate::ovn::value::{Datum, Uuid, ValueError};

/// A row: one value for each column that the table was planned with.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[Column]>,
    values: Arc<[Datum]>,
}

impl Row {
    /// The value of a column, unless the database does not have the column.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Datum> {
        let at = self.columns.iter().position(|column| column.name == name)?;
        self.values.get(at)
    }

    /// The columns with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Datum)> {
        let names = self.columns.iter().map(|column| column.name);
        names.zip(self.values.iter())
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// A row that is there now, or is not any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The table.
    pub table: &'static str,
    /// The row's id.
    pub id: Uuid,
    /// The row as it is now.
    pub row: Option<Row>,
}

/// What a server said that can't be, so that the replica has to begin again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplicaError {
    /// The updates are not of their form.
    #[error("updates can't be read: {0}")]
    Malformed(String),
    /// A value is not of its column's type.
    #[error("{table}.{column}: {fault}")]
    Value {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with the value.
        fault: ValueError,
    },
    /// A row changes or goes that was never there.
    #[error("{table}: row {id} changes and was never there")]
    UnknownRow {
        /// The table.
        table: &'static str,
        /// The row.
        id: Uuid,
    },
}

/// The tables of a [`Plan`], row by row.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    plan: Plan,
    tables: HashMap<&'static str, HashMap<Uuid, Row>>,
}

/// `<table-updates>` or `<table-updates2>`, by table and row.
type TableUpdates<R> = BTreeMap<String, BTreeMap<Uuid, R>>;

/// `<row>`: some columns with their values.
type RowJson = Map<String, Value>;

/// `<row-update>` of `monitor`.
#[derive(Deserialize)]
struct RowUpdate<'a> {
    #[serde(borrow)]
    new: Option<&'a RawValue>,
}

/// `<row-update2>` of `monitor_cond` and `monitor_cond_since`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum RowUpdate2<'a> {
    #[serde(borrow)]
    Initial(&'a RawValue),
    #[serde(borrow)]
    Insert(&'a RawValue),
    #[serde(borrow)]
    Modify(&'a RawValue),
    Delete(IgnoredAny),
}

/// What an update makes of a row. Each row is decoded by itself: a database's first update may hold
/// tens of thousands, and decoded all at once they take many times the room of their text.
enum Edit<'a> {
    /// All of the row; columns that were left out have their default.
    Whole(&'a RawValue),
    /// Some columns have new values.
    Values(&'a RawValue),
    /// Some columns have new values, or differ by this where they can hold more than one.
    Differences(&'a RawValue),
    Gone,
}

trait IntoEdit<'a>: Deserialize<'a> {
    fn into_edit(self, known: bool) -> Edit<'a>;
}

impl<'a> IntoEdit<'a> for RowUpdate<'a> {
    fn into_edit(self, known: bool) -> Edit<'a> {
        match (self.new, known) {
            (Some(row), true) => Edit::Values(row),
            (Some(row), false) => Edit::Whole(row),
            (None, _) => Edit::Gone,
        }
    }
}

impl<'a> IntoEdit<'a> for RowUpdate2<'a> {
    fn into_edit(self, _: bool) -> Edit<'a> {
        match self {
            Self::Initial(row) | Self::Insert(row) => Edit::Whole(row),
            Self::Modify(row) => Edit::Differences(row),
            Self::Delete(_) => Edit::Gone,
        }
    }
}

impl Replica {
    /// Says what the server will be asked for. The rows stay until it answers; whether they are of
    /// the same columns, so that changes can be applied to them, is the answer.
    pub fn plan(&mut self, plan: Plan) -> bool {
        let same = self.plan == plan;
        self.plan = plan;
        same
    }

    /// What the server was asked for.
    #[must_use]
    pub const fn planned(&self) -> &Plan {
        &self.plan
    }

    /// The rows of a table, in no order.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Row)> {
        let rows = self.tables.get(table).into_iter().flatten();
        rows.map(|(id, row)| (*id, row))
    }

    /// `<table-updates>` say all that is there.
    pub fn reset(&mut self, updates: &str) -> Result<Vec<Change>, ReplicaError> {
        self.begin_again::<RowUpdate<'_>>(updates)
    }

    /// `<table-updates2>` say all that is there.
    pub fn reset2(&mut self, updates: &str) -> Result<Vec<Change>, ReplicaError> {
        self.begin_again::<RowUpdate2<'_>>(updates)
    }

    /// `<table-updates>` say what changed.
    pub fn update(&mut self, updates: &str) -> Result<Vec<Change>, ReplicaError> {
        self.apply::<RowUpdate<'_>>(updates)
    }

    /// `<table-updates2>` say what changed.
    pub fn update2(&mut self, updates: &str) -> Result<Vec<Change>, ReplicaError> {
        self.apply::<RowUpdate2<'_>>(updates)
    }

    fn begin_again<'u, R: IntoEdit<'u>>(
        &mut self,
        updates: &'u str,
    ) -> Result<Vec<Change>, ReplicaError> {
        let mut fresh = Self {
            plan: self.plan.clone(),
            tables: HashMap::new(),
        };
        let there = fresh.apply::<R>(updates)?;
        let known = |change: &Change| (change.table, change.id);
        let listed: HashSet<_> = there.iter().map(known).collect();
        let gone = self.tables.iter().flat_map(|(table, rows)| {
            let gone = rows.keys().filter(|id| !listed.contains(&(*table, **id)));
            gone.map(|id| Change {
                table,
                id: *id,
                row: None,
            })
        });
        let different = |change: &Change| self.row(change.table, change.id) != change.row.as_ref();
        let mut changes: Vec<_> = gone.collect();
        changes.extend(there.iter().filter(|change| different(change)).cloned());
        // What is as it was stays the very same, as whoever was told of it then has it.
        for (table, rows) in &mut fresh.tables {
            for (id, row) in rows {
                if let Some(old) = self.row(table, *id)
                    && old == row
                {
                    *row = old.clone();
                }
            }
        }
        *self = fresh;
        Ok(changes)
    }

    /// All of it or, where anything in it is wrong, nothing: nobody would be told of the rest.
    fn apply<'u, R: IntoEdit<'u>>(
        &mut self,
        updates: &'u str,
    ) -> Result<Vec<Change>, ReplicaError> {
        let mut updates: TableUpdates<R> = parsed(updates)?;
        let mut changes = Vec::new();
        for table in &self.plan.tables {
            for (id, update) in updates.remove(table.name).unwrap_or_default() {
                let old = self.row(table.name, id);
                let edit = update.into_edit(old.is_some());
                let row = edited(table.name, id, &table.columns, old, &edit)?;
                if row.as_ref() != old {
                    changes.push(Change {
                        table: table.name,
                        id,
                        row,
                    });
                }
            }
        }
        for Change { table, id, row } in &changes {
            let rows = self.tables.entry(table).or_default();
            match row {
                Some(row) => rows.insert(*id, row.clone()),
                None => rows.remove(id),
            };
        }
        Ok(changes)
    }

    fn row(&self, table: &str, id: Uuid) -> Option<&Row> {
        self.tables.get(table)?.get(&id)
    }
}

fn parsed<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, ReplicaError> {
    serde_json::from_str(json).map_err(|error| ReplicaError::Malformed(error.to_string()))
}

fn edited(
    table: &'static str,
    id: Uuid,
    columns: &Arc<[Column]>,
    old: Option<&Row>,
    edit: &Edit<'_>,
) -> Result<Option<Row>, ReplicaError> {
    let old = match edit {
        Edit::Whole(_) => None,
        Edit::Values(_) | Edit::Differences(_) | Edit::Gone => {
            Some(old.ok_or(ReplicaError::UnknownRow { table, id })?)
        }
    };
    let (json, by_difference) = match edit {
        Edit::Whole(json) | Edit::Values(json) => (json, false),
        Edit::Differences(json) => (json, true),
        Edit::Gone => return Ok(None),
    };
    let json: RowJson = parsed(json.get())?;
    let value = |(at, column): (usize, &Column)| {
        let old = old.and_then(|row| row.values.get(at));
        let Some(json) = json.get(column.name) else {
            let old = old.cloned();
            return Ok(old.unwrap_or_else(|| Datum::default_of(&column.kind)));
        };
        let parsed = Datum::parse(json, column).map_err(|fault| ReplicaError::Value {
            table,
            column: column.name,
            fault,
        })?;
        Ok(match old {
            Some(old) if by_difference && column.kind.composite => old.with_difference(parsed),
            _ => parsed,
        })
    };
    let values: Result<Arc<[Datum]>, ReplicaError> =
        columns.iter().enumerate().map(value).collect();
    Ok(Some(Row {
        columns: Arc::clone(columns),
        values: values?,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ovn::schema::{Base, ColumnType, PlannedTable};

    const A: &str = "00000000-0000-4000-8000-00000000000a";
    const B: &str = "00000000-0000-4000-8000-00000000000b";

    fn mk_replica() -> Replica {
        let column = |name, kind| Column {
            name,
            kind,
            keys: "",
        };
        let mut replica = Replica::default();
        replica.plan(Plan {
            tables: vec![PlannedTable {
                name: "T",
                columns: [
                    column("name", ColumnType::one(Base::String)),
                    column("number", ColumnType::one(Base::Integer)),
                    column("maybe", ColumnType::maybe(Base::String)),
                    column("some", ColumnType::many(Base::String)),
                    column("map", ColumnType::map(Base::String, Base::String)),
                ]
                .into(),
            }],
            missing: vec![],
        });
        replica
    }

    #[test]
    fn what_is_as_it_was_stays_the_very_same_when_all_is_read_again() {
        let mut replica = mk_replica();
        let rows = |number: u8| {
            let row = |name: &str, number| json!({"initial": {"name": name, "number": number}});
            json!({"T": {A: row("a", 1), B: row("b", number)}}).to_string()
        };
        let id = |text| Uuid::parse(text).unwrap();
        let values =
            |replica: &Replica, text| Arc::clone(&replica.row("T", id(text)).unwrap().values);
        replica.reset2(&rows(1)).unwrap();
        let before = [A, B].map(|text| values(&replica, text));
        let changes = replica.reset2(&rows(2)).unwrap();
        assert_eq!(changes.len(), 1);
        let after = [A, B].map(|text| values(&replica, text));
        assert!(Arc::ptr_eq(&before[0], &after[0]));
        assert!(!Arc::ptr_eq(&before[1], &after[1]));
    }

    fn show(row: &Row) -> String {
        let shown = row.iter().map(|(_, datum)| match datum {
            Datum::Set(atoms) => {
                let atoms: Vec<_> = atoms.iter().map(show_atom).collect();
                atoms.join("+")
            }
            Datum::Map(pairs) => {
                let pair = |(k, v): &_| format!("{}={}", show_atom(k), show_atom(v));
                pairs.iter().map(pair).collect::<Vec<_>>().join("+")
            }
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    fn show_atom(atom: &crate::ovn::value::Atom) -> String {
        use crate::ovn::value::Atom;
        match atom {
            Atom::Integer(number) => number.to_string(),
            Atom::String(text) => text.to_string(),
            other => format!("{other:?}"),
        }
    }

    /// The changes, a row each: `a: NAME NUMBER MAYBE SOME MAP`.
    fn told(changes: Result<Vec<Change>, ReplicaError>) -> Vec<String> {
        match changes {
            Ok(changes) => {
                let told = changes.iter().map(|change| {
                    let id = change.id.to_string();
                    let row = change.row.as_ref().map_or_else(|| "gone".to_owned(), show);
                    format!("{}: {row}", &id[35..])
                });
                told.collect()
            }
            Err(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn a_row_that_comes_has_defaults_for_what_is_not_said_and_nothing_of_what_is_not_known() {
        let mut replica = mk_replica();
        let updates =
            json!({"T": {A: {"insert": {"name": "x", "later": 1}}}, "U": {B: {"insert": {}}}});
        assert_eq!(told(replica.update2(&updates.to_string())), ["a: x 0   "]);
        assert_eq!(replica.rows("T").count(), 1);
        assert_eq!(replica.rows("U").count(), 0);
    }

    #[test]
    fn a_change_replaces_one_value_and_toggles_many() {
        let mut replica = mk_replica();
        let all = json!({"T": {A: {"initial": {
            "name": "x", "number": 1, "maybe": "m", "some": ["set", ["a", "b"]],
            "map": ["map", [["k", "1"], ["l", "2"]]]}}}});
        replica.reset2(&all.to_string()).unwrap();
        for (modify, row) in [
            (json!({"number": 2}), "a: x 2 m a+b k=1+l=2"),
            (json!({"maybe": ["set", []]}), "a: x 2  a+b k=1+l=2"),
            (json!({"maybe": "n"}), "a: x 2 n a+b k=1+l=2"),
            (json!({"some": ["set", ["b", "c"]]}), "a: x 2 n a+c k=1+l=2"),
            (
                json!({"some": "c", "map": ["map", [["k", "1"], ["l", "3"]]]}),
                "a: x 2 n a l=3",
            ),
        ] {
            let updates = json!({"T": {A: {"modify": modify}}}).to_string();
            assert_eq!(told(replica.update2(&updates)), [row]);
        }
        let nothing = json!({"T": {A: {"modify": {"number": 2, "some": ["set", []]}}}});
        assert_eq!(told(replica.update2(&nothing.to_string())), [""; 0]);
    }

    #[test]
    fn an_update_of_the_first_version_brings_whole_values() {
        let mut replica = mk_replica();
        let row = |number: i64, some: &str| json!({"name": "x", "number": number, "maybe": ["set", []], "some": some, "map": ["map", []]});
        let reset = json!({"T": {A: {"new": row(1, "a")}, B: {"new": row(2, "b")}}});
        assert_eq!(
            told(replica.reset(&reset.to_string())),
            ["a: x 1  a ", "b: x 2  b "]
        );
        let update = json!({"T": {
            A: {"old": {"some": "a"}, "new": row(1, "c")},
            B: {"old": row(2, "b")}}});
        assert_eq!(
            told(replica.update(&update.to_string())),
            ["a: x 1  c ", "b: gone"]
        );
    }

    #[test]
    fn a_new_beginning_tells_only_what_is_different() {
        let mut replica = mk_replica();
        let all = |rows: Value| json!({ "T": rows }).to_string();
        replica
            .reset2(&all(
                json!({A: {"initial": {"name": "x"}}, B: {"initial": {"name": "y"}}}),
            ))
            .unwrap();
        let same = all(json!({A: {"initial": {"name": "x"}}, B: {"initial": {"name": "y"}}}));
        assert_eq!(told(replica.reset2(&same)), [""; 0]);
        let other = all(json!({B: {"initial": {"name": "z"}}}));
        assert_eq!(told(replica.reset2(&other)), ["a: gone", "b: z 0   "]);
        assert_eq!(told(replica.reset2("{}")), ["b: gone"]);
    }

    #[test]
    fn updates_with_anything_wrong_in_them_change_nothing() {
        let mut replica = mk_replica();
        for (updates, error) in [
            (
                json!({"T": {A: {"insert": {"name": "x"}}, B: {"modify": {}}}}),
                format!("T: row {B} changes and was never there"),
            ),
            (
                json!({"T": {A: {"insert": {}}, B: {"delete": null}}}),
                format!("T: row {B} changes and was never there"),
            ),
            (
                json!({"T": {A: {"insert": {"name": 1}}}}),
                "T.name: a value is no string".to_owned(),
            ),
            (
                json!({"T": {A: {"insert": {"map": "x"}}}}),
                "T.map: something else stands where a map is due".to_owned(),
            ),
        ] {
            assert_eq!(told(replica.update2(&updates.to_string())), [error]);
            assert_eq!(replica.rows("T").count(), 0);
        }
        for updates in [
            json!([]),
            json!({"T": []}),
            json!({"T": {"x": {"insert": {}}}}),
            json!({"T": {A: {"upsert": {}}}}),
            json!({"T": {A: {}}}),
            json!({"T": {A: {"insert": 1}}}),
        ] {
            let said = told(replica.update2(&updates.to_string()));
            assert!(said[0].starts_with("updates can't be read: "), "{said:?}");
        }
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        let deep = format!(r#"{{"T": {{"{A}": {{"insert": {{"name": {deep}}}}}}}}}"#);
        let said = told(replica.update2(&deep));
        assert!(said[0].contains("recursion limit"), "{said:?}");
    }

    #[test]
    fn other_columns_make_other_rows() {
        let mut replica = mk_replica();
        let all = json!({"T": {A: {"initial": {"name": "x"}}}}).to_string();
        replica.reset2(&all).unwrap();
        assert!(replica.plan(replica.planned().clone()));
        let mut plan = replica.planned().clone();
        plan.tables[0].columns = plan.tables[0].columns[..1].into();
        assert!(!replica.plan(plan));
        assert_eq!(told(replica.reset2(&all)), ["a: x"]);
        let (_, row) = replica.rows("T").next().unwrap();
        assert_eq!(row.get("name").and_then(Datum::text), Some("x"));
        assert_eq!(row.get("number"), None);
    }
}

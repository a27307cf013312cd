//! A replica of some tables: what a server first says is there, and every change after it. Whatever
//! the changes were, the replica is then what a fresh copy would be.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::ovn::budget::{self, Budget, TooLarge};
use crate::ovn::json::{PartError, entries, quoted};
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

    /// What it takes, in the replica and in what is made of it.
    fn size(&self) -> usize {
        let values = self.values.iter();
        let values: usize = values.map(|value| budget::COLUMN + value.size()).sum();
        budget::ROW + values
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
    /// There is more than may be kept.
    #[error("the database is larger than berth has room for: {0}")]
    TooLarge(#[from] TooLarge),
}

/// The tables of a [`Plan`], row by row.
#[derive(Clone, Debug)]
pub struct Replica {
    plan: Plan,
    tables: HashMap<&'static str, HashMap<Uuid, Row>>,
    /// What may be kept, and what one update may bring.
    limit: usize,
    /// What is kept.
    size: usize,
}

impl Default for Replica {
    fn default() -> Self {
        Self::with_limit(budget::LIMIT)
    }
}

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
    /// One that keeps no more than this, in bytes as they are counted by [`budget`].
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            plan: Plan::default(),
            tables: HashMap::new(),
            limit,
            size: 0,
        }
    }

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
        self.begin_again::<RowUpdate<'_>>(|_| true, updates)
    }

    /// `<table-updates2>` say all that is there.
    pub fn reset2(&mut self, updates: &str) -> Result<Vec<Change>, ReplicaError> {
        self.begin_again::<RowUpdate2<'_>>(|_| true, updates)
    }

    /// `<table-updates>` say all that is there in some tables.
    pub fn reset_tables(
        &mut self,
        holds: impl Fn(&str) -> bool,
        updates: &str,
    ) -> Result<Vec<Change>, ReplicaError> {
        self.begin_again::<RowUpdate<'_>>(holds, updates)
    }

    /// `<table-updates2>` say all that is there in some tables.
    pub fn reset2_tables(
        &mut self,
        holds: impl Fn(&str) -> bool,
        updates: &str,
    ) -> Result<Vec<Change>, ReplicaError> {
        self.begin_again::<RowUpdate2<'_>>(holds, updates)
    }

    /// `<table-updates>` say what changed.
    pub fn update(&mut self, updates: &str) -> Result<Vec<Change>, ReplicaError> {
        let changes = self.decoded::<RowUpdate<'_>>(updates)?;
        self.commit(changes)
    }

    /// `<table-updates2>` say what changed.
    pub fn update2(&mut self, updates: &str) -> Result<Vec<Change>, ReplicaError> {
        let changes = self.decoded::<RowUpdate2<'_>>(updates)?;
        self.commit(changes)
    }

    fn begin_again<'u, R: IntoEdit<'u>>(
        &mut self,
        holds: impl Fn(&str) -> bool,
        updates: &'u str,
    ) -> Result<Vec<Change>, ReplicaError> {
        let fresh = Self {
            plan: self.plan.clone(),
            ..Self::with_limit(self.limit)
        };
        let there = fresh.decoded::<R>(updates)?;
        let listed: HashSet<_> = there
            .iter()
            .map(|change| (change.table, change.id))
            .collect();
        let tables = self.tables.iter().filter(|(table, _)| holds(table));
        let gone = tables.flat_map(|(table, rows)| {
            let gone = rows.keys().filter(|id| !listed.contains(&(*table, **id)));
            gone.map(|id| Change {
                table,
                id: *id,
                row: None,
            })
        });
        let mut changes: Vec<_> = gone.collect();
        changes.extend(there);
        self.commit(changes)
    }

    /// Every row that an update names, once, as it makes it; or, where anything is wrong with one of
    /// them, none.
    fn decoded<'u, R: IntoEdit<'u>>(&self, updates: &'u str) -> Result<Vec<Change>, ReplicaError> {
        let mut budget = Budget::new(self.limit);
        let mut changes = Vec::new();
        parts(updates, |name, rows| {
            let Some(table) = self.plan.tables.iter().find(|table| table.name == name) else {
                return Ok(());
            };
            parts(rows.get(), |id, update| {
                let id = Uuid::parse(id).ok_or_else(|| {
                    ReplicaError::Malformed(format!("{:?} is no uuid", quoted(id)))
                })?;
                let update: R = parsed(update.get())?;
                let old = self.row(table.name, id);
                let edit = update.into_edit(old.is_some());
                budget.spend(budget::ROW)?;
                changes.push(Change {
                    table: table.name,
                    id,
                    row: edited(table.name, id, &table.columns, old, &edit, &mut budget)?,
                });
                Ok(())
            })
        })?;
        // A key that is there twice counts as it is the last time.
        changes.reverse();
        changes.sort_by_key(|change| (change.table, change.id));
        changes.dedup_by_key(|change| (change.table, change.id));
        Ok(changes)
    }

    /// Takes what is different, unless it leaves more than may be kept. What is as it was stays the very
    /// same, as whoever was told of it then has it.
    fn commit(&mut self, mut changes: Vec<Change>) -> Result<Vec<Change>, ReplicaError> {
        changes.retain(|change| self.row(change.table, change.id) != change.row.as_ref());
        let size = |row: Option<&Row>| row.map_or(0, Row::size);
        let mut total = self.size;
        for Change { table, id, row } in &changes {
            total = total.saturating_sub(size(self.row(table, *id))) + size(row.as_ref());
        }
        if total > self.limit {
            return Err(TooLarge(self.limit).into());
        }
        self.size = total;
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
    serde_json::from_str(json)
        .map_err(|error| ReplicaError::Malformed(quoted(&error.to_string()).into_owned()))
}

fn parts<'a>(
    json: &'a str,
    look: impl FnMut(&str, &'a RawValue) -> Result<(), ReplicaError>,
) -> Result<(), ReplicaError> {
    entries(json, look).map_err(|error| match error {
        PartError::Json(error) => ReplicaError::Malformed(error),
        PartError::Part(error) => error,
    })
}

fn edited(
    table: &'static str,
    id: Uuid,
    columns: &Arc<[Column]>,
    old: Option<&Row>,
    edit: &Edit<'_>,
    budget: &mut Budget,
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
    budget.spend(budget::COLUMN * columns.len())?;
    let mut values: Vec<Option<Datum>> = vec![None; columns.len()];
    parts(json.get(), |name, json| {
        let mut planned = columns.iter().zip(&mut values);
        let Some((column, value)) = planned.find(|(column, _)| column.name == name) else {
            return Ok(());
        };
        let parsed = Datum::parse(json.get(), column, budget);
        *value = Some(parsed.map_err(|fault| match fault {
            ValueError::TooLarge(error) => ReplicaError::TooLarge(error),
            fault => ReplicaError::Value {
                table,
                column: column.name,
                fault,
            },
        })?);
        Ok(())
    })?;
    let olds = (0..columns.len()).map(|at| old.and_then(|row| row.values.get(at)));
    let values = columns.iter().zip(values).zip(olds);
    let values = values.map(|((column, value), old)| match (value, old) {
        (Some(value), Some(old)) if by_difference && column.kind.composite => {
            old.with_difference(value)
        }
        (Some(value), _) => value,
        (None, Some(old)) => old.clone(),
        (None, None) => Datum::default_of(&column.kind),
    });
    Ok(Some(Row {
        columns: Arc::clone(columns),
        values: values.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        // However deep it is: the framer bounds that.
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let deep = |column| format!(r#"{{"T": {{"{A}": {{"insert": {{"{column}": {deep}}}}}}}}}"#);
        let said = told(replica.update2(&deep("name")));
        assert_eq!(said, ["T.name: a value is no string"]);
        let said = told(replica.update2(&deep("other")));
        assert_eq!(said, ["a:  0   "]);
    }

    #[test]
    fn some_tables_begin_again_and_the_others_stay() {
        let mut replica = mk_replica();
        let mut plan = replica.planned().clone();
        let other = PlannedTable {
            name: "U",
            ..plan.tables[0].clone()
        };
        plan.tables.push(other);
        replica.plan(plan);
        let row = |name: &str| json!({"initial": {"name": name}});
        let all = json!({"T": {A: row("t")}, "U": {B: row("u")}}).to_string();
        replica.reset2(&all).unwrap();
        let changes = replica.reset2_tables(|table| table == "T", "{}");
        assert_eq!(told(changes), ["a: gone"]);
        assert_eq!(
            (replica.rows("T").count(), replica.rows("U").count()),
            (0, 1)
        );
        let row = |name: &str| json!({"new": {"name": name}});
        let new = json!({"U": {A: row("v")}}).to_string();
        let changes = replica.reset_tables(|table| table == "U", &new);
        assert_eq!(told(changes), ["b: gone", "a: v 0   "]);
    }

    #[test]
    fn a_key_that_is_there_twice_counts_as_it_is_the_last_time() {
        let mut replica = mk_replica();
        let row = |name| format!(r#""{A}": {{"insert": {{"name": "{name}"}}}}"#);
        let updates = format!(
            r#"{{"T": {{{}, {}}}, "T": {{{}}}}}"#,
            row("x"),
            row("y"),
            row("z")
        );
        assert_eq!(told(replica.update2(&updates)), ["a: z 0   "]);
    }

    /// An update of so many rows of names of so many characters.
    fn mk_rows(count: usize, length: usize) -> String {
        let rows = (0..count).map(|number| {
            let id = format!("00000000-0000-4000-8000-{number:012}");
            format!(
                r#""{id}":{{"initial":{{"name":"{}"}}}}"#,
                "n".repeat(length)
            )
        });
        format!(r#"{{"T":{{{}}}}}"#, rows.collect::<Vec<_>>().join(","))
    }

    #[test]
    fn a_database_larger_than_the_limit_is_refused_and_leaves_what_was_there() {
        let row = budget::ROW + 5 * budget::COLUMN + budget::string(10);
        let mut replica = mk_replica();
        let plan = replica.planned().clone();
        replica = Replica::with_limit(10 * row);
        replica.plan(plan);
        assert_eq!(replica.reset2(&mk_rows(10, 10)).unwrap().len(), 10);
        assert_eq!(replica.size, 10 * row);
        let too_large = || Err(TooLarge(10 * row).into());
        assert_eq!(replica.reset2(&mk_rows(11, 10)), too_large());
        assert_eq!(replica.reset2(&mk_rows(1, 10 * row)), too_large());
        // One more, in an update that is small itself.
        let more = json!({"T": {A: {"insert": {"name": "n"}}}}).to_string();
        assert_eq!(replica.update2(&more), too_large());
        assert_eq!((replica.rows("T").count(), replica.size), (10, 10 * row));
        // What goes makes room, and nothing counts twice.
        let id = "00000000-0000-4000-8000-000000000000";
        let swap = json!({"T": {A: {"insert": {"name": "n"}}, id: {"delete": null}}}).to_string();
        assert_eq!(replica.update2(&swap).unwrap().len(), 2);
        replica.reset2("{}").unwrap();
        assert_eq!(replica.size, 0);
    }

    #[test]
    fn what_is_not_planned_takes_nothing_of_the_limit() {
        let plan = mk_replica().planned().clone();
        let mut replica = Replica::with_limit(4096);
        replica.plan(plan);
        let junk: Vec<_> = (0..10_000)
            .map(|number| format!("\"k{number}\":[{number}]"))
            .collect();
        let junk = junk.join(",");
        let updates = format!(
            r#"{{"V":{{"x":{{{junk}}}}},"T":{{"{A}":{{"insert":{{"name":"x",{junk}}}}}}}}}"#
        );
        assert_eq!(told(replica.update2(&updates)), ["a: x 0   "]);
        let elements = vec!["e"; 100];
        let many = json!({"T": {A: {"insert": {"some": ["set", elements]}}}}).to_string();
        let said = told(replica.update2(&many));
        assert_eq!(
            said,
            [
                "the database is larger than berth has room for: its content takes more than 4096 bytes"
            ]
        );
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

//! A database as simple as can be, which says of every change what a real server would. Driven by
//! bytes, so that property tests and fuzzing share it.

use std::collections::{BTreeMap, BTreeSet};

use ovsdb::{MonitorColumns, MonitorPlan, Schema};
use serde_json::{Map, Value, json};

/// The tables of the model.
pub(crate) const TABLES: [MonitorColumns; 2] = [
    MonitorColumns {
        table: "T",
        columns: &["one", "number", "maybe", "some", "map"],
    },
    MonitorColumns {
        table: "U",
        // Of its map, no more than these keys.
        columns: &["one", "some", "map:a,ß"],
    },
];

/// What a server answers when it is asked for its schema, and what follows from it.
pub(crate) fn plan() -> MonitorPlan {
    let columns = json!({
        "one": {"type": "string"},
        "number": {"type": "integer"},
        "maybe": {"type": {"key": "string", "min": 0, "max": 1}},
        "some": {"type": {"key": "string", "min": 0, "max": "unlimited"}},
        "map": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
        "other": {"type": "string"},
    });
    let table = || json!({ "columns": columns });
    let schema = json!({"tables": {"T": table(), "U": table(), "V": table()}}).to_string();
    MonitorPlan::new(
        &TABLES,
        &Schema::parse(&schema).expect("the model's schema"),
    )
}

/// A row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    one: String,
    number: i64,
    maybe: Option<String>,
    some: BTreeSet<String>,
    map: BTreeMap<String, String>,
}

/// The database.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Database {
    rows: BTreeMap<(&'static str, u8), Row>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A transaction was done.
    Changed,
    /// The connection was lost meanwhile.
    Lost,
}

/// Bytes that decide what happens; after the last comes zero.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl Choices<'_> {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u8) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                first % limit
            }
            None => 0,
        }
    }

    /// Whether there is anything left to decide by.
    pub(crate) fn are_left(&self) -> bool {
        !self.0.is_empty()
    }

    fn word(&mut self) -> String {
        // Nothing, quotes and braces, and what takes more than a byte.
        ["", "a", "b", "}{\"\\", "ß"][usize::from(self.below(5))].to_owned()
    }
}

impl Database {
    /// Does a transaction of a few operations.
    pub(crate) fn transact(&mut self, choices: &mut Choices<'_>) -> Step {
        for _ in 0..=choices.below(3) {
            let table = ["T", "U", "V"][usize::from(choices.below(3))];
            let key = (table, choices.below(4));
            let row = self.rows.entry(key).or_default();
            match choices.below(7) {
                0 => row.one = choices.word(),
                1 => row.number = i64::from(choices.below(3)),
                2 => row.maybe = (choices.below(2) == 1).then(|| choices.word()),
                3 => {
                    let word = choices.word();
                    if !row.some.remove(&word) {
                        row.some.insert(word);
                    }
                }
                4 => {
                    let (key, value) = (choices.word(), choices.word());
                    row.map.insert(key, value);
                }
                5 => {
                    row.map.remove(&choices.word());
                }
                _ => {
                    self.rows.remove(&key);
                }
            }
        }
        if choices.below(8) == 7 {
            Step::Lost
        } else {
            Step::Changed
        }
    }

    /// All of it as `<table-updates2>`.
    pub(crate) fn initial(&self) -> Value {
        self.tables(|_, row| json!({ "initial": row.sparse() }))
    }

    /// All of it as `<table-updates>`.
    pub(crate) fn initial1(&self) -> Value {
        self.tables(|_, row| json!({ "new": row.full() }))
    }

    /// What is different from before, as `<table-updates2>`.
    pub(crate) fn update2(&self, before: &Self) -> Value {
        let mut updates = self
            .changed(before)
            .tables(|key, row| match before.rows.get(key) {
                None => json!({ "insert": row.sparse() }),
                Some(old) => json!({ "modify": row.difference(old) }),
            });
        let gone = self.gone(before).tables(|_, _| json!({ "delete": null }));
        merge(&mut updates, gone);
        updates
    }

    /// What is different from before, as `<table-updates>`.
    pub(crate) fn update1(&self, before: &Self) -> Value {
        let mut updates = self
            .changed(before)
            .tables(|key, row| match before.rows.get(key) {
                None => json!({ "new": row.full() }),
                Some(old) => json!({ "new": row.full(), "old": old.full() }),
            });
        let gone = self
            .gone(before)
            .tables(|_, row| json!({ "old": row.full() }));
        merge(&mut updates, gone);
        updates
    }

    fn changed(&self, before: &Self) -> Self {
        let changed = self
            .rows
            .iter()
            .filter(|(key, row)| before.rows.get(key) != Some(row));
        Self {
            rows: changed.map(|(key, row)| (*key, row.clone())).collect(),
        }
    }

    fn gone(&self, before: &Self) -> Self {
        let gone = before
            .rows
            .iter()
            .filter(|(key, _)| !self.rows.contains_key(key));
        Self {
            rows: gone.map(|(key, row)| (*key, row.clone())).collect(),
        }
    }

    fn tables(&self, update: impl Fn(&(&'static str, u8), &Row) -> Value) -> Value {
        let mut tables = json!({});
        for (key, row) in &self.rows {
            let (table, number) = key;
            let id = format!("00000000-0000-4000-8000-0000000000{number:02}");
            tables[table][id] = update(key, row);
        }
        tables
    }
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(tables) = from else { return };
    for (table, rows) in tables {
        let Value::Object(rows) = rows else { continue };
        for (id, row) in rows {
            into[table.as_str()][id] = row;
        }
    }
}

impl Row {
    fn full(&self) -> Map<String, Value> {
        let Self {
            one,
            number,
            maybe,
            some,
            map,
        } = self;
        let maybe = maybe
            .as_ref()
            .map_or(json!(["set", []]), |text| json!(text));
        let columns = json!({
            "one": one, "number": number, "maybe": maybe, "some": set(some), "map": pairs(map),
            "other": "unasked",
        });
        columns.as_object().cloned().unwrap_or_default()
    }

    /// Without what is a column's default.
    fn sparse(&self) -> Map<String, Value> {
        let default = Self::default().full();
        let mut columns = self.full();
        columns.retain(|name, value| default.get(name) != Some(value));
        columns
    }

    /// What `modify` says.
    fn difference(&self, old: &Self) -> Map<String, Value> {
        let before = old.full();
        let mut columns = self.full();
        columns.retain(|name, value| before.get(name) != Some(value));
        if columns.contains_key("some") {
            let toggled = self.some.symmetric_difference(&old.some).cloned().collect();
            columns.insert("some".to_owned(), set(&toggled));
        }
        if columns.contains_key("map") {
            let removed = old
                .map
                .iter()
                .filter(|(key, _)| !self.map.contains_key(*key));
            let came = self
                .map
                .iter()
                .filter(|(key, value)| old.map.get(*key) != Some(value));
            let toggled = removed
                .chain(came)
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            columns.insert("map".to_owned(), pairs(&toggled));
        }
        columns
    }
}

/// A set of one is written without its brackets, as servers do.
fn set(atoms: &BTreeSet<String>) -> Value {
    match atoms.first() {
        Some(atom) if atoms.len() == 1 => json!(atom),
        _ => json!(["set", atoms]),
    }
}

fn pairs(map: &BTreeMap<String, String>) -> Value {
    json!(["map", map.iter().collect::<Vec<_>>()])
}

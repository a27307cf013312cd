//! A copy of some tables of a database: what a server first sends, and every change after it.
//! Whatever the changes are, the copy is then what a fresh one would be.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::budget::{self, Budget, too_large};
use crate::error::Error;
use crate::json::{entries, quoted, unreadable};
use crate::schema::{Column, MonitorPlan};
use crate::uuid::Uuid;
use crate::value::Datum;

/// A row: one value for each column that is followed. Copies share their values.
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

    /// What it takes, in bytes as [`budget`] counts them.
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

/// A row that is there now, or is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The table.
    pub table: &'static str,
    /// The row's id.
    pub id: Uuid,
    /// The row as it is now.
    pub row: Option<Row>,
}

/// The form of updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateFormat {
    /// `<table-updates>`, of `monitor` (RFC 7047 §4.1.6).
    V1,
    /// `<table-updates2>`, of `monitor_cond` and `monitor_cond_since` (ovsdb-server(7) §4.1.14).
    V2,
}

/// What an update makes of a row. Each row is decoded by itself: a database's first update may hold
/// tens of thousands, and decoded all at once they take many times the room of their text.
enum Edit<'a> {
    /// The whole row; columns that are left out have their default.
    Whole(&'a RawValue),
    /// New values of some columns.
    Values(&'a RawValue),
    /// New values of some columns, as differences where they can hold more than one.
    Differences(&'a RawValue),
    /// The row is gone.
    Gone,
}

impl<'a> Edit<'a> {
    fn parse(
        format: UpdateFormat,
        json: &'a str,
        is_known: bool,
    ) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct RowUpdate<'a> {
            #[serde(borrow)]
            new: Option<&'a RawValue>,
        }
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
        Ok(match format {
            UpdateFormat::V1 => match serde_json::from_str::<RowUpdate<'_>>(json)?.new {
                Some(row) if is_known => Self::Values(row),
                Some(row) => Self::Whole(row),
                None => Self::Gone,
            },
            UpdateFormat::V2 => match serde_json::from_str(json)? {
                RowUpdate2::Initial(row) | RowUpdate2::Insert(row) => Self::Whole(row),
                RowUpdate2::Modify(row) => Self::Differences(row),
                RowUpdate2::Delete(_) => Self::Gone,
            },
        })
    }
}

/// The tables of a [`MonitorPlan`], row by row.
#[derive(Clone, Debug)]
pub struct TableCache {
    plan: MonitorPlan,
    tables: HashMap<&'static str, HashMap<Uuid, Row>>,
    /// What may be kept, and what one update may bring.
    limit: usize,
    /// What is kept.
    size: usize,
}

impl Default for TableCache {
    fn default() -> Self {
        Self::with_limit(budget::LIMIT)
    }
}

impl TableCache {
    /// An empty cache that keeps no more than `limit` bytes, as [`budget`] counts them.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            plan: MonitorPlan::default(),
            tables: HashMap::new(),
            limit,
            size: 0,
        }
    }

    /// Sets what the server is asked for. The rows stay until they are replaced. Returns whether they
    /// are of the same columns, so that changes can be applied to them.
    pub fn plan(&mut self, plan: MonitorPlan) -> bool {
        let same = self.plan == plan;
        self.plan = plan;
        same
    }

    /// What the server was asked for.
    #[must_use]
    pub const fn planned(&self) -> &MonitorPlan {
        &self.plan
    }

    /// The rows of a table, in no order.
    pub fn rows(&self, table: &str) -> impl Iterator<Item = (Uuid, &Row)> {
        let rows = self.tables.get(table).into_iter().flatten();
        rows.map(|(id, row)| (*id, row))
    }

    /// Takes updates that hold all rows of all tables. Returns the rows that are different from before.
    ///
    /// # Errors
    /// The updates can't be applied, and nothing is changed.
    pub fn replace(&mut self, format: UpdateFormat, updates: &str) -> Result<Vec<Change>, Error> {
        self.replace_tables(format, |_| true, updates)
    }

    /// The same for the tables that `selected` holds of; all others stay as they are.
    ///
    /// # Errors
    /// The updates can't be applied, and nothing is changed.
    pub fn replace_tables(
        &mut self,
        format: UpdateFormat,
        selected: impl Fn(&str) -> bool,
        updates: &str,
    ) -> Result<Vec<Change>, Error> {
        let empty = Self {
            plan: self.plan.clone(),
            ..Self::with_limit(self.limit)
        };
        let there = empty.decode(format, updates)?;
        let listed: HashSet<_> = there.iter().map(|row| (row.table, row.id)).collect();
        let tables = self.tables.iter().filter(|(table, _)| selected(table));
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

    /// Takes updates that hold what changed. Returns the rows that are different from before.
    ///
    /// # Errors
    /// The updates can't be applied, and nothing is changed.
    pub fn update(&mut self, format: UpdateFormat, updates: &str) -> Result<Vec<Change>, Error> {
        let changes = self.decode(format, updates)?;
        self.commit(changes)
    }

    /// Every row that the updates name, once, as they make it.
    fn decode(&self, format: UpdateFormat, updates: &str) -> Result<Vec<Change>, Error> {
        let mut budget = Budget::new(self.limit);
        let mut changes = Vec::new();
        entries(UPDATES, updates, |name, rows| {
            let Some(table) = self.plan.tables.iter().find(|table| table.name == name) else {
                return Ok(());
            };
            entries(UPDATES, rows.get(), |id, update| {
                let id = Uuid::parse(id).ok_or_else(|| not_an_id(id))?;
                let old = self.row(table.name, id);
                let edit = Edit::parse(format, update.get(), old.is_some())
                    .map_err(|error| unreadable(UPDATES, &error))?;
                budget.spend(budget::ROW)?;
                changes.push(Change {
                    table: table.name,
                    id,
                    row: edited(table.name, id, &table.columns, old, &edit, &mut budget)?,
                });
                Ok(())
            })
        })?;
        // Of a key that is there twice the last value counts.
        changes.reverse();
        changes.sort_by_key(|change| (change.table, change.id));
        changes.dedup_by_key(|change| (change.table, change.id));
        Ok(changes)
    }

    /// Takes what is different, unless it leaves more than may be kept. A row that is as it was stays
    /// the very same, which the caller may hold a copy of.
    fn commit(&mut self, mut changes: Vec<Change>) -> Result<Vec<Change>, Error> {
        changes.retain(|change| self.row(change.table, change.id) != change.row.as_ref());
        let size = |row: Option<&Row>| row.map_or(0, Row::size);
        let mut total = self.size;
        for Change { table, id, row } in &changes {
            total = total.saturating_sub(size(self.row(table, *id))) + size(row.as_ref());
        }
        if total > self.limit {
            return Err(too_large(self.limit));
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

/// What is read, in an error about its JSON.
const UPDATES: &str = "updates";

fn not_an_id(id: &str) -> Error {
    Error::unreadable(format!(
        "{UPDATES} can't be read: {:?} is not a UUID",
        quoted(id)
    ))
}

fn edited(
    table: &'static str,
    id: Uuid,
    columns: &Arc<[Column]>,
    old: Option<&Row>,
    edit: &Edit<'_>,
    budget: &mut Budget,
) -> Result<Option<Row>, Error> {
    let known = || {
        let message = || format!("{table}: row {id} changes and was never there");
        old.ok_or_else(|| Error::unreadable(message()))
    };
    let (json, old, by_difference) = match edit {
        Edit::Whole(json) => (json, None, false),
        Edit::Values(json) => (json, Some(known()?), false),
        Edit::Differences(json) => (json, Some(known()?), true),
        Edit::Gone => return known().map(|_| None),
    };
    budget.spend(budget::COLUMN * columns.len())?;
    let mut values: Vec<Option<Datum>> = vec![None; columns.len()];
    entries(UPDATES, json.get(), |name, json| {
        let mut planned = columns.iter().zip(&mut values);
        let Some((column, value)) = planned.find(|(column, _)| column.name == name) else {
            return Ok(());
        };
        let parsed = Datum::parse(json.get(), column, budget);
        *value = Some(parsed.map_err(|error| error.at(&format!("{table}.{name}")))?);
        Ok(())
    })?;
    let values = columns.iter().zip(values).enumerate();
    let values =
        values.map(
            |(at, (column, value))| match (value, old.and_then(|row| row.values.get(at))) {
                (Some(value), Some(old)) if by_difference && column.kind.composite => {
                    old.with_difference(value)
                }
                (Some(value), _) => value,
                (None, Some(old)) => old.clone(),
                (None, None) => Datum::default_of(column.kind),
            },
        );
    Ok(Some(Row {
        columns: Arc::clone(columns),
        values: values.collect(),
    }))
}

#[cfg(test)]
mod tests;

//! A transaction (RFC 7047 §4.1.3, §5.2): operations that take effect together or not at all.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::atom::Atom;
use crate::transact_reply::SelectedRow;
use crate::uuid::Uuid;
use crate::value::Datum;

/// Operations that take effect together or not at all.
///
/// Each method adds an operation and returns its number, under which [`TransactReply`](crate::TransactReply) has its result.
///
/// ```
/// use ovsdb::{Condition, Datum, Mutation, Mutator, Transaction};
///
/// let mut transaction = Transaction::new("OVN_Northbound");
/// let port = transaction.insert("Logical_Switch_Port", [("name", "p1".into())]);
/// transaction.mutate(
///     "Logical_Switch",
///     &[Condition::equal("name", "ls0")],
///     &[Mutation::new("ports", Mutator::Insert, port.reference())],
/// );
/// ```
#[derive(Clone, Debug)]
pub struct Transaction {
    database: String,
    operations: Vec<Value>,
    repeatable: bool,
}

/// An inserted row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// The number of the operation.
    pub operation: usize,
}

impl Inserted {
    /// The row, for other operations of the same transaction to refer to.
    #[must_use]
    pub fn reference(self) -> Atom {
        Atom::NamedUuid(self.name().into())
    }

    fn name(self) -> String {
        format!("row{}", self.operation)
    }
}

/// What the rows are to be that a `wait` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Those that the wait names.
    Equal,
    /// Others.
    NotEqual,
}

impl Transaction {
    /// A transaction without operations, which does nothing.
    #[must_use]
    pub fn new(database: impl Into<String>) -> Self {
        Self {
            database: database.into(),
            operations: Vec::new(),
            repeatable: false,
        }
    }

    /// Allows the transaction to take effect twice: where its outcome is not known, it is sent to the
    /// next server.
    #[must_use]
    pub const fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Inserts a row. Columns that are left out have their default.
    pub fn insert<'a>(
        &mut self,
        table: &str,
        row: impl IntoIterator<Item = (&'a str, Datum)>,
    ) -> Inserted {
        let inserted = Inserted {
            operation: self.operations.len(),
        };
        let name = inserted.name();
        let row = columns(row);
        self.add(json!({"op": "insert", "table": table, "row": row, "uuid-name": name}));
        inserted
    }

    /// Sets columns of the rows that meet all conditions. The result is how many there are.
    pub fn update<'a>(
        &mut self,
        table: &str,
        conditions: &[Condition],
        row: impl IntoIterator<Item = (&'a str, Datum)>,
    ) -> usize {
        let (conditions, row) = (list(conditions), columns(row));
        self.add(json!({"op": "update", "table": table, "where": conditions, "row": row}))
    }

    /// Changes columns of the rows that meet all conditions, by what is in them. The result is how many
    /// there are.
    pub fn mutate(
        &mut self,
        table: &str,
        conditions: &[Condition],
        mutations: &[Mutation],
    ) -> usize {
        let mutations: Vec<_> = mutations.iter().map(|mutation| &mutation.0).collect();
        let conditions = list(conditions);
        self.add(
            json!({"op": "mutate", "table": table, "where": conditions, "mutations": mutations}),
        )
    }

    /// Deletes the rows that meet all conditions. The result is how many there are.
    pub fn delete(&mut self, table: &str, conditions: &[Condition]) -> usize {
        let conditions = list(conditions);
        self.add(json!({"op": "delete", "table": table, "where": conditions}))
    }

    /// Reads these columns of the rows that meet all conditions, after the operations before it.
    pub fn select(&mut self, table: &str, conditions: &[Condition], columns: &[&str]) -> usize {
        let conditions = list(conditions);
        self.add(json!({"op": "select", "table": table, "where": conditions, "columns": columns}))
    }

    /// Waits until the rows that meet all conditions have, in these columns, the values of `rows`, or
    /// have other ones. `timeout` is in whole milliseconds; after it the transaction fails with
    /// `timed out`. Zero checks once.
    pub fn wait(
        &mut self,
        table: &str,
        conditions: &[Condition],
        until: Until,
        columns: &[&str],
        rows: &[SelectedRow],
        timeout: Duration,
    ) -> usize {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| self::columns(row.iter().map(|(name, datum)| (&**name, datum.clone()))))
            .collect();
        self.add(json!({
            "op": "wait",
            "table": table,
            "where": list(conditions),
            "until": match until {
                Until::Equal => "==",
                Until::NotEqual => "!=",
            },
            "columns": columns,
            "rows": rows,
            "timeout": u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        }))
    }

    /// Lets the transaction take effect only while a row is there and has these values, which were read
    /// before: a [wait](Self::wait) with a timeout of zero. A map that was followed by some of its keys
    /// alone can't be verified so.
    pub fn verify<'a>(
        &mut self,
        table: &str,
        id: Uuid,
        read: impl IntoIterator<Item = (&'a str, Datum)>,
    ) -> usize {
        let read = read.into_iter();
        let row: SelectedRow = read.map(|(name, datum)| (name.to_owned(), datum)).collect();
        let columns: Vec<_> = row.keys().cloned().collect();
        let columns: Vec<_> = columns.iter().map(String::as_str).collect();
        let conditions = [Condition::row(id)];
        self.wait(
            table,
            &conditions,
            Until::Equal,
            &columns,
            &[row],
            Duration::ZERO,
        )
    }

    /// Adds a comment to the server's log of transactions.
    pub fn comment(&mut self, comment: &str) -> usize {
        self.add(json!({"op": "comment", "comment": comment}))
    }

    fn add(&mut self, operation: Value) -> usize {
        self.operations.push(operation);
        self.operations.len() - 1
    }

    /// How many operations there are.
    pub(crate) const fn len(&self) -> usize {
        self.operations.len()
    }

    pub(crate) fn database(&self) -> &str {
        &self.database
    }

    pub(crate) const fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// The `params` of `transact`.
    pub(crate) fn params(&self) -> Value {
        let database = std::iter::once(json!(self.database));
        Value::Array(database.chain(self.operations.iter().cloned()).collect())
    }
}

fn columns<'a>(row: impl IntoIterator<Item = (&'a str, Datum)>) -> Value {
    let columns = row.into_iter();
    let columns = columns.map(|(name, datum)| (name.to_owned(), Value::from(&datum)));
    Value::Object(columns.collect::<Map<_, _>>())
}

fn list(conditions: &[Condition]) -> Value {
    let conditions = conditions.iter().map(|condition| condition.0.clone());
    Value::Array(conditions.collect())
}

/// How a condition compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `<`, of integers and reals.
    Less,
    /// `<=`, of integers and reals.
    LessOrEqual,
    /// `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `>=`, of integers and reals.
    GreaterOrEqual,
    /// `>`, of integers and reals.
    Greater,
    /// The column has all elements of the value.
    Includes,
    /// The column has no element of the value.
    Excludes,
}

/// A condition on a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition(Value);

impl Condition {
    /// Compares a column with a value.
    #[must_use]
    pub fn new(column: &str, function: Function, value: impl Into<Datum>) -> Self {
        let function = match function {
            Function::Less => "<",
            Function::LessOrEqual => "<=",
            Function::Equal => "==",
            Function::NotEqual => "!=",
            Function::GreaterOrEqual => ">=",
            Function::Greater => ">",
            Function::Includes => "includes",
            Function::Excludes => "excludes",
        };
        Self(json!([column, function, Value::from(&value.into())]))
    }

    /// A column has exactly this value.
    #[must_use]
    pub fn equal(column: &str, value: impl Into<Datum>) -> Self {
        Self::new(column, Function::Equal, value)
    }

    /// The row with this id.
    #[must_use]
    pub fn row(id: Uuid) -> Self {
        Self::equal("_uuid", id)
    }
}

/// How a mutation changes a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutator {
    /// `+=`
    Add,
    /// `-=`
    Subtract,
    /// `*=`
    Multiply,
    /// `/=`
    Divide,
    /// `%=`, of integers.
    Modulo,
    /// Inserts elements into a set, or pairs into a map whose keys are not there yet.
    Insert,
    /// Deletes elements of a set; of a map, pairs or whatever is under these keys.
    Delete,
}

/// A change of a column by what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutation(Value);

impl Mutation {
    /// Changes a column by a value.
    #[must_use]
    pub fn new(column: &str, mutator: Mutator, value: impl Into<Datum>) -> Self {
        let mutator = match mutator {
            Mutator::Add => "+=",
            Mutator::Subtract => "-=",
            Mutator::Multiply => "*=",
            Mutator::Divide => "/=",
            Mutator::Modulo => "%=",
            Mutator::Insert => "insert",
            Mutator::Delete => "delete",
        };
        Self(json!([column, mutator, Value::from(&value.into())]))
    }
}

#[cfg(test)]
mod tests;

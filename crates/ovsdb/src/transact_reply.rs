//! What the operations of a transaction come to.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::Error;
use crate::json::quoted;
use crate::transaction::Inserted;
use crate::uuid::Uuid;
use crate::value::Datum;

/// A row by its columns, as a `select` returns it.
pub type SelectedRow = BTreeMap<String, Datum>;

/// What an operation of a transaction that took effect came to. A wait or a comment has no result.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
struct OperationResult {
    uuid: Option<Datum>,
    count: Option<u64>,
    rows: Option<Vec<SelectedRow>>,
    error: Option<String>,
    details: Option<String>,
}

/// The results of a transaction that took effect, by the number of each operation.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactReply(Vec<OperationResult>);

impl TransactReply {
    /// The id of an inserted row.
    #[must_use]
    pub fn id(&self, inserted: Inserted) -> Option<Uuid> {
        let result = self.0.get(inserted.operation)?;
        result.uuid.as_ref()?.uuids().next()
    }

    /// How many rows an update, a mutate or a delete met.
    #[must_use]
    pub fn count(&self, operation: usize) -> Option<u64> {
        self.0.get(operation)?.count
    }

    /// What a select read; nothing where the operation is none.
    #[must_use]
    pub fn rows(&self, operation: usize) -> &[SelectedRow] {
        let rows = self
            .0
            .get(operation)
            .and_then(|result| result.rows.as_ref());
        rows.map_or(&[], Vec::as_slice)
    }
}

/// An operation that failed, or all of them together, so that the transaction took no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{words}")]
pub struct OperationError {
    /// The number of the operation; `None` where all went well by itself and the whole failed, as by a
    /// constraint of the schema.
    pub operation: Option<usize>,
    /// What kind of failure it is, such as `constraint violation` or `timed out`.
    pub error: String,
    /// The error and its details, for people.
    words: String,
}

impl OperationError {
    /// Whether a [wait](crate::Transaction::wait) did not hold.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        self.error == "timed out"
    }
}

/// Reads the result of `transact`: for each operation its result, until one failed, in whose place the
/// error stands; or after them all the error of the whole.
pub(crate) fn read_reply(
    result: &str,
    operations: usize,
) -> Result<Result<TransactReply, OperationError>, Error> {
    let unreadable = || Error::unreadable("the reply to transact can't be read");
    let results: Vec<Option<OperationResult>> =
        serde_json::from_str(result).map_err(|_| unreadable())?;
    let failed = results.iter().enumerate().find_map(|(at, result)| {
        let OperationResult { error, details, .. } = result.as_ref()?;
        let error = error.clone()?;
        let words = match details {
            Some(details) => format!("{error}: {details}"),
            None => error.clone(),
        };
        Some(OperationError {
            operation: (at < operations).then_some(at),
            words: quoted(&words).into_owned(),
            error,
        })
    });
    if let Some(failed) = failed {
        return Ok(Err(failed));
    }
    let results: Option<Vec<_>> = results.into_iter().collect();
    let results = results.filter(|results| results.len() == operations);
    Ok(Ok(TransactReply(results.ok_or_else(unreadable)?)))
}

#[cfg(test)]
mod tests;

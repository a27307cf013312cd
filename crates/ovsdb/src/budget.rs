//! How much memory the rows of a database may take. It is charged while they are decoded, by what is
//! made of them in the end, so that a server can't make a small message into a large cache.

use crate::error::{Error, ErrorKind};

/// The default limit of a [`MonitorSpec`](crate::MonitorSpec), in bytes: some 130,000 ports of OVN.
pub const LIMIT: usize = 128 << 20;

/// The cost of a row, with its place in the cache and in what the caller makes of it.
pub(crate) const ROW: usize = 512;

/// The cost of a column of a row.
pub(crate) const COLUMN: usize = 24;

/// The cost of a value among several, with what refers to it.
pub(crate) const ELEMENT: usize = 128;

/// The cost of a string, which callers copy into indexes.
pub(crate) const fn string(length: usize) -> usize {
    32 + 3 * length
}

/// The longest message of a server, in bytes, where `limit` bytes may be kept: the text of most rows
/// is shorter than what is made of it.
pub(crate) const fn message(limit: usize) -> usize {
    limit / 4 * 3
}

/// There is more than `limit` bytes.
pub(crate) fn too_large(limit: usize) -> Error {
    let message =
        format!("the database is larger than the limit: its content takes more than {limit} bytes");
    Error::new(ErrorKind::TooLarge, message)
}

/// What is left to be spent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        let left = self.left.checked_sub(bytes);
        self.left = left.ok_or_else(|| too_large(self.limit))?;
        Ok(())
    }

    #[cfg(test)]
    pub(crate) const fn spent(&self) -> usize {
        self.limit - self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_budget_can_be_spent_and_no_byte_more() {
        let mut budget = Budget::new(10);
        for (bytes, fits) in [(7, true), (4, false), (3, true), (usize::MAX, false)] {
            assert_eq!(budget.spend(bytes).is_ok(), fits, "{bytes}");
        }
        let error = budget.spend(1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }
}

//! How much memory the rows of a database may take. It is charged while they are decoded, by what is
//! made of them in the end, so that a server can't make a small message into a large cache.

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

/// More than the limit, which is given in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its content takes more than {0} bytes")]
pub struct TooLarge(pub usize);

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

    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), TooLarge> {
        self.left = self.left.checked_sub(bytes).ok_or(TooLarge(self.limit))?;
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
        assert_eq!(budget.spend(7), Ok(()));
        assert_eq!(budget.spend(4), Err(TooLarge(10)));
        assert_eq!(budget.spend(3), Ok(()));
        assert_eq!(budget.spend(usize::MAX), Err(TooLarge(10)));
    }
}

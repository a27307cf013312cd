//! What the content of a database may take in memory. It is charged while it is decoded, by what is
//! made of it in the end, so that a server cannot make a small message into a large replica.

/// The most that is kept of a database, unless configured otherwise. It is good for some 130,000 ports, or
/// for the chassis of more nodes than a cluster has.
pub const LIMIT: usize = 128 << 20;

/// Of a row, with its place in the replica and in what is made of it.
pub(super) const ROW: usize = 512;

/// Of a column of a row.
pub(super) const COLUMN: usize = 24;

/// Of a value among several, with what refers to it.
pub(super) const ELEMENT: usize = 128;

/// Of a string, which is copied into indexes.
pub(super) const fn string(length: usize) -> usize {
    32 + 3 * length
}

/// A message may be as long as three quarters of what may be kept: of a row of a port, and so of
/// most rows, the text is shorter than what is made of it.
#[must_use]
pub const fn message(limit: usize) -> usize {
    limit / 4 * 3
}

/// Over what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its content takes more than {0} bytes")]
pub struct TooLarge(pub usize);

/// What is left to be spent.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    /// Of so many bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    /// Takes something for what is about to be kept.
    pub fn spend(&mut self, bytes: usize) -> Result<(), TooLarge> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(TooLarge(self.limit)),
        }
    }

    /// What was spent.
    #[must_use]
    pub const fn spent(&self) -> usize {
        self.limit - self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_can_be_spent_and_no_byte_more() {
        let mut budget = Budget::new(10);
        assert_eq!(budget.spend(7), Ok(()));
        assert_eq!(budget.spend(4), Err(TooLarge(10)));
        assert_eq!(budget.spend(3), Ok(()));
        assert_eq!(
            (budget.spent(), budget.spend(usize::MAX)),
            (10, Err(TooLarge(10)))
        );
    }
}

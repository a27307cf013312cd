//! Which failures to log: each cause once, and once that all of them are over.

/// The most causes that are remembered; beyond it the oldest is logged again.
const MAX_CAUSES: usize = 16;

/// The causes of what fails now.
#[derive(Debug)]
pub struct FailureLog<C> {
    /// The last one at the end.
    causes: Vec<C>,
}

impl<C> Default for FailureLog<C> {
    fn default() -> Self {
        Self { causes: Vec::new() }
    }
}

impl<C: PartialEq> FailureLog<C> {
    /// Records a failure. Whether to log it: its cause is new since the last [`Self::clear`].
    #[must_use]
    pub fn record(&mut self, cause: C) -> bool {
        let count = self.causes.len();
        self.causes.retain(|known| *known != cause);
        let is_new = self.causes.len() == count;
        if is_new && count == MAX_CAUSES {
            self.causes.remove(0);
        }
        self.causes.push(cause);
        is_new
    }

    /// Forgets all causes. Whether to log that the failure is over: there was one.
    pub fn clear(&mut self) -> bool {
        let was_failing = !self.causes.is_empty();
        self.causes.clear();
        was_failing
    }

    /// The cause of the last failure, while it is not over.
    #[must_use]
    pub fn last(&self) -> Option<&C> {
        self.causes.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_each_cause_once_until_all_are_over() {
        let mut log = FailureLog::default();
        assert!(!log.clear());
        for (cause, is_new) in [("a", true), ("a", false), ("b", true), ("a", false)] {
            assert_eq!(log.record(cause), is_new, "{cause}");
            assert_eq!(log.last(), Some(&cause));
        }
        assert!(log.clear());
        assert_eq!(log.last(), None);
        assert!(!log.clear());
        assert!(log.record("a"));
    }

    #[test]
    fn forgets_the_oldest_cause_beyond_its_bound() {
        let mut log = FailureLog::default();
        for cause in 0..=MAX_CAUSES {
            assert!(log.record(cause));
        }
        assert!(!log.record(1));
        assert!(log.record(0));
    }
}

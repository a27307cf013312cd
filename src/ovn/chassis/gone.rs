//! The chassis that were deleted a short time ago.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::ovn::view::SETTLED;

/// The chassis that were deleted, and when, until they come back or are forgotten.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub(super) since: HashMap<Arc<str>, Duration>,
    in_order: VecDeque<(Duration, Arc<str>)>,
}

impl Gone {
    pub(super) fn removed(&mut self, name: &Arc<str>, at: Duration) {
        self.forget(at);
        self.since.insert(Arc::clone(name), at);
        self.in_order.push_back((at, Arc::clone(name)));
    }

    /// Whether it was deleted, and not too long ago.
    pub(super) fn came_back(&mut self, name: &Arc<str>, at: Duration) -> bool {
        self.forget(at);
        self.since.remove(name).is_some()
    }

    fn forget(&mut self, at: Duration) {
        while let Some((deleted, _)) = self.in_order.front()
            && at.saturating_sub(*deleted) > SETTLED
        {
            if let Some((deleted, name)) = self.in_order.pop_front()
                && self.since.get(&name) == Some(&deleted)
            {
                self.since.remove(&name);
            }
        }
    }
}

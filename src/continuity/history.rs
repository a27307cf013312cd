//! The migrations that are under way and the last that have ended, with their timelines.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::decide::continuity::timeline::Timeline;

/// How many migrations that have ended are kept.
pub const KEPT: usize = 100;

/// A migration and its timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The namespace of the migration and of its VM.
    pub namespace: String,
    /// The name of the migration.
    pub name: String,
    /// The UID of the migration.
    pub uid: String,
    /// The name of the VM.
    pub vm: String,
    /// The UID of the VM's VMI, where it was seen.
    pub vmi_uid: Option<String>,
    /// Its timeline.
    pub timeline: Timeline,
}

/// What is kept. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    open: Vec<Observed>,
    ended: VecDeque<Observed>,
}

impl History {
    /// Replaces those that are under way, and adds those that have ended.
    pub fn update(&self, open: Vec<Observed>, ended: Vec<Observed>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.open = open;
        for observed in ended {
            if kept.ended.len() == KEPT {
                kept.ended.pop_back();
            }
            kept.ended.push_front(observed);
        }
    }

    /// Those that are under way, and those that have ended, the latest first.
    #[must_use]
    pub fn all(&self) -> (Vec<Observed>, Vec<Observed>) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.open.clone(), kept.ended.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn mk_observed(uid: usize) -> Observed {
        Observed {
            namespace: "default".to_owned(),
            name: "m".to_owned(),
            uid: uid.to_string(),
            vm: "web".to_owned(),
            vmi_uid: None,
            timeline: Timeline::new(None, Duration::ZERO),
        }
    }

    #[test]
    fn the_last_hundred_that_have_ended_are_kept_the_latest_first() {
        let history = History::default();
        for uid in 0..KEPT + 2 {
            history.update(vec![mk_observed(uid + 1)], vec![mk_observed(uid)]);
        }
        let (open, ended) = history.all();
        let uids = |of: &[Observed]| of.iter().map(|one| one.uid.clone()).collect::<Vec<_>>();
        assert_eq!(uids(&open), ["102"]);
        let ended = uids(&ended);
        assert_eq!(ended.len(), KEPT);
        assert_eq!((&*ended[0], &*ended[KEPT - 1]), ("101", "2"));
    }
}

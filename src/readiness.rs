//! Whether berth can be sent requests: every condition holds, and it is not about to end.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

/// What has to be there before a request is answered well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The cluster view has its first full state.
    ClusterView,
    /// The HTTPS listener takes connections.
    HttpsListener,
    /// No signal to end has come.
    NotDraining,
}

impl Condition {
    const ALL: [Self; 3] = [Self::ClusterView, Self::HttpsListener, Self::NotDraining];
}

/// What `/readyz` says when the condition does not hold.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClusterView => "the cluster view is not complete yet",
            Self::HttpsListener => "HTTPS is not served yet",
            Self::NotDraining => "shutting down",
        })
    }
}

/// The state of all conditions.
#[derive(Debug)]
pub struct Readiness([AtomicBool; Condition::ALL.len()]);

impl Default for Readiness {
    /// Nothing is there yet, and nothing is ending.
    fn default() -> Self {
        Self(Condition::ALL.map(|condition| AtomicBool::new(condition == Condition::NotDraining)))
    }
}

impl Readiness {
    /// Sets a condition.
    pub fn set(&self, condition: Condition, holds: bool) {
        self.0[condition as usize].store(holds, Ordering::Release);
    }

    /// What is missing; nothing means ready.
    #[must_use]
    pub fn missing(&self) -> Vec<Condition> {
        Condition::ALL
            .into_iter()
            .filter(|condition| !self.0[*condition as usize].load(Ordering::Acquire))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_when_everything_is_there_and_never_again_while_draining() {
        let readiness = Readiness::default();
        assert_eq!(
            readiness.missing(),
            [Condition::ClusterView, Condition::HttpsListener]
        );
        readiness.set(Condition::ClusterView, true);
        readiness.set(Condition::HttpsListener, true);
        assert_eq!(readiness.missing(), []);
        readiness.set(Condition::NotDraining, false);
        assert_eq!(readiness.missing(), [Condition::NotDraining]);
    }
}

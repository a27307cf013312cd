//! Whether berth can be sent requests: every condition holds, and it is not about to end.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::text::{LONGEST_TEXT, shorten};

/// What has to be there before a request is answered well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The cluster view has its first full state.
    ClusterView,
    /// The southbound database, where it is read, was read once.
    Southbound,
    /// The HTTPS listener takes connections.
    HttpsListener,
    /// No signal to end has come.
    NotDraining,
}

impl Condition {
    const ALL: [Self; 4] = [
        Self::ClusterView,
        Self::Southbound,
        Self::HttpsListener,
        Self::NotDraining,
    ];

    /// What `/readyz` says when the condition does not hold.
    const fn lack(self) -> &'static str {
        match self {
            Self::ClusterView => "the cluster view is not complete yet",
            Self::Southbound => "the southbound database is not replicated yet",
            Self::HttpsListener => "HTTPS is not served yet",
            Self::NotDraining => "shutting down",
        }
    }
}

/// The state of all conditions: for each that does not hold, what `/readyz` says.
#[derive(Debug)]
pub struct Readiness(Mutex<[Option<String>; Condition::ALL.len()]>);

impl Default for Readiness {
    /// What every service needs is not there yet, and nothing is ending.
    fn default() -> Self {
        let lacks =
            |condition| matches!(condition, Condition::ClusterView | Condition::HttpsListener);
        Self(Mutex::new(Condition::ALL.map(|condition| {
            lacks(condition).then(|| condition.lack().to_owned())
        })))
    }
}

impl Readiness {
    /// The condition holds from now on.
    pub fn holds(&self, condition: Condition) {
        self.lock()[condition as usize] = None;
    }

    /// The condition does not hold.
    pub fn lacks(&self, condition: Condition) {
        self.lock()[condition as usize] = Some(condition.lack().to_owned());
    }

    /// The condition does not hold, with what it waits for.
    pub fn waits(&self, condition: Condition, what: &str) {
        let text = format!("{} (waiting for {what})", condition.lack());
        self.lock()[condition as usize] = Some(text);
    }

    /// What is missing; nothing means ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let missing = self.lock();
        let missing = missing.iter().flatten();
        missing.map(|text| shorten(text, LONGEST_TEXT)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, [Option<String>; Condition::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_when_everything_is_there_and_never_again_while_draining() {
        let readiness = Readiness::default();
        readiness.waits(Condition::ClusterView, "node, vmi");
        assert_eq!(
            readiness.missing(),
            [
                "the cluster view is not complete yet (waiting for node, vmi)",
                "HTTPS is not served yet"
            ]
        );
        readiness.holds(Condition::ClusterView);
        readiness.holds(Condition::HttpsListener);
        assert!(readiness.missing().is_empty());
        readiness.lacks(Condition::NotDraining);
        assert_eq!(readiness.missing(), ["shutting down"]);
    }
}

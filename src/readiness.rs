//! The conditions of `/readyz`.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::text::shorten;

/// The longest text of a condition: what each kind of object waits for, with the API server's words.
const LONGEST: usize = 4_000;

/// A condition that must hold before berth receives requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The cluster view has its first full state.
    ClusterView,
    /// The southbound database, where it is read, was read once.
    Southbound,
    /// The HTTPS listener takes connections.
    HttpsListener,
    /// No termination signal has arrived.
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

/// The state of all conditions: for each that does not hold, what it waits for.
#[derive(Debug)]
pub struct Readiness(Mutex<[Option<Lack>; Condition::ALL.len()]>);

/// A condition that does not hold.
#[derive(Clone)]
struct Lack(Option<Arc<Details>>);

/// Tells what a condition waits for, each time it is asked for.
type Details = dyn Fn() -> String + Send + Sync;

impl fmt::Debug for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = self.0.as_deref().map(|details| details());
        f.debug_tuple("Lack").field(&details).finish()
    }
}

impl Default for Readiness {
    /// The cluster view and the HTTPS listener are missing, and berth is not shutting down.
    fn default() -> Self {
        let lacks =
            |condition| matches!(condition, Condition::ClusterView | Condition::HttpsListener);
        let state = |condition| lacks(condition).then_some(Lack(None));
        Self(Mutex::new(Condition::ALL.map(state)))
    }
}

impl Readiness {
    /// The condition is met from now on.
    pub fn set_met(&self, condition: Condition) {
        self.lock()[condition as usize] = None;
    }

    /// The condition is not met.
    pub fn set_missing(&self, condition: Condition) {
        self.lock()[condition as usize] = Some(Lack(None));
    }

    /// The condition is not met. `what` says what it waits for, whenever somebody asks.
    pub fn set_waiting(
        &self,
        condition: Condition,
        what: impl Fn() -> String + Send + Sync + 'static,
    ) {
        self.lock()[condition as usize] = Some(Lack(Some(Arc::new(what))));
    }

    /// What is missing; nothing means ready.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let state = self.lock().clone();
        let missing = Condition::ALL.into_iter().zip(state);
        let text = |(condition, Lack(details)): (Condition, Lack)| match details {
            None => condition.lack().to_owned(),
            Some(details) => {
                let text = format!("{} (waiting for {})", condition.lack(), details());
                shorten(text, LONGEST)
            }
        };
        missing
            .filter_map(|(condition, lack)| Some((condition, lack?)))
            .map(text)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, [Option<Lack>; Condition::ALL.len()]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_when_everything_is_there_and_never_again_while_draining() {
        let readiness = Readiness::default();
        readiness.set_waiting(Condition::ClusterView, || "node, vmi".to_owned());
        assert_eq!(
            readiness.missing(),
            [
                "the cluster view is not complete yet (waiting for node, vmi)",
                "HTTPS is not served yet"
            ]
        );
        readiness.set_met(Condition::ClusterView);
        readiness.set_met(Condition::HttpsListener);
        assert!(readiness.missing().is_empty());
        readiness.set_missing(Condition::NotDraining);
        assert_eq!(readiness.missing(), ["shutting down"]);
    }
}

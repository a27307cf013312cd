//! The stream of changes: what is new since one looked last. Changes that come together are told
//! together, and none is missed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// What changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Objects of the cluster.
    pub cluster: bool,
    /// Chassis, or how much the southbound database counts. Ports alone are no change, but for those that migrate.
    pub southbound: bool,
    /// Nothing but the time: a chassis falls behind without an event.
    pub time: bool,
}

/// The changes of all stores. Clones share them.
#[derive(Clone, Debug)]
pub struct Changes(Arc<watch::Sender<Versions>>);

/// How often each store has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Versions {
    cluster: u64,
    southbound: u64,
}

impl Default for Changes {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(Versions::default())))
    }
}

impl Changes {
    /// Tells everyone who follows that the cluster has changed.
    pub fn cluster_changed(&self) {
        self.0.send_modify(|versions| versions.cluster += 1);
    }

    /// Tells everyone who follows that the southbound database has changed.
    pub fn southbound_changed(&self) {
        self.0.send_modify(|versions| versions.southbound += 1);
    }

    /// What changes from now on.
    #[must_use]
    pub fn subscribe(&self) -> ChangeStream {
        let receiver = self.0.subscribe();
        let seen = *receiver.borrow();
        ChangeStream { receiver, seen }
    }
}

/// The changes since the last look.
#[derive(Debug)]
pub struct ChangeStream {
    receiver: watch::Receiver<Versions>,
    seen: Versions,
}

impl ChangeStream {
    /// Waits for the next change. Where none comes within `tick`, the time is what changed.
    pub async fn next(&mut self, tick: Duration) -> Change {
        let changed = timeout(tick, self.receiver.changed()).await;
        let now = *self.receiver.borrow_and_update();
        let before = std::mem::replace(&mut self.seen, now);
        Change {
            cluster: now.cluster != before.cluster,
            southbound: now.southbound != before.southbound,
            time: changed.is_err(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn changes_are_told_together_and_only_once() {
        let changes = Changes::default();
        changes.cluster_changed();
        let mut stream = changes.subscribe();
        let time = Change {
            time: true,
            ..Change::default()
        };
        assert_eq!(stream.next(TICK).await, time, "nothing is new yet");
        changes.southbound_changed();
        changes.southbound_changed();
        let southbound = Change {
            southbound: true,
            ..Change::default()
        };
        assert_eq!(stream.next(TICK).await, southbound);
        changes.cluster_changed();
        changes.southbound_changed();
        let both = Change {
            cluster: true,
            southbound: true,
            time: false,
        };
        assert_eq!(stream.next(TICK).await, both);
        assert_eq!(stream.next(TICK).await, time);
    }
}

//! What the watches count, for the caller to export.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::api::{Cause, Fault};
use crate::cluster::ObjectKind;
use crate::throttle::Throttle;

/// How often the objects of a kind that can't be read are named in the log.
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// Counts of every kind's watch. All but [`Self::is_failing`] only rise.
#[derive(Debug)]
pub struct WatchStats([KindStats; ObjectKind::ALL.len()]);

#[derive(Debug)]
struct KindStats {
    lists: AtomicU64,
    starts: AtomicU64,
    failures: [AtomicU64; Cause::ALL.len()],
    unreadable: AtomicU64,
    failing: AtomicBool,
    fault: Mutex<Option<Fault>>,
    logged: Mutex<Throttle>,
}

impl Default for WatchStats {
    fn default() -> Self {
        Self(ObjectKind::ALL.map(|_| KindStats {
            lists: AtomicU64::new(0),
            starts: AtomicU64::new(0),
            failures: Cause::ALL.map(|_| AtomicU64::new(0)),
            unreadable: AtomicU64::new(0),
            failing: AtomicBool::new(false),
            fault: Mutex::new(None),
            logged: Mutex::new(Throttle::new(LOG_PERIOD)),
        }))
    }
}

impl WatchStats {
    /// Full lists taken; after the first each one is a new start.
    #[must_use]
    pub fn lists(&self, kind: ObjectKind) -> u64 {
        self.of(kind).lists.load(Relaxed)
    }

    /// Watches asked for. The server ends each after a while, by
    /// [`WATCH_SECONDS`](super::watch::WATCH_SECONDS).
    #[must_use]
    pub fn starts(&self, kind: ObjectKind) -> u64 {
        self.of(kind).starts.load(Relaxed)
    }

    /// Failures of lists and watches by their cause.
    #[must_use]
    pub fn failures(&self, kind: ObjectKind, cause: Cause) -> u64 {
        self.of(kind).failures[cause as usize].load(Acquire)
    }

    /// Objects that could not be read, each time they came.
    #[must_use]
    pub fn unreadables(&self, kind: ObjectKind) -> u64 {
        self.of(kind).unreadable.load(Relaxed)
    }

    /// Whether what is known of a kind may be old, because its list or watch fails.
    #[must_use]
    pub fn is_failing(&self, kind: ObjectKind) -> bool {
        self.of(kind).failing.load(Relaxed)
    }

    /// What the list or watch of a kind failed of, while it fails.
    #[must_use]
    pub fn fault(&self, kind: ObjectKind) -> Option<Fault> {
        self.lock_fault(kind).clone()
    }

    pub(super) fn listed(&self, kind: ObjectKind) {
        self.of(kind).lists.fetch_add(1, Relaxed);
    }

    pub(super) fn started(&self, kind: ObjectKind) {
        self.of(kind).starts.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, kind: ObjectKind, fault: &Fault) {
        *self.lock_fault(kind) = Some(fault.clone());
        // With what was set before it.
        self.of(kind).failures[fault.cause as usize].fetch_add(1, Release);
    }

    /// It goes well again.
    pub(super) fn mended(&self, kind: ObjectKind) {
        *self.lock_fault(kind) = None;
        self.set_failing(kind, false);
    }

    pub(super) fn set_failing(&self, kind: ObjectKind, failing: bool) {
        self.of(kind).failing.store(failing, Relaxed);
    }

    /// Counts an object that can't be read, and tells whether to say so: with how many were not
    /// said.
    pub(super) fn unreadable(&self, kind: ObjectKind) -> Option<u64> {
        let kind = self.of(kind);
        kind.unreadable.fetch_add(1, Relaxed);
        let mut logged = kind.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.pass()
    }

    fn lock_fault(&self, kind: ObjectKind) -> MutexGuard<'_, Option<Fault>> {
        let fault = self.of(kind).fault.lock();
        fault.unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, kind: ObjectKind) -> &KindStats {
        &self.0[kind as usize]
    }
}

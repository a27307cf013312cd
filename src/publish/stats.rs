//! What is counted of the conditions that are published, for the caller to export.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::api::Cause;
use crate::domain::Status;

/// Counts of the node conditions. Those of what happened only rise.
#[derive(Debug, Default)]
pub struct PublishStats {
    writes: [AtomicU64; Status::ALL.len()],
    failures: [AtomicU64; Cause::ALL.len()],
    waiting: AtomicU64,
}

impl PublishStats {
    /// Conditions written, by the status written.
    #[must_use]
    pub fn writes(&self, status: Status) -> u64 {
        self.writes[status as usize].load(Relaxed)
    }

    /// Conditions that could not be written, each time, by the cause.
    #[must_use]
    pub fn failures(&self, cause: Cause) -> u64 {
        self.failures[cause as usize].load(Relaxed)
    }

    /// Nodes whose condition is not what it is to be: they wait for their turn, or for the API
    /// server.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    pub(super) fn wrote(&self, status: Status) {
        self.writes[status as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, cause: Cause) {
        self.failures[cause as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn set_waiting(&self, nodes: usize) {
        self.waiting.store(nodes as u64, Relaxed);
    }
}

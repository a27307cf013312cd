//! What is counted of the lease, for the caller to export.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::api::Cause;

/// Counts of the lease. Those of what happened only rise.
#[derive(Debug, Default)]
pub struct LeaseStats {
    held: AtomicBool,
    taken: AtomicU64,
    failures: [AtomicU64; Cause::ALL.len()],
}

impl LeaseStats {
    /// Whether this replica holds the lease.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.load(Relaxed)
    }

    /// How often this replica came to hold it.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Reads and writes of it that failed, by the cause. A conflict is another who was faster.
    #[must_use]
    pub fn failures(&self, cause: Cause) -> u64 {
        self.failures[cause as usize].load(Relaxed)
    }

    pub(super) fn set_held(&self, held: bool) {
        if held {
            self.taken.fetch_add(1, Relaxed);
        }
        self.held.store(held, Relaxed);
    }

    pub(super) fn failed(&self, cause: Cause) {
        self.failures[cause as usize].fetch_add(1, Relaxed);
    }
}

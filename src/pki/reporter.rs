//! What happens to the certificates, told to the metrics and, where it fails, to the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, warn};

use super::error::PkiError;
use super::event::Event;
use crate::failure_log::FailureLog;

/// How often the same error is logged.
const REMIND: Duration = Duration::from_mins(5);

/// Tells of what happens; the same error is logged once in a while.
pub(super) struct Reporter {
    observe: Box<dyn Fn(&Event<'_>) + Send + Sync>,
    errors: Mutex<(FailureLog<String>, Instant)>,
}

impl Reporter {
    pub(super) fn new(observe: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self {
            observe: Box::new(observe),
            errors: Mutex::new((FailureLog::default(), Instant::now())),
        }
    }

    pub(super) fn tell(&self, event: &Event<'_>) {
        (self.observe)(event);
    }

    pub(super) fn failed(&self, error: &PkiError) {
        self.tell(&Event::Failed(error));
        let text = error.to_string();
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        let (log, since) = &mut *errors;
        if since.elapsed() >= REMIND {
            log.clear();
            *since = Instant::now();
        }
        if log.record(text.clone()) {
            let cause = error.label();
            if error.is_transient() {
                warn!(cause, "cannot manage certificates: {text}");
            } else {
                error!(cause, "cannot manage certificates: {text}");
            }
        }
    }

    /// What comes after a good round is news.
    pub(super) fn forget(&self) {
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.0.clear();
    }
}

//! Reports what happens to the certificates to the metrics and the log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::bundle::ConfigurationId;
use super::change::Change;
use super::error::PkiError;
use super::event::{Event, Publication};
use super::time::utc;
use crate::failure_log::FailureLog;

/// How often the same error is logged.
const REMIND: Duration = Duration::from_mins(5);

/// Reports what happens; the same error is logged once in a while.
pub(super) struct Reporter {
    /// The Secret, as log lines name it.
    secret: String,
    observe: Box<dyn Fn(&Event) + Send + Sync>,
    errors: Mutex<(FailureLog<String>, Instant)>,
}

impl Reporter {
    pub(super) fn new(secret: String, observe: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self {
            secret,
            observe: Box::new(observe),
            errors: Mutex::new((FailureLog::default(), Instant::now())),
        }
    }

    pub(super) fn report(&self, event: &Event) {
        (self.observe)(event);
        match event {
            Event::Wrote {
                changes,
                next_signs,
            } => {
                let secret = &self.secret;
                let next_signs = next_signs.map(utc);
                let is_repair = changes.iter().any(Change::is_repair);
                let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
                let changes = changes.join("; ");
                if is_repair {
                    warn!(secret, changes, next_signs, "repaired certificates");
                } else {
                    info!(secret, changes, next_signs, "wrote certificates");
                }
            }
            Event::Published {
                configuration: ConfigurationId { kind, name },
                why,
            } => match why {
                Publication::Rotated => {
                    info!(%kind, configuration = name, "published the ca");
                }
                Publication::Repaired => warn!(
                    %kind,
                    configuration = name,
                    "repaired the caBundle that somebody changed"
                ),
            },
            Event::Absent { configuration } => info!(
                configuration,
                "there is no mutatingwebhookconfiguration of this name, so berth keeps no caBundle in it: see tls.managed.webhookConfigurations where yours has another name"
            ),
            Event::Failed(error) => self.log_error(error),
            Event::Holds { .. } => {}
        }
    }

    fn log_error(&self, error: &PkiError) {
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

    /// Reports that a round succeeded after others that failed: the next error is logged at once.
    pub(super) fn recovered(&self) {
        info!(secret = self.secret, "certificates are managed again");
        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
        errors.0.clear();
    }
}

//! The metrics of the certificate in use.

use prometheus::IntCounterVec;

use super::{CertificateStore, ReloadOutcome};
use crate::metrics::{Registry, TimeGauge};

/// The metrics of the certificate in use.
#[derive(Clone, Debug)]
pub struct Metrics {
    reloads: IntCounterVec,
    expiry: TimeGauge,
}

impl Metrics {
    /// Registers everything; the expiry is shown once there is a certificate.
    ///
    /// # Errors
    /// As the methods of [`Registry`].
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            reloads: registry.counters(
                "berth_tls_reloads_total",
                "Changed certificate files that were taken or refused.",
                &["outcome"],
            )?,
            expiry: registry.time(
                "berth_tls_certificate_expiry_timestamp_seconds",
                "When the serving certificate expires, in seconds since 1970; not there before there is one.",
            )?,
        };
        for outcome in ReloadOutcome::CHANGES {
            metrics.reloads.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    /// Shows when the certificate in use expires.
    pub fn show_expiry(&self, store: &CertificateStore) {
        self.expiry.set(Some(store.not_after()));
    }

    /// Counts a changed certificate that was taken or refused.
    pub fn record_reload(&self, store: &CertificateStore, outcome: &ReloadOutcome) {
        if matches!(outcome, ReloadOutcome::Unchanged) {
            return;
        }
        self.reloads.with_label_values(&[outcome.label()]).inc();
        self.show_expiry(store);
    }
}

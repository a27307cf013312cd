//! The metrics of managed certificates, which are registered only where berth manages them.

use prometheus::IntCounterVec;
use strum::VariantArray;

use super::change::{Change, IssueReason};
use super::contents::{Defect, Part};
use super::{Event, PkiError, Publication};
use crate::metrics::{Registry, TimeGauge};

/// The metrics of managed certificates.
#[derive(Clone, Debug)]
pub struct Metrics {
    ca_expiry: TimeGauge,
    next_ca: TimeGauge,
    issued: IntCounterVec,
    repairs: IntCounterVec,
    bundles: IntCounterVec,
    errors: IntCounterVec,
}

/// Repairs that no defect of a part is the cause of.
const OTHER_REPAIRS: [&str; 2] = ["lost", "untrusted"];

impl Metrics {
    /// Registers everything; a time is shown once it is known.
    ///
    /// # Errors
    /// As the methods of [`Registry`].
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            ca_expiry: registry.time(
                "berth_tls_ca_expiry_timestamp_seconds",
                "When the CA that signs expires, in seconds since 1970.",
            )?,
            next_ca: registry.time(
                "berth_tls_next_ca_signs_timestamp_seconds",
                "When the next CA begins to sign, in seconds since 1970; not there without a next CA.",
            )?,
            issued: registry.counters(
                "berth_tls_issued_total",
                "Certificates that this replica made and stored, by why.",
                &["certificate", "cause"],
            )?,
            repairs: registry.counters(
                "berth_tls_secret_repairs_total",
                "What this replica found wrong in the Secret and wrote right.",
                &["cause"],
            )?,
            bundles: registry.counters(
                "berth_tls_ca_bundle_writes_total",
                "Webhook configurations whose caBundle this replica wrote: because a CA came or went, or because somebody else had changed it.",
                &["cause"],
            )?,
            errors: registry.counters(
                "berth_tls_management_errors_total",
                "What kept this replica from managing certificates.",
                &["cause"],
            )?,
        };
        metrics.zero();
        Ok(metrics)
    }

    /// A series that appears with its first event makes that event invisible to `rate()`.
    fn zero(&self) {
        for why in IssueReason::VARIANTS {
            for certificate in ["ca", "leaf"] {
                self.issued.with_label_values(&[certificate, why.as_ref()]);
            }
        }
        let part = Part::Leaf;
        for defect in [
            Defect::Missing(part),
            Defect::Unreadable(part),
            Defect::Stranger(part),
        ] {
            self.repairs.with_label_values(&[defect.as_ref()]);
        }
        for cause in OTHER_REPAIRS {
            self.repairs.with_label_values(&[cause]);
        }
        for why in Publication::VARIANTS {
            self.bundles.with_label_values(&[why.as_ref()]);
        }
        for label in PkiError::labels() {
            self.errors.with_label_values(&[label]);
        }
    }

    /// Counts what happened.
    pub fn observe(&self, event: &Event) {
        match event {
            Event::Wrote { changes, .. } => changes.iter().for_each(|change| self.changed(change)),
            Event::Published { why, .. } => self.bundles.with_label_values(&[why.as_ref()]).inc(),
            Event::Absent { .. } => {}
            Event::Failed(error) => self.errors.with_label_values(&[error.label()]).inc(),
            Event::Holds {
                ca_expires,
                next_signs,
            } => {
                self.ca_expiry.set(*ca_expires);
                self.next_ca.set(*next_signs);
            }
        }
    }

    fn changed(&self, change: &Change) {
        let [lost, untrusted] = OTHER_REPAIRS;
        match change {
            Change::MakeSigner(why) | Change::MakeNext(why) => {
                self.issued.with_label_values(&["ca", why.as_ref()]).inc();
            }
            Change::IssueLeaf(why, _) => {
                self.issued.with_label_values(&["leaf", why.as_ref()]).inc();
            }
            Change::Restore => self.repairs.with_label_values(&[lost]).inc(),
            Change::Trust(..) => self.repairs.with_label_values(&[untrusted]).inc(),
            Change::Repair(defect) => self.repairs.with_label_values(&[defect.as_ref()]).inc(),
            Change::Promote(_) | Change::Retire(_) => {}
        }
    }
}

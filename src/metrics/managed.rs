//! Certificates that berth manages by itself. Nothing of it is shown where files are used.

use std::time::SystemTime;

use prometheus::core::Collector;
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::pki::contents::{Fault, Part};
use crate::pki::decide::{Change, Why};
use crate::pki::{Cause, Event, Publication};

/// The metrics of managed certificates.
#[derive(Clone, Debug)]
pub struct ManagedCertificates {
    ca_expiry: IntGaugeVec,
    next_ca: IntGaugeVec,
    issued: IntCounterVec,
    repairs: IntCounterVec,
    bundles: IntCounterVec,
    errors: IntCounterVec,
}

/// Repairs that no fault of a part is the cause of.
const OTHER_REPAIRS: [&str; 2] = ["lost", "untrusted"];

impl ManagedCertificates {
    /// Registers everything; a gauge is shown once it is known.
    pub(super) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let gauge = |name: &str, help: &str| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), &[])?)
        };
        let metrics = Self {
            ca_expiry: gauge(
                "berth_tls_ca_expiry_timestamp_seconds",
                "When the CA that signs expires, in seconds since 1970.",
            )?,
            next_ca: gauge(
                "berth_tls_next_ca_signs_timestamp_seconds",
                "When the next CA begins to sign, in seconds since 1970; not there without a next CA.",
            )?,
            issued: counters(
                "berth_tls_issued_total",
                "Certificates that this replica made and stored, by why.",
                &["certificate", "cause"],
            )?,
            repairs: counters(
                "berth_tls_secret_repairs_total",
                "What this replica found wrong in the Secret and wrote right.",
                &["cause"],
            )?,
            bundles: counters(
                "berth_tls_ca_bundle_writes_total",
                "Webhook configurations whose caBundle this replica wrote: because a CA came or went, or because somebody else had changed it.",
                &["cause"],
            )?,
            errors: counters(
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
        for why in Why::ALL {
            for certificate in ["ca", "leaf"] {
                self.issued.with_label_values(&[certificate, why.name()]);
            }
        }
        let part = Part::Leaf;
        for fault in [
            Fault::Missing(part),
            Fault::Unreadable(part),
            Fault::Stranger(part),
        ] {
            self.repairs.with_label_values(&[fault.name()]);
        }
        for cause in OTHER_REPAIRS {
            self.repairs.with_label_values(&[cause]);
        }
        for why in Publication::ALL {
            self.bundles.with_label_values(&[why.name()]);
        }
        for cause in Cause::ALL {
            self.errors.with_label_values(&[cause.name()]);
        }
    }

    /// Takes in what happened.
    pub fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Changed(change) => self.changed(change),
            Event::Published(why) => self.bundles.with_label_values(&[why.name()]).inc(),
            Event::Failed(error) => self.errors.with_label_values(&[error.label()]).inc(),
            Event::Holds {
                ca_expires,
                next_signs,
            } => {
                show(&self.ca_expiry, *ca_expires);
                show(&self.next_ca, *next_signs);
            }
        }
    }

    fn changed(&self, change: &Change) {
        let [lost, untrusted] = OTHER_REPAIRS;
        match change {
            Change::MakeSigner(why) | Change::MakeNext(why) => {
                self.issued.with_label_values(&["ca", why.name()]).inc();
            }
            Change::IssueLeaf(why, _) => {
                self.issued.with_label_values(&["leaf", why.name()]).inc();
            }
            Change::Restore => self.repairs.with_label_values(&[lost]).inc(),
            Change::Trust(..) => self.repairs.with_label_values(&[untrusted]).inc(),
            Change::Mend(fault) => self.repairs.with_label_values(&[fault.name()]).inc(),
            Change::Promote(_) | Change::Retire(_) => {}
        }
    }
}

fn register<C: Collector + Clone + 'static>(
    registry: &Registry,
    collector: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

/// A gauge at 0 would look like a certificate that expired in 1970.
fn show(gauge: &IntGaugeVec, time: Option<SystemTime>) {
    let labels: [&str; 0] = [];
    match time.and_then(seconds) {
        Some(seconds) => gauge.with_label_values(&labels).set(seconds),
        // An error means that it was not there.
        None => drop(gauge.remove_label_values(&labels)),
    }
}

fn seconds(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

//! The probe increments `NB_Global.nb_cfg`. northd copies the value to `SB_Global.nb_cfg`, and
//! every live ovn-controller copies it to its `Chassis_Private` row. Kube-OVN does not probe.

use std::convert::Infallible;
use std::time::Duration;

use ovsdb::{
    ClientOptions, Datum, Error, ErrorKind, Mutation, Mutator, TransactError, Transaction,
    Transactor,
};
use prometheus::{IntCounter, IntCounterVec};
use tokio::time::{MissedTickBehavior, interval_at};

use crate::failure_log::FailureLog;
use crate::metrics::Registry;
use crate::ovn::connection::message;

/// The longest message of a server, in bytes: a reply holds little more than a number.
const MESSAGE: usize = 64 * 1024;

/// What the probe counts.
#[derive(Clone, Debug)]
pub struct ProbeMetrics {
    /// Probes that succeeded.
    pub probes: IntCounter,
    /// Probes that failed, by `cause`.
    pub failures: IntCounterVec,
}

impl ProbeMetrics {
    /// Registers the metrics, at zero.
    ///
    /// # Errors
    /// A metric of the same name is registered already: a defect.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            probes: registry.counter(
                "berth_probe_questions_total",
                "Probes of all chassis, through the northbound database.",
            )?,
            failures: registry.counters(
                "berth_probe_failures_total",
                "Probes of all chassis that failed, by cause.",
                &["cause"],
            )?,
        };
        for kind in ErrorKind::ALL {
            metrics.failures.with_label_values(&[kind.name()]);
        }
        Ok(metrics)
    }
}

/// Increments `NB_Global.nb_cfg`, over a new connection each time.
#[derive(Debug)]
pub struct Probe {
    transactor: Transactor,
}

impl Probe {
    /// A probe of the northbound database with these options.
    #[must_use]
    pub const fn new(options: ClientOptions) -> Self {
        Self {
            transactor: Transactor::new(options).with_limit(MESSAGE),
        }
    }

    /// Probes at once and then at every interval, until the future is dropped. Concurrent probes do
    /// no harm: chassis answer the highest value. While OVN's configuration keeps chassis from
    /// answering (`answers` is false), it pauses: a probe would still cost northd a round.
    pub async fn run(
        &mut self,
        every: Duration,
        metrics: &ProbeMetrics,
        answers: impl Fn() -> bool,
    ) -> Infallible {
        let mut ticks = interval_at(tokio::time::Instant::now(), every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failures = FailureLog::default();
        let mut pauses = false;
        loop {
            ticks.tick().await;
            let in_vain = !answers();
            match (std::mem::replace(&mut pauses, in_vain), in_vain) {
                (false, true) => tracing::warn!(
                    "the probe pauses: no chassis would answer while NB_Global.options:enable_chassis_nb_cfg_update is false"
                ),
                (true, false) => tracing::info!("the probe continues: chassis answer again"),
                _ => {}
            }
            if in_vain {
                continue;
            }
            match self.bump().await {
                Ok(nb_cfg) => {
                    metrics.probes.inc();
                    if failures.clear() {
                        tracing::info!(nb_cfg, "the probe works again");
                    }
                }
                Err(error) => {
                    let kind = error.kind();
                    metrics.failures.with_label_values(&[kind.name()]).inc();
                    if failures.record(kind) {
                        let error = message(&error);
                        tracing::warn!(
                            cause = kind.name(),
                            "the probe fails, and dead chassis are not detected: {error}"
                        );
                    }
                }
            }
        }
    }

    /// Increments the value once, on the first server that accepts it, and returns the new value.
    ///
    /// # Errors
    /// The error of the last server that was tried.
    pub async fn bump(&mut self) -> Result<i64, Error> {
        // A second increment does no harm.
        let mut transaction = Transaction::new("OVN_Northbound").repeatable();
        let add = [Mutation::new("nb_cfg", Mutator::Add, 1)];
        let mutate = transaction.mutate("NB_Global", &[], &add);
        let select = transaction.select("NB_Global", &[], &["nb_cfg"]);
        let reply = self.transactor.transact(&transaction).await;
        let reply = reply.map_err(|error| match error {
            TransactError::NotDone(error) | TransactError::Unknown(error) => error,
            TransactError::Failed(_) => Error::new(ErrorKind::Refused, error.to_string()),
        })?;
        if reply.count(mutate) == Some(0) {
            let message = "the server refuses transact: NB_Global has no row";
            return Err(Error::new(ErrorKind::Refused, message));
        }
        let nb_cfg = reply.rows(select).first().and_then(|row| row.get("nb_cfg"));
        nb_cfg.and_then(Datum::integer).ok_or_else(|| {
            let message = "the reply to transact can't be read";
            Error::new(ErrorKind::Unreadable, message)
        })
    }
}

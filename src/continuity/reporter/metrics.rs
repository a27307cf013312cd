//! The metrics of what is observed.

use prometheus::{HistogramVec, IntCounterVec, IntGauge};
use strum::VariantArray;

use crate::continuity::observer::Told;
use crate::decide::causes::Cause;
use crate::decide::continuity::timeline::{News, Outcome, Stage};
use crate::metrics::Registry;

/// From a change that OVN passes on at once to a migration that copies for minutes.
const BUCKETS: [f64; 11] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0,
];

/// What a detector finds.
const FOUND: [Cause; 8] = [
    Cause::PairMissing,
    Cause::PairRemoved,
    Cause::PairStale,
    Cause::PortNotMoved,
    Cause::PortElsewhere,
    Cause::AddressTwice,
    Cause::TargetBehind,
    Cause::FlowsLate,
];

/// The metrics of what is observed.
#[derive(Clone, Debug)]
pub struct Metrics {
    stages: HistogramVec,
    cutovers: IntCounterVec,
    findings: IntCounterVec,
    events: IntCounterVec,
    /// VMs whose ports are left with a pair of chassis.
    pub stale: IntGauge,
}

impl Metrics {
    /// Registers everything, at zero.
    ///
    /// # Errors
    /// As the methods of [`Registry`].
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            stages: registry.histograms(
                "berth_cutover_stage_seconds",
                "How long after the stage before it a migration reached a stage, as far as the leader saw both.",
                &["stage"],
                &BUCKETS,
            )?,
            cutovers: registry.counters(
                "berth_cutovers_total",
                "Migrations that have ended, by what the leader saw of their network.",
                &["outcome"],
            )?,
            findings: registry.counters(
                "berth_cutover_findings_total",
                "What the leader found wrong with the network of migrations and of VMs after them, by code.",
                &["code"],
            )?,
            events: registry.counters(
                "berth_events_total",
                "Events about migrations, by what came of them.",
                &["outcome"],
            )?,
            stale: registry.gauge(
                "berth_stale_port_pairs",
                "VMs whose ports name two chassis while no migration is under way.",
            )?,
        };
        // Created at the beginning, before which there is none.
        for stage in Stage::VARIANTS
            .iter()
            .filter(|stage| **stage != Stage::Created)
        {
            metrics.stages.with_label_values(&[stage.as_ref()]);
        }
        for outcome in Outcome::VARIANTS {
            metrics.cutovers.with_label_values(&[outcome.as_ref()]);
        }
        for cause in FOUND {
            metrics.findings.with_label_values(&[cause.row().code]);
        }
        for outcome in ["written", "failed"] {
            metrics.events.with_label_values(&[outcome]);
        }
        Ok(metrics)
    }

    pub(super) fn told(&self, told: &Told) {
        let found = |cause: Cause| {
            self.findings.with_label_values(&[cause.row().code]).inc();
        };
        match told {
            Told::Migration(_, News::Reached(stage, Some(took))) => {
                let histogram = self.stages.with_label_values(&[stage.as_ref()]);
                histogram.observe(took.as_secs_f64());
            }
            Told::Migration(_, News::Reached(_, None)) => {}
            Told::Migration(_, News::Found(finding)) => found(finding.cause),
            Told::Migration(_, News::Ended(outcome)) => {
                self.cutovers.with_label_values(&[outcome.as_ref()]).inc();
            }
            Told::Stale { .. } => found(Cause::PairStale),
        }
    }

    pub(super) fn event(&self, is_written: bool) {
        let outcome = if is_written { "written" } else { "failed" };
        self.events.with_label_values(&[outcome]).inc();
    }
}

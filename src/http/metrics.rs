//! The metrics of the HTTPS routes, and the enums of their labels.

use std::time::{Duration, SystemTime};

use prometheus::{HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};
use strum::{AsRefStr, VariantArray};

use crate::decide::admit;
use crate::decide::checks::Check;
use crate::decide::evaluate::VerdictCounts;
use crate::decide::inject::{Operation, Outcome};
use crate::decide::score::{Effect, Input, Scale};
use crate::metrics::{Registry, unix_seconds};
use crate::wire::kubevirt::{Kind, MIGRATION};

/// From 100 µs, which is a small review, to 10 s, which is the longest timeout in use.
const BUCKETS: [f64; 11] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0,
];

/// Who is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Surface {
    /// kube-apiserver, at `/mutate` and `/validate`.
    Admission,
    /// kube-scheduler, at `/scheduler/…`.
    Extender,
    /// kube-scheduler, at `/scheduler/bind`.
    Bind,
    /// A path without a route.
    Other,
}

/// Why a request got no answer of its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RefusalCause {
    /// The request is not what the route takes.
    BadRequest,
    /// The body is over the limit.
    TooLarge,
    /// The body did not come, or the answer was not ready, in time.
    Timeout,
    /// Too many requests or too many bytes are in progress.
    Overloaded,
    /// The peer has as many requests or bytes in progress as leave room for others.
    PeerShare,
    /// The route needs a client certificate, and the client has none that it takes.
    Unauthorized,
    /// The first full lists of the cluster are not there yet.
    NotReady,
    /// No such path or method.
    NoRoute,
}

/// What came of an extender call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ExtenderOutcome {
    /// berth does not guard the pod: every node passes, or scores 0.
    NotGuarded,
    /// The nodes were judged, or scored.
    Judged,
    /// The pod's VMI is not known: the scheduler is to try again.
    VmiUnknown,
    /// The call can't be answered.
    BadArgs,
}

/// What kube-scheduler asks an extender for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Verb {
    /// Which nodes may the pod land on?
    Filter,
    /// Which of them are better?
    Prioritize,
    /// On which nodes may others be evicted for it?
    Preempt,
}

/// The metrics of the HTTPS routes.
#[derive(Clone, Debug)]
pub struct Metrics {
    admission_requests: IntCounterVec,
    admission_duration: HistogramVec,
    extender_requests: IntCounterVec,
    extender_duration: HistogramVec,
    extender_last_call: IntGaugeVec,
    nodes_judged: IntCounterVec,
    obstacles: IntCounterVec,
    inputs: IntCounterVec,
    refused: IntCounterVec,
    in_flight: IntGaugeVec,
}

impl Metrics {
    /// Registers everything, at zero where the labels are known beforehand.
    ///
    /// # Errors
    /// As the methods of [`Registry`].
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            admission_requests: registry.counters(
                "berth_admission_requests_total",
                "Admission reviews answered, by what came of them.",
                &["kind", "operation", "outcome"],
            )?,
            admission_duration: registry.histograms(
                "berth_admission_duration_seconds",
                "Time from the head of an admission review to its answer.",
                &["outcome"],
                &BUCKETS,
            )?,
            extender_requests: registry.counters(
                "berth_extender_requests_total",
                "Extender calls answered, by what came of them.",
                &["verb", "outcome"],
            )?,
            extender_duration: registry.histograms(
                "berth_extender_duration_seconds",
                "Time from the head of an extender call to its answer.",
                &["verb"],
                &BUCKETS,
            )?,
            extender_last_call: registry.gauges(
                "berth_extender_last_call_timestamp_seconds",
                "When the last extender call was answered, in seconds since 1970; no series before the first one.",
                &["verb"],
            )?,
            nodes_judged: registry.counters(
                "berth_nodes_judged_total",
                "Nodes judged for a VM, by verdict and by the reason that was reported.",
                &["verdict", "reason"],
            )?,
            obstacles: registry.counters(
                "berth_node_obstacles_total",
                "Everything found against judged nodes, also what was not reported.",
                &["reason"],
            )?,
            inputs: registry.counters(
                "berth_score_inputs_total",
                "Prioritize calls scored, by what each input of a score came to among the nodes.",
                &["input", "effect"],
            )?,
            refused: registry.counters(
                "berth_requests_refused_total",
                "Requests refused with an HTTP status of 400 or more, by cause.",
                &["surface", "cause"],
            )?,
            in_flight: registry.gauges(
                "berth_requests_in_flight",
                "Requests being answered.",
                &["surface"],
            )?,
        };
        metrics.zero();
        Ok(metrics)
    }

    /// A series that appears with its first event makes that event invisible to `rate()`.
    fn zero(&self) {
        for verb in Verb::VARIANTS {
            for outcome in ExtenderOutcome::VARIANTS {
                self.extender_requests
                    .with_label_values(&[verb.as_ref(), outcome.as_ref()]);
            }
        }
        for input in Input::ALL {
            for effect in Effect::ALL {
                self.inputs
                    .with_label_values(&[input.name(), effect.name()]);
            }
        }
        for check in Check::ALL {
            self.obstacles.with_label_values(&[check.name()]);
        }
        self.add_nodes(&VerdictCounts::default());
        for kind in Kind::ALL {
            for operation in [Operation::Create, Operation::Update] {
                for outcome in Outcome::ALL {
                    let labels = [kind.name(), operation.name(), outcome.name()];
                    self.admission_requests.with_label_values(&labels);
                }
            }
        }
        for outcome in admit::Outcome::ALL {
            let labels = [MIGRATION, Operation::Create.name(), outcome.name()];
            self.admission_requests.with_label_values(&labels);
        }
        for surface in Surface::VARIANTS {
            for cause in RefusalCause::VARIANTS {
                self.refused
                    .with_label_values(&[surface.as_ref(), cause.as_ref()]);
            }
        }
    }

    /// An admission review was answered.
    pub fn admission(
        &self,
        kind: Option<&'static str>,
        operation: Operation,
        outcome: &'static str,
        took: Duration,
    ) {
        let kind = kind.unwrap_or("other");
        self.admission_requests
            .with_label_values(&[kind, operation.name(), outcome])
            .inc();
        self.admission_duration
            .with_label_values(&[outcome])
            .observe(took.as_secs_f64());
    }

    /// An extender call was answered.
    pub fn extender(&self, verb: Verb, outcome: ExtenderOutcome, took: Duration) {
        self.extender_requests
            .with_label_values(&[verb.as_ref(), outcome.as_ref()])
            .inc();
        self.extender_duration
            .with_label_values(&[verb.as_ref()])
            .observe(took.as_secs_f64());
        if let Some(now) = unix_seconds(SystemTime::now()) {
            self.extender_last_call
                .with_label_values(&[verb.as_ref()])
                .set(now);
        }
    }

    /// A filter call came to verdicts, or to none.
    pub fn nodes(&self, outcome: ExtenderOutcome, counts: &VerdictCounts) {
        if outcome == ExtenderOutcome::Judged {
            self.add_nodes(counts);
        }
    }

    fn add_nodes(&self, counts: &VerdictCounts) {
        let VerdictCounts {
            passed,
            unknown,
            reported,
            failed,
        } = counts;
        let judged = |verdict, reason| self.nodes_judged.with_label_values(&[verdict, reason]);
        judged("passed", "none").inc_by(*passed);
        judged("unknown", "not_yet_known").inc_by(*unknown);
        for check in Check::ALL {
            judged("rejected", check.name()).inc_by(reported[check as usize]);
            self.obstacles
                .with_label_values(&[check.name()])
                .inc_by(failed[check as usize]);
        }
    }

    /// A prioritize call was scored.
    pub fn scored(&self, scale: &Scale) {
        for &input in Input::ALL {
            self.inputs
                .with_label_values(&[input.name(), scale.effect(input).name()])
                .inc();
        }
    }

    /// A request was refused.
    pub fn refused(&self, surface: Surface, cause: RefusalCause) {
        self.refused
            .with_label_values(&[surface.as_ref(), cause.as_ref()])
            .inc();
    }

    /// The gauge of requests in progress.
    #[must_use]
    pub fn in_flight(&self, surface: Surface) -> IntGauge {
        self.in_flight.with_label_values(&[surface.as_ref()])
    }
}

impl Operation {
    /// The name in metric labels and logs, which is the name in the review.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

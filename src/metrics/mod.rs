//! What Prometheus scrapes. Every label value comes from an enum; none is a text of an error or of
//! a request, except the names of nodes and chassis.

mod duties;
mod listener;
pub mod managed;
mod named;
#[cfg(target_os = "linux")]
mod process;
mod southbound;
mod view;
mod watch;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use crate::cluster::{VmiReader, WatchStats};
use crate::decide::guard::Policy;
use crate::decide::inject::{Operation, Outcome};
use crate::decide::reason::{Reason, Reasons};
use crate::decide::score::{Effect, Input, Scale};
use crate::facts::{Sources, SouthboundSource};
use crate::metrics::duties::DutyCollector;
pub use crate::metrics::duties::DutyStats;
use crate::metrics::listener::ListenerCollector;
use crate::metrics::managed::ManagedCertificates;
use crate::metrics::southbound::SouthboundCollector;
use crate::metrics::view::ViewCollector;
use crate::metrics::watch::WatchCollector;
use crate::server::ServerStats;
use crate::telemetry;
use crate::tls::ReloadOutcome;
use crate::wire::kubevirt::Kind;

/// From 100 µs, which is a small review, to 10 s, which is the longest timeout in use.
const BUCKETS: [f64; 11] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0,
];

/// Who is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// kube-apiserver, at `/mutate`.
    Admission,
    /// kube-scheduler, at `/scheduler/…`.
    Extender,
    /// Anything that no route is for.
    Other,
}

impl Surface {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Admission, Self::Extender, Self::Other];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admission => "admission",
            Self::Extender => "extender",
            Self::Other => "other",
        }
    }
}

/// Why a request got no answer of its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

impl RefusalCause {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::BadRequest,
        Self::TooLarge,
        Self::Timeout,
        Self::Overloaded,
        Self::PeerShare,
        Self::Unauthorized,
        Self::NotReady,
        Self::NoRoute,
    ];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::Overloaded => "overloaded",
            Self::PeerShare => "peer_share",
            Self::Unauthorized => "unauthorized",
            Self::NotReady => "not_ready",
            Self::NoRoute => "no_route",
        }
    }
}

/// What came of an extender call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtenderOutcome {
    /// The pod is none that berth guards: every node passes, or scores 0.
    NotGuarded,
    /// The nodes were judged, or scored.
    Judged,
    /// The pod's VMI is not known: the scheduler is to try again.
    VmiUnknown,
    /// The call can't be answered.
    BadArgs,
}

impl ExtenderOutcome {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::NotGuarded,
        Self::Judged,
        Self::VmiUnknown,
        Self::BadArgs,
    ];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotGuarded => "not_guarded",
            Self::Judged => "judged",
            Self::VmiUnknown => "vmi_unknown",
            Self::BadArgs => "bad_args",
        }
    }
}

/// What kube-scheduler asks an extender for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Which nodes may the pod land on?
    Filter,
    /// Which of them are better?
    Prioritize,
    /// On which nodes may others be evicted for it?
    Preempt,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Filter, Self::Prioritize, Self::Preempt];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Prioritize => "prioritize",
            Self::Preempt => "preempt",
        }
    }
}

/// The verdicts of one call, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: u64,
    unknown: u64,
    reported: [u64; Reason::ALL.len()],
    found: [u64; Reason::ALL.len()],
}

impl Tally {
    /// Counts a judged node.
    pub fn judged(&mut self, reasons: Reasons) {
        let Some(first) = reasons.first() else {
            self.passed += 1;
            return;
        };
        self.reported[first as usize] += 1;
        for reason in reasons.iter() {
            self.found[reason as usize] += 1;
        }
    }

    /// Counts a node that berth does not know.
    pub fn unknown(&mut self) {
        self.unknown += 1;
    }

    /// How many nodes passed.
    #[must_use]
    pub const fn passed(&self) -> u64 {
        self.passed
    }
}

/// The metrics of the service.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    admission_requests: IntCounterVec,
    admission_duration: HistogramVec,
    extender_requests: IntCounterVec,
    extender_duration: HistogramVec,
    nodes_judged: IntCounterVec,
    obstacles: IntCounterVec,
    inputs: IntCounterVec,
    refused: IntCounterVec,
    in_flight: IntGaugeVec,
    certificate_expiry: IntGaugeVec,
    reloads: IntCounterVec,
    encoded: IntCounter,
    scrapes_refused: IntCounter,
    log_lines_dropped: IntCounter,
    /// Collectors fill their metrics while they are gathered: two at once would add to each other's.
    gathering: Arc<Mutex<()>>,
}

impl Metrics {
    /// Registers everything, at zero where the labels are known beforehand.
    ///
    /// # Errors
    /// A name or label that is no valid metric, or one that is registered twice: a defect.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let vec = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };
        let histograms = |name: &str, help: &str, labels: &[&str]| {
            let opts = HistogramOpts::new(name, help).buckets(BUCKETS.to_vec());
            let vec = HistogramVec::new(opts, labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok::<_, prometheus::Error>(vec)
        };

        let counter = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };

        register_build_info(&registry)?;
        register_process(&registry)?;

        let metrics = Self {
            admission_requests: counters(
                "berth_admission_requests_total",
                "Admission reviews answered, by what came of them.",
                &["kind", "operation", "outcome"],
            )?,
            admission_duration: histograms(
                "berth_admission_duration_seconds",
                "Time from the head of an admission review to its answer.",
                &["outcome"],
            )?,
            extender_requests: counters(
                "berth_extender_requests_total",
                "Extender calls answered, by what came of them.",
                &["verb", "outcome"],
            )?,
            extender_duration: histograms(
                "berth_extender_duration_seconds",
                "Time from the head of an extender call to its answer.",
                &["verb"],
            )?,
            nodes_judged: counters(
                "berth_nodes_judged_total",
                "Nodes judged for a VM, by verdict and by the reason that was reported.",
                &["verdict", "reason"],
            )?,
            obstacles: counters(
                "berth_node_obstacles_total",
                "Everything found against judged nodes, also what was not reported.",
                &["reason"],
            )?,
            inputs: counters(
                "berth_score_inputs_total",
                "Prioritize calls scored, by what each input of a score came to among the nodes.",
                &["input", "effect"],
            )?,
            refused: counters(
                "berth_requests_refused_total",
                "Requests refused with an HTTP status of 400 or more, by cause.",
                &["surface", "cause"],
            )?,
            in_flight: gauges(
                "berth_requests_in_flight",
                "Requests being answered.",
                &["surface"],
            )?,
            reloads: counters(
                "berth_tls_reloads_total",
                "Changed certificate files that were taken or refused.",
                &["outcome"],
            )?,
            certificate_expiry: gauges(
                "berth_tls_certificate_expiry_timestamp_seconds",
                "When the serving certificate expires, in seconds since 1970; not there before there is one.",
                &[],
            )?,
            encoded: counter(
                "berth_metrics_encoded_total",
                "Times that the text of /metrics was made; all who ask within a second share it.",
            )?,
            scrapes_refused: counter(
                "berth_scrapes_refused_total",
                "Requests for /metrics refused, because too many from one address wait already.",
            )?,
            log_lines_dropped: counter(
                "berth_log_lines_dropped_total",
                "Log lines that standard error did not take, or not fast enough.",
            )?,
            gathering: Arc::default(),
            registry,
        };
        metrics.zero();
        Ok(metrics)
    }

    /// A series that appears with its first event makes that event invisible to `rate()`.
    fn zero(&self) {
        for verb in Verb::ALL {
            for outcome in ExtenderOutcome::ALL {
                self.extender_requests
                    .with_label_values(&[verb.name(), outcome.name()]);
            }
        }
        for input in Input::ALL {
            for effect in Effect::ALL {
                self.inputs
                    .with_label_values(&[input.name(), effect.name()]);
            }
        }
        for reason in Reason::ALL {
            self.obstacles.with_label_values(&[reason.name()]);
        }
        self.add_nodes(&Tally::default());
        for kind in Kind::ALL {
            for operation in [Operation::Create, Operation::Update] {
                for outcome in Outcome::ALL {
                    let labels = [kind.name(), operation.name(), outcome.name()];
                    self.admission_requests.with_label_values(&labels);
                }
            }
        }
        for surface in Surface::ALL {
            for cause in RefusalCause::ALL {
                self.refused
                    .with_label_values(&[surface.name(), cause.name()]);
            }
        }
        for label in ReloadOutcome::CHANGES {
            self.reloads.with_label_values(&[label]);
        }
    }

    /// Adds what is read off the views at every scrape.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn watch_view(&self, sources: Sources, policy: Policy) -> Result<(), prometheus::Error> {
        self.register(ViewCollector::new(sources, policy)?)
    }

    /// Adds what is read off the watches at every scrape.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn watch_watches(
        &self,
        watches: Arc<WatchStats>,
        reader: Arc<VmiReader>,
    ) -> Result<(), prometheus::Error> {
        self.register(WatchCollector::new(watches, reader)?)
    }

    /// Adds what is read off the southbound database at every scrape.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn watch_southbound(&self, source: SouthboundSource) -> Result<(), prometheus::Error> {
        self.register(SouthboundCollector::new(source)?)
    }

    /// Adds what is counted of what one replica does for all.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn watch_duties(&self, stats: DutyStats) -> Result<(), prometheus::Error> {
        self.register(DutyCollector::new(stats)?)
    }

    /// Adds what is read off the listeners at every scrape.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn watch_listeners(
        &self,
        https: Arc<ServerStats>,
        admin: Arc<ServerStats>,
    ) -> Result<(), prometheus::Error> {
        self.register(ListenerCollector::new(https, admin)?)
    }

    /// Adds the certificates that berth manages by itself.
    ///
    /// # Errors
    /// As [`Metrics::new`].
    pub fn managed_certificates(&self) -> Result<ManagedCertificates, prometheus::Error> {
        ManagedCertificates::new(&self.registry)
    }

    fn register(&self, collector: impl Collector + 'static) -> Result<(), prometheus::Error> {
        self.registry.register(Box::new(collector))
    }

    /// An admission review was answered.
    pub fn admission(
        &self,
        kind: Option<Kind>,
        operation: Operation,
        outcome: Outcome,
        took: Duration,
    ) {
        let kind = kind.map_or("other", Kind::name);
        self.admission_requests
            .with_label_values(&[kind, operation.name(), outcome.name()])
            .inc();
        self.admission_duration
            .with_label_values(&[outcome.name()])
            .observe(took.as_secs_f64());
    }

    /// An extender call was answered.
    pub fn extender(&self, verb: Verb, outcome: ExtenderOutcome, took: Duration) {
        self.extender_requests
            .with_label_values(&[verb.name(), outcome.name()])
            .inc();
        self.extender_duration
            .with_label_values(&[verb.name()])
            .observe(took.as_secs_f64());
    }

    /// A filter call came to verdicts, or to none.
    pub fn nodes(&self, outcome: ExtenderOutcome, tally: &Tally) {
        if outcome == ExtenderOutcome::Judged {
            self.add_nodes(tally);
        }
    }

    fn add_nodes(&self, tally: &Tally) {
        let Tally {
            passed,
            unknown,
            reported,
            found,
        } = tally;
        let judged = |verdict, reason| self.nodes_judged.with_label_values(&[verdict, reason]);
        judged("passed", "none").inc_by(*passed);
        judged("unknown", "not_yet_known").inc_by(*unknown);
        for reason in Reason::ALL {
            judged("rejected", reason.name()).inc_by(reported[reason as usize]);
            self.obstacles
                .with_label_values(&[reason.name()])
                .inc_by(found[reason as usize]);
        }
    }

    /// A prioritize call was scored.
    pub fn scored(&self, scale: &Scale) {
        for input in Input::ALL {
            self.inputs
                .with_label_values(&[input.name(), scale.effect(input).name()])
                .inc();
        }
    }

    /// A request was refused.
    pub fn refused(&self, surface: Surface, cause: RefusalCause) {
        self.refused
            .with_label_values(&[surface.name(), cause.name()])
            .inc();
    }

    /// The gauge of requests in progress.
    #[must_use]
    pub fn in_flight(&self, surface: Surface) -> IntGauge {
        self.in_flight.with_label_values(&[surface.name()])
    }

    /// The serving certificate expires at this time, in seconds since 1970.
    pub fn certificate_expires(&self, at: i64) {
        let labels: [&str; 0] = [];
        self.certificate_expiry.with_label_values(&labels).set(at);
    }

    /// A changed certificate was taken, or refused.
    pub fn certificate_changed(&self, outcome: &ReloadOutcome) {
        self.reloads.with_label_values(&[outcome.label()]).inc();
    }

    /// A request for the metrics was refused.
    pub fn scrape_refused(&self) {
        self.scrapes_refused.inc();
    }

    /// Everything in Prometheus's text format, which takes a while in a large cluster.
    ///
    /// # Errors
    /// A metric without samples or an invalid name: a defect.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        let gathering = self.gathering.lock();
        let _alone = gathering.unwrap_or_else(PoisonError::into_inner);
        self.encoded.inc();
        self.log_lines_dropped.reset();
        self.log_lines_dropped.inc_by(telemetry::dropped_lines());
        TextEncoder::new().encode_to_string(&self.registry.gather())
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

fn register_build_info(registry: &Registry) -> Result<(), prometheus::Error> {
    let opts = Opts::new("berth_build_info", "The version that runs, always 1.");
    let info = IntGaugeVec::new(opts, &["version"])?;
    info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    registry.register(Box::new(info))
}

#[cfg(target_os = "linux")]
fn register_process(registry: &Registry) -> Result<(), prometheus::Error> {
    registry.register(Box::new(process::ProcessCollector::new()?))
}

#[cfg(not(target_os = "linux"))]
fn register_process(_: &Registry) -> Result<(), prometheus::Error> {
    Ok(())
}

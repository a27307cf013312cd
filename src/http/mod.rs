//! The HTTPS routes: decode, take a view, decide, record, encode. One file a surface.

mod admin;
mod body;
mod budget;
mod decision;
mod filter;
mod held;
mod lane;
mod metrics;
mod mutate;
#[cfg(feature = "null-route")]
mod null;
mod preempt;
mod prioritize;
mod refusal;
mod scrape;
mod vmi;

use std::net::IpAddr;
use std::num::NonZero;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::cluster::{Lookup, VmiReader};
use crate::config::Limits;
use crate::decide::policy::Policy;
use crate::http::lane::{Attempt, Lane};
use crate::http::refusal::Refusal;
use crate::snapshot::{Snapshot, Stores};
use crate::text::{LONGEST_TEXT, shorten};
use crate::throttle::Throttle;

pub use admin::admin_router;
pub use filter::{FilterAnswer, filter};
pub use metrics::{ExtenderOutcome, Metrics, RefusalCause, Surface, Verb};
pub use mutate::{MutateAnswer, mutate};
pub use preempt::{PreemptAnswer, preempt};
pub use prioritize::{PrioritizeAnswer, prioritize};
pub use vmi::VmiRef;

/// How often a kind of refusal, which callers can cause at will, is logged.
const LOG_PERIOD: Duration = Duration::from_secs(1);

/// How long an answer in which no node passes waits for something new, how often one may in the long
/// run, and how many in a row.
const HOPE: Duration = Duration::from_millis(150);
const HOPE_EVERY: Duration = Duration::from_secs(2);
const HOPES: u32 = 5;

/// What the handlers share.
#[derive(Debug)]
pub struct Service {
    stores: Stores,
    reader: Option<Arc<VmiReader>>,
    policy: Policy,
    metrics: Metrics,
    handler_timeout: Duration,
    admission: Lane,
    extender: Lane,
    next_hope: Mutex<Option<Instant>>,
    /// All but one of the threads that serve connections may answer larger requests at a time.
    serving_threads: Semaphore,
    refusals: [Mutex<Throttle>; RefusalCause::ALL.len()],
    problems: Mutex<Throttle>,
}

impl Service {
    /// A service on stores whose views may be replaced at any time. With a reader it looks up a VMI that
    /// the view does not have yet.
    #[must_use]
    pub fn new(
        stores: Stores,
        reader: Option<Arc<VmiReader>>,
        policy: Policy,
        metrics: Metrics,
        limits: &Limits,
    ) -> Arc<Self> {
        let throttle = || Mutex::new(Throttle::new(LOG_PERIOD));
        Arc::new(Self {
            admission: Lane::admission(limits, &metrics),
            extender: Lane::extender(limits, &metrics),
            handler_timeout: limits.handler_timeout.0,
            serving_threads: Semaphore::new(serving_threads().saturating_sub(1)),
            next_hope: Mutex::default(),
            refusals: RefusalCause::ALL.map(|_| throttle()),
            problems: throttle(),
            stores,
            reader,
            policy,
            metrics,
        })
    }

    /// What is known, once there is something to decide on. What is not known yet is not taken for
    /// what is not there: kube-apiserver and kube-scheduler have their own way to go on without berth.
    fn snapshot(&self) -> Result<Snapshot, Refusal> {
        let snapshot = self.stores.snapshot();
        if snapshot.cluster.is_complete() {
            Ok(snapshot)
        } else {
            Err(Refusal::NotReady)
        }
    }

    /// Until when an answer in which no node passes may wait for something new. What wakes a rejected
    /// pod in kube-scheduler comes to berth as well, and may come there first by a moment; the pod
    /// would wait for the next thing that happens to a node. But kube-scheduler does one pod at a
    /// time: only a small part of its time is taken, however many pods fit nowhere.
    fn hope(&self, now: Instant) -> Option<Instant> {
        let mut next = self
            .next_hope
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let due = next.map_or(now, |next| next.max(now));
        if due > now + HOPE_EVERY * (HOPES - 1) {
            return None;
        }
        *next = Some(due + HOPE_EVERY);
        Some(now + HOPE)
    }

    /// The VMI to read before an answer is final: one that was not asked for yet, where it can be.
    fn to_read(&self, unknown: Option<VmiRef>, attempt: &Attempt) -> Option<VmiRef> {
        unknown.filter(|_| attempt.lookup.is_none() && self.reader.is_some())
    }

    /// Records an answer to kube-scheduler.
    fn extended(
        &self,
        verb: Verb,
        outcome: ExtenderOutcome,
        problem: Option<&str>,
        start: Instant,
    ) {
        if let Some(problem) = problem {
            self.problem(Surface::Extender, problem);
        }
        self.metrics.extender(verb, outcome, start.elapsed());
    }

    async fn read(&self, source: IpAddr, vmi: &VmiRef) -> Lookup {
        let VmiRef {
            namespace,
            name,
            uid,
        } = vmi;
        match &self.reader {
            Some(reader) => reader.read(source, namespace, name, uid).await,
            None => Lookup::Absent,
        }
    }

    /// Answers with a status, and says why, to the caller and in the log.
    fn refuse(&self, surface: Surface, refusal: &Refusal) -> Response {
        let text = shorten(refusal, LONGEST_TEXT);
        let (status, cause) = refusal.answer();
        self.metrics.refused(surface, cause);
        if let Some(unlogged) = pass(&self.refusals[cause as usize]) {
            let surface = surface.name();
            tracing::warn!(
                surface,
                status = status.as_u16(),
                unlogged,
                "request refused: {text}"
            );
        }
        (status, format!("berth: {text}\n")).into_response()
    }

    /// Logs what kept a well-formed request from a good answer.
    fn problem(&self, surface: Surface, text: &str) {
        if let Some(unlogged) = pass(&self.problems) {
            tracing::warn!(surface = surface.name(), unlogged, "{text}");
        }
    }
}

/// How many threads serve connections: as many as the runtime starts.
fn serving_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

fn pass(throttle: &Mutex<Throttle>) -> Option<u64> {
    let mut throttle = throttle.lock().unwrap_or_else(PoisonError::into_inner);
    throttle.pass()
}

/// The routes of the HTTPS listener.
pub fn router(service: Arc<Service>) -> Router {
    let router = Router::new()
        .route("/mutate", post(mutate::handle))
        .route("/scheduler/filter", post(filter::handle))
        .route("/scheduler/prioritize", post(prioritize::handle))
        .route("/scheduler/preempt", post(preempt::handle));
    #[cfg(feature = "null-route")]
    let router = router.route("/null", post(null::handle));
    router
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_route)
        .with_state(service)
}

async fn wrong_method(State(service): State<Arc<Service>>, method: Method) -> Response {
    service.refuse(Surface::Other, &Refusal::WrongMethod(method))
}

async fn no_route(State(service): State<Arc<Service>>) -> Response {
    service.refuse(Surface::Other, &Refusal::NoRoute)
}

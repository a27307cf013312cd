//! The HTTPS routes: decode, take a view, decide, record, encode. One file a surface.

mod admin;
mod body;
mod decision;
mod filter;
mod held;
mod lane;
mod mutate;
mod preempt;
mod refusal;
mod vmi;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use axum::Router;
use axum::extract::State;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use crate::cluster::{Lookup, View, VmiReader};
use crate::config::Limits;
use crate::decide::guard::Policy;
use crate::http::lane::Lane;
use crate::http::refusal::Refusal;
use crate::metrics::{Metrics, RefusalCause, Surface};
use crate::throttle::Throttle;
use crate::wire::shorten;

pub use admin::admin_router;
pub use filter::{FilterAnswer, filter};
pub use mutate::{MutateAnswer, mutate};
pub use preempt::{PreemptAnswer, preempt};
pub use vmi::VmiRef;

/// How often a kind of refusal, which callers can cause at will, is logged.
const LOG_PERIOD: Duration = Duration::from_secs(1);

/// What is quoted of a request's own words in an answer or a log line, in characters.
const LONGEST_TEXT: usize = 400;

/// What the handlers share.
#[derive(Debug)]
pub struct Service {
    view: Arc<ArcSwap<View>>,
    reader: Option<Arc<VmiReader>>,
    policy: Policy,
    metrics: Metrics,
    handler_timeout: Duration,
    admission: Lane,
    extender: Lane,
    refusals: [Mutex<Throttle>; RefusalCause::ALL.len()],
    problems: Mutex<Throttle>,
}

impl Service {
    /// A service on a view that may be replaced at any time. With a reader it looks up a VMI that
    /// the view does not have yet.
    #[must_use]
    pub fn new(
        view: Arc<ArcSwap<View>>,
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
            refusals: RefusalCause::ALL.map(|_| throttle()),
            problems: throttle(),
            view,
            reader,
            policy,
            metrics,
        })
    }

    /// The view, once there is something to decide on. What is not known yet is not taken for what
    /// is not there: kube-apiserver and kube-scheduler have their own way to go on without berth.
    fn view(&self) -> Result<Guard<Arc<View>>, Refusal> {
        let view = self.view.load();
        if view.is_complete() {
            Ok(view)
        } else {
            Err(Refusal::NotReady)
        }
    }

    fn can_read(&self) -> bool {
        self.reader.is_some()
    }

    async fn read(&self, vmi: &VmiRef) -> Lookup {
        match &self.reader {
            Some(reader) => reader.read(&vmi.namespace, &vmi.name).await,
            None => Lookup::Absent,
        }
    }

    /// Answers with a status, and says why, to the caller and in the log.
    fn refuse(&self, surface: Surface, refusal: &Refusal) -> Response {
        let text = shorten(&refusal.to_string(), LONGEST_TEXT);
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

fn pass(throttle: &Mutex<Throttle>) -> Option<u64> {
    let mut throttle = throttle.lock().unwrap_or_else(PoisonError::into_inner);
    throttle.pass()
}

/// The routes of the HTTPS listener.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/mutate", post(mutate::handle))
        .route("/scheduler/filter", post(filter::handle))
        .route("/scheduler/preempt", post(preempt::handle))
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

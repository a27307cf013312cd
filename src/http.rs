//! What the two listeners serve. Every handler admits the request within its caller's limits, takes a
//! snapshot, decides, records and answers.

mod admin;
mod admission;
mod extender;
mod limits;
mod metrics;
#[cfg(feature = "null-route")]
mod null;
mod refusal;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use strum::VariantArray;

use crate::cluster::VmiReader;
use crate::config::{Limits, Size};
use crate::continuity::Binder;
use crate::decide::policy::Policy;
use crate::http::extender::ChangeWaitLimiter;
use crate::http::limits::{BodyLimits, CallerLimits, Request, RequestLimiter, ServingThreads};
use crate::http::refusal::Refusal;
use crate::peer::{Grant, Peer};
use crate::snapshot::{Snapshot, Stores};
use crate::text::{LONGEST_TEXT, shorten};
use crate::throttle::Throttle;

pub use admin::admin_router;
pub use admission::{MutateAnswer, ValidateAnswer, mutate, validate};
pub use extender::{
    CallReport, FilterAnswer, PreemptAnswer, PrioritizeAnswer, VmiRef, filter, preempt, prioritize,
};
pub use metrics::{ExtenderOutcome, Metrics, RefusalCause, Surface, Verb};

/// How often a kind of refusal, which callers can cause at will, is logged.
const LOG_PERIOD: Duration = Duration::from_secs(1);

/// The largest body of a bind call, in bytes: four names.
const BIND_BODY: usize = 16 << 10;

/// What a bind call may take beside the bind itself.
const BIND_MARGIN: Duration = Duration::from_secs(1);

/// What the handlers share.
#[derive(Debug)]
pub struct Service {
    stores: Stores,
    reader: Option<Arc<VmiReader>>,
    policy: Policy,
    metrics: Metrics,
    handler_timeout: Duration,
    admission: RequestLimiter,
    extender: RequestLimiter,
    binds: RequestLimiter,
    binder: Option<Binder>,
    change_waits: ChangeWaitLimiter,
    refusals: [Mutex<Throttle>; RefusalCause::VARIANTS.len()],
    problems: Mutex<Throttle>,
}

impl Service {
    /// A service on stores whose views may be replaced at any time. With a reader it looks up a VMI that
    /// the view does not have yet, and with a binder it binds pods.
    #[must_use]
    pub fn new(
        stores: Stores,
        reader: Option<Arc<VmiReader>>,
        binder: Option<Binder>,
        policy: Policy,
        metrics: Metrics,
        limits: &Limits,
    ) -> Arc<Self> {
        let throttle = || Mutex::new(Throttle::new(LOG_PERIOD));
        let serving = ServingThreads::default();
        let body = |limit: Size, field| BodyLimits {
            limit: limit.bytes(),
            field: Some(field),
            rate: limits.body_rate.bytes(),
        };
        let admission = CallerLimits {
            body: body(limits.admission_body, "admissionBody"),
            bytes: limits.admission_bodies_in_flight.bytes(),
            requests: limits.admission_requests,
        };
        let extender = CallerLimits {
            body: body(limits.extender_body, "extenderBody"),
            bytes: limits.extender_bodies_in_flight.bytes(),
            requests: limits.extender_requests,
        };
        let binds = CallerLimits {
            body: BodyLimits {
                limit: BIND_BODY,
                field: None,
                rate: limits.body_rate.bytes(),
            },
            bytes: BIND_BODY * usize::try_from(limits.bind_requests).unwrap_or(usize::MAX),
            requests: limits.bind_requests,
        };
        Arc::new(Self {
            binds: RequestLimiter::new(Surface::Bind, binds, &serving, &metrics),
            binder,
            admission: RequestLimiter::new(Surface::Admission, admission, &serving, &metrics),
            extender: RequestLimiter::new(Surface::Extender, extender, &serving, &metrics),
            handler_timeout: limits.handler_timeout.0,
            change_waits: ChangeWaitLimiter::default(),
            refusals: std::array::from_fn(|_| throttle()),
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

    /// Admits a request of kube-apiserver, which gives up after `patience`.
    async fn admit_review(
        &self,
        peer: Peer,
        patience: Duration,
        body: Body,
    ) -> Result<Request<'_>, Refusal> {
        check_grant(peer.access.admission, "--client-ca")?;
        self.admission.admit(peer.address, patience, body).await
    }

    /// Admits a request of kube-scheduler.
    async fn admit_call(&self, peer: Peer, body: Body) -> Result<Request<'_>, Refusal> {
        check_grant(peer.access.extender, "--scheduler-client-ca")?;
        let patience = self.handler_timeout;
        self.extender.admit(peer.address, patience, body).await
    }

    /// Admits a call of kube-scheduler to bind a pod, which may take longer than the others.
    async fn admit_bind(&self, peer: Peer, body: Body) -> Result<Request<'_>, Refusal> {
        check_grant(peer.access.extender, "--scheduler-client-ca")?;
        let patience = self.binder.as_ref().map_or(self.handler_timeout, |binder| {
            binder.patience() + BIND_MARGIN
        });
        self.binds.admit(peer.address, patience, body).await
    }

    /// The response to a request, or the status of its refusal.
    fn finish(&self, surface: Surface, answered: Result<Response, Refusal>) -> Response {
        answered.unwrap_or_else(|refusal| self.refuse(surface, &refusal))
    }

    /// Answers with a status, and says why, to the caller and in the log.
    fn refuse(&self, surface: Surface, refusal: &Refusal) -> Response {
        let text = shorten(refusal, LONGEST_TEXT);
        let (status, cause) = refusal.answer();
        self.metrics.refused(surface, cause);
        if let Some(unlogged) = pass(&self.refusals[cause as usize]) {
            let surface = surface.as_ref();
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
    fn log_problem(&self, surface: Surface, text: &str) {
        if let Some(unlogged) = pass(&self.problems) {
            tracing::warn!(surface = surface.as_ref(), unlogged, "{text}");
        }
    }
}

fn check_grant(grant: Grant, flag: &'static str) -> Result<(), Refusal> {
    match grant {
        Grant::Granted => Ok(()),
        Grant::NoCertificate => Err(Refusal::NoCertificate(flag)),
        Grant::OtherCertificate => Err(Refusal::OtherCertificate(flag)),
    }
}

fn pass(throttle: &Mutex<Throttle>) -> Option<u64> {
    let mut throttle = throttle.lock().unwrap_or_else(PoisonError::into_inner);
    throttle.pass()
}

/// The peer of a request, as the listener knows it.
struct ClientPeer(Peer);

impl<S: Sync> FromRequestParts<S> for ClientPeer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<Peer>().copied();
        Ok(Self(peer.unwrap_or_default()))
    }
}

/// The routes of the HTTPS listener.
pub fn router(service: Arc<Service>) -> Router {
    let router = Router::new()
        .route("/mutate", post(admission::handle_mutate))
        .route("/validate", post(admission::handle_validate))
        .route("/scheduler/filter", post(extender::handle_filter))
        .route("/scheduler/prioritize", post(extender::handle_prioritize))
        .route("/scheduler/preempt", post(extender::handle_preempt))
        .route("/scheduler/bind", post(extender::handle_bind));
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

//! The HTTPS routes: decode, take a view, decide, record, encode. One file a surface.

mod admin;
mod body;
mod filter;
mod mutate;
mod refusal;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use prometheus::IntGauge;
use tokio::sync::Semaphore;

use crate::cluster::View;
use crate::config::Limits;
use crate::decide::guard::Policy;
use crate::http::body::Budget;
use crate::http::refusal::Refusal;
use crate::metrics::{Metrics, Surface};

pub use admin::admin_router;
pub use filter::{FilterAnswer, filter};
pub use mutate::{MutateAnswer, mutate};
pub use refusal::Refusal as HttpRefusal;

/// What the handlers share.
#[derive(Debug)]
pub struct Service {
    view: Arc<ArcSwap<View>>,
    policy: Policy,
    metrics: Metrics,
    limits: Limits,
    admission_slots: Semaphore,
    extender_slots: Semaphore,
    budget: Arc<Budget>,
}

impl Service {
    /// A service on a view that may be replaced at any time.
    #[must_use]
    pub fn new(
        view: Arc<ArcSwap<View>>,
        policy: Policy,
        metrics: Metrics,
        limits: Limits,
    ) -> Arc<Self> {
        let slots = |count: u32| Semaphore::new(usize::try_from(count).unwrap_or(usize::MAX));
        Arc::new(Self {
            view,
            policy,
            metrics,
            admission_slots: slots(limits.admission_requests),
            extender_slots: slots(limits.extender_requests),
            budget: Arc::new(Budget::new(limits.bodies_in_flight.bytes())),
            limits,
        })
    }

    fn slots(&self, surface: Surface) -> &Semaphore {
        match surface {
            Surface::Admission => &self.admission_slots,
            Surface::Extender | Surface::Other => &self.extender_slots,
        }
    }

    /// Runs a request within the bounds of its surface: a free slot now or not at all, and an
    /// answer before the deadline.
    async fn bounded(
        &self,
        surface: Surface,
        deadline: Duration,
        answer: impl Future<Output = Result<Vec<u8>, Refusal>>,
    ) -> Response {
        let result = match self.slots(surface).try_acquire() {
            Err(_) => Err(Refusal::TooManyRequests),
            Ok(_slot) => {
                let _counted = InFlight::begin(self.metrics.in_flight(surface));
                tokio::time::timeout(deadline, answer)
                    .await
                    .unwrap_or(Err(Refusal::Deadline(deadline)))
            }
        };
        match result {
            Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
            Err(refusal) => self.refuse(surface, &refusal),
        }
    }

    fn refuse(&self, surface: Surface, refusal: &Refusal) -> Response {
        self.metrics.refused(surface, refusal.cause());
        tracing::warn!(
            surface = surface.name(),
            status = refusal.status().as_u16(),
            "request refused: {refusal}"
        );
        (refusal.status(), format!("berth: {refusal}\n")).into_response()
    }
}

/// A request in progress, counted until it ends, also when its client leaves before that.
struct InFlight(IntGauge);

impl InFlight {
    fn begin(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The routes of the HTTPS listener.
pub fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/mutate", post(mutate::handle))
        .route("/scheduler/filter", post(filter::handle))
        .method_not_allowed_fallback(no_route)
        .fallback(no_route)
        .with_state(service)
}

async fn no_route(State(service): State<Arc<Service>>, method: Method, uri: Uri) -> Response {
    let path = uri.path();
    let refusal = if matches!(path, "/mutate" | "/scheduler/filter") {
        Refusal::WrongMethod(method)
    } else {
        Refusal::NoRoute
    };
    service.refuse(Surface::Other, &refusal)
}

/// The body of a request as text, within the limits, and the memory it stands for.
async fn read_body(
    service: &Service,
    body: Body,
    limit: usize,
    field: &'static str,
) -> Result<(String, body::Lease), Refusal> {
    let (bytes, lease) = body::read(body, limit, field, &service.budget).await?;
    let text = String::from_utf8(bytes).map_err(|error| Refusal::NotUtf8(error.utf8_error()))?;
    Ok((text, lease))
}

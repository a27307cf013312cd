//! The way of one caller's requests, with bounds of its own, so that neither caller takes what the
//! other needs: bytes that wait or are worked on, answers in progress, and time.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus::IntGauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::cluster::Lookup;
use crate::config::Limits;
use crate::http::Service;
use crate::http::body::{self, Budget, Lease};
use crate::http::held::{Clock, Held};
use crate::http::refusal::Refusal;
use crate::http::vmi::VmiRef;
use crate::metrics::{Metrics, RefusalCause, Surface};
use crate::wire::{Outgoing, Reply};

/// A body of this size takes a good part of a millisecond, and is answered off the threads that
/// serve everyone's connections.
const LARGE_BODY: usize = 256 << 10;

/// Answers the text of a body; `Instant` is when the request's head had come.
pub(super) type Answer = fn(&Service, &str, Instant, &Attempt) -> Result<Answered, Refusal>;

/// What the attempts before this one came to.
#[derive(Default)]
pub(super) struct Attempt {
    /// The VMI that was asked for.
    pub(super) lookup: Option<Lookup>,
    /// There was nothing new to wait for.
    pub(super) is_last: bool,
}

/// What an [`Answer`] comes to.
pub(super) enum Answered {
    /// The reply.
    Reply(Reply),
    /// First this VMI is to be read from the API server, and then everything once more.
    Unknown(VmiRef),
    /// No node passes: once more when something is new, if that is soon.
    Hopeless,
}

/// The bounds of one caller.
#[derive(Debug)]
pub(super) struct Lane {
    surface: Surface,
    body_limit: usize,
    body_field: &'static str,
    budget: Arc<Budget>,
    slots: Arc<Semaphore>,
    in_flight: IntGauge,
    clock: Arc<Clock>,
}

/// What an answer in progress holds until its last byte has been handed over.
#[derive(Debug)]
pub(super) struct Share {
    surface: Surface,
    service: Arc<Service>,
    _lease: Lease,
    _slot: OwnedSemaphorePermit,
    _counted: InFlight,
}

impl Share {
    /// Gives everything back, because the answer was not taken in time.
    pub(super) fn given_up(self) {
        let metrics = &self.service.metrics;
        metrics.refused(self.surface, RefusalCause::Timeout);
        tracing::debug!(
            surface = self.surface.name(),
            "an answer was read too slowly"
        );
    }
}

impl Lane {
    pub(super) fn admission(limits: &Limits, metrics: &Metrics) -> Self {
        Self {
            surface: Surface::Admission,
            body_limit: limits.admission_body.bytes(),
            body_field: "admissionBody",
            budget: Budget::new(limits.admission_bodies_in_flight.bytes()),
            slots: slots(limits.admission_requests),
            in_flight: metrics.in_flight(Surface::Admission),
            clock: Arc::default(),
        }
    }

    pub(super) fn extender(limits: &Limits, metrics: &Metrics) -> Self {
        Self {
            surface: Surface::Extender,
            body_limit: limits.extender_body.bytes(),
            body_field: "extenderBody",
            budget: Budget::new(limits.extender_bodies_in_flight.bytes()),
            slots: slots(limits.extender_requests),
            in_flight: metrics.in_flight(Surface::Extender),
            clock: Arc::default(),
        }
    }

    /// Reads a request and answers it, each within `patience` from now on.
    pub(super) async fn run(
        &self,
        service: &Arc<Service>,
        patience: Duration,
        body: Body,
        answer: Answer,
    ) -> Response {
        match self.try_run(service, patience, body, answer).await {
            Ok((reply, share)) => {
                let held = Held::new(reply, share, patience, &self.clock);
                let headers = [(header::CONTENT_TYPE, "application/json")];
                (headers, Body::new(held)).into_response()
            }
            Err(refusal) => service.refuse(self.surface, &refusal),
        }
    }

    async fn try_run(
        &self,
        service: &Arc<Service>,
        patience: Duration,
        body: Body,
        answer: Answer,
    ) -> Result<(Outgoing, Share), Refusal> {
        let start = Instant::now();
        let deadline = start + patience;
        let counted = InFlight::begin(self.in_flight.clone());
        let reading = body::read(body, self.body_limit, self.body_field, &self.budget);
        let (bytes, lease) = timeout_at(deadline, reading)
            .await
            .unwrap_or(Err(Refusal::StalledBody(patience)))?;
        // Only a request that is there takes a slot: half a body costs bytes, and nobody's turn.
        let slot = Arc::clone(&self.slots).try_acquire_owned();
        let share = Share {
            surface: self.surface,
            service: Arc::clone(service),
            _lease: lease,
            _slot: slot.map_err(|_| Refusal::TooManyRequests)?,
            _counted: counted,
        };
        let text =
            String::from_utf8(bytes).map_err(|error| Refusal::NotUtf8(error.utf8_error()))?;
        let mut work = Work {
            service: Arc::clone(service),
            text,
            start,
            answer,
            share,
        };
        let mut attempt = Attempt::default();
        let mut until = None;
        loop {
            // Before the facts are looked at, so that nothing new comes in between.
            let news = service.sources.news.notified();
            let answered;
            (answered, attempt, work) = work.run(attempt, deadline, patience).await?;
            match answered {
                Answered::Reply(reply) => return Ok((reply.send(work.text), work.share)),
                Answered::Unknown(vmi) => {
                    let reading = service.read(&vmi);
                    let late = |_| Refusal::Late(patience);
                    attempt.lookup = Some(timeout_at(deadline, reading).await.map_err(late)?);
                }
                Answered::Hopeless => {
                    let hope = *until.get_or_insert_with(|| service.hope(Instant::now()));
                    attempt.is_last = match hope {
                        Some(until) => timeout_at(until.min(deadline), news).await.is_err(),
                        None => true,
                    };
                }
            }
        }
    }
}

/// A request that is there, on its way to an answer.
struct Work {
    service: Arc<Service>,
    text: String,
    start: Instant,
    answer: Answer,
    share: Share,
}

impl Work {
    async fn run(
        self,
        attempt: Attempt,
        deadline: Instant,
        patience: Duration,
    ) -> Result<(Answered, Attempt, Self), Refusal> {
        let is_large = self.text.len() >= LARGE_BODY;
        // The share goes along: work that outlasts the deadline, or its client, still counts.
        let work = move || {
            let answered = (self.answer)(&self.service, &self.text, self.start, &attempt)?;
            Ok((answered, attempt, self))
        };
        if !is_large {
            return work();
        }
        let mut task = AbortOnDrop(tokio::task::spawn_blocking(work));
        match timeout_at(deadline, &mut task.0).await {
            Err(_) => Err(Refusal::Late(patience)),
            Ok(Ok(answered)) => answered,
            // To the listener, which logs and counts the panics of all handlers.
            Ok(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            Ok(Err(_)) => Err(Refusal::GivenUp),
        }
    }
}

fn slots(count: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(usize::MAX)))
}

/// Work that has not begun is not begun for a client that is gone.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A request in progress, counted until it ends, also when its client leaves before that.
#[derive(Debug)]
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

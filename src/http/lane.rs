//! The way of one caller's requests, with bounds of its own, so that neither caller takes what the
//! other needs: bytes that wait, are worked on or are to be sent, requests in progress, and time.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus::IntGauge;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::cluster::Lookup;
use crate::config::Limits;
use crate::http::body::{self, BASE, Bounds, Deadline};
use crate::http::budget::{Budget, BudgetGuard, CONNECTION_PART};
use crate::http::held::{Clock, Held};
use crate::http::metrics::{Metrics, RefusalCause, Surface};
use crate::http::refusal::Refusal;
use crate::http::vmi::VmiRef;
use crate::http::{Service, serving_threads};
use crate::peer::{Grant, Peer};
use crate::wire::{Outgoing, Reply};

/// A body below this size is answered in the time that it takes to receive, by the thread that did.
const SMALL_BODY: usize = 32 << 10;

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

/// The peer of a request, where a listener has taken it.
pub(super) type ByPeer = Option<Extension<Peer>>;

/// The bounds of one caller.
#[derive(Debug)]
pub(super) struct Lane {
    surface: Surface,
    bounds: Bounds,
    bytes: Arc<Budget>,
    requests: Arc<Budget>,
    /// As many threads of the blocking pool as there are of those that serve connections: more would
    /// only leave less time to these.
    pool: Arc<Semaphore>,
    in_flight: IntGauge,
    clock: Arc<Clock>,
}

/// What a request holds until its answer is sent.
#[derive(Debug)]
pub(super) struct Share {
    surface: Surface,
    service: Arc<Service>,
    bytes: Arc<BudgetGuard>,
    _counted: InFlight,
}

impl Share {
    /// Its bytes of the budget, to hold on to.
    pub(super) fn held(&self) -> Arc<BudgetGuard> {
        Arc::clone(&self.bytes)
    }

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
            bounds: Bounds {
                limit: limits.admission_body.bytes(),
                field: "admissionBody",
                rate: limits.body_rate.bytes(),
            },
            bytes: bytes(limits.admission_bodies_in_flight.bytes()),
            requests: requests(limits.admission_requests),
            pool: pool(),
            in_flight: metrics.in_flight(Surface::Admission),
            clock: Arc::default(),
        }
    }

    pub(super) fn extender(limits: &Limits, metrics: &Metrics) -> Self {
        Self {
            surface: Surface::Extender,
            bounds: Bounds {
                limit: limits.extender_body.bytes(),
                field: "extenderBody",
                rate: limits.body_rate.bytes(),
            },
            bytes: bytes(limits.extender_bodies_in_flight.bytes()),
            requests: requests(limits.extender_requests),
            pool: pool(),
            in_flight: metrics.in_flight(Surface::Extender),
            clock: Arc::default(),
        }
    }

    /// Reads a request and answers it, each within `patience` from now on.
    pub(super) async fn run(
        &self,
        service: &Arc<Service>,
        peer: ByPeer,
        patience: Duration,
        body: Body,
        answer: Answer,
    ) -> Response {
        let peer = peer.map(|Extension(peer)| peer).unwrap_or_default();
        match self.try_run(service, peer, patience, body, answer).await {
            Ok((reply, share)) => {
                let held = Held::new(reply, share, patience, &self.clock);
                let headers = [(header::CONTENT_TYPE, "application/json")];
                (headers, Body::new(held)).into_response()
            }
            Err(refusal) => service.refuse(self.surface, &refusal),
        }
    }

    fn check_access(&self, peer: Peer) -> Result<(), Refusal> {
        let (grant, flags) = match self.surface {
            Surface::Extender => (peer.access.extender, "--scheduler-client-ca"),
            Surface::Admission | Surface::Other => (peer.access.admission, "--client-ca"),
        };
        match grant {
            Grant::Granted => Ok(()),
            Grant::NoCertificate => Err(Refusal::NoCertificate(flags)),
            Grant::OtherCertificate => Err(Refusal::OtherCertificate(flags)),
        }
    }

    async fn try_run(
        &self,
        service: &Arc<Service>,
        peer: Peer,
        patience: Duration,
        body: Body,
        answer: Answer,
    ) -> Result<(Outgoing, Share), Refusal> {
        self.check_access(peer)?;
        let start = Instant::now();
        let deadline = start + patience;
        let counted = InFlight::begin(self.in_flight.clone());
        let mut held = self.bytes.guard(peer.address);
        let by = Deadline { start, patience };
        let bytes = body::read(body, self.bounds, by, &mut held).await?;
        // Only a request that is there takes a turn: half a body costs bytes, and nobody's turn.
        let mut turn = self.requests.guard(peer.address);
        turn.grow(1).map_err(Refusal::Requests)?;
        let mut work = Work {
            service: Arc::clone(service),
            bytes,
            text: String::new(),
            start,
            answer,
            held,
            turn,
            counted,
        };
        let mut attempt = Attempt::default();
        let mut until = None;
        loop {
            // Before the facts are looked at, so that nothing new comes in between.
            let mut changes = service.stores.changes.subscribe();
            let answered;
            (answered, attempt, work) = work.run(&self.pool, attempt, deadline, patience).await?;
            match answered {
                Answered::Reply(reply) => return work.send(self.surface, reply),
                Answered::Unknown(vmi) => {
                    let reading = service.read(peer.address.ip(), &vmi);
                    let late = |_| Refusal::Late(patience);
                    attempt.lookup = Some(timeout_at(deadline, reading).await.map_err(late)?);
                }
                Answered::Hopeless => {
                    let hope = *until.get_or_insert_with(|| service.hope(Instant::now()));
                    attempt.is_last = match hope {
                        Some(until) => {
                            let wait = until.min(deadline) - Instant::now();
                            changes.next(wait).await.time
                        }
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
    /// The body, until it is known to be text.
    bytes: Vec<u8>,
    text: String,
    start: Instant,
    answer: Answer,
    held: BudgetGuard,
    turn: BudgetGuard,
    counted: InFlight,
}

impl Work {
    /// The turn is over: the answer keeps its bytes alone until it is sent.
    fn send(self, surface: Surface, reply: Reply) -> Result<(Outgoing, Share), Refusal> {
        let Self {
            service,
            text,
            mut held,
            turn,
            counted,
            ..
        } = self;
        drop(turn);
        let outgoing = reply.send(text);
        held.resize(BASE + outgoing.memory())
            .map_err(Refusal::Bytes)?;
        let share = Share {
            surface,
            service,
            bytes: Arc::new(held),
            _counted: counted,
        };
        Ok((outgoing, share))
    }

    /// The body as text. To check a large one takes a while.
    fn read_text(&mut self) -> Result<(), Refusal> {
        if !self.bytes.is_empty() {
            self.text = String::from_utf8(std::mem::take(&mut self.bytes))
                .map_err(|error| Refusal::NotUtf8(error.utf8_error()))?;
        }
        Ok(())
    }

    async fn run(
        mut self,
        pool: &Arc<Semaphore>,
        attempt: Attempt,
        deadline: Instant,
        patience: Duration,
    ) -> Result<(Answered, Attempt, Self), Refusal> {
        let size = self.bytes.len().max(self.text.len());
        let service = Arc::clone(&self.service);
        // What it holds goes along: work that outlasts the deadline, or its client, still counts.
        let work = move || {
            self.read_text()?;
            let answered = (self.answer)(&self.service, &self.text, self.start, &attempt)?;
            Ok((answered, attempt, self))
        };
        if size < SMALL_BODY {
            return work();
        }
        if size < LARGE_BODY
            && let Ok(_permit) = service.serving_threads.try_acquire()
        {
            return work();
        }
        let task = async {
            // The pool is never closed.
            let place = Arc::clone(pool).acquire_owned().await.ok();
            let work = move || {
                let _place = place;
                work()
            };
            let mut task = AbortOnDrop(tokio::task::spawn_blocking(work));
            (&mut task.0).await
        };
        match timeout_at(deadline, task).await {
            Err(_) => Err(Refusal::Late(patience)),
            Ok(Ok(answered)) => answered,
            // To the listener, which logs and counts the panics of all handlers.
            Ok(Err(error)) if error.is_panic() => resume_unwind(error.into_panic()),
            Ok(Err(_)) => Err(Refusal::GivenUp),
        }
    }
}

/// Room for a third of the limit in one body.
fn bytes(limit: usize) -> Arc<Budget> {
    Budget::new(limit.saturating_add(CONNECTION_PART * BASE))
}

fn requests(limit: u32) -> Arc<Budget> {
    Budget::new(usize::try_from(limit).unwrap_or(usize::MAX))
}

fn pool() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(serving_threads()))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Condvar, Mutex};

    use arc_swap::ArcSwap;

    use super::*;
    use crate::cluster::View;
    use crate::config::Config;
    use crate::metrics::Registry;

    const PATIENCE: Duration = Duration::from_secs(10);

    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static IS_RELEASED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    /// Takes its thread until it is released.
    const LONG: Answer = |service, text, start, attempt| {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        let (is_released, released) = &IS_RELEASED;
        let waiting = is_released.lock().unwrap();
        drop(released.wait_timeout_while(waiting, PATIENCE, |is_released| !*is_released));
        SHORT(service, text, start, attempt)
    };

    const SHORT: Answer = |_, _, _, _| Ok(Answered::Reply(b"{}".to_vec().into()));

    async fn run(service: Arc<Service>, bytes: usize, answer: Answer) -> u16 {
        let body = Body::from(" ".repeat(bytes));
        let lane = &service.extender;
        let response = lane.run(&service, None, PATIENCE, body, answer).await;
        response.status().as_u16()
    }

    /// As many threads as in production, each of which a request just under the limit could take.
    #[test]
    fn requests_below_the_limit_leave_a_thread_that_serves_the_others() {
        let threads = serving_threads();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_time()
            .build()
            .unwrap();
        let config = Config::default();
        let service = Service::new(
            Arc::new(ArcSwap::from_pointee(View::default())).into(),
            None,
            config.policy(),
            Metrics::register(&Registry::default()).unwrap(),
            &config.limits,
        );
        runtime.block_on(async {
            let long = |_| tokio::spawn(run(Arc::clone(&service), LARGE_BODY - 1, LONG));
            let long: Vec<_> = (0..threads + 4).map(long).collect();
            while BEGUN.load(Ordering::SeqCst) < threads {
                tokio::task::yield_now().await;
            }
            let short = tokio::spawn(run(Arc::clone(&service), 2, SHORT));
            let short = tokio::time::timeout(PATIENCE / 2, short).await;
            *IS_RELEASED.0.lock().unwrap() = true;
            IS_RELEASED.1.notify_all();
            assert_eq!(short.unwrap().unwrap(), 200);
            for long in long {
                assert_eq!(long.await.unwrap(), 200);
            }
        });
    }
}

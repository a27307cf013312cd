//! The limits of one caller's requests: bytes that are received, worked on or to be sent, requests in
//! progress, and time. Each caller has a limiter of its own, so that none takes what another one needs.
//! Nothing here knows what a request is about.

mod body;
mod budget;
mod response;
mod workers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use prometheus::IntGauge;
use tokio::time::{Instant, timeout_at};

use crate::http::metrics::{Metrics, Surface};
use crate::http::refusal::Refusal;
use crate::wire::Outgoing;

use body::{BASE, Deadline};
use budget::{Budget, BudgetGuard, CONNECTION_PART};
use response::{ResponseBody, SendDeadlines};
use workers::Workers;

pub(super) use body::BodyLimits;
pub(super) use budget::Exhausted;
pub(super) use workers::ServingThreads;

/// What the requests of one caller may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallerLimits {
    /// Those of one body.
    pub(super) body: BodyLimits,
    /// The most bytes of all requests and answers together.
    pub(super) bytes: usize,
    /// The most requests in progress.
    pub(super) requests: u32,
}

/// Admits the requests of one caller within its limits.
#[derive(Debug)]
pub(super) struct RequestLimiter {
    body: BodyLimits,
    bytes: Arc<Budget>,
    requests: Arc<Budget>,
    workers: Workers,
    in_flight: IntGauge,
    deadlines: Arc<SendDeadlines>,
}

impl RequestLimiter {
    pub(super) fn new(
        surface: Surface,
        limits: CallerLimits,
        serving: &ServingThreads,
        metrics: &Metrics,
    ) -> Self {
        Self {
            body: limits.body,
            // Room for a third of the limit in one body.
            bytes: Budget::new(limits.bytes.saturating_add(CONNECTION_PART * BASE)),
            requests: Budget::new(usize::try_from(limits.requests).unwrap_or(usize::MAX)),
            workers: Workers::new(serving),
            in_flight: metrics.in_flight(surface),
            deadlines: SendDeadlines::new(surface, metrics.clone()),
        }
    }

    /// Receives a request and gives it a turn. It has to be answered within `patience` from now on.
    pub(super) async fn admit(
        &self,
        peer: SocketAddr,
        patience: Duration,
        body: Body,
    ) -> Result<Request<'_>, Refusal> {
        let deadline = Deadline::after(patience);
        let in_flight = InFlight::begin(self.in_flight.clone());
        let mut bytes = self.bytes.guard(peer);
        let body = body::read(body, self.body, deadline, &mut bytes).await?;
        // Only now, so that half a body costs bytes and takes no turn.
        let mut turn = self.requests.guard(peer);
        turn.grow(1).map_err(Refusal::Requests)?;
        Ok(Request {
            limiter: self,
            peer,
            deadline,
            body: body.into(),
            permit: Arc::new(RequestPermit {
                bytes,
                turn,
                in_flight,
            }),
        })
    }
}

/// Reads a body as requests are read, with limits that are not reached.
#[cfg(feature = "null-route")]
pub(super) async fn read_unlimited(peer: SocketAddr, body: Body) -> Result<Vec<u8>, Refusal> {
    let limits = BodyLimits {
        limit: usize::MAX,
        field: Some("extenderBody"),
        rate: 0,
    };
    let deadline = Deadline::after(Duration::from_mins(2));
    let mut held = Budget::new(usize::MAX).guard(peer);
    body::read(body, limits, deadline, &mut held).await
}

/// A request that was admitted.
#[derive(Debug)]
pub(super) struct Request<'l> {
    limiter: &'l RequestLimiter,
    peer: SocketAddr,
    deadline: Deadline,
    body: Bytes,
    permit: Arc<RequestPermit>,
}

/// What a request holds while it is worked on.
#[derive(Debug)]
struct RequestPermit {
    bytes: BudgetGuard,
    turn: BudgetGuard,
    in_flight: InFlight,
}

impl Request<'_> {
    /// The client's address.
    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// When its head had come.
    pub(super) const fn start(&self) -> Instant {
        self.deadline.start
    }

    /// When it has to be answered.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline.at()
    }

    /// Works on the body, as text and as bytes, on a thread that fits its size.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&str, &Bytes) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let body = self.body.clone();
        let permit = Arc::clone(&self.permit);
        let work = move || {
            // Work that outlasts its deadline, or its client, still counts.
            let _permit = permit;
            let text = std::str::from_utf8(&body).map_err(Refusal::NotUtf8)?;
            work(text, &body)
        };
        let running = self.limiter.workers.run(self.body.len(), work);
        self.in_time(running)
            .await?
            .unwrap_or(Err(Refusal::GivenUp))
    }

    /// Waits for something until the request has to be answered.
    pub(super) async fn in_time<T>(&self, future: impl Future<Output = T>) -> Result<T, Refusal> {
        let late = |_| Refusal::Late(self.deadline.patience);
        timeout_at(self.deadline.at(), future).await.map_err(late)
    }

    /// Sends the answer. It has no turn any more, and holds its own bytes until they are sent.
    pub(super) fn respond(self, answer: Outgoing) -> Result<Response, Refusal> {
        // All work has ended, and with it the other owners.
        let permit = Arc::into_inner(self.permit).ok_or(Refusal::GivenUp)?;
        let RequestPermit {
            mut bytes,
            turn,
            in_flight,
        } = permit;
        drop(turn);
        bytes
            .resize(BASE + answer.memory())
            .map_err(Refusal::Bytes)?;
        let patience = self.deadline.patience;
        let deadlines = &self.limiter.deadlines;
        let body = ResponseBody::new(answer, bytes, in_flight, patience, deadlines);
        let headers = [(header::CONTENT_TYPE, "application/json")];
        Ok((headers, Body::new(body)).into_response())
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

    use super::*;
    use crate::metrics::Registry;

    const PATIENCE: Duration = Duration::from_secs(10);

    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    static IS_RELEASED: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    /// Takes its thread until it is released.
    fn long() {
        BEGUN.fetch_add(1, Ordering::SeqCst);
        let (is_released, released) = &IS_RELEASED;
        let waiting = is_released.lock().unwrap();
        drop(released.wait_timeout_while(waiting, PATIENCE, |is_released| !*is_released));
    }

    async fn run(limiter: Arc<RequestLimiter>, bytes: usize, work: fn()) -> u16 {
        let body = Body::from(" ".repeat(bytes));
        let peer = SocketAddr::from(([10, 0, 0, 1], 1));
        let request = limiter.admit(peer, PATIENCE, body).await.unwrap();
        let work = request.run(move |_, _| {
            work();
            Ok(())
        });
        work.await.unwrap();
        let answer = Outgoing::from(b"{}".to_vec());
        request.respond(answer).unwrap().status().as_u16()
    }

    /// As many threads as in production, each of which a request just under the limit could take.
    #[test]
    fn requests_below_the_limit_leave_a_thread_that_serves_the_others() {
        let threads = workers::serving_threads();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_time()
            .build()
            .unwrap();
        let limits = CallerLimits {
            body: BodyLimits {
                limit: 1 << 20,
                field: Some("extenderBody"),
                rate: 1,
            },
            bytes: 1 << 30,
            requests: 1000,
        };
        let limiter = Arc::new(RequestLimiter::new(
            Surface::Extender,
            limits,
            &ServingThreads::default(),
            &Metrics::register(&Registry::default()).unwrap(),
        ));
        runtime.block_on(async {
            let size = workers::LARGE_BODY - 1;
            let long = |_| tokio::spawn(run(Arc::clone(&limiter), size, long));
            let long: Vec<_> = (0..threads + 4).map(long).collect();
            while BEGUN.load(Ordering::SeqCst) < threads {
                tokio::task::yield_now().await;
            }
            let short = tokio::spawn(run(Arc::clone(&limiter), 2, || {}));
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

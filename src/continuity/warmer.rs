//! Makes warm ports for the migrations that need them. What is asked for within a moment goes into one
//! transaction, and transactions keep a distance: for each, northd computes everything anew.

use std::time::Duration;

use ovsdb::TransactError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use crate::continuity::Metrics;
use crate::continuity::northbound::{Northbound, State, WarmRow, has_changed};
use crate::continuity::observer;
use crate::decide::continuity::warm::{Answer, Limits, Need, Place, WarmPort, plan};
use crate::ovn::ChassisView;
use crate::snapshot::{SouthboundState, Stores};

/// How many migrations may wait in the queue. One more is bound at once.
const QUEUE: usize = 1024;

/// How often a transaction is decided anew that collided with one of somebody else.
const TRIES: usize = 3;

/// A port that is needed again is marked as needed after so long: a mark costs northd a round in old
/// releases.
const MARK_AFTER: Duration = Duration::from_mins(1);

/// How warm ports are made.
#[derive(Clone, Copy, Debug)]
pub struct WarmOptions {
    /// What comes within this time of the first goes into one transaction.
    pub coalesce: Duration,
    /// The least time between two transactions.
    pub min_interval: Duration,
    /// The most ports whose chassis is still at work on them.
    pub max_concurrent: usize,
    /// How long a migration waits for a chassis.
    pub timeout: Duration,
    /// For how long a port is kept after a migration last needed it.
    pub keep: Duration,
}

/// Why a place is not warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotWarm {
    /// The queue is full, or berth is shutting down.
    Limited,
    /// The northbound database can't be read or written.
    Failed,
}

struct Request {
    need: Need,
    answer: oneshot::Sender<Result<i64, NotWarm>>,
}

/// Where migrations ask for warm places.
#[derive(Clone, Debug)]
pub struct Warmer {
    requests: mpsc::Sender<Request>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("need", &self.need)
            .finish_non_exhaustive()
    }
}

impl Warmer {
    /// A warmer, and what makes its ports until it is dropped.
    pub fn new(
        northbound: Northbound,
        stores: Stores,
        options: WarmOptions,
        metrics: Metrics,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (requests, queue) = mpsc::channel(QUEUE);
        let task = Task {
            northbound,
            stores,
            options,
            metrics,
        };
        (Self { requests }, task.run(queue))
    }

    /// Asks for a place. Returns the `nb_cfg` with which its chassis has the flows. To give up is to drop the
    /// future.
    pub(super) async fn ask(&self, need: Need) -> Result<i64, NotWarm> {
        let (answer, answered) = oneshot::channel();
        let request = Request { need, answer };
        self.requests
            .try_send(request)
            .map_err(|_| NotWarm::Limited)?;
        answered.await.unwrap_or(Err(NotWarm::Limited))
    }
}

struct Task {
    northbound: Northbound,
    stores: Stores,
    options: WarmOptions,
    metrics: Metrics,
}

impl Task {
    async fn run(self, mut queue: mpsc::Receiver<Request>) {
        let mut waiting = Vec::new();
        let mut next_round = Instant::now();
        let mut collisions = 0;
        loop {
            if waiting.is_empty() {
                let Some(first) = queue.recv().await else {
                    return;
                };
                waiting.push(first);
                sleep(self.options.coalesce).await;
            }
            sleep_until(next_round).await;
            while let Ok(request) = queue.try_recv() {
                waiting.push(request);
            }
            waiting.retain(|request| !request.answer.is_closed());
            if waiting.is_empty() {
                continue;
            }
            // One that keeps colliding, as where its switch is gone, is not to hold up the others.
            let rest = if collisions < TRIES {
                Vec::new()
            } else {
                waiting.split_off(1)
            };
            match self.round(waiting).await {
                Ok(later) => {
                    waiting = later;
                    collisions = 0;
                }
                Err(collided) if collisions < TRIES => {
                    waiting = collided;
                    collisions += 1;
                }
                Err(collided) => {
                    answer_all(collided, NotWarm::Failed);
                    waiting = Vec::new();
                }
            }
            waiting.extend(rest);
            next_round = Instant::now() + self.options.min_interval;
        }
    }

    /// Answers what can be answered, and returns the rest; as an error all of them, where something was no
    /// longer as it was read.
    async fn round(&self, waiting: Vec<Request>) -> Result<Vec<Request>, Vec<Request>> {
        let needs: Vec<_> = waiting.iter().map(|request| request.need.clone()).collect();
        match self.write(&needs).await {
            Ok(answers) => {
                let answered = waiting.into_iter().zip(answers);
                let later = answered.filter_map(|(request, answer)| match answer {
                    Some(nb_cfg) => {
                        // A migration that gave up needs no answer.
                        let _ = request.answer.send(Ok(nb_cfg));
                        None
                    }
                    None => Some(request),
                });
                Ok(later.collect())
            }
            Err(error) if has_changed(&error) => Err(waiting),
            Err(error) => {
                self.metrics.failed(&error);
                tracing::warn!(
                    cause = error.kind().name(),
                    "warm ports can't be made, and migrations land without them: {error}"
                );
                answer_all(waiting, NotWarm::Failed);
                Ok(Vec::new())
            }
        }
    }

    /// The `nb_cfg` for each need; `None` where there is no room for it now.
    async fn write(&self, needs: &[Need]) -> Result<Vec<Option<i64>>, TransactError> {
        let state = self.northbound.state().await?;
        let view = match self.stores.snapshot().southbound {
            SouthboundState::Fresh(view, _) => view,
            SouthboundState::NotRead | SouthboundState::Stale => {
                return Ok(vec![None; needs.len()]);
            }
        };
        let ports: Vec<_> = state
            .ports
            .iter()
            .map(|row| seen(row, &state, &view))
            .collect();
        let reached = |chassis: &str| view.chassis(chassis)?.nb_cfg;
        let limits = Limits {
            max_concurrent: self.options.max_concurrent,
            timeout: self.options.timeout.as_secs(),
            mark_after: MARK_AFTER.min(self.options.keep / 2).as_secs(),
            nb_cfg: state.nb_cfg,
        };
        let now = now();
        let plan = plan(needs, &ports, reached, now, limits);
        let this = if plan.create.is_empty() && plan.mark.is_empty() {
            state.nb_cfg
        } else {
            self.northbound.warm(&state, &plan, now).await?
        };
        for need in &plan.create {
            let Place { vpc, chassis } = &need.place;
            tracing::info!(
                vpc,
                chassis,
                switch = need.switch,
                nb_cfg = this,
                "a warm port is made"
            );
        }
        let answers = plan.answers.iter().map(|answer| match answer {
            Answer::At(nb_cfg) => Some(*nb_cfg),
            Answer::AtThis => Some(this),
            Answer::Later => None,
        });
        Ok(answers.collect())
    }
}

fn answer_all(requests: Vec<Request>, answer: NotWarm) {
    for request in requests {
        // A migration that gave up needs no answer.
        let _ = request.answer.send(Err(answer));
    }
}

/// A warm port as the planner knows it.
fn seen(row: &WarmRow, state: &State, view: &ChassisView) -> WarmPort {
    let vpc = row.switch.and_then(|switch| view.locality.vpc_of(&switch));
    WarmPort {
        name: row.name.clone(),
        place: vpc.map(|vpc| Place {
            vpc: vpc.to_string(),
            chassis: row.chassis.clone(),
        }),
        record: state.records.warm.get(&row.name).copied(),
    }
}

/// The time in seconds since the epoch, as records have it.
pub(super) fn now() -> u64 {
    observer::now().as_secs()
}

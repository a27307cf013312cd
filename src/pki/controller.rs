//! The certificate controller of one replica: rounds, and waits between them.
//!
//! Rounds are what keeps things right; watches only make them come soon. Without the right to watch,
//! changes are seen at the next poll.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::Client;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::clock::Clock;
use super::event::Event;
use super::reporter::Reporter;
use super::round::{Replica, Task};
use super::state::Leaf;
use super::store::{ApiServer, Store};
use super::time::between;
use super::watch::watch;

/// The longest wait between rounds, if no watch reports a change.
pub const POLL: Duration = Duration::from_mins(1);

/// The shortest wait between rounds, however often something changes.
const REST: Duration = Duration::from_millis(500);

/// The first wait after a round in which something went wrong; each one after it is twice as long,
/// up to [`POLL`].
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// What a controller manages, and how.
pub struct ControllerConfig {
    /// The Secret, the configurations, and how certificates are to be.
    pub task: Task,
    /// What time it is.
    pub clock: Clock,
    /// The longest wait between rounds: [`POLL`], or less in a test.
    pub poll: Duration,
}

/// Manages the certificates of one replica.
pub struct CertificateController {
    store: Store,
    replica: Replica,
    poll: Duration,
    /// Waits are longer by this part, another for each replica.
    jitter: f64,
    changed: Arc<Notify>,
    reporter: Arc<Reporter>,
    failures: u32,
    // Ends the watches with the controller.
    _watches: JoinSet<()>,
}

impl CertificateController {
    /// Begins to watch; `observe` gets what happens.
    #[must_use]
    pub fn new(
        client: &Client,
        config: ControllerConfig,
        observe: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Self {
        let ControllerConfig { task, clock, poll } = config;
        let secret = format!("{}/{}", task.namespace, task.secret);
        let reporter = Arc::new(Reporter::new(secret, observe));
        let changed = Arc::new(Notify::new());
        Self {
            _watches: watch(client, &task, &changed, &reporter),
            store: Store::new(client.clone(), &task, clock),
            poll,
            jitter: task.policy.jitter,
            changed,
            reporter,
            failures: 0,
            replica: Replica::new(task),
        }
    }

    /// Waits for the first leaf that may be served. A failure is tried again, with the reason in the
    /// log: a pod that waits says more than one that ends again and again.
    pub async fn first(&mut self) -> Leaf {
        let mut first = None;
        loop {
            let wait = self
                .round(&mut |leaf, _| {
                    first = Some(leaf.clone());
                    true
                })
                .await;
            if let Some(leaf) = first {
                return leaf;
            }
            self.wait(wait).await;
        }
    }

    /// Goes on for ever; `serve` is given each new leaf, and the time, and says whether it took it.
    pub async fn run(mut self, mut serve: impl FnMut(&Leaf, SystemTime) -> bool + Send) {
        loop {
            let wait = self.round(&mut serve).await;
            self.wait(wait).await;
        }
    }

    /// One round, and how long to wait after it.
    async fn round(&mut self, serve: &mut impl FnMut(&Leaf, SystemTime) -> bool) -> Duration {
        let until = self.replica.round(&mut self.store, serve).await;
        let events = self.replica.events();
        for event in &events {
            self.reporter.report(event);
        }
        if events.iter().any(|event| matches!(event, Event::Failed(_))) {
            let wait = RETRY * 2_u32.saturating_pow(self.failures);
            self.failures = self.failures.saturating_add(1).min(16);
            return wait.min(self.poll);
        }
        if self.failures > 0 {
            self.reporter.recovered();
        }
        self.failures = 0;
        between(self.store.now().at, until).max(REST).min(self.poll)
    }

    async fn wait(&self, duration: Duration) {
        let late = duration.mul_f64(self.jitter / 4.0);
        tokio::time::sleep(duration.min(REST)).await;
        let rest = duration.saturating_sub(REST) + late;
        // What changed meanwhile is remembered.
        let _ = tokio::time::timeout(rest, self.changed.notified()).await;
    }
}

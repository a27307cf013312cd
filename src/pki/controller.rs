//! The certificate controller of one replica: rounds, waits between them, and what the log says.
//!
//! Rounds are what keeps things right; watches only make them come soon. Without the right to watch,
//! changes are seen at the next poll.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::Client;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::clock::Clock;
use super::contents::Leaf;
use super::decide::{Change, IssueReason};
use super::event::{Event, Publication};
use super::reporter::Reporter;
use super::round::{ApiServer, Replica, Report, Task};
use super::store::Store;
use super::time::{between, utc};
use super::watch::watch;

/// The longest wait between rounds, when nothing is heard of a change.
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
    secret: String,
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
    /// Begins to watch; `observe` is told of what happens.
    #[must_use]
    pub fn new(
        client: &Client,
        config: ControllerConfig,
        observe: impl Fn(&Event<'_>) + Send + Sync + 'static,
    ) -> Self {
        let ControllerConfig { task, clock, poll } = config;
        let reporter = Arc::new(Reporter::new(observe));
        let changed = Arc::new(Notify::new());
        Self {
            _watches: watch(client, &task, &changed, &reporter),
            secret: format!("{}/{}", task.namespace, task.secret),
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
        let has_failed = self.report();
        if has_failed {
            let wait = RETRY * 2_u32.saturating_pow(self.failures);
            self.failures = self.failures.saturating_add(1).min(16);
            return wait.min(self.poll);
        }
        if self.failures > 0 {
            info!(secret = self.secret, "certificates are managed again");
            self.reporter.forget();
        }
        self.failures = 0;
        between(self.store.now().at, until).max(REST).min(self.poll)
    }

    /// Says what the round came to, and whether something went wrong in it.
    fn report(&mut self) -> bool {
        let mut has_failed = false;
        for report in self.replica.reports() {
            match report {
                Report::Wrote(changes) => self.wrote(&changes),
                Report::Published { configuration, why } => self.published(&configuration, why),
                Report::Absent { configuration } => info!(
                    configuration,
                    "there is no mutatingwebhookconfiguration of this name, so berth keeps no caBundle in it: see tls.managed.webhookConfigurations where yours has another name"
                ),
                Report::Failed(error) => {
                    has_failed = true;
                    self.reporter.failed(&error);
                }
            }
        }
        let known = self.replica.known();
        let signer = known.signer.as_ref().and_then(|ca| known.authority(ca));
        self.reporter.tell(&Event::Holds {
            ca_expires: signer.map(|ca| ca.validity.not_after),
            next_signs: self.replica.next_signs(),
        });
        has_failed
    }

    fn wrote(&self, changes: &[Change]) {
        for change in changes {
            self.reporter.tell(&Event::Changed(change));
        }
        let text: Vec<String> = changes.iter().map(ToString::to_string).collect();
        let text = text.join("; ");
        let secret = &self.secret;
        let next_signs = self.replica.next_signs().map(utc);
        if changes.iter().any(is_repair) {
            warn!(secret, changes = text, next_signs, "repaired certificates");
        } else {
            info!(secret, changes = text, next_signs, "wrote certificates");
        }
    }

    fn published(&self, configuration: &str, why: Publication) {
        self.reporter.tell(&Event::Published(why));
        match why {
            Publication::Rotated => info!(configuration, "published the ca"),
            Publication::Repaired => {
                warn!(configuration, "repaired the caBundle that somebody changed");
            }
        }
    }

    async fn wait(&self, duration: Duration) {
        let late = duration.mul_f64(self.jitter / 4.0);
        tokio::time::sleep(duration.min(REST)).await;
        let rest = duration.saturating_sub(REST) + late;
        // What changed meanwhile is remembered.
        let _ = tokio::time::timeout(rest, self.changed.notified()).await;
    }
}

/// What no rotation does.
fn is_repair(change: &Change) -> bool {
    matches!(
        change,
        Change::Restore
            | Change::Repair(_)
            | Change::Trust(..)
            | Change::MakeSigner(
                IssueReason::Lost | IssueReason::Expired | IssueReason::FromTheFuture
            )
            | Change::MakeNext(
                IssueReason::Lost | IssueReason::Expired | IssueReason::FromTheFuture
            )
            | Change::IssueLeaf(
                IssueReason::Lost | IssueReason::Expired | IssueReason::FromTheFuture,
                _
            )
    )
}

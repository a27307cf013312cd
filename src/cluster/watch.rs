//! Watches the cluster: events go into the index, and each change publishes a new view.
//!
//! One task for each kind lists and watches, and lists again after a failure (`source`). One task
//! owns the index, so that no lock is needed. Failures are counted, and the last view stays.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep, sleep_until};

use crate::api::{Cause, Fault};
use crate::backoff::Backoff;
use crate::cluster::kinds::{Observed, WatchedResource};
use crate::cluster::object::{Object, ObjectKey, ObjectKind};
pub use crate::cluster::source::WATCH_SECONDS;
use crate::cluster::source::{Event, Source};
use crate::cluster::{ClusterView, Index, Metrics};
use crate::domain::Network;
use crate::failure_log::FailureLog;
use crate::throttle::Throttle;

/// Waits after a failure: the first suits a restart of the API server, the longest spares an
/// overloaded API server. Jitter adds up to as much again.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// What to do where RBAC does not allow a list or a watch.
pub const RIGHTS: &str = "apply the ClusterRole berth-view of berth's manifests";

/// The shortest time between two watches of a kind without a failure.
const PACE: Duration = Duration::from_millis(500);

/// The wait before a retry if a CRD is not installed, or if lists keep expiring.
const ABSENT_WAIT: Duration = Duration::from_secs(5);

/// After this time without a failure, a watch counts as healthy, even without an event.
const SETTLED: Duration = Duration::from_secs(20);

/// How often the objects of a kind that can't be read are named in the log.
const UNREADABLE_LOG_PERIOD: Duration = Duration::from_secs(10);

/// The capacity of the channel to the index. When it is full, watches wait: memory is bounded.
const CHANGES: usize = 256;

/// A message of a watch to the index.
enum Change {
    /// All objects of a kind.
    Listed(ObjectKind, Vec<Object>),
    /// An object is there.
    Applied(Object),
    /// An object is gone or can't be read. Both remove it: the view depends only on the current state
    /// of the cluster, so that replicas agree.
    Removed(ObjectKind, ObjectKey),
}

/// What is watched.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Everything that decisions need.
    Cluster,
    /// What the migrations of one namespace need.
    Namespace(String),
}

impl Scope {
    /// The kinds that the migrations of one namespace need.
    pub const KINDS: [ObjectKind; 4] = [
        ObjectKind::Node,
        ObjectKind::Vmi,
        ObjectKind::Migration,
        ObjectKind::TargetPod,
    ];

    fn resources(&self, network: &Network) -> Vec<WatchedResource> {
        match self {
            Self::Cluster => WatchedResource::all(network),
            Self::Namespace(namespace) => {
                let kinds = Self::KINDS.iter();
                let resources = kinds.map(|kind| WatchedResource::new(*kind, network));
                resources
                    .map(|resource| resource.in_namespace(namespace))
                    .collect()
            }
        }
    }
}

/// Watches the cluster until it is dropped, and replaces `view` at every change. Calls `changed` with
/// each new view, in order.
pub async fn watch(
    client: Client,
    network: Network,
    scope: Scope,
    view: Arc<ArcSwap<ClusterView>>,
    metrics: Arc<Metrics>,
    mut changed: impl FnMut(&ClusterView),
) {
    let (send, mut receive) = mpsc::channel(CHANGES);
    let follow = Follow {
        client,
        metrics,
        changes: send,
    };
    let mut tasks = JoinSet::new();
    for resource in scope.resources(&network) {
        tasks.spawn(follow.clone().run(resource));
    }
    drop(follow);

    let mut index = Index::default();
    loop {
        let change = tokio::select! {
            biased;
            Some(ended) = tasks.join_next() => match ended {
                // Without its task a kind would stay as it is: pass the panic on.
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                _ => continue,
            },
            change = receive.recv() => match change {
                Some(change) => change,
                None => return,
            },
        };
        let different = match change {
            Change::Listed(kind, objects) => index.reset(kind, objects),
            Change::Applied(object) => index.apply(object),
            Change::Removed(kind, key) => index.delete(kind, &key),
        };
        if different {
            let next = Arc::new(index.view());
            view.store(Arc::clone(&next));
            changed(&next);
        }
    }
}

/// What every kind's task needs.
#[derive(Clone)]
struct Follow {
    client: Client,
    metrics: Arc<Metrics>,
    changes: mpsc::Sender<Change>,
}

impl Follow {
    async fn run(self, resource: WatchedResource) {
        let mut health = WatchHealth::new(resource.clone(), Arc::clone(&self.metrics));
        let source = Source::new(self.client.clone(), resource);
        loop {
            let mut version = match self.list(&source, &mut health).await {
                Ok(version) => version,
                Err(fault) => {
                    self.wait_after(&fault, &mut health).await;
                    continue;
                }
            };
            while !version.is_empty() {
                if let Err(fault) = self.watch(&source, &mut version, &mut health).await {
                    self.wait_after(&fault, &mut health).await;
                    // A watch does not recover from these by itself.
                    if matches!(fault.cause, Cause::NotFound | Cause::Expired) {
                        break;
                    }
                }
            }
        }
    }

    /// Lists all objects. Returns the version of the list.
    async fn list(&self, source: &Source, health: &mut WatchHealth) -> Result<String, Fault> {
        let kind = health.resource.kind;
        let mut objects = Vec::new();
        let each = |observed| objects.extend(health.take(observed).1);
        let version = source.list(each).await?;
        self.metrics.lists(kind).inc();
        health.recovered();
        self.send(Change::Listed(kind, objects)).await;
        Ok(version)
    }

    /// Watches until the server ends the watch.
    async fn watch(
        &self,
        source: &Source,
        version: &mut String,
        health: &mut WatchHealth,
    ) -> Result<(), Fault> {
        let kind = health.resource.kind;
        self.metrics.starts(kind).inc();
        // A server that ends watches at once is not asked in a loop.
        health.pace.tick().await;
        let mut watch = source.watch(version).await?;
        let opened = *health.opened.get_or_insert_with(Instant::now);
        loop {
            let event = tokio::select! {
                biased;
                event = watch.next() => event?,
                // Without events after a failure, only time shows that the watch is healthy again.
                () = sleep_until(opened + SETTLED), if health.failures.last().is_some() => {
                    health.recovered();
                    continue;
                }
            };
            let Some(event) = event else {
                return Ok(());
            };
            health.recovered();
            let change = match event {
                Event::Applied(observed) => match health.take(observed) {
                    (_, Some(object)) => Change::Applied(object),
                    (key, None) => Change::Removed(kind, key),
                },
                Event::Deleted(Observed { key, .. }) => Change::Removed(kind, key),
            };
            self.send(change).await;
        }
    }

    /// Counts and logs a failure, and waits until it makes sense to try again.
    async fn wait_after(&self, fault: &Fault, health: &mut WatchHealth) {
        let kind = health.resource.kind;
        // 404: the CRD is not installed, so the kind has no objects. Once objects were listed, it takes
        // two in a row: an API server that is starting may not know its CRDs yet.
        let is_empty = fault.cause == Cause::NotFound
            && (health.failures.last() == Some(&fault.cause)
                || self.metrics.lists(kind).get() == 0);
        let wait = health.failed(fault);
        if is_empty {
            self.send(Change::Listed(kind, Vec::new())).await;
        }
        sleep(wait).await;
    }

    async fn send(&self, change: Change) {
        // Without the index there is no view to update, and the task is about to be dropped.
        let _ = self.changes.send(change).await;
    }
}

/// The health of the watch of one kind: logs and counts its failures, and says how long to wait.
struct WatchHealth {
    resource: WatchedResource,
    metrics: Arc<Metrics>,
    backoff: Backoff,
    failures: FailureLog<Cause>,
    /// When a watch failed so that a new list was due, for the last time.
    relisted: Option<Instant>,
    /// When the first watch after a failure was opened. The server has answered every watch since.
    opened: Option<Instant>,
    pace: Interval,
    unreadable_log: Throttle,
}

impl WatchHealth {
    fn new(resource: WatchedResource, metrics: Arc<Metrics>) -> Self {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            resource,
            metrics,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            failures: FailureLog::default(),
            relisted: None,
            opened: None,
            pace,
            unreadable_log: Throttle::new(UNREADABLE_LOG_PERIOD),
        }
    }

    /// The object, unless it is of no use, or can't be read, which is counted and logged.
    fn take(&mut self, observed: Observed) -> (ObjectKey, Option<Object>) {
        let kind = self.resource.kind;
        let Observed { key, object, .. } = observed;
        let object = object.unwrap_or_else(|error| {
            self.metrics.unreadable(kind).inc();
            if let Some(unlogged) = self.unreadable_log.pass() {
                tracing::warn!(
                    kind = kind.name(),
                    object = %key,
                    unlogged,
                    "an object can't be decoded, and is treated as absent: {error}"
                );
            }
            None
        });
        (key, object)
    }

    fn recovered(&mut self) {
        if self.failures.clear() {
            self.backoff.reset();
            self.metrics.recovered(self.resource.kind);
            tracing::info!(kind = self.resource.kind.name(), "the watch works again");
        }
    }

    /// How long to wait after what failed now.
    fn wait(&mut self, cause: Cause, now: Instant) -> Duration {
        let mut is_again = || {
            let last = self.relisted.replace(now);
            last.is_some_and(|last| now - last < SETTLED)
        };
        match cause {
            Cause::NotFound => ABSENT_WAIT,
            // The last list has already expired: another one would not help yet.
            Cause::Expired if is_again() => ABSENT_WAIT,
            Cause::Expired => Duration::ZERO,
            // Each list resets the back-off, and the watch after it may bring the same.
            Cause::Unreadable if is_again() => self.backoff.next().max(ABSENT_WAIT),
            _ => self.backoff.next(),
        }
    }

    /// Counts and logs a failure, a repeated one only at debug. Returns how long to wait.
    fn failed(&mut self, fault: &Fault) -> Duration {
        self.metrics.failed(self.resource.kind, fault);
        self.opened = None;
        let is_new = self.failures.record(fault.cause);
        let wait = self.wait(fault.cause, Instant::now());
        let WatchedResource { plural, group, .. } = self.resource;
        let (kind, cause) = (self.resource.kind.name(), fault.cause.name());
        match fault.cause {
            _ if !is_new => tracing::debug!(kind, cause, "the watch fails again: {fault}"),
            Cause::NotFound => tracing::info!(kind, "not installed: {}.{}", plural, group),
            Cause::Expired => {
                tracing::info!(kind, "the watch starts over with a new list: {fault}");
            }
            _ if self.metrics.lists(self.resource.kind).get() == 0 => {
                let said = fault.with_remedy(RIGHTS);
                tracing::warn!(kind, cause, "can't list {} yet: {said}", plural);
            }
            _ => tracing::warn!(
                kind,
                cause,
                "the watch fails, and its last data stay in use: {}",
                fault.with_remedy(RIGHTS)
            ),
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Registry;

    #[tokio::test]
    async fn a_list_that_expires_at_once_is_not_asked_for_in_a_loop() {
        let node = WatchedResource::new(ObjectKind::Node, &Network::default());
        let metrics = Metrics::register(&Registry::default()).unwrap();
        let mut health = WatchHealth::new(node, Arc::new(metrics));
        let mut now = Instant::now();
        let mut wait = |after: Duration| {
            now += after;
            health.wait(Cause::Expired, now)
        };
        assert_eq!(wait(Duration::ZERO), Duration::ZERO);
        assert_eq!(wait(PACE), ABSENT_WAIT);
        assert_eq!(wait(ABSENT_WAIT), ABSENT_WAIT);
        assert_eq!(wait(SETTLED), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_watch_that_is_unreadable_after_each_list_is_not_listed_for_in_a_loop() {
        let node = WatchedResource::new(ObjectKind::Node, &Network::default());
        let metrics = Metrics::register(&Registry::default()).unwrap();
        let mut health = WatchHealth::new(node, Arc::new(metrics));
        let now = Instant::now();
        assert!(health.wait(Cause::Unreadable, now) < ABSENT_WAIT);
        health.backoff.reset();
        assert_eq!(health.wait(Cause::Unreadable, now + PACE), ABSENT_WAIT);
        health.backoff.reset();
        assert!(health.wait(Cause::Unreadable, now + PACE + SETTLED) < ABSENT_WAIT);
    }
}

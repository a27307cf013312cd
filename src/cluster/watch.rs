//! The watch: what happens in the cluster goes into the index, and every change becomes the view
//! that requests read.
//!
//! A task for each kind lists, watches and starts over (`source`); one task has the index,
//! so that nobody waits for a lock. What goes wrong is counted, and the last view stays.

use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt;
use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::service_fn;

use crate::api::{Cause, Fault};
use crate::backoff::Backoff;
use crate::cluster::kinds::{
    AgentPods, KubeOvn, KubeVirts, Migrations, Namespaces, Nodes, OvnKubernetes, Provided, Seen,
    TargetPods, Vmis, Watched,
};
use crate::cluster::object::{Object, ObjectKind, Place};
pub use crate::cluster::source::WATCH_SECONDS;
use crate::cluster::source::{Event, Source};
use crate::cluster::stats::WatchStats;
use crate::cluster::{Index, View};
use crate::domain::{Network, Provider};
use crate::wire::objects::agent_selector;

/// Waits after a failure: as short as a restart of the API server is worth, as long as an API server
/// in distress needs. Jitter adds up to as much again.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// What to do where RBAC does not allow a list or a watch.
pub const RIGHTS: &str = "apply the ClusterRole berth-view of berth's manifests";

/// From one watch of a kind to the next, where nothing failed in between.
const PACE: Duration = Duration::from_millis(500);

/// Until a CRD that is not installed is asked for again, or a list that does not last.
const ABSENT_WAIT: Duration = Duration::from_secs(5);

/// A watch that has not failed for so long goes well, also when nothing happens in it.
const SETTLED: Duration = Duration::from_secs(20);

/// Changes on their way to the index; more make a watch wait, not berth grow.
const CHANGES: usize = 256;

/// The launcher pods that a migration made; all others are nobody's business here.
const TARGET_PODS: &str = "kubevirt.io=virt-launcher,kubevirt.io/migrationJobUID";

type Request = hyper::Request<kube::client::Body>;

/// What a watch has to say.
enum Change {
    /// All objects of a kind.
    Listed(ObjectKind, Vec<Object>),
    /// An object is there.
    Applied(Object),
    /// An object is gone, or can't be read, which comes to the same: the view is a function of what
    /// is in the cluster now, so that two replicas never differ.
    Gone(ObjectKind, Place),
}

/// Watches the cluster for ever, and replaces `view` at every change. `changed` is told of each new
/// view, in order.
pub async fn watch(
    client: Client,
    network: Network,
    view: Arc<ArcSwap<View>>,
    stats: Arc<WatchStats>,
    mut changed: impl FnMut(&View),
) {
    let (send, mut receive) = mpsc::channel(CHANGES);
    let follow = Follow {
        client,
        stats,
        changes: send,
    };
    let mut tasks = JoinSet::new();
    match network.provider {
        Provider::KubeOvn => follow.spawn_network::<KubeOvn>(&mut tasks, &network),
        Provider::OvnKubernetes => {
            follow.spawn_network::<OvnKubernetes>(&mut tasks, &network);
        }
    }
    follow.spawn::<Vmis>(&mut tasks, None, None);
    follow.spawn::<Migrations>(&mut tasks, None, None);
    follow.spawn::<TargetPods>(&mut tasks, None, Some(TARGET_PODS.to_owned()));
    follow.spawn::<Namespaces>(&mut tasks, None, None);
    follow.spawn::<KubeVirts>(&mut tasks, None, None);
    drop(follow);

    let mut index = Index::default();
    loop {
        let change = tokio::select! {
            biased;
            Some(ended) = tasks.join_next() => match ended {
                // One that is gone leaves its kind as it was for ever: told as what it was.
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
            Change::Gone(kind, place) => index.delete(kind, &place),
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
    stats: Arc<WatchStats>,
    changes: mpsc::Sender<Change>,
}

/// The index is gone: there is nobody to follow for.
struct Over;

impl Follow {
    /// The kinds that each network provider writes in its own way.
    fn spawn_network<P: Provided>(&self, tasks: &mut JoinSet<()>, network: &Network) {
        self.spawn::<Nodes<P>>(tasks, None, None);
        let agents = agent_selector(P::PROVIDER);
        self.spawn::<AgentPods<P>>(tasks, Some(&network.agent_namespace), Some(agents));
    }

    fn spawn<K: Watched>(
        &self,
        tasks: &mut JoinSet<()>,
        namespace: Option<&str>,
        selector: Option<String>,
    ) {
        let open = Open::default();
        let client = self.counted(K::KIND, open.clone());
        let source = Source::new(client, namespace, selector);
        let follow = self.clone();
        tasks.spawn(async move {
            let Err(Over) = follow.run::<K>(&source, open).await;
        });
    }

    /// A source goes on by itself, at once and without a word, where a watch ends. So watches
    /// are counted here, and a server that ends them as soon as they begin is not asked in a loop.
    fn counted(&self, kind: ObjectKind, open: Open) -> Client {
        let stats = Arc::clone(&self.stats);
        let namespace = self.client.default_namespace().to_owned();
        let client = self.client.clone();
        let mut pace = Pace::default();
        let counted = service_fn(move |request: Request| {
            let query = request.uri().query().unwrap_or_default();
            let is_watch = query.split('&').any(|parameter| parameter == "watch=true");
            let start = if is_watch {
                stats.started(kind);
                pace.next(Instant::now())
            } else {
                Instant::now()
            };
            let client = client.clone();
            let open = open.clone();
            async move {
                open.set(false);
                sleep_until(start).await;
                let answer = client.send(request).await?;
                open.set(is_watch && answer.status().is_success());
                Ok::<_, kube::Error>(answer)
            }
        });
        Client::new(counted, namespace)
    }

    async fn run<K: Watched>(
        &self,
        source: &Source<K>,
        open: Open,
    ) -> Result<std::convert::Infallible, Over> {
        let mut trouble = Trouble::<K>::new(Arc::clone(&self.stats), open);
        loop {
            self.list_and_watch(source, &mut trouble).await?;
        }
    }

    /// Until only a new list helps.
    async fn list_and_watch<K: Watched>(
        &self,
        source: &Source<K>,
        trouble: &mut Trouble<K>,
    ) -> Result<(), Over> {
        let mut events = pin!(source.events());
        let mut listed = Vec::new();
        while let Some(event) = trouble.next(&mut events).await {
            match event {
                // A list is about to be asked for, again where the last one broke off.
                Ok(Event::ListBegins) => listed.clear(),
                Ok(Event::Listed(seen)) => {
                    if let (_, Some(object)) = self.take(seen) {
                        listed.push(object);
                    }
                }
                Ok(Event::ListEnds) => {
                    self.stats.listed(K::KIND);
                    trouble.is_over();
                    let objects = std::mem::take(&mut listed);
                    self.send(Change::Listed(K::KIND, objects)).await?;
                }
                Ok(Event::Applied(seen)) => {
                    trouble.is_over();
                    let change = match self.take(seen) {
                        (_, Some(object)) => Change::Applied(object),
                        (place, None) => Change::Gone(K::KIND, place),
                    };
                    self.send(change).await?;
                }
                Ok(Event::Deleted(seen)) => {
                    trouble.is_over();
                    let (place, _) = seen.into_parts();
                    self.send(Change::Gone(K::KIND, place)).await?;
                }
                Err(fault) => {
                    let cause = fault.cause;
                    // No CRD, no objects: an answer, but for one that takes objects away it takes
                    // two, in case a server says so that does not know its CRDs yet.
                    let is_empty = cause == Cause::NotFound
                        && (trouble.failing == Some(cause) || self.stats.lists(K::KIND) == 0);
                    let wait = trouble.is_here(&fault);
                    if is_empty {
                        self.send(Change::Listed(K::KIND, Vec::new())).await?;
                    }
                    sleep(wait).await;
                    // A watch does not recover from these by itself.
                    if matches!(cause, Cause::NotFound | Cause::Expired) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// The object, unless it is of no use, or can't be read, which is counted and said.
    fn take<K: Watched>(&self, seen: Seen<K>) -> (Place, Option<Object>) {
        let (place, object) = seen.into_parts();
        let object = object.unwrap_or_else(|error| {
            if let Some(unlogged) = self.stats.unreadable(K::KIND) {
                tracing::warn!(
                    kind = K::KIND.name(),
                    object = %place,
                    unlogged,
                    "an object can't be read, and is as if it were not there: {error}"
                );
            }
            None
        });
        (place, object)
    }

    async fn send(&self, change: Change) -> Result<(), Over> {
        self.changes.send(change).await.map_err(|_| Over)
    }
}

/// Whether the server has said yes to a watch that goes on.
#[derive(Clone, Debug, Default)]
struct Open(Arc<AtomicBool>);

impl Open {
    fn set(&self, open: bool) {
        self.0.store(open, Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// When something may be done that is not to be done again and again.
#[derive(Debug, Default)]
struct Pace {
    last: Option<Instant>,
}

impl Pace {
    /// When to do it that is asked for now.
    fn next(&mut self, now: Instant) -> Instant {
        let next = self.last.map_or(now, |last| now.max(last + PACE));
        self.last = Some(next);
        next
    }
}

/// Whether the watch of one kind goes well: what is said and counted of it, and how long it waits.
struct Trouble<K> {
    stats: Arc<WatchStats>,
    backoff: Backoff,
    failing: Option<Cause>,
    /// When a new list was due for the last time.
    expired: Option<Instant>,
    open: Open,
    kind: std::marker::PhantomData<K>,
}

impl<K: Watched> Trouble<K> {
    fn new(stats: Arc<WatchStats>, open: Open) -> Self {
        Self {
            stats,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            failing: None,
            expired: None,
            open,
            kind: std::marker::PhantomData,
        }
    }

    /// The next event. While nothing happens in a watch after a failure, nothing but time tells that
    /// it goes well again; but a list or watch that nobody answers does not go well.
    async fn next<S: StreamExt + Unpin>(&mut self, events: &mut S) -> Option<S::Item> {
        while self.failing.is_some() {
            let was_open = self.open.get();
            match timeout(SETTLED, events.next()).await {
                Ok(event) => return event,
                Err(_) if was_open && self.open.get() => self.is_over(),
                Err(_) => {}
            }
        }
        events.next().await
    }

    fn is_over(&mut self) {
        if self.failing.take().is_some() {
            self.backoff.reset();
            self.stats.mended(K::KIND);
            tracing::info!(kind = K::KIND.name(), "the watch goes on");
        }
    }

    /// How long to wait after what failed now.
    fn wait(&mut self, cause: Cause, now: Instant) -> Duration {
        match cause {
            Cause::NotFound => ABSENT_WAIT,
            Cause::Expired => match self.expired.replace(now) {
                // What was listed a moment ago is forgotten again: no list will help that soon.
                Some(last) if now - last < SETTLED => ABSENT_WAIT,
                _ => Duration::ZERO,
            },
            _ => self.backoff.next(),
        }
    }

    /// Says what it is, once until it is another or over, and how long to wait.
    fn is_here(&mut self, fault: &Fault) -> Duration {
        // Whoever sees the count sees the gauge as well.
        let is_failing = fault.cause != Cause::NotFound;
        self.stats.set_failing(K::KIND, is_failing);
        self.stats.failed(K::KIND, fault);
        let known = self.failing.replace(fault.cause) == Some(fault.cause);
        let wait = self.wait(fault.cause, Instant::now());
        let (kind, cause) = (K::KIND.name(), fault.cause.name());
        match fault.cause {
            _ if known => tracing::debug!(kind, cause, "the watch fails again: {fault}"),
            Cause::NotFound => tracing::info!(kind, "not installed: {}.{}", K::PLURAL, K::GROUP),
            Cause::Expired => {
                tracing::info!(kind, "the watch starts over with a new list: {fault}");
            }
            _ if self.stats.lists(K::KIND) == 0 => {
                let said = fault.with_remedy(RIGHTS);
                tracing::warn!(kind, cause, "can't list {} yet: {said}", K::PLURAL);
            }
            _ => tracing::warn!(
                kind,
                cause,
                "the watch fails, and the last view stays: {}",
                fault.with_remedy(RIGHTS)
            ),
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_expires_at_once_is_not_asked_for_in_a_loop() {
        let mut trouble = Trouble::<Nodes<KubeOvn>>::new(Arc::default(), Open::default());
        let mut now = Instant::now();
        let mut wait = |after: Duration| {
            now += after;
            trouble.wait(Cause::Expired, now)
        };
        assert_eq!(wait(Duration::ZERO), Duration::ZERO);
        assert_eq!(wait(PACE), ABSENT_WAIT);
        assert_eq!(wait(ABSENT_WAIT), ABSENT_WAIT);
        assert_eq!(wait(SETTLED), Duration::ZERO);
    }

    #[test]
    fn what_is_asked_for_at_once_is_done_one_after_the_other() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert_eq!(pace.next(now), now);
        assert_eq!(pace.next(now), now + PACE);
        assert_eq!(pace.next(now), now + 2 * PACE);
        let later = now + 5 * PACE;
        assert_eq!(pace.next(later), later);
    }
}

//! The I/O: a loop that carries out what a replica's rounds ask for, and waits between them.
//!
//! Rounds are what keeps things right; watches only make them come soon. Without leave to watch,
//! changes are seen at the next poll.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use kube::Client;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::contents::Leaf;
use super::decide::{Change, Why};
use super::error::{Cause, Object, PkiError};
use super::event::{Event, Publication};
use super::replica::{Effect, Outcome, Replica, Report, Task};
use super::store::Store;
use super::time::{between, later, utc};
use super::watch::watch;
use super::{Now, Source};

/// The longest wait between rounds, when nothing is heard of a change.
pub const POLL: Duration = Duration::from_mins(1);

/// The shortest wait between rounds, however often something changes.
const REST: Duration = Duration::from_millis(500);

/// The first wait after a round in which something went wrong; each one after it is twice as long,
/// up to [`POLL`].
pub(super) const RETRY: Duration = Duration::from_secs(1);

/// How often the same error is logged.
const REMIND: Duration = Duration::from_mins(5);

type Observe = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// What time it is.
#[derive(Clone)]
pub struct Clock {
    local: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// Whether to go by the API server's time where it tells.
    ask: bool,
    /// The API server's time, and this node's at that moment.
    told: Option<(SystemTime, SystemTime)>,
}

impl Clock {
    /// The API server's clock, and this node's until it is known.
    #[must_use]
    pub fn system() -> Self {
        Self {
            local: Arc::new(SystemTime::now),
            ask: true,
            told: None,
        }
    }

    /// Another clock, whatever the API server says.
    #[must_use]
    pub fn of(local: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self {
            local: Arc::new(local),
            ask: false,
            told: None,
        }
    }

    fn tell(&mut self, date: Option<SystemTime>) {
        if let (true, Some(date)) = (self.ask, date) {
            self.told = Some((date, (self.local)()));
        }
    }

    fn now(&self) -> Now {
        let local = (self.local)();
        match self.told {
            Some((date, then)) => Now {
                at: later(date, between(then, local)),
                by: Source::ApiServer,
            },
            None => Now {
                at: local,
                by: Source::Local,
            },
        }
    }
}

/// What a keeper keeps, and how.
pub struct Settings {
    /// The Secret, the configurations, and how certificates are to be.
    pub task: Task,
    /// What time it is.
    pub clock: Clock,
    /// The longest wait between rounds: [`POLL`], or less in a test.
    pub poll: Duration,
}

/// Keeps the certificates of one replica.
pub struct Keeper {
    store: Store,
    replica: Replica,
    secret: String,
    clock: Clock,
    poll: Duration,
    /// Waits are longer by this part, another for each replica.
    jitter: f64,
    changed: Arc<Notify>,
    reporter: Arc<Reporter>,
    failures: u32,
    // Ends the watches with the keeper.
    _watches: JoinSet<()>,
}

impl Keeper {
    /// Begins to watch; `observe` is told of what happens.
    #[must_use]
    pub fn new(
        client: &Client,
        settings: Settings,
        observe: impl Fn(&Event<'_>) + Send + Sync + 'static,
    ) -> Self {
        let Settings { task, clock, poll } = settings;
        let reporter = Arc::new(Reporter::new(Arc::new(observe)));
        let changed = Arc::new(Notify::new());
        let watches = watch(client, &task, &changed, &reporter);
        let (namespace, name) = (task.namespace.clone(), task.secret.clone());
        Self {
            secret: format!("{namespace}/{name}"),
            store: Store::new(client.clone(), namespace, name),
            clock,
            poll,
            jitter: task.policy.jitter,
            changed,
            reporter,
            failures: 0,
            _watches: watches,
            replica: Replica::new(task),
        }
    }

    /// Waits for the first leaf that may be served. What goes wrong is tried again, with the reason
    /// in the log: a pod that waits says more than one that ends again and again.
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
    async fn round(
        &mut self,
        serve: &mut (impl FnMut(&Leaf, SystemTime) -> bool + Send),
    ) -> Duration {
        let mut effect = self.replica.begin();
        let until = loop {
            let outcome = match effect {
                Effect::Rest { until } => break until,
                Effect::ReadConfiguration(name) => self.store.read_configuration(&name).await,
                Effect::ReadSecret => {
                    let outcome = self.store.read_secret().await;
                    self.clock.tell(self.store.date);
                    outcome
                }
                Effect::CreateSecret(secret) => self.store.create_secret(&secret).await,
                Effect::ReplaceSecret(secret) => self.store.replace_secret(&secret).await,
                Effect::PatchConfiguration(name, patch) => {
                    self.store.patch_configuration(&name, patch).await
                }
                Effect::Serve(leaf) => self.serve(&leaf, serve),
            };
            effect = self.replica.go_on(outcome, self.clock.now());
        };
        self.wait_after(until)
    }

    fn serve(&mut self, leaf: &Leaf, serve: &mut impl FnMut(&Leaf, SystemTime) -> bool) -> Outcome {
        if serve(leaf, self.clock.now().at) {
            return Outcome::Done;
        }
        let (namespace, name) = self.secret.split_once('/').unwrap_or_default();
        let object = Object::Secret {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        Outcome::Failed(PkiError::NotTaken { object })
    }

    /// Tells of the round, and how long to wait until the next.
    fn wait_after(&mut self, until: SystemTime) -> Duration {
        let mut failed = false;
        for report in self.replica.reports() {
            match report {
                Report::Wrote(changes) => self.wrote(&changes),
                Report::Published { configuration, why } => self.published(&configuration, why),
                Report::Absent { configuration } => info!(
                    configuration,
                    "there is no mutatingwebhookconfiguration of this name, so berth keeps no caBundle in it: see tls.managed.webhookConfigurations where yours has another name"
                ),
                Report::Failed(error) => {
                    failed = true;
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
        if failed {
            let wait = RETRY * 2_u32.saturating_pow(self.failures);
            self.failures = self.failures.saturating_add(1).min(16);
            return wait.min(self.poll);
        }
        if self.failures > 0 {
            info!(secret = self.secret, "certificates are managed again");
            self.reporter.forget();
        }
        self.failures = 0;
        between(self.clock.now().at, until).max(REST).min(self.poll)
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
            | Change::Mend(_)
            | Change::Trust(..)
            | Change::MakeSigner(Why::Lost | Why::Expired | Why::FromTheFuture)
            | Change::MakeNext(Why::Lost | Why::Expired | Why::FromTheFuture)
            | Change::IssueLeaf(Why::Lost | Why::Expired | Why::FromTheFuture, _)
    )
}

/// Tells of what happens; the same error is logged once in a while.
pub(super) struct Reporter {
    observe: Observe,
    logged: Mutex<Vec<(String, Instant)>>,
}

/// The most errors that are remembered.
const MAX_LOGGED: usize = 16;

impl Reporter {
    fn new(observe: Observe) -> Self {
        Self {
            observe,
            logged: Mutex::default(),
        }
    }

    fn tell(&self, event: &Event<'_>) {
        (self.observe)(event);
    }

    pub(super) fn failed(&self, error: &PkiError) {
        self.tell(&Event::Failed(error));
        let text = error.to_string();
        let now = Instant::now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.retain(|(_, at)| now.duration_since(*at) < REMIND);
        if logged.iter().all(|(other, _)| *other != text) {
            let cause = error.cause();
            // Some pass by themselves, and some need somebody.
            if matches!(
                cause,
                Cause::Unreachable | Cause::Contended | Cause::ReadOnly
            ) {
                warn!(cause = cause.name(), "cannot manage certificates: {text}");
            } else {
                error!(cause = cause.name(), "cannot manage certificates: {text}");
            }
            if logged.len() == MAX_LOGGED {
                logged.remove(0);
            }
            logged.push((text, now));
        }
    }

    /// What comes after a good round is news.
    fn forget(&self) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A clock of this node that the test sets.
    fn mk_clock(ask: bool) -> (Clock, Arc<Mutex<SystemTime>>) {
        let set = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH));
        let read = Arc::clone(&set);
        let local = Clock::of(move || *read.lock().unwrap());
        (Clock { ask, ..local }, set)
    }

    #[test]
    fn the_time_is_the_api_servers_where_it_tells() {
        let date = SystemTime::UNIX_EPOCH + Duration::from_hours(498_672);
        let minute = Duration::from_mins(1);
        for (ask, told, expect, by) in [
            (true, Some(date), date + minute, Source::ApiServer),
            (true, None, SystemTime::UNIX_EPOCH + minute, Source::Local),
            (
                false,
                Some(date),
                SystemTime::UNIX_EPOCH + minute,
                Source::Local,
            ),
        ] {
            let (mut clock, set) = mk_clock(ask);
            clock.tell(told);
            *set.lock().unwrap() += minute;
            assert_eq!(clock.now(), Now { at: expect, by });
            // An answer without a date changes nothing.
            clock.tell(None);
            assert_eq!(clock.now(), Now { at: expect, by });
        }
    }
}

//! Observes migrations: keeps the timeline of each, and tells what is new in them. It sees what the watches
//! of the cluster and of the southbound database have seen, and asks the northbound database at few moments.

mod paired;
mod questions;
mod sight;
mod stale;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use tokio::time::sleep;

use crate::cluster::object::ObjectKey;
use crate::cluster::view::ActiveMigration;
use crate::continuity::Northbound;
use crate::continuity::history::{History, Observed};
use crate::continuity::observer::paired::Paired;
use crate::continuity::observer::questions::{Answer, Question, Questions};
use crate::continuity::observer::stale::StalePairs;
use crate::decide::causes::Cause;
use crate::decide::continuity::timeline::{News, Stage, Timeline};
use crate::domain::{MigrationEnd, UnixTime};
use crate::snapshot::{Snapshot, Stores};

/// The time between two looks while nothing changes: some faults show by the time alone.
const TICK: Duration = Duration::from_secs(1);

/// The pause after a look: changes come in bursts.
const SOON: Duration = Duration::from_millis(50);

/// A migration that was deleted without a word of its end has failed after this time: the watches are apart.
const END_UNKNOWN_FOR: Duration = Duration::from_secs(5);

/// What an observer tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something is new in the timeline of a migration.
    Migration(Box<Observed>, News),
    /// The ports of a VM are left with a pair of chassis.
    Stale {
        /// The VM, `namespace/name`.
        vm: String,
        /// The UID of its VMI, where there is one.
        vmi_uid: Option<String>,
        /// How it shows here.
        message: String,
    },
}

/// Observes migrations.
pub struct Observer {
    stores: Stores,
    questions: Questions,
    history: History,
    /// The VM to observe, unless it is all of them.
    only: Option<ObjectKey>,
    open: BTreeMap<String, Open>,
    /// The UIDs of migrations that have ended here and are not over for the API server yet.
    closed: BTreeSet<String>,
    stale: StalePairs,
}

/// A migration that is observed.
#[derive(Debug)]
struct Open {
    key: ObjectKey,
    vmi: ObjectKey,
    vmi_uid: Option<String>,
    timeline: Timeline,
    /// What the API server had of it last.
    last: Option<ActiveMigration>,
    /// How it ended.
    end: Option<MigrationEnd>,
    /// It comes from another cluster, or did.
    is_received: bool,
    /// Since when the API server does not have it.
    gone: Option<UnixTime>,
}

impl Observer {
    /// An observer that has seen nothing. Without a northbound database it does not know who wrote a pair,
    /// nor of addresses that are there twice.
    #[must_use]
    pub fn new(stores: Stores, northbound: Option<Northbound>, history: History) -> Self {
        Self {
            stores,
            questions: Questions::new(northbound),
            history,
            only: None,
            open: BTreeMap::new(),
            closed: BTreeSet::new(),
            stale: StalePairs::default(),
        }
    }

    /// One that observes the migrations of one VM alone.
    #[must_use]
    pub fn of_vm(self, namespace: &str, name: &str) -> Self {
        Self {
            only: Some(ObjectKey::new(namespace, name)),
            ..self
        }
    }

    /// Observes until the future is dropped: tells what is new, and counts the VMs whose ports are left with
    /// a pair of chassis.
    pub async fn run(
        &mut self,
        mut tell: impl FnMut(Told),
        mut count_stale: impl FnMut(i64),
    ) -> Infallible {
        let mut changes = self.stores.changes.subscribe();
        loop {
            self.look(now(), &mut tell);
            count_stale(i64::try_from(self.stale.count()).unwrap_or(i64::MAX));
            sleep(SOON).await;
            tokio::select! {
                _ = changes.next(TICK) => {}
                answer = self.questions.answered() => self.answer(&answer, now(), &mut tell),
            }
        }
    }

    /// Looks once.
    pub fn look(&mut self, now: UnixTime, mut tell: impl FnMut(Told)) {
        let snapshot = self.stores.snapshot();
        let is_met = self.meet(&snapshot, now);
        let southbound = self.stores.southbound.as_ref();
        // What is known of a database that is not followed may be a minute old.
        let is_followed = southbound.is_some_and(|source| source.connection.is_synced());
        let network = is_followed.then(|| Paired::of(&snapshot)).flatten();
        let mut is_news = is_met;
        for (uid, open) in &mut self.open {
            let active = snapshot.cluster.active_migration(uid);
            let end = open.end(uid, active.is_some(), &snapshot, now);
            if let Some(active) = active.filter(|active| open.last.as_ref() != Some(*active)) {
                open.last = Some(active.clone());
            }
            if end.is_none() && active.is_none() {
                // It is gone, and nobody has said how it ended.
                continue;
            }
            // What is seen borrows from what was seen before.
            let mut timeline = open.timeline.clone();
            let sight = sight::of(&snapshot, network.as_ref(), uid, open, end);
            let all_news = timeline.see(&sight, now);
            is_news |= !all_news.is_empty() || timeline.phase != open.timeline.phase;
            open.timeline = timeline;
            for news in all_news {
                match &news {
                    News::Reached(Stage::Pair, _) => {
                        self.questions.ask(uid, &open.vmi, Question::Writer);
                    }
                    News::Reached(Stage::Bound, _) => {
                        self.questions.ask(uid, &open.vmi, Question::Addresses);
                    }
                    _ => {}
                }
                tell(Told::Migration(Box::new(open.observed(uid)), news));
            }
        }
        if is_news {
            self.keep();
        }
        if self.only.is_none() {
            let migrating: BTreeSet<&ObjectKey> =
                self.open.values().map(|open| &open.vmi).collect();
            let told = match &network {
                Some(network) => self.stale.look(&snapshot, network, &migrating, now),
                None => Vec::new(),
            };
            for told in told {
                tell(told);
            }
        }
    }

    /// Closes the timelines that have ended, and shows all of them.
    fn keep(&mut self) {
        let is_open = |_: &String, open: &mut Open| open.timeline.outcome.is_none();
        let ended: BTreeMap<String, Open> = self
            .open
            .extract_if(.., |uid, open| !is_open(uid, open))
            .collect();
        self.closed.extend(ended.keys().cloned());
        let observed = self.open.iter().map(|(uid, open)| open.observed(uid));
        let ended = ended.iter().map(|(uid, open)| open.observed(uid));
        self.history.update(observed.collect(), ended.collect());
    }

    /// Begins the timelines of migrations that were not seen before. Returns whether there are any.
    fn meet(&mut self, snapshot: &Snapshot, now: UnixTime) -> bool {
        let before = self.open.len();
        let is_active = |uid: &String| snapshot.cluster.active_migration(uid).is_some();
        self.closed.retain(is_active);
        for (uid, active) in snapshot.cluster.active_migrations() {
            let is_meant = self.only.as_ref().is_none_or(|vm| *vm == active.vmi);
            if !is_meant || self.open.contains_key(uid) || self.closed.contains(uid) {
                continue;
            }
            let vmi = snapshot.cluster.vmi_at(&active.vmi);
            let open = Open {
                key: active.key.clone(),
                vmi: active.vmi.clone(),
                vmi_uid: vmi.map(|vmi| vmi.uid.to_string()),
                timeline: Timeline::new(active.created, now),
                last: None,
                end: None,
                is_received: false,
                gone: None,
            };
            self.open.insert(uid.to_owned(), open);
        }
        self.open.len() > before
    }

    fn answer(&mut self, answer: &Answer, now: UnixTime, mut tell: impl FnMut(Told)) {
        let Some(open) = self.open.get_mut(&answer.migration) else {
            return;
        };
        if let Some(writer) = answer.writer {
            open.timeline.writer = Some(writer);
        }
        let message = answer.twice();
        let news = message.and_then(|text| open.timeline.find(Cause::AddressTwice, text, now));
        if let Some(news) = news {
            tell(Told::Migration(
                Box::new(open.observed(&answer.migration)),
                news,
            ));
        }
    }
}

impl Open {
    /// How the migration ended, if it has. The VMI says so before the migration does; of one that was given
    /// up early the VMI says nothing, and of one that was deleted nobody does.
    fn end(
        &mut self,
        uid: &str,
        is_active: bool,
        snapshot: &Snapshot,
        now: UnixTime,
    ) -> Option<MigrationEnd> {
        let vmi = snapshot.cluster.vmi_at(&self.vmi);
        self.is_received |= vmi.is_some_and(|vmi| vmi.sender.is_some());
        let latest = vmi.and_then(|vmi| vmi.latest_migration.as_ref());
        let latest = latest.filter(|latest| *latest.uid == *uid);
        let said = latest.and_then(|latest| latest.end);
        let said = said.or_else(|| snapshot.cluster.migration_end(uid));
        if is_active || said.is_some() {
            self.gone = None;
        } else {
            self.gone.get_or_insert(now);
        }
        let is_given_up = self
            .gone
            .is_some_and(|gone| now.saturating_sub(gone) >= END_UNKNOWN_FOR);
        let given_up = is_given_up.then_some(MigrationEnd::Failed);
        self.end = self.end.or(said).or(given_up);
        self.end
    }

    fn observed(&self, uid: &str) -> Observed {
        let [namespace, name] = self.key.parts().map(str::to_owned);
        let [_, vm] = self.vmi.parts().map(str::to_owned);
        Observed {
            namespace,
            name,
            uid: uid.to_owned(),
            vm,
            vmi_uid: self.vmi_uid.clone(),
            timeline: self.timeline.clone(),
        }
    }
}

/// Now, as the API server counts.
pub(crate) fn now() -> UnixTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default()
}

#[cfg(test)]
mod tests;

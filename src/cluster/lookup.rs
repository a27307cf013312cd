//! Look-ups at the API server: of single VMIs, for pods that arrive before the watch delivers their VMI, and of the
//! nodes that have some labels, which the view does not keep. Look-ups are limited in rate, and an absent VMI is
//! not looked up again for a moment.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use kube::Client;
use serde::Deserialize;
use strum::IntoStaticStr;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::api::{Cause, Fault, is_object_name};
use crate::cluster::Metrics;
use crate::cluster::kinds::WatchedResource;
use crate::cluster::load::list;
use crate::cluster::object::{Object, ObjectKey};
use crate::cluster::parts::Part;
use crate::cluster::rate::SourceRate;
use crate::cluster::source::Source;
use crate::domain::Vmi;

/// For how long a VMI that was not there is not asked for again.
const ABSENT_FOR: Duration = Duration::from_secs(2);

/// The longest UID that is asked for, in bytes. Those of the API server have 36.
const LONGEST_UID: usize = 64;

/// What a read came to.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Lookup {
    /// The VMI as it is now.
    Found(Arc<Vmi>),
    /// There is none of this name, or it is another one.
    Absent,
    /// It could not be read.
    Failed(Arc<Fault>),
    /// It was not read, as too many were.
    Limited,
}

impl Lookup {
    /// The names in metric labels.
    pub const OUTCOMES: [&str; 5] = ["found", "absent", "failed", "limited", REMEMBERED];

    fn outcome(&self) -> &'static str {
        self.into()
    }
}

/// The outcome of a VMI that was not there a moment ago.
const REMEMBERED: &str = "remembered";

type Read = BoxFuture<'static, Lookup>;

/// Names of nodes.
pub type NodeNames = HashSet<Box<str>>;

/// Reads VMIs, each once at a time however many ask, and lists nodes.
pub struct VmiReader {
    client: Client,
    patience: Duration,
    state: Mutex<State>,
    /// For the list of nodes that is on its way: one at a time, because each may be of all nodes.
    listing: Semaphore,
    metrics: Arc<Metrics>,
}

struct State {
    reads: HashMap<ObjectKey, WeakShared<Read>>,
    rate: SourceRate,
    /// VMIs that were not there, by name and UID, and when. Only what was read comes in here, so that
    /// the rate of reads bounds it.
    absent: HashMap<(ObjectKey, Box<str>), Instant>,
}

impl VmiReader {
    /// A reader that waits so long for an answer, and reads so many a second.
    #[must_use]
    pub fn new(client: Client, patience: Duration, per_second: u32, metrics: Arc<Metrics>) -> Self {
        Self {
            client,
            patience,
            state: Mutex::new(State {
                reads: HashMap::new(),
                rate: SourceRate::per_second(per_second),
                absent: HashMap::new(),
            }),
            listing: Semaphore::new(1),
            metrics,
        }
    }

    /// Reads a VMI for a source, or joins the read of it that is on its way. What it costs and what it
    /// takes does not depend on whether another VMI has its name.
    pub async fn read(&self, source: IpAddr, namespace: &str, name: &str, uid: &str) -> Lookup {
        // Nothing in the cluster has another name, and no caller is to write a path or a query.
        if !is_object_name(namespace) || !is_object_name(name) || uid.len() > LONGEST_UID {
            return Lookup::Absent;
        }
        let key = ObjectKey::new(namespace, name);
        let vmi = (key.clone(), uid.into());
        if self.is_absent(&vmi) {
            self.metrics.lookups(REMEMBERED).inc();
            return Lookup::Absent;
        }
        let Some(read) = self.join_or_begin(source, &key, namespace, name) else {
            self.metrics.lookups(Lookup::Limited.outcome()).inc();
            return Lookup::Limited;
        };
        let lookup = match read.await {
            Lookup::Found(found) if found.uid.as_ref() != uid => Lookup::Absent,
            lookup => lookup,
        };
        if lookup == Lookup::Absent {
            self.lock().absent.insert(vmi, Instant::now());
        }
        lookup
    }

    /// The names of the nodes whose labels match a selector, for a source; `None` where they could not be listed
    /// in this time, or too much was looked up already.
    pub async fn nodes_with(
        &self,
        source: IpAddr,
        selector: &str,
        patience: Duration,
    ) -> Option<NodeNames> {
        if !self.lock().rate.take(source, Instant::now()) {
            return None;
        }
        let listing = async {
            let _turn = self.listing.acquire().await;
            let path = "/api/v1/nodes";
            list(&self.client, path, Some(selector), add_name).await
        };
        match timeout(patience.min(self.patience), listing).await {
            Ok(Ok(names)) => Some(names),
            Ok(Err(fault)) => {
                tracing::debug!(%fault, "the nodes of an addedNodeSelector were not listed");
                None
            }
            Err(_) => None,
        }
    }

    /// Whether this VMI was not there a moment ago.
    fn is_absent(&self, vmi: &(ObjectKey, Box<str>)) -> bool {
        let State { absent, .. } = &mut *self.lock();
        absent.retain(|_, since| since.elapsed() < ABSENT_FOR);
        absent.contains_key(vmi)
    }

    /// How many reads came to an outcome, in the order of [`Lookup::OUTCOMES`].
    #[must_use]
    pub fn outcomes(&self) -> [u64; Lookup::OUTCOMES.len()] {
        Lookup::OUTCOMES.map(|outcome| self.metrics.lookups(outcome).get())
    }

    /// The read of a VMI, unless there were too many.
    fn join_or_begin(
        &self,
        source: IpAddr,
        key: &ObjectKey,
        namespace: &str,
        name: &str,
    ) -> Option<Shared<Read>> {
        let State { reads, rate, .. } = &mut *self.lock();
        // A read that is done, or that everyone gave up, is none to join.
        reads.retain(|_, read| read.upgrade().is_some_and(|read| read.peek().is_none()));
        if let Some(read) = reads.get(key).and_then(WeakShared::upgrade) {
            return Some(read);
        }
        if !rate.take(source, Instant::now()) {
            return None;
        }
        let reading = read(self.client.clone(), self.patience, namespace, name);
        let metrics = Arc::clone(&self.metrics);
        // The read counts itself, because the request that began it may be gone.
        let count = move |lookup: &Lookup| {
            metrics.lookups(lookup.outcome()).inc();
        };
        let read = reading.inspect(count).boxed().shared();
        if let Some(weak) = read.downgrade() {
            reads.insert(key.clone(), weak);
        }
        Some(read)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the name of a listed object.
fn add_name(names: &mut NodeNames, part: Part) {
    #[derive(Deserialize)]
    struct Listed {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    struct Metadata {
        name: Box<str>,
    }
    let name = match part {
        Part::Whole(text) => {
            let node = serde_json::from_slice::<Listed>(&text).ok();
            node.map(|node| node.metadata.name)
        }
        Part::TooLarge(large) => Some(large.name.into()),
    };
    names.extend(name);
}

impl std::fmt::Debug for VmiReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VmiReader")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

fn read(client: Client, patience: Duration, namespace: &str, name: &str) -> Read {
    let source = Source::new(client, WatchedResource::vmis_of(namespace));
    let name = name.to_owned();
    async move {
        let failed = |fault| Lookup::Failed(Arc::new(fault));
        match timeout(patience, source.read(&name)).await {
            Err(_) => failed(Fault::new(
                Cause::Timeout,
                format!("no answer within {patience:?} (limits.lookupTimeout)"),
            )),
            Ok(Err(fault)) => failed(fault),
            Ok(Ok(None)) => Lookup::Absent,
            Ok(Ok(Some(observed))) => match observed.object {
                Ok(Some(Object::Vmi(vmi))) => Lookup::Found(Arc::new(vmi)),
                Ok(_) => Lookup::Absent,
                Err(error) => failed(Fault::new(Cause::Unreadable, error)),
            },
        }
    }
    .boxed()
}

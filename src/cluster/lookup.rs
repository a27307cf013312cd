//! One VMI read from the API server, for a pod that comes before its VMI does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use kube::{Api, Client};
use tokio::time::timeout;

use crate::api::{Cause, Fault};
use crate::cluster::kinds::{Seen, Vmis};
use crate::cluster::object::{Object, Place};
use crate::domain::Vmi;

/// What a read came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The VMI of this name as it is now, which may be another than the one of a given UID.
    Found(Arc<Vmi>),
    /// There is none of this name.
    Absent,
    /// It could not be read.
    Failed(Arc<Fault>),
}

impl Lookup {
    /// The names in metric labels.
    pub const OUTCOMES: [&str; 3] = ["found", "absent", "failed"];

    const fn outcome(&self) -> usize {
        match self {
            Self::Found(_) => 0,
            Self::Absent => 1,
            Self::Failed(_) => 2,
        }
    }
}

type Read = BoxFuture<'static, Lookup>;

/// Reads VMIs, each once at a time however many ask.
pub struct VmiReader {
    client: Client,
    patience: Duration,
    reads: Mutex<HashMap<Place, WeakShared<Read>>>,
    outcomes: Arc<Outcomes>,
}

type Outcomes = [AtomicU64; Lookup::OUTCOMES.len()];

impl VmiReader {
    /// A reader that waits so long for an answer.
    #[must_use]
    pub fn new(client: Client, patience: Duration) -> Self {
        Self {
            client,
            patience,
            reads: Mutex::default(),
            outcomes: Arc::default(),
        }
    }

    /// Reads a VMI, or joins the read of it that is on its way.
    pub async fn read(&self, namespace: &str, name: &str) -> Lookup {
        let place = Place::new(namespace, name);
        self.join_or_begin(&place, namespace, name).await
    }

    /// How many reads came to an outcome, in the order of [`Lookup::OUTCOMES`].
    #[must_use]
    pub fn outcomes(&self) -> [u64; Lookup::OUTCOMES.len()] {
        std::array::from_fn(|outcome| self.outcomes[outcome].load(Relaxed))
    }

    fn join_or_begin(&self, place: &Place, namespace: &str, name: &str) -> Shared<Read> {
        let mut reads = self.lock();
        // A read that is done, or that everyone gave up, is none to join.
        reads.retain(|_, read| read.upgrade().is_some_and(|read| read.peek().is_none()));
        if let Some(read) = reads.get(place).and_then(WeakShared::upgrade) {
            return read;
        }
        let reading = read(self.client.clone(), self.patience, namespace, name);
        let outcomes = Arc::clone(&self.outcomes);
        // Counted by whoever is left: the one who began it may have given up.
        let count = move |lookup: &Lookup| {
            outcomes[lookup.outcome()].fetch_add(1, Relaxed);
        };
        let read = reading.inspect(count).boxed().shared();
        if let Some(weak) = read.downgrade() {
            reads.insert(place.clone(), weak);
        }
        read
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Place, WeakShared<Read>>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for VmiReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VmiReader")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

fn read(client: Client, patience: Duration, namespace: &str, name: &str) -> Read {
    let api: Api<Seen<Vmis>> = Api::namespaced(client, namespace);
    let name = name.to_owned();
    async move {
        let failed = |fault| Lookup::Failed(Arc::new(fault));
        match timeout(patience, api.get_opt(&name)).await {
            Err(_) => failed(Fault::new(
                Cause::Timeout,
                format!("no answer within {patience:?} (limits.lookupTimeout)"),
            )),
            Ok(Err(error)) => match Fault::from(&error) {
                // As without the CRD, which kube tells from an object that is not there.
                fault if fault.cause == Cause::NotFound => Lookup::Absent,
                fault => failed(fault),
            },
            Ok(Ok(None)) => Lookup::Absent,
            Ok(Ok(Some(seen))) => match seen.into_parts().1 {
                Ok(Some(Object::Vmi(vmi))) => Lookup::Found(Arc::new(vmi)),
                Ok(_) => Lookup::Absent,
                Err(error) => failed(Fault::new(Cause::Unreadable, error)),
            },
        }
    }
    .boxed()
}

//! The lease: what must be done by one replica at a time is done by whoever holds it.

pub mod elector;
pub mod stats;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep_until, timeout};

use crate::api::{Cause, Fault};
use crate::lease::elector::{Elector, Record, Step, Terms};
use crate::lease::stats::LeaseStats;

/// Who writes, as the API server notes it field by field.
const FIELD_MANAGER: &str = "berth";

/// What to do where RBAC does not allow it.
const RIGHTS: &str = "apply berth's manifests: they bring the Lease, and the Role berth-lease, whose resourceNames have to have the name in lease.name";

/// What a holder that ends leaves to say that it has ended.
const GIVE_BACK: Duration = Duration::from_secs(2);

/// Where the lease is, and who this replica is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace of the lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// This replica: a name of its own, another after each start.
    pub identity: String,
    /// How long it lasts.
    pub duration: Duration,
}

/// One replica's part in the lease.
pub struct Contender {
    leases: Api<Lease>,
    place: String,
    name: String,
    terms: Terms,
    elector: Elector,
    /// The object that was read or written last.
    object: Option<Lease>,
    stats: Arc<LeaseStats>,
    failing: Option<Cause>,
    told: Option<Box<str>>,
}

impl Contender {
    /// A replica that has not asked yet.
    #[must_use]
    pub fn new(client: Client, settings: Settings, stats: Arc<LeaseStats>) -> Self {
        let Settings {
            namespace,
            name,
            identity,
            duration,
        } = settings;
        let terms = Terms::of(duration);
        Self {
            leases: Api::namespaced(client, &namespace),
            place: format!("{namespace}/{name}"),
            name,
            terms,
            elector: Elector::new(&identity, terms),
            object: None,
            stats,
            failing: None,
            told: None,
        }
    }

    /// Contends until `leaving`. While this replica holds the lease it does its `duties`, which are
    /// dropped when it is lost. In the end the lease is given back, for another to take at once.
    pub async fn run(
        mut self,
        leaving: impl Future<Output = ()>,
        mut duties: impl FnMut() -> BoxFuture<'static, Infallible>,
    ) {
        let mut leaving = pin!(leaving);
        loop {
            let is_over = tokio::select! {
                biased;
                () = &mut leaving => true,
                () = self.contend() => false,
            };
            if is_over {
                // It may have been taken a moment ago.
                self.give_back().await;
                return;
            }
            let lease = self.place.clone();
            tracing::info!(lease, "this replica holds the lease");
            self.stats.set_held(true);
            let is_over = tokio::select! {
                biased;
                () = &mut leaving => true,
                () = self.keep() => false,
                never = duties() => match never {},
            };
            self.stats.set_held(false);
            if is_over {
                self.give_back().await;
                return;
            }
            tracing::warn!(lease, "this replica has lost the lease");
        }
    }

    /// Until the lease is held.
    async fn contend(&mut self) {
        while self.held_until().is_none() {
            let asked = Instant::now();
            self.attempt(self.terms.attempt).await;
            if self.held_until().is_none() {
                sleep_until(asked + self.terms.retry).await;
            }
        }
    }

    /// While it is.
    async fn keep(&mut self) {
        while let Some(until) = self.held_until() {
            sleep_until(until.min(Instant::now() + self.terms.retry)).await;
            let left = until.saturating_duration_since(Instant::now());
            self.attempt(left.min(self.terms.attempt)).await;
        }
    }

    fn held_until(&self) -> Option<Instant> {
        let until = self.elector.held_until(Instant::now().into_std());
        until.map(Instant::from_std)
    }

    /// Does what there is to do, once, within a time.
    async fn attempt(&mut self, within: Duration) {
        let done = timeout(within, self.step()).await;
        let done = done.unwrap_or_else(|_| Err(Fault::new(Cause::Timeout, "no answer in time")));
        match done {
            Ok(()) => {
                if self.failing.take().is_some() {
                    tracing::info!(lease = self.place, "the lease can be had again");
                }
            }
            Err(fault) => self.failed(&fault),
        }
        let other = self.elector.other().map(Into::into);
        if other != self.told {
            if let Some(holder) = &other {
                tracing::info!(
                    lease = self.place,
                    holder,
                    "another replica holds the lease"
                );
            }
            self.told = other;
        }
    }

    fn failed(&mut self, fault: &Fault) {
        let cause = fault.cause;
        self.stats.failed(cause);
        // What was thought of it is not so: it is read before anything else.
        self.object = None;
        let lease = &self.place;
        let known = self.failing.replace(cause) == Some(cause);
        if known || cause == Cause::Conflict {
            tracing::debug!(lease, cause = cause.name(), "the lease: {fault}");
        } else {
            tracing::warn!(
                lease,
                cause = cause.name(),
                "the lease can't be had, and what its holder does is left undone: {}",
                fault.with_remedy(RIGHTS)
            );
        }
    }

    async fn step(&mut self) -> Result<(), Fault> {
        // A holder knows it as it wrote it, and need not read it.
        if self.held_until().is_none() || self.object.is_none() {
            self.read().await?;
        }
        let now = Instant::now();
        match self.elector.step(now.into_std()) {
            Step::Create | Step::Take | Step::Renew => {}
            Step::Wait => return Ok(()),
        }
        let holder = self.elector.identity().to_owned();
        let written = self.write(&holder, now).await;
        if let Err(fault) = &written
            && fault.cause == Cause::Conflict
        {
            // Somebody else has written it: a holder has to know now.
            self.read().await?;
        }
        written
    }

    async fn read(&mut self) -> Result<(), Fault> {
        let read = self.leases.get_opt(&self.name).await;
        self.object = read.map_err(|error| Fault::from(&error))?;
        let record = self.object.as_ref().map(record);
        self.elector.saw(record, Instant::now().into_std());
        Ok(())
    }

    async fn write(&mut self, holder: &str, asked: Instant) -> Result<(), Fault> {
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let lease = lease(
            self.object.clone(),
            &self.name,
            holder,
            self.terms.duration,
            Timestamp::now(),
        );
        let written = match &self.object {
            None => self.leases.create(&params, &lease).await,
            Some(_) => self.leases.replace(&self.name, &params, &lease).await,
        };
        let written = written.map_err(|error| Fault::from(&error))?;
        self.elector.wrote(record(&written), asked.into_std());
        self.object = Some(written);
        Ok(())
    }

    /// Others need not wait until it is over.
    async fn give_back(&mut self) {
        let lease = self.place.clone();
        let giving = async {
            // A renewal may have been cut off, and have come through.
            self.read().await?;
            if self.elector.step(Instant::now().into_std()) != Step::Renew {
                return Ok(false);
            }
            self.write("", Instant::now()).await.map(|()| true)
        };
        match timeout(GIVE_BACK, giving).await {
            Ok(Ok(true)) => tracing::info!(lease, "the lease is given back"),
            Ok(Ok(false)) => {}
            Ok(Err(fault)) => {
                tracing::info!(lease, "the lease is left to end by itself: {fault}");
            }
            Err(_) => tracing::info!(lease, "the lease is left to end by itself"),
        }
    }
}

/// The lease as it is to be: what others have put into it stays.
fn lease(
    before: Option<Lease>,
    name: &str,
    holder: &str,
    duration: Duration,
    now: Timestamp,
) -> Lease {
    let mut lease = before.unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..Lease::default()
    });
    let spec = lease.spec.get_or_insert_with(LeaseSpec::default);
    let is_another = spec.holder_identity.as_deref().unwrap_or_default() != holder;
    if is_another && !holder.is_empty() {
        spec.acquire_time = Some(MicroTime(now));
        spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count + 1));
    }
    spec.holder_identity = Some(holder.to_owned());
    spec.lease_duration_seconds = Some(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX));
    spec.renew_time = Some(MicroTime(now));
    lease
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
    let renewed = spec.and_then(|spec| spec.renew_time.as_ref());
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    Record {
        holder: holder.unwrap_or_default().into(),
        renewed: renewed
            .map_or_else(String::new, |MicroTime(at)| at.to_string())
            .into(),
        duration: seconds
            .filter(|seconds| *seconds > 0)
            .map(Duration::from_secs),
    }
}

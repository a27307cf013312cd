//! Leader election by a Lease: its holder runs the tasks that one replica at a time has to run.

mod metrics;
pub mod state;

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::BoxFuture;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep_until, timeout};

use crate::api::{Cause, Fault};
use crate::failure_log::FailureLog;
use crate::lease::state::{LeaseState, Record, Step, Terms};

pub use metrics::Metrics;

/// The field manager that the API server records.
const FIELD_MANAGER: &str = "berth";

/// What to do where RBAC does not allow it.
const RIGHTS: &str = "apply berth's manifests: they bring the Lease, and the Role berth-lease, whose resourceNames have to have the name in lease.name";

/// How long a holder that ends tries to release the lease.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Which lease, and which replica.
#[derive(Clone, Debug)]
pub struct ElectionConfig {
    /// The namespace of the lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// This replica: a name of its own, another after each start.
    pub identity: String,
    /// How long it lasts.
    pub duration: Duration,
}

/// Takes part in the election of the leader.
pub struct LeaderElector {
    leases: Api<Lease>,
    place: String,
    name: String,
    terms: Terms,
    state: LeaseState,
    /// The object that was read or written last.
    object: Option<Lease>,
    metrics: Metrics,
    failures: FailureLog<Cause>,
    told: Option<Box<str>>,
}

impl LeaderElector {
    /// Nothing is asked of the API server yet.
    #[must_use]
    pub fn new(client: Client, config: ElectionConfig, metrics: Metrics) -> Self {
        let ElectionConfig {
            namespace,
            name,
            identity,
            duration,
        } = config;
        let terms = Terms::of(duration);
        Self {
            leases: Api::namespaced(client, &namespace),
            place: format!("{namespace}/{name}"),
            name,
            terms,
            state: LeaseState::new(&identity, terms),
            object: None,
            metrics,
            failures: FailureLog::default(),
            told: None,
        }
    }

    /// Takes part until `leaving`. While this replica holds the lease it runs `tasks`, which are dropped
    /// when the lease is lost. In the end it releases the lease, for another replica to take at once.
    pub async fn run(
        mut self,
        leaving: impl Future<Output = ()>,
        mut tasks: impl FnMut() -> BoxFuture<'static, Infallible>,
    ) {
        let mut leaving = pin!(leaving);
        loop {
            let is_over = tokio::select! {
                biased;
                () = &mut leaving => true,
                () = self.acquire() => false,
            };
            if is_over {
                // It may have been acquired a moment ago.
                self.release().await;
                return;
            }
            let lease = self.place.clone();
            tracing::info!(lease, "this replica holds the lease");
            self.metrics.taken.inc();
            self.metrics.held.set(1);
            let is_over = tokio::select! {
                biased;
                () = &mut leaving => true,
                () = self.renew() => false,
                never = tasks() => match never {},
            };
            self.metrics.held.set(0);
            if is_over {
                self.release().await;
                return;
            }
            tracing::warn!(lease, "this replica has lost the lease");
        }
    }

    /// Tries until this replica holds the lease.
    async fn acquire(&mut self) {
        while self.held_until().is_none() {
            let asked = Instant::now();
            self.attempt(self.terms.attempt).await;
            if self.held_until().is_none() {
                sleep_until(asked + self.terms.retry).await;
            }
        }
    }

    /// Renews the lease until it is lost.
    async fn renew(&mut self) {
        while let Some(until) = self.held_until() {
            sleep_until(until.min(Instant::now() + self.terms.retry)).await;
            let left = until.saturating_duration_since(Instant::now());
            self.attempt(left.min(self.terms.attempt)).await;
        }
    }

    fn held_until(&self) -> Option<Instant> {
        let until = self.state.held_until(Instant::now().into_std());
        until.map(Instant::from_std)
    }

    /// Takes one step within this time.
    async fn attempt(&mut self, within: Duration) {
        let done = timeout(within, self.step()).await;
        let done = done.unwrap_or_else(|_| Err(Fault::new(Cause::Timeout, "no answer in time")));
        match done {
            Ok(()) => {
                if self.failures.clear() {
                    tracing::info!(
                        lease = self.place,
                        "the lease can be read and written again"
                    );
                }
            }
            Err(fault) => self.failed(&fault),
        }
        let other = self.state.other().map(Into::into);
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
        self.metrics.failures(cause).inc();
        // What is known of it may be wrong: read it before anything else.
        self.object = None;
        let lease = &self.place;
        if self.failures.record(cause) && cause != Cause::Conflict {
            tracing::warn!(
                lease,
                cause = cause.name(),
                "the lease can't be read or written, and without it this replica runs no leader tasks: {}",
                fault.with_remedy(RIGHTS)
            );
        } else {
            tracing::debug!(lease, cause = cause.name(), "the lease: {fault}");
        }
    }

    async fn step(&mut self) -> Result<(), Fault> {
        // A holder knows the lease as it wrote it.
        if self.held_until().is_none() || self.object.is_none() {
            self.read().await?;
        }
        let now = Instant::now();
        match self.state.step(now.into_std()) {
            Step::Create | Step::Take | Step::Renew => {}
            Step::Wait => return Ok(()),
        }
        let holder = self.state.identity().to_owned();
        let written = self.write(&holder, now).await;
        if let Err(fault) = &written
            && fault.cause == Cause::Conflict
        {
            // Another client has written it: a holder has to know now.
            self.read().await?;
        }
        written
    }

    async fn read(&mut self) -> Result<(), Fault> {
        let read = self.leases.get_opt(&self.name).await;
        self.object = read.map_err(|error| Fault::from(&error))?;
        let record = self.object.as_ref().map(record);
        self.state.observe(record, Instant::now().into_std());
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
        self.state.record_write(record(&written), asked.into_std());
        self.object = Some(written);
        Ok(())
    }

    /// Lets others take the lease without waiting until it expires.
    async fn release(&mut self) {
        let lease = self.place.clone();
        let releasing = async {
            // A renewal that was cut off may have succeeded.
            self.read().await?;
            if self.state.step(Instant::now().into_std()) != Step::Renew {
                return Ok(false);
            }
            self.write("", Instant::now()).await.map(|()| true)
        };
        match timeout(RELEASE_TIMEOUT, releasing).await {
            Ok(Ok(true)) => tracing::info!(lease, "the lease is released"),
            Ok(Ok(false)) => {}
            Ok(Err(fault)) => {
                tracing::info!(
                    lease,
                    "the lease is not released and expires by itself: {fault}"
                );
            }
            Err(_) => tracing::info!(lease, "the lease is not released and expires by itself"),
        }
    }
}

/// The lease to write: what others have put into it stays.
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

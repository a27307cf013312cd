//! The tasks of the leader: it publishes the node conditions, probes the chassis, keeps up what berth wrote
//! to the northbound database, and says what it observes of migrations.

use std::convert::Infallible;
use std::env;
use std::future::pending;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kube::Client;

use super::AppError;
use super::continuity::Led;
use super::southbound::northbound;
use crate::config::{Config, LeaderElection};
use crate::continuity::{Keeper, Reporter};
use crate::lease::{self, ElectionConfig, LeaderElector};
use crate::metrics::Registry;
use crate::ovn::Probe;
use crate::ovn::probe::ProbeMetrics;
use crate::publish::tracker::Pace;
use crate::publish::{self, Publisher};
use crate::snapshot::Stores;

/// The longest wait between two looks at whether everything is known.
const TICK: Duration = Duration::from_secs(1);

/// The future that takes part in the election and runs the tasks, until `leaving`; it ends only then.
pub(super) fn run(
    config: &Config,
    client: Option<&Client>,
    led: Led,
    stores: &Stores,
    registry: &Registry,
    leaving: impl Future<Output = ()> + Send + 'static,
) -> Result<BoxFuture<'static, ()>, AppError> {
    let options = northbound(&config.southbound).map_err(AppError::Refused)?;
    let is_publishing = config.node_condition.publish;
    let client = match (config.lease.leader_election, client) {
        (LeaderElection::Never, _) | (LeaderElection::Auto, None) => return Ok(leaving.boxed()),
        (LeaderElection::Always, None) => return Err(AppError::NoLease),
        (LeaderElection::Auto | LeaderElection::Always, Some(client)) => client,
    };
    // With a northbound database to probe there is one to tidy up.
    if options.is_none() && !is_publishing {
        return Ok(leaving.boxed());
    }
    let every = config.southbound.probe.interval.0;
    let probe_metrics = ProbeMetrics::register(registry)?;
    let pace = Pace {
        debounce: config.node_condition.debounce.0,
        per_second: config.node_condition.writes_per_second,
    };
    let (policy, metrics) = (config.policy(), publish::Metrics::register(registry)?);
    let elector = elector(config, client, lease::Metrics::register(registry)?);
    let known = stores.clone();
    let (client, stores) = (client.clone(), stores.clone());
    // They begin anew each time that this replica becomes the leader.
    let tasks = move || {
        let publisher = is_publishing.then(|| {
            let (client, stores) = (client.clone(), stores.clone());
            Publisher::new(client, stores, policy.clone(), pace, metrics.clone())
        });
        let probe = options.clone().map(Probe::new);
        let keeper = led.keeper.as_ref().map(|make| make());
        let reporter = led.reporter.as_ref().map(|make| make());
        let (probe_metrics, southbound) = (probe_metrics.clone(), stores.southbound.clone());
        async move {
            let responds = || {
                let southbound = southbound.as_ref();
                southbound.is_none_or(|source| !source.view.load().updates_off)
            };
            tokio::select! {
                never = publish(publisher) => never,
                never = run_probe(probe, every, &probe_metrics, responds) => never,
                never = keep(keeper) => never,
                never = report(reporter) => never,
            }
        }
        .boxed()
    };
    let running = async move {
        let mut leaving = pin!(leaving);
        // A replica that does not know the cluster yet has nothing to publish.
        tokio::select! {
            () = &mut leaving => return,
            () = everything_is_known(&known) => {}
        }
        elector.run(leaving, tasks).await;
    };
    Ok(running.boxed())
}

async fn publish(publisher: Option<Publisher>) -> Infallible {
    match publisher {
        Some(mut publisher) => publisher.run().await,
        None => pending().await,
    }
}

async fn keep(keeper: Option<Keeper>) -> Infallible {
    match keeper {
        Some(mut keeper) => keeper.run().await,
        None => pending().await,
    }
}

async fn report(reporter: Option<Reporter>) -> Infallible {
    match reporter {
        Some(reporter) => reporter.run().await,
        None => pending().await,
    }
}

async fn run_probe(
    probe: Option<Probe>,
    every: Duration,
    metrics: &ProbeMetrics,
    responds: impl Fn() -> bool,
) -> Infallible {
    match probe {
        Some(mut probe) => probe.run(every, metrics, responds).await,
        None => pending().await,
    }
}

fn elector(config: &Config, client: &Client, metrics: lease::Metrics) -> LeaderElector {
    let election = ElectionConfig {
        namespace: client.default_namespace().to_owned(),
        name: config.lease.name.to_string(),
        identity: identity(),
        duration: config.lease.duration.0,
    };
    LeaderElector::new(client.clone(), election, metrics)
}

/// The pod, and a number that is another one in each process.
fn identity() -> String {
    let host = env::var("HOSTNAME").unwrap_or_else(|_| "berth".to_owned());
    let random = RandomState::new().build_hasher().finish();
    format!("{host}_{random:016x}")
}

/// Waits for the first full lists, and for the southbound database where it is read.
async fn everything_is_known(stores: &Stores) {
    let mut changes = stores.changes.subscribe();
    loop {
        let southbound = stores.southbound.as_ref();
        let is_read = southbound.is_none_or(|source| source.connection.silence().is_some());
        if is_read && stores.cluster.load().is_complete() {
            return;
        }
        let _ = changes.next(TICK).await;
    }
}

//! The tasks of the leader: it publishes the node conditions and asks the chassis.

use std::convert::Infallible;
use std::env;
use std::future::pending;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kube::Client;

use super::AppError;
use super::southbound::tls;
use crate::config::Config;
use crate::config::LeaderElection;
use crate::decide::policy::Policy;
use crate::lease::{self, LeaderElector, Settings};
use crate::metrics::{DutyCollector, DutyStats, Registry};
use crate::ovn::probe::ProbeStats;
use crate::ovn::{Endpoints, Probe};
use crate::publish::Publisher;
use crate::publish::stats::PublishStats;
use crate::publish::tracker::Pace;
use crate::snapshot::{SouthboundStore, Stores};
use crate::tls::ClientFiles;

/// How soon it is looked again whether everything is known, where nothing is heard.
const TICK: Duration = Duration::from_secs(1);

/// What there is to do, until `leaving`; it ends only then.
pub(super) fn run(
    config: &Config,
    client: Option<&Client>,
    stores: &Stores,
    registry: &Registry,
    leaving: impl Future<Output = ()> + Send + 'static,
) -> Result<BoxFuture<'static, ()>, AppError> {
    let stats = DutyStats::default();
    let asking = asking(config, stores, &stats.probe)?;
    let publishes = config.node_condition.publish;
    let client = match (config.lease.leader_election, client) {
        (LeaderElection::Never, _) | (LeaderElection::Auto, None) => return Ok(leaving.boxed()),
        (LeaderElection::Always, None) => return Err(AppError::NoLease),
        (LeaderElection::Auto | LeaderElection::Always, Some(client)) => client,
    };
    if asking.is_none() && !publishes {
        return Ok(leaving.boxed());
    }
    registry.collect(DutyCollector::new(stats.clone())?)?;
    let publishing = publishes.then(|| Publishing {
        client: client.clone(),
        stores: stores.clone(),
        policy: config.policy(),
        pace: Pace {
            debounce: config.node_condition.debounce.0,
            per_second: config.node_condition.writes_per_second,
        },
        stats: Arc::clone(&stats.publish),
    });
    let elector = elector(config, client, lease::Metrics::register(registry)?);
    let stores = stores.clone();
    let tasks = move || {
        let (asking, publishing) = (asking.clone(), publishing.clone());
        async {
            tokio::select! {
                never = ask(asking) => never,
                never = publish(publishing) => never,
            }
        }
        .boxed()
    };
    let running = async move {
        let mut leaving = pin!(leaving);
        // A replica that does not know the cluster yet has nothing to publish.
        tokio::select! {
            () = &mut leaving => return,
            () = everything_is_known(&stores) => {}
        }
        elector.run(leaving, tasks).await;
    };
    Ok(running.boxed())
}

#[derive(Clone)]
struct Asking {
    endpoints: Endpoints,
    tls: Option<ClientFiles>,
    every: Duration,
    stats: Arc<ProbeStats>,
    /// Where the answers are.
    southbound: Option<SouthboundStore>,
}

fn asking(
    config: &Config,
    stores: &Stores,
    stats: &Arc<ProbeStats>,
) -> Result<Option<Asking>, AppError> {
    let southbound = &config.southbound;
    let endpoints = southbound.probed().map_err(AppError::Refused)?;
    Ok(endpoints.map(|endpoints| Asking {
        endpoints,
        tls: tls(southbound),
        every: southbound.probe.interval.0,
        stats: Arc::clone(stats),
        southbound: stores.southbound.clone(),
    }))
}

async fn ask(asking: Option<Asking>) -> Infallible {
    let Some(Asking {
        endpoints,
        tls,
        every,
        stats,
        southbound,
    }) = asking
    else {
        return pending().await;
    };
    let answers = || {
        let southbound = southbound.as_ref();
        southbound.is_none_or(|source| !source.view.load().updates_are_off())
    };
    Probe::new(endpoints, tls).run(every, &stats, answers).await
}

#[derive(Clone)]
struct Publishing {
    client: Client,
    stores: Stores,
    policy: Policy,
    pace: Pace,
    stats: Arc<PublishStats>,
}

async fn publish(publishing: Option<Publishing>) -> Infallible {
    let Some(Publishing {
        client,
        stores,
        policy,
        pace,
        stats,
    }) = publishing
    else {
        return pending().await;
    };
    let mut publisher = Publisher::new(client, stores, policy, pace, stats);
    publisher.run().await
}

fn elector(config: &Config, client: &Client, metrics: lease::Metrics) -> LeaderElector {
    let settings = Settings {
        namespace: client.default_namespace().to_owned(),
        name: config.lease.name.to_string(),
        identity: identity(),
        duration: config.lease.duration.0,
    };
    LeaderElector::new(client.clone(), settings, metrics)
}

/// The pod, and something that no other process has, nor this one after a restart.
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
        let is_read = southbound.is_none_or(|source| source.stats.silence().is_some());
        if is_read && stores.cluster.load().is_complete() {
            return;
        }
        let _ = changes.next(TICK).await;
    }
}

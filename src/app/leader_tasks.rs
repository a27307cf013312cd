//! The tasks of the leader: it publishes the node conditions and asks the chassis.

use std::convert::Infallible;
use std::env;
use std::future::pending;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kube::Client;
use ovsdb::ClientOptions;

use super::AppError;
use super::southbound::tls;
use crate::config::Config;
use crate::config::LeaderElection;
use crate::decide::policy::Policy;
use crate::lease::{self, LeaderElector, Settings};
use crate::metrics::Registry;
use crate::ovn::Probe;
use crate::ovn::probe::ProbeMetrics;
use crate::publish::tracker::Pace;
use crate::publish::{self, Publisher};
use crate::snapshot::{SouthboundStore, Stores};

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
    let probed = config.southbound.probed().map_err(AppError::Refused)?;
    let publishes = config.node_condition.publish;
    let client = match (config.lease.leader_election, client) {
        (LeaderElection::Never, _) | (LeaderElection::Auto, None) => return Ok(leaving.boxed()),
        (LeaderElection::Always, None) => return Err(AppError::NoLease),
        (LeaderElection::Auto | LeaderElection::Always, Some(client)) => client,
    };
    if probed.is_none() && !publishes {
        return Ok(leaving.boxed());
    }
    let metrics = ProbeMetrics::register(registry)?;
    let asking = probed.map(|endpoints| Asking {
        options: ClientOptions {
            tls: tls(&config.southbound),
            ..ClientOptions::new(endpoints)
        },
        every: config.southbound.probe.interval.0,
        metrics,
        southbound: stores.southbound.clone(),
    });
    let metrics = publish::Metrics::register(registry)?;
    let publishing = publishes.then(|| Publishing {
        client: client.clone(),
        stores: stores.clone(),
        policy: config.policy(),
        pace: Pace {
            debounce: config.node_condition.debounce.0,
            per_second: config.node_condition.writes_per_second,
        },
        metrics,
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
    options: ClientOptions,
    every: Duration,
    metrics: ProbeMetrics,
    /// Where the answers are.
    southbound: Option<SouthboundStore>,
}

async fn ask(asking: Option<Asking>) -> Infallible {
    let Some(Asking {
        options,
        every,
        metrics,
        southbound,
    }) = asking
    else {
        return pending().await;
    };
    let answers = || {
        let southbound = southbound.as_ref();
        southbound.is_none_or(|source| !source.view.load().updates_are_off())
    };
    Probe::new(options).run(every, &metrics, answers).await
}

#[derive(Clone)]
struct Publishing {
    client: Client,
    stores: Stores,
    policy: Policy,
    pace: Pace,
    metrics: publish::Metrics,
}

async fn publish(publishing: Option<Publishing>) -> Infallible {
    let Some(Publishing {
        client,
        stores,
        policy,
        pace,
        metrics,
    }) = publishing
    else {
        return pending().await;
    };
    let mut publisher = Publisher::new(client, stores, policy, pace, metrics);
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
        let is_read = southbound.is_none_or(|source| source.connection.silence().is_some());
        if is_read && stores.cluster.load().is_complete() {
            return;
        }
        let _ = changes.next(TICK).await;
    }
}

//! The southbound database, where it is configured: followed, counted, and waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use ovsdb::{ClientOptions, MonitorSpec, Tls};

use super::AppError;
use crate::config::{Refusal, Southbound};
use crate::metrics::Registry;
use crate::ovn::{ChassisView, ConnectionMetrics, southbound};
use crate::readiness::{Condition, Readiness};
use crate::snapshot::{Changes, SouthboundState, SouthboundStore};
use crate::tls::{ClientFiles, Identity};

/// A source of facts, and what keeps it one; with `locality`, also of where networks are local.
pub(crate) fn follow(
    config: &Southbound,
    locality: bool,
    readiness: &Arc<Readiness>,
    changes: &Changes,
    registry: &Registry,
) -> Result<Option<(SouthboundStore, BoxFuture<'static, ()>)>, AppError> {
    let Some(endpoints) = config.servers().map_err(AppError::Refused)? else {
        return Ok(None);
    };
    readiness.set_missing(Condition::Southbound);
    let source = SouthboundStore {
        view: Arc::new(ArcSwap::from_pointee(ChassisView::default())),
        connection: Arc::new(ConnectionMetrics::register(registry)?),
        stale_after: config.stale_after.0,
    };
    let options = ClientOptions {
        endpoints,
        tls: tls(config),
        inactivity: config.inactivity_probe.0,
    };
    let spec = MonitorSpec {
        limit: config.max_size.bytes(),
        ..southbound::spec(config.leader_only, locality)
    };
    let readiness = Arc::clone(readiness);
    let changes = changes.clone();
    let publish = move |_: &ChassisView| {
        readiness.set_met(Condition::Southbound);
        changes.southbound_changed();
    };
    let (view, connection) = (Arc::clone(&source.view), Arc::clone(&source.connection));
    let allowed_lag = config.allowed_lag.0;
    let following = southbound::watch(options, spec, allowed_lag, view, connection, publish);
    Ok(Some((source, following.boxed())))
}

/// What is in the database now, for a command that answers and ends. A database that does not answer in
/// time is stale.
pub(crate) async fn read_once(
    config: &Southbound,
    deadline: Duration,
) -> Result<SouthboundState, AppError> {
    let (changes, readiness) = (Changes::default(), Arc::default());
    let mut updates = changes.subscribe();
    let followed = follow(config, true, &readiness, &changes, &Registry::default())?;
    let Some((store, following)) = followed else {
        return Ok(SouthboundState::NotRead);
    };
    tokio::select! {
        () = following => {}
        _ = updates.next(deadline) => {}
    }
    Ok(store.state(Instant::now()))
}

/// How the northbound database is reached, where it is configured.
pub(crate) fn northbound(config: &Southbound) -> Result<Option<ClientOptions>, Refusal> {
    let endpoints = config.probed()?;
    Ok(endpoints.map(|endpoints| ClientOptions {
        tls: tls(config),
        ..ClientOptions::new(endpoints)
    }))
}

/// The files that both databases of OVN are reached with.
fn tls(config: &Southbound) -> Option<Tls> {
    let identity = config.cert_file.as_ref().zip(config.key_file.as_ref());
    let files = ClientFiles {
        ca: config.ca_file.clone()?,
        identity: identity.map(|(cert, key)| Identity {
            cert: cert.clone(),
            key: key.clone(),
        }),
    };
    Some(files.into())
}

//! Continuity: the binder that serves kube-scheduler, and what the leader keeps up.

use std::future::pending;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kube::Client;

use super::AppError;
use super::southbound::northbound;
use crate::config::{Config, ContinuityMode, LeaderElection};
use crate::continuity::{
    Binder, Keeper, Metrics, Northbound, Preparer, Upholding, WarmOptions, Warmer,
};
use crate::metrics::Registry;
use crate::snapshot::Stores;

/// What binds pods, and what runs for it.
pub(super) struct Binding {
    /// The binder; `None` without an API server.
    pub(super) binder: Option<Binder>,
    /// What makes warm ports, until it is dropped.
    pub(super) warming: BoxFuture<'static, ()>,
    /// Makes a keeper each time that this replica becomes the leader; `None` without a northbound
    /// database.
    pub(super) keeper: Option<Arc<dyn Fn() -> Keeper + Send + Sync>>,
}

/// Whether ports have to be followed in the southbound database.
pub(super) fn needs_locality(config: &Config) -> bool {
    config.scoring.locality > 0 || config.continuity.mode == ContinuityMode::Prepare
}

/// Sets everything up as the configuration says.
pub(super) fn set_up(
    config: &Config,
    client: Option<&Client>,
    stores: &Stores,
    registry: &Registry,
) -> Result<Binding, AppError> {
    let none = || pending().boxed();
    let Some(client) = client else {
        return Ok(Binding {
            binder: None,
            warming: none(),
            keeper: None,
        });
    };
    let metrics = Metrics::register(registry)?;
    let northbound = northbound(&config.southbound).map_err(AppError::Refused)?;
    let Some(northbound) = northbound.map(Northbound::new) else {
        return Ok(Binding {
            binder: Some(Binder::new(client.clone(), None, metrics)),
            warming: none(),
            keeper: None,
        });
    };
    let writes = config.continuity.mode == ContinuityMode::Prepare;
    if writes && config.lease.leader_election == LeaderElection::Never {
        tracing::warn!(
            "continuity.mode: Prepare with lease.leaderElection: Never: what berth writes to the northbound database is finished and deleted only by a leader elsewhere, with the same mode"
        );
    }
    let options = options(config);
    let (preparer, warming) = if writes {
        let (warmer, warming) =
            Warmer::new(northbound.clone(), stores.clone(), options, metrics.clone());
        let preparer = Preparer::new(
            northbound.clone(),
            stores.clone(),
            warmer,
            options,
            metrics.clone(),
        );
        (Some(preparer), warming.boxed())
    } else {
        (None, none())
    };
    let binder = Binder::new(client.clone(), preparer, metrics.clone());
    let (client, stores) = (client.clone(), stores.clone());
    let upholding = if writes {
        Upholding::while_on(options.keep)
    } else {
        Upholding::after_off()
    };
    let keeper = move || {
        Keeper::new(
            northbound.clone(),
            Some(client.clone()),
            stores.clone(),
            upholding,
            metrics.clone(),
        )
    };
    Ok(Binding {
        binder: Some(binder),
        warming,
        keeper: Some(Arc::new(keeper)),
    })
}

fn options(config: &Config) -> WarmOptions {
    let warm = &config.continuity.warm;
    WarmOptions {
        coalesce: warm.coalesce.0,
        min_interval: warm.min_interval.0,
        max_concurrent: usize::try_from(warm.max_concurrent).unwrap_or(usize::MAX),
        timeout: warm.timeout.0,
        keep: warm.keep.0,
    }
}

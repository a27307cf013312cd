//! Continuity: the binder that serves kube-scheduler, what the leader keeps up, and what is observed.

use std::future::pending;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kube::Client;
use tokio::sync::broadcast;

use super::AppError;
use super::southbound::northbound;
use crate::config::{Config, ContinuityMode, LeaderElection};
use crate::continuity::{
    Binder, History, Keeper, Metrics, Northbound, Observer, Preparer, Reporter, Upholding,
    WarmOptions, Warmer, reporter,
};
use crate::metrics::Registry;
use crate::snapshot::Stores;

/// What binds pods, and what runs for it.
pub(super) struct Binding {
    /// The binder; `None` without an API server.
    pub(super) binder: Option<Binder>,
    /// What makes warm ports, until it is dropped.
    pub(super) warming: BoxFuture<'static, ()>,
    /// What the leader does.
    pub(super) led: Led,
}

/// What the leader does for continuity. Each is made anew each time that this replica becomes the leader.
#[derive(Clone, Default)]
pub(super) struct Led {
    /// Keeps up what berth wrote; `None` without a northbound database.
    pub(super) keeper: Option<Arc<dyn Fn() -> Keeper + Send + Sync>>,
    /// Says what is observed; `None` where nothing is.
    pub(super) reporter: Option<Arc<dyn Fn() -> Reporter + Send + Sync>>,
}

/// What is observed, and what runs for it.
pub(super) struct Observing {
    /// The timelines.
    pub(super) history: History,
    /// What keeps them, until it is dropped.
    pub(super) task: BoxFuture<'static, ()>,
    /// Makes what says what is new.
    pub(super) reporter: Option<Arc<dyn Fn() -> Reporter + Send + Sync>>,
}

/// Whether ports have to be followed in the southbound database.
pub(super) fn needs_locality(config: &Config) -> bool {
    config.scoring.locality > 0 || observes(config)
}

/// Whether migrations are observed.
fn observes(config: &Config) -> bool {
    let southbound = &config.southbound;
    let is_read = southbound.endpoints.is_some() && southbound.probe.endpoints.is_some();
    config.continuity.mode != ContinuityMode::Off && is_read
}

/// How much the leader may be behind with what is told.
const TOLD: usize = 4096;

/// Sets up what observes migrations. Every replica does, so that each can show them; the leader alone
/// writes Events and counts.
pub(super) fn observe(
    config: &Config,
    client: Option<&Client>,
    stores: &Stores,
    registry: &Registry,
) -> Result<Observing, AppError> {
    let history = History::default();
    let Some(client) = client.filter(|_| observes(config)) else {
        return Ok(Observing {
            history,
            task: pending().boxed(),
            reporter: None,
        });
    };
    let northbound = northbound(&config.southbound).map_err(AppError::Refused)?;
    let northbound = northbound.map(Northbound::new);
    let metrics = reporter::Metrics::register(registry)?;
    let (tell, _) = broadcast::channel(TOLD);
    let mut observer = Observer::new(stores.clone(), northbound, history.clone());
    let (told, stale) = (tell.clone(), metrics.stale.clone());
    let task = async move {
        // Without a leader here there is no receiver.
        let tell = |news| drop(told.send(news));
        let never = observer.run(tell, |count| stale.set(count)).await;
        match never {}
    };
    let client = client.clone();
    let reporter = move || Reporter::new(client.clone(), tell.subscribe(), metrics.clone());
    Ok(Observing {
        history,
        task: task.boxed(),
        reporter: Some(Arc::new(reporter)),
    })
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
            led: Led::default(),
        });
    };
    let metrics = Metrics::register(registry)?;
    let northbound = northbound(&config.southbound).map_err(AppError::Refused)?;
    let Some(northbound) = northbound.map(Northbound::new) else {
        return Ok(Binding {
            binder: Some(Binder::new(client.clone(), None, metrics)),
            warming: none(),
            led: Led::default(),
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
        led: Led {
            keeper: Some(Arc::new(keeper)),
            reporter: None,
        },
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

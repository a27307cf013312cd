//! Where the cluster comes from, and the task that keeps the view of it current.

use std::future::pending;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kube::Client;

use super::AppError;
use super::cluster_log::ClusterLog;
use crate::cluster::watch::{RIGHTS, Scope, watch};
use crate::cluster::{ClusterView, Metrics, ObjectKind, VmiReader};
use crate::config::Config;
use crate::metrics::Registry;
use crate::readiness::{Condition, Readiness};
use crate::snapshot::Stores;

/// Where the cluster comes from.
pub enum Cluster {
    /// A view that does not change.
    Snapshot(ClusterView),
    /// An API server to watch.
    Live(Client),
}

impl Cluster {
    pub(super) fn client(&self) -> Option<&Client> {
        match self {
            Self::Snapshot(_) => None,
            Self::Live(client) => Some(client),
        }
    }
}

/// Fills the view: at once from a snapshot, else by what is to be spawned.
pub(super) fn follow(
    cluster: Cluster,
    config: &Config,
    stores: &Stores,
    readiness: &Arc<Readiness>,
    registry: &Registry,
) -> Result<(Option<Arc<VmiReader>>, BoxFuture<'static, ()>), AppError> {
    let mut log = ClusterLog::new(config.policy());
    match cluster {
        Cluster::Snapshot(snapshot) => {
            let snapshot = Arc::new(snapshot);
            stores.cluster.store(Arc::clone(&snapshot));
            readiness.set_met(Condition::ClusterView);
            let watching = async move {
                log.update(&snapshot);
                pending::<()>().await;
            };
            Ok((None, watching.boxed()))
        }
        Cluster::Live(client) => {
            let metrics = Arc::new(Metrics::register(registry)?);
            let limits = &config.limits;
            let reader = VmiReader::new(
                client.clone(),
                limits.lookup_timeout.0,
                limits.lookups_per_second,
                Arc::clone(&metrics),
            );
            let reader = Arc::new(reader);
            let (view, watches) = (Arc::clone(&stores.cluster), Arc::clone(&metrics));
            readiness.set_waiting(Condition::ClusterView, move || {
                not_listed(&view.load(), &watches)
            });
            let readiness = Arc::clone(readiness);
            let changes = stores.changes.clone();
            let publish = move |view: &ClusterView| {
                changes.cluster_changed();
                log.update(view);
                if view.is_complete() {
                    readiness.set_met(Condition::ClusterView);
                }
            };
            let watching = watch(
                client,
                config.network(),
                Scope::Cluster,
                Arc::clone(&stores.cluster),
                metrics,
                publish,
            );
            Ok((Some(reader), watching.boxed()))
        }
    }
}

/// The kinds that the view still waits for, each with what its list fails of.
fn not_listed(view: &ClusterView, metrics: &Metrics) -> String {
    let waiting = ObjectKind::ALL
        .iter()
        .copied()
        .filter(|kind| !view.is_listed(*kind));
    let texts: Vec<String> = waiting
        .map(|kind| match metrics.fault(kind) {
            None => kind.name().to_owned(),
            Some(fault) => format!("{}: {}", kind.name(), fault.with_remedy(RIGHTS)),
        })
        .collect();
    let has_faults = texts.iter().any(|text| text.contains(':'));
    texts.join(if has_faults { "; " } else { ", " })
}

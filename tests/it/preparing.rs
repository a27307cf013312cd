//! Everything of berth that prepares migrations but for its routes, on a real OVN.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use berth::cluster::ClusterView;
use berth::continuity::{Metrics, Northbound, Preparer, WarmOptions, Warmer};
use berth::metrics::Registry;
use berth::ovn::{ChassisView, ConnectionMetrics, southbound};
use berth::snapshot::{Changes, SouthboundStore, Stores};
use ovsdb::{ClientOptions, Endpoints};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long the southbound database may take to know a VM's ports.
const PATIENCE: Duration = Duration::from_secs(30);

/// A replica. It ends when it is dropped, whatever it is at.
pub(crate) struct Preparing {
    pub(crate) stores: Stores,
    pub(crate) northbound: Northbound,
    pub(crate) preparer: Preparer,
    pub(crate) registry: Registry,
    pub(crate) metrics: Metrics,
    tasks: [JoinHandle<()>; 2],
}

impl Preparing {
    /// Starts one on databases at these endpoints, and waits until it knows the ports of these VMs of the
    /// namespace `default`.
    pub(crate) async fn start(
        southbound: &str,
        northbound: &str,
        cluster: ClusterView,
        options: WarmOptions,
        vms: &[&str],
    ) -> Self {
        let registry = Registry::default();
        let metrics = Metrics::register(&registry).unwrap();
        let changes = Changes::default();
        let source = SouthboundStore {
            view: Arc::new(ArcSwap::from_pointee(ChassisView::default())),
            connection: Arc::new(ConnectionMetrics::register(&registry).unwrap()),
            stale_after: Duration::from_hours(1),
        };
        let stores = Stores {
            cluster: Arc::new(ArcSwap::from_pointee(cluster)),
            southbound: Some(source.clone()),
            changes: changes.clone(),
        };
        let following = southbound::watch(
            options_of(southbound),
            southbound::spec(false, true),
            Duration::from_secs(30),
            Arc::clone(&source.view),
            Arc::clone(&source.connection),
            move |_| changes.southbound_changed(),
        );
        let following = tokio::spawn(following);
        let northbound = Northbound::new(options_of(northbound));
        let (warmer, warming) =
            Warmer::new(northbound.clone(), stores.clone(), options, metrics.clone());
        let warming = tokio::spawn(warming);
        let preparer = Preparer::new(
            northbound.clone(),
            stores.clone(),
            warmer,
            options,
            metrics.clone(),
        );
        let known = async {
            let is_known = |vm: &&str| {
                let view = source.view.load();
                view.locality.switches_of("default", vm).is_some()
            };
            while !vms.iter().all(is_known) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let known = timeout(PATIENCE, known).await;
        assert!(known.is_ok(), "the ports of {vms:?} never came");
        Self {
            stores,
            northbound,
            preparer,
            registry,
            metrics,
            tasks: [following, warming],
        }
    }
}

impl Drop for Preparing {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn options_of(endpoints: &str) -> ClientOptions {
    ClientOptions::new(Endpoints::parse("test", endpoints).unwrap())
}

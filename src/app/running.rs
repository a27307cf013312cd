//! Starts and stops the service, in order.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{oneshot, watch as signals};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::certificates::{Certificates, Served};
use super::cluster::{Cluster, follow};
use super::continuity::{self, Binding, Led, Observing};
use super::listeners::{
    ADMIN_CONNECTIONS, ADMIN_PATIENCE, Listeners, admin_limits, bind, https_limits, runs_in_pod,
};
use super::{AppError, leader_tasks, southbound};
use crate::cluster::ClusterView;
use crate::config::{Config, OnStale};
use crate::http::{self, Service, admin_router, router};
use crate::metrics::{self, Registry};
use crate::readiness::{Condition, Readiness};
use crate::server::{self, Drained, Phase, Server, ServerMetrics};
use crate::snapshot::{Changes, Stores};
use crate::snapshot::{ClusterGauges, SouthboundGauges};
use crate::telemetry;

/// A running service.
#[derive(Debug)]
pub struct Running {
    /// Where HTTPS is served.
    pub https: SocketAddr,
    /// Where plain HTTP is served.
    pub admin: SocketAddr,
    shutdown_delay: Duration,
    readiness: Arc<Readiness>,
    https_phase: signals::Sender<Phase>,
    admin_phase: signals::Sender<Phase>,
    https_task: JoinHandle<Drained>,
    admin_task: JoinHandle<Drained>,
    certificates_task: JoinHandle<()>,
    watch_task: JoinHandle<()>,
    southbound_task: JoinHandle<()>,
    warming_task: JoinHandle<()>,
    observing_task: JoinHandle<()>,
    leader_tasks: JoinHandle<()>,
}

impl Running {
    /// Starts the service. Everything that can be refused is, before a port is bound. HTTPS is
    /// served once there is a certificate, the admin port before.
    pub async fn start(config: Config, cluster: Cluster) -> Result<Self, AppError> {
        let policy = config.policy();
        let certificates = Certificates::open(&config, cluster.client())?;
        let registry = Registry::default();
        metrics::register_process(&registry)?;
        telemetry::register_metrics(&registry)?;
        let metrics = http::Metrics::register(&registry)?;
        let readiness = Arc::new(Readiness::default());
        let (stores, following) = open_stores(&config, &readiness, &registry)?;
        registry.collect(ClusterGauges::new(stores.clone(), policy.clone())?)?;

        let (https_phase, https_phases) = signals::channel(Phase::Serving);
        let leaving = left(https_phase.subscribe());
        let Binding {
            binder,
            warming,
            led,
        } = continuity::set_up(&config, cluster.client(), &stores, &registry)?;
        let Observing {
            history,
            task: observing,
            reporter,
        } = continuity::observe(&config, cluster.client(), &stores, &registry)?;
        let led = Led { reporter, ..led };
        let led = leader_tasks::run(&config, cluster.client(), led, &stores, &registry, leaving)?;
        let (reader, watching) = follow(cluster, &config, &stores, &readiness, &registry)?;
        let service = Service::new(stores, reader, binder, policy, metrics, &config.limits);
        let limits = https_limits(&config);
        server::allow_connections(limits.max_connections.saturating_add(ADMIN_CONNECTIONS));
        let listeners = ServerMetrics::register(&registry)?;
        let admin_server = Server::new(
            admin_router(registry.clone(), Arc::clone(&readiness), history)?,
            admin_limits(),
            None,
            listeners.listener("admin"),
        );
        let https_metrics = listeners.listener("https");
        let Listeners {
            https: https_address,
            admin: admin_address,
            reach,
        } = Listeners::of(&config, runs_in_pod());
        let (admin_listener, admin) = bind("--admin-listen", admin_address).await?;
        let (admin_phase, admin_phases) = signals::channel(Phase::Serving);
        let admin_task = tokio::spawn(admin_server.serve(admin_listener, admin_phases));

        let is_soon = !certificates.are_to_come();
        let (serving, is_serving) = oneshot::channel();
        let watch_task = tokio::spawn(async move {
            // While berth waits for a certificate it lists the cluster. Otherwise the first log line is
            // that berth serves, or why it does not.
            if is_soon && is_serving.await.is_err() {
                return;
            }
            watching.await;
        });
        if certificates.are_to_come() {
            readiness.set_waiting(Condition::HttpsListener, || "a certificate".to_owned());
            tracing::info!(%admin, "HTTPS is served once there is a certificate");
        }
        let Served {
            store,
            task: certificates_task,
        } = certificates
            .serve(config.tls.reload_interval.0, &registry)
            .await?;
        let https_server = Server::new(router(service), limits, Some(store), https_metrics);
        let (https_listener, https) = bind("--listen", https_address).await?;
        let https_task = tokio::spawn(https_server.serve(https_listener, https_phases));
        readiness.set_met(Condition::HttpsListener);
        tracing::info!(%https, %admin, reach, version = env!("CARGO_PKG_VERSION"), "serving");
        let _ = serving.send(());
        let southbound_task = tokio::spawn(following);
        let warming_task = tokio::spawn(warming);
        let observing_task = tokio::spawn(observing);
        let leader_tasks = tokio::spawn(led);
        Ok(Self {
            https,
            admin,
            shutdown_delay: config.shutdown.delay.0,
            readiness,
            https_phase,
            admin_phase,
            https_task,
            admin_task,
            certificates_task,
            watch_task,
            southbound_task,
            warming_task,
            observing_task,
            leader_tasks,
        })
    }

    /// Waits until a task ends that must not, and names it.
    pub(super) async fn ended(&mut self) -> &'static str {
        tokio::select! {
            _ = &mut self.https_task => "the HTTPS listener",
            _ = &mut self.admin_task => "the admin listener",
            _ = &mut self.certificates_task => "the renewal of certificates",
            _ = &mut self.watch_task => "the watch of the cluster",
            _ = &mut self.southbound_task => "the watch of the southbound database",
            _ = &mut self.warming_task => "the making of warm ports",
            _ = &mut self.observing_task => "the observation of migrations",
            _ = &mut self.leader_tasks => "the election of the leader",
        }
    }

    /// Ends in order: fail `/readyz`, go on serving until the cluster has noticed while each answer
    /// ends its connection, accept no more connections, let requests in progress finish, and close the
    /// admin port last.
    pub async fn shut_down(self) {
        let Self {
            shutdown_delay,
            readiness,
            https_phase,
            admin_phase,
            https_task,
            admin_task,
            certificates_task,
            watch_task,
            southbound_task,
            warming_task,
            observing_task,
            leader_tasks,
            ..
        } = self;
        readiness.set_missing(Condition::NotDraining);
        // An error means that the listener is gone already.
        let _ = https_phase.send(Phase::Leaving);
        tokio::time::sleep(shutdown_delay).await;
        let _ = https_phase.send(Phase::Stopped);
        match https_task.await {
            // The listener itself says what it had to cut.
            Ok(Drained { .. }) => tracing::info!("HTTPS has ended"),
            Err(error) => tracing::error!("the HTTPS listener failed: {error}"),
        }
        // The lease is released while HTTPS ends, unless the API server is slow.
        if let Err(_late) = timeout(ADMIN_PATIENCE, leader_tasks).await {
            tracing::info!("the leader's tasks are cut");
        }
        certificates_task.abort();
        watch_task.abort();
        southbound_task.abort();
        warming_task.abort();
        observing_task.abort();
        let _ = admin_phase.send(Phase::Stopped);
        if let Err(error) = admin_task.await {
            tracing::error!("the admin listener failed: {error}");
        }
    }
}

/// Empty stores with their gauges, and what keeps that of the southbound database current.
fn open_stores(
    config: &Config,
    readiness: &Arc<Readiness>,
    registry: &Registry,
) -> Result<(Stores, BoxFuture<'static, ()>), AppError> {
    let changes = Changes::default();
    let followed = southbound::follow(
        &config.southbound,
        continuity::needs_locality(config),
        readiness,
        &changes,
        registry,
    )?;
    let (southbound, following) = match followed {
        Some((source, following)) => (Some(source), following),
        None => (None, pending().boxed()),
    };
    if let Some(source) = &southbound {
        let rejects = config.southbound.on_stale == OnStale::Reject;
        registry.collect(SouthboundGauges::new(source.clone(), rejects)?)?;
    }
    let stores = Stores {
        cluster: Arc::new(ArcSwap::from_pointee(ClusterView::default())),
        southbound,
        changes,
    };
    Ok((stores, following))
}

/// Waits until the service begins to shut down.
async fn left(mut phases: signals::Receiver<Phase>) {
    // An error means that the sender is gone, which is an end as well.
    let _ = phases.wait_for(|phase| *phase != Phase::Serving).await;
}

//! The composition root: what `berth serve` is made of, in the order in which it starts and ends.

mod announce;
mod certificates;
mod duties;
mod southbound;

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kube::Client;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot, watch as signals};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::api::{self, ClientError};
use crate::app::announce::Announcer;
use crate::app::certificates::{Certificates, Served};
use crate::args::Serve;
use crate::cluster::file::SnapshotError;
use crate::cluster::watch::{RIGHTS, watch};
use crate::cluster::{ObjectKind, View, VmiReader, WatchStats, file};
use crate::config::address::{ADMIN_PORT, HTTPS_PORT, ListenAddress};
use crate::config::duties::Contend;
use crate::config::managed::Managed;
use crate::config::{Config, ConfigError, Refusal};
use crate::facts::Sources;
use crate::http::{Service, admin_router, router};
use crate::metrics::Metrics;
use crate::pki::NameError;
use crate::readiness::{Condition, Readiness};
use crate::server::{self, Drained, Limits, Phase, Server};
use crate::telemetry;
use crate::tls::TlsError;

/// Why the service does not start, or ends by itself. The message is the line that the operator
/// reads.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Flags and configuration are refused together.
    #[error("{0}")]
    Refused(#[source] Refusal),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no way to an API server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The snapshot is refused.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// There is no certificate.
    #[error(
        "no certificate to serve with: set --tls-cert FILE and --tls-key FILE, or --tls-secret NAME for one that berth makes"
    )]
    NoCertificate,
    /// Certificates from files and managed ones.
    #[error(
        "--tls-cert and --tls-key exclude --tls-secret: set files, or the name of a secret that berth fills"
    )]
    TwoCertificates,
    /// A Secret to manage, and no API server that has it.
    #[error("--tls-secret needs an api server that has the secret, which --snapshot excludes")]
    NoApiServer,
    /// Outside a pod nothing is written to a cluster without a word that says so.
    #[error(
        "--kubeconfig with --tls-secret would write secret {secret}{bundles} in that cluster: set --manage-certificates (tls.managed.outsidePod: true) to let it, or --tls-cert FILE and --tls-key FILE to serve without"
    )]
    WritesOutsidePod {
        /// The Secret.
        secret: String,
        /// The webhook configurations, with what is written in them.
        bundles: String,
    },
    /// A lease to contend for, and no API server that has it.
    #[error(
        "lease.contend: Always needs an api server that has the lease, which --snapshot excludes"
    )]
    NoLease,
    /// A name that can't be in a certificate.
    #[error("tls.managed: {0}")]
    Name(#[from] NameError),
    /// One of certificate and key alone.
    #[error("--tls-cert and --tls-key go together: {missing} is missing")]
    HalfACertificate {
        /// The flag that is missing.
        missing: &'static str,
    },
    /// The certificate is refused.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address can't be bound.
    #[error("{flag} {address}: {}", unbound(source))]
    Bind {
        /// The flag of the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A metric can't be registered: a defect.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The runtime or a signal handler can't be set up.
    #[error("the system refuses what every service needs: {0}")]
    System(#[source] io::Error),
    /// A task that must not end has ended: a defect, with its message in the log.
    #[error("{task} ended by itself")]
    TaskEnded {
        /// The task.
        task: &'static str,
    },
}

/// Runs `berth serve` until a signal ends it.
pub async fn serve(args: Serve) -> Result<(), AppError> {
    let (snapshot, kubeconfig) = (args.snapshot.clone(), args.kubeconfig.clone());
    let config = resolve(args)?;
    telemetry::init(&config.log).map_err(AppError::System)?;
    telemetry::log_panics();
    let cluster = match snapshot {
        Some(path) => Cluster::Snapshot(file::load(&path, &config.network())?),
        None => Cluster::Live(connect(&config, kubeconfig.as_deref()).await?),
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(AppError::System)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(AppError::System)?;

    let mut running = tokio::select! {
        started = Running::start(config, cluster) => started?,
        // There may be no certificate for a while, and then there is nothing to drain.
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let name = tokio::select! {
        task = running.ended() => return Err(AppError::TaskEnded { task }),
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(
        signal = name,
        "shutting down: requests are taken until shutdown.delay is over"
    );
    tokio::select! {
        () = running.shut_down() => {}
        _ = terminate.recv() => tracing::warn!("second signal: requests in progress are cut"),
        _ = interrupt.recv() => tracing::warn!("second signal: requests in progress are cut"),
    }
    Ok(())
}

/// The way to the API server; outside a pod, what is written there is said first.
async fn connect(config: &Config, kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let api::Connected {
        client,
        url,
        namespace,
    } = api::connect(kubeconfig).await?;
    if kubeconfig.is_some() {
        announce_writes(config, &url, &namespace);
    }
    Ok(client)
}

/// The configuration file under the flags.
fn resolve(args: Serve) -> Result<Config, AppError> {
    let Serve {
        config,
        kubeconfig,
        snapshot,
        listen,
        admin_listen,
        network_provider,
        ovn_sb,
        ovn_nb,
        tls_cert,
        tls_key,
        tls_secret,
        manage_certificates,
        client_ca,
        scheduler_client_ca,
        log_format,
        log_level,
    } = args;
    let mut config = match config {
        Some(path) => Config::load(&path)?,
        None => Config::default(),
    };
    config.listen = listen.or(config.listen);
    config.admin_listen = admin_listen.or(config.admin_listen);
    if let Some(provider) = network_provider {
        config.network.provider = provider;
    }
    if ovn_sb.is_some() {
        config.southbound.endpoints = ovn_sb;
    }
    if ovn_nb.is_some() {
        config.southbound.probe.endpoints = ovn_nb;
    }
    override_path(&mut config.tls.cert_file, tls_cert);
    override_path(&mut config.tls.key_file, tls_key);
    override_path(&mut config.tls.client_ca_file, client_ca);
    override_path(
        &mut config.tls.scheduler_client_ca_file,
        scheduler_client_ca,
    );
    if tls_secret.is_some() {
        config.tls.managed.secret_name = tls_secret;
    }
    config.tls.managed.outside_pod |= manage_certificates;
    if let Some(format) = log_format {
        config.log.format = format;
    }
    if let Some(level) = log_level {
        config.log.level = level;
    }
    if config.lease.contend == Contend::Auto && (kubeconfig.is_some() || snapshot.is_some()) {
        config.lease.contend = Contend::Never;
    }
    config.check_whole().map_err(AppError::Refused)?;
    if kubeconfig.is_some() {
        check_writes_outside_pod(&config.tls.managed)?;
    }
    Ok(config)
}

/// A person who tries berth at a cluster does not expect it to write there.
fn check_writes_outside_pod(managed: &Managed) -> Result<(), AppError> {
    match &managed.secret_name {
        Some(secret) if !managed.outside_pod => Err(AppError::WritesOutsidePod {
            secret: secret.to_string(),
            bundles: bundles(managed),
        }),
        _ => Ok(()),
    }
}

/// The webhook configurations that berth writes, as a message adds them.
fn bundles(managed: &Managed) -> String {
    let names: Vec<String> = managed
        .webhook_configurations
        .iter()
        .map(ToString::to_string)
        .collect();
    match &names[..] {
        [] => String::new(),
        names => format!(
            " and the caBundle of mutatingwebhookconfiguration {}",
            names.join(", ")
        ),
    }
}

/// Says before anything is written what berth is about to write, and where.
fn announce_writes(config: &Config, cluster: &str, namespace: &str) {
    let managed = &config.tls.managed;
    if let Some(secret) = &managed.secret_name {
        tracing::info!(
            cluster,
            "outside a pod: berth writes secret {namespace}/{secret}{} of this cluster",
            bundles(managed)
        );
    }
    if config.lease.contend != Contend::Always {
        if config.southbound.probe.endpoints.is_some() {
            tracing::info!(
                "outside a pod: berth does not ask the chassis, as lease.contend is not Always"
            );
        }
        return;
    }
    let lease = &config.lease.name;
    let conditions = if config.node_condition.publish {
        " and the condition OVNChassisReady of every node"
    } else {
        ""
    };
    tracing::info!(
        cluster,
        "outside a pod: with lease.contend: Always berth writes lease {namespace}/{lease}{conditions} of this cluster"
    );
    if let Some(endpoints) = &config.southbound.probe.endpoints {
        tracing::info!(
            endpoints,
            "outside a pod: with lease.contend: Always berth writes NB_Global.nb_cfg in OVN's northbound database"
        );
    }
}

fn override_path(path: &mut Option<PathBuf>, flag: Option<PathBuf>) {
    if flag.is_some() {
        *path = flag;
    }
}

/// Enough for the kubelet, a few Prometheus servers and a person: nobody else belongs there.
const ADMIN_CONNECTIONS: usize = 64;

/// Short, so that connections that nobody uses do not keep the kubelet out, nor the process up.
const ADMIN_PATIENCE: Duration = Duration::from_secs(2);

/// Where the cluster comes from.
pub enum Cluster {
    /// A view that does not change.
    Snapshot(View),
    /// An API server to watch.
    Live(Client),
}

impl Cluster {
    fn client(&self) -> Option<&Client> {
        match self {
            Self::Snapshot(_) => None,
            Self::Live(client) => Some(client),
        }
    }
}

/// A service that serves.
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
    duties_task: JoinHandle<()>,
}

impl Running {
    /// Starts the service. Everything that can be refused is, before a port is bound. HTTPS is
    /// served once there is a certificate, the admin port before.
    pub async fn start(config: Config, cluster: Cluster) -> Result<Self, AppError> {
        let policy = config.policy();
        let certificates = Certificates::open(&config, cluster.client())?;
        let metrics = Metrics::new()?;
        let readiness = Arc::new(Readiness::default());
        let view = Arc::new(ArcSwap::from_pointee(View::default()));
        let news = Arc::new(Notify::new());
        let followed = southbound::follow(
            &config.southbound,
            config.scoring.locality > 0,
            &readiness,
            &news,
        )?;
        let (southbound, following) = match followed {
            Some((source, following)) => (Some(source), following),
            None => (None, pending().boxed()),
        };
        if let Some(source) = &southbound {
            metrics.watch_southbound(source.clone())?;
        }
        let sources = Sources {
            cluster: Arc::clone(&view),
            southbound,
            news,
        };
        metrics.watch_view(sources.clone(), policy.clone())?;

        let (https_phase, https_phases) = signals::channel(Phase::Serving);
        let leaving = left(https_phase.subscribe());
        let duties = duties::run(&config, cluster.client(), &sources, &metrics, leaving)?;
        let (reader, watching) = follow(cluster, &config, &sources, &readiness, &metrics)?;
        let service = Service::new(sources, reader, policy, metrics.clone(), &config.limits);
        let limits = connection_limits(&config);
        let admin_limits = Limits {
            handshake_timeout: ADMIN_PATIENCE,
            header_timeout: ADMIN_PATIENCE,
            idle_timeout: ADMIN_PATIENCE,
            drain_timeout: ADMIN_PATIENCE,
            max_connections: ADMIN_CONNECTIONS,
        };
        server::allow_connections(limits.max_connections.saturating_add(ADMIN_CONNECTIONS));
        let admin_server = Server::http(
            admin_router(metrics.clone(), Arc::clone(&readiness)),
            admin_limits,
        );
        let admin_stats = admin_server.stats();
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
            // Who has to wait for a certificate gets to know the cluster meanwhile. Else the first
            // word is that berth serves, or why it does not.
            if is_soon && is_serving.await.is_err() {
                return;
            }
            watching.await;
        });
        if certificates.are_to_come() {
            readiness.waits(Condition::HttpsListener, || "a certificate".to_owned());
            tracing::info!(%admin, "HTTPS is served once there is a certificate");
        }
        let Served {
            store,
            task: certificates_task,
        } = certificates
            .serve(config.tls.reload_interval.0, metrics.clone())
            .await?;
        let https_server = Server::https(router(service), limits, store);
        metrics.watch_listeners(https_server.stats(), admin_stats)?;
        let (https_listener, https) = bind("--listen", https_address).await?;
        let https_task = tokio::spawn(https_server.serve(https_listener, https_phases));
        readiness.holds(Condition::HttpsListener);
        tracing::info!(%https, %admin, reach, version = env!("CARGO_PKG_VERSION"), "serving");
        let _ = serving.send(());
        let southbound_task = tokio::spawn(following);
        let duties_task = tokio::spawn(duties);
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
            duties_task,
        })
    }

    /// Waits until a task ends that must not, and names it.
    async fn ended(&mut self) -> &'static str {
        tokio::select! {
            _ = &mut self.https_task => "the HTTPS listener",
            _ = &mut self.admin_task => "the admin listener",
            _ = &mut self.certificates_task => "the renewal of certificates",
            _ = &mut self.watch_task => "the watch of the cluster",
            _ = &mut self.southbound_task => "the watch of the southbound database",
            _ = &mut self.duties_task => "what one replica does for all",
        }
    }

    /// Ends in order: say no to `/readyz`, go on serving until everyone has seen that, send who asks
    /// meanwhile elsewhere, take no more connections, let requests in progress finish, and close the
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
            duties_task,
            ..
        } = self;
        readiness.lacks(Condition::NotDraining);
        // An error means that the listener is gone already.
        let _ = https_phase.send(Phase::Leaving);
        tokio::time::sleep(shutdown_delay).await;
        let _ = https_phase.send(Phase::Stopped);
        match https_task.await {
            // The listener itself says what it had to cut.
            Ok(Drained { .. }) => tracing::info!("HTTPS has ended"),
            Err(error) => tracing::error!("the HTTPS listener did not end well: {error}"),
        }
        // The lease was given back while HTTPS ended, but for an API server that is slow.
        if let Err(_late) = timeout(ADMIN_PATIENCE, duties_task).await {
            tracing::info!("what this replica does for all is cut");
        }
        certificates_task.abort();
        watch_task.abort();
        southbound_task.abort();
        let _ = admin_phase.send(Phase::Stopped);
        if let Err(error) = admin_task.await {
            tracing::error!("the admin listener did not end well: {error}");
        }
    }
}

/// Until requests are sent elsewhere.
async fn left(mut phases: signals::Receiver<Phase>) {
    // Whoever holds the other end is gone: that is an end as well.
    let _ = phases.wait_for(|phase| *phase != Phase::Serving).await;
}

/// Fills the view: at once from a snapshot, else by what is to be spawned.
fn follow(
    cluster: Cluster,
    config: &Config,
    sources: &Sources,
    readiness: &Arc<Readiness>,
    metrics: &Metrics,
) -> Result<(Option<Arc<VmiReader>>, BoxFuture<'static, ()>), AppError> {
    let mut announcer = Announcer::new(config.policy());
    match cluster {
        Cluster::Snapshot(snapshot) => {
            let snapshot = Arc::new(snapshot);
            sources.cluster.store(Arc::clone(&snapshot));
            readiness.holds(Condition::ClusterView);
            let watching = async move {
                announcer.look(&snapshot);
                pending::<()>().await;
            };
            Ok((None, watching.boxed()))
        }
        Cluster::Live(client) => {
            let stats = Arc::new(WatchStats::default());
            let limits = &config.limits;
            let reader = VmiReader::new(
                client.clone(),
                limits.lookup_timeout.0,
                limits.lookups_per_second,
            );
            let reader = Arc::new(reader);
            metrics.watch_watches(Arc::clone(&stats), Arc::clone(&reader))?;
            let (view, counts) = (Arc::clone(&sources.cluster), Arc::clone(&stats));
            readiness.waits(Condition::ClusterView, move || {
                not_listed(&view.load(), &counts)
            });
            let readiness = Arc::clone(readiness);
            let news = Arc::clone(&sources.news);
            let changed = move |view: &View| {
                news.notify_waiters();
                announcer.look(view);
                if view.is_complete() {
                    readiness.holds(Condition::ClusterView);
                }
            };
            let watching = watch(
                client,
                config.network(),
                Arc::clone(&sources.cluster),
                stats,
                changed,
            );
            Ok((Some(reader), watching.boxed()))
        }
    }
}

/// The kinds that the view still waits for, each with what its list fails of.
fn not_listed(view: &View, stats: &WatchStats) -> String {
    let waiting = ObjectKind::ALL
        .into_iter()
        .filter(|kind| !view.is_listed(*kind));
    let texts: Vec<String> = waiting
        .map(|kind| match stats.fault(kind) {
            None => kind.name().to_owned(),
            Some(fault) => format!("{}: {}", kind.name(), fault.with_remedy(RIGHTS)),
        })
        .collect();
    let has_faults = texts.iter().any(|text| text.contains(':'));
    texts.join(if has_faults { "; " } else { ", " })
}

/// Where the two listeners listen, and who reaches them where that is a default that may surprise.
#[derive(Debug, PartialEq, Eq)]
struct Listeners {
    https: SocketAddr,
    admin: SocketAddr,
    reach: Option<&'static str>,
}

impl Listeners {
    /// In a pod the default is every address: a Service, the kubelet and Prometheus come from outside.
    /// Elsewhere a person tries berth, and the network is not theirs to serve unasked.
    fn of(config: &Config, in_pod: bool) -> Self {
        let host = if in_pod {
            Ipv4Addr::UNSPECIFIED
        } else {
            Ipv4Addr::LOCALHOST
        };
        let at = |given: Option<ListenAddress>, port| {
            given.map_or_else(|| SocketAddr::from((host, port)), |given| given.0)
        };
        Self {
            https: at(config.listen, HTTPS_PORT),
            admin: at(config.admin_listen, ADMIN_PORT),
            reach: match (in_pod, config.listen, config.admin_listen) {
                (true, _, _) | (_, Some(_), Some(_)) => None,
                (_, None, None) => Some(
                    "this host alone, the default outside a pod; --listen and --admin-listen change it",
                ),
                (_, None, Some(_)) => Some(
                    "HTTPS from this host alone, the default outside a pod; --listen changes it",
                ),
                (_, Some(_), None) => Some(
                    "the admin port from this host alone, the default outside a pod; --admin-listen changes it",
                ),
            },
        }
    }
}

/// The kubelet sets this variable in every pod, and the way to the API server from inside one needs it.
fn runs_in_pod() -> bool {
    std::env::var_os("KUBERNETES_SERVICE_HOST").is_some_and(|host| !host.is_empty())
}

/// Why an address can't be bound.
fn unbound(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; choose another address".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host has no such address; choose one of its own, or 0.0.0.0 for all".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "berth may not listen there: choose a port above 1023, or give it CAP_NET_BIND_SERVICE"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

async fn bind(
    flag: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), AppError> {
    let failed = |source| AppError::Bind {
        flag,
        address,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn connection_limits(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        handshake_timeout: limits.handshake_timeout.0,
        header_timeout: limits.header_timeout.0,
        idle_timeout: limits.idle_timeout.0,
        drain_timeout: config.shutdown.timeout.0,
        max_connections: usize::try_from(limits.connections).unwrap_or(usize::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_default_to_loopback_outside_a_pod_and_to_every_address_in_one() {
        const BOTH: &str =
            "this host alone, the default outside a pod; --listen and --admin-listen change it";
        const HTTPS: &str =
            "HTTPS from this host alone, the default outside a pod; --listen changes it";
        const ADMIN: &str = "the admin port from this host alone, the default outside a pod; --admin-listen changes it";
        for (config, in_pod, https, admin, reach) in [
            ("", false, "127.0.0.1:8443", "127.0.0.1:8080", Some(BOTH)),
            ("", true, "0.0.0.0:8443", "0.0.0.0:8080", None),
            (
                "listen: 10.0.0.1:1",
                false,
                "10.0.0.1:1",
                "127.0.0.1:8080",
                Some(ADMIN),
            ),
            (
                "adminListen: 10.0.0.1:2",
                false,
                "127.0.0.1:8443",
                "10.0.0.1:2",
                Some(HTTPS),
            ),
            (
                "{listen: 0.0.0.0:1, adminListen: 0.0.0.0:2}",
                false,
                "0.0.0.0:1",
                "0.0.0.0:2",
                None,
            ),
            (
                "{listen: 127.0.0.1:9443, adminListen: 127.0.0.1:9444}",
                true,
                "127.0.0.1:9443",
                "127.0.0.1:9444",
                None,
            ),
        ] {
            let config_read = Config::parse(config).unwrap();
            let expect = Listeners {
                https: https.parse().unwrap(),
                admin: admin.parse().unwrap(),
                reach,
            };
            assert_eq!(Listeners::of(&config_read, in_pod), expect, "{config}");
        }
    }
}

//! Where the service gets its certificates: from files, or from a Secret that it manages by itself.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::Client;
use tokio::task::JoinHandle;

use super::AppError;
use crate::config::{Config, Managed};
use crate::metrics::Registry;
use crate::pki::bundle::{ConfigurationId, ConfigurationKind};
use crate::pki::decide::CertificatePolicy;
use crate::pki::round::Task;
use crate::pki::state::Leaf;
use crate::pki::{self, CertificateController, Clock, ControllerConfig};
use crate::tls::{
    self, CertificateStore, ClientCas, HostName, Material, NameError, PairSource, PemPair,
};

/// Certificates that are there, or will be.
pub(super) enum Certificates {
    Files(Arc<CertificateStore>),
    Managed(Box<ManagedSecret>),
}

pub(super) struct ManagedSecret {
    source: tls::Source,
    client_cas: ClientCas,
    task: Task,
    client: Client,
}

/// Certificates in use, and the task that renews them, which must not end.
pub(super) struct Served {
    pub(super) store: Arc<CertificateStore>,
    pub(super) task: JoinHandle<()>,
}

impl Certificates {
    /// Refuses what can be refused before anything is served.
    pub(super) fn open(config: &Config, client: Option<&Client>) -> Result<Self, AppError> {
        let tls = &config.tls;
        let source = |pair| tls::Source {
            pair,
            client_ca: tls.client_ca_file.clone(),
            scheduler_ca: tls.scheduler_client_ca_file.clone(),
        };
        match (&tls.cert_file, &tls.key_file, &tls.managed.secret_name) {
            (Some(cert), Some(key), None) => {
                let files = source(PairSource::Files {
                    cert: cert.clone(),
                    key: key.clone(),
                });
                Ok(Self::Files(Arc::new(CertificateStore::open(files)?)))
            }
            (None, None, Some(name)) => {
                let client = client.ok_or(AppError::NoApiServer)?.clone();
                // That of the pod, or of the kubeconfig.
                let namespace = client.default_namespace().to_owned();
                let task = task(&tls.managed, name.as_str(), &namespace)?;
                let source = source(PairSource::Secret {
                    namespace,
                    name: name.to_string(),
                });
                Ok(Self::Managed(Box::new(ManagedSecret {
                    client_cas: source.read()?.client_cas,
                    source,
                    task,
                    client,
                })))
            }
            (None, None, None) => Err(AppError::NoCertificate),
            (None, Some(_), None) => Err(AppError::HalfACertificate("--tls-cert")),
            (Some(_), None, None) => Err(AppError::HalfACertificate("--tls-key")),
            (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => Err(AppError::TwoCertificates),
        }
    }

    /// Whether there may be none for a while.
    pub(super) fn are_to_come(&self) -> bool {
        matches!(self, Self::Managed(_))
    }

    /// Waits for the first certificate, which files have at once.
    pub(super) async fn serve(
        self,
        reload_interval: Duration,
        registry: &Registry,
    ) -> Result<Served, AppError> {
        let metrics = tls::Metrics::register(registry)?;
        match self {
            Self::Files(store) => {
                metrics.show_expiry(&store);
                let task = tokio::spawn(reload(Arc::clone(&store), reload_interval, metrics));
                Ok(Served { store, task })
            }
            Self::Managed(managed) => managed.serve(reload_interval, metrics, registry).await,
        }
    }
}

impl ManagedSecret {
    async fn serve(
        self,
        reload_interval: Duration,
        metrics: tls::Metrics,
        registry: &Registry,
    ) -> Result<Served, AppError> {
        let managed = pki::Metrics::register(registry)?;
        let Self {
            source,
            client_cas,
            task,
            client,
        } = self;
        let config = ControllerConfig {
            task,
            clock: Clock::system(),
            poll: pki::POLL,
        };
        let mut controller =
            CertificateController::new(&client, config, move |event| managed.observe(event));
        let material = Material {
            pair: PemPair::from(&controller.first().await),
            client_cas,
        };
        let store = Arc::new(CertificateStore::new(source, material)?);
        metrics.show_expiry(&store);
        let offered = Arc::clone(&store);
        let told = metrics.clone();
        let keep = controller.run(move |leaf, now| offer(&offered, leaf, now, &told));
        let reload = reload(Arc::clone(&store), reload_interval, metrics);
        let task = tokio::spawn(async {
            tokio::select! {
                () = keep => {}
                () = reload => {}
            }
        });
        Ok(Served { store, task })
    }
}

fn task(managed: &Managed, secret: &str, namespace: &str) -> Result<Task, NameError> {
    let mut names = HostName::of_service(managed.service.as_str(), namespace)?;
    names.extend(managed.extra_names.iter().cloned());
    Ok(Task {
        namespace: namespace.to_owned(),
        secret: secret.to_owned(),
        configurations: configurations(managed),
        policy: CertificatePolicy {
            names,
            leaf_lifetime: managed.leaf_lifetime.0,
            ca_lifetime: managed.ca_lifetime.0,
            jitter: jitter(),
        },
    })
}

/// A configuration of each kind for every name.
fn configurations(managed: &Managed) -> Vec<ConfigurationId> {
    let names = managed.webhook_configurations.iter();
    names
        .flat_map(|name| {
            ConfigurationKind::ALL.iter().map(|&kind| ConfigurationId {
                kind,
                name: name.to_string(),
            })
        })
        .collect()
}

/// Another number from 0 to 1 in each process.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    let [first, second, third, fourth, ..] = random.to_ne_bytes();
    f64::from(u32::from_ne_bytes([first, second, third, fourth])) / f64::from(u32::MAX)
}

fn offer(store: &CertificateStore, leaf: &Leaf, now: SystemTime, metrics: &tls::Metrics) -> bool {
    let pair = PemPair::from(leaf);
    let outcome = store.offer_pair(pair.clone(), now);
    metrics.record_reload(store, &outcome);
    store.serves(&pair.cert)
}

async fn reload(store: Arc<CertificateStore>, interval: Duration, metrics: tls::Metrics) {
    let observed = Arc::clone(&store);
    let observe = |outcome: &_| metrics.record_reload(&observed, outcome);
    store.run(interval, observe).await;
}

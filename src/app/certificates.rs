//! Where the service gets its certificates: from files, or from a Secret that it manages by itself.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube::Client;
use tokio::task::JoinHandle;

use super::AppError;
use crate::config::Config;
use crate::config::managed::Managed;
use crate::metrics::Metrics;
use crate::pki::contents::Leaf;
use crate::pki::decide::Policy;
use crate::pki::replica::Task;
use crate::pki::{self, Clock, Keeper, Name, NameError, Settings};
use crate::tls::{CertificateStore, ClientCas, Material, ReloadOutcome, TlsFiles, TlsSecret};

/// Certificates that are there, or will be.
pub(super) enum Certificates {
    Files(Arc<CertificateStore>),
    Managed(Box<ManagedSecret>),
}

pub(super) struct ManagedSecret {
    secret: TlsSecret,
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
        let client_ca = tls.client_ca_file.clone();
        let scheduler_ca = tls.scheduler_client_ca_file.clone();
        match (&tls.cert_file, &tls.key_file, &tls.managed.secret_name) {
            (Some(cert), Some(key), None) => {
                let files = TlsFiles {
                    cert: cert.clone(),
                    key: key.clone(),
                    client_ca,
                    scheduler_ca,
                };
                Ok(Self::Files(Arc::new(CertificateStore::open(files)?)))
            }
            (None, None, Some(name)) => {
                let client = client.ok_or(AppError::NoApiServer)?.clone();
                // That of the pod, or of the kubeconfig.
                let namespace = client.default_namespace().to_owned();
                let task = task(&tls.managed, name.as_str(), &namespace)?;
                let secret = TlsSecret {
                    namespace,
                    name: name.to_string(),
                    client_ca,
                    scheduler_ca,
                };
                Ok(Self::Managed(Box::new(ManagedSecret {
                    client_cas: secret.read_client_cas()?,
                    secret,
                    task,
                    client,
                })))
            }
            (None, None, None) => Err(AppError::NoCertificate),
            (None, Some(_), None) => Err(AppError::HalfACertificate {
                missing: "--tls-cert",
            }),
            (Some(_), None, None) => Err(AppError::HalfACertificate {
                missing: "--tls-key",
            }),
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
        metrics: Metrics,
    ) -> Result<Served, AppError> {
        match self {
            Self::Files(store) => {
                expires(&store, &metrics);
                let task = tokio::spawn(reload(Arc::clone(&store), reload_interval, metrics));
                Ok(Served { store, task })
            }
            Self::Managed(managed) => managed.serve(reload_interval, metrics).await,
        }
    }
}

impl ManagedSecret {
    async fn serve(self, reload_interval: Duration, metrics: Metrics) -> Result<Served, AppError> {
        let Self {
            secret,
            client_cas,
            task,
            client,
        } = self;
        let managed = metrics.managed_certificates()?;
        let settings = Settings {
            task,
            clock: Clock::system(),
            poll: pki::POLL,
        };
        let mut keeper = Keeper::new(&client, settings, move |event| managed.observe(event));
        let (cert, key) = pair(&keeper.first().await);
        let material = Material {
            cert,
            key,
            client_ca: client_cas.client,
            scheduler_ca: client_cas.scheduler,
        };
        let store = Arc::new(CertificateStore::new(secret, material)?);
        expires(&store, &metrics);
        let offered = Arc::clone(&store);
        let told = metrics.clone();
        let keep = keeper.run(move |leaf, now| offer(&offered, leaf, now, &told));
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
    let mut names = Name::of_service(managed.service.as_str(), namespace)?;
    for name in &managed.extra_names {
        names.insert(name.as_str().parse()?);
    }
    Ok(Task {
        namespace: namespace.to_owned(),
        secret: secret.to_owned(),
        configurations: managed
            .webhook_configurations
            .iter()
            .map(ToString::to_string)
            .collect(),
        policy: Policy {
            names,
            leaf_lifetime: managed.leaf_lifetime.0,
            ca_lifetime: managed.ca_lifetime.0,
            jitter: jitter(),
        },
    })
}

/// Another number from 0 to 1 in each process.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    let [first, second, third, fourth, ..] = random.to_ne_bytes();
    f64::from(u32::from_ne_bytes([first, second, third, fourth])) / f64::from(u32::MAX)
}

fn offer(store: &CertificateStore, leaf: &Leaf, now: SystemTime, metrics: &Metrics) -> bool {
    let (cert, key) = pair(leaf);
    let outcome = store.offer_pair(cert.clone(), key, now);
    observe(store, &outcome, metrics);
    store.serves(&cert)
}

/// As PEM, for the TLS layer.
fn pair(leaf: &Leaf) -> (Vec<u8>, Vec<u8>) {
    let cert = leaf.certificate.id.pem().into_bytes();
    (cert, leaf.key.pem().as_bytes().to_vec())
}

async fn reload(store: Arc<CertificateStore>, interval: Duration, metrics: Metrics) {
    let observed = Arc::clone(&store);
    store
        .run(interval, |outcome| observe(&observed, outcome, &metrics))
        .await;
}

fn observe(store: &CertificateStore, outcome: &ReloadOutcome, metrics: &Metrics) {
    match outcome {
        ReloadOutcome::Unchanged => {}
        ReloadOutcome::Reloaded { .. } => {
            metrics.certificate_changed(outcome);
            expires(store, metrics);
        }
        ReloadOutcome::Refused(_) => metrics.certificate_changed(outcome),
    }
}

fn expires(store: &CertificateStore, metrics: &Metrics) {
    let since = store.not_after().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    metrics.certificate_expires(i64::try_from(seconds).unwrap_or(i64::MAX));
}

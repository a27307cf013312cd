//! The way to the API server: from a kubeconfig, or from inside a pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;
use kube::config::{Config, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};

use crate::api::Fault;

/// Why there is no way to an API server. Whether one answers shows only later.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig can't be used.
    #[error("--kubeconfig {path}: {source}", path = path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: KubeconfigError,
    },
    /// There is no flag, and berth does not run in a pod.
    #[error(
        "no cluster to decide on: set --kubeconfig FILE or --snapshot FILE, or run in a pod of the cluster"
    )]
    NoCluster,
    /// The pod's service account can't be used.
    #[error("the pod's service account: {0}")]
    ServiceAccount(#[source] InClusterError),
    /// Certificates or credentials can't be used.
    #[error("{origin}: {fault}")]
    Unusable {
        /// Where they come from.
        origin: String,
        /// What is wrong with them.
        fault: Fault,
    },
}

/// To establish a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For the next byte of an answer. A watch may be silent for as long as
/// `cluster::watch::WATCH_SECONDS`.
const READ_TIMEOUT: Duration = Duration::from_secs(75);

/// A client, and the namespace that it is in.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<(Client, String), ClientError> {
    let (mut config, origin) = match kubeconfig {
        Some(path) => (
            from_file(path).await?,
            format!("--kubeconfig {}", path.display()),
        ),
        None => (
            Config::incluster().map_err(not_in_cluster)?,
            "the pod's service account".to_owned(),
        ),
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    // Who asks knows how long to wait, and counts what fails.
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    let client = Client::try_from(config).map_err(|error| ClientError::Unusable {
        origin,
        fault: Fault::from(&error),
    })?;
    Ok((client, namespace))
}

fn not_in_cluster(error: InClusterError) -> ClientError {
    match error {
        InClusterError::ReadEnvironmentVariable(_) => ClientError::NoCluster,
        other => ClientError::ServiceAccount(other),
    }
}

async fn from_file(path: &Path) -> Result<Config, ClientError> {
    let refused = |source| ClientError::Kubeconfig {
        path: path.to_owned(),
        source,
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(refused)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(refused)
}

//! The way to the API server: from a kubeconfig, or from inside a pod.

use std::env;
use std::path::Path;
use std::time::Duration;

use kube::Client;
use kube::client::{AuthError, ClientBuilder, RustlsTlsError};
use kube::config::{Config, InClusterError};
use tower::BoxError;
use tower::util::MapErrLayer;

use crate::api::kubeconfig::{self, Places};
use crate::api::{Cause, Fault};
use crate::tls;

/// Why no client for the API server can be created. Whether the server answers is not checked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig can't be used.
    #[error("{origin}: {problem}")]
    Kubeconfig {
        /// The file, or all of them, and what named it.
        origin: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No place where kubectl looks has a kubeconfig, and berth does not run in a pod.
    #[error(
        "there is no kubeconfig ({looked}), and berth does not run in a pod; set --kubeconfig FILE or KUBECONFIG{or_file}"
    )]
    NoKubeconfig {
        /// Where a kubeconfig was looked for.
        looked: String,
        /// What else can be done, by a command that also reads a file.
        or_file: &'static str,
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

impl ClientError {
    /// The same error of a command that has the flag `--snapshot`.
    #[must_use]
    pub fn or_file(self) -> Self {
        match self {
            Self::NoKubeconfig { looked, .. } => Self::NoKubeconfig {
                looked,
                or_file: ", or --snapshot FILE to read a file that kubectl wrote",
            },
            other => other,
        }
    }
}

/// To establish a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For the next byte of an answer. A watch may be silent for as long as
/// `cluster::watch::WATCH_SECONDS`.
const READ_TIMEOUT: Duration = Duration::from_secs(75);

/// A client of an API server, and what it goes by.
pub struct Connected {
    /// The client.
    pub client: Client,
    /// Where the API server is.
    pub url: String,
    /// The namespace that the client is in.
    pub namespace: String,
}

/// A client by a kubeconfig, or by the pod's service account.
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Connected, ClientError> {
    if let Some(path) = kubeconfig {
        return connect_by(path, None).await;
    }
    let config = Config::incluster().map_err(not_in_cluster)?;
    client(config, "the pod's service account".to_owned())
}

/// A client by a kubeconfig, in its current context or in another one.
pub async fn connect_by(
    kubeconfig: &Path,
    context: Option<&str>,
) -> Result<Connected, ClientError> {
    let (kubeconfig, origin) = kubeconfig::read_flag(kubeconfig)?;
    let config = kubeconfig::config(kubeconfig, context, &origin).await?;
    client(config, origin)
}

/// A client as kubectl chooses it: by this file or else those in `KUBECONFIG` or else that in the home
/// directory, in its current context or in another one; where there is none, by the pod's service
/// account.
pub async fn choose(
    kubeconfig: Option<&Path>,
    context: Option<&str>,
) -> Result<Connected, ClientError> {
    let places = places(kubeconfig);
    if let Some((kubeconfig, origin)) = places.read()? {
        let config = kubeconfig::config(kubeconfig, context, &origin).await?;
        return client(config, origin);
    }
    let looked = places.to_string();
    if let Some(context) = context {
        let problem = format!("there is no kubeconfig, which would have the context {context:?}");
        return Err(ClientError::Kubeconfig {
            origin: looked,
            problem,
        });
    }
    let config = Config::incluster().map_err(|error| match not_in_cluster(error) {
        ClientError::NoCluster => ClientError::NoKubeconfig {
            looked,
            or_file: "",
        },
        other => other,
    })?;
    client(config, "the pod's service account".to_owned())
}

/// The contexts of the kubeconfig that [`choose`] takes, which may be none.
pub fn contexts(kubeconfig: Option<&Path>) -> Result<Vec<String>, ClientError> {
    let read = places(kubeconfig).read()?;
    let contexts = read
        .into_iter()
        .flat_map(|(kubeconfig, _)| kubeconfig.contexts);
    Ok(contexts.map(|context| context.name).collect())
}

fn places(kubeconfig: Option<&Path>) -> Places {
    Places {
        flag: kubeconfig.map(Path::to_owned),
        variable: env::var_os("KUBECONFIG").unwrap_or_default(),
        home: env::home_dir(),
    }
}

fn client(mut config: Config, origin: String) -> Result<Connected, ClientError> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.reset_reader_on_write = true;
    // The caller sets the time-out, and counts failures.
    config.default_retry = false;
    let namespace = config.default_namespace.clone();
    let url = config.cluster_url.to_string();
    let address = url.clone();
    let builder = ClientBuilder::try_from(config).map_err(|error| ClientError::Unusable {
        origin,
        fault: unusable(&error),
    })?;
    let named = MapErrLayer::new(move |error| with_address(&address, error));
    Ok(Connected {
        client: builder.with_layer(&named).build(),
        url,
        namespace,
    })
}

/// What fails on the way to the API server, with its address, which kube's own texts lack.
#[derive(Debug, thiserror::Error)]
#[error("{address}")]
pub(super) struct OnTheWay {
    pub(super) address: String,
    pub(super) source: BoxError,
}

fn with_address(address: &str, error: BoxError) -> BoxError {
    // kube knows its own errors by their type.
    if error.is::<kube::Error>() {
        return error;
    }
    Box::new(OnTheWay {
        address: address.trim_end_matches('/').to_owned(),
        source: error,
    })
}

fn not_in_cluster(error: InClusterError) -> ClientError {
    match error {
        InClusterError::ReadEnvironmentVariable(_) => ClientError::NoCluster,
        other => ClientError::ServiceAccount(other),
    }
}

/// Why certificates or credentials can't be used.
fn unusable(error: &kube::Error) -> Fault {
    let text = match error {
        kube::Error::InferKubeconfig(error) => kubeconfig::problem(error, &[], ""),
        kube::Error::RustlsTls(RustlsTlsError::InvalidPrivateKey(_)) => format!(
            "the client key can't be used: berth signs with {}; have the client certificate issued again with such a key",
            tls::SIGNS
        ),
        kube::Error::RustlsTls(error) => {
            format!("a certificate or a key can't be used: {error}")
        }
        kube::Error::Auth(AuthError::ReadTokenFile(error, path)) => {
            format!("tokenFile {}: {error}", path.display())
        }
        kube::Error::Auth(AuthError::AuthExecStart(error)) => {
            format!("the command of the user's exec can't be started: {error}")
        }
        kube::Error::Auth(error) => format!("the user's credentials can't be used: {error}"),
        other => return Fault::from(other),
    };
    Fault::new(Cause::Connection, text)
}

//! The way to the API server: from a kubeconfig, or from inside a pod.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::Client;
use kube::client::{AuthError, ClientBuilder, RustlsTlsError};
use kube::config::{
    Config, InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError, LoadDataError,
};

use tower::BoxError;
use tower::util::MapErrLayer;

use crate::api::{Cause, Fault};
use crate::tls;
use crate::yaml;

/// Why no client for the API server can be created. Whether the server answers is not checked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The kubeconfig can't be used.
    #[error("--kubeconfig {path}: {problem}", path = path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
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
    let config = from_file(kubeconfig, context).await?;
    client(config, format!("--kubeconfig {}", kubeconfig.display()))
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

async fn from_file(path: &Path, context: Option<&str>) -> Result<Config, ClientError> {
    let refused = |problem| ClientError::Kubeconfig {
        path: path.to_owned(),
        problem,
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| {
        // For the line that is wrong, where one is.
        let text = yaml::read(path).unwrap_or_default();
        refused(problem(&error, &[], &text))
    })?;
    check_user(&kubeconfig, context).map_err(refused)?;
    let contexts: Vec<String> = kubeconfig
        .contexts
        .iter()
        .map(|context| context.name.clone())
        .collect();
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| refused(problem(&error, &contexts, "")))
}

/// The user that a context names. kube takes one that is missing for an anonymous one.
fn check_user(kubeconfig: &Kubeconfig, context: Option<&str>) -> Result<(), String> {
    let chosen = context.or(kubeconfig.current_context.as_deref());
    let user = kubeconfig
        .contexts
        .iter()
        .find(|named| Some(named.name.as_str()) == chosen)
        .and_then(|named| named.context.as_ref()?.user.as_deref())
        .filter(|user| !user.is_empty());
    match user {
        Some(user) if !kubeconfig.auth_infos.iter().any(|named| named.name == user) => Err(
            format!("there is no user {user:?}, which the context names"),
        ),
        _ => Ok(()),
    }
}

/// Why certificates or credentials can't be used.
fn unusable(error: &kube::Error) -> Fault {
    let text = match error {
        kube::Error::InferKubeconfig(error) => problem(error, &[], ""),
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

/// What is wrong with a kubeconfig, in the words of its fields.
fn problem(error: &KubeconfigError, contexts: &[String], text: &str) -> String {
    match error {
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        KubeconfigError::Parse(error) => {
            format!("not a kubeconfig: {}", yaml::fault(text, error))
        }
        KubeconfigError::CurrentContextNotSet => {
            "current-context is not set; choose one with `kubectl config use-context`".to_owned()
        }
        KubeconfigError::LoadContext(name) if contexts.is_empty() => {
            format!("there is no context {name:?}, nor any other")
        }
        KubeconfigError::LoadContext(name) => {
            format!(
                "there is no context {name:?}; there are {}",
                contexts.join(", ")
            )
        }
        KubeconfigError::LoadClusterOfContext(name) => {
            format!("there is no cluster {name:?}, which the context names")
        }
        KubeconfigError::MissingClusterUrl => "the cluster has no server".to_owned(),
        KubeconfigError::ParseClusterUrl(_) => {
            "the cluster's server is not a URL, such as https://10.0.0.1:6443".to_owned()
        }
        KubeconfigError::ParseProxyUrl(_) => {
            "the cluster's proxy-url is not a URL, such as http://10.0.0.1:3128".to_owned()
        }
        KubeconfigError::LoadCertificateAuthority(error) => data("certificate-authority", error),
        KubeconfigError::LoadClientCertificate(error) => data("client-certificate", error),
        KubeconfigError::LoadClientKey(error) => data("client-key", error),
        KubeconfigError::ParseCertificates(_) => {
            "certificate-authority holds something that is not a certificate in PEM".to_owned()
        }
        other => other.to_string(),
    }
}

/// What is wrong with a field that is a file, or data under the field's other name.
fn data(field: &str, error: &LoadDataError) -> String {
    match error {
        LoadDataError::DecodeBase64(_) => format!("{field}-data is not base64"),
        LoadDataError::ReadFile(error, path) => format!("{field} {}: {error}", path.display()),
        LoadDataError::NoBase64DataOrFile => {
            format!("neither {field} nor {field}-data is set, and the other of the pair is")
        }
    }
}

//! Kubeconfigs: where they are, as kubectl looks for them, and what is wrong with one.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use kube::config::{Config, KubeConfigOptions, Kubeconfig, KubeconfigError, LoadDataError};

use crate::api::ClientError;
use crate::yaml;

/// What is said of a kubeconfig without a current context.
const NO_CURRENT_CONTEXT: &str =
    "current-context is not set; choose one with `kubectl config use-context`";

/// Where kubectl looks for a kubeconfig; the first that is set counts.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// The flag `--kubeconfig`.
    pub(super) flag: Option<PathBuf>,
    /// `KUBECONFIG`: files that are merged, and may be missing.
    pub(super) variable: OsString,
    /// The home directory, whose `.kube/config` may be missing.
    pub(super) home: Option<PathBuf>,
}

impl Places {
    /// The kubeconfig, and how errors name it; `None` where there is none.
    pub(super) fn read(&self) -> Result<Option<(Kubeconfig, String)>, ClientError> {
        if let Some(path) = &self.flag {
            return read_flag(path).map(Some);
        }
        let origin = self.to_string();
        let mut merged: Option<Kubeconfig> = None;
        for path in self.files().iter().filter(|path| path.exists()) {
            let next = read(path, &path.display().to_string())?;
            merged = Some(match merged {
                None => next,
                Some(merged) => merged
                    .merge(next)
                    .map_err(|error| refused(&origin, problem(&error, &[], "")))?,
            });
        }
        // A file without anything in it is as good as none.
        let merged =
            merged.filter(|merged| !merged.contexts.is_empty() || !merged.clusters.is_empty());
        Ok(merged.map(|merged| (merged, origin)))
    }

    fn files(&self) -> Vec<PathBuf> {
        if self.variable.is_empty() {
            return self.of_home().into_iter().collect();
        }
        let named = env::split_paths(&self.variable);
        named.filter(|path| !path.as_os_str().is_empty()).collect()
    }

    fn of_home(&self) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join(".kube/config"))
    }
}

/// Where one was looked for.
impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variable.is_empty() {
            return write!(f, "KUBECONFIG={}", self.variable.display());
        }
        match self.of_home() {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str("KUBECONFIG is not set"),
        }
    }
}

/// The kubeconfig of the flag, and how errors name it.
pub(super) fn read_flag(path: &Path) -> Result<(Kubeconfig, String), ClientError> {
    let origin = format!("--kubeconfig {}", path.display());
    Ok((read(path, &origin)?, origin))
}

fn read(path: &Path, origin: &str) -> Result<Kubeconfig, ClientError> {
    Kubeconfig::read_from(path).map_err(|error| {
        // For the line that is wrong, where one is.
        let text = yaml::read(path).unwrap_or_default();
        refused(origin, problem(&error, &[], &text))
    })
}

fn refused(origin: &str, problem: String) -> ClientError {
    ClientError::Kubeconfig {
        origin: origin.to_owned(),
        problem,
    }
}

/// What a kubeconfig says in its current context, or in another one.
pub(super) async fn config(
    kubeconfig: Kubeconfig,
    context: Option<&str>,
    origin: &str,
) -> Result<Config, ClientError> {
    check_user(&kubeconfig, context).map_err(|problem| refused(origin, problem))?;
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
        .map_err(|error| refused(origin, problem(&error, &contexts, "")))
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

/// What is wrong with a kubeconfig, in the words of its fields.
pub(super) fn problem(error: &KubeconfigError, contexts: &[String], text: &str) -> String {
    match error {
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        KubeconfigError::Parse(error) => {
            format!("not a kubeconfig: {}", yaml::fault(text, error))
        }
        KubeconfigError::CurrentContextNotSet => NO_CURRENT_CONTEXT.to_owned(),
        // As `kubectl config unset current-context` leaves it.
        KubeconfigError::LoadContext(name) if name.is_empty() => NO_CURRENT_CONTEXT.to_owned(),
        KubeconfigError::LoadContext(name) if contexts.is_empty() => {
            format!("there is no context {name:?}: the kubeconfig has no contexts")
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

#[cfg(test)]
mod tests;

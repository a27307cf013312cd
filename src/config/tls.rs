//! Where the serving certificate comes from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Refusal;
use crate::config::managed::Managed;
use crate::config::units::Span;

/// Certificates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Tls {
    /// PEM file with the server certificate and its chain.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the private key of the server certificate.
    pub key_file: Option<PathBuf>,
    /// PEM file with CAs. If set, every HTTPS client needs a certificate from one of these CAs. Do
    /// not use the cluster's own CA, which signs certificates for any name.
    #[serde(rename = "clientCAFile")]
    pub client_ca_file: Option<PathBuf>,
    /// PEM file with CAs. If set, clients of `/scheduler/…` need a certificate from one of these
    /// CAs: without a certificate they get 401, with a certificate from another CA 403. The other
    /// routes are not affected. Do not use the cluster's own CA.
    #[serde(rename = "schedulerClientCAFile")]
    pub scheduler_client_ca_file: Option<PathBuf>,
    /// How often berth checks the certificate files for changes.
    pub reload_interval: Span,
    /// Certificates that berth issues itself, in place of files.
    pub managed: Managed,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            cert_file: None,
            key_file: None,
            client_ca_file: None,
            scheduler_client_ca_file: None,
            reload_interval: Span(Duration::from_secs(10)),
            managed: Managed::default(),
        }
    }
}

impl Tls {
    /// Refuses values that are out of range or contradict each other.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        check_pair("tls", self.cert_file.as_deref(), self.key_file.as_deref())?;
        if let (Some(file), Some(secret)) = (&self.cert_file, &self.managed.secret_name) {
            return Err(Refusal::Combination(format!(
                "tls.certFile: {} is set, and tls.managed.secretName, {secret}, is too: set one of them",
                file.display()
            )));
        }
        self.managed.check()
    }
}

/// Refuses a certificate without its key, and a key without its certificate.
pub(super) fn check_pair(
    section: &str,
    cert: Option<&Path>,
    key: Option<&Path>,
) -> Result<(), Refusal> {
    let (set, path, missing) = match (cert, key) {
        (Some(cert), None) => ("certFile", cert, "keyFile"),
        (None, Some(key)) => ("keyFile", key, "certFile"),
        _ => return Ok(()),
    };
    Err(Refusal::Combination(format!(
        "{section}.{missing}: is not set, and {section}.{set}, {}, needs it",
        path.display()
    )))
}

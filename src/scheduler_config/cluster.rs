//! What the cluster says of berth: the CA of its certificate, and the address of its Service.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{Secret, Service};
use kube::{Api, Client};

use super::url::BaseUrl;
use crate::api::{Cause, ClientError, Fault, connect_by, within};

/// Where the manifests install berth, and how they name its objects.
const NAMESPACE: &str = "berth-system";
const SECRET: &str = "berth-tls";
const NAME: &str = "berth";
const CA_KEY: &str = "ca.crt";

/// A person waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why the cluster does not say what is needed.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The API server does not answer, or not this question.
    #[error("{object}: {fault}; or set {flag}")]
    Request {
        /// What was asked for.
        object: String,
        /// What went wrong.
        fault: Fault,
        /// The flag that takes its place.
        flag: &'static str,
    },
    /// Neither the Secret nor the webhook configuration has a CA.
    #[error(
        "berth's CA is not found: {secret}, and {webhook}; start berth first, or set --namespace or --ca"
    )]
    NoCa {
        /// What there is of the Secret.
        secret: String,
        /// What there is of the webhook configuration.
        webhook: String,
    },
    /// There is no Service with an address.
    #[error("{service}; set --url to where kube-scheduler reaches berth")]
    NoAddress {
        /// What there is of the Service.
        service: String,
    },
}

/// The CA of berth's certificate.
pub(super) struct Ca {
    pub(super) origin: String,
    pub(super) pem: Vec<u8>,
}

/// Where kube-scheduler reaches berth.
pub(super) struct Address {
    pub(super) origin: String,
    pub(super) url: BaseUrl,
    /// The name in the certificate.
    pub(super) name: String,
}

/// The cluster of a kubeconfig.
pub(super) struct Cluster {
    client: Client,
    namespace: String,
}

impl Cluster {
    pub(super) async fn open(
        kubeconfig: &Path,
        context: Option<&str>,
        namespace: Option<String>,
    ) -> Result<Self, ClientError> {
        let client = connect_by(kubeconfig, context).await?.client;
        Ok(Self {
            client,
            namespace: namespace.unwrap_or_else(|| NAMESPACE.to_owned()),
        })
    }

    /// From the Secret that berth or cert-manager keeps, or where it can't be read, from what
    /// kube-apiserver is given.
    pub(super) async fn ca(&self) -> Result<Ca, LookupError> {
        let origin = format!("secret {}/{SECRET}", self.namespace);
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let in_secret = |secret: Secret| {
            let ca = secret.data.unwrap_or_default().remove(CA_KEY)?.0;
            Some(ca).filter(|ca| !ca.is_empty())
        };
        let lacks = format!("has no {CA_KEY}");
        let secret = match find_ca(secrets.get_opt(SECRET), &origin, &lacks, in_secret).await? {
            Ok(pem) => return Ok(Ca { origin, pem }),
            Err(missing) => missing,
        };
        let origin = format!("webhook configuration {NAME}");
        let webhooks: Api<MutatingWebhookConfiguration> = Api::all(self.client.clone());
        let in_webhook = |configuration| self.bundle(configuration);
        let lacks = format!("has no caBundle for a service in {}", self.namespace);
        match find_ca(webhooks.get_opt(NAME), &origin, &lacks, in_webhook).await? {
            Ok(pem) => Ok(Ca { origin, pem }),
            Err(webhook) => Err(LookupError::NoCa { secret, webhook }),
        }
    }

    /// Another namespace's berth, as the one on loopback, has another CA.
    fn bundle(&self, configuration: MutatingWebhookConfiguration) -> Option<Vec<u8>> {
        let webhooks = configuration.webhooks.unwrap_or_default();
        webhooks.into_iter().find_map(|webhook| {
            let config = webhook.client_config;
            let is_ours = config.service?.namespace == self.namespace;
            let bundle = config.ca_bundle.filter(|_| is_ours)?.0;
            (!bundle.is_empty()).then_some(bundle)
        })
    }

    /// That of the Service, which the certificate names.
    pub(super) async fn address(&self) -> Result<Address, LookupError> {
        let origin = format!("service {}/{NAME}", self.namespace);
        let services: Api<Service> = Api::namespaced(self.client.clone(), &self.namespace);
        let none = |service: String| LookupError::NoAddress { service };
        let service = within(PATIENCE, services.get_opt(NAME))
            .await
            .map_err(|fault| failed(origin.clone(), fault, "--url"))?
            .ok_or_else(|| none(format!("there is no {origin}")))?;
        let spec = service.spec.unwrap_or_default();
        let host = spec
            .cluster_ip
            .filter(|ip| !matches!(ip.as_str(), "" | "None"))
            .ok_or_else(|| none(format!("{origin} has no ClusterIP")))?;
        let ports = spec.ports.unwrap_or_default();
        let named = ports
            .iter()
            .find(|port| port.name.as_deref() == Some("https"));
        let port = named
            .or(ports.first())
            .and_then(|port| u16::try_from(port.port).ok())
            .ok_or_else(|| none(format!("{origin} has no port")))?;
        Ok(Address {
            url: BaseUrl {
                host,
                port: Some(port),
            },
            name: format!("{NAME}.{}.svc", self.namespace),
            origin,
        })
    }
}

fn failed(object: String, fault: Fault, flag: &'static str) -> LookupError {
    LookupError::Request {
        object,
        fault,
        flag,
    }
}

/// The CA that `pick` finds in an object; else why there is none in it.
async fn find_ca<K>(
    request: impl Future<Output = kube::Result<Option<K>>>,
    object: &str,
    lacks: &str,
    pick: impl FnOnce(K) -> Option<Vec<u8>>,
) -> Result<Result<Vec<u8>, String>, LookupError> {
    match within(PATIENCE, request).await {
        Ok(Some(found)) => Ok(pick(found).ok_or_else(|| format!("{object} {lacks}"))),
        Ok(None) => Ok(Err(format!("there is no {object}"))),
        Err(fault) if fault.cause == Cause::Forbidden => Ok(Err(format!("{object}: {fault}"))),
        Err(fault) => Err(failed(object.to_owned(), fault, "--ca")),
    }
}

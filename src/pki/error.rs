//! Why certificates can't be managed: one variant per cause, each naming the object and what to do.

use std::fmt;

use strum::{IntoStaticStr, VariantNames};

use super::bundle::{ConfigurationId, ConfigurationKind};
use super::contents::{Foreign, MANAGED_BY};
use super::issue::IssueError;
use crate::api::{self, Fault};

/// What was asked of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Verb {
    /// Reading it.
    Get,
    /// Making it.
    Create,
    /// Replacing it.
    Update,
    /// Changing a part of it.
    Patch,
    /// Watching it, which begins with a list.
    #[strum(to_string = "list or watch")]
    Watch,
}

/// An object that berth manages, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// The Secret.
    Secret {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A webhook configuration.
    Configuration(ConfigurationId),
}

impl Object {
    /// The resource as a rule of RBAC names it.
    const fn resource(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "secrets",
            Self::Configuration(id) => match id.kind {
                ConfigurationKind::Mutating => {
                    "mutatingwebhookconfigurations.admissionregistration.k8s.io"
                }
                ConfigurationKind::Validating => {
                    "validatingwebhookconfigurations.admissionregistration.k8s.io"
                }
            },
        }
    }

    /// What has to allow it.
    const fn role(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "Role berth-tls",
            Self::Configuration(_) => "ClusterRole berth-webhook",
        }
    }

    /// The object after its resource: by name, and in which namespace.
    fn named(&self) -> String {
        match self {
            Self::Secret { namespace, name } => format!("{name} in namespace {namespace}"),
            Self::Configuration(id) => id.name.clone(),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { namespace, name } => write!(f, "secret {namespace}/{name}"),
            Self::Configuration(id) => id.fmt(f),
        }
    }
}

/// A request to the API server that failed.
#[derive(Debug, thiserror::Error)]
#[error("{verb} {object}: {fault}")]
pub struct FailedRequest {
    /// What was asked.
    pub verb: Verb,
    /// Of what.
    pub object: Object,
    /// What went wrong.
    pub fault: Fault,
}

impl FailedRequest {
    /// What to do where RBAC does not allow it. The manifests give no right to create objects: they
    /// bring them.
    fn remedy(&self) -> String {
        let Self { verb, object, .. } = self;
        if *verb == Verb::Create {
            return format!(
                "apply berth's manifests, which bring {} empty for berth to fill",
                object.named()
            );
        }
        format!(
            "apply the {} of berth's manifests, and see that its binding names berth's service account",
            object.role()
        )
    }
}

/// A reason why certificates can't be managed. The certificate in use stays in use.
#[derive(Debug, thiserror::Error, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum PkiError {
    /// RBAC does not allow it.
    #[error(
        "not allowed to {verb} {resource} {named}: {remedy} ({fault})",
        verb = .0.verb, resource = .0.object.resource(), named = .0.object.named(),
        remedy = .0.remedy(), fault = .0.fault
    )]
    Forbidden(FailedRequest),
    /// The Secret belongs to another owner.
    #[error(
        "{0} is not berth's: {1}; name another with --tls-secret, or delete this one, or label it {label}: {value} where berth may overwrite it",
        label = MANAGED_BY.0, value = MANAGED_BY.1
    )]
    #[strum(serialize = "foreign_secret")]
    Foreign(Object, Foreign),
    /// The Secret is berth's and can't be written, but its leaf is good until this time in UTC.
    #[error(
        "{0} is immutable: its certificate is served until it expires at {1}, and can't be renewed; delete the secret and apply berth's manifests again, and berth writes the same CAs into the new one"
    )]
    #[strum(serialize = "read_only_secret")]
    ReadOnly(Object, String),
    /// The Secret is berth's, can't be written, and holds nothing that can be served.
    #[error(
        "{0} is immutable, and holds no certificate that can be served: delete it and apply berth's manifests again, and berth fills the new one"
    )]
    #[strum(serialize = "immutable_secret")]
    Immutable(Object),
    /// Another manager, which this annotation shows, writes the same `caBundle`.
    #[error(
        "{0} has the annotation {1}, whose manager writes the same caBundle: remove the annotation, or leave the configuration out of tls.managed.webhookConfigurations"
    )]
    #[strum(serialize = "contested_configuration")]
    Contested(Object, String),
    /// The Secret can't be created because its namespace is not there.
    #[error("there is no namespace for {0}: create it")]
    NoNamespace(Object),
    /// A quota, a policy, a webhook or the end of the namespace does not allow it: the cause of the
    /// fault says which, and what to do.
    #[error(
        "the api server refuses to {verb} {object}: {fault}",
        verb = .0.verb, object = .0.object, fault = .0.fault.with_remedy("")
    )]
    Denied(FailedRequest),
    /// The API server refuses for another reason: an object that is too large, or an internal error.
    #[error("the api server refuses to {0}")]
    Refused(FailedRequest),
    /// There was no answer, or none that can be read.
    #[error("cannot {0}")]
    Unreachable(FailedRequest),
    /// Others changed the object each time between reading and writing it.
    #[error("{0} keeps changing while it is read and written: see who else writes it")]
    Contended(Object),
    /// A certificate was not made.
    #[error("cannot issue a certificate into {0}: {1}; report this as a defect")]
    NotIssued(Object, IssueError),
    /// The leaf was not taken by the listener.
    #[error("cannot serve the leaf of {0}; the log has the reason")]
    NotTaken(Object),
}

impl PkiError {
    /// Every name that [`Self::label`] may give.
    pub fn labels() -> impl Iterator<Item = &'static str> {
        let denials = api::Cause::ALL.iter().filter(|cause| cause.is_denial());
        let own = Self::VARIANTS.iter().filter(|name| **name != "denied");
        own.copied().chain(denials.map(|cause| cause.name()))
    }

    /// The name of the cause in metric labels and logs.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Denied(request) => request.fault.cause.name(),
            other => other.into(),
        }
    }

    /// Whether the problem may pass by itself.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unreachable(_) | Self::Contended(_) | Self::ReadOnly(..)
        )
    }
}

//! Why certificates can't be managed: one variant per cause, each naming the object and what to do.

use std::fmt;

use super::contents::{Foreign, MANAGED_BY};
use super::issue::IssueError;
use crate::api::{self, Fault};

/// What was asked of the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Reading it.
    Get,
    /// Making it.
    Create,
    /// Replacing it.
    Update,
    /// Changing a part of it.
    Patch,
    /// Hearing of changes, which begins with a list.
    Watch,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Watch => "list or watch",
        })
    }
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
    Configuration {
        /// Its name.
        name: String,
    },
}

impl Object {
    /// The resource as a rule of RBAC names it.
    const fn resource(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "secrets",
            Self::Configuration { .. } => {
                "mutatingwebhookconfigurations.admissionregistration.k8s.io"
            }
        }
    }

    /// What has to allow it.
    const fn role(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "Role berth-tls",
            Self::Configuration { .. } => "ClusterRole berth-webhook",
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret { namespace, name } => write!(f, "secret {namespace}/{name}"),
            Self::Configuration { name } => write!(f, "mutatingwebhookconfiguration {name}"),
        }
    }
}

/// A reason why certificates can't be managed. What is served goes on.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// RBAC does not allow it.
    #[error(
        "not allowed to {verb} {resource} {object}: {remedy} ({fault})",
        resource = object.resource(), object = Named(object), remedy = Rights(*verb, object)
    )]
    Forbidden {
        /// What was asked.
        verb: Verb,
        /// Of what.
        object: Object,
        /// What the API server said.
        fault: Fault,
    },
    /// The Secret is somebody else's.
    #[error(
        "{object} is not berth's: {why}; name another with --tls-secret, or delete this one, or label it {label}: {value} where berth may overwrite it",
        label = MANAGED_BY.0, value = MANAGED_BY.1
    )]
    Foreign {
        /// The Secret.
        object: Object,
        /// What shows it.
        why: Foreign,
    },
    /// The Secret is berth's and can't be written, but what is in it is good for a while.
    #[error(
        "{object} is immutable: its certificate is served until it expires at {until}, and can't be renewed; delete the secret and apply berth's manifests again, and berth writes the same CAs into the new one"
    )]
    ReadOnly {
        /// The Secret.
        object: Object,
        /// The end of its leaf, in UTC.
        until: String,
    },
    /// The Secret is berth's, can't be written, and holds nothing that can be served.
    #[error(
        "{object} is immutable, and holds no certificate that can be served: delete it and apply berth's manifests again, and berth fills the new one"
    )]
    Immutable {
        /// The Secret.
        object: Object,
    },
    /// Somebody else writes the same `caBundle`.
    #[error(
        "{object} has the annotation {annotation}, whose manager writes the same caBundle: remove the annotation, or leave the configuration out of tls.managed.webhookConfigurations"
    )]
    Contested {
        /// The webhook configuration.
        object: Object,
        /// The annotation.
        annotation: String,
    },
    /// The Secret can't be made because its namespace is not there.
    #[error("there is no namespace for {object}: create it")]
    NoNamespace {
        /// The Secret.
        object: Object,
    },
    /// A quota, a policy, a webhook or the end of the namespace does not allow it: the cause of the
    /// fault says which, and what to do.
    #[error(
        "the api server refuses to {verb} {object}: {fault}",
        fault = fault.with_remedy("")
    )]
    Denied {
        /// What was asked.
        verb: Verb,
        /// Of what.
        object: Object,
        /// What the API server said.
        fault: Fault,
    },
    /// The API server says no for another reason: an object that is too large, trouble of its own.
    #[error("the api server refuses to {verb} {object}: {fault}")]
    Refused {
        /// What was asked.
        verb: Verb,
        /// Of what.
        object: Object,
        /// What the API server said.
        fault: Fault,
    },
    /// There was no answer, or none that can be read.
    #[error("cannot {verb} {object}: {fault}")]
    Unreachable {
        /// What was asked.
        verb: Verb,
        /// Of what.
        object: Object,
        /// What is wrong.
        fault: Fault,
    },
    /// Others changed the object each time between reading and writing it.
    #[error("{object} keeps changing while it is read and written: see who else writes it")]
    Contended {
        /// The object.
        object: Object,
    },
    /// A certificate was not made.
    #[error("cannot issue a certificate into {object}: {cause}; report this as a defect")]
    NotIssued {
        /// The Secret.
        object: Object,
        /// Why.
        cause: IssueError,
    },
    /// The leaf was not taken by the listener.
    #[error("cannot serve the leaf of {object}; the log has the reason")]
    NotTaken {
        /// The Secret.
        object: Object,
    },
}

/// The cause of an error, without its details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// See [`PkiError::Forbidden`].
    Forbidden,
    /// See [`PkiError::Foreign`].
    Foreign,
    /// See [`PkiError::ReadOnly`].
    ReadOnly,
    /// See [`PkiError::Immutable`].
    Immutable,
    /// See [`PkiError::Contested`].
    Contested,
    /// See [`PkiError::NoNamespace`].
    NoNamespace,
    /// See [`PkiError::Denied`].
    Denied(api::Cause),
    /// See [`PkiError::Refused`].
    Refused,
    /// See [`PkiError::Unreachable`].
    Unreachable,
    /// See [`PkiError::Contended`].
    Contended,
    /// See [`PkiError::NotIssued`].
    NotIssued,
    /// See [`PkiError::NotTaken`].
    NotTaken,
}

impl ErrorKind {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Forbidden,
        Self::Foreign,
        Self::ReadOnly,
        Self::Immutable,
        Self::Contested,
        Self::NoNamespace,
        Self::Denied(api::Cause::Anonymous),
        Self::Denied(api::Cause::QuotaExceeded),
        Self::Denied(api::Cause::NamespaceTerminating),
        Self::Denied(api::Cause::DeniedByPolicy),
        Self::Denied(api::Cause::DeniedByWebhook),
        Self::Denied(api::Cause::DeniedByAdmission),
        Self::Refused,
        Self::Unreachable,
        Self::Contended,
        Self::NotIssued,
        Self::NotTaken,
    ];
}

impl PkiError {
    /// The cause.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Forbidden { .. } => ErrorKind::Forbidden,
            Self::Foreign { .. } => ErrorKind::Foreign,
            Self::ReadOnly { .. } => ErrorKind::ReadOnly,
            Self::Immutable { .. } => ErrorKind::Immutable,
            Self::Contested { .. } => ErrorKind::Contested,
            Self::NoNamespace { .. } => ErrorKind::NoNamespace,
            Self::Denied { fault, .. } => ErrorKind::Denied(fault.cause),
            Self::Refused { .. } => ErrorKind::Refused,
            Self::Unreachable { .. } => ErrorKind::Unreachable,
            Self::Contended { .. } => ErrorKind::Contended,
            Self::NotIssued { .. } => ErrorKind::NotIssued,
            Self::NotTaken { .. } => ErrorKind::NotTaken,
        }
    }
}

/// An object after its resource: by name, and in which namespace.
struct Named<'a>(&'a Object);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Object::Secret { namespace, name } => write!(f, "{name} in namespace {namespace}"),
            Object::Configuration { name } => f.write_str(name),
        }
    }
}

/// What to do where RBAC does not allow something. The manifests give no right to make objects: they
/// bring them.
struct Rights<'a>(Verb, &'a Object);

impl fmt::Display for Rights<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(verb, object) = self;
        if *verb == Verb::Create {
            return write!(
                f,
                "apply berth's manifests, which bring {} empty for berth to fill",
                Named(object)
            );
        }
        let role = object.role();
        write!(
            f,
            "apply the {role} of berth's manifests, and see that its binding names berth's service account"
        )
    }
}

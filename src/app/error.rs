//! Why the service does not start, or ends by itself.

use std::io;
use std::net::SocketAddr;

use crate::api::ClientError;
use crate::cluster::file::SnapshotError;
use crate::config::{ConfigError, Refusal};
use crate::tls::{NameError, TlsError};

/// Why the service does not start, or ends by itself. The message is the line that the operator
/// reads.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Flags and configuration are refused together.
    #[error("{0}")]
    Refused(#[source] Refusal),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no way to an API server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The snapshot is refused.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// There is no certificate.
    #[error(
        "no certificate to serve with: set --tls-cert FILE and --tls-key FILE, or --tls-secret NAME for one that berth makes"
    )]
    NoCertificate,
    /// Certificates from files and managed ones.
    #[error(
        "--tls-cert and --tls-key exclude --tls-secret: set files, or the name of a secret that berth fills"
    )]
    TwoCertificates,
    /// A Secret to manage, and no API server that has it.
    #[error("--tls-secret needs an api server that has the secret, which --snapshot excludes")]
    NoApiServer,
    /// Outside a pod, berth writes to a cluster only with an explicit setting.
    #[error(
        "--kubeconfig with --tls-secret would write secret {secret}{bundles} in that cluster: set --manage-certificates (tls.managed.outsidePod: true) to let it, or --tls-cert FILE and --tls-key FILE to serve without"
    )]
    WritesOutsidePod {
        /// The Secret.
        secret: String,
        /// The webhook configurations, with what is written in them.
        bundles: String,
    },
    /// Leader election is required, and there is no API server.
    #[error(
        "lease.leaderElection: Always needs an api server that has the lease, which --snapshot excludes"
    )]
    NoLease,
    /// A name that can't be in a certificate.
    #[error("tls.managed: {0}")]
    Name(#[from] NameError),
    /// One of certificate and key alone.
    #[error("--tls-cert and --tls-key go together: {0} is missing")]
    HalfACertificate(&'static str),
    /// The certificate is refused.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address can't be bound.
    #[error("{flag} {address}: {}", unbound(source))]
    Bind {
        /// The flag of the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A metric can't be registered: a defect.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The log or a signal handler can't be set up.
    #[error("the log or a signal handler can't be set up: {0}")]
    System(#[source] io::Error),
    /// A task that must not end has ended: a defect, with its message in the log.
    #[error("{0} ended by itself")]
    TaskEnded(&'static str),
}

/// Why an address can't be bound.
fn unbound(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; choose another address".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this host has no such address; choose one of its own, or 0.0.0.0 for all".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "berth may not listen there: choose a port above 1023, or give it CAP_NET_BIND_SERVICE"
                .to_owned()
        }
        _ => error.to_string(),
    }
}

//! Where the credentials come from: files, or a Secret that another component watches.

use std::path::{Path, PathBuf};

use super::files::read_stable;
use super::{Material, PemPart, Place, Role, TlsError, TlsFiles, files};

/// Where the credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Everything is in files.
    Files(TlsFiles),
    /// Certificate and key are in a Secret.
    Secret(TlsSecret),
}

/// A Secret whose certificate and key are handed over when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSecret {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The name of the Secret.
    pub name: String,
    /// A PEM file of authorities; if set, every client must show a certificate of one of them.
    pub client_ca: Option<PathBuf>,
    /// The same for `/scheduler/…` alone.
    pub scheduler_ca: Option<PathBuf>,
}

/// The authorities of clients byte for byte, not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCas {
    /// As [`Material::client_ca`].
    pub client: Option<Vec<u8>>,
    /// As [`Material::scheduler_ca`].
    pub scheduler: Option<Vec<u8>>,
}

impl From<TlsFiles> for Source {
    fn from(files: TlsFiles) -> Self {
        Self::Files(files)
    }
}

impl From<TlsSecret> for Source {
    fn from(secret: TlsSecret) -> Self {
        Self::Secret(secret)
    }
}

impl Source {
    /// A part of the credentials, as messages name it.
    #[must_use]
    pub fn part(&self, role: Role) -> PemPart {
        let place = match (self, role) {
            (Self::Files(TlsFiles { cert, .. }), Role::Certificate) => Place::File(cert.clone()),
            (Self::Files(TlsFiles { key, .. }), Role::Key) => Place::File(key.clone()),
            (Self::Secret(secret), Role::Certificate) => secret.place("tls.crt"),
            (Self::Secret(secret), Role::Key) => secret.place("tls.key"),
            (
                Self::Files(TlsFiles { client_ca, .. }) | Self::Secret(TlsSecret { client_ca, .. }),
                Role::ClientCa | Role::ServerCa,
            ) => Place::File(client_ca.clone().unwrap_or_default()),
            (
                Self::Files(TlsFiles { scheduler_ca, .. })
                | Self::Secret(TlsSecret { scheduler_ca, .. }),
                Role::SchedulerCa,
            ) => Place::File(scheduler_ca.clone().unwrap_or_default()),
        };
        PemPart { role, place }
    }

    /// What is in the files now. Blocks on the file system.
    pub(super) fn read(&self) -> Result<Update, TlsError> {
        match self {
            Self::Files(files) => files.read().map(Update::All),
            Self::Secret(secret) => secret.read_client_cas().map(Update::ClientCas),
        }
    }
}

/// What is new of the credentials; the rest is as it was.
pub(super) enum Update {
    All(Material),
    Pair { cert: Vec<u8>, key: Vec<u8> },
    ClientCas(ClientCas),
}

impl Update {
    pub(super) fn onto(self, taken: &Material) -> Material {
        match self {
            Self::All(material) => material,
            Self::Pair { cert, key } => Material {
                cert,
                key,
                ..taken.clone()
            },
            Self::ClientCas(ClientCas { client, scheduler }) => Material {
                client_ca: client,
                scheduler_ca: scheduler,
                ..taken.clone()
            },
        }
    }
}

impl TlsSecret {
    /// The authorities of clients, where there are any. Blocks on the file system.
    pub fn read_client_cas(&self) -> Result<ClientCas, TlsError> {
        let Self {
            client_ca,
            scheduler_ca,
            ..
        } = self;
        let read = || -> Result<ClientCas, TlsError> {
            Ok(ClientCas {
                client: files::read_optional(Role::ClientCa, client_ca.as_deref())?,
                scheduler: files::read_optional(Role::SchedulerCa, scheduler_ca.as_deref())?,
            })
        };
        read_stable(read)?.ok_or_else(|| {
            let role = client_ca
                .as_ref()
                .map_or(Role::SchedulerCa, |_| Role::ClientCa);
            let path = client_ca.as_deref().or(scheduler_ca.as_deref());
            TlsError::Unstable {
                part: PemPart::file(role, path.unwrap_or(Path::new(""))),
            }
        })
    }

    fn place(&self, key: &'static str) -> Place {
        let Self {
            namespace, name, ..
        } = self;
        Place::Secret {
            secret: format!("{namespace}/{name}"),
            key,
        }
    }
}

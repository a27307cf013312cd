//! Where the credentials come from: files alone, or a Secret that somebody else watches.

use std::path::PathBuf;

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
        };
        PemPart { role, place }
    }

    /// What is in the files now. Blocks on the file system.
    pub(super) fn read(&self) -> Result<Update, TlsError> {
        match self {
            Self::Files(files) => files.read().map(Update::All),
            Self::Secret(secret) => secret.read_client_ca().map(Update::ClientCa),
        }
    }
}

/// What is new of the credentials; the rest is as it was.
pub(super) enum Update {
    All(Material),
    Pair { cert: Vec<u8>, key: Vec<u8> },
    ClientCa(Option<Vec<u8>>),
}

impl Update {
    pub(super) fn onto(self, taken: &Material) -> Material {
        match self {
            Self::All(material) => material,
            Self::Pair { cert, key } => Material {
                cert,
                key,
                client_ca: taken.client_ca.clone(),
            },
            Self::ClientCa(client_ca) => Material {
                client_ca,
                ..taken.clone()
            },
        }
    }
}

impl TlsSecret {
    /// The client authorities, where there are any. Blocks on the file system.
    pub fn read_client_ca(&self) -> Result<Option<Vec<u8>>, TlsError> {
        let Some(path) = &self.client_ca else {
            return Ok(None);
        };
        let stable = read_stable(|| files::read_file(Role::ClientCa, path))?;
        stable.map(Some).ok_or_else(|| TlsError::Unstable {
            part: PemPart::file(Role::ClientCa, path),
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

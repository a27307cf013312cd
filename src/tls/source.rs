//! Where the credentials come from, and reading them as one consistent set.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{PemPart, Place, Role, TlsError};

/// The most that is read of a file, in bytes; a large CA bundle is a quarter of it.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// How often a set that changes while it is read is read again before that is an error.
const MAX_READS: usize = 5;

/// Where the credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where the certificate and its key are.
    pub pair: PairSource,
    /// A PEM file of authorities; if set, every client must show a certificate of one of them.
    pub client_ca: Option<PathBuf>,
    /// The same for `/scheduler/…` alone.
    pub scheduler_ca: Option<PathBuf>,
}

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PairSource {
    /// In PEM files.
    Files {
        /// The certificate, leaf first, followed by its chain.
        cert: PathBuf,
        /// The private key: PKCS#8, PKCS#1 or SEC1.
        key: PathBuf,
    },
    /// In a Secret that another component watches, and hands over when it changes.
    Secret {
        /// The namespace of the Secret.
        namespace: String,
        /// The name of the Secret.
        name: String,
    },
}

/// Credentials byte for byte, not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Material {
    /// The certificate and its key.
    pub pair: PemPair,
    /// The authorities of clients.
    pub client_cas: ClientCas,
}

/// A certificate and its key in PEM. `Debug` does not show them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PemPair {
    /// The certificate chain, leaf first.
    pub cert: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

/// The authorities of clients in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCas {
    /// Those of all clients; `None` asks clients for no certificate.
    pub client: Option<Vec<u8>>,
    /// Those of the clients of `/scheduler/…`; `None` leaves these routes open.
    pub scheduler: Option<Vec<u8>>,
}

impl fmt::Debug for PemPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemPair").finish_non_exhaustive()
    }
}

impl Source {
    /// A part of the credentials, as messages name it.
    #[must_use]
    pub fn part(&self, role: Role) -> PemPart {
        let secret = |namespace, name, key| Place::Secret {
            secret: format!("{namespace}/{name}"),
            key,
        };
        let file = |path: &Option<PathBuf>| Place::File(path.clone().unwrap_or_default());
        let place = match (role, &self.pair) {
            (Role::Certificate, PairSource::Files { cert, .. }) => Place::File(cert.clone()),
            (Role::Key, PairSource::Files { key, .. }) => Place::File(key.clone()),
            (Role::Certificate, PairSource::Secret { namespace, name }) => {
                secret(namespace, name, "tls.crt")
            }
            (Role::Key, PairSource::Secret { namespace, name }) => {
                secret(namespace, name, "tls.key")
            }
            (Role::ClientCa | Role::ServerCa, _) => file(&self.client_ca),
            (Role::SchedulerCa, _) => file(&self.scheduler_ca),
        };
        PemPart { role, place }
    }

    /// What is in the files now; a pair in a Secret is left empty. Blocks on the file system.
    pub fn read(&self) -> Result<Material, TlsError> {
        let role = match (&self.pair, &self.client_ca) {
            (PairSource::Files { .. }, _) => Role::Certificate,
            (PairSource::Secret { .. }, Some(_)) => Role::ClientCa,
            (PairSource::Secret { .. }, None) => Role::SchedulerCa,
        };
        read_stable(&self.part(role), || self.read_once())
    }

    fn read_once(&self) -> Result<Material, TlsError> {
        let read_ca = |role, path: &Option<PathBuf>| {
            let path = path.as_deref();
            path.map(|path| read_file(role, path)).transpose()
        };
        Ok(Material {
            pair: match &self.pair {
                PairSource::Files { cert, key } => PemPair {
                    cert: read_file(Role::Certificate, cert)?,
                    key: read_file(Role::Key, key)?,
                },
                PairSource::Secret { .. } => PemPair::default(),
            },
            client_cas: ClientCas {
                client: read_ca(Role::ClientCa, &self.client_ca)?,
                scheduler: read_ca(Role::SchedulerCa, &self.scheduler_ca)?,
            },
        })
    }
}

/// The first value that `read` gives twice in a row, so that a swap of the mounted directory between
/// two reads does not look like a mismatched pair. `part` stands for the set in an error.
pub(super) fn read_stable<T: PartialEq>(
    part: &PemPart,
    mut read: impl FnMut() -> Result<T, TlsError>,
) -> Result<T, TlsError> {
    let mut last = read()?;
    for _ in 1..MAX_READS {
        let again = read()?;
        if again == last {
            return Ok(last);
        }
        last = again;
    }
    Err(TlsError::Unstable(part.clone()))
}

pub(super) fn read_file(role: Role, path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |cause| TlsError::Unreadable(PemPart::file(role, path), cause);
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(TlsError::TooLarge(PemPart::file(role, path)));
    }
    Ok(bytes)
}

//! The PEM files: where they are, and reading them as one consistent set.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Credentials, PemPart, Role, TlsError};

/// The most that is read of a file; a large CA bundle is a quarter of it.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// How often a set that changes while it is read is read again before that is an error.
const MAX_READS: usize = 5;

/// Where the credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The serving certificate in PEM, leaf first, followed by its chain.
    pub cert: PathBuf,
    /// The private key in PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
    /// A PEM bundle of authorities; if set, every client must show a certificate of one of them.
    pub client_ca: Option<PathBuf>,
    /// The same for `/scheduler/…` alone.
    pub scheduler_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// Reads the files and checks them as a whole. Blocks on the file system.
    pub fn load(&self) -> Result<Credentials, TlsError> {
        Credentials::parse(&self.clone().into(), &self.read()?)
    }

    /// Reads all files twice, until both times agree, so that a swap of the mounted directory
    /// between two reads does not look like a mismatched pair. Blocks on the file system.
    pub fn read(&self) -> Result<Material, TlsError> {
        read_stable(|| self.read_once())?.ok_or_else(|| TlsError::Unstable {
            part: PemPart::file(Role::Certificate, &self.cert),
        })
    }

    fn read_once(&self) -> Result<Material, TlsError> {
        let Self {
            cert,
            key,
            client_ca,
            scheduler_ca,
        } = self;
        Ok(Material {
            cert: read_file(Role::Certificate, cert)?,
            key: read_file(Role::Key, key)?,
            client_ca: read_optional(Role::ClientCa, client_ca.as_deref())?,
            scheduler_ca: read_optional(Role::SchedulerCa, scheduler_ca.as_deref())?,
        })
    }
}

/// Credentials byte for byte, not yet checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    /// The certificate chain in PEM.
    pub cert: Vec<u8>,
    /// The private key in PEM.
    pub key: Vec<u8>,
    /// The client authorities in PEM; `None` asks clients for no certificate.
    pub client_ca: Option<Vec<u8>>,
    /// The authorities of the clients of `/scheduler/…` in PEM; `None` leaves these routes open.
    pub scheduler_ca: Option<Vec<u8>>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

/// The first value that `read` gives twice in a row, if there is one within [`MAX_READS`].
pub(super) fn read_stable<T: PartialEq, E>(
    mut read: impl FnMut() -> Result<T, E>,
) -> Result<Option<T>, E> {
    let mut last = read()?;
    for _ in 1..MAX_READS {
        let again = read()?;
        if again == last {
            return Ok(Some(last));
        }
        last = again;
    }
    Ok(None)
}

pub(super) fn read_optional(role: Role, path: Option<&Path>) -> Result<Option<Vec<u8>>, TlsError> {
    path.map(|path| read_file(role, path)).transpose()
}

pub(super) fn read_file(role: Role, path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |cause| TlsError::Unreadable {
        part: PemPart::file(role, path),
        cause,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(TlsError::TooLarge {
            part: PemPart::file(role, path),
            limit: MAX_FILE_BYTES,
        });
    }
    Ok(bytes)
}

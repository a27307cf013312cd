//! Why credentials were not taken: one variant per cause, each naming the part and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::algorithms::{SIGNS, VERIFIES};
use super::source::MAX_FILE_BYTES;

/// A reason to refuse credentials, at start or at a reload.
///
/// A cause from below is part of the message rather than a `source`, so that it is printed once.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file does not exist or may not be read.
    #[error("cannot read {0}: {1}; mount the secret, or correct the path or its permissions")]
    Unreadable(PemPart, io::Error),
    /// The file is far larger than any certificate bundle, so the path is probably wrong.
    #[error("{0} is larger than {MAX_FILE_BYTES} bytes; point the path at a PEM file")]
    TooLarge(PemPart),
    /// Something writes the files faster than they can be read twice alike. The part stands for the set.
    #[error(
        "{0} and the files beside it keep changing while they are read; write them all at once"
    )]
    Unstable(PemPart),
    /// The file is there but holds nothing, as a secret does whose issuer has not run yet.
    #[error("{0} is empty; wait for the issuer to fill the secret, or write PEM into it")]
    Empty(PemPart),
    /// A PEM section in the file is damaged.
    #[error("{0} is not valid PEM: {1}; write it again from its source")]
    MalformedPem(PemPart, PemFault),
    /// No certificate in a file that must hold one.
    #[error("no certificate in {0}; write a PEM section CERTIFICATE into it")]
    NoCertificate(PemPart),
    /// No private key in the key file.
    #[error("no private key in {0}; write a PEM section PRIVATE KEY into it")]
    NoKey(PemPart),
    /// The file holds what another should, which is named: the two paths are probably swapped.
    #[error("{0} holds a {1} instead; check that the paths are not swapped")]
    WrongKind(PemPart, &'static str),
    /// More than one private key, this many, and no way to tell which is meant.
    #[error("{0} holds {1} private keys; keep the one that belongs to the certificate")]
    ManyKeys(PemPart, usize),
    /// The private key needs a passphrase, which berth can't ask for.
    #[error("the private key in {0} is encrypted; store it without a passphrase")]
    EncryptedKey(PemPart),
    /// A certificate section does not hold a certificate that can be used.
    #[error("cannot use certificate {number} in {part}: {cause}; have it issued again")]
    BadCertificate {
        /// The part at fault.
        part: PemPart,
        /// Its place in the file, from 1.
        number: usize,
        /// What the parser said.
        cause: String,
    },
    /// The private key is damaged.
    #[error("cannot use the private key in {0}: it is damaged; have it issued again as {SIGNS}")]
    UnusableKey(PemPart),
    /// The private key is of a kind or size that berth can't sign with.
    #[error(
        "cannot use the private key in {part}: it is for {algorithm}, with which berth can't sign; have it issued again as {SIGNS}"
    )]
    UnsupportedKey {
        /// The part at fault.
        part: PemPart,
        /// What it is, as the certificate says.
        algorithm: String,
    },
    /// berth can verify nothing that any CA of a bundle signs.
    #[error(
        "no ca in {part} can be used: certificate 1 is for {algorithm}, and berth verifies {VERIFIES} alone; use a ca with such a key"
    )]
    NoUsableCa {
        /// The bundle.
        part: PemPart,
        /// What the first of them is.
        algorithm: String,
    },
    /// Another certificate than the first one is for the key.
    #[error(
        "certificate {number} in {cert} is the one for the key in {key}, and stands behind others; put it first, then the certificate that issued it, and so on"
    )]
    WrongOrder {
        /// The chain.
        cert: PemPart,
        /// The place of the leaf in it, from 1.
        number: usize,
        /// The key.
        key: PemPart,
    },
    /// Certificate and key are not even of one algorithm.
    #[error(
        "{cert} is for {cert_kind} but {key} holds {key_kind}; mount a pair that was issued together"
    )]
    DifferentKinds {
        /// The certificate.
        cert: PemPart,
        /// The algorithm of its first certificate.
        cert_kind: KeyKind,
        /// The key.
        key: PemPart,
        /// The algorithm of the key.
        key_kind: KeyKind,
    },
    /// The key is of the right algorithm, but not the one the first certificate was issued for.
    #[error(
        "the first certificate in {cert} is not for the key in {key}; mount a pair that was issued together, leaf first"
    )]
    Mismatch {
        /// The certificate.
        cert: PemPart,
        /// The key.
        key: PemPart,
    },
    /// A reload brought a certificate that has expired, at this time in UTC, while the one in use is
    /// still valid.
    #[error("{0} expired at {1}; renew it, the certificate in use is still valid")]
    Expired(PemPart, String),
    /// A reload brought a certificate that is valid only from this time in UTC, while the one in use is
    /// still valid.
    #[error(
        "{0} is valid from {1} on; check the clock of this node, the certificate in use is still valid"
    )]
    NotYetValid(PemPart, String),
    /// The TLS library refused the settings, which no file can cause.
    #[error("cannot set up tls: {0}; report this as a defect")]
    Setup(String),
}

/// A part of the credentials, as messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemPart {
    /// What it is for.
    pub role: Role,
    /// Where it is.
    pub place: Place,
}

impl PemPart {
    pub(super) fn file(role: Role, path: &Path) -> Self {
        let place = Place::File(path.to_owned());
        Self { role, place }
    }
}

impl fmt::Display for PemPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, place } = self;
        match place {
            Place::File(_) => write!(f, "{role} file {place}"),
            Place::Secret { .. } => write!(f, "{role} {place}"),
        }
    }
}

/// Where a part of the credentials is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// In a Secret of the cluster.
    Secret {
        /// Its namespace and name.
        secret: String,
        /// The key in it.
        key: &'static str,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Secret { secret, key } => write!(f, "{key} of secret {secret}"),
        }
    }
}

/// What a part is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum Role {
    /// The serving certificate and its chain.
    #[strum(to_string = "certificate")]
    Certificate,
    /// The private key of the serving certificate.
    #[strum(to_string = "key")]
    Key,
    /// The authorities whose client certificates are accepted.
    #[strum(to_string = "client ca")]
    ClientCa,
    /// The authorities whose client certificates open `/scheduler/…`.
    #[strum(to_string = "scheduler client ca")]
    SchedulerCa,
    /// The authorities whose server certificates are accepted, where berth is the client.
    #[strum(to_string = "server ca")]
    ServerCa,
}

/// How a PEM section is damaged, without its content, which may be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum PemFault {
    /// The line that opens a section is not well-formed.
    #[strum(to_string = "a BEGIN line is malformed")]
    Start,
    /// A section is opened and never closed.
    #[strum(to_string = "a section has no END line")]
    End,
    /// What is between the lines is not base64.
    #[strum(to_string = "a section is not base64")]
    Base64,
}

/// The algorithm of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
pub enum KeyKind {
    /// RSA of any size.
    #[strum(to_string = "RSA")]
    Rsa,
    /// ECDSA on any curve.
    #[strum(to_string = "ECDSA")]
    Ecdsa,
    /// Ed25519.
    Ed25519,
}

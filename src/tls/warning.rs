//! What is wrong with credentials that are taken all the same: some callers will refuse them.

use std::fmt;

use super::PemPart;
use super::algorithms::VERIFIES;

/// Something that callers or berth will stumble over later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsWarning {
    /// The leaf names no server.
    NoNames {
        /// The certificate.
        part: PemPart,
    },
    /// The leaf may not be used by a server.
    NotForServers {
        /// The certificate.
        part: PemPart,
    },
    /// A certificate is not followed by the one that issued it.
    Unordered {
        /// The chain.
        part: PemPart,
        /// The place of the certificate in the file, from 1.
        number: usize,
    },
    /// berth can't verify what a CA of several signs.
    UnusableCa {
        /// The bundle.
        part: PemPart,
        /// The place of the CA in the file, from 1.
        number: usize,
        /// What its key is.
        algorithm: String,
    },
}

impl fmt::Display for TlsWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNames { part } => write!(
                f,
                "the first certificate in {part} has no server name, and callers will refuse it: have it issued with the names that they call as subjectAltName"
            ),
            Self::NotForServers { part } => write!(
                f,
                "the first certificate in {part} is not for servers, and callers will refuse it: have it issued with the extended key usage serverAuth"
            ),
            Self::Unordered { part, number } => write!(
                f,
                "certificate {number} in {part} is not followed by the one that issued it, and callers may not find the way to their CA: put the leaf first, then its issuer, then the issuer of that"
            ),
            Self::UnusableCa {
                part,
                number,
                algorithm,
            } => write!(
                f,
                "certificate {number} in {part} is for {algorithm}, and berth can't verify what it signs: it takes {VERIFIES}"
            ),
        }
    }
}

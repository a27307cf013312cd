//! What is wrong with credentials that are taken all the same: some callers will refuse them.

use super::PemPart;
use super::algorithms::VERIFIES;

/// Something that callers or berth will stumble over later.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsWarning {
    /// The leaf names no server.
    #[error(
        "the first certificate in {0} has no server name, and callers will refuse it: have it issued with the names that they call as subjectAltName"
    )]
    NoNames(PemPart),
    /// The leaf may not be used by a server.
    #[error(
        "the first certificate in {0} is not for servers, and callers will refuse it: have it issued with the extended key usage serverAuth"
    )]
    NotForServers(PemPart),
    /// The certificate at this place, from 1, is not followed by the one that issued it.
    #[error(
        "certificate {1} in {0} is not followed by the one that issued it, and callers may not find the way to their CA: put the leaf first, then its issuer, then the issuer of that"
    )]
    Unordered(PemPart, usize),
    /// berth can't verify what a CA of several signs.
    #[error(
        "certificate {number} in {part} is for {algorithm}, and berth can't verify what it signs: it takes {VERIFIES}"
    )]
    UnusableCa {
        /// The bundle.
        part: PemPart,
        /// The place of the CA in the file, from 1.
        number: usize,
        /// What its key is.
        algorithm: String,
    },
}

//! PEM text to certificates and keys, with an error for each way a text can be the wrong one.

use rustls::pki_types::pem::{self, PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{PemFault, PemPart, TlsError};

/// All certificates in the text, at least one, in its order.
pub(super) fn certificates(
    part: &PemPart,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let mut certificates = Vec::new();
    let mut holds_key = false;
    for (kind, der) in sections(part, text)? {
        if kind == SectionKind::Certificate {
            certificates.push(CertificateDer::from(der));
        } else if is_private_key(kind) {
            holds_key = true;
        }
    }
    match certificates.is_empty() {
        false => Ok(certificates),
        true if holds_key => Err(TlsError::WrongKind(part.clone(), "private key")),
        true => Err(TlsError::NoCertificate(part.clone())),
    }
}

/// The only private key in the text.
pub(super) fn private_key(part: &PemPart, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    if is_encrypted(text) {
        return Err(TlsError::EncryptedKey(part.clone()));
    }
    let mut keys = Vec::new();
    let mut holds_certificate = false;
    for (kind, der) in sections(part, text)? {
        if kind == SectionKind::Certificate {
            holds_certificate = true;
        } else {
            keys.extend(PrivateKeyDer::from_pem(kind, der));
        }
    }
    match (keys.len(), keys.pop()) {
        (1, Some(key)) => Ok(key),
        (count, Some(_)) => Err(TlsError::ManyKeys(part.clone(), count)),
        (_, None) if holds_certificate => Err(TlsError::WrongKind(part.clone(), "certificate")),
        (_, None) => Err(TlsError::NoKey(part.clone())),
    }
}

/// Sections of known kinds; others, such as `EC PARAMETERS`, are passed over.
fn sections(part: &PemPart, text: &[u8]) -> Result<Vec<(SectionKind, Vec<u8>)>, TlsError> {
    if text.trim_ascii().is_empty() {
        return Err(TlsError::Empty(part.clone()));
    }
    <(SectionKind, Vec<u8>)>::pem_slice_iter(text)
        .map(|section| section.map_err(|error| TlsError::MalformedPem(part.clone(), fault(&error))))
        .collect()
}

/// Only the kind of the error: the library's own text can quote the content.
fn fault(error: &pem::Error) -> PemFault {
    match error {
        pem::Error::IllegalSectionStart { .. } => PemFault::Start,
        pem::Error::Base64Decode(_) => PemFault::Base64,
        _ => PemFault::End,
    }
}

fn is_private_key(kind: SectionKind) -> bool {
    matches!(
        kind,
        SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey
    )
}

/// PKCS#8 says it in the label, the older formats in a header of the section.
fn is_encrypted(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
            || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
    })
}

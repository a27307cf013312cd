//! Which algorithms berth's TLS can sign and verify with, and errors about others in words.
//!
//! The lists are those of *ring*, the only crypto provider that `deny.toml` allows.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError};
use x509_parser::asn1_rs::{FromDer, Oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;

use super::KeyKind;

/// The keys that berth can sign with: those of its own certificates.
pub const SIGNS: &str = "RSA of 2048, 3072 or 4096 bits, ECDSA on P-256 or P-384, or Ed25519";

/// The signatures that berth can verify: those of the certificates that others show, up to their CA.
pub const VERIFIES: &str = "RSA of 2048 to 8192 bits with SHA-256, SHA-384 or SHA-512, ECDSA on P-256 or P-384 with SHA-256 or SHA-384, or Ed25519";

/// What a public key is, in words, and what berth can do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyAlgorithm {
    /// As people say it.
    pub(super) name: String,
    /// Its kind, if berth knows it.
    pub(super) kind: Option<KeyKind>,
    /// Whether berth can sign with the private key that belongs to it.
    pub(super) signs: bool,
    /// Whether berth can verify what is signed with that private key.
    pub(super) verifies: bool,
}

impl KeyAlgorithm {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let key = certificate.public_key();
        let bits = match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => Some(rsa.key_size()),
            _ => None,
        };
        let algorithm = &key.algorithm;
        let curve = algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.as_oid().ok());
        Self::named(&algorithm.algorithm, curve.as_ref(), bits)
    }

    fn named(algorithm: &Oid<'_>, curve: Option<&Oid<'_>>, bits: Option<usize>) -> Self {
        let (name, kind, signs, verifies) = match (&*algorithm.to_id_string(), bits) {
            (RSA, Some(bits)) => (
                format!("RSA of {bits} bits"),
                Some(KeyKind::Rsa),
                [2048, 3072, 4096].contains(&bits),
                (2048..=8192).contains(&bits),
            ),
            (EC, _) => {
                let curve = curve.map(Oid::to_id_string).unwrap_or_default();
                let known = [P256, P384].contains(&&*curve);
                let name = format!("ECDSA on {}", name(&curve));
                (name, Some(KeyKind::Ecdsa), known, known)
            }
            (ED25519, _) => (name(ED25519), Some(KeyKind::Ed25519), true, true),
            // A key that can't be read has no size.
            (RSA, None) => (name(RSA), Some(KeyKind::Rsa), false, false),
            (other, _) => (name(other), None, false, false),
        };
        Self {
            name,
            kind,
            signs,
            verifies,
        }
    }
}

const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";
const ED25519: &str = "1.3.101.112";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";

/// What people call an algorithm or a curve.
fn name(oid: &str) -> String {
    let known = match oid {
        RSA => "RSA",
        EC => "ECDSA",
        ED25519 => "Ed25519",
        P256 => "P-256",
        P384 => "P-384",
        "1.2.840.10045.4.1" => "ECDSA with SHA-1",
        "1.2.840.10045.4.3.1" => "ECDSA with SHA-224",
        "1.2.840.10045.4.3.2" => "ECDSA with SHA-256",
        "1.2.840.10045.4.3.3" => "ECDSA with SHA-384",
        "1.2.840.10045.4.3.4" => "ECDSA with SHA-512",
        "1.2.840.113549.1.1.4" => "RSA with MD5",
        "1.2.840.113549.1.1.5" => "RSA with SHA-1",
        "1.2.840.113549.1.1.10" => "RSA-PSS with parameters of another kind",
        "1.2.840.113549.1.1.11" => "RSA with SHA-256",
        "1.2.840.113549.1.1.12" => "RSA with SHA-384",
        "1.2.840.113549.1.1.13" => "RSA with SHA-512",
        "1.2.840.113549.1.1.14" => "RSA with SHA-224",
        "1.2.840.10040.4.1" => "DSA",
        "1.2.840.10040.4.3" => "DSA with SHA-1",
        "1.3.101.113" => "Ed448",
        "1.3.132.0.10" => "secp256k1",
        "1.3.132.0.33" => "P-224",
        "1.3.132.0.35" => "P-521",
        "1.2.156.10197.1.301" => "SM2",
        "1.2.156.10197.1.501" => "SM2 with SM3",
        "2.16.840.1.101.3.4.3.17" => "ML-DSA-44",
        "2.16.840.1.101.3.4.3.18" => "ML-DSA-65",
        "2.16.840.1.101.3.4.3.19" => "ML-DSA-87",
        other => return format!("the algorithm with the OID {other}"),
    };
    known.to_owned()
}

/// The content of an `AlgorithmIdentifier` in words: the algorithm, and a curve behind it.
fn identifier(der: &[u8]) -> String {
    let Ok((parameters, algorithm)) = Oid::from_der(der) else {
        return "an unknown algorithm".to_owned();
    };
    let algorithm = name(&algorithm.to_id_string());
    match Oid::from_der(parameters) {
        Ok((_, curve)) => format!("{algorithm} on {}", name(&curve.to_id_string())),
        Err(_) => algorithm,
    }
}

/// The TLS error that is somewhere in `error`, in words, where the library's own leave the reader
/// alone: it prints bytes, or a name without a reason.
#[must_use]
pub fn explain(error: &(dyn Error + 'static)) -> Option<String> {
    in_words(find(error)?)
}

fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        // An I/O error is as what it wraps, and leaves that out of its sources.
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn in_words(error: &rustls::Error) -> Option<String> {
    let text = match error {
        rustls::Error::InvalidCertificate(
            CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id,
                ..
            },
        ) => format!(
            "a certificate in the peer's chain is signed by {}, which berth can't verify: it takes {VERIFIES}; have the certificate issued by a CA with such a key",
            identifier(signature_algorithm_id)
        ),
        rustls::Error::InvalidCertificate(
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id,
                public_key_algorithm_id,
            },
        ) => format!(
            "a certificate in the peer's chain is signed by {} with a key for {}, which berth can't verify: it takes {VERIFIES}; have the certificate issued by a CA with such a key",
            identifier(signature_algorithm_id),
            identifier(public_key_algorithm_id)
        ),
        rustls::Error::InvalidCertificate(CertificateError::BadSignature) => format!(
            "a signature in the peer's certificate chain does not verify: it is damaged, of another key, or of RSA outside the sizes that berth takes ({VERIFIES})"
        ),
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) => format!(
            "the peer ended the TLS handshake, as it does if both sides have no algorithm in common: its certificate must be for {VERIFIES}"
        ),
        _ => return None,
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dotted numbers to DER.
    fn der(oids: &[&str]) -> Vec<u8> {
        use x509_parser::asn1_rs::ToDer;
        oids.iter()
            .flat_map(|oid| {
                let numbers: Vec<u64> = oid.split('.').map(|n| n.parse().unwrap()).collect();
                Oid::from(&numbers).unwrap().to_der_vec().unwrap()
            })
            .collect()
    }

    #[test]
    fn a_key_is_named_with_what_berth_can_do_with_it() {
        for (algorithm, curve, bits, expect) in [
            (RSA, None, Some(1024), ("RSA of 1024 bits", false, false)),
            (RSA, None, Some(2048), ("RSA of 2048 bits", true, true)),
            (RSA, None, Some(2560), ("RSA of 2560 bits", false, true)),
            (RSA, None, Some(4096), ("RSA of 4096 bits", true, true)),
            (RSA, None, Some(8192), ("RSA of 8192 bits", false, true)),
            (RSA, None, Some(16384), ("RSA of 16384 bits", false, false)),
            (EC, Some(P256), None, ("ECDSA on P-256", true, true)),
            (EC, Some(P384), None, ("ECDSA on P-384", true, true)),
            (
                EC,
                Some("1.3.132.0.35"),
                None,
                ("ECDSA on P-521", false, false),
            ),
            (ED25519, None, None, ("Ed25519", true, true)),
            ("1.3.101.113", None, None, ("Ed448", false, false)),
            (
                "1.2.3.4",
                None,
                None,
                ("the algorithm with the OID 1.2.3.4", false, false),
            ),
        ] {
            let oid = |text: &str| {
                let numbers: Vec<u64> = text.split('.').map(|n| n.parse().unwrap()).collect();
                Oid::from(&numbers).unwrap()
            };
            let curve = curve.map(oid);
            let key = KeyAlgorithm::named(&oid(algorithm), curve.as_ref(), bits);
            assert_eq!((&*key.name, key.signs, key.verifies), expect);
        }
    }

    #[test]
    fn an_algorithm_that_berth_can_not_verify_is_named_in_words() {
        let by_signature =
            rustls::Error::from(CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: der(&["1.2.840.10045.4.3.4"]),
                supported_algorithms: Vec::new(),
            });
        let by_key = rustls::Error::from(
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: der(&["1.2.840.10045.4.3.3"]),
                public_key_algorithm_id: der(&[EC, "1.3.132.0.35"]),
            },
        );
        for (error, expect) in [
            (
                by_signature,
                "a certificate in the peer's chain is signed by ECDSA with SHA-512, which berth can't verify",
            ),
            (
                by_key,
                "a certificate in the peer's chain is signed by ECDSA with SHA-384 with a key for ECDSA on P-521, which berth can't verify",
            ),
            (
                CertificateError::BadSignature.into(),
                "a signature in the peer's certificate chain does not verify",
            ),
            (
                rustls::Error::AlertReceived(AlertDescription::HandshakeFailure),
                "the peer ended the TLS handshake",
            ),
        ] {
            // As hyper and tokio-rustls pass it on.
            let nested = io::Error::other(io::Error::other(error));
            let text = explain(&nested).unwrap();
            assert!(text.starts_with(expect), "{text}");
            assert!(text.contains(VERIFIES) && !text.contains('['), "{text}");
        }
        let other = io::Error::other(rustls::Error::from(CertificateError::UnknownIssuer));
        assert_eq!(explain(&other), None);
        assert_eq!(explain(&io::Error::other("no TLS")), None);
    }
}

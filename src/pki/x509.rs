//! Certificates and keys as they are read, each with what has to be known of it.

use std::fmt::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::ByteString;
use rcgen::PublicKeyData;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::SubjectPublicKeyInfo;

use super::Names;
use super::time;
use crate::tls::HostName;

/// A certificate by its bytes, shown as its serial number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    serial: Arc<str>,
    der: Arc<[u8]>,
}

impl Id {
    /// The serial number in lower-case hexadecimal digits, as openssl shows it in upper-case ones.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        certificate_pem(&self.der)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.serial)
    }
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first second.
    pub not_before: SystemTime,
    /// The last second.
    pub not_after: SystemTime,
}

impl Validity {
    /// When it was made: [`super::BACKDATE`] after its first second, where it lasts that long.
    #[must_use]
    pub fn made(&self) -> SystemTime {
        let made = time::later(self.not_before, super::BACKDATE);
        if made < self.not_after {
            made
        } else {
            self.not_before
        }
    }

    /// How long it was meant to last.
    #[must_use]
    pub fn life(&self) -> Duration {
        time::between(self.made(), self.not_after)
    }

    /// Whether its last second is over.
    #[must_use]
    pub fn is_over(&self, at: SystemTime) -> bool {
        self.not_after <= at
    }

    /// Whether its first second is to come.
    #[must_use]
    pub fn is_to_come(&self, at: SystemTime) -> bool {
        at < self.not_before
    }
}

/// A CA's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Which one.
    pub id: Id,
    /// When it is valid.
    pub validity: Validity,
    pub(super) subject: Vec<u8>,
    pub(super) spki: Vec<u8>,
}

impl Authority {
    /// Reads a certificate; `None` if it is not one of a CA.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let certificate = parse(der)?;
        if !certificate.is_ca() {
            return None;
        }
        Some(Self {
            id: id(&certificate, der),
            validity: validity(&certificate),
            subject: certificate.subject().as_raw().to_vec(),
            spki: certificate.public_key().raw.to_vec(),
        })
    }
}

/// A server's certificate, without its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafCertificate {
    /// Which one.
    pub id: Id,
    /// When it is valid.
    pub validity: Validity,
    /// What it is for.
    pub names: Names,
    pub(super) issuer: Vec<u8>,
    pub(super) spki: Vec<u8>,
}

impl LeafCertificate {
    /// Reads a certificate; `None` if it is not one.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let certificate = parse(der)?;
        Some(Self {
            id: id(&certificate, der),
            validity: validity(&certificate),
            names: names(&certificate),
            issuer: certificate.issuer().as_raw().to_vec(),
            spki: certificate.public_key().raw.to_vec(),
        })
    }

    /// Whether `authority` signed it, by proof.
    #[must_use]
    pub fn is_signed_by(&self, authority: &Authority) -> bool {
        self.issuer == authority.subject
            && parse(self.id.der())
                .zip(SubjectPublicKeyInfo::from_der(&authority.spki).ok())
                .is_some_and(|(leaf, (_, key))| leaf.verify_signature(Some(&key)).is_ok())
    }
}

/// A private key in PEM. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    pem: Arc<str>,
    pub(super) spki: Vec<u8>,
}

impl Key {
    /// Reads a key; `None` if it can't be used.
    #[must_use]
    pub fn read(pem: &[u8]) -> Option<Self> {
        let pem = std::str::from_utf8(pem).ok()?;
        let pair = rcgen::KeyPair::from_pem(pem).ok()?;
        Some(Self {
            pem: pem.into(),
            spki: pair.subject_public_key_info(),
        })
    }

    pub(super) fn of(pair: &rcgen::KeyPair) -> Self {
        Self {
            pem: pair.serialize_pem().into(),
            spki: pair.subject_public_key_info(),
        }
    }

    /// The key in PEM, for the Secret and the TLS layer alone.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// The certificates of a PEM text, up to the first section that is damaged, and whether there is
/// one.
#[must_use]
pub fn certificates(pem: &[u8]) -> (Vec<CertificateDer<'static>>, bool) {
    let mut certificates = Vec::new();
    for section in CertificateDer::pem_slice_iter(pem) {
        match section {
            Ok(certificate) => certificates.push(certificate),
            Err(_) => return (certificates, true),
        }
    }
    (certificates, false)
}

/// A certificate in PEM.
#[must_use]
pub fn certificate_pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in base64(der).as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// Base64 as Kubernetes writes bytes.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    match serde_json::to_value(ByteString(bytes.to_vec())) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Some(certificate),
        _ => None,
    }
}

fn id(certificate: &X509Certificate<'_>, der: &[u8]) -> Id {
    let mut serial = String::new();
    for byte in certificate.raw_serial() {
        // Writing to a string does not fail.
        let _ = write!(serial, "{byte:02x}");
    }
    Id {
        serial: serial.into(),
        der: der.into(),
    }
}

fn validity(certificate: &X509Certificate<'_>) -> Validity {
    let validity = certificate.validity();
    Validity {
        not_before: system_time(validity.not_before.timestamp()),
        not_after: system_time(validity.not_after.timestamp()),
    }
}

/// A time before 1970 becomes 1970: both are long past.
fn system_time(unix: i64) -> SystemTime {
    u64::try_from(unix)
        .ok()
        .and_then(time::from_unix)
        .unwrap_or(UNIX_EPOCH)
}

/// Only names of servers: other kinds are left out.
fn names(certificate: &X509Certificate<'_>) -> Names {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else {
        return Names::new();
    };
    let names = extension.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(HostName::Dns(name.to_ascii_lowercase())),
            GeneralName::IPAddress(bytes) => address(bytes).map(HostName::Ip),
            _ => None,
        })
        .collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or(v6).ok()
}

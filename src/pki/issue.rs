//! Making the changes that were decided: the only place where certificates are made.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;

use super::BACKDATE;
use super::Names;
use super::change::Change;
use super::decide::CertificatePolicy;
use super::state::{Issuer, Leaf, State, Trusted};
use super::time::{date, earlier, later, utc};
use super::x509::{Authority, Key, LeafCertificate};
use crate::tls::HostName;

/// Why a certificate was not made, which nothing from outside can cause but a CA of others' making.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The library refused.
    #[error("{0}")]
    Library(#[from] rcgen::Error),
    /// There is no CA to sign with.
    #[error("no ca to sign with")]
    NoSigner,
    /// What was made is not what is read.
    #[error("the certificate that was made can't be read")]
    Unreadable,
}

/// Makes the changes.
pub fn carry_out(
    changes: &[Change],
    mut state: State,
    policy: &CertificatePolicy,
    now: SystemTime,
) -> Result<State, IssueError> {
    for change in changes {
        match change {
            // Both are done by writing the state as it is.
            Change::Restore | Change::Repair(_) => {}
            Change::Trust(authority, until) => state.trust(authority, *until),
            Change::MakeSigner(_) => state.signer = Some(make(&mut state, policy, now)?),
            Change::MakeNext(_) => state.next = Some(make(&mut state, policy, now)?),
            Change::Promote(_) => state.signer = state.next.take(),
            Change::IssueLeaf(_, names) => issue(&mut state, names, policy.leaf_lifetime, now)?,
            Change::Retire(id) => state.bundle.retain(|trusted| trusted.authority.id != *id),
        }
    }
    Ok(state)
}

/// A CA of its own name, first in the bundle.
fn make(
    state: &mut State,
    policy: &CertificatePolicy,
    now: SystemTime,
) -> Result<Issuer, IssueError> {
    let pair = KeyPair::generate()?;
    let mut params = params("", policy.ca_lifetime, now)?;
    // Where two have the same name, not every client tries both.
    let mark = params.key_identifier(&pair).into_iter().take(4);
    let mark = mark.fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let name = format!("berth CA {} {mark}", utc(now));
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&pair)?;
    let authority = Authority::read(certificate.der()).ok_or(IssueError::Unreadable)?;
    let id = authority.id.clone();
    let leaves_until = authority.validity.made();
    state.bundle.insert(
        0,
        Trusted {
            authority,
            leaves_until,
        },
    );
    Ok(Issuer {
        id,
        key: Key::of(&pair),
    })
}

/// A leaf that does not outlive the CA that signs it.
fn issue(
    state: &mut State,
    names: &Names,
    lifetime: Duration,
    now: SystemTime,
) -> Result<(), IssueError> {
    let signer = state.signer.as_ref().ok_or(IssueError::NoSigner)?;
    let ca = state
        .bundle
        .iter_mut()
        .find(|trusted| trusted.authority.id == signer.id)
        .ok_or(IssueError::NoSigner)?;
    let mut params = params("berth", lifetime, now)?;
    params.not_after = params.not_after.min(date(ca.authority.validity.not_after));
    params.subject_alt_names = names.iter().map(san).collect::<Result<_, _>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;

    let der = CertificateDer::from(signer.id.der());
    let issuer = rcgen::Issuer::from_ca_cert_der(&der, KeyPair::from_pem(signer.key.pem())?)?;
    let pair = KeyPair::generate()?;
    let made = params.signed_by(&pair, &issuer)?;
    let certificate = LeafCertificate::read(made.der()).ok_or(IssueError::Unreadable)?;
    if !certificate.is_signed_by(&ca.authority) {
        return Err(IssueError::Unreadable);
    }
    ca.leaves_until = ca.leaves_until.max(certificate.validity.not_after);
    state.leaf = Some(Leaf {
        issuer: signer.id.clone(),
        certificate,
        key: Key::of(&pair),
    });
    Ok(())
}

fn params(
    name: &str,
    lifetime: Duration,
    now: SystemTime,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date(earlier(now, BACKDATE));
    params.not_after = date(later(now, lifetime));
    Ok(params)
}

fn san(name: &HostName) -> Result<SanType, rcgen::Error> {
    Ok(match name {
        HostName::Dns(name) => SanType::DnsName(name.as_str().try_into()?),
        HostName::Ip(address) => SanType::IpAddress(*address),
    })
}

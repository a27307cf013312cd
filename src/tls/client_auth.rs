//! Which clients are let in, and what their certificates open.
//!
//! | client CA | scheduler CA | handshake | `/mutate` | `/scheduler/…` |
//! | --- | --- | --- | --- | --- |
//! | | | asks for no certificate | open | open |
//! | set | | takes certificates of the client CA alone | open | open |
//! | | set | takes any certificate, or none | open | of the scheduler CA |
//! | set | set | takes certificates of either CA alone | of the client CA | of the scheduler CA |

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use super::credentials::authorities;
use super::{ClientCas, Role, Source, TlsError, TlsWarning};
use crate::peer::{Access, Grant};

type Verifier = Arc<dyn ClientCertVerifier>;

/// The CAs of clients.
#[derive(Clone)]
pub(super) struct ClientAuth {
    client: Option<Verifier>,
    scheduler: Option<Verifier>,
}

impl ClientAuth {
    pub(super) fn parse(
        source: &Source,
        cas: &ClientCas,
        provider: &Arc<CryptoProvider>,
    ) -> Result<(Self, Vec<TlsWarning>), TlsError> {
        let mut warnings = Vec::new();
        let mut verifier = |role, bundle: &Option<Vec<u8>>| {
            let Some(bundle) = bundle else {
                return Ok(None);
            };
            let (roots, unusable) = authorities(&source.part(role), bundle)?;
            warnings.extend(unusable);
            verifier(roots, provider).map(Some)
        };
        let auth = Self {
            client: verifier(Role::ClientCa, &cas.client)?,
            scheduler: verifier(Role::SchedulerCa, &cas.scheduler)?,
        };
        Ok((auth, warnings))
    }

    /// What a handshake asks for; `None` asks clients for no certificate.
    pub(super) fn handshake(&self) -> Option<Verifier> {
        match (&self.client, &self.scheduler) {
            (None, None) => None,
            (Some(client), None) => Some(Arc::clone(client)),
            // The routes check the certificates, so that a response can say why a client is refused.
            (None, Some(scheduler)) => Some(Arc::new(Handshake {
                authorities: vec![Arc::clone(scheduler)],
                is_optional: true,
                hints: scheduler.root_hint_subjects().to_vec(),
            })),
            (Some(client), Some(scheduler)) => Some(Arc::new(Handshake {
                authorities: vec![Arc::clone(client), Arc::clone(scheduler)],
                is_optional: false,
                hints: [client.root_hint_subjects(), scheduler.root_hint_subjects()].concat(),
            })),
        }
    }

    /// What a client may call whose handshake is done.
    pub(super) fn access(&self, chain: Option<&[CertificateDer<'_>]>) -> Access {
        match (&self.client, &self.scheduler) {
            // The handshake has checked all there is to check.
            (None | Some(_), None) => Access::default(),
            (None, Some(scheduler)) => Access {
                admission: Grant::Granted,
                extender: grant(scheduler, chain),
            },
            (Some(client), Some(scheduler)) => Access {
                admission: grant(client, chain),
                extender: grant(scheduler, chain),
            },
        }
    }
}

fn grant(verifier: &Verifier, chain: Option<&[CertificateDer<'_>]>) -> Grant {
    let Some([leaf, intermediates @ ..]) = chain else {
        return Grant::NoCertificate;
    };
    match verifier.verify_client_cert(leaf, intermediates, UnixTime::now()) {
        Ok(_) => Grant::Granted,
        Err(_) => Grant::OtherCertificate,
    }
}

/// Accepts a client that shows a certificate of one of the authorities, and no other.
fn verifier(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Result<Verifier, TlsError> {
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| TlsError::Setup(error.to_string()))
}

/// The handshake where routes differ in the certificates that they need. In each case the client
/// proves that it has the key of the certificate that it shows.
#[derive(Debug)]
struct Handshake {
    authorities: Vec<Verifier>,
    is_optional: bool,
    hints: Vec<DistinguishedName>,
}

impl Handshake {
    /// All of them use the same algorithms.
    fn signatures(&self) -> Result<&Verifier, rustls::Error> {
        let error = || rustls::Error::General("no client authority".to_owned());
        self.authorities.first().ok_or_else(error)
    }
}

impl ClientCertVerifier for Handshake {
    fn client_auth_mandatory(&self) -> bool {
        !self.is_optional
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if self.is_optional {
            return Ok(ClientCertVerified::assertion());
        }
        let mut verified = Err(rustls::Error::NoCertificatesPresented);
        for authority in &self.authorities {
            verified = authority.verify_client_cert(leaf, intermediates, now);
            if verified.is_ok() {
                break;
            }
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures()?
            .verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures()?
            .verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures()
            .map(|verifier| verifier.supported_verify_schemes())
            .unwrap_or_default()
    }
}

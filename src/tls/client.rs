//! What a client needs to speak TLS with OVN's databases: the authority of the servers, and a
//! certificate of its own where they ask for one.
//!
//! The server's certificate must be of the authority and within its time; the name in it is not
//! looked at. Open vSwitch itself does not either: one certificate, issued to `ovn` and to no host,
//! is what Kube-OVN gives to all servers and clients. Whoever holds a key of that authority is part
//! of OVN's control plane, and may as well be followed.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::credentials::{check_chain, check_pair, not_x509};
use super::files::{read_file, read_stable};
use super::{PemPart, Role, TlsError, pem};

/// Where a client's credentials are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFiles {
    /// A PEM bundle of authorities; a server must show a certificate of one of them.
    pub ca: PathBuf,
    /// The client's own certificate and key, both in PEM.
    pub identity: Option<Identity>,
}

/// A certificate with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The certificate, leaf first, followed by its chain.
    pub cert: PathBuf,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

#[derive(PartialEq)]
struct Material {
    ca: Vec<u8>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl ClientFiles {
    /// Reads the files, until two reads agree, and checks them as a whole. Blocks on the file
    /// system.
    pub fn load(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let ca = PemPart::file(Role::ServerCa, &self.ca);
        let material = read_stable(|| self.read_once())?
            .ok_or_else(|| TlsError::Unstable { part: ca.clone() })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        for (index, der) in pem::certificates(&ca, &material.ca)?
            .into_iter()
            .enumerate()
        {
            roots.add(der).map_err(|_| not_x509(&ca, index))?;
        }
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| TlsError::Setup {
                cause: error.to_string(),
            })?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ChainVerifier {
                roots,
                algorithms: provider.signature_verification_algorithms,
            }));
        Ok(Arc::new(match (&self.identity, &material.identity) {
            (Some(files), Some((cert, key))) => {
                let pair = identity(files, cert, key, &provider)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
            }
            _ => builder.with_no_client_auth(),
        }))
    }

    fn read_once(&self) -> Result<Material, TlsError> {
        let identity = self.identity.as_ref().map(|Identity { cert, key }| {
            Ok((
                read_file(Role::Certificate, cert)?,
                read_file(Role::Key, key)?,
            ))
        });
        Ok(Material {
            ca: read_file(Role::ServerCa, &self.ca)?,
            identity: identity.transpose()?,
        })
    }
}

fn identity(
    files: &Identity,
    cert: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let cert_file = PemPart::file(Role::Certificate, &files.cert);
    let key_file = PemPart::file(Role::Key, &files.key);
    let chain = pem::certificates(&cert_file, cert)?;
    let leaf = check_chain(&cert_file, &chain)?;
    let key = provider
        .key_provider
        .load_private_key(pem::private_key(&key_file, key)?)
        .map_err(|_| TlsError::UnusableKey {
            part: key_file.clone(),
        })?;
    let pair = CertifiedKey::new(chain, key);
    check_pair(cert_file, leaf.key_kind, key_file, &pair)?;
    Ok(pair)
}

/// Accepts a certificate of the authorities, whatever its name.
#[derive(Debug)]
struct ChainVerifier {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

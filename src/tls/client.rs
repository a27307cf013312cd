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
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::credentials::{authorities, read_pair};
use super::source::{read_file, read_stable};
use super::{PemPart, Role, TlsError};

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
        let material = read_stable(&ca, || self.read_once())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (roots, _) = authorities(&ca, &material.ca)?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| TlsError::Setup(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ChainVerifier {
                roots,
                algorithms: provider.signature_verification_algorithms,
            }));
        Ok(Arc::new(match (&self.identity, &material.identity) {
            (Some(files), Some((cert, key))) => {
                let cert_part = PemPart::file(Role::Certificate, &files.cert);
                let key_part = PemPart::file(Role::Key, &files.key);
                let (pair, _) = read_pair((cert_part, cert), (key_part, key), &provider)?;
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

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, CertifiedKey as Issued, KeyPair, generate_simple_self_signed};

    use super::*;

    #[test]
    fn file_errors_are_reported_before_connecting() {
        let dir = tempfile::tempdir().unwrap();
        let Issued { cert, signing_key } = generate_simple_self_signed(["ovn".to_owned()]).unwrap();
        let other = KeyPair::generate().unwrap();
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let (cert, key) = (cert.pem(), signing_key.serialize_pem());
        let p521 = format!(
            "-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n",
            include_str!("testdata/p521_ca.cert.b64")
        );
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let load = || {
            let files = ClientFiles {
                ca: dir.path().join("cacert"),
                identity: Some(Identity {
                    cert: dir.path().join("cert"),
                    key: dir.path().join("key"),
                }),
            };
            let place = dir.path().display().to_string();
            files
                .load()
                .map(drop)
                .map_err(|error| error.to_string().replace(&place, "DIR"))
        };
        for (cacert, cert, key, expect) in [
            (&*cert, &*cert, &*key, Ok(())),
            (
                "",
                &cert,
                &key,
                Err(
                    "server ca file DIR/cacert is empty; wait for the issuer to fill the secret, or write PEM into it",
                ),
            ),
            (
                &key,
                &cert,
                &key,
                Err(
                    "server ca file DIR/cacert holds a private key instead; check that the paths are not swapped",
                ),
            ),
            (
                &p521,
                &cert,
                &key,
                Err(
                    "no ca in server ca file DIR/cacert can be used: certificate 1 is for ECDSA on P-521, and berth verifies RSA of 2048 to 8192 bits with SHA-256, SHA-384 or SHA-512, ECDSA on P-256 or P-384 with SHA-256 or SHA-384, or Ed25519 alone; use a ca with such a key",
                ),
            ),
            (
                &cert,
                &key,
                &cert,
                Err(
                    "certificate file DIR/cert holds a private key instead; check that the paths are not swapped",
                ),
            ),
            (
                &cert,
                &cert,
                encrypted,
                Err(
                    "the private key in key file DIR/key is encrypted; store it without a passphrase",
                ),
            ),
            (
                &cert,
                &cert,
                &other.serialize_pem(),
                Err(
                    "the first certificate in certificate file DIR/cert is not for the key in key file DIR/key; mount a pair that was issued together, leaf first",
                ),
            ),
        ] {
            write("cacert", cacert);
            write("cert", cert);
            write("key", key);
            assert_eq!(load(), expect.map_err(str::to_owned));
        }
        fs::remove_file(dir.path().join("cacert")).unwrap();
        assert_eq!(
            load(),
            Err("cannot read server ca file DIR/cacert: No such file or directory (os error 2); mount the secret, or correct the path or its permissions".to_owned())
        );
    }

    #[test]
    fn a_server_is_taken_by_its_authority_and_its_time_and_not_by_its_name() {
        let issuer = |name: &str| {
            let mut params = CertificateParams::default();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, name);
            rcgen::CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let (ours, theirs) = (issuer("ours"), issuer("theirs"));
        let mut roots = RootCertStore::empty();
        roots.add(ours.der().clone()).unwrap();
        let provider = rustls::crypto::ring::default_provider();
        let verifier = ChainVerifier {
            roots,
            algorithms: provider.signature_verification_algorithms,
        };
        let leaf = |issuer: &rcgen::CertifiedIssuer<'_, KeyPair>| {
            let mut params = CertificateParams::new(["ovn".to_owned()]).unwrap();
            params.not_before = rcgen::date_time_ymd(2020, 1, 1);
            params.not_after = rcgen::date_time_ymd(2030, 1, 1);
            params
                .signed_by(&KeyPair::generate().unwrap(), issuer)
                .unwrap()
        };
        let year = |year: u64| {
            let seconds = (year - 1970) * 31_557_600;
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
        };
        for (issuer, name, now, taken) in [
            (&ours, "ovn", year(2025), true),
            (&ours, "192.0.2.1", year(2025), true),
            (&ours, "ovn-sb.kube-system.svc", year(2025), true),
            (&ours, "ovn", year(2031), false),
            (&ours, "ovn", year(2019), false),
            (&theirs, "ovn", year(2025), false),
        ] {
            let name = ServerName::try_from(name).unwrap();
            let result = verifier.verify_server_cert(leaf(issuer).der(), &[], &name, &[], now);
            assert_eq!(result.is_ok(), taken, "{name:?} {now:?}");
        }
    }
}

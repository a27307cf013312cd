//! Checked credentials: PEM material to a server configuration, or the reason why not.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, ServerConfig, ServerConnection, SignatureAlgorithm};
use x509_parser::oid_registry::{
    OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::client_auth::ClientAuth;
use super::{KeyKind, Material, PemPart, Role, Source, TlsError, pem};
use crate::peer::Access;

/// What a server needs to speak TLS: every part checked, and the key known to fit the certificate.
#[derive(Clone)]
pub struct Credentials {
    /// The configuration for new connections: TLS 1.2 and 1.3, ALPN `h2` and `http/1.1`.
    pub config: Arc<ServerConfig>,
    /// When the leaf begins to be valid.
    pub not_before: SystemTime,
    /// When the leaf expires. The past is not an error here: see [`super::CertificateStore`].
    pub not_after: SystemTime,
    client_auth: ClientAuth,
}

impl Credentials {
    /// Checks `material`; `source` serves only to name the culprit in an error.
    pub fn parse(source: &Source, material: &Material) -> Result<Self, TlsError> {
        let Material {
            cert,
            key,
            client_ca: _,
            scheduler_ca: _,
        } = material;
        let cert_part = source.part(Role::Certificate);
        let key_part = source.part(Role::Key);
        let provider = Arc::new(rustls::crypto::ring::default_provider());

        let (pair, leaf) = read_pair((cert_part, cert), (key_part, key), &provider)?;

        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| TlsError::Setup {
                cause: error.to_string(),
            })?;
        let client_auth = ClientAuth::parse(source, material, &provider)?;
        let builder = match client_auth.handshake() {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

        Ok(Self {
            config: Arc::new(config),
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            client_auth,
        })
    }

    /// What the client of a connection with this configuration may call.
    #[must_use]
    pub fn access(&self, connection: &ServerConnection) -> Access {
        self.client_auth.access(connection.peer_certificates())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

pub(super) struct Leaf {
    not_before: SystemTime,
    not_after: SystemTime,
    pub(super) key_kind: Option<KeyKind>,
}

/// A chain and the key that it is known to be for, with what its leaf says.
pub(super) fn read_pair(
    (cert_part, cert): (PemPart, &[u8]),
    (key_part, key): (PemPart, &[u8]),
    provider: &CryptoProvider,
) -> Result<(CertifiedKey, Leaf), TlsError> {
    let chain = pem::certificates(&cert_part, cert)?;
    let leaf = check_chain(&cert_part, &chain)?;
    let key = provider
        .key_provider
        .load_private_key(pem::private_key(&key_part, key)?)
        .map_err(|_| TlsError::UnusableKey {
            part: key_part.clone(),
        })?;
    let pair = CertifiedKey::new(chain, key);
    check_pair(cert_part, leaf.key_kind, key_part, &pair)?;
    Ok((pair, leaf))
}

/// Every certificate must parse: a damaged intermediate would only be found by the clients.
fn check_chain(part: &PemPart, chain: &[CertificateDer<'_>]) -> Result<Leaf, TlsError> {
    let mut leaf = None;
    for (index, der) in chain.iter().enumerate() {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| not_x509(part, index))?;
        leaf.get_or_insert_with(|| Leaf {
            not_before: system_time(certificate.validity().not_before.timestamp()),
            not_after: system_time(certificate.validity().not_after.timestamp()),
            key_kind: key_kind(&certificate),
        });
    }
    leaf.ok_or_else(|| TlsError::NoCertificate { part: part.clone() })
}

/// rustls would let a pair pass that it cannot compare; here only a proven match passes.
fn check_pair(
    cert: PemPart,
    cert_kind: Option<KeyKind>,
    key: PemPart,
    pair: &CertifiedKey,
) -> Result<(), TlsError> {
    let key_kind = match pair.key.algorithm() {
        SignatureAlgorithm::RSA => Some(KeyKind::Rsa),
        SignatureAlgorithm::ECDSA => Some(KeyKind::Ecdsa),
        SignatureAlgorithm::ED25519 => Some(KeyKind::Ed25519),
        _ => None,
    };
    if let (Some(cert_kind), Some(key_kind)) = (cert_kind, key_kind)
        && cert_kind != key_kind
    {
        return Err(TlsError::DifferentKinds {
            cert,
            cert_kind,
            key,
            key_kind,
        });
    }
    match pair.keys_match() {
        Ok(()) => Ok(()),
        Err(rustls::Error::InconsistentKeys(
            InconsistentKeys::KeyMismatch | InconsistentKeys::Unknown,
        )) => Err(TlsError::Mismatch { cert, key }),
        Err(error) => Err(TlsError::BadCertificate {
            part: cert,
            number: 1,
            cause: error.to_string(),
        }),
    }
}

pub(super) fn not_x509(part: &PemPart, index: usize) -> TlsError {
    TlsError::BadCertificate {
        part: part.clone(),
        number: index + 1,
        cause: "it is not X.509".to_owned(),
    }
}

fn key_kind(certificate: &X509Certificate<'_>) -> Option<KeyKind> {
    let algorithm = &certificate.public_key().algorithm.algorithm;
    [
        (OID_PKCS1_RSAENCRYPTION, KeyKind::Rsa),
        (OID_KEY_TYPE_EC_PUBLIC_KEY, KeyKind::Ecdsa),
        (OID_SIG_ED25519, KeyKind::Ed25519),
    ]
    .into_iter()
    .find_map(|(oid, kind)| (*algorithm == oid).then_some(kind))
}

/// A time before 1970 becomes 1970: both are long past.
fn system_time(unix: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(unix).unwrap_or(0))
}

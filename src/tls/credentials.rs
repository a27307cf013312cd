//! Checked credentials: PEM material to a server configuration, or the reason why not.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{InconsistentKeys, RootCertStore, ServerConfig, ServerConnection, SignatureAlgorithm};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::algorithms::KeyAlgorithm;
use super::client_auth::ClientAuth;
use super::{KeyKind, Material, PemPair, PemPart, Role, Source, TlsError, TlsWarning, pem};
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
    /// What callers or berth will stumble over later.
    pub warnings: Vec<TlsWarning>,
    client_auth: ClientAuth,
}

impl Credentials {
    /// Checks `material`; `source` serves only to name the culprit in an error.
    pub fn parse(source: &Source, material: &Material) -> Result<Self, TlsError> {
        let PemPair { cert, key } = &material.pair;
        let cert_part = source.part(Role::Certificate);
        let key_part = source.part(Role::Key);
        let provider = Arc::new(rustls::crypto::ring::default_provider());

        let (pair, leaf) = read_pair((cert_part.clone(), cert), (key_part, key), &provider)?;
        let mut warnings = leaf.warnings(&cert_part);

        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| TlsError::Setup(error.to_string()))?;
        let (client_auth, unusable) = ClientAuth::parse(source, &material.client_cas, &provider)?;
        warnings.extend(unusable);
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
            warnings,
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
    algorithm: KeyAlgorithm,
    has_names: bool,
    is_for_servers: bool,
    /// The place of the first certificate, from 1, that its issuer does not follow.
    unordered: Option<usize>,
}

impl Leaf {
    fn of(certificate: &X509Certificate<'_>) -> Self {
        let validity = certificate.validity();
        let names = certificate.subject_alternative_name().ok().flatten();
        let usage = certificate.extended_key_usage().ok().flatten();
        Self {
            not_before: system_time(validity.not_before.timestamp()),
            not_after: system_time(validity.not_after.timestamp()),
            algorithm: KeyAlgorithm::of(certificate),
            has_names: names.is_some_and(|names| {
                let mut names = names.value.general_names.iter();
                names
                    .any(|name| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_)))
            }),
            is_for_servers: usage.is_none_or(|usage| usage.value.server_auth || usage.value.any),
            unordered: None,
        }
    }

    /// What clients of berth will reject.
    fn warnings(&self, part: &PemPart) -> Vec<TlsWarning> {
        let no_names = !self.has_names;
        let not_for_servers = !self.is_for_servers;
        let warnings = [
            no_names.then(|| TlsWarning::NoNames(part.clone())),
            not_for_servers.then(|| TlsWarning::NotForServers(part.clone())),
            self.unordered
                .map(|number| TlsWarning::Unordered(part.clone(), number)),
        ];
        warnings.into_iter().flatten().collect()
    }
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
        .map_err(|_| {
            let part = key_part.clone();
            if leaf.algorithm.signs {
                return TlsError::UnusableKey(part);
            }
            let algorithm = leaf.algorithm.name.clone();
            TlsError::UnsupportedKey { part, algorithm }
        })?;
    let pair = CertifiedKey::new(chain, key);
    check_order(&cert_part, &key_part, &pair)?;
    check_pair(cert_part, leaf.algorithm.kind, key_part, &pair)?;
    Ok((pair, leaf))
}

/// Every certificate must parse: a damaged intermediate would only be found by the clients.
fn check_chain(part: &PemPart, chain: &[CertificateDer<'_>]) -> Result<Leaf, TlsError> {
    let mut parsed = Vec::with_capacity(chain.len());
    for (index, der) in chain.iter().enumerate() {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| not_x509(part, index))?;
        parsed.push(certificate);
    }
    let first = parsed.first();
    let first = first.ok_or_else(|| TlsError::NoCertificate(part.clone()))?;
    let is_followed = |pair: &[X509Certificate<'_>]| matches!(pair, [of, by] if of.issuer().as_raw() == by.subject().as_raw());
    let unordered = parsed.windows(2).position(|pair| !is_followed(pair));
    Ok(Leaf {
        unordered: unordered.map(|index| index + 1),
        ..Leaf::of(first)
    })
}

/// The certificate of the key has to be the first. A wrong order is the commonest mistake, and the error
/// about a pair that does not match would hide it.
fn check_order(cert: &PemPart, key: &PemPart, pair: &CertifiedKey) -> Result<(), TlsError> {
    let Some(own) = pair.key.public_key() else {
        return Ok(());
    };
    let place = pair.cert.iter().position(|der| {
        X509Certificate::from_der(der)
            .is_ok_and(|(_, certificate)| certificate.public_key().raw == &*own)
    });
    match place {
        None | Some(0) => Ok(()),
        Some(index) => Err(TlsError::WrongOrder {
            cert: cert.clone(),
            number: index + 1,
            key: key.clone(),
        }),
    }
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

/// The authorities of a bundle, of which berth has to be able to verify one at least.
pub(super) fn authorities(
    part: &PemPart,
    bundle: &[u8],
) -> Result<(RootCertStore, Vec<TlsWarning>), TlsError> {
    let mut roots = RootCertStore::empty();
    let mut unusable = Vec::new();
    for (index, der) in pem::certificates(part, bundle)?.into_iter().enumerate() {
        if let Ok((_, certificate)) = X509Certificate::from_der(&der) {
            let KeyAlgorithm { name, verifies, .. } = KeyAlgorithm::of(&certificate);
            if !verifies {
                unusable.push(TlsWarning::UnusableCa {
                    part: part.clone(),
                    number: index + 1,
                    algorithm: name,
                });
            }
        }
        roots.add(der).map_err(|_| not_x509(part, index))?;
    }
    match unusable.first() {
        Some(TlsWarning::UnusableCa { algorithm, .. }) if unusable.len() == roots.len() => {
            Err(TlsError::NoUsableCa {
                part: part.clone(),
                algorithm: algorithm.clone(),
            })
        }
        _ => Ok((roots, unusable)),
    }
}

fn not_x509(part: &PemPart, index: usize) -> TlsError {
    TlsError::BadCertificate {
        part: part.clone(),
        number: index + 1,
        cause: "it is not X.509".to_owned(),
    }
}

/// A time before 1970 becomes 1970: both are long past.
fn system_time(unix: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(unix).unwrap_or(0))
}

//! The Secret in berth's own terms: read part by part, each checked against the others, and written.
//!
//! Reading never fails on what berth itself would write there, only on a Secret that is not
//! berth's. A part that is missing or damaged is left out and named as a [`Defect`].

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;
use strum::AsRefStr;

use super::state::{Issuer, Leaf, State, Trusted};
use super::time;
use super::x509::{Authority, Key, LeafCertificate, certificates};

/// The label that makes a Secret berth's own.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "berth");

/// The type of the Secret: `kubernetes.io/tls` is what other managers write.
pub const TYPE: &str = "Opaque";

/// What other managers of certificates mark their Secrets and webhook configurations with.
pub(super) const CERT_MANAGER: &str = "cert-manager.io/";

/// A key of the Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The bundle of CAs that is to be trusted.
    Bundle,
    /// The private key of the CA that signs.
    SignerKey,
    /// The private key of the CA that will sign once everyone trusts it.
    NextKey,
    /// For each CA of the bundle, until when a leaf of it may be valid.
    Horizon,
    /// The leaf.
    Leaf,
    /// The private key of the leaf.
    LeafKey,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Bundle,
        Self::SignerKey,
        Self::NextKey,
        Self::Horizon,
        Self::Leaf,
        Self::LeafKey,
    ];

    /// The key in the Secret.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bundle => "ca.crt",
            Self::SignerKey => "ca.key",
            Self::NextKey => "ca-next.key",
            Self::Horizon => "ca-horizon.json",
            Self::Leaf => "tls.crt",
            Self::LeafKey => "tls.key",
        }
    }
}

/// Something in the Secret that is not as berth left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, AsRefStr)]
#[strum(serialize_all = "snake_case")]
pub enum Defect {
    /// A part is not there, while others are.
    Missing(Part),
    /// A part can't be read.
    Unreadable(Part),
    /// A part is good by itself and belongs to another CA or leaf.
    Stranger(Part),
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(part) => write!(f, "{} is missing", part.name()),
            Self::Unreadable(part) => write!(f, "{} can't be read", part.name()),
            Self::Stranger(Part::Leaf) => f.write_str("tls.crt is signed by no ca of ca.crt"),
            Self::Stranger(Part::LeafKey) => f.write_str("tls.key is not the key of tls.crt"),
            Self::Stranger(part) => write!(f, "{} is the key of no ca in ca.crt", part.name()),
        }
    }
}

/// Why a Secret is not berth's to write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// It lacks the label.
    #[error("it has no label {label}: {value}", label = MANAGED_BY.0, value = MANAGED_BY.1)]
    Unlabelled,
    /// The label has another name in it.
    #[error("its label {label} is {0:?}, not {value:?}", label = MANAGED_BY.0, value = MANAGED_BY.1)]
    Label(String),
    /// It is of another type.
    #[error("its type is {0}, not {TYPE}")]
    Type(String),
    /// cert-manager writes it.
    #[error("it has the annotation {0}")]
    CertManager(String),
}

/// A Secret as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What is good in it.
    pub state: State,
    /// What is not.
    pub defects: Vec<Defect>,
    /// Whether the Secret is immutable.
    pub immutable: bool,
}

/// Reads a Secret that is berth's.
pub fn read(secret: &Secret) -> Result<Found, Foreign> {
    check_owner(secret)?;
    let empty = BTreeMap::new();
    let data = secret.data.as_ref().unwrap_or(&empty);
    let immutable = secret.immutable == Some(true);
    if !Part::ALL.iter().any(|part| data.contains_key(part.name())) {
        return Ok(Found {
            immutable,
            ..Found::default()
        });
    }
    let mut defects = Vec::new();
    let mut reader = Reader {
        data,
        defects: &mut defects,
    };
    let authorities = reader.bundle();
    let [has_signer, has_next] =
        [Part::SignerKey, Part::NextKey].map(|part| data.contains_key(part.name()));
    // One of them is enough: without a signer the next CA is on its way.
    let signer = (has_signer || !has_next)
        .then(|| reader.issuer(Part::SignerKey, &authorities))
        .flatten();
    let next = has_next
        .then(|| reader.issuer(Part::NextKey, &authorities))
        .flatten();
    let next = next.filter(|next| signer.as_ref().is_none_or(|signer| signer.id != next.id));
    let leaf = reader.leaf(&authorities);
    let bundle = reader.horizon(authorities, leaf.as_ref());
    let state = State {
        bundle,
        signer,
        next,
        leaf,
    };
    Ok(Found {
        state,
        defects,
        immutable,
    })
}

fn check_owner(secret: &Secret) -> Result<(), Foreign> {
    let ObjectMeta {
        labels,
        annotations,
        ..
    } = &secret.metadata;
    let mut annotations = annotations.iter().flatten().map(|(key, _)| key);
    if let Some(key) = annotations.find(|key| key.starts_with(CERT_MANAGER)) {
        return Err(Foreign::CertManager(key.clone()));
    }
    let (label, value) = MANAGED_BY;
    match labels.iter().flatten().find(|(key, _)| *key == label) {
        None => return Err(Foreign::Unlabelled),
        Some((_, found)) if found != value => return Err(Foreign::Label(found.clone())),
        Some(_) => {}
    }
    match secret.type_.as_deref() {
        None | Some("" | TYPE) => Ok(()),
        Some(other) => Err(Foreign::Type(other.to_owned())),
    }
}

struct Reader<'a> {
    data: &'a BTreeMap<String, ByteString>,
    defects: &'a mut Vec<Defect>,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, part: Part) -> Option<&'a [u8]> {
        let bytes = self.data.get(part.name());
        if bytes.is_none() {
            self.defects.push(Defect::Missing(part));
        }
        bytes.map(|bytes| bytes.0.as_slice())
    }

    fn found<T>(&mut self, part: Part, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.defects.push(Defect::Unreadable(part));
        }
        value
    }

    /// All CAs that can be read; one that stands there twice counts once.
    fn bundle(&mut self) -> Vec<Authority> {
        let Some(pem) = self.bytes(Part::Bundle) else {
            return Vec::new();
        };
        let (found, mut damaged) = certificates(pem);
        let mut authorities: Vec<Authority> = Vec::new();
        for der in found {
            match Authority::read(&der) {
                Some(authority) if authorities.contains(&authority) => {}
                Some(authority) => authorities.push(authority),
                None => damaged = true,
            }
        }
        if damaged || authorities.is_empty() {
            self.defects.push(Defect::Unreadable(Part::Bundle));
        }
        authorities
    }

    fn issuer(&mut self, part: Part, authorities: &[Authority]) -> Option<Issuer> {
        let pem = self.bytes(part)?;
        let key = self.found(part, Key::read(pem))?;
        let Some(authority) = authorities.iter().find(|ca| ca.spki == key.spki) else {
            self.defects.push(Defect::Stranger(part));
            return None;
        };
        Some(Issuer {
            id: authority.id.clone(),
            key,
        })
    }

    fn leaf(&mut self, authorities: &[Authority]) -> Option<Leaf> {
        let certificate = self.bytes(Part::Leaf);
        let key = self.bytes(Part::LeafKey);
        let certificate = self.found(Part::Leaf, {
            let (found, _) = certificates(certificate?);
            found.first().and_then(|der| LeafCertificate::read(der))
        })?;
        let key = self.found(Part::LeafKey, Key::read(key?))?;
        if key.spki != certificate.spki {
            self.defects.push(Defect::Stranger(Part::LeafKey));
            return None;
        }
        let Some(issuer) = authorities.iter().find(|ca| certificate.is_signed_by(ca)) else {
            self.defects.push(Defect::Stranger(Part::Leaf));
            return None;
        };
        Some(Leaf {
            issuer: issuer.id.clone(),
            certificate,
            key,
        })
    }

    /// A CA of which nothing is known may have signed leaves as long as itself.
    fn horizon(&mut self, authorities: Vec<Authority>, leaf: Option<&Leaf>) -> Vec<Trusted> {
        let known = self.bytes(Part::Horizon).and_then(|text| {
            let known = serde_json::from_slice::<BTreeMap<String, Value>>(text);
            self.found(Part::Horizon, known.ok())
        });
        let trusted = authorities.into_iter().map(|authority| {
            let until = known
                .as_ref()
                .and_then(|known| known.get(authority.id.serial()))
                .and_then(Value::as_u64)
                .and_then(time::from_unix)
                .unwrap_or(authority.validity.not_after);
            let last = leaf
                .filter(|leaf| leaf.issuer == authority.id)
                .map_or(until, |leaf| leaf.certificate.validity.not_after);
            Trusted {
                leaves_until: until.max(last),
                authority,
            }
        });
        trusted.collect()
    }
}

/// The Secret that holds `state`: `onto` with berth's own parts replaced, or a new one.
#[must_use]
pub fn write(state: &State, onto: Option<&Secret>, namespace: &str, name: &str) -> Secret {
    let mut secret = onto.cloned().unwrap_or_else(|| fresh(namespace, name));
    let data = secret.data.get_or_insert_default();
    for part in Part::ALL {
        match bytes(state, part) {
            Some(bytes) => data.insert(part.name().to_owned(), ByteString(bytes)),
            None => data.remove(part.name()),
        };
    }
    secret
}

fn fresh(namespace: &str, name: &str) -> Secret {
    let (label, value) = MANAGED_BY;
    Secret {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            labels: Some([(label.to_owned(), value.to_owned())].into()),
            ..ObjectMeta::default()
        },
        type_: Some(TYPE.to_owned()),
        ..Secret::default()
    }
}

fn bytes(state: &State, part: Part) -> Option<Vec<u8>> {
    let State {
        bundle,
        signer,
        next,
        leaf,
    } = state;
    let text = match part {
        Part::Bundle => bundle
            .iter()
            .map(|trusted| trusted.authority.id.pem())
            .collect(),
        Part::Horizon => {
            let known = bundle
                .iter()
                .map(|ca| (ca.authority.id.serial(), time::unix(ca.leaves_until)));
            known.collect::<Value>().to_string()
        }
        Part::SignerKey => signer.as_ref()?.key.pem().to_owned(),
        Part::NextKey => next.as_ref()?.key.pem().to_owned(),
        Part::Leaf => leaf.as_ref()?.certificate.id.pem(),
        Part::LeafKey => leaf.as_ref()?.key.pem().to_owned(),
    };
    Some(text.into_bytes())
}

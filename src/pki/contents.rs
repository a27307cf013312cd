//! The Secret in berth's own terms: read part by part, each checked against the others, and written.
//!
//! Reading never fails on what berth itself would write there, only on a Secret that is not
//! berth's. A part that is missing or damaged is left out and named as a [`Defect`].

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::time;
use super::x509::{Authority, Id, Key, LeafCertificate, certificates};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// A part is not there, while others are.
    Missing(Part),
    /// A part can't be read.
    Unreadable(Part),
    /// A part is good by itself and belongs to another CA or leaf.
    Stranger(Part),
}

impl Defect {
    /// The name in metric labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Unreadable(_) => "unreadable",
            Self::Stranger(_) => "stranger",
        }
    }
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It lacks the label, or has another's name in it.
    Label(Option<String>),
    /// It is of another type.
    Type(String),
    /// cert-manager writes it.
    CertManager(String),
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, value) = MANAGED_BY;
        match self {
            Self::Label(None) => write!(f, "it has no label {label}: {value}"),
            Self::Label(Some(other)) => write!(f, "its label {label} is {other:?}, not {value:?}"),
            Self::Type(other) => write!(f, "its type is {other}, not {TYPE}"),
            Self::CertManager(annotation) => write!(f, "it has the annotation {annotation}"),
        }
    }
}

/// What the Secret holds, each part checked against the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The CAs that are to be trusted.
    pub bundle: Vec<Trusted>,
    /// The CA that signs; it is in the bundle.
    pub signer: Option<Issuer>,
    /// The CA that is to sign once everyone trusts it; it is in the bundle.
    pub next: Option<Issuer>,
    /// The leaf, signed by a CA of the bundle.
    pub leaf: Option<Leaf>,
}

/// A CA of the bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// The CA.
    pub authority: Authority,
    /// The end of the last leaf that it signed; for one that signed none, its making.
    pub leaves_until: SystemTime,
}

/// A CA that can sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its certificate in the bundle.
    pub id: Id,
    /// Its private key.
    pub key: Key,
}

/// The leaf and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate.
    pub certificate: LeafCertificate,
    /// Its private key.
    pub key: Key,
    /// The CA that signed it.
    pub issuer: Id,
}

impl State {
    /// A CA of the bundle.
    #[must_use]
    pub fn trusted(&self, id: &Id) -> Option<&Trusted> {
        self.bundle
            .iter()
            .find(|trusted| trusted.authority.id == *id)
    }

    /// The CA that an issuer is.
    #[must_use]
    pub fn authority(&self, issuer: &Issuer) -> Option<&Authority> {
        self.trusted(&issuer.id).map(|trusted| &trusted.authority)
    }

    /// The state with what it lacks put back from what was known before.
    ///
    /// Only a CA or a leaf that is gone is put back: one that is there has come later.
    #[must_use]
    pub fn or(mut self, known: &Self) -> Self {
        let (lost_signer, lost_leaf) = (self.signer.is_none(), self.leaf.is_none());
        if !lost_signer && !lost_leaf {
            return self;
        }
        for trusted in &known.bundle {
            match self
                .bundle
                .iter_mut()
                .find(|own| own.authority.id == trusted.authority.id)
            {
                Some(own) => own.leaves_until = own.leaves_until.max(trusted.leaves_until),
                None => self.bundle.push(trusted.clone()),
            }
        }
        if lost_signer {
            self.signer.clone_from(&known.signer);
            self.next = self.next.or_else(|| known.next.clone());
        }
        if self.next.as_ref().map(|next| &next.id) == self.signer.as_ref().map(|ca| &ca.id) {
            self.next = None;
        }
        if lost_leaf {
            self.leaf.clone_from(&known.leaf);
        }
        self
    }
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
    let (label, value) = MANAGED_BY;
    let annotations = secret.metadata.annotations.iter().flatten();
    for (key, _) in annotations {
        if key.starts_with(CERT_MANAGER) {
            return Err(Foreign::CertManager(key.clone()));
        }
    }
    let found = secret
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get(label));
    if found.is_none_or(|found| found != value) {
        return Err(Foreign::Label(found.cloned()));
    }
    match secret.type_.as_deref() {
        None | Some("" | TYPE) => {}
        Some(other) => return Err(Foreign::Type(other.to_owned())),
    }
    Ok(())
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
            let known = match serde_json::from_slice::<Value>(text) {
                Ok(Value::Object(map)) => Some(map),
                _ => None,
            };
            self.found(Part::Horizon, known)
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
            let known: serde_json::Map<String, Value> = bundle
                .iter()
                .map(
                    |Trusted {
                         authority,
                         leaves_until,
                     }| {
                        let until = Value::from(time::unix(*leaves_until));
                        (authority.id.serial().to_owned(), until)
                    },
                )
                .collect();
            Value::Object(known).to_string()
        }
        Part::SignerKey => signer.as_ref()?.key.pem().to_owned(),
        Part::NextKey => next.as_ref()?.key.pem().to_owned(),
        Part::Leaf => leaf.as_ref()?.certificate.id.pem(),
        Part::LeafKey => leaf.as_ref()?.key.pem().to_owned(),
    };
    Some(text.into_bytes())
}

//! What berth knows of its CAs and its leaf.

use std::time::SystemTime;

use super::x509::{Authority, Id, Key, LeafCertificate};
use crate::tls::PemPair;

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

/// As PEM, for the TLS layer.
impl From<&Leaf> for PemPair {
    fn from(leaf: &Leaf) -> Self {
        Self {
            cert: leaf.certificate.id.pem().into_bytes(),
            key: leaf.key.pem().as_bytes().to_vec(),
        }
    }
}

impl State {
    /// A CA of the bundle.
    #[must_use]
    pub fn trusted(&self, id: &Id) -> Option<&Trusted> {
        self.bundle
            .iter()
            .find(|trusted| trusted.authority.id == *id)
    }

    /// The CA that signs.
    #[must_use]
    pub fn signing_ca(&self) -> Option<&Authority> {
        self.ca(self.signer.as_ref()?)
    }

    /// The CA that is to sign next.
    #[must_use]
    pub fn next_ca(&self) -> Option<&Authority> {
        self.ca(self.next.as_ref()?)
    }

    fn ca(&self, issuer: &Issuer) -> Option<&Authority> {
        self.trusted(&issuer.id).map(|trusted| &trusted.authority)
    }

    /// Trusts a CA at least until its leaves end.
    pub(super) fn trust(&mut self, authority: &Authority, leaves_until: SystemTime) {
        let mut bundle = self.bundle.iter_mut();
        match bundle.find(|trusted| trusted.authority.id == authority.id) {
            Some(known) => known.leaves_until = known.leaves_until.max(leaves_until),
            None => self.bundle.push(Trusted {
                authority: authority.clone(),
                leaves_until,
            }),
        }
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
            self.trust(&trusted.authority, trusted.leaves_until);
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

//! The Secret with berth's certificate, and the webhook configurations that trust it. `pki` says what a good
//! Secret is, and when something in it is to be changed.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Secret;

use super::line::{Asked, Line, answered};
use crate::decide::requirements::Requirement;
use crate::pki::bundle::{Configuration, ConfigurationId, wanted};
use crate::pki::contents::{self, Foreign, Part};
use crate::pki::decide::{Action, CertificatePolicy, Facts, Published, decide};
use crate::pki::state::State;
use crate::pki::x509::{Authority, Id, LeafCertificate, Validity, certificates};
use crate::pki::{BACKDATE, Names, Now};
use crate::tls::utc;

/// How long a change of the Secret may be due before somebody should look.
const GRACE: Duration = BACKDATE;

/// What was read of the certificates.
#[derive(Debug)]
pub(super) struct Certificates {
    /// The Secret, if it is there.
    pub(super) secret: Asked<Option<Secret>>,
    /// Its `namespace/name`.
    pub(super) name: String,
    /// The webhook configurations that are there, or why they could not be read.
    pub(super) configurations: Vec<(ConfigurationId, Asked<Option<Configuration>>)>,
    /// The names of the Service.
    pub(super) names: Names,
    /// What time it is.
    pub(super) now: Now,
}

/// A certificate that is served, and the CAs that are to be trusted.
struct Held {
    leaf: LeafCertificate,
    cas: Vec<Authority>,
    trusted: Vec<Id>,
}

impl Certificates {
    /// Everything that is found of them.
    pub(super) fn judge(&self) -> Vec<Line> {
        let secret = match answered(&self.secret, Requirement::SecretNotFound) {
            Ok(Some(secret)) => secret,
            Ok(None) => return vec![Line::unmet(Requirement::SecretNotFound, &self.name)],
            Err(line) => return vec![line],
        };
        let mut lines = vec![Line::met(Requirement::SecretNotFound, &self.name)];
        let (held, overdue) = match self.held(secret) {
            Ok(held) => held,
            Err(why) => {
                lines.push(Line::unmet(Requirement::SecretDamaged, &why));
                return lines;
            }
        };
        lines.push(Line::met(Requirement::SecretDamaged, ""));
        lines.extend(self.validity(&held, overdue));
        let missing: Vec<String> = self
            .names
            .difference(&held.leaf.names)
            .map(ToString::to_string)
            .collect();
        lines.push(Line::of(
            missing.is_empty(),
            Requirement::CertificateNames,
            &missing.join(", "),
        ));
        lines.extend(self.trust(&held.trusted));
        lines
    }

    /// What the Secret holds, and what should have been changed in it by now.
    fn held(&self, secret: &Secret) -> Result<(Held, Option<String>), String> {
        let found = match contents::read(secret) {
            Ok(found) => found,
            Err(Foreign::CertManager(_) | Foreign::Type(_)) => return self.held_by_another(secret),
            Err(foreign) => return Err(format!("{}: {foreign}", self.name)),
        };
        if let Some(defect) = found.defects.first() {
            return Err(format!("{}: {defect}", self.name));
        }
        let Some(leaf) = &found.state.leaf else {
            return Err(format!("{} is empty: berth has not filled it", self.name));
        };
        let cas = found.state.bundle.iter();
        let held = Held {
            leaf: leaf.certificate.clone(),
            cas: cas.map(|trusted| trusted.authority.clone()).collect(),
            trusted: wanted(&found.state),
        };
        let overdue = self.overdue(&found.state, leaf.certificate.validity);
        Ok((held, overdue))
    }

    /// The same of a Secret that cert-manager or another manager writes, whose CAs sign no more than this.
    fn held_by_another(&self, secret: &Secret) -> Result<(Held, Option<String>), String> {
        let part = |part: Part| {
            let data = secret.data.as_ref().and_then(|data| data.get(part.name()));
            let found = data.map(|data| certificates(&data.0).0);
            found
                .filter(|found| !found.is_empty())
                .ok_or_else(|| format!("{}: {} holds no certificate", self.name, part.name()))
        };
        let (leaves, bundle) = (part(Part::Leaf)?, part(Part::Bundle)?);
        let leaf = leaves.first().and_then(|der| LeafCertificate::read(der));
        let cas: Vec<Authority> = bundle
            .iter()
            .filter_map(|der| Authority::read(der))
            .collect();
        let unreadable = || format!("{}: tls.crt can't be read", self.name);
        let leaf = leaf.ok_or_else(unreadable)?;
        let validity = leaf.validity;
        let held = Held {
            leaf,
            trusted: cas.iter().map(|ca| ca.id.clone()).collect(),
            cas,
        };
        // cert-manager renews after two thirds, or when its Certificate says.
        let life = validity.life();
        let late = validity.not_after.checked_sub(life / 20);
        let overdue = late.is_some_and(|late| late <= self.now.at);
        Ok((held, overdue.then(|| until(validity))))
    }

    /// What a replica should have done to the Secret by now.
    fn overdue(&self, state: &State, leaf: Validity) -> Option<String> {
        let ca = state.signing_ca().map_or(leaf, |ca| ca.validity);
        let policy = CertificatePolicy {
            names: self.names.clone(),
            leaf_lifetime: leaf.life(),
            ca_lifetime: ca.life(),
            jitter: 1.0,
        };
        let configurations = self.there();
        let trusts = configurations.filter_map(Configuration::trusts);
        let everywhere = trusts.reduce(|all, own| &all & &own);
        let published = everywhere.map_or(Published::Everything, Published::These);
        let due_by = self.now.at.checked_sub(GRACE).unwrap_or(self.now.at);
        let facts = Facts {
            state,
            defects: &[],
            restored: false,
            published: &published,
            serving: None,
            // Not before both were made: the clock of a replica may be ahead of the API server's.
            now: Now {
                at: due_by.max(leaf.made()).max(ca.made()),
                ..self.now
            },
        };
        match decide(facts, &policy) {
            Action::Keep { .. } => None,
            Action::Write(changes) => {
                let changes: Vec<String> = changes.iter().map(ToString::to_string).collect();
                Some(format!("a replica should have: {}", changes.join(", ")))
            }
        }
    }

    fn validity(&self, held: &Held, overdue: Option<String>) -> Vec<Line> {
        let now = self.now.at;
        let signer = held.cas.iter().find(|ca| held.leaf.is_signed_by(ca));
        let all = [("the certificate", held.leaf.validity)];
        let ca = signer.map(|ca| ("its CA", ca.validity));
        let wrong = all.into_iter().chain(ca).find_map(|(what, validity)| {
            if validity.is_over(now) {
                Some(format!("{what} ended {}", utc(validity.not_after)))
            } else if validity.is_to_come(now) {
                Some(format!("{what} begins {}", utc(validity.not_before)))
            } else {
                None
            }
        });
        if let Some(wrong) = wrong {
            return vec![Line::unmet(Requirement::CertificateExpired, &wrong)];
        }
        let valid = Line::met(Requirement::CertificateExpired, &until(held.leaf.validity));
        let renewed = match overdue {
            None => Line::met(Requirement::CertificateOverdue, ""),
            Some(what) => Line::unmet(Requirement::CertificateOverdue, &what),
        };
        vec![valid, renewed]
    }

    fn there(&self) -> impl Iterator<Item = &Configuration> {
        let read = self.configurations.iter();
        read.filter_map(|(_, read)| read.as_ref().ok()?.as_ref())
    }

    /// Whether callers trust the CAs. Without a configuration, there are no callers.
    fn trust(&self, wanted: &[Id]) -> Vec<Line> {
        let requirement = Requirement::CaBundleDiffers;
        let mut lines = Vec::new();
        for (id, read) in &self.configurations {
            let configuration = match read {
                Ok(Some(configuration)) => configuration,
                Ok(None) => continue,
                Err(fault) => {
                    lines.push(Line::unknown(requirement, &format!("{id}: {fault}")));
                    continue;
                }
            };
            let Some(trusts) = configuration.trusts() else {
                continue;
            };
            let missing: BTreeSet<&str> = wanted
                .iter()
                .filter(|ca| !trusts.contains(*ca))
                .map(Id::serial)
                .collect();
            if missing.is_empty() {
                continue;
            }
            let missing: Vec<&str> = missing.into_iter().collect();
            let detail = format!(
                "{id} lacks the CA with serial number {}",
                missing.join(", ")
            );
            lines.push(Line::unmet(requirement, &detail));
        }
        if lines.is_empty() && self.there().next().is_some() {
            lines.push(Line::met(requirement, ""));
        }
        lines
    }
}

fn until(validity: Validity) -> String {
    format!("until {}", utc(validity.not_after))
}

/// When something is, for tests and for the time without an API server.
pub(super) fn local() -> Now {
    Now {
        at: SystemTime::now(),
        by: crate::pki::Source::Local,
    }
}

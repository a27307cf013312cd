//! Decides the changes to the Secret, and their reasons, from its state and the time. Pure.
//!
//! The order of a CA rotation keeps every leaf trusted. A new CA is first made and added to the
//! bundle (`next`), then published for [`CertificatePolicy::overlap`], then promoted to sign, and the old CA
//! is retired when its last leaf has expired.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::change::{Change, IssueReason};
use super::contents::Defect;
use super::state::{Leaf, State, Trusted};
use super::time::{between, earlier, later};
use super::x509::{Authority, Id, Validity};
use super::{BACKDATE, Names, Now, SKEW, Source};

/// The most CAs in a bundle; beyond it those whose leaves end first are given up.
const MAX_BUNDLE: usize = 8;

/// The most names in a leaf that keeps those of the one before.
const MAX_NAMES: usize = 64;

/// How certificates are to be.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificatePolicy {
    /// What the leaf is for.
    pub names: Names,
    /// How long a leaf lasts; it is replaced after two thirds of that.
    pub leaf_lifetime: Duration,
    /// How long a CA lasts; its successor is made after two thirds of that.
    pub ca_lifetime: Duration,
    /// From 0 to 1, another for each replica: how late it is with what all of them do, so that one
    /// of them usually does it.
    pub jitter: f64,
}

impl CertificatePolicy {
    /// How long a new CA is published before it signs: half of what remains of the old one, as
    /// kube-scheduler reads the extender's CA only when it starts.
    #[must_use]
    pub fn overlap(&self) -> Duration {
        self.ca_lifetime / 6
    }

    /// When a CA that was made as the next one begins to sign.
    pub(super) fn signs_from(&self, next: &Authority) -> SystemTime {
        later(next.validity.made(), self.overlap())
    }

    /// When something of this validity is to be replaced.
    ///
    /// A lifetime that was configured to be shorter holds for what is there already.
    fn due(&self, validity: Validity, lifetime: Duration) -> SystemTime {
        let life = validity.life().min(lifetime);
        let late = (life / 30).mul_f64(self.jitter.clamp(0.0, 1.0));
        later(validity.made(), life / 3 * 2 + late)
    }
}

/// All that a decision is made on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What the Secret holds, or what is known to have been there.
    pub state: &'a State,
    /// What in the Secret is not as berth left it.
    pub defects: &'a [Defect],
    /// Whether `state` has more than the Secret.
    pub restored: bool,
    /// The CAs that every webhook configuration has trusted for a while.
    pub published: &'a Published,
    /// What this replica serves.
    pub serving: Option<&'a Serving>,
    /// What time it is.
    pub now: Now,
}

/// The CAs that callers of berth trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// There is no webhook configuration that would have to trust anything.
    Everything,
    /// These.
    These(BTreeSet<Id>),
}

impl Published {
    /// Whether callers trust this CA.
    #[must_use]
    pub fn has(&self, id: &Id) -> bool {
        match self {
            Self::Everything => true,
            Self::These(ids) => ids.contains(id),
        }
    }
}

/// The leaf that a replica serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The leaf.
    pub leaf: Id,
    /// When it is valid.
    pub validity: Validity,
    /// The CA that signed it.
    pub authority: Authority,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing, and something only at this time or when something changes.
    Keep {
        /// When time alone brings a change.
        until: SystemTime,
    },
    /// Changes, to be made in this order and written at once.
    Write(Vec<Change>),
}

/// Decides.
#[must_use]
pub fn decide(facts: Facts<'_>, policy: &CertificatePolicy) -> Action {
    let mut changes: Vec<Change> = Vec::new();
    if facts.restored {
        changes.push(Change::Restore);
    }
    changes.extend(facts.defects.iter().copied().map(Change::Repair));
    changes.extend(trust(facts));

    let leaf = Need::of(facts, policy);
    let signer = facts.state.signing_ca().filter(|ca| usable(ca, facts.now));
    let next = facts.state.next_ca().filter(|ca| usable(ca, facts.now));
    let of_ca = authority(facts, policy, leaf, signer, next);
    changes.extend(of_ca.clone());
    if of_ca.as_ref().is_some_and(Change::replaces_signer) {
        let why = leaf.why().unwrap_or(IssueReason::NewCa);
        changes.push(issue(facts, policy, why));
    } else {
        changes.extend(renewal(facts, policy, leaf, signer));
    }
    // Which CAs retire depends on the one that signs, so a change of that is written first.
    if of_ca.is_none() {
        changes.extend(retired(facts).map(Change::Retire));
    }

    if changes.is_empty() {
        let until = next_change(facts, policy);
        Action::Keep { until }
    } else {
        Action::Write(changes)
    }
}

/// A Secret that was written anew may not know the CA of a leaf that is still served.
fn trust(facts: Facts<'_>) -> Option<Change> {
    let serving = facts.serving?;
    let until = serving.validity.not_after;
    let known = facts.state.trusted(&serving.authority.id);
    let needed = !serving.validity.is_over(earlier(facts.now.at, SKEW));
    (needed && known.is_none_or(|known| known.leaves_until < until))
        .then(|| Change::Trust(serving.authority.clone(), until))
}

/// What the leaf needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Need {
    /// Nothing.
    Nothing,
    /// Another one soon; this one can be served.
    Soon(IssueReason),
    /// Another one: this one can't be served.
    Now(IssueReason),
}

impl Need {
    fn of(facts: Facts<'_>, policy: &CertificatePolicy) -> Self {
        let now = facts.now;
        let Some(leaf) = &facts.state.leaf else {
            let why = if is_empty(facts) {
                IssueReason::First
            } else {
                IssueReason::Lost
            };
            return Self::Now(why);
        };
        let validity = leaf.certificate.validity;
        if validity.is_over(now.at) {
            Self::Now(IssueReason::Expired)
        } else if validity.is_to_come(now.at) {
            from_the_future(now)
        } else if !policy.names.is_subset(&leaf.certificate.names) {
            Self::Soon(IssueReason::Names)
        } else if policy.due(validity, policy.leaf_lifetime) <= now.at {
            Self::Soon(IssueReason::Renewal)
        } else {
            Self::Nothing
        }
    }

    fn why(self) -> Option<IssueReason> {
        match self {
            Self::Nothing => None,
            Self::Soon(why) | Self::Now(why) => Some(why),
        }
    }
}

/// Without the API server's time it is unknown which clock is wrong, and two replicas that both act would
/// replace each other's work. The API server's time is the same for all replicas.
fn from_the_future(now: Now) -> Need {
    match now.by {
        Source::ApiServer => Need::Now(IssueReason::FromTheFuture),
        Source::Local => Need::Nothing,
    }
}

/// Whether a CA can sign now.
fn usable(ca: &Authority, now: Now) -> bool {
    let is_to_come = ca.validity.is_to_come(now.at) && now.by == Source::ApiServer;
    !ca.validity.is_over(now.at) && !is_to_come
}

/// What is to happen to the CAs.
fn authority(
    facts: Facts<'_>,
    policy: &CertificatePolicy,
    leaf: Need,
    signer: Option<&Authority>,
    next: Option<&Authority>,
) -> Option<Change> {
    let now = facts.now.at;
    match (signer, next) {
        (Some(signer), None) => {
            let due = policy.due(signer.validity, policy.ca_lifetime) <= now;
            due.then_some(Change::MakeNext(IssueReason::Renewal))
        }
        (Some(signer), Some(next)) => {
            let spent = between(now, signer.validity.not_after) < policy.leaf_lifetime;
            let ready = policy.signs_from(next) <= now || (spent && leaf != Need::Nothing);
            (ready && facts.published.has(&next.id))
                .then_some(Change::Promote(IssueReason::Renewal))
        }
        // The key of the signing CA is gone. The leaf that it signed is served meanwhile.
        (None, Some(next)) => {
            let ready = policy.signs_from(next) <= now || leaf != Need::Nothing;
            let trusted = facts.published.has(&next.id);
            ((ready && trusted) || matches!(leaf, Need::Now(_)))
                .then_some(Change::Promote(lost(facts)))
        }
        (None, None) => Some(match leaf {
            Need::Now(_) => Change::MakeSigner(lost(facts)),
            Need::Nothing | Need::Soon(_) => Change::MakeNext(lost(facts)),
        }),
    }
}

/// Why there is no CA that signs.
fn lost(facts: Facts<'_>) -> IssueReason {
    match facts.state.signing_ca() {
        Some(ca) if ca.validity.is_over(facts.now.at) => IssueReason::Expired,
        Some(_) => IssueReason::FromTheFuture,
        None if is_empty(facts) => IssueReason::First,
        None => IssueReason::Lost,
    }
}

/// Whether nothing was ever issued.
fn is_empty(facts: Facts<'_>) -> bool {
    facts.state.bundle.is_empty() && facts.defects.is_empty()
}

/// Another leaf of the CA that signs, unless both would end with that CA.
fn renewal(
    facts: Facts<'_>,
    policy: &CertificatePolicy,
    leaf: Need,
    signer: Option<&Authority>,
) -> Option<Change> {
    let why = leaf.why()?;
    let end = signer?.validity.not_after;
    let ends_with_ca = |leaf: &Leaf| leaf.certificate.validity.not_after == end;
    let in_vain = leaf == Need::Soon(IssueReason::Renewal)
        && end <= later(facts.now.at, policy.leaf_lifetime)
        && facts.state.leaf.as_ref().is_some_and(ends_with_ca);
    (!in_vain).then(|| issue(facts, policy, why))
}

/// A leaf that is replaced before its time keeps its names: while a change of the configuration is
/// being rolled out, replicas with the old and the new names would else take turns.
fn issue(facts: Facts<'_>, policy: &CertificatePolicy, why: IssueReason) -> Change {
    let mut names = policy.names.clone();
    if let (IssueReason::Names, Some(leaf)) = (why, &facts.state.leaf)
        && names.len() + leaf.certificate.names.len() <= MAX_NAMES
    {
        names.extend(leaf.certificate.names.iter().cloned());
    }
    Change::IssueLeaf(why, names)
}

/// The CAs of which no leaf can be valid any more, and what is over the most.
fn retired(facts: Facts<'_>) -> impl Iterator<Item = Id> {
    let mut idle: Vec<&Trusted> = facts
        .state
        .bundle
        .iter()
        .filter(|trusted| !in_use(facts, &trusted.authority.id))
        .collect();
    idle.sort_by_key(|trusted| trusted.leaves_until);
    let too_many = facts.state.bundle.len().saturating_sub(MAX_BUNDLE);
    idle.into_iter()
        .enumerate()
        .filter(move |(place, trusted)| {
            *place < too_many || later(trusted.leaves_until, SKEW) < facts.now.at
        })
        .map(|(_, trusted)| trusted.authority.id.clone())
}

fn in_use(facts: Facts<'_>, id: &Id) -> bool {
    let State {
        signer, next, leaf, ..
    } = facts.state;
    let issuers = signer.iter().chain(next);
    issuers.map(|issuer| &issuer.id).any(|own| own == id)
        || leaf.iter().any(|leaf| leaf.issuer == *id)
        || facts.serving.is_some_and(|serving| {
            serving.authority.id == *id && !serving.validity.is_over(earlier(facts.now.at, SKEW))
        })
}

/// When time alone brings a change.
fn next_change(facts: Facts<'_>, policy: &CertificatePolicy) -> SystemTime {
    let Facts { state, now, .. } = facts;
    let mut times = Vec::new();
    if let Some(Leaf { certificate, .. }) = &state.leaf {
        let validity = certificate.validity;
        times.extend([
            policy.due(validity, policy.leaf_lifetime),
            validity.not_after,
        ]);
    }
    if let Some(Authority { validity, .. }) = state.signing_ca() {
        times.extend([
            policy.due(*validity, policy.ca_lifetime),
            validity.not_after,
        ]);
    }
    times.extend(state.next_ca().map(|ca| policy.signs_from(ca)));
    let idle = state
        .bundle
        .iter()
        .filter(|ca| !in_use(facts, &ca.authority.id));
    times.extend(idle.map(|ca| later(later(ca.leaves_until, SKEW), Duration::from_secs(1))));
    times.retain(|time| now.at < *time);
    times
        .into_iter()
        .min()
        .unwrap_or_else(|| later(now.at, BACKDATE))
}

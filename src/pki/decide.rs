//! Decides the changes to the Secret, and their reasons, from its state and the time. Pure.
//!
//! The order of a CA rotation keeps every leaf trusted. A new CA is first made and added to the
//! bundle (`next`), then published for [`Policy::overlap`], then promoted to sign, and the old CA
//! is retired when its last leaf has expired.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, SystemTime};

use super::Names;
use strum::{IntoStaticStr, VariantArray};

use super::contents::{Defect, Issuer, Leaf, State, Trusted};
use super::time::{between, earlier, later};
use super::x509::{Authority, Id, Validity};
use super::{BACKDATE, Now, SKEW, Source};

/// The most CAs in a bundle; beyond it those whose leaves end first are given up.
const MAX_BUNDLE: usize = 8;

/// The most names in a leaf that keeps those of the one before.
const MAX_NAMES: usize = 64;

/// How certificates are to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
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

impl Policy {
    /// How long a new CA is published before it signs: half of what remains of the old one, as
    /// kube-scheduler reads the extender's CA only when it starts.
    #[must_use]
    pub fn overlap(&self) -> Duration {
        self.ca_lifetime / 6
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

/// One change of the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Put back what was there before.
    Restore,
    /// Write it again without what is wrong in it.
    Repair(Defect),
    /// Trust the CA of a leaf that is served.
    Trust(Authority, SystemTime),
    /// Make a CA that signs from now on.
    MakeSigner(IssueReason),
    /// Make a CA that is to be published first.
    MakeNext(IssueReason),
    /// Let the next CA sign.
    Promote(IssueReason),
    /// Sign a leaf for these names.
    IssueLeaf(IssueReason, Names),
    /// Trust a CA no more.
    Retire(Id),
}

/// Why a certificate is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum IssueReason {
    /// There was none.
    First,
    /// Two thirds of its life are over.
    Renewal,
    /// The CA that signs is another one.
    NewCa,
    /// It was lost or damaged.
    Lost,
    /// It is no longer valid.
    Expired,
    /// It begins in the future, which a clock that was off has made.
    FromTheFuture,
    /// It lacks a name that is configured.
    Names,
}

impl IssueReason {
    /// The name in metric labels and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// As a log line says it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore => f.write_str("put back what was lost"),
            Self::Repair(defect) => write!(f, "mended: {defect}"),
            Self::Trust(ca, _) => write!(f, "trusted ca {} of a served leaf", ca.id.serial()),
            Self::MakeSigner(why) => write!(f, "made a ca ({})", why.name()),
            Self::MakeNext(why) => write!(f, "made the next ca ({})", why.name()),
            Self::Promote(why) => write!(f, "let the next ca sign ({})", why.name()),
            Self::IssueLeaf(why, _) => write!(f, "issued a leaf ({})", why.name()),
            Self::Retire(id) => write!(f, "retired ca {}", id.serial()),
        }
    }
}

/// Decides.
#[must_use]
pub fn decide(facts: Facts<'_>, policy: &Policy) -> Action {
    let mut changes: Vec<Change> = Vec::new();
    if facts.restored {
        changes.push(Change::Restore);
    }
    changes.extend(facts.defects.iter().copied().map(Change::Repair));
    changes.extend(trust(facts));

    let leaf = Need::of(facts, policy);
    let signer = usable(facts, facts.state.signer.as_ref());
    let next = usable(facts, facts.state.next.as_ref());
    match authority(facts, policy, leaf, signer, next) {
        Some(change) => {
            let issues = matches!(change, Change::MakeSigner(_) | Change::Promote(_));
            changes.push(change);
            if issues {
                let why = leaf.why().unwrap_or(IssueReason::NewCa);
                changes.push(issue(facts, policy, why));
            } else {
                changes.extend(renewal(facts, policy, leaf, signer));
            }
        }
        None => changes.extend(renewal(facts, policy, leaf, signer)),
    }
    // Which CAs retire depends on the one that signs, so a change of that is written first.
    if !changes.iter().any(changes_signer) {
        changes.extend(retired(facts).map(Change::Retire));
    }

    if changes.is_empty() {
        let until = next_change(facts, policy);
        Action::Keep { until }
    } else {
        Action::Write(changes)
    }
}

fn changes_signer(change: &Change) -> bool {
    matches!(
        change,
        Change::MakeSigner(_) | Change::MakeNext(_) | Change::Promote(_)
    )
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
    fn of(facts: Facts<'_>, policy: &Policy) -> Self {
        let now = facts.now;
        let Some(leaf) = &facts.state.leaf else {
            let first = facts.state.bundle.is_empty() && facts.defects.is_empty();
            return Self::Now(if first {
                IssueReason::First
            } else {
                IssueReason::Lost
            });
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

/// A CA that can sign now.
fn usable<'a>(facts: Facts<'a>, issuer: Option<&'a Issuer>) -> Option<&'a Authority> {
    let authority = facts.state.authority(issuer?)?;
    let validity = authority.validity;
    let over = validity.is_over(facts.now.at);
    let to_come = validity.is_to_come(facts.now.at) && facts.now.by == Source::ApiServer;
    (!over && !to_come).then_some(authority)
}

/// What is to happen to the CAs.
fn authority(
    facts: Facts<'_>,
    policy: &Policy,
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
            let ready = overlapped(policy, next, now) || (spent && leaf != Need::Nothing);
            (ready && facts.published.has(&next.id))
                .then_some(Change::Promote(IssueReason::Renewal))
        }
        // Its key is gone. The leaf that it signed goes on meanwhile.
        (None, Some(next)) => {
            let ready = overlapped(policy, next, now) || leaf != Need::Nothing;
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
    let State { bundle, signer, .. } = facts.state;
    let signer = signer.as_ref().and_then(|ca| facts.state.authority(ca));
    match signer {
        Some(ca) if ca.validity.is_over(facts.now.at) => IssueReason::Expired,
        Some(_) => IssueReason::FromTheFuture,
        None if bundle.is_empty() && facts.defects.is_empty() => IssueReason::First,
        None => IssueReason::Lost,
    }
}

fn overlapped(policy: &Policy, next: &Authority, now: SystemTime) -> bool {
    later(next.validity.made(), policy.overlap()) <= now
}

/// Another leaf of the CA that signs, unless both would end with that CA.
fn renewal(
    facts: Facts<'_>,
    policy: &Policy,
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
fn issue(facts: Facts<'_>, policy: &Policy, why: IssueReason) -> Change {
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
fn next_change(facts: Facts<'_>, policy: &Policy) -> SystemTime {
    let now = facts.now.at;
    let State {
        bundle,
        signer,
        next,
        leaf,
    } = facts.state;
    let leaf = leaf.iter().flat_map(|leaf| {
        let validity = leaf.certificate.validity;
        let due = policy.due(validity, policy.leaf_lifetime);
        [due, validity.not_after]
    });
    let signer = signer
        .iter()
        .filter_map(|signer| facts.state.authority(signer));
    let signer = signer.flat_map(|signer| {
        let due = policy.due(signer.validity, policy.ca_lifetime);
        [due, signer.validity.not_after]
    });
    let next = next.iter().filter_map(|next| facts.state.authority(next));
    let next = next.map(|next| later(next.validity.made(), policy.overlap()));
    let idle = bundle
        .iter()
        .filter(|trusted| !in_use(facts, &trusted.authority.id))
        .map(|trusted| later(later(trusted.leaves_until, SKEW), Duration::from_secs(1)));
    leaf.chain(signer)
        .chain(next)
        .chain(idle)
        .filter(|time| now < *time)
        .min()
        .unwrap_or_else(|| later(now, BACKDATE))
}

//! A replica's rounds, without I/O: each step says what to ask of the API server, and takes the
//! answer.
//!
//! A round reads the webhook configurations first and the Secret after them. A CA stands in the
//! Secret before it stands in a configuration, so what is read in this order knows every CA that
//! another replica has published, and a patch that holds for the version that was read never takes
//! one away.

use std::time::SystemTime;

use json_patch::Patch;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;

use super::Now;
use super::bundle::{Seen, Sightings, wanted};
use super::contents::{self, Leaf, State};
use super::decide::{Action, Change, Facts, Policy, Serving, decide};
use super::error::{Object, PkiError};
use super::event::Publication;
use super::issue::{self, IssueError};
use super::time::{later, utc};
use super::x509::{Id, Validity};

/// How often a round begins again because another replica was faster.
const MAX_ATTEMPTS: u32 = 8;

/// What is to be done outside.
#[derive(Debug)]
pub enum Effect {
    /// Read a webhook configuration.
    ReadConfiguration(String),
    /// Read the Secret.
    ReadSecret,
    /// Make the Secret.
    CreateSecret(Box<Secret>),
    /// Replace the Secret, if it is still of its version.
    ReplaceSecret(Box<Secret>),
    /// Patch a webhook configuration.
    PatchConfiguration(String, Patch),
    /// Serve this leaf from now on.
    Serve(Box<Leaf>),
    /// The round is over.
    Rest {
        /// When time alone brings a change.
        until: SystemTime,
    },
}

/// What came of it.
#[derive(Debug)]
pub enum Outcome {
    /// The configuration as it is; `None` if there is none.
    Configuration(Option<Box<MutatingWebhookConfiguration>>),
    /// The Secret as it is; `None` if there is none.
    Secret(Option<Box<Secret>>),
    /// Somebody else was faster.
    Conflict,
    /// It is done.
    Done,
    /// It was not done.
    Failed(PkiError),
}

/// What a replica has to tell of a round.
#[derive(Debug)]
pub enum Report {
    /// The Secret was written with these changes.
    Wrote(Vec<Change>),
    /// A configuration was written.
    Published {
        /// Its name.
        configuration: String,
        /// Why.
        why: Publication,
    },
    /// There is no configuration of this name; said once until there is.
    Absent {
        /// The name.
        configuration: String,
    },
    /// Something went wrong.
    Failed(PkiError),
}

/// A replica.
#[derive(Debug)]
pub struct Replica {
    namespace: String,
    secret: String,
    configurations: Vec<String>,
    policy: Policy,
    /// What the Secret held when it was last seen.
    known: State,
    serving: Option<Serving>,
    sightings: Sightings,
    /// What each configuration was last seen or made to trust.
    published: Vec<Option<Vec<Id>>>,
    /// Which configurations were not there when they were last read.
    absent: Vec<bool>,
    round: Round,
    reports: Vec<Report>,
}

/// What a round knows so far.
#[derive(Debug, Default)]
struct Round {
    attempts: u32,
    seen: Vec<Seen>,
    until: Option<SystemTime>,
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Reading,
    Writing(Box<Written>),
    Publishing(usize),
    Serving(Box<Serving>),
}

/// What is being written.
#[derive(Debug)]
struct Written {
    state: State,
    changes: Vec<Change>,
    /// What goes on if nothing is written.
    instead: Option<State>,
}

/// What a replica manages.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The name of the Secret.
    pub secret: String,
    /// The webhook configurations whose `caBundle` is kept current.
    pub configurations: Vec<String>,
    /// How certificates are to be.
    pub policy: Policy,
}

impl Replica {
    /// A replica that knows nothing yet.
    #[must_use]
    pub fn new(task: Task) -> Self {
        let Task {
            namespace,
            secret,
            configurations,
            policy,
        } = task;
        Self {
            namespace,
            secret,
            published: vec![None; configurations.len()],
            absent: vec![false; configurations.len()],
            configurations,
            policy,
            known: State::default(),
            serving: None,
            sightings: Sightings::default(),
            round: Round::default(),
            reports: Vec::new(),
        }
    }

    /// What this replica serves.
    #[must_use]
    pub fn serving(&self) -> Option<&Serving> {
        self.serving.as_ref()
    }

    /// What the Secret held when it was last seen.
    #[must_use]
    pub fn known(&self) -> &State {
        &self.known
    }

    /// When the next CA begins to sign, where there is one.
    #[must_use]
    pub fn next_signs(&self) -> Option<SystemTime> {
        let next = self.known.authority(self.known.next.as_ref()?)?;
        Some(later(next.validity.made(), self.policy.overlap()))
    }

    /// What there is to tell since the last time.
    pub fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// Begins a round.
    pub fn begin(&mut self) -> Effect {
        self.round = Round::default();
        self.read()
    }

    /// Goes on with what came of the last effect.
    pub fn go_on(&mut self, outcome: Outcome, now: Now) -> Effect {
        match (std::mem::take(&mut self.round.stage), outcome) {
            (Stage::Reading, Outcome::Configuration(configuration)) => {
                self.notice_absence(configuration.is_none());
                self.round.seen.push(Seen::of(configuration.as_deref()));
                self.read()
            }
            (Stage::Reading, Outcome::Secret(secret)) => self.judge(secret.as_deref(), now),
            (Stage::Reading, Outcome::Failed(error)) => {
                self.reports.push(Report::Failed(error));
                if self.round.seen.len() == self.configurations.len() {
                    return self.rest(now);
                }
                self.round.seen.push(Seen::Unknown);
                self.read()
            }
            (Stage::Writing(written), Outcome::Done) => {
                self.reports.push(Report::Wrote(written.changes));
                self.known = written.state;
                self.publish(0, now)
            }
            (Stage::Writing(written), Outcome::Failed(error)) => {
                self.reports.push(Report::Failed(error));
                self.without_writing(written.instead, now)
            }
            (Stage::Publishing(index), Outcome::Configuration(configuration)) => {
                self.published_by_patch(index, &Seen::of(configuration.as_deref()));
                self.publish(index + 1, now)
            }
            (Stage::Publishing(index), Outcome::Failed(error)) => {
                self.reports.push(Report::Failed(error));
                self.round.seen[index] = Seen::Unknown;
                self.publish(index + 1, now)
            }
            (Stage::Writing(_), Outcome::Conflict) => self.again(self.object(), now),
            (Stage::Publishing(index), Outcome::Conflict) => {
                let name = self.configurations[index].clone();
                self.again(Object::Configuration { name }, now)
            }
            (Stage::Serving(serving), Outcome::Done) => {
                self.serving = Some(*serving);
                self.rest(now)
            }
            (Stage::Serving(_), Outcome::Failed(error)) => {
                self.reports.push(Report::Failed(error));
                self.rest(now)
            }
            // No effect has such an outcome.
            (_, _) => self.rest(now),
        }
    }

    /// The configurations one after the other, and the Secret after them.
    fn read(&mut self) -> Effect {
        self.round.stage = Stage::Reading;
        match self.configurations.get(self.round.seen.len()) {
            Some(name) => Effect::ReadConfiguration(name.clone()),
            None => Effect::ReadSecret,
        }
    }

    /// Whether the configuration that was read now is not there.
    fn notice_absence(&mut self, is_absent: bool) {
        let index = self.round.seen.len();
        let was_absent = std::mem::replace(&mut self.absent[index], is_absent);
        if is_absent && !was_absent {
            let configuration = self.configurations[index].clone();
            self.reports.push(Report::Absent { configuration });
        }
    }

    fn judge(&mut self, secret: Option<&Secret>, now: Now) -> Effect {
        let found = match secret.map(contents::read).transpose() {
            Ok(found) => found.unwrap_or_default(),
            Err(why) => {
                let object = self.object();
                self.reports
                    .push(Report::Failed(PkiError::Foreign { object, why }));
                return self.rest(now);
            }
        };
        let state = found.state.clone().or(&self.known);
        self.sightings
            .see(&self.round.seen, &wanted(&state), now.at);
        let facts = Facts {
            state: &state,
            faults: &found.faults,
            restored: state != found.state,
            published: &self.sightings.published(now.at, false),
            serving: self.serving.as_ref(),
            now,
        };
        let action = decide(facts, &self.policy);
        if found.immutable {
            let own = found.state.leaf.map(|leaf| leaf.certificate.validity);
            return self.keep_immutable(state, own, now);
        }
        match action {
            Action::Keep { until } => {
                self.round.until = Some(until);
                self.known = state;
                self.publish(0, now)
            }
            Action::Write(changes) => self.write(secret, state, changes, now),
        }
    }

    /// Goes on with a Secret that can't be written, as long as its leaf can be served.
    fn keep_immutable(&mut self, state: State, own: Option<Validity>, now: Now) -> Effect {
        let object = self.object();
        let error = match own.filter(|validity| !validity.is_over(now.at)) {
            Some(validity) => PkiError::ReadOnly {
                object,
                until: utc(validity.not_after),
            },
            None => PkiError::Immutable { object },
        };
        self.reports.push(Report::Failed(error));
        let state = (!state.bundle.is_empty()).then_some(state);
        self.without_writing(state, now)
    }

    fn write(
        &mut self,
        onto: Option<&Secret>,
        state: State,
        changes: Vec<Change>,
        now: Now,
    ) -> Effect {
        let instead = (!state.bundle.is_empty()).then(|| state.clone());
        let made = issue::carry_out(&changes, state, &self.policy, now.at).and_then(|state| {
            let secret = contents::write(&state, onto, &self.namespace, &self.secret);
            // What can't be read back would be written again and again.
            let good = contents::read(&secret)
                .is_ok_and(|found| found.faults.is_empty() && found.state.leaf == state.leaf);
            good.then_some((state, Box::new(secret)))
                .ok_or(IssueError::Unreadable)
        });
        match made {
            Ok((state, secret)) => {
                self.round.stage = Stage::Writing(Box::new(Written {
                    state,
                    changes,
                    instead,
                }));
                match onto {
                    Some(_) => Effect::ReplaceSecret(secret),
                    None => Effect::CreateSecret(secret),
                }
            }
            Err(cause) => {
                let object = self.object();
                self.reports
                    .push(Report::Failed(PkiError::NotIssued { object, cause }));
                self.without_writing(instead, now)
            }
        }
    }

    /// What was there goes on.
    fn without_writing(&mut self, state: Option<State>, now: Now) -> Effect {
        match state {
            Some(state) => {
                self.known = state;
                self.publish(0, now)
            }
            None => self.rest(now),
        }
    }

    /// Makes the configurations from this one on trust what the Secret has.
    fn publish(&mut self, from: usize, now: Now) -> Effect {
        let wanted = wanted(&self.known);
        for index in from..self.round.seen.len() {
            let configuration = match &self.round.seen[index] {
                Seen::There(configuration) => configuration,
                Seen::Absent | Seen::Unknown => continue,
            };
            let strays = self.sightings.strays(&configuration.name, now.at);
            match configuration.patch(&wanted, &strays) {
                None => self.published[index] = Some(wanted.clone()),
                Some(_) if configuration.contested.is_some() => {
                    let object = Object::Configuration {
                        name: configuration.name.clone(),
                    };
                    let annotation = configuration.contested.clone().unwrap_or_default();
                    let error = PkiError::Contested { object, annotation };
                    self.reports.push(Report::Failed(error));
                }
                Some(patch) => {
                    self.round.stage = Stage::Publishing(index);
                    return Effect::PatchConfiguration(self.configurations[index].clone(), patch);
                }
            }
        }
        self.sightings.see(&self.round.seen, &wanted, now.at);
        self.serve(now)
    }

    fn published_by_patch(&mut self, index: usize, seen: &Seen) {
        self.round.seen[index] = seen.clone();
        if *seen == Seen::Absent {
            return;
        }
        let wanted = wanted(&self.known);
        let before = self.published[index].replace(wanted.clone());
        let why = match before {
            Some(before) if before == wanted => Publication::Repaired,
            _ => Publication::Rotated,
        };
        self.reports.push(Report::Published {
            configuration: self.configurations[index].clone(),
            why,
        });
    }

    /// Serves the Secret's leaf, if whoever calls trusts it.
    fn serve(&mut self, now: Now) -> Effect {
        let serving = self.serving.as_ref();
        let alive = serving.filter(|serving| !serving.validity.is_over(now.at));
        let Some(leaf) = &self.known.leaf else {
            return self.rest(now);
        };
        let id = &leaf.certificate.id;
        let validity = leaf.certificate.validity;
        let served = serving.is_some_and(|serving| serving.leaf == *id);
        let early = alive.is_some() && validity.is_to_come(now.at);
        let same_ca = alive.is_some_and(|serving| serving.authority.id == leaf.issuer);
        let published = self.sightings.published(now.at, alive.is_none());
        let trusted = same_ca || published.has(&leaf.issuer);
        let authority = self.known.trusted(&leaf.issuer);
        match authority {
            Some(ca) if !served && !early && !validity.is_over(now.at) && trusted => {
                self.round.stage = Stage::Serving(Box::new(Serving {
                    leaf: id.clone(),
                    validity,
                    authority: ca.authority.clone(),
                }));
                Effect::Serve(Box::new(leaf.clone()))
            }
            _ => self.rest(now),
        }
    }

    fn again(&mut self, object: Object, now: Now) -> Effect {
        let attempts = self.round.attempts + 1;
        if attempts == MAX_ATTEMPTS {
            self.reports
                .push(Report::Failed(PkiError::Contended { object }));
            return self.rest(now);
        }
        self.round = Round {
            attempts,
            ..Round::default()
        };
        self.read()
    }

    fn rest(&mut self, now: Now) -> Effect {
        // Without a decision the next round makes one.
        let until = self.round.until.unwrap_or(now.at);
        let sighting = self.sightings.next_change(now.at).unwrap_or(until);
        Effect::Rest {
            until: until.min(sighting),
        }
    }

    fn object(&self) -> Object {
        Object::Secret {
            namespace: self.namespace.clone(),
            name: self.secret.clone(),
        }
    }
}

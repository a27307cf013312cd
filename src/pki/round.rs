//! One replica's rounds: what it reads, decides, writes and serves, in that order.
//!
//! A round reads the webhook configurations before the Secret. A CA is written to the Secret before it
//! is published, so a round knows every CA that another replica has published, and a patch that holds
//! for the version that was read never takes one away.

use std::time::SystemTime;

use json_patch::Patch;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::Secret;

use super::Now;
use super::bundle::{ObservedBundles, Seen, wanted};
use super::contents::{self, Leaf, State};
use super::decide::{Action, Change, Facts, Policy, Serving, decide};
use super::error::{Object, PkiError};
use super::event::Publication;
use super::issue::{self, IssueError};
use super::time::{later, utc};
use super::x509::{Id, Validity};

/// How often a round begins again because another client wrote first.
const MAX_ATTEMPTS: u32 = 8;

/// The API server, as a round sees it.
#[expect(async_fn_in_trait, reason = "each caller knows its implementation")]
pub trait ApiServer {
    /// What time it is.
    fn now(&self) -> Now;

    /// Reads a webhook configuration; `None` if there is none of this name.
    async fn read_configuration(
        &mut self,
        name: &str,
    ) -> Result<Option<MutatingWebhookConfiguration>, PkiError>;

    /// Reads the Secret; `None` if there is none.
    async fn read_secret(&mut self) -> Result<Option<Secret>, PkiError>;

    /// Replaces the Secret if it still has this version, or creates it where there is no version.
    async fn write_secret(&mut self, secret: &Secret) -> Result<(), WriteError>;

    /// Patches a webhook configuration; `None` if it is gone.
    async fn patch_configuration(
        &mut self,
        name: &str,
        patch: Patch,
    ) -> Result<Option<MutatingWebhookConfiguration>, WriteError>;
}

/// Why something was not written.
#[derive(Debug)]
pub enum WriteError {
    /// Another client changed it after it was read.
    Conflict,
    /// Anything else.
    Failed(PkiError),
}

/// What there is to tell of a round.
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

/// What a replica knows from its rounds.
#[derive(Debug)]
pub struct Replica {
    task: Task,
    /// What the Secret held when it was last seen.
    known: State,
    serving: Option<Serving>,
    observed: ObservedBundles,
    /// What each configuration was last seen or made to trust.
    published: Vec<Option<Vec<Id>>>,
    /// Which configurations were not there when they were last read.
    absent: Vec<bool>,
    reports: Vec<Report>,
}

/// Another client wrote this object first: the round begins again.
struct Conflict(Object);

impl Replica {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(task: Task) -> Self {
        let count = task.configurations.len();
        Self {
            task,
            known: State::default(),
            serving: None,
            observed: ObservedBundles::default(),
            published: vec![None; count],
            absent: vec![false; count],
            reports: Vec::new(),
        }
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
        Some(later(next.validity.made(), self.task.policy.overlap()))
    }

    /// What there is to tell since the last call.
    pub fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    /// One round. `serve` is given a new leaf, and says whether it took it. Returns when time alone
    /// brings a change.
    pub async fn round(
        &mut self,
        api: &mut impl ApiServer,
        serve: &mut impl FnMut(&Leaf, SystemTime) -> bool,
    ) -> SystemTime {
        let mut until = None;
        for attempt in 1..=MAX_ATTEMPTS {
            match self.attempt(api, serve).await {
                Ok(decided) => {
                    until = decided;
                    break;
                }
                Err(Conflict(object)) if attempt == MAX_ATTEMPTS => {
                    self.failed(PkiError::Contended { object });
                }
                Err(Conflict(_)) => {}
            }
        }
        let now = api.now().at;
        // Without a decision the next round makes one.
        let until = until.unwrap_or(now);
        let observed = self.observed.next_change(now);
        observed.map_or(until, |observed| until.min(observed))
    }

    async fn attempt(
        &mut self,
        api: &mut impl ApiServer,
        serve: &mut impl FnMut(&Leaf, SystemTime) -> bool,
    ) -> Result<Option<SystemTime>, Conflict> {
        let mut seen = Vec::new();
        for (index, name) in self.task.configurations.clone().iter().enumerate() {
            seen.push(match api.read_configuration(name).await {
                Ok(configuration) => {
                    self.notice_absence(index, configuration.is_none());
                    Seen::of(configuration.as_ref())
                }
                Err(error) => {
                    self.failed(error);
                    Seen::Unknown
                }
            });
        }
        let secret = match api.read_secret().await {
            Ok(secret) => secret,
            Err(error) => {
                self.failed(error);
                return Ok(None);
            }
        };
        let Some(Kept { state, until }) = self.keep(api, secret.as_ref(), &seen).await? else {
            return Ok(None);
        };
        self.known = state;
        self.publish(api, &mut seen).await?;
        let now = api.now().at;
        self.observed.see(&seen, &wanted(&self.known), now);
        self.serve(serve, now);
        Ok(until)
    }

    /// Whether a configuration that was read is not there.
    fn notice_absence(&mut self, index: usize, is_absent: bool) {
        let was_absent = std::mem::replace(&mut self.absent[index], is_absent);
        if is_absent && !was_absent {
            let configuration = self.task.configurations[index].clone();
            self.reports.push(Report::Absent { configuration });
        }
    }

    /// Decides, and writes the Secret where it has to change. What goes on afterwards, if anything does.
    async fn keep(
        &mut self,
        api: &mut impl ApiServer,
        secret: Option<&Secret>,
        seen: &[Seen],
    ) -> Result<Option<Kept>, Conflict> {
        let found = match secret.map(contents::read).transpose() {
            Ok(found) => found.unwrap_or_default(),
            Err(why) => {
                let object = self.object();
                self.failed(PkiError::Foreign { object, why });
                return Ok(None);
            }
        };
        let now = api.now();
        let state = found.state.clone().or(&self.known);
        self.observed.see(seen, &wanted(&state), now.at);
        let facts = Facts {
            state: &state,
            defects: &found.defects,
            restored: state != found.state,
            published: &self.observed.published(now.at, false),
            serving: self.serving.as_ref(),
            now,
        };
        let action = decide(facts, &self.task.policy);
        if found.immutable {
            let own = found.state.leaf.map(|leaf| leaf.certificate.validity);
            self.failed_immutable(own, now.at);
            return Ok(Kept::unwritten(state));
        }
        let changes = match action {
            Action::Keep { until } => {
                let until = Some(until);
                return Ok(Some(Kept { state, until }));
            }
            Action::Write(changes) => changes,
        };
        let (written, new) = match self.make(secret, state.clone(), &changes, now.at) {
            Ok(made) => made,
            Err(cause) => {
                let object = self.object();
                self.failed(PkiError::NotIssued { object, cause });
                return Ok(Kept::unwritten(state));
            }
        };
        match api.write_secret(&new).await {
            Ok(()) => {
                self.reports.push(Report::Wrote(changes));
                Ok(Some(Kept {
                    state: written,
                    until: None,
                }))
            }
            Err(WriteError::Failed(error)) => {
                self.failed(error);
                Ok(Kept::unwritten(state))
            }
            Err(WriteError::Conflict) => Err(Conflict(self.object())),
        }
    }

    /// The Secret can't be written; its leaf, of this validity, may still be served.
    fn failed_immutable(&mut self, leaf: Option<Validity>, now: SystemTime) {
        let object = self.object();
        self.failed(match leaf.filter(|leaf| !leaf.is_over(now)) {
            Some(leaf) => PkiError::ReadOnly {
                object,
                until: utc(leaf.not_after),
            },
            None => PkiError::Immutable { object },
        });
    }

    /// The state with the changes made, and the Secret that holds it.
    fn make(
        &self,
        onto: Option<&Secret>,
        state: State,
        changes: &[Change],
        now: SystemTime,
    ) -> Result<(State, Secret), IssueError> {
        let Task {
            namespace,
            secret,
            policy,
            ..
        } = &self.task;
        let state = issue::carry_out(changes, state, policy, now)?;
        let secret = contents::write(&state, onto, namespace, secret);
        // What can't be read back would be written again and again.
        let good = contents::read(&secret)
            .is_ok_and(|found| found.defects.is_empty() && found.state.leaf == state.leaf);
        good.then_some((state, secret))
            .ok_or(IssueError::Unreadable)
    }

    /// Makes every configuration trust what the Secret has.
    async fn publish(
        &mut self,
        api: &mut impl ApiServer,
        seen: &mut [Seen],
    ) -> Result<(), Conflict> {
        let wanted = wanted(&self.known);
        for (index, seen) in seen.iter_mut().enumerate() {
            let Seen::There(configuration) = &*seen else {
                continue;
            };
            let name = configuration.name.clone();
            let strays = self.observed.strays(&name, api.now().at);
            let Some(patch) = configuration.patch(&wanted, &strays) else {
                self.published[index] = Some(wanted.clone());
                continue;
            };
            let object = Object::Configuration { name: name.clone() };
            if let Some(annotation) = configuration.contested.clone() {
                self.failed(PkiError::Contested { object, annotation });
                continue;
            }
            *seen = match api.patch_configuration(&name, patch).await {
                Ok(configuration) => {
                    if configuration.is_some() {
                        self.published(index, name, &wanted);
                    }
                    Seen::of(configuration.as_ref())
                }
                Err(WriteError::Failed(error)) => {
                    self.failed(error);
                    Seen::Unknown
                }
                Err(WriteError::Conflict) => return Err(Conflict(object)),
            };
        }
        Ok(())
    }

    fn published(&mut self, index: usize, configuration: String, wanted: &[Id]) {
        let before = self.published[index].replace(wanted.to_vec());
        let why = match before {
            Some(before) if before == wanted => Publication::Repaired,
            _ => Publication::Rotated,
        };
        self.reports.push(Report::Published { configuration, why });
    }

    /// Serves the Secret's leaf, if callers trust it.
    fn serve(&mut self, serve: &mut impl FnMut(&Leaf, SystemTime) -> bool, now: SystemTime) {
        let Some(leaf) = &self.known.leaf else {
            return;
        };
        let Some(ca) = self.known.trusted(&leaf.issuer) else {
            return;
        };
        let id = &leaf.certificate.id;
        let validity = leaf.certificate.validity;
        let serving = self.serving.as_ref();
        let is_served = serving.is_some_and(|serving| serving.leaf == *id);
        let alive = serving.filter(|serving| !serving.validity.is_over(now));
        let is_early = alive.is_some() && validity.is_to_come(now);
        let is_trusted = alive.is_some_and(|serving| serving.authority.id == leaf.issuer)
            || self
                .observed
                .published(now, alive.is_none())
                .has(&leaf.issuer);
        if is_served || is_early || !is_trusted || validity.is_over(now) {
            return;
        }
        if serve(leaf, now) {
            self.serving = Some(Serving {
                leaf: id.clone(),
                validity,
                authority: ca.authority.clone(),
            });
        } else {
            let object = self.object();
            self.failed(PkiError::NotTaken { object });
        }
    }

    fn failed(&mut self, error: PkiError) {
        self.reports.push(Report::Failed(error));
    }

    fn object(&self) -> Object {
        Object::Secret {
            namespace: self.task.namespace.clone(),
            name: self.task.secret.clone(),
        }
    }
}

/// What goes on after the Secret was looked after.
struct Kept {
    state: State,
    /// When time alone brings a change; without it the next round decides.
    until: Option<SystemTime>,
}

impl Kept {
    /// What was there goes on, if anything was.
    fn unwritten(state: State) -> Option<Self> {
        (!state.bundle.is_empty()).then_some(Self { state, until: None })
    }
}

//! One replica's rounds: what it reads, decides, writes and serves, in that order.
//!
//! A round reads the webhook configurations before the Secret. A CA is written to the Secret before it
//! is published, so a round knows every CA that another replica has published, and a patch that holds
//! for the version that was read never takes one away.

use std::time::SystemTime;

use k8s_openapi::api::core::v1::Secret;

use super::bundle::{ConfigurationId, ConfigurationKind, ObservedBundles, Seen, wanted};
use super::change::Change;
use super::contents;
use super::decide::{Action, CertificatePolicy, Facts, Serving, decide};
use super::error::{Object, PkiError};
use super::event::{Event, Publication};
use super::issue::{self, IssueError};
use super::state::{Leaf, State};
use super::store::{ApiServer, WriteError};
use super::time::utc;
use super::x509::Id;

/// How often a round begins again because another client wrote first.
const MAX_ATTEMPTS: u32 = 8;

/// What a replica manages.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The name of the Secret.
    pub secret: String,
    /// The webhook configurations whose `caBundle` is kept current.
    pub configurations: Vec<ConfigurationId>,
    /// How certificates are to be.
    pub policy: CertificatePolicy,
}

impl Task {
    /// The Secret.
    pub(super) fn object(&self) -> Object {
        Object::Secret {
            namespace: self.namespace.clone(),
            name: self.secret.clone(),
        }
    }
}

/// What a replica knows from its rounds.
#[derive(Debug)]
pub struct Replica {
    task: Task,
    /// What the Secret held when it was last seen.
    known: State,
    serving: Option<Serving>,
    observed: ObservedBundles,
    configurations: Vec<Configuration>,
    events: Vec<Event>,
}

/// What a replica knows of one webhook configuration.
#[derive(Debug)]
struct Configuration {
    id: ConfigurationId,
    /// What it was last seen or made to trust.
    published: Option<Vec<Id>>,
    /// Whether it was not there when it was last read.
    is_absent: bool,
}

/// Another client wrote this object first: the round begins again.
struct Conflict(Object);

impl Replica {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(task: Task) -> Self {
        let configurations = task.configurations.iter().map(|id| Configuration {
            id: id.clone(),
            published: None,
            is_absent: false,
        });
        Self {
            configurations: configurations.collect(),
            task,
            known: State::default(),
            serving: None,
            observed: ObservedBundles::default(),
            events: Vec::new(),
        }
    }

    /// What happened since the last call.
    pub fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
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
                    self.failed(PkiError::Contended(object));
                }
                Err(Conflict(_)) => {}
            }
        }
        self.events.push(Event::Holds {
            ca_expires: self.known.signing_ca().map(|ca| ca.validity.not_after),
            next_signs: self.next_signs(&self.known),
        });
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
        for configuration in &mut self.configurations {
            let ConfigurationId { kind, name } = &configuration.id;
            // Users may leave the validating one out.
            let is_optional = *kind == ConfigurationKind::Validating;
            seen.push(match api.read_configuration(&configuration.id).await {
                Ok(found) => {
                    let was_absent = configuration.is_absent;
                    configuration.is_absent = found.is_none();
                    if configuration.is_absent && !was_absent && !is_optional {
                        let configuration = name.clone();
                        self.events.push(Event::Absent { configuration });
                    }
                    Seen::from(found)
                }
                Err(error) => {
                    // The ClusterRole of earlier manifests does not allow it. Certificates do not
                    // wait for that: kube-apiserver ignores a webhook that fails.
                    let is_left_alone = is_optional && matches!(error, PkiError::Forbidden(_));
                    self.events.push(Event::Failed(error));
                    if is_left_alone {
                        Seen::Absent
                    } else {
                        Seen::Unknown
                    }
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
        self.observed.observe(&seen, &wanted(&self.known), now);
        self.serve(serve, now);
        Ok(until)
    }

    /// Decides, and writes the Secret where it has to change. `None` ends the round.
    async fn keep(
        &mut self,
        api: &mut impl ApiServer,
        secret: Option<&Secret>,
        seen: &[Seen],
    ) -> Result<Option<Kept>, Conflict> {
        let found = match secret.map(contents::read).transpose() {
            Ok(found) => found.unwrap_or_default(),
            Err(why) => {
                let object = self.task.object();
                self.failed(PkiError::Foreign(object, why));
                return Ok(None);
            }
        };
        let now = api.now();
        let state = found.state.clone().or(&self.known);
        self.observed.observe(seen, &wanted(&state), now.at);
        let facts = Facts {
            state: &state,
            defects: &found.defects,
            restored: state != found.state,
            published: &self.observed.published(now.at, false),
            serving: self.serving.as_ref(),
            now,
        };
        let action = decide(facts, &self.task.policy);
        let object = self.task.object();
        if found.immutable {
            let own = found.state.leaf.map(|leaf| leaf.certificate.validity);
            self.failed(match own.filter(|leaf| !leaf.is_over(now.at)) {
                Some(leaf) => PkiError::ReadOnly(object, utc(leaf.not_after)),
                None => PkiError::Immutable(object),
            });
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
                self.failed(PkiError::NotIssued(object, cause));
                return Ok(Kept::unwritten(state));
            }
        };
        match api.write_secret(&new).await {
            Ok(()) => {
                let next_signs = self.next_signs(&written);
                self.events.push(Event::Wrote {
                    changes,
                    next_signs,
                });
                Ok(Some(Kept {
                    state: written,
                    until: None,
                }))
            }
            Err(WriteError::Failed(error)) => {
                self.failed(error);
                Ok(Kept::unwritten(state))
            }
            Err(WriteError::Conflict) => Err(Conflict(object)),
        }
    }

    fn next_signs(&self, state: &State) -> Option<SystemTime> {
        state.next_ca().map(|ca| self.task.policy.signs_from(ca))
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
        for (known, seen) in self.configurations.iter_mut().zip(seen) {
            let Seen::There(configuration) = &*seen else {
                continue;
            };
            let id = &configuration.id;
            let strays = self.observed.strays(id, api.now().at);
            let Some(patch) = configuration.patch(&wanted, &strays) else {
                known.published = Some(wanted.clone());
                continue;
            };
            let object = Object::Configuration(id.clone());
            if let Some(annotation) = configuration.contested.clone() {
                let error = PkiError::Contested(object, annotation);
                self.events.push(Event::Failed(error));
                continue;
            }
            *seen = match api.patch_configuration(id, patch).await {
                Ok(patched) => {
                    if patched.is_some() {
                        let before = known.published.replace(wanted.clone());
                        let why = if before.as_ref() == Some(&wanted) {
                            Publication::Repaired
                        } else {
                            Publication::Rotated
                        };
                        let configuration = id.clone();
                        self.events.push(Event::Published { configuration, why });
                    }
                    Seen::from(patched)
                }
                Err(WriteError::Failed(error)) => {
                    self.events.push(Event::Failed(error));
                    Seen::Unknown
                }
                Err(WriteError::Conflict) => return Err(Conflict(object)),
            };
        }
        Ok(())
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
            let object = self.task.object();
            self.failed(PkiError::NotTaken(object));
        }
    }

    fn failed(&mut self, error: PkiError) {
        self.events.push(Event::Failed(error));
    }
}

/// What the rest of a round works with.
struct Kept {
    state: State,
    /// When time alone brings a change; without it the next round decides.
    until: Option<SystemTime>,
}

impl Kept {
    /// The state as it was found, unless it is empty.
    fn unwritten(state: State) -> Option<Self> {
        (!state.bundle.is_empty()).then_some(Self { state, until: None })
    }
}

//! Replicas with skewed clocks at one API server, interleaved, delayed and ended at any point.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use json_patch::Patch;
use k8s_openapi::api::core::v1::Secret;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::Union;

use super::super::bundle::{Configuration, ConfigurationId, ConfigurationKind, wanted};
use super::super::contents::{self, Part};
use super::super::decide::CertificatePolicy;
use super::super::error::{FailedRequest, Object, PkiError, Verb};
use super::super::event::Event;
use super::super::round::{Replica, Task};
use super::super::state::Leaf;
use super::super::store::{ApiServer, WriteError};
use super::super::{Now, SKEW, Source};
use crate::api::{self, Fault};

use super::{Api, DAY, HOUR, mk_configuration, mk_id, mk_policy, start};

const MINUTE: Duration = Duration::from_mins(1);

/// How long a live replica may go without a whole round: less than what is left of a leaf when it
/// is due, and than a foreign CA is left alone.
const STALL: Duration = Duration::from_mins(50);

/// What a replica asks of the API server.
#[derive(Clone)]
enum Effect {
    ReadConfiguration,
    ReadSecret,
    WriteSecret(Box<Secret>),
    PatchConfiguration(Patch),
    /// The round is over.
    Rest,
}

/// What came of it.
enum Outcome {
    Configuration(Option<Configuration>),
    Secret(Box<Option<Secret>>),
    Done,
    Conflict,
    Lost,
}

impl Api {
    fn apply(&mut self, effect: &Effect) -> Outcome {
        match effect {
            Effect::ReadConfiguration => Outcome::Configuration(self.read()),
            Effect::ReadSecret => Outcome::Secret(Box::new(self.secret.clone())),
            Effect::WriteSecret(secret) => match self.write(secret) {
                Ok(()) => Outcome::Done,
                Err(_) => Outcome::Conflict,
            },
            Effect::PatchConfiguration(patch) => match self.patch(patch) {
                Ok(patched) => Outcome::Configuration(patched),
                Err(_) => Outcome::Conflict,
            },
            Effect::Rest => Outcome::Done,
        }
    }
}

/// Between a replica's rounds and the test.
struct Line {
    clock: Clock,
    time: Cell<SystemTime>,
    effect: RefCell<Effect>,
    outcome: RefCell<Option<Outcome>>,
    serving: RefCell<Option<Leaf>>,
    wrote: Cell<usize>,
}

impl Line {
    /// Asks, and waits until the test hands over an answer.
    async fn ask(&self, effect: Effect) -> Outcome {
        *self.effect.borrow_mut() = effect;
        poll_fn(|_| match self.outcome.borrow_mut().take() {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        })
        .await
    }

    /// Rounds for ever.
    async fn run(self: Rc<Self>, task: Task) {
        let mut replica = Replica::new(task);
        let mut api = Rc::clone(&self);
        loop {
            let mut serve = |leaf: &Leaf, _| {
                *self.serving.borrow_mut() = Some(leaf.clone());
                true
            };
            replica.round(&mut api, &mut serve).await;
            let events = replica.events();
            let wrote = events.iter().filter(|it| matches!(it, Event::Wrote { .. }));
            self.wrote.set(self.wrote.get() + wrote.count());
            self.ask(Effect::Rest).await;
        }
    }
}

fn lost() -> PkiError {
    PkiError::Unreachable(FailedRequest {
        verb: Verb::Get,
        object: Object::Configuration(mk_id(ConfigurationKind::Mutating)),
        fault: Fault::new(api::Cause::Connection, "lost"),
    })
}

impl ApiServer for Rc<Line> {
    fn now(&self) -> Now {
        self.clock.now(self.time.get())
    }

    async fn read_configuration(
        &mut self,
        _: &ConfigurationId,
    ) -> Result<Option<Configuration>, PkiError> {
        match self.ask(Effect::ReadConfiguration).await {
            Outcome::Configuration(configuration) => Ok(configuration),
            _ => Err(lost()),
        }
    }

    async fn read_secret(&mut self) -> Result<Option<Secret>, PkiError> {
        match self.ask(Effect::ReadSecret).await {
            Outcome::Secret(secret) => Ok(*secret),
            _ => Err(lost()),
        }
    }

    async fn write_secret(&mut self, secret: &Secret) -> Result<(), WriteError> {
        let effect = Effect::WriteSecret(Box::new(secret.clone()));
        match self.ask(effect).await {
            Outcome::Done => Ok(()),
            Outcome::Conflict => Err(WriteError::Conflict),
            _ => Err(WriteError::Failed(lost())),
        }
    }

    async fn patch_configuration(
        &mut self,
        _: &ConfigurationId,
        patch: Patch,
    ) -> Result<Option<Configuration>, WriteError> {
        match self.ask(Effect::PatchConfiguration(patch)).await {
            Outcome::Configuration(configuration) => Ok(configuration),
            Outcome::Conflict => Err(WriteError::Conflict),
            _ => Err(WriteError::Failed(lost())),
        }
    }
}

/// A replica's process.
struct Process {
    line: Rc<Line>,
    rounds: LocalBoxFuture<'static, ()>,
    /// What came of the effect, on its way.
    outcome: Option<Outcome>,
    rested: SystemTime,
}

#[derive(Clone, Copy, Debug)]
struct Clock {
    seconds: i64,
    by: Source,
}

impl Clock {
    fn now(self, time: SystemTime) -> Now {
        let by = Duration::from_secs(self.seconds.unsigned_abs());
        let at = if self.seconds < 0 {
            time - by
        } else {
            time + by
        };
        Now { at, by: self.by }
    }
}

fn mk_task(number: usize) -> Task {
    Task {
        namespace: "ns".to_owned(),
        secret: "berth-tls".to_owned(),
        configurations: vec![mk_id(ConfigurationKind::Mutating)],
        policy: CertificatePolicy {
            leaf_lifetime: DAY,
            ca_lifetime: 6 * DAY,
            jitter: f64::from(u32::try_from(number).unwrap()) / 4.0,
            ..mk_policy()
        },
    }
}

impl Process {
    fn start(number: usize, clock: Clock, time: SystemTime) -> Self {
        let line = Rc::new(Line {
            clock,
            time: Cell::new(time),
            effect: RefCell::new(Effect::Rest),
            outcome: RefCell::default(),
            serving: RefCell::default(),
            wrote: Cell::default(),
        });
        let rounds = Rc::clone(&line).run(mk_task(number)).boxed_local();
        let mut process = Self {
            line,
            rounds,
            outcome: None,
            rested: time,
        };
        process.go_on();
        process
    }

    /// Runs until the next question.
    fn go_on(&mut self) {
        let over = (&mut self.rounds).now_or_never();
        assert!(over.is_none(), "rounds never end");
    }

    fn rests(&self) -> bool {
        matches!(*self.line.effect.borrow(), Effect::Rest)
    }

    /// The API server does what is asked, if it has not yet.
    fn ask(&mut self, api: &mut Api) {
        if self.outcome.is_none() {
            self.outcome = Some(api.apply(&self.line.effect.borrow()));
        }
    }

    /// The answer arrives, if there is one; `lost` if the connection has failed instead.
    fn hear(&mut self, time: SystemTime, lost: bool) {
        let Some(outcome) = self.outcome.take() else {
            return;
        };
        if self.rests() {
            self.rested = time;
        }
        self.line.time.set(time);
        *self.line.outcome.borrow_mut() = Some(if lost { Outcome::Lost } else { outcome });
        self.go_on();
    }
}

struct World {
    api: Api,
    time: SystemTime,
    processes: Vec<Process>,
    clocks: Vec<Clock>,
}

impl World {
    fn new(clocks: Vec<Clock>) -> Self {
        let time = start();
        let webhooks = [("vmi", None), ("template", None)];
        Self {
            api: Api {
                secret: None,
                configuration: Some(mk_configuration("0", &webhooks)),
                version: 0,
            },
            time,
            processes: clocks
                .iter()
                .enumerate()
                .map(|(number, clock)| Process::start(number, *clock, time))
                .collect(),
            clocks,
        }
    }

    fn go(&mut self, operation: &Operation) {
        let time = self.time;
        let pick = |index: &Index| index.index(self.clocks.len());
        match operation {
            Operation::Ask(who) => self.processes[pick(who)].ask(&mut self.api),
            Operation::Hear(who) => self.processes[pick(who)].hear(time, false),
            Operation::Step(who, count) => {
                let who = pick(who);
                for _ in 0..*count {
                    self.processes[who].ask(&mut self.api);
                    self.processes[who].hear(time, false);
                    self.check();
                }
            }
            Operation::Lose(who) => {
                let process = &mut self.processes[pick(who)];
                process.ask(&mut self.api);
                process.hear(time, true);
            }
            Operation::Restart(who) => {
                let who = pick(who);
                self.processes[who] = Process::start(who, self.clocks[who], time);
            }
            Operation::Wait(minutes) => self.wait(*minutes * MINUTE),
            Operation::Delete => self.api.secret = None,
            Operation::Damage(part, bytes) => self.damage(*part, bytes.as_deref()),
        }
        self.check();
    }

    fn damage(&mut self, part: Part, bytes: Option<&[u8]>) {
        let version = self.api.next_version();
        if let Some(secret) = &mut self.api.secret {
            secret.metadata.resource_version = Some(version);
            let data = secret.data.get_or_insert_default();
            match bytes {
                Some(bytes) => {
                    let bytes = k8s_openapi::ByteString(bytes.to_vec());
                    data.insert(part.name().to_owned(), bytes);
                }
                None => {
                    data.remove(part.name());
                }
            }
        }
    }

    /// Time passes, and no replica stalls for longer than [`STALL`].
    fn wait(&mut self, mut duration: Duration) {
        while !duration.is_zero() {
            let oldest = self.processes.iter().map(|process| process.rested).min();
            let allowed = oldest.unwrap() + STALL;
            let step = allowed.duration_since(self.time).unwrap_or_default();
            if step.is_zero() {
                self.settle();
            }
            let step = step.min(duration);
            self.time += step;
            duration -= step;
            self.check();
        }
    }

    /// Everybody finishes the round it is in and whole rounds after it, until nothing changes.
    fn settle(&mut self) {
        for _ in 0..40 {
            let version = self.api.version;
            for who in 0..self.processes.len() {
                let mut rests = 0;
                let mut steps = 0;
                while rests < 2 {
                    let process = &mut self.processes[who];
                    rests += u32::from(process.rests());
                    process.ask(&mut self.api);
                    process.hear(self.time, false);
                    steps += 1;
                    assert!(steps < 200, "a round does not end");
                    self.check();
                }
                self.processes[who].rested = self.time;
            }
            if self.api.version == version {
                return;
            }
        }
        panic!("the replicas do not come to an end");
    }

    /// What has to hold at every moment.
    fn check(&self) {
        for process in &self.processes {
            let serving = process.line.serving.borrow();
            let Some(serving) = &*serving else {
                continue;
            };
            let validity = serving.certificate.validity;
            assert!(
                validity.not_before <= self.time && self.time < validity.not_after,
                "a served leaf is not valid"
            );
            let configuration = self.api.configuration.as_ref().unwrap();
            for webhook in configuration.webhooks.iter().flatten() {
                let bundle = webhook.client_config.ca_bundle.as_ref().unwrap();
                let bundle = std::str::from_utf8(&bundle.0).unwrap();
                assert!(
                    bundle.contains(&serving.issuer.pem()),
                    "a served leaf is not trusted"
                );
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Operation {
    /// A request reaches the API server.
    Ask(Index),
    /// Its answer reaches the replica.
    Hear(Index),
    /// So many requests and answers in a row.
    Step(Index, u8),
    /// A request is carried out and its answer lost.
    Lose(Index),
    /// A replica ends at this point, and another takes its place.
    Restart(Index),
    /// Time passes.
    Wait(u32),
    /// Somebody deletes the Secret.
    Delete,
    /// Somebody writes into the Secret.
    Damage(Part, Option<Vec<u8>>),
}

fn operations(damage: bool) -> impl Strategy<Value = Operation> {
    let who = any::<Index>;
    let mut all = vec![
        (6, who().prop_map(Operation::Ask).boxed()),
        (6, who().prop_map(Operation::Hear).boxed()),
        (
            8,
            (who(), 1_u8..12)
                .prop_map(|(who, count)| Operation::Step(who, count))
                .boxed(),
        ),
        (2, who().prop_map(Operation::Lose).boxed()),
        (1, who().prop_map(Operation::Restart).boxed()),
        (
            3,
            prop_oneof![0_u32..3, 0_u32..60, 600_u32..1500]
                .prop_map(Operation::Wait)
                .boxed(),
        ),
    ];
    if damage {
        let junk = prop_oneof![
            Just(None),
            Just(Some(Vec::new())),
            Just(Some(b"junk".to_vec()))
        ];
        let part = proptest::sample::select(&Part::ALL[..]);
        all.push((1, Just(Operation::Delete).boxed()));
        all.push((
            1,
            (part, junk)
                .prop_map(|(part, junk)| Operation::Damage(part, junk))
                .boxed(),
        ));
    }
    Union::new_weighted(all)
}

fn clocks() -> impl Strategy<Value = Vec<Clock>> {
    let skew = i64::try_from(SKEW.as_secs()).unwrap();
    let clock = (-skew..=skew, any::<bool>()).prop_map(move |(seconds, local)| Clock {
        // API servers differ by less.
        seconds: if local { seconds } else { seconds / 30 },
        by: if local {
            Source::Local
        } else {
            Source::ApiServer
        },
    });
    vec(clock, 2..=3)
}

/// All replicas come to serve one leaf, and everybody trusts its CA and no other than the Secret's.
fn check_end(world: &mut World) {
    world.wait(2 * HOUR + STALL);
    world.settle();
    let secret = world.api.secret.as_ref().unwrap();
    let found = contents::read(secret).unwrap();
    assert_eq!(found.defects, []);
    let leaf = found.state.leaf.as_ref().unwrap();
    for process in &mut world.processes {
        let serving = process.line.serving.borrow();
        let serving = serving.as_ref().unwrap();
        assert_eq!(serving.certificate.id, leaf.certificate.id);
    }
    let wanted = wanted(&found.state);
    let configuration = world.api.configuration.as_ref().unwrap();
    assert_eq!(
        Configuration::from(configuration).patch(&wanted, &BTreeSet::new()),
        None
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_served_leaf_is_valid_and_trusted_whatever_the_replicas_do(
        clocks in clocks(),
        operations in vec(operations(false), 1..80),
    ) {
        let mut world = World::new(clocks);
        for operation in &operations {
            world.go(operation);
        }
        check_end(&mut world);
    }

    #[test]
    fn every_served_leaf_is_valid_and_trusted_whatever_becomes_of_the_secret(
        clocks in clocks(),
        operations in vec(operations(true), 1..80),
    ) {
        let mut world = World::new(clocks);
        for operation in &operations {
            world.go(operation);
        }
        check_end(&mut world);
    }
}

#[test]
fn two_rotations_of_the_ca_never_break_trust() {
    let by = Source::Local;
    let clocks = [0, 1700, -1700].map(|seconds| Clock { seconds, by });
    let mut world = World::new(clocks.to_vec());
    for _ in 0..13 * 24 {
        world.wait(HOUR);
    }
    let wrote = world
        .processes
        .iter()
        .map(|process| process.line.wrote.get());
    let wrote: usize = wrote.sum();
    check_end(&mut world);
    // A leaf every 16 to 17 hours, and for each CA its making, promotion and end.
    assert!((18..30).contains(&wrote), "{wrote}");
}

//! One case: the same number of connections asks several things in turn, and each is measured.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::{self, Answers, Connection, Http, ask_all};
use crate::process::Berth;

/// How long a turn takes, about, and how many turns there are, at least and at most.
const TURN: Duration = Duration::from_millis(250);
const TURNS: (usize, usize) = (3, 12);

/// When no more turns begin after the least.
const LONG_ENOUGH: Duration = Duration::from_secs(5);

/// The columns that every table ends with.
pub(crate) const COLUMNS: &str =
    "| median ms | p99 ms | req/s | CPU ms | peak MiB | × body | shed | × null |";
pub(crate) const RULE: &str = "| --- | --- | --- | --- | --- | --- | --- | --- |";

/// Who is asked: berth, or a server that is not ours to look into.
#[derive(Clone, Copy)]
pub(crate) struct Goal<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) ca: &'a Path,
    pub(crate) berth: Option<&'a Berth>,
}

impl<'a> Goal<'a> {
    pub(crate) fn berth(berth: &'a Berth) -> Self {
        Self {
            address: berth.https,
            ca: &berth.ca,
            berth: Some(berth),
        }
    }

    pub(crate) async fn connect(&self, http: Http) -> Connection {
        Connection::open(self.address, self.ca, http).await
    }

    fn cpu(&self) -> Duration {
        self.berth.map(Berth::cpu).unwrap_or_default()
    }

    fn memory(&self, name: &str) -> f64 {
        self.berth.map_or(f64::NAN, |berth| berth.memory(name))
    }
}

/// What is asked.
pub(crate) struct Asked<'a> {
    pub(crate) name: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: Bytes,
    pub(crate) goal: Goal<'a>,
}

/// What is asked in turn, and over what.
pub(crate) struct Case<'a> {
    pub(crate) connections: usize,
    pub(crate) http: Http,
    /// Requests a second on all connections together; without it, as many as there can be.
    pub(crate) rate: Option<u32>,
    pub(crate) asked: Vec<Asked<'a>>,
}

/// What each thing cost.
pub(crate) struct Costs<'a>(Vec<Cost<'a>>);

struct Cost<'a> {
    asked: &'a Asked<'a>,
    connections: Vec<Connection>,
    rate: Option<u32>,
    /// Requests in a turn.
    count: usize,
    answers: Answers,
    wall: Duration,
    cpu: Duration,
    /// MiB.
    idle: f64,
    peak: f64,
}

impl Case<'_> {
    /// Turn by turn, so that whatever else the machine does is done to all alike.
    pub(crate) fn run(&self) -> Costs<'_> {
        client::runtime(self.connections).block_on(self.take_turns())
    }

    async fn take_turns(&self) -> Costs<'_> {
        let mut costs = Vec::new();
        for asked in &self.asked {
            costs.push(Cost::new(asked, self).await);
        }
        let begun = Instant::now();
        for turn in 0..TURNS.1 {
            if turn >= TURNS.0 && begun.elapsed() >= LONG_ENOUGH {
                break;
            }
            for cost in &mut costs {
                cost.take_turn().await;
            }
        }
        Costs(costs)
    }
}

impl<'a> Cost<'a> {
    /// Opens the connections, and finds out how much fits in a turn.
    async fn new(asked: &'a Asked<'a>, case: &Case<'a>) -> Self {
        let connections = case.connections;
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(asked.goal.connect(case.http).await);
        }
        let mut cost = Self {
            asked,
            connections: opened,
            rate: case.rate,
            count: connections,
            answers: Answers::default(),
            wall: Duration::ZERO,
            cpu: Duration::ZERO,
            idle: asked.goal.memory("VmRSS"),
            peak: 0.0,
        };
        cost.take_turn().await;
        cost.forget();
        cost.take_turn().await;
        let turns = TURN.as_secs_f64() / cost.wall.as_secs_f64();
        // At most some tens of thousands.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let count = (turns * connections as f64) as usize;
        cost.count = count.max(connections);
        cost.forget();
        cost
    }

    fn forget(&mut self) {
        self.answers = Answers::default();
        (self.wall, self.cpu, self.peak) = (Duration::ZERO, Duration::ZERO, 0.0);
    }

    async fn take_turn(&mut self) {
        let Asked {
            path, body, goal, ..
        } = self.asked;
        if let Some(berth) = goal.berth {
            berth.forget_peak();
        }
        let (begun, cpu) = (Instant::now(), goal.cpu());
        let connections = std::mem::take(&mut self.connections);
        let (connections, answers) = ask_all(connections, path, body, self.count, self.rate).await;
        self.connections = connections;
        self.wall += begun.elapsed();
        self.cpu += goal.cpu().saturating_sub(cpu);
        self.answers.add(answers);
        self.peak = goal.memory("VmHWM").max(self.peak);
    }
}

impl Costs<'_> {
    /// A line for each.
    pub(crate) fn print(mut self, label: &str) {
        for cost in &mut self.0 {
            cost.answers.times.sort_unstable();
        }
        let null = self
            .0
            .first()
            .map_or(f64::NAN, |null| quantile(&null.answers.times, 0.5));
        for cost in &self.0 {
            let Cost {
                asked,
                answers,
                wall,
                cpu,
                idle,
                peak,
                ..
            } = cost;
            let answered = answers.times.len() as f64;
            let requests = answered + answers.shed as f64;
            let above = peak - idle;
            let body = asked.body.len() as f64 / f64::from(1 << 20);
            println!(
                "{label}| {} | {:.3} | {:.3} | {:.0} | {:.3} | {above:.1} | {:.2} | {} | {:.2} |",
                asked.name,
                quantile(&answers.times, 0.5),
                quantile(&answers.times, 0.99),
                answered / wall.as_secs_f64(),
                cpu.as_secs_f64() * 1e3 / requests,
                above / body,
                answers.shed,
                quantile(&answers.times, 0.5) / null,
            );
        }
    }
}

/// Of sorted times, in ms.
pub(crate) fn quantile(times: &[Duration], part: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = (times.len() as f64 * part) as usize;
    let time = times.get(at.min(times.len().saturating_sub(1)));
    time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

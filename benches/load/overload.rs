//! More than berth can do of one thing, and how long the other takes meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::bodies::{Form, filter_call, review};
use crate::client::{Answers, Connection, Http, ask_all};
use crate::measure::{Goal, quantile};
use crate::process::Berth;

/// Nodes of each filter call.
const NODES: usize = 5_000;

/// What is asked beside a flood, how often, and at what pause.
const TIMES: usize = 300;
const PAUSE: Duration = Duration::from_millis(5);

/// Connections of the largest flood.
pub(crate) const LARGEST: usize = 512;

/// With the default limits.
pub(crate) async fn run(berth: &Berth) {
    let goal = Goal::berth(berth);
    let review = Bytes::from(review());
    let [names, whole] = Form::ALL.map(|form| Bytes::from(filter_call(true, form, NODES)));
    let few = Bytes::from(filter_call(true, Form::Names, 100));
    println!(
        "\n| asked | beside | conns | median ms | p99 ms | shed | of the flood: answered | shed |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (path, body, beside) in [
        ("/mutate", &review, None),
        (
            "/mutate",
            &review,
            Some(("/scheduler/filter", &names, 128, "5,000 names")),
        ),
        (
            "/mutate",
            &review,
            Some(("/scheduler/filter", &whole, 24, "5,000 whole nodes")),
        ),
        ("/scheduler/filter", &few, None),
        (
            "/scheduler/filter",
            &few,
            Some(("/mutate", &review, LARGEST, "reviews")),
        ),
    ] {
        let flood = match beside {
            Some((path, body, connections, _)) => {
                Some(Flood::start(&goal, path, body, connections).await)
            }
            None => None,
        };
        let mut connections = vec![goal.connect(Http::One).await];
        let mut answers = Answers::default();
        for _ in 0..TIMES {
            let answered;
            (connections, answered) = ask_all(connections, path, body, 1, None).await;
            answers.add(answered);
            tokio::time::sleep(PAUSE).await;
        }
        answers.times.sort_unstable();
        let (flooded, shed) = match flood {
            Some(flood) => flood.stop().await,
            None => (0, 0),
        };
        let (_, _, connections, name) = beside.unwrap_or(("", &few, 0, "nothing"));
        println!(
            "| {path} | {name} | {connections} | {:.3} | {:.3} | {} | {flooded} | {shed} |",
            quantile(&answers.times, 0.5),
            quantile(&answers.times, 0.99),
            answers.shed,
        );
    }
}

/// Connections that ask the same all the time.
struct Flood {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Answers>>,
}

impl Flood {
    async fn start(goal: &Goal<'_>, path: &'static str, body: &Bytes, connections: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for _ in 0..connections {
            let connection = goal.connect(Http::One).await;
            tasks.push(tokio::spawn(flood(
                connection,
                path,
                body.clone(),
                Arc::clone(&stop),
            )));
        }
        Self { stop, tasks }
    }

    /// How many were answered, and how many refused.
    async fn stop(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Answers::default();
        for task in self.tasks {
            all.add(task.await.unwrap());
        }
        (all.times.len(), all.shed)
    }
}

async fn flood(
    connection: Connection,
    path: &'static str,
    body: Bytes,
    stop: Arc<AtomicBool>,
) -> Answers {
    let mut connections = vec![connection];
    let mut all = Answers::default();
    while !stop.load(Ordering::Relaxed) {
        let answers;
        (connections, answers) = ask_all(connections, path, &body, 1, None).await;
        all.add(answers);
    }
    all
}

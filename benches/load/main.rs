//! What berth costs on the wire: an HTTPS load over loopback, from this process against the release
//! binary, beside a null handler of the same server in the same run. `make bench`, or
//! `cargo bench --features null-route --bench load -- WORD…` for the cases that have all these words,
//! such as `filter names 5000 h1`. The tables are Markdown.
//!
//! With `BERTH_BENCH_BESIDE=127.0.0.1:PORT` and `BERTH_BENCH_BESIDE_CA=FILE` another server that
//! answers `/mutate` is measured beside berth.

#![expect(
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark that can't run ends with a message, and one that can prints"
)]

mod bodies;
mod client;
mod measure;
mod overload;
#[path = "../shared/process.rs"]
#[expect(dead_code, reason = "the benchmark of a live cluster uses the rest")]
mod process;
#[path = "../shared/tls.rs"]
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use bodies::{Form, filter_call, passing, review, snapshot};
use bytes::Bytes;
use client::Http;
use measure::{Asked, Case, Goal};
use process::{Berth, write};
use serde_json::Value;

const SIZES: [usize; 4] = [50, 500, 5_000, 15_000];
const CONNECTIONS: [usize; 2] = [1, 32];
const MUTATE_CONNECTIONS: [usize; 3] = [1, 8, 64];

/// A busy cluster's reviews in a second, and some.
const MUTATE_AT_RATE: (usize, Option<u32>) = (64, Some(4_000));

/// The cluster that is asked about, and a smaller one.
const CLUSTER: usize = 15_000;
const SMALLER: usize = 5_000;

/// Room for 32 times 15,000 whole nodes, so that what is measured is the work and not the refusal.
const CONFIG: &str =
    "limits: {extenderBodiesInFlight: 16Gi, extenderBody: 1Gi, handlerTimeout: 2m}\n";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Cargo says `--bench` to each of them.
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|w| *w != "--bench")
        .collect();
    let berth = start(CLUSTER, CONFIG);
    filters(&berth, &words);
    growth(&berth, &words);
    mutations(&berth, &words);
    drop(berth);
    if is_wanted(&words, "overload") {
        let berth = start(SMALLER, "{}");
        client::runtime(overload::LARGEST).block_on(overload::run(&berth));
    }
}

/// A server that has read a snapshot of so many nodes, which nothing changes.
fn start(nodes: usize, config: &str) -> Berth {
    let dir = tempfile::tempdir().unwrap();
    let config = write(dir.path(), "berth.yaml", config);
    let snapshot = write(dir.path(), "cluster.json", &snapshot(nodes));
    let [config, snapshot] = [&config, &snapshot].map(|path| path.to_str().unwrap());
    let berth = Berth::start(&["--config", config, "--snapshot", snapshot]);
    berth.rest();
    berth
}

/// Whether all the words are among these.
fn is_wanted(words: &[&str], label: &str) -> bool {
    words
        .iter()
        .all(|word| label.split(' ').any(|part| part == *word))
}

/// What a filter call costs, by what is asked and how.
fn filters(berth: &Berth, words: &[&str]) {
    let mut has_title = false;
    for form in Form::ALL {
        for nodes in SIZES {
            let wanted = |connections: usize, http: Http| {
                let label = format!(
                    "filter {} {nodes} {connections} {}",
                    form.name(),
                    http.name()
                );
                is_wanted(words, &label)
            };
            let settings = CONNECTIONS
                .into_iter()
                .flat_map(|connections| Http::ALL.map(|http| (connections, http)));
            let settings: Vec<_> = settings.filter(|(c, h)| wanted(*c, *h)).collect();
            if settings.is_empty() {
                continue;
            }
            if !has_title {
                has_title = true;
                println!(
                    "\n| form | nodes | MB | conns | http | pod {}",
                    measure::COLUMNS
                );
                println!("| --- | --- | --- | --- | --- | --- {}", measure::RULE);
            }
            let target = Bytes::from(filter_call(true, form, nodes));
            let other = Bytes::from(filter_call(false, form, nodes));
            let goal = Goal::berth(berth);
            client::runtime(1).block_on(async {
                check(&goal, form, &target, passing(nodes)).await;
                check(&goal, form, &other, nodes).await;
            });
            for (connections, http) in settings {
                let megabytes = target.len() as f64 / 1e6;
                let label = format!(
                    "| {} | {nodes} | {megabytes:.2} | {connections} | {} ",
                    form.name(),
                    http.name()
                );
                let asked = |name, path, body: &Bytes| Asked {
                    name,
                    path,
                    body: body.clone(),
                    goal,
                };
                let case = Case {
                    connections,
                    http,
                    rate: None,
                    asked: vec![
                        asked("null", "/null", &target),
                        asked("target", "/scheduler/filter", &target),
                        asked("other", "/scheduler/filter", &other),
                    ],
                };
                case.run().print(&label);
            }
        }
    }
}

/// The answer is the right one, and not only a fast one.
async fn check(goal: &Goal<'_>, form: Form, call: &Bytes, expect: usize) {
    let mut connection = goal.connect(Http::One).await;
    let (status, answer) = connection.answer("/scheduler/filter", call.clone()).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let passed = match form {
        Form::Names => &answer["NodeNames"],
        Form::Whole => &answer["Nodes"]["items"],
    };
    let passed = passed.as_array().map_or(0, Vec::len);
    assert_eq!((status, passed), (200, expect), "{}", answer["Error"]);
}

/// The same calls about clusters of two sizes.
fn growth(berth: &Berth, words: &[&str]) {
    if !is_wanted(words, "growth") {
        return;
    }
    let smaller = start(SMALLER, CONFIG);
    println!("\n| form | nodes | MB | of {} ", measure::COLUMNS);
    println!("| --- | --- | --- | --- {}", measure::RULE);
    for form in Form::ALL {
        for nodes in [500, 5_000] {
            let body = Bytes::from(filter_call(true, form, nodes));
            let asked = |name, server| Asked {
                name,
                path: "/scheduler/filter",
                body: body.clone(),
                goal: Goal::berth(server),
            };
            let case = Case {
                connections: 1,
                http: Http::One,
                rate: None,
                asked: vec![asked("5000", &smaller), asked("15000", berth)],
            };
            let megabytes = body.len() as f64 / 1e6;
            let label = format!("| {} | {nodes} | {megabytes:.2} ", form.name());
            case.run().print(&label);
        }
    }
}

/// What a review costs: as fast as they come, and at a rate that leaves the server time.
fn mutations(berth: &Berth, words: &[&str]) {
    let beside = beside();
    let body = Bytes::from(review());
    let mut has_title = false;
    let settings = MUTATE_CONNECTIONS.map(|connections| (connections, None));
    for (connections, rate) in settings.into_iter().chain([MUTATE_AT_RATE]) {
        for http in Http::ALL {
            let pace = rate.map_or_else(|| "any".to_owned(), |rate| format!("{rate}/s"));
            let label = format!("mutate {connections} {} {pace}", http.name());
            if !is_wanted(words, &label) {
                continue;
            }
            if !has_title {
                has_title = true;
                println!("\n| conns | http | rate | handler {}", measure::COLUMNS);
                println!("| --- | --- | --- | --- {}", measure::RULE);
            }
            let goal = Goal::berth(berth);
            let asked = |name, path, goal| Asked {
                name,
                path,
                body: body.clone(),
                goal,
            };
            let mut case = Case {
                connections,
                http,
                rate,
                asked: vec![
                    asked("null", "/null", goal),
                    asked("mutate", "/mutate", goal),
                ],
            };
            if let Some((address, ca)) = &beside {
                let goal = Goal {
                    address: *address,
                    ca,
                    berth: None,
                };
                case.asked.push(asked("beside", "/mutate", goal));
            }
            let label = format!("| {connections} | {} | {pace} ", http.name());
            case.run().print(&label);
        }
    }
}

/// Another server to measure.
fn beside() -> Option<(SocketAddr, PathBuf)> {
    let address = std::env::var("BERTH_BENCH_BESIDE").ok()?;
    let ca = std::env::var("BERTH_BENCH_BESIDE_CA").expect("BERTH_BENCH_BESIDE_CA=FILE");
    Some((address.parse().unwrap(), ca.into()))
}

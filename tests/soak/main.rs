//! berth under everything at once, for as long as is asked: admission, filter and prioritize in both
//! forms and preempt, a tenth of it malformed, while the cluster and the southbound database change and go away
//! and the certificate is replaced. `make soak SECS=600`; `make test` runs a short form of it.
//!
//! Every answer is checked, and berth's own counts against what was asked. Memory must not grow
//! after the warm-up. It ends with a summary, and with 1 when anything was not as it had to be.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a run that can't go on ends with a message, and a person reads how it went"
)]

#[path = "../apiserver/mod.rs"]
#[expect(dead_code, reason = "the integration tests use the rest")]
mod apiserver;
mod calls;
mod churn;
mod client;
#[path = "../it/ovn_lab.rs"]
#[expect(dead_code, reason = "the integration tests use the rest")]
mod ovn_lab;
#[path = "../it/process.rs"]
#[expect(dead_code, reason = "the integration tests use the rest")]
mod process;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "the integration tests use the rest")]
mod support;
mod tally;
#[path = "../../benches/shared/tls.rs"]
mod tls;
#[path = "../it/tools.rs"]
mod tools;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use calls::Call;
use churn::{Certificates, Cluster, Southbound};
use client::Client;
use process::{Served, get};
use tally::{Tally, series};

/// How long it takes unless told otherwise, in seconds.
const SECS: u64 = 60;

/// Connections that ask at the same time.
const CLIENTS: usize = 6;

/// By how much memory may grow after the warm-up, in MiB: what allocators and a fuller cache of
/// sessions make of it, and far less than a leak of a few bytes a request comes to.
const GROWTH: f64 = 24.0;

/// The part of the run that is warm-up.
const WARM_UP: f64 = 0.25;

const CONFIG: &str = "tls: {reloadInterval: 200ms}\nlimits: {admissionBody: 1Mi, handlerTimeout: 30s}\nlease: {leaderElection: Always}\n";

fn main() -> ExitCode {
    let secs = std::env::var("BERTH_SOAK_SECS").map_or(SECS, |secs| {
        secs.parse().expect("BERTH_SOAK_SECS in seconds")
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let tally = runtime.block_on(soak(Duration::from_secs(secs)));
    tally.print();
    if tally.problems().is_empty() {
        println!("\nsoak: everything was as it had to be");
        ExitCode::SUCCESS
    } else {
        println!("\nsoak: it was not as it had to be");
        ExitCode::FAILURE
    }
}

async fn soak(time: Duration) -> Tally {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start();
    let southbound = Southbound::start(dir.path());
    let config = dir.path().join("berth.yaml");
    std::fs::write(&config, CONFIG).unwrap();
    let kubeconfig = cluster.kubeconfig(dir.path());
    let mut flags = vec![
        "--config".to_owned(),
        config.display().to_string(),
        "--kubeconfig".to_owned(),
        kubeconfig.display().to_string(),
    ];
    if let Some(southbound) = &southbound {
        flags.extend(["--ovn-sb".to_owned(), southbound.endpoint()]);
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let served = Served::start_on(&flags);
    until_ready(&served).await;
    let mut certificates = Certificates::of(&served, dir.path());

    let tally = Arc::new(Tally::default());
    let calls = Arc::new(Call::all());
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = Client::new(served.https, certificates.bundle(), number);
            tokio::spawn(ask(
                client,
                number,
                Arc::clone(&calls),
                Arc::clone(&tally),
                Arc::clone(&stop),
            ))
        })
        .collect();
    let churns = [
        tokio::task::spawn_blocking({
            let (stop, tally) = (Arc::clone(&stop), Arc::clone(&tally));
            move || cluster.churn(&stop, &tally)
        }),
        tokio::task::spawn_blocking({
            let (stop, tally) = (Arc::clone(&stop), Arc::clone(&tally));
            move || {
                if let Some(southbound) = southbound {
                    southbound.churn(&stop, &tally);
                }
            }
        }),
    ];

    let begun = Instant::now();
    while begun.elapsed() < time {
        tokio::time::sleep(Duration::from_secs(1)).await;
        certificates.replace(&tally).await;
        let is_warm = begun.elapsed() > time.mul_f64(WARM_UP);
        let (_, metrics) = get(served.admin, "/metrics");
        tally.memory(is_warm, series(&metrics, "process_resident_memory_bytes"));
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    for churn in churns {
        churn.await.unwrap();
    }
    tally.compare(&served).await;
    tally.bound_growth(GROWTH);
    Arc::into_inner(tally).expect("all tasks have ended")
}

async fn until_ready(served: &Served) {
    let begun = Instant::now();
    while get(served.admin, "/readyz").0 != 200 {
        assert!(begun.elapsed() < process::PATIENCE, "it never got ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asks everything in turn until told to stop, each client beginning at another place.
async fn ask(
    mut client: Client,
    number: usize,
    calls: Arc<Vec<Call>>,
    tally: Arc<Tally>,
    stop: Arc<AtomicBool>,
) {
    let mut next = number * calls.len() / CLIENTS;
    while !stop.load(Ordering::Relaxed) {
        let call = &calls[next % calls.len()];
        next += 1;
        let answer = client.ask(call).await;
        tally.answered(call, answer);
    }
}

//! `berth demo`: the real service on a captured cluster, spoken to over HTTPS with requests that a
//! real kube-apiserver and kube-scheduler sent, with every answer checked.

mod client;
mod play;
mod steps;
mod table;

use std::fmt::{Display, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{fs, io};

use tokio::signal::unix::{SignalKind, signal};

use crate::app::{AppError, Cluster, Running};
use crate::cluster::ObjectKind;
use crate::cluster::file::{self, FormatError};
use crate::config::{Config, ListenAddress, Log, LogLevel, Span};
use crate::demo::client::Client;
use crate::demo::play::Answer;
use crate::demo::steps::{CLUSTER, Call, Step};
use crate::pki::change::{Change, IssueReason};
use crate::pki::contents::{self, Part};
use crate::pki::decide::CertificatePolicy;
use crate::pki::issue::{IssueError, carry_out};
use crate::pki::state::State;
use crate::telemetry;
use crate::tls::HostName;

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The sample cluster can't be read: a defect.
    #[error("the sample cluster: {0}")]
    Sample(#[from] FormatError),
    /// No certificate could be made.
    #[error("certificates: {0}")]
    Certificates(#[from] IssueError),
    /// A file could not be written.
    #[error("the demo's own files: {0}")]
    Files(#[source] io::Error),
    /// The service did not start.
    #[error(transparent)]
    App(#[from] AppError),
    /// The service could not be asked.
    #[error("{request}: {problem}")]
    Call {
        /// What was asked.
        request: String,
        /// What went wrong.
        problem: String,
    },
    /// Some answers were not the expected ones.
    #[error("{0} answers were not what they should be")]
    Unexpected(usize),
}

impl DemoError {
    fn call(method: &str, path: &str, problem: &impl Display) -> Self {
        Self::Call {
            request: format!("{method} {path}"),
            problem: problem.to_string(),
        }
    }
}

/// Runs the demo. `say` takes what is to be printed, piece by piece.
pub async fn run(keep: bool, say: impl FnMut(&str)) -> Result<(), DemoError> {
    play(&steps::all()?, keep, say).await
}

async fn play(steps: &[Step], keep: bool, mut say: impl FnMut(&str)) -> Result<(), DemoError> {
    telemetry::init(&Log {
        level: LogLevel::errors(),
        ..Log::default()
    })
    .map_err(AppError::System)?;
    let folder = tempfile::Builder::new()
        .prefix("berth-demo-")
        .tempdir()
        .map_err(DemoError::Files)?;
    issue_certificate(folder.path())?;
    let config = config(folder.path());
    let view = file::parse(CLUSTER, &config.network())?;
    let nodes = view.count(ObjectKind::Node);
    let vmis = view.count(ObjectKind::Vmi);
    let running = Running::start(config, Cluster::Snapshot(view)).await?;
    let client = Client::new(&running, folder.path().join(CA)).map_err(AppError::Tls)?;

    say(&format!(
        "berth {}: the service, on a cluster of {nodes} nodes and {vmis} VMs that was captured with a\n\
         real kube-apiserver, kube-scheduler and virt-controller, is asked over HTTPS what they asked.\n",
        env!("CARGO_PKG_VERSION"),
    ));
    let mut asked = 0;
    let mut wrong = 0;
    for (number, step) in steps.iter().enumerate() {
        let played = step.play(&client).await?;
        asked += played.answers.len();
        say(&format!("\n{}. {}", number + 1, played.text));
        for problem in played.answers.iter().filter_map(Answer::problem) {
            wrong += 1;
            say(&format!("   NOT AS EXPECTED: {problem}\n"));
        }
    }
    if wrong > 0 {
        say(&format!(
            "\n{wrong} of {asked} answers are not as expected.\n"
        ));
        running.shut_down().await;
        return Err(DemoError::Unexpected(wrong));
    }
    say(&format!("\nAll {asked} answers are as expected.\n"));
    if keep {
        say(&keep_text(&running, folder.path(), steps)?);
        ended_by_signal().await.map_err(DemoError::Files)?;
    } else {
        say("`berth demo --keep` leaves the service running, to be asked with curl.\n");
    }
    running.shut_down().await;
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM, after either of which the demo's files are removed.
async fn ended_by_signal() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

const CA: &str = Part::Bundle.name();
const CERT: &str = Part::Leaf.name();
const KEY: &str = Part::LeafKey.name();

/// Issues a certificate for loopback, and writes it with its CA for the service and curl.
fn issue_certificate(folder: &Path) -> Result<(), DemoError> {
    const DAY: Duration = Duration::from_hours(24);
    let names = [
        HostName::Dns("localhost".to_owned()),
        HostName::Ip(Ipv4Addr::LOCALHOST.into()),
        HostName::Ip(Ipv6Addr::LOCALHOST.into()),
    ];
    let policy = CertificatePolicy {
        names: names.into(),
        leaf_lifetime: DAY,
        ca_lifetime: DAY,
        jitter: 0.0,
    };
    let changes = [
        Change::MakeSigner(IssueReason::First),
        Change::IssueLeaf(IssueReason::First, policy.names.clone()),
    ];
    let state = carry_out(&changes, State::default(), &policy, SystemTime::now())?;
    let parts = contents::write(&state, None, "", "")
        .data
        .unwrap_or_default();
    for name in [CA, CERT, KEY] {
        let bytes = parts.get(name).map_or(&[][..], |bytes| &bytes.0);
        fs::write(folder.join(name), bytes).map_err(DemoError::Files)?;
    }
    Ok(())
}

fn config(folder: &Path) -> Config {
    let loopback = ListenAddress(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let mut config = Config {
        listen: Some(loopback),
        admin_listen: Some(loopback),
        ..Config::default()
    };
    config.tls.cert_file = Some(folder.join(CERT));
    config.tls.key_file = Some(folder.join(KEY));
    // No Service routes to the demo, so shutdown need not wait for endpoints to change.
    config.shutdown.delay = Span(Duration::from_millis(1));
    config
}

/// The curl commands, with the requests as files.
fn keep_text(running: &Running, folder: &Path, steps: &[Step]) -> Result<String, DemoError> {
    let Running { https, admin, .. } = running;
    let ca = folder.join(CA);
    let mut text = String::from("\nThe service goes on. Ask it yourself, in another terminal:\n\n");
    for Call { path, name, body } in steps.iter().flat_map(Step::calls) {
        let file = folder.join(format!("{name}.json"));
        fs::write(&file, body.as_bytes()).map_err(DemoError::Files)?;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "curl --cacert {} 'https://localhost:{}{path}' --data-binary @{}",
            ca.display(),
            https.port(),
            file.display()
        );
    }
    let _ = writeln!(
        text,
        "curl http://{admin}/readyz\ncurl http://{admin}/metrics\n\nCtrl-C ends it and removes {}.",
        folder.display()
    );
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::steps::Question;

    async fn output(steps: &[Step]) -> (String, Result<(), DemoError>) {
        let mut text = String::new();
        let result = play(steps, false, |piece| text.push_str(piece)).await;
        (text, result)
    }

    #[tokio::test]
    async fn every_answer_is_the_expected_one() {
        let (text, result) = output(&steps::all().unwrap()).await;
        assert!(result.is_ok(), "{text}");
        assert!(text.contains("answers are as expected"), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 130),
            "{text}"
        );
    }

    #[tokio::test]
    async fn one_wrong_answer_of_any_step_fails_the_demo() {
        let count = steps::all().unwrap().len();
        for broken in 0..count {
            let mut steps = steps::all().unwrap();
            *match &mut steps[broken].question {
                Question::Reviews(reviews) => &mut reviews[0].expected,
                Question::Filter(_, rows)
                | Question::Prioritize(_, rows)
                | Question::Admin(rows) => &mut rows[0].1,
                Question::UnknownVmi(_, expected) => expected,
            } = "something else";
            let (text, result) = output(&steps).await;
            assert!(
                matches!(result, Err(DemoError::Unexpected(1))),
                "step {broken}: {text}"
            );
            assert!(text.contains("NOT AS EXPECTED"), "{text}");
        }
    }
}

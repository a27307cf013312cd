//! `berth demo`: the real service on a captured cluster, spoken to over HTTPS with requests that a
//! real kube-apiserver and kube-scheduler sent, with every answer checked.

mod certificates;
mod client;
mod steps;
mod table;

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::app::{AppError, Cluster, Running};
use crate::cluster::ObjectKind;
use crate::cluster::file::{self, FormatError};
use crate::config::ListenAddress;
use crate::config::LogLevel;
use crate::config::Span;
use crate::config::{Config, Log};
use crate::demo::certificates::Certificates;
use crate::demo::client::Client;
use crate::demo::steps::{CLUSTER, Call, Step};
use crate::telemetry;

/// Why the demo did not come to its end, or came to a bad one.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The sample cluster can't be read: a defect.
    #[error("the sample cluster: {0}")]
    Sample(#[from] FormatError),
    /// No certificate could be made.
    #[error("certificates: {0}")]
    Certificates(#[from] rcgen::Error),
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

/// Runs the demo. `say` takes what is to be printed, piece by piece.
pub async fn run(keep: bool, say: impl FnMut(&str)) -> Result<(), DemoError> {
    play(&steps::all(), keep, say).await
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
    let certificates = Certificates::make()?;
    let config = certificates
        .write(folder.path())
        .map_err(DemoError::Files)?;
    let view = file::parse(CLUSTER, &config.network())?;
    let nodes = view.count(ObjectKind::Node);
    let vmis = view.count(ObjectKind::Vmi);
    let running = Running::start(config, Cluster::Snapshot(view)).await?;
    let client = Client::new(&running, &certificates);

    say(&format!(
        "berth {}: the service, on a cluster of {nodes} nodes and {vmis} VMs that was captured with a\n\
         real kube-apiserver, kube-scheduler and virt-controller, is asked over HTTPS what they asked.\n",
        env!("CARGO_PKG_VERSION"),
    ));
    let mut asked = 0;
    let mut wrong = 0;
    for (number, step) in steps.iter().enumerate() {
        let played = step.play(&client).await?;
        asked += played.asked;
        wrong += played.unexpected.len();
        say(&format!("\n{}. {}", number + 1, played.text));
        for problem in played.unexpected {
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

impl Certificates {
    /// Writes what the service and curl need, and gives the configuration that uses it.
    fn write(&self, folder: &Path) -> io::Result<Config> {
        let write = |name: &str, contents: &str| {
            let path = folder.join(name);
            std::fs::write(&path, contents)?;
            Ok::<_, io::Error>(path)
        };
        write("ca.crt", &self.ca)?;
        let loopback = ListenAddress(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let mut config = Config {
            listen: Some(loopback),
            admin_listen: Some(loopback),
            ..Config::default()
        };
        config.tls.cert_file = Some(write("tls.crt", &self.cert)?);
        config.tls.key_file = Some(write("tls.key", &self.key)?);
        // No Service routes to the demo, so shutdown need not wait for endpoints to change.
        config.shutdown.delay = Span(Duration::from_millis(1));
        Ok(config)
    }
}

/// The curl commands, with the requests as files.
fn keep_text(running: &Running, folder: &Path, steps: &[Step]) -> Result<String, DemoError> {
    let Running { https, admin, .. } = running;
    let ca = folder.join("ca.crt");
    let mut text = String::from("\nThe service goes on. Ask it yourself, in another terminal:\n\n");
    let mut seen = Vec::new();
    let requests: Vec<_> = steps.iter().map(Step::requests).collect::<Result<_, _>>()?;
    for Call { path, name, body } in requests.into_iter().flatten() {
        if seen.contains(&name) {
            continue;
        }
        let file = folder.join(format!("{name}.json"));
        std::fs::write(&file, body.as_bytes()).map_err(DemoError::Files)?;
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "curl --cacert {} 'https://localhost:{}{path}' --data-binary @{}",
            ca.display(),
            https.port(),
            file.display()
        );
        seen.push(name);
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
    use crate::demo::steps::Expected;

    async fn output(steps: &[Step]) -> (String, Result<(), DemoError>) {
        let mut text = String::new();
        let result = play(steps, false, |piece| text.push_str(piece)).await;
        (text, result)
    }

    #[tokio::test]
    async fn every_answer_is_the_expected_one() {
        let (text, result) = output(&steps::all()).await;
        assert!(result.is_ok(), "{text}");
        assert!(text.contains("answers are as expected"), "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 130),
            "{text}"
        );
    }

    #[tokio::test]
    async fn one_wrong_answer_of_any_step_fails_the_demo() {
        let count = steps::all().len();
        for broken in 0..count {
            let mut steps = steps::all();
            match &mut steps[broken] {
                Step::Reviews(reviews) => reviews.rows[0].expected = Expected::Untouched,
                Step::Filter(filter) => filter.expected[0].1 = "something else",
                Step::Prioritize(prioritize) => prioritize.expected[0].1 = 3,
                Step::Unknown(unknown) => unknown.expected = "something else",
                Step::Operations(operations) => operations.series[0].1 = "99",
            }
            let (text, result) = output(&steps).await;
            assert!(
                matches!(result, Err(DemoError::Unexpected(1))),
                "step {broken}: {text}"
            );
            assert!(text.contains("NOT AS EXPECTED"), "{text}");
        }
    }
}

//! What the leader says of the migrations that it observes: in the log, as metrics, and as Events, which
//! `kubectl describe` shows with the migration.

mod metrics;

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::PostParams;
use kube::core::Request;
use kube::{Client, Resource as _};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::api::fault::within;
use crate::api::{Cause, Fault};
use crate::continuity::history::Observed;
use crate::continuity::observer::Told;
use crate::decide::causes;
use crate::decide::continuity::detect::Finding;
use crate::decide::continuity::timeline::{News, Outcome, Stage};
use crate::failure_log::FailureLog;
use crate::text::shorten;

pub use metrics::Metrics;

/// How long the API server may take for an Event. Events are told one after another.
const TIMEOUT: Duration = Duration::from_secs(3);

/// What to do where RBAC does not allow it.
const RIGHTS: &str = "apply the component `southbound-probe` of berth's manifests, which allows to create events, or set continuity.mode: Off";

/// The longest message of an Event, in bytes (Kubernetes `pkg/apis/core/validation/events.go`).
const LONGEST_MESSAGE: usize = 1024;

/// An Event to write.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Note {
    kind: &'static str,
    namespace: String,
    name: String,
    uid: String,
    is_warning: bool,
    reason: String,
    message: String,
}

/// Says what is new.
pub struct Reporter {
    client: Client,
    told: Receiver<Told>,
    /// The same, for what does not wait for the API server.
    counted: Receiver<Told>,
    metrics: Metrics,
    failures: FailureLog<Cause>,
}

impl Reporter {
    /// A reporter of what is told from now on.
    #[must_use]
    pub fn new(client: Client, told: Receiver<Told>, metrics: Metrics) -> Self {
        let counted = told.resubscribe();
        Self {
            client,
            told,
            counted,
            metrics,
            failures: FailureLog::default(),
        }
    }

    /// Says what is told, until the future is dropped.
    pub async fn run(self) -> Infallible {
        let Self {
            client,
            mut told,
            mut counted,
            metrics,
            failures,
        } = self;
        let mut events = Events {
            client,
            metrics: metrics.clone(),
            failures,
        };
        let count = async {
            loop {
                let told = next(&mut counted).await;
                metrics.told(&told);
                log(&told);
            }
        };
        let write = async {
            loop {
                let told = next(&mut told).await;
                events.report(&told).await;
            }
        };
        tokio::select! {
            never = count => never,
            never = write => never,
        }
    }
}

/// What is told next.
async fn next(told: &mut Receiver<Told>) -> Told {
    loop {
        match told.recv().await {
            Ok(told) => return told,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(
                    missed,
                    "more happens to migrations than Events can be written"
                );
            }
            // The observer is gone, and berth is about to end.
            Err(RecvError::Closed) => pending().await,
        }
    }
}

/// Writes Events.
struct Events {
    client: Client,
    metrics: Metrics,
    failures: FailureLog<Cause>,
}

impl Events {
    async fn report(&mut self, told: &Told) {
        let Some(note) = note(told) else {
            return;
        };
        match within(TIMEOUT, self.write(&note)).await {
            Ok(()) => {
                self.metrics.event(true);
                if self.failures.clear() {
                    tracing::info!("Events can be written again");
                }
            }
            Err(fault) => self.failed(&fault),
        }
    }

    fn failed(&mut self, fault: &Fault) {
        self.metrics.event(false);
        if self.failures.record(fault.cause) {
            tracing::warn!(
                cause = fault.cause.name(),
                "an Event about a migration can't be written: {}",
                fault.with_remedy(RIGHTS)
            );
        }
    }

    async fn write(&self, note: &Note) -> kube::Result<()> {
        let body = serde_json::to_vec(&event(note, Timestamp::now()));
        let body = body.map_err(kube::Error::SerdeError)?;
        let url = Event::url_path(&(), Some(&note.namespace));
        let request = Request::new(url).create(&PostParams::default(), body);
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.client.request_text(request).await.map(drop)
    }
}

fn log(told: &Told) {
    match told {
        Told::Migration(observed, News::Found(finding)) => tracing::warn!(
            namespace = observed.namespace,
            vm = observed.vm,
            migration = observed.name,
            code = finding.cause.row().code,
            "the network of a migration: {}",
            finding.message
        ),
        Told::Migration(observed, News::Ended(outcome)) => tracing::info!(
            namespace = observed.namespace,
            vm = observed.vm,
            migration = observed.name,
            outcome = outcome.as_ref(),
            "the network of a migration is settled: {}",
            summary(observed)
        ),
        Told::Migration(observed, News::Reached(stage, _)) => tracing::debug!(
            namespace = observed.namespace,
            vm = observed.vm,
            migration = observed.name,
            "a stage of a migration: {}",
            stage.text()
        ),
        Told::Stale { vm, message, .. } => tracing::warn!(
            vm,
            code = causes::Cause::PairStale.row().code,
            "the network of a VM: {message}"
        ),
    }
}

/// The Event for this; `None` where there is none, as for what KubeVirt says itself.
fn note(told: &Told) -> Option<Note> {
    match told {
        Told::Migration(observed, News::Found(finding)) => {
            Some(note_of(observed, finding_note(finding), true))
        }
        Told::Migration(observed, News::Ended(outcome)) => {
            let (reason, is_warning) = match outcome {
                Outcome::Confirmed => ("CutoverConfirmed", false),
                Outcome::Unconfirmed => ("CutoverUnconfirmed", false),
                Outcome::Unobserved | Outcome::Failed => return None,
            };
            let text = (reason.to_owned(), summary(observed));
            Some(note_of(observed, text, is_warning))
        }
        Told::Migration(_, News::Reached(..)) => None,
        Told::Stale {
            vm,
            vmi_uid,
            message,
        } => {
            let (namespace, name) = vm.split_once('/')?;
            let cause = causes::Cause::PairStale;
            Some(Note {
                kind: "VirtualMachineInstance",
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                uid: vmi_uid.clone()?,
                is_warning: true,
                reason: cause.code_name().to_owned(),
                message: coded(cause, message),
            })
        }
    }
}

fn note_of(observed: &Observed, (reason, message): (String, String), is_warning: bool) -> Note {
    Note {
        kind: "VirtualMachineInstanceMigration",
        namespace: observed.namespace.clone(),
        name: observed.name.clone(),
        uid: observed.uid.clone(),
        is_warning,
        reason,
        message,
    }
}

fn finding_note(finding: &Finding) -> (String, String) {
    let reason = finding.cause.code_name().to_owned();
    (reason, coded(finding.cause, &finding.message))
}

fn coded(cause: causes::Cause, message: &str) -> String {
    let row = cause.row();
    format!("{} {}: {message}. {}", row.code, row.text, row.remedy)
}

/// A migration that has ended, in one line: from where to where, how long each stage took, and what went
/// wrong.
fn summary(observed: &Observed) -> String {
    let timeline = &observed.timeline;
    let node = |node: &Option<String>| node.clone().unwrap_or_else(|| "?".to_owned());
    let (source, target) = (node(&timeline.source), node(&timeline.target));
    let created = timeline.mark(Stage::Created).map(|mark| mark.at);
    let stages = timeline.reached().into_iter();
    let stages = stages.filter(|(stage, _)| *stage != Stage::Created);
    let stages = stages.map(|(stage, mark)| {
        let after = created.map(|created| mark.at.saturating_sub(created));
        let after = after.unwrap_or_default().as_secs_f64();
        let before = if mark.or_before { "at most " } else { "" };
        format!("{} {before}{after:.1} s", stage.text())
    });
    let stages: Vec<_> = stages.collect();
    let codes = timeline.findings.iter();
    let codes: Vec<_> = codes.map(|finding| finding.cause.row().code).collect();
    let found = if codes.is_empty() {
        String::new()
    } else {
        format!("; {}", codes.join(", "))
    };
    format!("{source} to {target}: {}{found}", stages.join(", "))
}

/// What the name of an Event begins with: the object's name, as far as the API server leaves room for it.
fn generate_name(name: &str) -> String {
    let name: String = name.chars().take(200).collect();
    format!("{}-", name.trim_end_matches(['.', '-']))
}

fn event(note: &Note, now: Timestamp) -> Event {
    let kind = note.kind;
    Event {
        metadata: ObjectMeta {
            generate_name: Some(generate_name(&note.name)),
            namespace: Some(note.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("kubevirt.io/v1".to_owned()),
            kind: Some(kind.to_owned()),
            namespace: Some(note.namespace.clone()),
            name: Some(note.name.clone()),
            uid: Some(note.uid.clone()),
            ..ObjectReference::default()
        },
        type_: Some(if note.is_warning { "Warning" } else { "Normal" }.to_owned()),
        reason: Some(note.reason.clone()),
        message: Some(shorten(&note.message, LONGEST_MESSAGE)),
        source: Some(EventSource {
            component: Some("berth".to_owned()),
            host: None,
        }),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests;

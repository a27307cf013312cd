//! Timelines as JSON, for `GET /migrations` and `berth watch -o json`.

use std::time::Duration;

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::config::API_VERSION;
use crate::continuity::history::{History, Observed};
use crate::decide::continuity::timeline::Stage;
use crate::domain::UnixTime;

/// All timelines that are kept.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineList {
    /// `berth.dev/v1alpha1`.
    pub api_version: String,
    /// `MigrationTimelineList`.
    pub kind: String,
    /// The migrations that are under way.
    pub under_way: Vec<MigrationTimeline>,
    /// The last 100 that have ended, the latest first.
    pub ended: Vec<MigrationTimeline>,
}

/// The timeline of one migration.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MigrationTimeline {
    /// The namespace of the migration and of its VM.
    pub namespace: String,
    /// The name of the `VirtualMachineInstanceMigration`.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The name of the VM.
    pub vm: String,
    /// How far KubeVirt was last (`status.phase`).
    pub phase: String,
    /// The node that the VM came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The node that it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Who wrote the pair of chassis to the VM's ports: `berth` or `other`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair_written_by: Option<String>,
    /// What is waited for, while it is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// How it ended: `confirmed`, `unconfirmed`, `unobserved` or `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// The stages that it has reached, by their time.
    pub stages: Vec<ReachedStage>,
    /// What went wrong, in the order in which it was seen.
    pub findings: Vec<TimelineFinding>,
}

/// A stage that was reached.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReachedStage {
    /// Its name.
    pub stage: String,
    /// When it was reached.
    pub at: String,
    /// It was reached at this time or before: berth saw the migration only then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub or_before: bool,
    /// How many seconds after the migration was created.
    pub seconds: f64,
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TimelineFinding {
    /// Its code.
    pub code: String,
    /// The name of the code.
    pub name: String,
    /// When it was seen.
    pub at: String,
    /// How it showed.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl From<&History> for TimelineList {
    fn from(history: &History) -> Self {
        let (under_way, ended) = history.all();
        let timelines = |of: &[Observed]| of.iter().map(MigrationTimeline::from).collect();
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "MigrationTimelineList".to_owned(),
            under_way: timelines(&under_way),
            ended: timelines(&ended),
        }
    }
}

impl From<&Observed> for MigrationTimeline {
    fn from(observed: &Observed) -> Self {
        let timeline = &observed.timeline;
        let created = timeline.mark(Stage::Created).map(|mark| mark.at);
        let stages = timeline
            .reached()
            .into_iter()
            .map(|(stage, mark)| ReachedStage {
                stage: stage.as_ref().to_owned(),
                at: rfc3339(mark.at),
                or_before: mark.or_before,
                seconds: seconds(mark.at.saturating_sub(created.unwrap_or(mark.at))),
            });
        let findings = timeline.findings.iter().map(|finding| TimelineFinding {
            code: finding.cause.row().code.to_owned(),
            name: finding.cause.code_name().to_owned(),
            at: rfc3339(finding.at),
            message: finding.message.clone(),
            remedy: finding.cause.row().remedy.to_owned(),
        });
        Self {
            namespace: observed.namespace.clone(),
            name: observed.name.clone(),
            uid: observed.uid.clone(),
            vm: observed.vm.clone(),
            phase: timeline.phase.name().to_owned(),
            source: timeline.source.clone(),
            target: timeline.target.clone(),
            pair_written_by: timeline.writer.map(|writer| writer.as_ref().to_owned()),
            waiting_for: timeline.next().map(|stage| stage.awaited().to_owned()),
            outcome: timeline.outcome.map(|outcome| outcome.as_ref().to_owned()),
            stages: stages.collect(),
            findings: findings.collect(),
        }
    }
}

/// Seconds with three digits.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// The time in RFC 3339, with milliseconds.
pub(crate) fn rfc3339(time: UnixTime) -> String {
    let time = SignedDuration::try_from(time).ok();
    let time = time.and_then(|time| Timestamp::from_duration(time).ok());
    time.unwrap_or_default()
        .strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        .to_string()
}

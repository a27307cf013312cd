//! What was found of an installation, in the shape in which it is printed as JSON and YAML.

use schemars::JsonSchema;
use serde::Serialize;

use super::line::Line;
use crate::check::report::API_VERSION;
use crate::decide::checks::Severity;
use crate::decide::codes::Code;

/// A report of `berth check --install` or `--pre`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstallationReport {
    /// `berth.dev/v1alpha1`.
    pub api_version: String,
    /// `InstallationReport`.
    pub kind: String,
    /// How many checks came to what.
    pub summary: Summary,
    /// The checks, in the order in which they are shown.
    pub checks: Vec<Checked>,
}

/// How many checks came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Summary {
    /// Nothing is wrong.
    pub ok: usize,
    /// Something is to be mended.
    pub warning: usize,
    /// berth does not work, or not wholly.
    pub error: usize,
    /// It is good to know.
    pub info: usize,
    /// The check could not be made.
    pub unchecked: usize,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// `cluster`, `installing`, `replicas`, `certificates`, `injection` or `scheduler`.
    pub topic: &'static str,
    /// `ok`, `warning`, `error`, `info` or `unchecked`.
    pub result: &'static str,
    /// What was found, in one line.
    pub message: String,
    /// What it is, unless nothing is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<Found>,
}

/// What a code says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Found {
    /// `BRT` and four digits.
    pub code: &'static str,
    /// The name of the code.
    pub name: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// The section about it in the documentation.
    pub docs: String,
}

impl InstallationReport {
    /// A report of these lines.
    pub(super) fn new(lines: Vec<Line>) -> Self {
        let checks: Vec<Checked> = lines.into_iter().map(Checked::from).collect();
        let mut summary = Summary::default();
        for check in &checks {
            *match check.result {
                "ok" => &mut summary.ok,
                "warning" => &mut summary.warning,
                "error" => &mut summary.error,
                "info" => &mut summary.info,
                _ => &mut summary.unchecked,
            } += 1;
        }
        Self {
            api_version: API_VERSION.to_owned(),
            kind: "InstallationReport".to_owned(),
            summary,
            checks,
        }
    }
}

impl From<Line> for Checked {
    fn from(line: Line) -> Self {
        let severity = line.code.map(Code::severity);
        Self {
            topic: line.topic.into(),
            result: severity.map_or("ok", Severity::into),
            message: line.message,
            finding: line.code.map(|code| Found {
                code: code.id(),
                name: code.name(),
                remedy: code.remedy(),
                docs: code.docs(),
            }),
        }
    }
}

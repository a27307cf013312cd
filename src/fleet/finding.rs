//! What was found of one object, and what it comes to.

use schemars::JsonSchema;
use serde::Serialize;
use strum::{Display, IntoStaticStr};

use crate::decide::causes::Cause;
use crate::decide::checks::Severity;
use crate::decide::codes::Code;
use crate::text::{LONGEST_TEXT, shorten};

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding<'f> {
    /// What it is.
    pub code: Code,
    /// What was found, in one line.
    pub message: String,
    /// The nodes that it is about; empty where it is about the object as a whole.
    pub nodes: Vec<&'f str>,
}

/// A finding, as it is printed as JSON and YAML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Found<'a> {
    /// `BRT` and four digits.
    pub code: &'a str,
    /// The name of the code.
    pub name: &'a str,
    /// `error`, `warning`, `info` or `unchecked`.
    pub severity: &'a str,
    /// What was found, in one line.
    pub message: String,
    /// What to do about it.
    pub remedy: &'a str,
    /// The nodes that it is about; empty where it is about the object as a whole.
    pub nodes: Vec<&'a str>,
}

impl Finding<'_> {
    /// A cause that is about the object as a whole. `detail` says of what; it may be empty.
    #[must_use]
    pub fn of(cause: Cause, detail: &str) -> Self {
        Self {
            code: Code::Cause(cause),
            message: message(cause.row().text, detail),
            nodes: Vec::new(),
        }
    }

    /// How much it matters.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Whether it is this cause.
    #[must_use]
    pub fn is(&self, cause: Cause) -> bool {
        self.code == Code::Cause(cause)
    }

    /// Whether it is against this node, although the target pod of a migration is there already. Then it does not
    /// matter what kube-scheduler looked at when it placed the pod, and what the node lacks may be what the pod has.
    #[must_use]
    pub fn is_against_arrival(&self, node: &str) -> bool {
        let of_placement = [
            Cause::Cordoned,
            Cause::Drained,
            Cause::Taint,
            Cause::InsufficientResources,
            Cause::PodAffinity,
        ];
        self.nodes.contains(&node)
            && self.severity() == Severity::Error
            && !of_placement.into_iter().any(|cause| self.is(cause))
    }

    /// Whether it says that something was not read which has to be known of a VM. Of what berth never looks
    /// at, it says so too, and judges the VM all the same.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        [Cause::NoSourcePod, Cause::NetworkNotJudged, Cause::NotRead]
            .into_iter()
            .any(|cause| self.is(cause))
    }
}

/// A text with what it is about, which is escaped and shortened: it comes from the cluster.
#[must_use]
pub fn message(text: &str, detail: &str) -> String {
    if detail.is_empty() {
        return text.to_owned();
    }
    format!("{text}: {}", shorten(detail, LONGEST_TEXT))
}

/// What the findings of an object come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Display, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Verdict {
    /// It can migrate.
    Ok,
    /// It can, and something is to be mended.
    Warning,
    /// It can't migrate.
    Blocked,
    /// It could not be judged.
    Unknown,
}

impl Verdict {
    /// What the findings about an object come to. Errors of single nodes do not count, because others may
    /// fit. An error counts whatever was not read.
    #[must_use]
    pub fn of(findings: &[Finding<'_>]) -> Self {
        let has = |severity| findings.iter().any(|found| found.severity() == severity);
        let mut of_object = findings.iter().filter(|found| found.nodes.is_empty());
        if of_object.any(|found| found.severity() == Severity::Error) {
            Self::Blocked
        } else if findings.iter().any(Finding::is_gap) {
            Self::Unknown
        } else if has(Severity::Warning) {
            Self::Warning
        } else {
            Self::Ok
        }
    }
}

/// How many VMs got which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Summary {
    /// They can migrate.
    pub ok: usize,
    /// They can, and something is to be mended.
    pub warning: usize,
    /// They can't.
    pub blocked: usize,
    /// They could not be judged.
    pub unknown: usize,
}

impl Summary {
    /// Counts a verdict by its name.
    pub fn add(&mut self, verdict: &str) {
        *match verdict {
            "ok" => &mut self.ok,
            "warning" => &mut self.warning,
            "blocked" => &mut self.blocked,
            _ => &mut self.unknown,
        } += 1;
    }
}

impl<'a> From<&Finding<'a>> for Found<'a> {
    fn from(finding: &Finding<'a>) -> Self {
        let Finding {
            code,
            message,
            nodes,
        } = finding;
        Self {
            code: code.id(),
            name: code.name(),
            severity: code.severity().into(),
            message: message.clone(),
            remedy: code.remedy(),
            nodes: nodes.clone(),
        }
    }
}

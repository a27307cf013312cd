//! One line of a check: a requirement, and what came of it.

use crate::api::Fault;
use crate::decide::causes::Cause;
use crate::decide::codes::Code;
use crate::decide::requirements::{Requirement, Topic};
use crate::fleet::finding::{Finding, message};

/// What the API server says to a question, or why it does not answer.
pub(super) type Asked<T> = Result<T, Fault>;

/// What came of one requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// What it is about.
    pub(super) topic: Topic,
    /// What is wrong; `None` if nothing is.
    pub(super) code: Option<Code>,
    /// What was found, in one line.
    pub(super) message: String,
}

impl Line {
    /// The requirement is met. `detail` says by what; it may be empty.
    pub(super) fn met(requirement: Requirement, detail: &str) -> Self {
        Self {
            topic: requirement.row().topic,
            code: None,
            message: message(requirement.row().met, detail),
        }
    }

    /// The requirement is not met. `detail` says by what; it may be empty.
    pub(super) fn unmet(requirement: Requirement, detail: &str) -> Self {
        Self {
            topic: requirement.row().topic,
            code: Some(Code::Requirement(requirement)),
            message: message(requirement.row().text, detail),
        }
    }

    /// The requirement is met, or not, by the same thing.
    pub(super) fn of(is_met: bool, requirement: Requirement, detail: &str) -> Self {
        if is_met {
            Self::met(requirement, detail)
        } else {
            Self::unmet(requirement, detail)
        }
    }

    /// Whether the requirement is met is not known.
    pub(super) fn unknown(requirement: Requirement, why: &str) -> Self {
        let detail = format!("{}: {why}", requirement.row().met);
        Self {
            topic: requirement.row().topic,
            code: Some(Code::Cause(Cause::InstallationNotChecked)),
            message: message("not checked whether", &detail).replacen(": ", " ", 1),
        }
    }

    /// The API server does not answer, or refuses.
    pub(super) fn unanswered(requirement: Requirement, fault: &Fault) -> Self {
        Self::unknown(requirement, &fault.to_string())
    }

    /// A known bug of a release that runs.
    pub(super) fn bug(finding: Finding<'_>) -> Self {
        Self {
            topic: Topic::Cluster,
            code: Some(finding.code),
            message: finding.message,
        }
    }
}

/// What the answer is, or the line that says why there is none.
pub(super) fn answered<T>(asked: &Asked<T>, requirement: Requirement) -> Result<&T, Line> {
    asked
        .as_ref()
        .map_err(|fault| Line::unanswered(requirement, fault))
}

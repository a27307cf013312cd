//! The admission verdict: may this migration be created, and what is its author told? Only a migration
//! that no node can take, as far as berth's checks see, is warned about or refused.

use std::fmt::Display;

use strum::{IntoStaticStr, VariantArray};

use crate::decide::causes::Cause;
use crate::decide::checks::Check;
use crate::decide::evaluate::VerdictCounts;
use crate::decide::inject::Operation;
use crate::decide::policy::MigrationAdmission;

/// The most reasons that a verdict gives.
const MOST_REASONS: usize = 3;

/// What the verdict needs of the migration under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// The name of the VMI that is to migrate, where one is given.
    pub vmi_name: Option<&'a str>,
    /// It leads from or to another VMI, perhaps of another cluster.
    pub is_decentralized: bool,
    /// KubeVirt makes it for an evacuation or a workload update.
    pub is_automatic: bool,
}

/// What came of a review. The names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// Several nodes can take the VM.
    Allowed,
    /// One node can, or none, and the migration is allowed.
    Warned,
    /// No node can, and the migration is refused.
    Denied,
    /// The VMI is not known or does not run, or nothing is known of nodes.
    NotJudged,
    /// Not the creation of a migration within the cluster, or the verdict is off.
    Ignored,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in metric labels and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The verdict on a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What came of it; only [`Outcome::Denied`] refuses the migration.
    pub outcome: Outcome,
    /// What to tell its author, one finding in each line.
    pub lines: Vec<String>,
}

impl Decision {
    /// A verdict with nothing to say.
    #[must_use]
    pub const fn silent(outcome: Outcome) -> Self {
        Self {
            outcome,
            lines: Vec::new(),
        }
    }
}

/// Whether a review is passed over before the object is read.
#[must_use]
pub fn is_ignored(
    admission: MigrationAdmission,
    operation: Operation,
    is_migration: bool,
    is_subresource: bool,
) -> bool {
    admission == MigrationAdmission::Off
        || operation != Operation::Create
        || !is_migration
        || is_subresource
}

/// Whether a migration that no node can take may be refused. KubeVirt's controllers make theirs again
/// after a refusal, in a loop.
#[must_use]
pub fn may_refuse(admission: MigrationAdmission, subject: &Subject<'_>, username: &str) -> bool {
    admission == MigrationAdmission::Deny
        && !subject.is_automatic
        && !is_kubevirt_controller(username)
}

/// Whether a user is a service account of KubeVirt (KubeVirt
/// `pkg/virt-operator/resource/generate/components/serviceaccountnames.go`) that makes migrations by itself.
/// virt-api does not: it makes those that users ask for with `virtctl migrate`.
fn is_kubevirt_controller(username: &str) -> bool {
    let account = username.strip_prefix("system:serviceaccount:");
    let name = account.and_then(|account| account.split_once(':'));
    name.is_some_and(|(_, name)| name.starts_with("kubevirt-") && name != "kubevirt-apiserver")
}

/// The labels that a migration adds to what its target's node has to have (`spec.addedNodeSelector`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added<'a> {
    /// The labels, as `KEY=VALUE,KEY=VALUE`.
    pub labels: &'a str,
    /// The nodes that pass all checks and have them.
    pub passed: u64,
    /// All nodes that do not have them.
    pub lacking: u64,
}

/// The verdict on the migration of a VM for which all nodes were evaluated. Labels that the migration adds never
/// refuse it: the selector of the VM comes before them, and is not known here.
#[must_use]
pub fn decide(
    counts: &VerdictCounts,
    added: Option<Added<'_>>,
    vm: impl Display,
    machine_type: Option<&str>,
    may_refuse: bool,
) -> Decision {
    let rejected = counts.rejected();
    let total = counts.passed + rejected;
    let nodes = in_words(total);
    // Where no node passes the checks, the labels change nothing.
    let added = added.filter(|added| added.passed < counts.passed);
    let passed = added.map_or(counts.passed, |added| added.passed);
    let line = |cause: Cause, text: String| {
        let code = cause.row().code;
        format!("{code} {}: {text}", cause.code_name())
    };
    let of_labels = added.map(|added| {
        let Added {
            labels, lacking, ..
        } = added;
        let text = Cause::NodeSelector.row().text;
        let text = format!("{text}: addedNodeSelector {labels} ({lacking} of {nodes})");
        line(Cause::NodeSelector, text)
    });
    match (passed, total) {
        (0, 0) => Decision::silent(Outcome::NotJudged),
        (0, _) => {
            let text = format!("none of {nodes} can take VM {vm}");
            let reasons = reasons(counts, machine_type, &nodes);
            // That the database is out of reach says nothing about the nodes.
            let is_known = counts.failed[Check::SouthboundOutOfReach as usize] == 0;
            Decision {
                outcome: if may_refuse && is_known && added.is_none() {
                    Outcome::Denied
                } else {
                    Outcome::Warned
                },
                lines: [line(Cause::NoTarget, text)]
                    .into_iter()
                    .chain(of_labels)
                    .chain(reasons)
                    .collect(),
            }
        }
        (1, _) => Decision {
            outcome: Outcome::Warned,
            lines: [line(
                Cause::OneTarget,
                format!("only 1 of {nodes} can take VM {vm}"),
            )]
            .into_iter()
            .chain(of_labels)
            .collect(),
        },
        _ => Decision::silent(Outcome::Allowed),
    }
}

/// The checks that most nodes fail, each with its text. The node that the VM leaves comes last, because
/// there always is one.
fn reasons(
    counts: &VerdictCounts,
    machine_type: Option<&str>,
    nodes: &str,
) -> impl Iterator<Item = String> {
    let failing = |check: Check| counts.failed[check as usize];
    let mut checks = Check::ALL.to_vec();
    checks.retain(|check| failing(*check) > 0);
    checks.sort_by_key(|check| {
        let is_source = *check == Check::MigrationSource;
        (is_source, u64::MAX - failing(*check))
    });
    checks.truncate(MOST_REASONS);
    checks.into_iter().map(move |check| {
        format!(
            "{} {}: {} ({} of {nodes})",
            check.row().code,
            check.code_name(),
            check.text(machine_type),
            failing(check)
        )
    })
}

fn in_words(nodes: u64) -> String {
    if nodes == 1 {
        "1 node".to_owned()
    } else {
        format!("{nodes} nodes")
    }
}

#[cfg(test)]
mod tests;

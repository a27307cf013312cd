//! What `berth annotate` found and did, for people and as JSON.

use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoStaticStr;

use crate::annotate::apply::Outcome;
use crate::annotate::objects::Lacks;
use crate::args::fleet::FailOn;
use crate::check::report::API_VERSION;
use crate::check::text::line;
use crate::decide::retrofit::Step;
use crate::fleet::finding::{Finding, Found};
use crate::layout::{Layout, columns, counts, plural, put_wrapped, shown_name};
use crate::wire::kubevirt::Kind;

/// How the objects were asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
pub enum Mode {
    /// The API server was asked what it would do.
    DryRun,
    /// They were patched.
    Apply,
    /// They are in a file.
    Snapshot,
}

/// A report of `berth annotate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnnotateReport<'a> {
    /// `berth.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `AnnotateReport`.
    pub kind: &'static str,
    /// `dryRun`, `apply` or `snapshot`.
    pub mode: &'static str,
    /// How many objects had which result.
    pub summary: Summary,
    /// The objects that lack the annotation.
    pub items: Vec<Item<'a>>,
    /// What could not be read.
    pub findings: Vec<Found<'a>>,
    /// Because of it, objects may be missing here.
    pub is_partial: bool,
}

/// How many objects had which result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// They can be patched.
    pub patchable: usize,
    /// They were patched.
    pub patched: usize,
    /// The API server refuses the patch.
    pub refused: usize,
    /// The API server did not answer, so that they may have been patched or not.
    pub unknown: usize,
    /// They are left as they are.
    pub left: usize,
    /// What has to be known of them could not be read.
    pub not_judged: usize,
    /// They were gone, or had the annotation, when the patch came.
    pub not_needed: usize,
    /// The API server was lost before.
    pub not_asked: usize,
}

/// An object that lacks the annotation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Item<'a> {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// `patchable`, `patched`, `refused`, `unknown`, `left`, `notJudged`, `notNeeded` or `notAsked`.
    pub result: &'static str,
    /// What happens next, or why nothing does.
    pub message: String,
    #[serde(skip)]
    short: &'static str,
}

/// What came of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "camelCase")]
enum Verdict {
    Patchable,
    Patched,
    Refused,
    Unknown,
    Left,
    NotJudged,
    NotNeeded,
    NotAsked,
}

impl<'a> AnnotateReport<'a> {
    /// A report on these objects, each with what came of its patch if one was sent.
    #[must_use]
    pub fn new(
        mode: Mode,
        objects: &[(&'a Lacks, Option<Outcome>)],
        findings: &'a [Finding<'a>],
        is_partial: bool,
    ) -> Self {
        let mut summary = Summary::default();
        let items = objects.iter().map(|(lacks, outcome)| {
            let (verdict, message) = came_of(mode, lacks.step, outcome.as_ref());
            *summary.of(verdict) += 1;
            Item {
                kind: lacks.kind.name(),
                namespace: &lacks.namespace,
                name: &lacks.name,
                result: verdict.into(),
                message,
                short: short(lacks.kind),
            }
        });
        let items = items.collect();
        Self {
            api_version: API_VERSION,
            kind: "AnnotateReport",
            mode: mode.into(),
            summary,
            items,
            findings: findings.iter().map(Found::from).collect(),
            is_partial,
        }
    }

    /// 0: nothing is to be done, or all is; 1: there is something to do; 2: a patch is refused; 3: an object
    /// could not be judged or may be missing, or the API server did not answer.
    #[must_use]
    pub fn exit_code(&self, fail_on: FailOn) -> u8 {
        let Summary {
            patchable,
            refused,
            unknown,
            not_judged,
            not_asked,
            ..
        } = self.summary;
        if unknown + not_judged + not_asked > 0 || self.is_partial {
            3
        } else if refused > 0 {
            2
        } else {
            u8::from(patchable > 0 && fail_on == FailOn::Warning)
        }
    }

    /// A row for each object, a line for each thing that could not be read, then the sum.
    #[must_use]
    pub fn text(&self, layout: Layout) -> String {
        let rows = self.items.iter().map(|item| {
            let (namespace, name) = (shown_name(item.namespace), shown_name(item.name));
            let object = format!("{}/{namespace}/{name}", item.short);
            vec![
                object,
                said(item.result, self.mode).to_owned(),
                item.message.clone(),
            ]
        });
        let mut out = String::new();
        if !self.items.is_empty() {
            out = columns(&[], rows, Some(layout.width));
        }
        for found in &self.findings {
            line(found, layout, &mut out);
        }
        put_wrapped(&self.sum(), 0, layout, &mut out);
        out
    }

    fn sum(&self) -> String {
        let verb = if self.items.len() == 1 {
            "lacks"
        } else {
            "lack"
        };
        let count = plural(self.items.len(), "object");
        let Summary {
            patchable,
            patched,
            refused,
            unknown,
            left,
            not_judged,
            not_needed,
            not_asked,
        } = self.summary;
        let parts = [
            (patchable, "can be patched"),
            (patched, "patched"),
            (refused, "refused"),
            (unknown, "unknown"),
            (left, "left"),
            (not_judged, "not judged"),
            (not_needed, "changed or gone"),
            (not_asked, "not asked"),
        ];
        let parts = counts(&parts);
        let next = match self.mode {
            "snapshot" => "; no cluster was asked",
            "dryRun" if patchable > 0 => "; nothing was changed, --apply patches",
            _ => "",
        };
        format!("{count} {verb} the annotation{parts}{next}")
    }
}

impl Summary {
    const fn of(&mut self, verdict: Verdict) -> &mut usize {
        match verdict {
            Verdict::Patchable => &mut self.patchable,
            Verdict::Patched => &mut self.patched,
            Verdict::Refused => &mut self.refused,
            Verdict::Unknown => &mut self.unknown,
            Verdict::Left => &mut self.left,
            Verdict::NotJudged => &mut self.not_judged,
            Verdict::NotNeeded => &mut self.not_needed,
            Verdict::NotAsked => &mut self.not_asked,
        }
    }
}

fn came_of(mode: Mode, step: Step, outcome: Option<&Outcome>) -> (Verdict, String) {
    let effect = match step {
        Step::Leave(reason) => return (Verdict::Left, reason.text().to_owned()),
        Step::Unknown(gap) => return (Verdict::NotJudged, gap.text().to_owned()),
        Step::Patch(effect) => effect.text().to_owned(),
    };
    match outcome {
        Some(Outcome::Done) if mode == Mode::Apply => (Verdict::Patched, effect),
        None | Some(Outcome::Done) => (Verdict::Patchable, effect),
        Some(Outcome::NotNeeded) => {
            let message = "another client annotated, changed or deleted it in the meantime";
            (Verdict::NotNeeded, message.to_owned())
        }
        Some(Outcome::Refused(why)) => (Verdict::Refused, why.clone()),
        Some(Outcome::Unanswered(why)) => {
            let what = if mode == Mode::Apply {
                "the annotation may have been added or not"
            } else {
                "nothing was changed"
            };
            let message = format!("{what}, run the command again: {why}");
            (Verdict::Unknown, message)
        }
        Some(Outcome::NotAsked) => {
            let message = "not changed: the API server failed before; run the command again";
            (Verdict::NotAsked, message.to_owned())
        }
    }
}

/// A result for people.
fn said<'r>(result: &'r str, mode: &str) -> &'r str {
    match result {
        "patchable" if mode == "snapshot" => "lacks it",
        "patchable" => "can patch",
        "notJudged" => "not judged",
        "notNeeded" => "not needed",
        "notAsked" => "not asked",
        result => result,
    }
}

/// The short name of a kind, as kubectl takes it.
const fn short(kind: Kind) -> &'static str {
    match kind {
        Kind::VirtualMachine => "vm",
        Kind::VirtualMachineInstance => "vmi",
        Kind::VirtualMachineInstanceReplicaSet => "vmirs",
        Kind::VirtualMachinePool => "vmpool",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::retrofit::{Effect, Gap, Reason};
    use crate::wire::patch::Anchor;

    const LAYOUT: Layout = Layout::plain("berth");

    fn mk_lacks(kind: Kind, step: Step) -> Lacks {
        Lacks {
            kind,
            namespace: "default".to_owned(),
            name: "web".to_owned(),
            step,
            version: "7".to_owned(),
            anchor: Anchor::Metadata,
        }
    }

    #[test]
    fn each_outcome_has_its_result_and_its_exit_code() {
        let patch = Step::Patch(Effect::AfterRestart);
        let refused = Outcome::Refused("no".to_owned());
        let late = Outcome::Unanswered("no answer within 30 s".to_owned());
        let unknown = Step::Unknown(Gap::LauncherPod);
        for (mode, step, outcome, result, code) in [
            (Mode::DryRun, patch, Some(Outcome::Done), "patchable", 1),
            (Mode::Apply, patch, Some(Outcome::Done), "patched", 0),
            (Mode::Snapshot, patch, None, "patchable", 1),
            (Mode::DryRun, patch, Some(refused.clone()), "refused", 2),
            (Mode::Apply, patch, Some(refused), "refused", 2),
            (Mode::Apply, patch, Some(Outcome::NotNeeded), "notNeeded", 0),
            (Mode::Apply, patch, Some(Outcome::NotAsked), "notAsked", 3),
            (Mode::Apply, patch, Some(late), "unknown", 3),
            (Mode::DryRun, Step::Leave(Reason::Pool), None, "left", 0),
            (Mode::Snapshot, unknown, None, "notJudged", 3),
        ] {
            let lacks = mk_lacks(Kind::VirtualMachine, step);
            let objects = [(&lacks, outcome)];
            let report = AnnotateReport::new(mode, &objects, &[], false);
            let results: Vec<&str> = report.items.iter().map(|item| item.result).collect();
            assert_eq!(results, [result]);
            assert_eq!(report.exit_code(FailOn::Warning), code, "{mode:?} {result}");
            let report = AnnotateReport::new(mode, &objects, &[], true);
            assert_eq!(report.exit_code(FailOn::Error), 3);
        }
    }

    #[test]
    fn something_to_do_is_no_failure_where_errors_alone_are() {
        let lacks = mk_lacks(Kind::VirtualMachine, Step::Patch(Effect::AtStart));
        let report = AnnotateReport::new(Mode::Snapshot, &[(&lacks, None)], &[], false);
        assert_eq!(report.exit_code(FailOn::Error), 0);
        assert_eq!(
            report.text(LAYOUT),
            "vm/default/web  lacks it  has an effect when the VM starts\n\
             1 object lacks the annotation: 1 can be patched; no cluster was asked\n"
        );
    }
}

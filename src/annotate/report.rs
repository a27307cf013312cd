//! What `berth annotate` found and did, for people and as JSON.

use schemars::JsonSchema;
use serde::Serialize;
use strum::IntoStaticStr;

use crate::annotate::apply::Outcome;
use crate::annotate::objects::Lacks;
use crate::args::fleet::FailOn;
use crate::check::report::API_VERSION;
use crate::check::text::{columns, counts, plural, put, shown_name};
use crate::decide::retrofit::Step;
use crate::text::{LONGEST_TEXT, shorten};
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
    /// What could not be read, so that objects may be missing here.
    pub unread: &'a [String],
    /// What else is to be known.
    pub notes: &'a [String],
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
    /// They are left as they are.
    pub left: usize,
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
    /// `patchable`, `patched`, `refused`, `left`, `notNeeded` or `notAsked`.
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
    Left,
    NotNeeded,
    NotAsked,
}

impl<'a> AnnotateReport<'a> {
    /// A report on these objects, each with what came of its patch if one was sent.
    #[must_use]
    pub fn new(
        mode: Mode,
        objects: &[(&'a Lacks, Option<Outcome>)],
        unread: &'a [String],
        notes: &'a [String],
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
            unread,
            notes,
        }
    }

    /// 0: nothing is to be done, or all is; 1: there is something to do; 2: a patch is refused; 3: something
    /// could not be read, or the API server was lost.
    #[must_use]
    pub fn exit_code(&self, fail_on: FailOn) -> u8 {
        let Summary {
            patchable,
            refused,
            not_asked,
            ..
        } = self.summary;
        if not_asked > 0 || !self.unread.is_empty() {
            3
        } else if refused > 0 {
            2
        } else {
            u8::from(patchable > 0 && fail_on == FailOn::Warning)
        }
    }

    /// A line for each object, then the sum.
    #[must_use]
    pub fn text(&self) -> String {
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
            out = columns(&[], rows, None);
        }
        for problem in self.unread.iter().chain(self.notes) {
            put(
                &mut out,
                format_args!("? {}\n", shorten(problem, LONGEST_TEXT)),
            );
        }
        out.push_str(&self.sum());
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
            left,
            not_needed,
            not_asked,
        } = self.summary;
        let parts = [
            (patchable, "can be patched"),
            (patched, "patched"),
            (refused, "refused"),
            (left, "left"),
            (not_needed, "changed or gone"),
            (not_asked, "not asked"),
        ];
        let parts = counts(&parts);
        let next = match self.mode {
            "snapshot" => "; no cluster was asked",
            "dryRun" if patchable > 0 => "; nothing was changed, --apply patches",
            _ => "",
        };
        format!("{count} {verb} the annotation{parts}{next}\n")
    }
}

impl Summary {
    const fn of(&mut self, verdict: Verdict) -> &mut usize {
        match verdict {
            Verdict::Patchable => &mut self.patchable,
            Verdict::Patched => &mut self.patched,
            Verdict::Refused => &mut self.refused,
            Verdict::Left => &mut self.left,
            Verdict::NotNeeded => &mut self.not_needed,
            Verdict::NotAsked => &mut self.not_asked,
        }
    }
}

fn came_of(mode: Mode, step: Step, outcome: Option<&Outcome>) -> (Verdict, String) {
    let effect = match step {
        Step::Leave(reason) => return (Verdict::Left, reason.text().to_owned()),
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
        Some(Outcome::NotAsked) => {
            let message = "the API server failed before; run the command again";
            (Verdict::NotAsked, message.to_owned())
        }
    }
}

/// A result for people.
fn said<'r>(result: &'r str, mode: &str) -> &'r str {
    match result {
        "patchable" if mode == "snapshot" => "lacks it",
        "patchable" => "can patch",
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
    use crate::decide::retrofit::{Effect, Reason};
    use crate::wire::patch::Anchor;

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
        for (mode, step, outcome, result, code) in [
            (Mode::DryRun, patch, Some(Outcome::Done), "patchable", 1),
            (Mode::Apply, patch, Some(Outcome::Done), "patched", 0),
            (Mode::Snapshot, patch, None, "patchable", 1),
            (Mode::DryRun, patch, Some(refused.clone()), "refused", 2),
            (Mode::Apply, patch, Some(refused), "refused", 2),
            (Mode::Apply, patch, Some(Outcome::NotNeeded), "notNeeded", 0),
            (Mode::Apply, patch, Some(Outcome::NotAsked), "notAsked", 3),
            (Mode::DryRun, Step::Leave(Reason::Pool), None, "left", 0),
        ] {
            let lacks = mk_lacks(Kind::VirtualMachine, step);
            let objects = [(&lacks, outcome)];
            let report = AnnotateReport::new(mode, &objects, &[], &[]);
            let results: Vec<&str> = report.items.iter().map(|item| item.result).collect();
            assert_eq!(results, [result]);
            assert_eq!(report.exit_code(FailOn::Warning), code, "{mode:?} {result}");
            let unread = ["x".to_owned()];
            let report = AnnotateReport::new(mode, &objects, &unread, &[]);
            assert_eq!(report.exit_code(FailOn::Error), 3);
        }
    }

    #[test]
    fn something_to_do_is_no_failure_where_errors_alone_are() {
        let lacks = mk_lacks(Kind::VirtualMachine, Step::Patch(Effect::AtStart));
        let report = AnnotateReport::new(Mode::Snapshot, &[(&lacks, None)], &[], &[]);
        assert_eq!(report.exit_code(FailOn::Error), 0);
        assert_eq!(
            report.text(),
            "vm/default/web  lacks it  has an effect when the VM starts\n\
             1 object lacks the annotation: 1 can be patched; no cluster was asked\n"
        );
    }
}

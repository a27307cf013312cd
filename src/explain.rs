//! `berth explain CODE`: what a code means and what to do about it, without a cluster. `berth explain
//! vm/NAME`: what is judged of a VM.

pub mod vm;

use serde::Serialize;

use crate::args::Explain;
use crate::check::named_vm;
use crate::check::output::print_plan;
use crate::check::report::API_VERSION;
use crate::check::suppress::no_code;
use crate::decide::codes::Code;
use crate::layout::{BOLD, Layout, PLAIN, put, put_paragraph, put_wrapped};

/// The codes that are explained, as they are printed as JSON and YAML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CodeExplanation {
    /// `berth.dev/v1alpha1`.
    pub api_version: &'static str,
    /// `CodeExplanation`.
    pub kind: &'static str,
    /// The code that is asked for, or all of them.
    pub items: Vec<ExplainedCode>,
}

/// A code with all that is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedCode {
    /// `BRT` and four digits.
    pub code: &'static str,
    /// The name of the code.
    pub name: &'static str,
    /// `error`, `warning`, `info` or `unchecked`.
    pub severity: &'static str,
    /// What is wrong, in a few words.
    pub text: String,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// More of a known bug.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub bug: Option<Bug>,
}

/// What is said of a known bug alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bug {
    /// How it shows.
    pub shows: &'static str,
    /// The releases that have it.
    pub affected: String,
    /// Where it is described.
    pub source: &'static str,
}

/// The text about a code or a VM, or the list of all codes.
///
/// # Errors
/// There is no such code or VM, or the cluster can't be read.
pub async fn run(args: &Explain, layout: Layout) -> Result<String, String> {
    let output = args.output.format;
    let code = match args.what.as_deref() {
        None => None,
        Some(what) => {
            if let Some((Some(kind), name)) = named_vm(what) {
                let explained = vm::run(args, kind, name, layout).await;
                return explained.map_err(|error| error.to_string());
            }
            Some(parse(what)?)
        }
    };
    let codes = code.map_or_else(|| Code::all().collect(), |code| vec![code]);
    let explanation = CodeExplanation {
        api_version: API_VERSION,
        kind: "CodeExplanation",
        items: codes.into_iter().map(explained).collect(),
    };
    Ok(print_plan(&explanation, output, || {
        match explanation.items.as_slice() {
            [item] => explanation_of(item, layout),
            items => list(items, layout),
        }
    }))
}

fn parse(what: &str) -> Result<Code, String> {
    Code::parse(what).ok_or_else(|| {
        let none = no_code(what);
        format!("{none}, and `berth explain vm/NAME` explains how a VM is judged")
    })
}

fn explained(code: Code) -> ExplainedCode {
    let bug = match code {
        Code::Advisory(advisory) => {
            let row = advisory.row();
            Some(Bug {
                shows: row.shows,
                affected: row.releases(),
                source: row.source,
            })
        }
        _ => None,
    };
    ExplainedCode {
        code: code.id(),
        name: code.name(),
        severity: code.severity().into(),
        text: code.text(Some("TYPE")).into_owned(),
        meaning: code.meaning(),
        remedy: code.remedy(),
        bug,
    }
}

/// A code for people.
fn explanation_of(item: &ExplainedCode, layout: Layout) -> String {
    let ExplainedCode {
        code,
        name,
        severity,
        text,
        meaning,
        remedy,
        bug,
    } = item;
    let mut out = String::new();
    put(
        &mut out,
        format_args!("{BOLD}{code} {name}{BOLD:#} ({severity})\n"),
    );
    let mut parts = vec![text.clone(), (*meaning).to_owned()];
    if let Some(bug) = bug {
        parts.push(format!("How it shows: {}", bug.shows));
    }
    parts.push(format!("What to do: {remedy}"));
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        put_paragraph(part, 0, PLAIN, layout, &mut out);
    }
    if let Some(Bug {
        affected, source, ..
    }) = bug
    {
        out.push('\n');
        put_paragraph(&format!("Affected: {affected}"), 0, PLAIN, layout, &mut out);
        put_paragraph(&format!("Source: {source}"), 0, PLAIN, layout, &mut out);
    }
    out
}

/// A line for each code.
fn list(items: &[ExplainedCode], layout: Layout) -> String {
    let mut out = String::new();
    for item in items {
        let ExplainedCode {
            code,
            severity,
            text,
            ..
        } = item;
        put(&mut out, format_args!("{code}  {severity:9}  "));
        if layout.breaks_rows {
            put_wrapped(text, 20, layout, &mut out);
        } else {
            put(&mut out, format_args!("{text}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_explained_and_without_one_all_are_listed() {
        let layout = Layout {
            width: 1000,
            ..Layout::plain("berth")
        };
        let text = |code: &str| explanation_of(&explained(parse(code).unwrap()), layout);
        let machine_type = text("machine_type");
        let title = format!("{BOLD}BRT0102 MachineType{BOLD:#} (error)\n");
        let expect = format!("{title}machine type TYPE not supported\n\n");
        assert!(machine_type.starts_with(&expect), "{machine_type}");
        assert!(machine_type.contains("\n\nWhat to do: Migrate to nodes"));
        let bug = text("0501");
        assert!(bug.contains("BRT0501 MachineTypeIgnored"), "{bug}");
        assert!(bug.ends_with(
            "\n\nAffected: KubeVirt before 1.5.1\nSource: https://github.com/kubevirt/kubevirt/issues/13664\n"
        ));
        let all: Vec<_> = Code::all().map(explained).collect();
        let list = list(&all, Layout::plain("berth"));
        assert_eq!(list.lines().count(), all.len());
        assert!(list.contains("\nBRT0910  unchecked  OVN's chassis are not judged\n"));
        let unknown = parse("x").unwrap_err();
        assert!(unknown.starts_with("there is no code \"x\"; "), "{unknown}");
    }
}

//! What `berth check` found, for people.

use std::collections::BTreeMap;

use crate::check::report::{CheckReport, Item};
use crate::decide::causes::Cause;
use crate::decide::checks::Check;
use crate::fleet::finding::{Found, Summary};
use crate::layout::{
    BOLD, DIM, GREEN, Layout, PLAIN, RED, YELLOW, columns, counts, plural, put, put_paragraph,
    put_wrapped, shown_name,
};

/// How many nodes of a finding are named where not all are asked for.
const NAMED_NODES: usize = 4;

/// The findings of each object, then what to do about each code that came up.
#[must_use]
pub fn table(report: &CheckReport<'_>, layout: Layout) -> String {
    let mut out = String::new();
    for one in &report.items {
        item(one, "", layout, &mut out);
    }
    let found = report.items.iter().map(|item| {
        let is_judged = item.verdict != "unknown";
        let is_stuck = !item.is_cluster() && item.targets.is_empty() && is_judged;
        (&*item.findings, is_stuck)
    });
    remedies(found, layout, &mut out);
    let totals = summary(report.summary) + &excused(report.suppressed);
    put_wrapped(&totals, 4, layout, &mut out);
    out
}

/// How many VMs of a total are as they are by findings alone that are suppressed.
pub(crate) fn excused(count: usize) -> String {
    match count {
        0 => String::new(),
        count => format!(" ({count} by suppressed findings alone)"),
    }
}

/// Whether one node is asked about, and cannot take the VM.
fn is_node_asked(findings: &[Found<'_>]) -> bool {
    let code = Cause::NodeDoesNotFit.row().code;
    findings.iter().any(|found| found.code == code)
}

/// Whether a finding says where the VM runs.
fn is_source(found: &Found<'_>) -> bool {
    found.code == Check::MigrationSource.row().code
}

/// A line for each VM: the verdict, its name, the number of targets, the codes.
#[must_use]
pub fn short(report: &CheckReport<'_>, layout: Layout) -> String {
    let vms = report.items.iter().filter(|item| !item.is_cluster());
    let rows = vms.map(|item| {
        let codes = codes_of(item);
        let name = vm(item.namespace, item.name);
        let node = item.node.map_or_else(|| "-".to_owned(), shown_name);
        let targets = item.targets.len().to_string();
        vec![name, node, item.verdict.to_owned(), targets, codes]
    });
    let width = layout.breaks_rows.then_some(layout.width);
    columns(&["VM", "NODE", "VERDICT", "TARGETS", "CODES"], rows, width)
}

/// The codes of a VM, and in brackets those that are suppressed and alone decide.
pub(crate) fn codes_of(item: &Item<'_>) -> String {
    let mut codes = codes(&item.findings);
    for code in &item.excuses {
        let space = if codes.is_empty() { "" } else { " " };
        put(&mut codes, format_args!("{space}({code})"));
    }
    codes
}

/// The codes of what was found of the VM as a whole, each once.
pub(crate) fn codes(findings: &[Found<'_>]) -> String {
    let mut codes: Vec<&str> = Vec::new();
    for found in findings {
        let is_of_vm = found.nodes.is_empty() || found.severity == "warning";
        if is_of_vm && !codes.contains(&found.code) {
            codes.push(found.code);
        }
    }
    codes.join(" ")
}

/// An object with its targets and findings, and an empty line. The heading ends with what becomes of it.
pub(crate) fn item(item: &Item<'_>, outcome: &str, layout: Layout, out: &mut String) {
    heading(item, outcome, out);
    if !item.is_cluster() {
        targets(item, layout, out);
    }
    for found in &item.findings {
        // The heading has said where the VM is, unless that node is asked about.
        if layout.is_wide || is_node_asked(&item.findings) || !is_source(found) {
            line(found, layout, out);
        }
    }
    out.push('\n');
}

fn heading(item: &Item<'_>, outcome: &str, out: &mut String) {
    let vm = vm(item.namespace, item.name);
    let place = match (&item.node, item.is_cluster()) {
        (_, true) => "the cluster".to_owned(),
        (Some(node), false) => format!("{vm} on {}", shown_name(node)),
        (None, false) => vm,
    };
    put(out, format_args!("{BOLD}{place}{outcome}{BOLD:#}\n"));
}

fn targets(item: &Item<'_>, layout: Layout, out: &mut String) {
    let can = if item.node.is_some() {
        "can migrate to"
    } else {
        "can start on"
    };
    let names = &item.targets;
    if !item.excuses.is_empty() {
        let (symbol, style, what) = match item.verdict {
            "unknown" => ("?", YELLOW, "not judged"),
            _ => ("×", RED, "cannot migrate"),
        };
        let codes: Vec<&str> = item.excuses.iter().copied().collect();
        let text = format!(
            "{what}, because of suppressed findings: {}",
            codes.join(" ")
        );
        put(out, format_args!("  {style}{symbol}{style:#} "));
        put_wrapped(&text, 4, layout, out);
    }
    if let (Some(node), "ok" | "warning") = (item.starts_on, item.verdict) {
        let text = format!("is starting on {}", shown_name(node));
        put(out, format_args!("  {GREEN}√{GREEN:#} "));
        put_wrapped(&text, 4, layout, out);
        return;
    }
    match (item.verdict, names.len()) {
        ("unknown", _) if !item.excuses.is_empty() => {}
        ("unknown", _) => put(out, format_args!("  {YELLOW}?{YELLOW:#} not judged\n")),
        (_, 0) => {}
        ("blocked", count) => {
            let text = format!(
                "{} would fit: {}",
                plural(count, "node"),
                named(names, layout)
            );
            out.push_str("    ");
            put_wrapped(&text, 4, layout, out);
        }
        (_, count) => {
            let text = format!("{can} {}: {}", plural(count, "node"), named(names, layout));
            put(out, format_args!("  {GREEN}√{GREEN:#} "));
            put_wrapped(&text, 4, layout, out);
        }
    }
}

/// A finding in a line.
pub(crate) fn line(found: &Found<'_>, layout: Layout, out: &mut String) {
    line_at(found, 2, layout, out);
}

/// A finding in a line with this indentation.
pub(crate) fn line_at(found: &Found<'_>, indentation: usize, layout: Layout, out: &mut String) {
    let (symbol, style) = match (found.severity, found.nodes.is_empty()) {
        ("error", true) => ("×", RED),
        ("error", false) => ("-", DIM),
        ("warning", _) => ("‼", YELLOW),
        ("unchecked", _) => ("?", YELLOW),
        _ => ("i", DIM),
    };
    let names = &found.nodes;
    let nodes = match names.as_slice() {
        [] => String::new(),
        names => format!(" ({})", named(names, layout)),
    };
    put(
        out,
        format_args!(
            "{:indentation$}{style}{symbol}{style:#} {DIM}{}{DIM:#} ",
            "", found.code
        ),
    );
    let text = format!("{}{nodes}", found.message);
    put_wrapped(&text, indentation + 10, layout, out);
}

/// What to do about each code, once. The findings of each object come with whether it is a VM without a
/// target: what is against nodes follows only there.
pub(crate) fn remedies<'f>(
    findings: impl Iterator<Item = (&'f [Found<'f>], bool)>,
    layout: Layout,
    out: &mut String,
) {
    let mut codes = BTreeMap::new();
    for (findings, is_stuck) in findings {
        for found in findings {
            let is_of_vm = found.nodes.is_empty() || found.severity == "warning";
            let is_shown = is_node_asked(findings) || !is_source(found);
            if is_of_vm || (is_stuck && is_shown) || layout.is_wide {
                codes.insert(found.code, found);
            }
        }
    }
    codes.retain(|_, found| found.severity != "info" || layout.is_wide);
    if codes.is_empty() {
        return;
    }
    put(out, format_args!("{BOLD}what to do{BOLD:#}\n"));
    for found in codes.values() {
        put(out, format_args!("  {} {}\n", found.code, found.name));
        put_paragraph(found.remedy, 6, PLAIN, layout, out);
    }
    let more = format!("{} explain CODE says more", layout.program);
    put_paragraph(&more, 2, DIM, layout, out);
    out.push('\n');
}

/// How many VMs there are, and what they got.
pub(crate) fn summary(summary: Summary) -> String {
    let count = summary.ok + summary.warning + summary.blocked + summary.unknown;
    let parts = [
        (summary.ok, "ok"),
        (summary.warning, "with warnings"),
        (summary.blocked, "blocked"),
        (summary.unknown, "not judged"),
    ];
    format!("{}{}", plural(count, "VM"), counts(&parts))
}

/// Names, no more than a few where not all are asked for.
fn named(names: &[&str], layout: Layout) -> String {
    let shown = if layout.is_wide {
        names.len()
    } else {
        NAMED_NODES.min(names.len())
    };
    let (first, more) = names.split_at(shown);
    let first: Vec<String> = first.iter().map(|name| shown_name(name)).collect();
    match more.len() {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

/// A VM by its namespace and name.
pub(crate) fn vm(namespace: &str, name: &str) -> String {
    format!("{}/{}", shown_name(namespace), shown_name(name))
}

//! What `berth check` found, for people. Styles are written as ANSI sequences; what prints the text
//! removes them where the output is not a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::check::report::{CheckReport, Item};
use crate::decide::checks::Check;
use crate::fleet::finding::{Found, Summary};
use crate::text::{LONGEST_NAME, shorten};

/// How many nodes of a finding are named where not all are asked for.
const NAMED_NODES: usize = 4;

/// How the text is written.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Every node, and no end to a line.
    pub is_wide: bool,
    /// The columns of the terminal.
    pub width: usize,
    /// How the command is called, such as `kubectl berth`.
    pub program: &'static str,
}

pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const RED: Style = AnsiColor::Red.on_default();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();

/// The findings of each object, then what to do about each code that came up.
#[must_use]
pub fn table(report: &CheckReport<'_>, layout: Layout) -> String {
    let mut out = String::new();
    for one in &report.items {
        item(one, "", layout, &mut out);
    }
    let found = report.items.iter().map(|item| {
        let is_stuck = !item.is_cluster() && item.targets.is_empty();
        (&*item.findings, is_stuck)
    });
    remedies(found, layout, &mut out);
    summary(report.summary, &mut out);
    out
}

/// A line for each VM: the verdict, its name, the number of targets, the codes.
#[must_use]
pub fn short(report: &CheckReport<'_>) -> String {
    let vms = report.items.iter().filter(|item| !item.is_cluster());
    let rows = vms.map(|item| {
        let name = vm(item.namespace, item.name);
        let node = item.node.map_or_else(|| "-".to_owned(), shown_name);
        let targets = item.targets.len().to_string();
        vec![
            name,
            node,
            item.verdict.to_owned(),
            targets,
            codes(&item.findings),
        ]
    });
    columns(&["VM", "NODE", "VERDICT", "TARGETS", "CODES"], rows, None)
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
        // The heading has said where the VM is.
        if layout.is_wide || found.code != Check::MigrationSource.row().code {
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
    match (item.verdict, names.len()) {
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

/// Ends a line with a text, which goes on in lines with this indentation where it does not fit.
pub(crate) fn put_wrapped(text: &str, indentation: usize, layout: Layout, out: &mut String) {
    let room = layout.width.saturating_sub(indentation);
    let room = if layout.is_wide { usize::MAX } else { room };
    for (number, line) in wrap(text, room).into_iter().enumerate() {
        let indentation = if number == 0 { 0 } else { indentation };
        put(out, format_args!("{:indentation$}{line}\n", ""));
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
            let is_source = found.code == Check::MigrationSource.row().code;
            if is_of_vm || (is_stuck && !is_source) || layout.is_wide {
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
        for line in wrap(found.remedy, layout.width.saturating_sub(6)) {
            put(out, format_args!("      {line}\n"));
        }
    }
    let program = layout.program;
    put(
        out,
        format_args!("  {DIM}{program} explain CODE says more{DIM:#}\n\n"),
    );
}

/// How many VMs there are, and what they got.
pub(crate) fn summary(summary: Summary, out: &mut String) {
    let count = summary.ok + summary.warning + summary.blocked + summary.unknown;
    let parts = [
        (summary.ok, "ok"),
        (summary.warning, "with warnings"),
        (summary.blocked, "blocked"),
        (summary.unknown, "not judged"),
    ];
    let parts = counts(&parts);
    put(out, format_args!("{}{parts}\n", plural(count, "VM")));
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

/// Rows under a head, in columns. With a width, the text of cells is broken so that the rows fit.
pub(crate) fn columns(
    head: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    width: Option<usize>,
) -> String {
    let mut table = Table::new();
    if !head.is_empty() {
        table.set_header(head);
    }
    table.add_rows(rows);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table.load_style(NOTHING);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

/// A name, which comes from the cluster or from a file.
pub(crate) fn shown_name(name: &str) -> String {
    shorten(name, LONGEST_NAME)
}

/// `: 2 ok, 1 blocked`: the counts that are not zero; empty where all are.
pub(crate) fn counts(parts: &[(usize, &str)]) -> String {
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(": {}", parts.join(", "))
    }
}

/// A count of things.
#[must_use]
pub fn plural(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}

/// The lines of a text, broken between words so that they fit where a word does.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        if let Some(line) = lines.last_mut() {
            if line.is_empty() {
                line.push_str(word);
            } else if line.chars().count() + 1 + word.chars().count() <= width {
                line.push(' ');
                line.push_str(word);
            } else {
                lines.push(word.to_owned());
            }
        }
    }
    lines
}

/// Writing to a string does not fail.
pub(crate) fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

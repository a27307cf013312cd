//! What was found of an installation, for people: as `linkerd check` shows it.

use super::report::{Checked, InstallationReport};
use crate::layout::{
    BOLD, DIM, GREEN, Layout, PLAIN, RED, YELLOW, plural, put, put_paragraph, put_wrapped,
};

/// A line for each check under its topic, and what to do below those that found something.
#[must_use]
pub(super) fn table(report: &InstallationReport, layout: Layout) -> String {
    let mut out = String::new();
    let mut topic = "";
    for check in &report.checks {
        if check.topic != topic {
            if !topic.is_empty() {
                out.push('\n');
            }
            topic = check.topic;
            put(&mut out, format_args!("{BOLD}{topic}{BOLD:#}\n"));
        }
        line(check, layout, &mut out);
    }
    summary(report, &mut out);
    out
}

fn line(check: &Checked, layout: Layout, out: &mut String) {
    let (symbol, style) = match check.result {
        "ok" => ("√", GREEN),
        "warning" => ("‼", YELLOW),
        "error" => ("×", RED),
        "info" => ("i", DIM),
        _ => ("?", YELLOW),
    };
    let message = &check.message;
    let Some(found) = &check.finding else {
        put(out, format_args!("  {style}{symbol}{style:#} "));
        return put_wrapped(message, 4, layout, out);
    };
    let code = found.code;
    put(
        out,
        format_args!("  {style}{symbol}{style:#} {DIM}{code}{DIM:#} "),
    );
    put_wrapped(message, 12, layout, out);
    put_paragraph(found.remedy, 6, PLAIN, layout, out);
    put(out, format_args!("      {DIM}see {}{DIM:#}\n", found.docs));
}

/// A line for each check: what came of it, the code, and what was found.
#[must_use]
pub(super) fn short(report: &InstallationReport) -> String {
    let mut out = String::new();
    for check in &report.checks {
        let code = check.finding.as_ref().map_or("-", |found| found.code);
        let Checked {
            result, message, ..
        } = check;
        put(&mut out, format_args!("{result:9}  {code:7}  {message}\n"));
    }
    out
}

fn summary(report: &InstallationReport, out: &mut String) {
    let summary = report.summary;
    let parts = [
        (summary.ok, "ok"),
        (summary.info, "for information"),
        (summary.warning, "with warnings"),
        (summary.error, "failed"),
        (summary.unchecked, "not made"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let count = plural(report.checks.len(), "check");
    put(out, format_args!("\n{count}: {}\n", parts.join(", ")));
}

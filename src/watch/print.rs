//! A migration as text: one line for each stage and each finding, and what is waited for.

use crate::continuity::Observed;
use crate::decide::continuity::timeline::{Mark, News, Outcome, Stage, Writer};
use crate::domain::UnixTime;
use crate::layout::{DIM, GREEN, Layout, RED, YELLOW, put, put_wrapped, shown_name};
use crate::text::{LONGEST_TEXT, shorten};
use crate::watch::copy::Copied;

/// Where the text of a line begins.
const INDENTATION: usize = 16;

/// Writes what happens.
pub(super) struct Printer {
    layout: Layout,
    reads_ovn: bool,
    named: bool,
}

impl Printer {
    pub(super) const fn new(layout: Layout, reads_ovn: bool) -> Self {
        Self {
            layout,
            reads_ovn,
            named: false,
        }
    }

    /// The first line.
    pub(super) fn waiting(&self, vm: &str) -> String {
        let mut out = String::new();
        let vm = shown_name(vm);
        put(&mut out, format_args!("waiting for a migration of {vm}\n"));
        if !self.reads_ovn {
            let text = "OVN is not read: set --ovn-sb ENDPOINTS to see the VM's ports, and --ovn-nb to see who wrote the pair of chassis";
            put_wrapped(text, 0, self.layout, &mut out);
        }
        out
    }

    pub(super) fn news(&mut self, observed: &Observed, news: &News) -> String {
        let mut out = String::new();
        if !self.named {
            self.named = true;
            put(&mut out, format_args!("{}\n", title(observed)));
        }
        let timeline = &observed.timeline;
        match news {
            News::Reached(stage, _) => {
                let Some(mark) = timeline.mark(*stage) else {
                    return out;
                };
                put(&mut out, format_args!("{}", time(observed, mark)));
                let text = match stage {
                    Stage::Bound => with_node("target pod bound", "to", timeline.target.as_deref()),
                    stage => stage.text().to_owned(),
                };
                put_wrapped(&text, INDENTATION, self.layout, &mut out);
            }
            News::Found(finding) => {
                let row = finding.cause.row();
                let mark = Mark {
                    at: finding.at,
                    or_before: false,
                };
                let text = format!(
                    "{YELLOW}‼{YELLOW:#} {} {}: {}",
                    row.code, row.text, finding.message
                );
                put(&mut out, format_args!("{}", time(observed, mark)));
                put_wrapped(&text, INDENTATION, self.layout, &mut out);
                put(&mut out, format_args!("{:INDENTATION$}{DIM}", ""));
                put_wrapped(row.remedy, INDENTATION, self.layout, &mut out);
                put(&mut out, format_args!("{DIM:#}"));
            }
            News::Ended(outcome) => {
                let (mark, style, text) = ended(*outcome, observed);
                put(&mut out, format_args!("{style}{mark}{style:#} "));
                put_wrapped(&text, 2, self.layout, &mut out);
            }
        }
        out
    }
}

fn title(observed: &Observed) -> String {
    let name = shown_name(&format!("{}/{}", observed.namespace, observed.name));
    let vm = shown_name(&observed.vm);
    let timeline = &observed.timeline;
    with_node(
        &format!("{name}: migration of {vm}"),
        "from",
        timeline.source.as_deref(),
    )
}

fn with_node(text: &str, word: &str, node: Option<&str>) -> String {
    node.map_or_else(
        || text.to_owned(),
        |node| format!("{text} {word} {}", shown_name(node)),
    )
}

/// The time since the migration was created: `   12.3 s      `.
fn time(observed: &Observed, mark: Mark) -> String {
    let created = observed.timeline.mark(Stage::Created).map(|mark| mark.at);
    let after = seconds_after(created, mark.at);
    let before = if mark.or_before { "≤" } else { "" };
    format!("{:>12}    ", format!("{before}{after:.1} s"))
}

fn seconds_after(created: Option<UnixTime>, at: UnixTime) -> f64 {
    at.saturating_sub(created.unwrap_or(at)).as_secs_f64()
}

fn ended(outcome: Outcome, observed: &Observed) -> (&'static str, anstyle::Style, String) {
    let timeline = &observed.timeline;
    let writer = match timeline.writer {
        Some(Writer::Berth) => "; berth wrote the pair of chassis",
        Some(Writer::Other) => "; Kube-OVN wrote the pair of chassis",
        None => "",
    };
    match outcome {
        Outcome::Confirmed => (
            "√",
            GREEN,
            format!("the VM is on the target, and its network was right at both ends{writer}"),
        ),
        Outcome::Unconfirmed => {
            let missing = missing(observed);
            (
                "‼",
                YELLOW,
                format!("the VM is on the target; not seen: {missing}{writer}"),
            )
        }
        Outcome::Unobserved => (
            "‼",
            YELLOW,
            "the VM is on the target; nothing was seen of its ports".to_owned(),
        ),
        Outcome::Failed => (
            "×",
            RED,
            format!(
                "the migration failed, and the VM is where it was; `kubectl describe vmim -n {} {}` may say why",
                observed.namespace, observed.name
            ),
        ),
    }
}

/// The stages of a confirmed migration that were not reached.
fn missing(observed: &Observed) -> String {
    let expected = [
        Stage::Pair,
        Stage::Additional,
        Stage::Flows,
        Stage::Ready,
        Stage::Moved,
        Stage::Single,
    ];
    let missing = expected
        .iter()
        .filter(|stage| observed.timeline.mark(**stage).is_none());
    let missing: Vec<&str> = missing.map(|stage| stage.text()).collect();
    if missing.is_empty() {
        return "the ports on the target alone, in time".to_owned();
    }
    missing.join(", ")
}

/// What is waited for, in one line.
pub(super) fn awaited(observed: &Observed, copied: Option<&Copied>) -> String {
    let timeline = &observed.timeline;
    let awaited = timeline.next().map_or("", Stage::awaited);
    let mut text = format!("{}: {awaited}", timeline.phase.name());
    if let Some(copied) = copied {
        let parts = [
            copied.remaining_bytes.map(|bytes| {
                let of = copied
                    .total_bytes
                    .map(|total| format!(" of {}", size(total)));
                format!("{}{} left", size(bytes), of.unwrap_or_default())
            }),
            copied
                .bytes_per_second
                .map(|rate| format!("{}/s", size(rate))),
            copied
                .dirty_bytes_per_second
                .map(|rate| format!("{}/s written again", size(rate))),
            is_stuck(copied).then(|| "not converging".to_owned()),
        ];
        for part in parts.into_iter().flatten() {
            text += ", ";
            text += &part;
        }
    }
    shorten(text, LONGEST_TEXT)
}

/// The VM writes memory faster than it is copied, or was copied one and a half times.
fn is_stuck(copied: &Copied) -> bool {
    let more = |a: Option<f64>, b: Option<f64>| a.zip(b).is_some_and(|(a, b)| b > 0.0 && a > b);
    more(copied.dirty_bytes_per_second, copied.bytes_per_second)
        || more(
            copied.processed_bytes,
            copied.total_bytes.map(|total| total * 1.5),
        )
}

fn size(bytes: f64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut bytes = bytes.max(0.0);
    let mut unit = 0;
    while bytes >= 1024.0 && unit + 1 < UNITS.len() {
        bytes /= 1024.0;
        unit += 1;
    }
    format!("{bytes:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests;

//! `docs/operations.md` has every log line, metric and alert, and nothing that is gone.

use std::collections::BTreeSet;

use berth::decide::checks::{Check, NOT_YET_KNOWN};
use berth::decide::codes::Code;
use serde_json::Value;

use super::source::{self, LogLine};
use super::{cells, code_spans, read, section};

const PAGE: &str = "docs/operations.md";

/// A documented log line: its message, with `…` for any text, and its levels.
struct Documented {
    message: String,
    levels: Vec<String>,
}

impl Documented {
    fn matches(&self, message: &str) -> bool {
        let mut parts = self.message.split('…');
        let Some(mut rest) = parts.next().and_then(|first| message.strip_prefix(first)) else {
            return false;
        };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else {
            return rest.is_empty();
        };
        for part in parts {
            let Some(at) = rest.find(part) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }
}

fn documented() -> Vec<Documented> {
    let page = read(PAGE);
    let rows: Vec<Documented> = section(&page, "## Log lines")
        .into_iter()
        .filter_map(cells)
        .filter(|cells| cells[0].starts_with('`'))
        .flat_map(|cells| {
            let levels: Vec<String> = cells[1].split(", ").map(str::to_owned).collect();
            code_spans(cells[0])
                .into_iter()
                .map(move |message| Documented {
                    message: message.to_owned(),
                    levels: levels.clone(),
                })
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(rows.len() > 30, "{}", rows.len());
    rows
}

#[test]
fn every_log_line_is_documented_with_its_level() {
    let documented = documented();
    for LogLine {
        level,
        message,
        file,
    } in source::log_lines(&source::production())
    {
        // A message that is all value: its texts are rows, which the next test holds.
        if message == "…" {
            continue;
        }
        let has_row = documented
            .iter()
            .any(|row| row.matches(&message) && row.levels.contains(&level));
        assert!(has_row, "{PAGE} lacks {level} {message:?} of {file}");
    }
}

#[test]
fn every_documented_log_line_is_in_the_code() {
    let files = source::production();
    let lines = source::log_lines(&files);
    let texts = source::texts(&files);
    for row in documented() {
        let written: Vec<&LogLine> = lines
            .iter()
            .filter(|line| line.message != "…" && row.matches(&line.message))
            .collect();
        // A message that other code puts together: its parts are texts somewhere.
        if written.is_empty() {
            for part in row.message.split('…').flat_map(|part| part.split(": ")) {
                let part = part.trim_matches([' ', ':', ',']);
                let is_text = texts.iter().any(|text| text.contains(part));
                assert!(is_text, "no log line is {:?}: {part:?}", row.message);
            }
            continue;
        }
        for level in &row.levels {
            let is_used = written.iter().any(|line| line.level == *level);
            assert!(is_used, "{:?} is never logged at {level}", row.message);
        }
    }
}

#[test]
fn the_metrics_of_the_code_and_of_the_page_are_the_same() {
    let named = |text: &str| {
        text.starts_with("berth_")
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let in_code: BTreeSet<String> = source::texts(&source::production())
        .into_iter()
        .filter(|text| named(text))
        .collect();
    let page = read(PAGE);
    let on_page: BTreeSet<String> = section(&page, "## Metrics")
        .into_iter()
        .filter_map(cells)
        .flat_map(|cells| code_spans(cells[0]))
        .filter(|text| named(text))
        .map(str::to_owned)
        .collect();
    assert_eq!(in_code, on_page);
}

#[test]
fn the_alerts_of_the_rules_and_of_the_page_are_the_same() {
    let rules: Value = serde_saphyr::from_str(&read("manifests/prometheus-rules.yaml")).unwrap();
    let in_rules: BTreeSet<String> = rules["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .filter_map(|rule| rule["alert"].as_str())
        .map(str::to_owned)
        .collect();
    let page = read(PAGE);
    let on_page: BTreeSet<String> = section(&page, "## Alerts")
        .into_iter()
        .filter_map(cells)
        .flat_map(|cells| code_spans(cells[0]))
        .map(str::to_owned)
        .collect();
    assert_eq!(in_rules, on_page);
}

#[test]
fn the_reasons_of_the_checks_and_of_the_page_are_the_same() {
    let mut expected: Vec<String> = Check::ALL
        .into_iter()
        .map(|check| {
            let (text, name) = (check.text(Some("…")), check.name());
            let (code, link) = (check.row().code, Code::Check(check).docs());
            let link = link.strip_prefix("docs/").unwrap();
            format!("| `{text}` | `{name}` | [{code}]({link}) |")
        })
        .collect();
    expected.push(format!("| `{NOT_YET_KNOWN}` | | "));
    let page = read(PAGE);
    let rows: Vec<&str> = section(&page, "## Reasons")
        .into_iter()
        .filter(|line| line.starts_with("| `"))
        .collect();
    assert_eq!(rows.len(), expected.len());
    for (row, expected) in rows.iter().zip(&expected) {
        assert!(row.starts_with(expected), "{row}: {expected}");
    }
}

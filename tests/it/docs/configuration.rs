//! `docs/configuration.md` and the comments of `src/config/default.yaml` are generated from the JSON
//! Schema, whose descriptions are the doc comments of `src/config`.

use std::fmt::Write as _;

use berth::args::Cli;
use berth::layout::wrap;
use clap::CommandFactory as _;
use serde_json::Value;

use super::{check_generated, read};
use crate::cli::stdout;

const PAGE: &str = "docs/configuration.md";
const MARK: &str =
    "<!-- Generated from the JSON Schema: BERTH_UPDATE_DOCS=1 cargo test --test it docs:: -->\n";
const DEFAULT: &str = "src/config/default.yaml";

/// The flags of `berth serve` that set a field.
const FLAGS: [(&str, &str); 14] = [
    ("listen", "listen"),
    ("continuity", "continuity.mode"),
    ("admin-listen", "adminListen"),
    ("tls-cert", "tls.certFile"),
    ("tls-key", "tls.keyFile"),
    ("client-ca", "tls.clientCAFile"),
    ("scheduler-client-ca", "tls.schedulerClientCAFile"),
    ("tls-secret", "tls.managed.secretName"),
    ("manage-certificates", "tls.managed.outsidePod"),
    ("log-format", "log.format"),
    ("log-level", "log.level"),
    ("network-provider", "network.provider"),
    ("ovn-sb", "southbound.endpoints"),
    ("ovn-nb", "southbound.probe.endpoints"),
];

/// The flags that say where the configuration and the cluster are.
const OTHER_FLAGS: [&str; 3] = ["config", "kubeconfig", "snapshot"];

/// A field or section of the default configuration, in its order.
struct Entry {
    path: String,
    description: String,
    /// The default, as the file has it; `None` for a section.
    default: Option<String>,
}

#[test]
fn the_configuration_page_is_generated_from_the_schema() {
    let page = read(PAGE);
    let (prose, _) = page.split_once(MARK).unwrap();
    check_generated(PAGE, &format!("{prose}{MARK}{}", tables()));
}

#[test]
fn the_comments_of_the_default_configuration_are_the_descriptions_of_the_schema() {
    let schema = schema();
    let mut text = String::new();
    let mut comments = String::new();
    let mut path = Vec::new();
    for line in read(DEFAULT).lines() {
        if line.trim_start().starts_with('#') {
            comments.push_str(line);
            comments.push('\n');
            continue;
        }
        let description = key(line, &mut path)
            .filter(|path| !["apiVersion", "kind"].contains(&path.as_str()))
            .map(|path| description(&schema, &path).replace('`', ""));
        match description {
            Some(description) => {
                let indent = &line[..line.len() - line.trim_start().len()];
                for comment in wrap(&description, 98 - indent.len()) {
                    let _ = writeln!(text, "{indent}# {comment}");
                }
            }
            None => text.push_str(&comments),
        }
        comments.clear();
        text.push_str(line);
        text.push('\n');
    }
    check_generated(DEFAULT, &text);
}

#[test]
fn every_flag_of_serve_sets_a_documented_field() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let mut flags: Vec<&str> = serve
        .get_arguments()
        .filter_map(|arg| arg.get_long())
        .collect();
    let mut known: Vec<&str> = FLAGS
        .iter()
        .map(|(flag, _)| *flag)
        .chain(OTHER_FLAGS)
        .collect();
    flags.retain(|flag| *flag != "help");
    flags.sort_unstable();
    known.sort_unstable();
    assert_eq!(flags, known);
    let entries = entries();
    for (flag, field) in FLAGS {
        assert!(
            entries.iter().any(|entry| entry.path == field),
            "{flag}: {field}"
        );
    }
}

/// A table for each section.
fn tables() -> String {
    const HEAD: &str = "| field | flag | default | meaning |\n| --- | --- | --- | --- |\n";
    let entries = entries();
    let mut text = format!("\n## Addresses\n\n{HEAD}");
    for Entry {
        path,
        description,
        default,
    } in &entries
    {
        let Some(default) = default else {
            if path.contains('.') {
                let _ = writeln!(text, "| `{path}` | | | {description} |");
            } else {
                let _ = write!(text, "\n## {path}\n\n{description}\n\n{HEAD}");
            }
            continue;
        };
        let flag = FLAGS
            .iter()
            .find(|(_, field)| field == path)
            .map_or_else(String::new, |(flag, _)| format!("`--{flag}`"));
        let default = match default.as_str() {
            "null" => String::new(),
            default => format!("`{default}`"),
        };
        let row = format!("| `{path}` | {flag} | {default} | {description} |\n");
        text.push_str(&row.replace("|  |", "| |").replace("|  |", "| |"));
    }
    text
}

fn entries() -> Vec<Entry> {
    let schema = schema();
    let mut path = Vec::new();
    let mut entries = Vec::new();
    for line in read(DEFAULT).lines() {
        let Some(path) = key(line, &mut path) else {
            continue;
        };
        if ["apiVersion", "kind"].contains(&path.as_str()) {
            continue;
        }
        let (_, value) = line.split_once(':').unwrap();
        let value = value.trim();
        entries.push(Entry {
            description: description(&schema, &path),
            path,
            default: (!value.is_empty()).then(|| value.to_owned()),
        });
    }
    assert!(entries.len() > 50);
    entries
}

fn schema() -> Value {
    serde_json::from_str(&stdout(&["config", "schema"])).unwrap()
}

/// The path of the field on a line; `outer` has the fields around it, by two columns each.
fn key(line: &str, outer: &mut Vec<String>) -> Option<String> {
    let trimmed = line.trim_start();
    let (name, _) = trimmed.split_once(':')?;
    if trimmed.starts_with('#') {
        return None;
    }
    outer.truncate((line.len() - trimmed.len()) / 2);
    outer.push(name.to_owned());
    Some(outer.join("."))
}

/// The description of a field, on one line.
fn description(schema: &Value, path: &str) -> String {
    let mut at = schema;
    for name in path.split('.') {
        at = &resolved(schema, at)["properties"][name];
    }
    let text = at["description"].as_str();
    let text = text.unwrap_or_else(|| panic!("{path} has no description"));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A section is a reference, or a choice of one and null.
fn resolved<'a>(schema: &'a Value, at: &'a Value) -> &'a Value {
    let choices = at["anyOf"].as_array().into_iter().flatten();
    let reference = std::iter::once(at)
        .chain(choices)
        .find_map(|choice| choice["$ref"].as_str());
    match reference {
        Some(reference) => schema.pointer(&reference[1..]).unwrap(),
        None => at,
    }
}

//! The documentation agrees with the program: links resolve, generated pages are current, and every
//! log line, metric, alert and reason is documented.

mod codes;
mod compatibility;
mod configuration;
mod demo;
mod dependencies;
mod links;
mod operations;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

/// Set this variable to rewrite the generated documentation instead of checking it.
const UPDATE: &str = "BERTH_UPDATE_DOCS";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a generated file with what it should be, or rewrites it.
#[track_caller]
fn check_generated(path: &str, expected: &str) {
    if std::env::var_os(UPDATE).is_some() {
        // At once, because other tests read it meanwhile.
        let path = root().join(path);
        let draft = path.with_extension("draft");
        fs::write(&draft, expected).unwrap();
        fs::rename(draft, path).unwrap();
        return;
    }
    let found = read(path);
    if found == expected {
        return;
    }
    let differs = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    panic!(
        "{path} is out of date, first difference: {differs:?}; run {UPDATE}=1 cargo test --test it docs::"
    );
}

/// The files below a folder of the repository with a name that ends so, without what is built.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    folders.retain(|folder| folder.is_dir());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let is_hidden = name.starts_with('.');
            if path.is_dir() && !is_hidden && name != "target" {
                folders.push(path);
            } else if path.is_file() && name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The lines of a Markdown section, from its heading to the next one of the same level.
fn section<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let level = format!("{} ", heading.split(' ').next().unwrap());
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with(&level))
        .collect();
    assert!(!lines.is_empty(), "no section {heading:?}");
    lines
}

/// The cells of a table row, or `None` for any other line and for the row of dashes.
fn cells(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
    let cells: Vec<&str> = inner.split(" | ").map(str::trim).collect();
    (!cells[0].starts_with("---")).then_some(cells)
}

/// What stands between backticks.
fn code_spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

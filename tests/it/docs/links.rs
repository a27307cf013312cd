//! Relative links in Markdown files, and paths to documents in other files, resolve.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{files, root};

#[test]
fn relative_links_and_their_anchors_exist() {
    let mut checked = 0;
    for file in files("", ".md") {
        let text = without_code_blocks(&fs::read_to_string(&file).unwrap());
        for target in link_targets(&text) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = match path {
                "" => file.clone(),
                path => file.parent().unwrap().join(path),
            };
            let place = format!("{}: {target}", file.display());
            assert!(to.exists(), "{place}: no such file");
            if !anchor.is_empty() {
                assert!(anchors(&to).contains(anchor), "{place}: no such heading");
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

/// Comments, manifests and help texts name documents by their path from the root.
#[test]
fn documents_named_in_code_and_manifests_exist() {
    let mut checked = 0;
    for (folder, ending) in [
        ("src", ".rs"),
        ("src", ".yaml"),
        ("manifests", ".yaml"),
        ("tests/it", ".rs"),
        ("certs", ".yaml"),
    ] {
        for file in files(folder, ending) {
            let text = fs::read_to_string(&file).unwrap();
            for (at, _) in text.match_indices("docs/") {
                let path: String = text[at..]
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || "/._-".contains(*c))
                    .collect();
                let Some(end) = path.find(".md") else {
                    continue;
                };
                let path = &path[..end + 3];
                assert!(root().join(path).is_file(), "{}: {path}", file.display());
                checked += 1;
            }
        }
    }
    assert!(checked > 3, "{checked}");
}

fn without_code_blocks(text: &str) -> String {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            lines.push(line);
        }
    }
    lines.join("\n")
}

fn link_targets(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("](").map(|(at, _)| {
        let rest = &text[at + 2..];
        rest.split([')', ' ', '\n']).next().unwrap_or_default()
    })
}

/// The anchors of a file's headings, as GitHub makes them.
fn anchors(file: &Path) -> BTreeSet<String> {
    let text = without_code_blocks(&fs::read_to_string(file).unwrap());
    let mut anchors = BTreeSet::new();
    for heading in text.lines().filter(|line| line.starts_with('#')) {
        let title = heading.trim_start_matches('#').trim();
        let slug: String = title
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let numbered = (1..).map(|n| format!("{slug}-{n}"));
        let free = std::iter::once(slug.clone())
            .chain(numbered)
            .find(|anchor| !anchors.contains(anchor));
        anchors.extend(free);
    }
    anchors
}

/// `docs/design/bounds.md` names the test of each limit.
#[test]
fn tests_named_in_the_limits_page_exist() {
    let sources: String = ["src", "crates", "tests/it"]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    let page = super::read("docs/design/bounds.md");
    let mut checked = 0;
    for row in page.lines().filter_map(super::cells) {
        for name in super::code_spans(row[row.len() - 1]) {
            let Some((_, name)) = name.rsplit_once("::") else {
                continue;
            };
            let exists = [format!("fn {name}("), format!("mod {name};")]
                .iter()
                .any(|item| sources.contains(item));
            assert!(exists, "no test {name}");
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

/// `http/filter.rs` stands for `src/http/filter.rs`.
#[test]
fn source_files_named_in_documents_exist() {
    let mut checked = 0;
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = without_code_blocks(&super::read(document));
        for path in super::code_spans(&text) {
            let is_source = Path::new(path).extension().is_some_and(|end| end == "rs");
            let is_path = is_source && path.contains('/') || path.starts_with("src/");
            if !is_path {
                continue;
            }
            let exists = root().join(path).exists() || root().join("src").join(path).exists();
            assert!(exists, "{document}: {path}");
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

//! `docs/design/dependencies.md` explains every dependency of the program, and no other crate.

use std::collections::BTreeSet;

use super::{cells, code_spans, read};

#[test]
fn the_dependencies_of_the_program_and_of_the_page_are_the_same() {
    let manifest = read("Cargo.toml");
    let section = |name: &str| -> BTreeSet<String> {
        manifest
            .lines()
            .skip_while(|line| *line != name)
            .skip(1)
            .take_while(|line| !line.starts_with('['))
            .filter_map(|line| Some(line.split_once(" = ")?.0.to_owned()))
            .collect()
    };
    let (used, tests) = (section("[dependencies]"), section("[dev-dependencies]"));
    assert!(used.len() > 20, "{used:?}");
    let page = read("docs/design/dependencies.md");
    let explained: BTreeSet<String> = page
        .lines()
        .filter_map(cells)
        // What follows is a feature.
        .filter_map(|cells| cells[0].split(" with ").next())
        .flat_map(code_spans)
        .map(str::to_owned)
        .collect();
    let missing: Vec<_> = used.difference(&explained).collect();
    assert!(missing.is_empty(), "not explained: {missing:?}");
    let gone: Vec<_> = explained
        .iter()
        .filter(|name| !used.contains(*name) && !tests.contains(*name))
        .collect();
    assert!(gone.is_empty(), "not used any more: {gone:?}");
}

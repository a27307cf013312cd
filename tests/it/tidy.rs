//! The code keeps its own rules: every file is part of the crate and says what it is, and a layer
//! imports only what it may.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The table in ARCHITECTURE.md: each module, and what it may import of the workspace. `None` is
/// everything.
fn layers() -> BTreeMap<String, Option<BTreeSet<String>>> {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = page.split("## Modules").nth(1).unwrap();
    let table = table.split("\n## ").next().unwrap();
    let mut layers = BTreeMap::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        let [modules, _, imports] = cells.as_slice() else {
            panic!("{row}");
        };
        let names = |cell: &str| -> BTreeSet<String> {
            let names = cell.split('`').skip(1).step_by(2);
            names.map(str::to_owned).collect()
        };
        let allowed = (imports.trim() != "everything").then(|| names(imports));
        for module in names(modules) {
            let known = layers.insert(module, allowed.clone());
            assert!(known.is_none(), "two rows: {row}");
        }
    }
    assert!(layers.len() > 20, "{layers:?}");
    layers
}

/// All that a pure layer may name of the standard library. Anything else is time, I/O, a protocol
/// or a log.
const PURE: &[&str] = &[
    "std::borrow",
    "std::cmp",
    "std::collections",
    "std::fmt",
    "std::iter",
    "std::marker::PhantomData",
    "std::sync::Arc",
    "std::time::Duration",
    "strum::",
];

/// What a pure layer names in no other way than by a `use` line either.
const IMPURE: [&str; 6] = [
    "println!",
    "tracing::",
    "tokio::",
    "kube::",
    "axum::",
    "serde",
];

fn root() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.canonicalize().unwrap()
}

fn rust_files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path);
        }
    }
    files
}

/// The files that `mod` lines lead to from a crate's root file.
fn reached(file: &Path, is_root: bool) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::from([file.to_owned()]);
    let stem = file.file_stem().unwrap();
    let parent = file.parent().unwrap();
    let dir = if is_root || stem == "mod" {
        parent.to_owned()
    } else {
        parent.join(stem)
    };
    let mut elsewhere = None;
    for line in fs::read_to_string(file).unwrap().lines() {
        if let Some(path) = line.strip_prefix("#[path = \"") {
            elsewhere = path.strip_suffix("\"]").map(|path| parent.join(path));
        }
        let declared = line
            .strip_prefix("pub ")
            .or_else(|| line.strip_prefix("pub(crate) "))
            .unwrap_or(line)
            .strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'));
        let Some(name) = declared else {
            continue;
        };
        let candidates = match elsewhere.take() {
            Some(path) => vec![path],
            None => vec![
                dir.join(format!("{name}.rs")),
                dir.join(name).join("mod.rs"),
            ],
        };
        let module = candidates.iter().find(|path| path.is_file());
        let module = module.unwrap_or_else(|| panic!("{}: mod {name} has no file", file.display()));
        files.extend(reached(&module.canonicalize().unwrap(), false));
    }
    files
}

#[test]
fn every_file_is_reached_by_a_mod_line() {
    for (dirs, roots) in [
        (&["src"][..], &["src/lib.rs", "src/main.rs"][..]),
        (&["crates/ovsdb/src"], &["crates/ovsdb/src/lib.rs"]),
        (&["tests/it", "tests/apiserver"], &["tests/it/main.rs"]),
    ] {
        let files: BTreeSet<PathBuf> = dirs
            .iter()
            .flat_map(|dir| rust_files(&root().join(dir)))
            .collect();
        let reached: BTreeSet<PathBuf> = roots
            .iter()
            .flat_map(|file| reached(&root().join(file), true))
            .collect();
        assert_eq!(files, reached);
    }
}

#[test]
fn every_file_begins_by_saying_what_it_is() {
    for file in ["src", "crates", "tests", "fuzz/fuzz_targets", "fuzz/src"]
        .iter()
        .flat_map(|dir| rust_files(&root().join(dir)))
    {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{}", file.display());
    }
}

#[test]
fn a_module_imports_exactly_what_the_table_in_the_architecture_says() {
    for (layer, allowed) in layers() {
        let Some(allowed) = allowed else { continue };
        let imported: BTreeSet<String> = layer_files(&layer)
            .iter()
            .flat_map(|file| imports(file))
            .collect();
        let others: BTreeSet<String> = imported.into_iter().filter(|name| *name != layer).collect();
        assert_eq!(others, allowed, "{layer}");
    }
}

/// The modules of the workspace that a file names.
fn imports(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap();
    let is_name = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let names = text.split("crate::").skip(1);
    let names = names.map(|rest| rest.chars().take_while(is_name).collect());
    let client = text.contains("ovsdb::").then(|| "ovsdb".to_owned());
    names.chain(client).collect()
}

#[test]
fn the_table_in_the_architecture_has_every_module() {
    let files = fs::read_dir(root().join("src")).unwrap();
    let modules: BTreeSet<String> = files
        .map(|entry| {
            let name = PathBuf::from(entry.unwrap().file_name());
            name.file_stem().unwrap().to_str().unwrap().to_owned()
        })
        .filter(|name| name != "lib")
        .collect();
    assert_eq!(modules, layers().into_keys().collect());
}

#[test]
fn decisions_are_pure() {
    for file in ["domain", "decide"]
        .iter()
        .flat_map(|layer| layer_files(layer))
    {
        let text = fs::read_to_string(&file).unwrap();
        let imports = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("use "));
        for import in imports {
            let pure = PURE.iter().any(|path| import.starts_with(path));
            let own = ["crate::", "super::"]
                .iter()
                .any(|path| import.starts_with(path));
            // The variants of an enum that is in scope.
            let variants = import.starts_with(char::is_uppercase);
            assert!(pure || own || variants, "{}: {import}", file.display());
        }
        for (at, _) in text.match_indices("std::") {
            let rest = &text[at..];
            let pure = PURE.iter().any(|path| rest.starts_with(path));
            assert!(pure, "{}: {}", file.display(), rest.lines().next().unwrap());
        }
        for impure in IMPURE {
            assert!(!text.contains(impure), "{}: {impure}", file.display());
        }
    }
}

fn layer_files(layer: &str) -> BTreeSet<PathBuf> {
    let src = root().join("src");
    let mut files = BTreeSet::new();
    let file = src.join(format!("{layer}.rs"));
    if file.is_file() {
        files.insert(file);
    }
    if src.join(layer).is_dir() {
        files.extend(rust_files(&src.join(layer)));
    }
    assert!(!files.is_empty(), "there is no layer {layer}");
    files
}

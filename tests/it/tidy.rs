//! The code keeps its own rules: every file is part of the crate and says what it is, and a layer
//! imports only what it may.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each layer may import of the crate. ARCHITECTURE.md has the reasons.
const LAYERS: &[(&str, &[&str])] = &[
    ("escape", &[]),
    ("failure_log", &[]),
    ("text", &["escape", "text"]),
    ("yaml", &[]),
    ("backoff", &[]),
    ("api", &["api", "text", "tls", "yaml"]),
    ("domain", &[]),
    ("sharded", &[]),
    ("decide", &["decide", "domain"]),
    ("wire", &["decide", "domain", "text", "wire"]),
    (
        "cluster",
        &[
            "api", "backoff", "cluster", "decide", "domain", "metrics", "sharded", "text",
            "throttle", "wire", "yaml",
        ],
    ),
    (
        "ovn",
        &[
            "decide",
            "domain",
            "escape",
            "failure_log",
            "metrics",
            "ovn",
            "sharded",
            "text",
            "tls",
        ],
    ),
    (
        "config",
        &["config", "decide", "domain", "ovn", "text", "tls", "yaml"],
    ),
    (
        "snapshot",
        &[
            "api", "cluster", "decide", "domain", "metrics", "ovn", "snapshot",
        ],
    ),
    ("readiness", &["readiness", "text"]),
    ("throttle", &[]),
    ("peer", &[]),
    ("server", &["metrics", "peer", "server", "throttle", "tls"]),
    ("tls", &["metrics", "peer", "tls"]),
    (
        "pki",
        &["api", "backoff", "failure_log", "metrics", "pki", "tls"],
    ),
    ("lease", &["api", "failure_log", "lease", "metrics"]),
    (
        "publish",
        &[
            "api", "backoff", "decide", "domain", "metrics", "publish", "snapshot",
        ],
    ),
    ("telemetry", &["config", "escape", "metrics", "telemetry"]),
    ("metrics", &["metrics"]),
    (
        "http",
        &[
            "api",
            "cluster",
            "config",
            "decide",
            "domain",
            "snapshot",
            "http",
            "metrics",
            "peer",
            "readiness",
            "text",
            "throttle",
            "wire",
        ],
    ),
];

/// What puts the layers together, and may import all of them.
const ROOTS: [&str; 7] = [
    "app",
    "args",
    "config_check",
    "demo",
    "lib",
    "main",
    "scheduler_config",
];

/// All that a pure layer may name of the standard library. Anything else is time, I/O, a protocol
/// or a log.
const PURE: &[&str] = &[
    "std::borrow",
    "std::collections",
    "std::fmt",
    "std::iter",
    "std::sync::Arc",
    "std::time::Duration",
    "strum::",
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
fn a_layer_imports_only_what_it_may() {
    for &(layer, allowed) in LAYERS {
        for file in layer_files(layer) {
            let text = fs::read_to_string(&file).unwrap();
            for (at, _) in text.match_indices("crate::") {
                let rest = &text[at + "crate::".len()..];
                let name: String = rest
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                assert!(
                    name == layer || allowed.contains(&name.as_str()),
                    "{}: {layer} must not import {name}",
                    file.display()
                );
            }
        }
    }
}

/// The layers that may name the OVSDB client: OVN's databases, their place in the configuration, and
/// the UUID of a chassis that a node claims.
const OVSDB: [&str; 3] = ["config", "ovn", "wire"];

#[test]
fn ovsdb_is_named_only_by_the_layers_that_may() {
    let others = LAYERS.iter().filter(|(layer, _)| !OVSDB.contains(layer));
    for file in others.flat_map(|(layer, _)| layer_files(layer)) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("ovsdb::"), "{}", file.display());
    }
}

#[test]
fn every_part_of_the_crate_is_a_layer_or_a_root() {
    let known: BTreeSet<&str> = LAYERS
        .iter()
        .map(|(layer, _)| *layer)
        .chain(ROOTS)
        .collect();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let name = PathBuf::from(entry.unwrap().file_name());
        let name = name.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(known.contains(name.as_str()), "src/{name}");
    }
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
        assert!(!text.contains("println!"), "{}", file.display());
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

//! What `docs/install.md` shows builds, and names what is there.

use std::collections::BTreeSet;
use std::fs;

use berth::config::Config;
use serde_json::{Value, json};

use super::{OVERLAYS, build, overlay, root, scratch, text, yaml};

const INSTALL: &str = "docs/install.md";

/// The fenced blocks of a language, without their indentation.
fn blocks(language: &str) -> Vec<String> {
    let text = text(INSTALL);
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((indent, _)) = line.split_once(&format!("```{language}")) else {
            continue;
        };
        let block: Vec<&str> = lines
            .by_ref()
            .take_while(|line| line.trim() != "```")
            .map(|line| line.strip_prefix(indent).unwrap_or_default())
            .collect();
        blocks.push(block.join("\n"));
    }
    blocks
}

/// Fields of a kustomization that the guide has people write.
const FIELDS: [&str; 4] = ["images", "components", "patches", "configMapGenerator"];

/// What a kustomization builds, its paths made to lead here.
fn built(kustomization: &Value) -> Option<Vec<Value>> {
    let (dir, up) = scratch();
    let here = format!("{up}{}", root().display());
    let text = kustomization
        .to_string()
        .replace("\"berth/manifests", &format!("\"{here}/manifests"));
    fs::write(dir.path().join("kustomization.yaml"), text).unwrap();
    fs::write(dir.path().join("config.yaml"), "{}").unwrap();
    build(dir.path())
}

#[test]
fn every_kustomization_that_is_shown_builds_and_changes_something() {
    let mut fields = BTreeSet::new();
    for block in blocks("yaml") {
        let shown: Value =
            serde_saphyr::from_str(&block).unwrap_or_else(|error| panic!("{block}: {error}"));
        let used: Vec<_> = FIELDS
            .iter()
            .filter(|field| shown.get(**field).is_some())
            .collect();
        if used.is_empty() {
            continue;
        }
        fields.extend(used);
        // What it is put on top of.
        let overlay = if block.contains("kube-scheduler") {
            "second-scheduler"
        } else if block.contains("DaemonSet") {
            "loopback"
        } else {
            "cluster-ip"
        };
        let mut below = json!({"resources": [format!("berth/manifests/overlays/{overlay}")]});
        if block.contains("MutatingAdmissionPolicy") {
            below["components"] = json!(["berth/manifests/components/admission-policy"]);
        }
        let mut whole = below.clone();
        for (field, value) in shown.as_object().unwrap() {
            whole[field] = value.clone();
        }
        let (Some(below), Some(whole)) = (built(&below), built(&whole)) else {
            return;
        };
        assert_ne!(below, whole, "{block}");
    }
    assert_eq!(fields, BTreeSet::from(FIELDS.each_ref()));
}

#[test]
fn every_configuration_that_is_shown_is_good() {
    let shown: Vec<String> = blocks("yaml")
        .into_iter()
        .filter(|block| block.contains("kind: BerthConfiguration"))
        .collect();
    assert!(!shown.is_empty());
    for block in shown {
        Config::parse(&block).unwrap_or_else(|refusal| panic!("{refusal}: {block}"));
    }
}

#[test]
fn commands_name_what_is_installed() {
    let mut objects = Vec::new();
    for name in OVERLAYS {
        let Some(more) = overlay(name) else { return };
        objects.extend(more);
    }
    let commands = blocks("console").join("\n");
    let mut named = BTreeSet::new();
    for rest in commands.split("rollout status ").skip(1) {
        let (kind, name) = rest
            .split_whitespace()
            .next()
            .unwrap()
            .split_once('/')
            .unwrap();
        let found = objects.iter().any(|object| {
            object["kind"].as_str().unwrap().to_lowercase() == kind
                && object["metadata"]["name"] == name
        });
        assert!(found, "{kind}/{name}");
        named.insert(name);
    }
    assert_eq!(
        named,
        BTreeSet::from(["berth", "berth-loopback", "berth-scheduler"])
    );

    // The addresses to call are those that berth has.
    let service = objects
        .iter()
        .find(|o| !o["spec"]["clusterIP"].is_null())
        .unwrap();
    let fixed = service["spec"]["clusterIP"].as_str().unwrap();
    let loopback = yaml("manifests/loopback/config.yaml");
    for address in [
        &format!("{fixed}:443"),
        loopback["listen"].as_str().unwrap(),
    ] {
        assert!(
            commands.contains(&format!("--url https://{address}")),
            "{address}"
        );
    }
}

//! The manifests are what the API knows, field by field; they fit each other and what berth does.

mod admission_policies;
mod cel;
mod docs;
mod injection;
mod pods;
mod reaching_berth;
mod rights;
mod schemas;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

use serde_json::{Value, json};

use crate::tools;

const TEST: &str = "manifests as kustomize builds them";

/// The overlays are the ways for kube-scheduler to reach berth.
const OVERLAYS: [&str; 3] = ["cluster-ip", "loopback", "second-scheduler"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap()
}

/// Every folder below `manifests` and `certs` with a kustomization, and whether it is a component.
fn kustomizations() -> BTreeMap<PathBuf, bool> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join("manifests"), root().join("certs")];
    while let Some(folder) = folders.pop() {
        let file = folder.join("kustomization.yaml");
        if let Ok(text) = fs::read_to_string(file) {
            let parsed: Value = serde_saphyr::from_str(&text).unwrap();
            found.insert(folder.clone(), parsed["kind"] == "Component");
        }
        let entries = fs::read_dir(folder).unwrap();
        folders.extend(entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()));
    }
    found
}

/// What `kubectl kustomize` makes of a folder, or `None` where there is no kubectl.
fn build(folder: &Path) -> Option<Vec<Value>> {
    let kubectl = tools::find("kubectl", TEST)?;
    let output = Command::new(kubectl)
        .arg("kustomize")
        .arg(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", folder.display());
    // Deprecated fields are warned of.
    assert_eq!(said, "", "{}", folder.display());
    Some(serde_saphyr::from_multiple(&String::from_utf8(output.stdout).unwrap()).unwrap())
}

/// One of the overlays, or the base.
fn overlay(name: &str) -> Option<Vec<Value>> {
    with_components(name, &[])
}

/// A folder for a kustomization, and the way from it to the root of the file system: kustomize takes
/// no absolute path.
fn scratch() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let up = path
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .map(|_| "..");
    let up = up.collect::<Vec<_>>().join("/");
    (dir, up)
}

/// An overlay with components on top, as a user's own kustomization has them. Built once for all
/// tests: kubectl takes its time.
fn with_components(name: &str, components: &[&str]) -> Option<Vec<Value>> {
    static BUILT: LazyLock<Mutex<BTreeMap<String, Vec<Value>>>> = LazyLock::new(Mutex::default);
    let key = [&[name], components].concat().join(" ");
    let known = BUILT.lock().unwrap().get(&key).cloned();
    if known.is_some() {
        return known;
    }
    let (dir, up) = scratch();
    let path = |below: &str| format!("{up}{}/manifests/{below}", root().display());
    let base = match name {
        "base" => path("base"),
        name => path(&format!("overlays/{name}")),
    };
    let components: Vec<String> = components
        .iter()
        .map(|component| path(&format!("components/{component}")))
        .collect();
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [base],
        "components": components,
    });
    let file = dir.path().join("kustomization.yaml");
    fs::write(file, kustomization.to_string()).unwrap();
    let objects = build(dir.path())?;
    BUILT.lock().unwrap().insert(key, objects.clone());
    Some(objects)
}

fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> Option<&'a Value> {
    objects
        .iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
}

#[track_caller]
fn get<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    find(objects, kind, name).unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// Where an object is, to be told in a message.
fn place(object: &Value) -> String {
    let field = |name: &str| object["metadata"][name].as_str().unwrap_or("-").to_owned();
    format!(
        "{} {}/{}",
        object["kind"].as_str().unwrap_or("-"),
        field("namespace"),
        field("name")
    )
}

#[test]
fn every_kustomization_builds_and_names_each_object_once() {
    let everything = kustomizations();
    assert!(everything.len() > 10, "{everything:?}");
    for (folder, is_component) in everything {
        let below = folder.strip_prefix(root().join("manifests/components"));
        let objects = if is_component {
            with_components("base", &[below.unwrap().to_str().unwrap()])
        } else {
            build(&folder)
        };
        let Some(objects) = objects else { return };
        assert!(!objects.is_empty(), "{}", folder.display());
        let mut places: Vec<String> = objects.iter().map(place).collect();
        places.sort();
        let all = places.len();
        places.dedup();
        assert_eq!(places.len(), all, "{}: {places:?}", folder.display());
    }
}

/// One label finds everything that was installed, to remove it.
#[test]
fn every_object_is_part_of_berth() {
    for name in OVERLAYS {
        let all = ["cert-manager", "pod-monitor", "admission-policy"];
        let Some(objects) = with_components(name, &all) else {
            return;
        };
        for object in objects {
            let labels = &object["metadata"]["labels"];
            assert_eq!(
                labels["app.kubernetes.io/part-of"],
                "berth",
                "{}",
                place(&object)
            );
        }
    }
}

#[test]
fn components_take_each_other_beside_them() {
    let common = [
        "fixed-cluster-ip",
        "second-scheduler",
        "cert-manager",
        "admission-policy",
        "pod-monitor",
    ];
    // Each for another network: a cluster has one of them.
    let networks = [
        &["southbound", "southbound-probe", "continuity"][..],
        &["ovn-kubernetes"],
    ];
    let folders = fs::read_dir(root().join("manifests/components")).unwrap();
    assert_eq!(folders.count(), common.len() + networks.concat().len());
    let ways = ["base", "loopback"].map(|name| networks.map(|network| (name, network)));
    for (name, network) in ways.into_iter().flatten() {
        let mut reversed = common;
        reversed.reverse();
        // The two of one network add to the same lists, which shows their order.
        let mut forward = with_components(name, &[&common[..], network].concat());
        let mut backward = with_components(name, &[network, &reversed[..]].concat());
        for objects in [&mut forward, &mut backward].into_iter().flatten() {
            objects.sort_by_key(place);
        }
        assert_eq!(forward, backward);
    }
}

//! The tables of rights are what the manifests contain.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use berth::check::install::rights::{OF_BERTH, OF_INSTALLER};
use serde_json::Value;

/// The objects in the files of a folder and of those below it.
fn objects(folder: &str) -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let mut folders = vec![root.join(folder)];
    let mut objects = Vec::new();
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
            objects.extend(documents);
        }
    }
    objects
}

#[test]
fn the_rights_of_berth_are_those_of_the_roles() {
    let mut rules = BTreeSet::new();
    for role in objects("base") {
        let is_own = role["kind"] == "Role";
        if !is_own && role["kind"] != "ClusterRole" {
            continue;
        }
        for rule in role["rules"].as_array().unwrap() {
            let all = |field: &str| -> Vec<String> {
                let texts = rule[field].as_array().into_iter().flatten();
                texts
                    .map(|text| text.as_str().unwrap().to_owned())
                    .collect()
            };
            let name = all("resourceNames").pop().unwrap_or_default();
            for group in all("apiGroups") {
                for resource in all("resources") {
                    for verb in all("verbs") {
                        let name = name.clone();
                        rules.insert((verb, group.clone(), resource.clone(), name, is_own));
                    }
                }
            }
        }
    }
    let table: BTreeSet<_> = OF_BERTH
        .iter()
        .map(|(_, action)| {
            let texts = [action.verb, action.group, action.resource, action.name];
            let [verb, group, resource, name] = texts.map(str::to_owned);
            (verb, group, resource, name, action.is_own)
        })
        .collect();
    assert_eq!(table, rules);
}

#[test]
fn the_rights_of_an_installer_are_for_every_kind_of_the_manifests() {
    let folders = [
        "base",
        "overlays",
        "loopback",
        "components/second-scheduler",
    ];
    let mut kinds: BTreeSet<(String, String)> = folders
        .into_iter()
        .flat_map(objects)
        .filter_map(|object| {
            let version = object["apiVersion"].as_str()?;
            let group = version.split_once('/').map_or("", |(group, _)| group);
            let kind = object["kind"].as_str()?.to_lowercase();
            // `policy` is `policies`.
            let plural = match kind.strip_suffix('y') {
                Some(stem) => format!("{stem}ies"),
                None => format!("{kind}s"),
            };
            Some((group.to_owned(), plural))
        })
        // What is no object of the API: kustomizations and configuration files.
        .filter(|(group, _)| {
            ![
                "kustomize.config.k8s.io",
                "berth.dev",
                "kubescheduler.config.k8s.io",
            ]
            .contains(&group.as_str())
        })
        .collect();
    // kustomize generates it.
    kinds.insert((String::new(), "configmaps".to_owned()));
    let table: BTreeSet<(String, String)> = OF_INSTALLER
        .iter()
        .map(|action| (action.group.to_owned(), action.resource.to_owned()))
        .collect();
    assert_eq!(table, kinds);
}

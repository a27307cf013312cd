//! Every object against the API's own schemas, strictly: a field that the API does not know is an
//! error.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{OVERLAYS, build, get, overlay, root, text, with_components};
use crate::tools;

/// What the validator says of these documents for a version of Kubernetes, without what passed.
fn complaints(version: &str, objects: &[Value]) -> Option<BTreeSet<String>> {
    let program = tools::find("kubernetes-validate", "manifests against the API's schemas")?;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("objects.yaml");
    let mut documents = String::new();
    for object in objects {
        writeln!(documents, "---\n{object}").unwrap();
    }
    fs::write(&file, documents).unwrap();
    let output = Command::new(program)
        .args(["-k", version, "--strict", "--quiet"])
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let path = file.to_str().unwrap();
    let lines = said
        .lines()
        .map(|line| line.replace(path, "").trim().to_owned());
    Some(lines.filter(|line| !line.is_empty()).collect())
}

fn no_schema(kind: &str, api: &str, version: &str) -> String {
    format!(
        "WARN  Couldn't find schema for kind {kind} with api version {api} for kubernetes version {version}"
    )
}

/// The oldest and the newest Kubernetes that the manifests are for.
#[test]
fn every_object_has_the_shape_that_the_api_wants() {
    for name in OVERLAYS {
        let Some(objects) = with_components(name, &["cert-manager", "pod-monitor"]) else {
            return;
        };
        for version in ["1.30", "1.36"] {
            let Some(complaints) = complaints(version, &objects) else {
                return;
            };
            // These are not Kubernetes' own; the tests below look at each of their fields.
            let expect = [
                no_schema("Certificate", "cert-manager.io/v1", version),
                no_schema("Issuer", "cert-manager.io/v1", version),
                no_schema("PodMonitor", "monitoring.coreos.com/v1", version),
            ];
            assert_eq!(complaints, BTreeSet::from(expect), "{name} {version}");
        }
    }
    // The component is for 1.36, the rest of its objects are the base's. Without cert-manager, berth
    // has its own rights.
    for components in [&["admission-policy"][..], &[]] {
        let objects = with_components("base", components).unwrap();
        assert_eq!(complaints("1.36", &objects).unwrap(), BTreeSet::new());
    }
}

#[test]
fn the_validator_sees_a_field_that_the_api_does_not_know() {
    let Some(objects) = overlay("base") else {
        return;
    };
    let mut deployment = get(&objects, "Deployment", "berth").clone();
    deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limit"] = Value::Null;
    let Some(complaints) = complaints("1.36", &[deployment]) else {
        return;
    };
    assert!(!complaints.is_empty());
}

/// There is no schema for these here, so each field is looked at.
#[test]
fn the_certificates_are_what_berth_and_its_callers_need() {
    let Some(objects) = build(&root().join("certs/cert-manager")) else {
        return;
    };
    let of = |kind: &str, name: &str| get(&objects, kind, name)["spec"].clone();
    assert_eq!(objects.len(), 4);
    for object in &objects {
        assert_eq!(object["apiVersion"], "cert-manager.io/v1");
        assert_eq!(object["metadata"]["namespace"], "berth-system");
    }
    let issuer = |name: &str| json!({"name": name, "kind": "Issuer", "group": "cert-manager.io"});
    let key =
        |rotation: &str| json!({"algorithm": "ECDSA", "size": 256, "rotationPolicy": rotation});
    assert_eq!(of("Issuer", "berth-selfsigned"), json!({"selfSigned": {}}));
    assert_eq!(
        of("Certificate", "berth-ca"),
        json!({
            "isCA": true,
            "commonName": "berth CA",
            "secretName": "berth-ca",
            "duration": "87600h",
            "renewBefore": "8760h",
            "privateKey": key("Never"),
            "issuerRef": issuer("berth-selfsigned"),
        })
    );
    assert_eq!(
        of("Issuer", "berth-ca"),
        json!({"ca": {"secretName": "berth-ca"}})
    );
    assert_eq!(
        of("Certificate", "berth-tls"),
        json!({
            "secretName": "berth-tls",
            "dnsNames": ["berth.berth-system.svc"],
            "duration": "2160h",
            "renewBefore": "720h",
            "usages": ["digital signature", "server auth"],
            "privateKey": key("Always"),
            "issuerRef": issuer("berth-ca"),
        })
    );
}

#[test]
fn prometheus_finds_the_pods_and_calls_them_what_the_alerts_do() {
    let Some(objects) = with_components("base", &["pod-monitor"]) else {
        return;
    };
    let monitor = get(&objects, "PodMonitor", "berth");
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    let deployment = get(&objects, "Deployment", "berth");
    assert_eq!(
        monitor["spec"],
        json!({
            "jobLabel": "app.kubernetes.io/name",
            "selector": deployment["spec"]["selector"],
            "podMetricsEndpoints": [{"port": "admin"}],
        })
    );
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    let job = labels["app.kubernetes.io/name"].as_str().unwrap();
    assert!(text("manifests/prometheus-rules.yaml").contains(&format!("up{{job=\"{job}\"}}")));
}

#[test]
fn no_key_and_no_certificate_is_in_the_tree() {
    let mut folders = vec![root().join("certs"), root().join("manifests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What certs/dev.sh makes, which Git ignores.
                folders.extend((path != Path::new(root()).join("certs/dev")).then_some(path));
            } else {
                let text = fs::read_to_string(&path).unwrap();
                assert!(!text.contains("-----BEGIN"), "{}", path.display());
            }
        }
    }
}

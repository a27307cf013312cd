//! What berth and the scheduler beside it may do: all of it, so that one more is noticed.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::{OVERLAYS, find, get, overlay, place, root, with_components};

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

fn named(mut rule: Value, name: &str) -> Value {
    rule["resourceNames"] = json!([name]);
    rule
}

#[test]
fn these_are_all_rights() {
    let read = ["list", "watch"];
    let view = json!([
        rule("", &["nodes", "namespaces", "pods"], &read),
        rule(
            "kubevirt.io",
            &["virtualmachineinstances"],
            &["get", "list", "watch"]
        ),
        rule(
            "kubevirt.io",
            &["virtualmachineinstancemigrations", "kubevirts"],
            &read
        ),
    ]);
    let own_secret = json!([
        rule("", &["secrets"], &["create"]),
        named(
            rule("", &["secrets"], &["get", "list", "watch", "update"]),
            "berth-tls"
        ),
    ]);
    let webhook = named(
        rule(
            "admissionregistration.k8s.io",
            &["mutatingwebhookconfigurations"],
            &["get", "list", "watch", "patch"],
        ),
        "berth",
    );
    let lease = |name| {
        named(
            rule("coordination.k8s.io", &["leases"], &["get", "update"]),
            name,
        )
    };
    let own_lease = json!([
        rule("coordination.k8s.io", &["leases"], &["create"]),
        lease("berth"),
    ]);
    let condition = json!([rule("", &["nodes/status"], &["patch"])]);
    let base = [
        ("ClusterRole -/berth-node-condition", condition),
        ("ClusterRole -/berth-view", view.clone()),
        ("ClusterRole -/berth-webhook", json!([webhook])),
        ("Role berth-system/berth-lease", own_lease),
        ("Role berth-system/berth-tls", own_secret.clone()),
    ];
    let loopback = [
        ("ClusterRole -/berth-view-loopback", view),
        ("Role berth-loopback/berth-tls-loopback", own_secret),
    ];
    let scheduler = [(
        "Role berth-system/berth-scheduler",
        json!([lease("berth-scheduler")]),
    )];
    for (name, more) in [
        ("cluster-ip", &[][..]),
        ("loopback", &loopback),
        ("second-scheduler", &scheduler),
    ] {
        let Some(objects) = overlay(name) else { return };
        let mut roles: Vec<(String, Value)> = objects
            .iter()
            .filter(|object| object["kind"].as_str().unwrap().ends_with("Role"))
            .map(|role| (place(role), role["rules"].clone()))
            .collect();
        roles.sort_by(|a, b| a.0.cmp(&b.0));
        let mut expect: Vec<_> = base
            .iter()
            .chain(more)
            .map(|(place, rules)| ((*place).to_owned(), rules.clone()))
            .collect();
        expect.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(roles, expect);
    }
}

#[test]
fn every_binding_names_a_role_and_an_account_that_are_there() {
    for name in OVERLAYS {
        let Some(objects) = overlay(name) else { return };
        let mut bound = BTreeSet::new();
        for binding in objects
            .iter()
            .filter(|object| object["kind"].as_str().unwrap().ends_with("RoleBinding"))
        {
            let at = place(binding);
            let [subject] = &binding["subjects"].as_array().unwrap()[..] else {
                panic!("{at}: not one subject");
            };
            assert_eq!(subject["kind"], "ServiceAccount", "{at}");
            let account = get(
                &objects,
                "ServiceAccount",
                subject["name"].as_str().unwrap(),
            );
            assert_eq!(
                account["metadata"]["namespace"], subject["namespace"],
                "{at}"
            );

            let role = binding["roleRef"]["name"].as_str().unwrap();
            // These come with Kubernetes.
            if !role.starts_with("system:") && role != "extension-apiserver-authentication-reader" {
                let kind = binding["roleRef"]["kind"].as_str().unwrap();
                let role = get(&objects, kind, role);
                assert_eq!(
                    role["metadata"]["namespace"], binding["metadata"]["namespace"],
                    "{at}"
                );
                bound.insert(place(role));
            }
        }
        let roles: BTreeSet<String> = objects
            .iter()
            .filter(|object| object["kind"].as_str().unwrap().ends_with("Role"))
            .map(place)
            .collect();
        assert_eq!(
            bound, roles,
            "a role that nobody has, or the other way round"
        );
    }
}

#[test]
fn every_rule_stands_under_its_reason() {
    let mut rules = 0;
    let mut folders = vec![root().join("manifests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            if !text.contains("\nrules:\n") {
                continue;
            }
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines
                .windows(2)
                .filter(|pair| pair[1].starts_with("- apiGroups:"))
            {
                rules += 1;
                let reason = pair[0].starts_with("# ") && pair[0].ends_with('.');
                assert!(reason, "{}: {}", path.display(), pair[1]);
            }
        }
    }
    assert_eq!(rules, 10);
}

#[test]
fn with_cert_manager_berth_writes_no_certificates() {
    let Some(objects) = with_components("loopback", &["cert-manager"]) else {
        return;
    };
    for (kind, name) in [
        ("Role", "berth-tls"),
        ("RoleBinding", "berth-tls"),
        ("ClusterRole", "berth-webhook"),
        ("ClusterRoleBinding", "berth-webhook"),
    ] {
        assert_eq!(find(&objects, kind, name), None);
    }
    // The one on loopback has its own Secret still.
    get(&objects, "Role", "berth-tls-loopback");
    get(&objects, "RoleBinding", "berth-tls-loopback");
}

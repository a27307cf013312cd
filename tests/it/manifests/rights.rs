//! What berth and the scheduler beside it may do: all of it, so that one more is noticed.

use std::collections::BTreeSet;
use std::fs;

use berth::config::Config;
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
    let own_secret = json!([named(
        rule("", &["secrets"], &["get", "watch", "update"]),
        "berth-tls"
    )]);
    let webhook = named(
        rule(
            "admissionregistration.k8s.io",
            &[
                "mutatingwebhookconfigurations",
                "validatingwebhookconfigurations",
            ],
            &["get", "watch", "patch"],
        ),
        "berth",
    );
    let lease = |name| {
        named(
            rule("coordination.k8s.io", &["leases"], &["get", "update"]),
            name,
        )
    };
    let own_lease = json!([lease("berth")]);
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
    assert_eq!(rules, 11);
}

/// berth may make none of these, so the manifests bring them, without what berth writes into them: who
/// applies the manifests again then leaves it.
#[test]
fn what_berth_may_only_update_is_brought_empty_under_the_names_that_it_looks_for() {
    let secret = |namespace: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "berth-tls",
                "namespace": namespace,
                "labels": {
                    "app.kubernetes.io/managed-by": "berth",
                    "app.kubernetes.io/part-of": "berth",
                },
            },
            "type": "Opaque",
        })
    };
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": Config::default().lease.name.as_str(),
            "namespace": "berth-system",
            "labels": {"app.kubernetes.io/part-of": "berth"},
        },
    });
    for (name, namespaces) in [
        ("cluster-ip", &["berth-system"][..]),
        ("second-scheduler", &["berth-system"]),
        ("loopback", &["berth-loopback", "berth-system"]),
    ] {
        let Some(objects) = overlay(name) else { return };
        let of = |kind: &str| -> Vec<Value> {
            let mut found: Vec<Value> = objects
                .iter()
                .filter(|object| object["kind"] == kind)
                .cloned()
                .collect();
            found.sort_by_key(place);
            found
        };
        let secrets: Vec<Value> = namespaces.iter().map(|name| secret(name)).collect();
        assert_eq!(of("Secret"), secrets);
        assert_eq!(of("Lease"), std::slice::from_ref(&lease));
        // Wherever a pod looks for one, it is there.
        for workload in ["Deployment", "DaemonSet"].map(of).concat() {
            let env = &workload["spec"]["template"]["spec"]["containers"][0]["env"];
            let env = env.as_array().into_iter().flatten();
            for variable in env.filter(|var| var["name"] == "BERTH_TLS_SECRET") {
                assert_eq!(variable["value"], "berth-tls");
                let namespace = workload["metadata"]["namespace"].as_str().unwrap();
                assert!(namespaces.contains(&namespace), "{namespace}");
            }
        }
    }
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
    // cert-manager makes the Secret; the one on loopback has its own still.
    let secrets: Vec<String> = objects
        .iter()
        .filter(|object| object["kind"] == "Secret")
        .map(place)
        .collect();
    assert_eq!(secrets, ["Secret berth-loopback/berth-tls"]);
    get(&objects, "Role", "berth-tls-loopback");
    get(&objects, "RoleBinding", "berth-tls-loopback");
}

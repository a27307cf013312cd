//! The policies around berth's rights: they let through what berth writes, and nothing else.

use std::collections::BTreeSet;

use berth::pki::bundle::Configuration;
use berth::pki::x509::Authority;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use serde_json::{Value, json};

use super::cel::evaluate;
use super::injection::typed;
use super::{OVERLAYS, get, overlay, text, yaml};

const BERTH: &str = "system:serviceaccount:berth-system:berth";

/// A policy of `validating-admission-policies.yaml`.
fn policy(name: &str) -> Value {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text("manifests/base/validating-admission-policies.yaml"))
            .unwrap();
    get(&documents, "ValidatingAdmissionPolicy", name)["spec"].clone()
}

/// What an update is denied for; nothing where the policy is not about who makes it.
fn denials(policy: &Value, user: &str, old: &Value, new: &Value) -> Vec<String> {
    let mut known = json!({
        "request": {"userInfo": {"username": user}},
        "oldObject": old,
        "object": new,
        "variables": {},
    });
    let list = |field: &str| policy[field].as_array().unwrap().clone();
    let holds = |expression: &Value, known: &Value| {
        let value = evaluate(expression.as_str().unwrap(), known);
        value.as_bool().unwrap_or_else(|| panic!("{expression}"))
    };
    let is_matched = list("matchConditions")
        .iter()
        .all(|condition| holds(&condition["expression"], &known));
    if !is_matched {
        return Vec::new();
    }
    for variable in list("variables") {
        let value = evaluate(variable["expression"].as_str().unwrap(), &known);
        known["variables"][variable["name"].as_str().unwrap()] = value;
    }
    list("validations")
        .iter()
        .filter(|validation| !holds(&validation["expression"], &known))
        .map(|validation| validation["message"].as_str().unwrap().to_owned())
        .collect()
}

/// A node as KubeVirt and Kube-OVN leave it, from a real control plane.
fn node() -> Value {
    let mut cluster: Value =
        serde_json::from_str(&text("tests/data/captures/cluster.json")).unwrap();
    let items = cluster["items"].as_array_mut().unwrap();
    let node = items
        .iter_mut()
        .find(|item| item["kind"] == "Node")
        .unwrap();
    assert!(node["status"]["conditions"].is_array());
    node.take()
}

fn conditions(node: &mut Value) -> &mut Vec<Value> {
    node["status"]["conditions"].as_array_mut().unwrap()
}

fn condition(kind: &str, status: &str) -> Value {
    json!({"type": kind, "status": status, "reason": "r", "message": "m"})
}

const STATUS: &str = "berth changes nothing of a node's status but its conditions";
const CONDITIONS: &str = "berth changes no condition of a node but OVNChassisReady";
const METADATA: &str = "berth changes no metadata of a node";

#[test]
fn berth_changes_its_own_condition_of_a_node_and_nothing_else() {
    let policy = policy("berth-node-condition");
    let mut before = node();
    conditions(&mut before).retain(|condition| condition["type"] != "OVNChassisReady");
    before["status"]["addresses"] = json!([{"type": "InternalIP", "address": "192.0.2.1"}]);
    before["status"]["capacity"] = json!({"cpu": "4"});
    let mut published = before.clone();
    conditions(&mut published).push(condition("OVNChassisReady", "False"));
    let edit = |edit: fn(&mut Value)| {
        let mut node = published.clone();
        edit(&mut node);
        node
    };
    for (after, expect) in [
        (published.clone(), &[][..]),
        (
            edit(|node| {
                *conditions(node).last_mut().unwrap() = condition("OVNChassisReady", "True");
            }),
            &[],
        ),
        (
            edit(|node| {
                node["metadata"]["managedFields"] = json!([{"manager": "berth"}]);
            }),
            &[],
        ),
        (
            edit(|node| conditions(node)[0]["status"] = "Unknown".into()),
            &[CONDITIONS],
        ),
        (edit(|node| drop(conditions(node).remove(0))), &[CONDITIONS]),
        (
            edit(|node| conditions(node).push(condition("Ready2", "True"))),
            &[CONDITIONS],
        ),
        (
            edit(|node| node["status"]["addresses"][0]["address"] = "198.51.100.1".into()),
            &[STATUS],
        ),
        (
            edit(|node| node["status"]["capacity"]["cpu"] = "400".into()),
            &[STATUS],
        ),
        // A field that Kubernetes does not have yet.
        (
            edit(|node| node["status"]["tomorrow"] = json!({"a": 1})),
            &[STATUS],
        ),
        (
            edit(|node| drop(node["status"].as_object_mut().unwrap().remove("addresses"))),
            &[STATUS],
        ),
        (
            edit(|node| node["metadata"]["labels"]["a"] = "b".into()),
            &[METADATA],
        ),
        (
            edit(|node| node["metadata"]["annotations"] = Value::Null),
            &[METADATA],
        ),
        (
            edit(|node| node["metadata"]["finalizers"] = json!(["a/b"])),
            &[METADATA],
        ),
        (
            edit(|node| node["metadata"]["ownerReferences"] = json!([{"uid": "u"}])),
            &[METADATA],
        ),
    ] {
        assert_eq!(denials(&policy, BERTH, &published, &after), expect);
        // The kubelet and others are none of the policy's business.
        let other = "system:node:el9-0";
        assert_eq!(denials(&policy, other, &published, &after), [""; 0]);
    }
    assert_eq!(denials(&policy, BERTH, &before, &published), [""; 0]);
    let nothing = json!({"metadata": {"name": "a"}});
    assert_eq!(denials(&policy, BERTH, &nothing, &nothing), [""; 0]);
}

#[test]
fn berth_changes_the_ca_bundle_of_its_webhooks_and_nothing_else() {
    let policy = policy("berth-webhook");
    let mut before = yaml("manifests/base/mutating-webhook-configuration.yaml");
    before["metadata"]["resourceVersion"] = "1".into();
    // The patch that berth sends.
    let mut params = rcgen::CertificateParams::new(vec![]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let ca = Authority::read(params.self_signed(&key).unwrap().der()).unwrap();
    let typed: MutatingWebhookConfiguration = serde_json::from_value(before.clone()).unwrap();
    let read = Configuration::from(&typed);
    let patch = read.patch(&[ca.id], &BTreeSet::new()).unwrap();
    let mut published = before.clone();
    json_patch::patch(&mut published, &patch).unwrap();
    assert!(published["webhooks"][1]["clientConfig"]["caBundle"].is_string());
    assert_eq!(denials(&policy, BERTH, &before, &published), [""; 0]);
    assert_eq!(denials(&policy, BERTH, &published, &before), [""; 0]);

    let names = "berth adds, removes and renames no webhook";
    let fields = "berth changes nothing of a webhook but its caBundle";
    let metadata = "berth changes no metadata of a webhook configuration";
    let edit = |edit: fn(&mut Value)| {
        let mut configuration = published.clone();
        edit(&mut configuration);
        configuration
    };
    for (after, expect) in [
        (
            edit(|all| all["webhooks"][0]["rules"][0]["resources"] = json!(["*"])),
            &[fields][..],
        ),
        (
            edit(|all| all["webhooks"][0]["failurePolicy"] = "Fail".into()),
            &[fields],
        ),
        (
            edit(|all| all["webhooks"][1]["tomorrow"] = true.into()),
            &[fields],
        ),
        (
            edit(|all| {
                let hook = all["webhooks"][1].as_object_mut().unwrap();
                hook.remove("matchConditions");
            }),
            &[fields],
        ),
        (
            edit(|all| all["webhooks"][0]["clientConfig"]["service"]["name"] = "evil".into()),
            &[fields],
        ),
        (
            edit(|all| all["webhooks"][0]["clientConfig"]["url"] = "https://evil".into()),
            &[fields],
        ),
        (
            edit(|all| drop(all["webhooks"].as_array_mut().unwrap().pop())),
            &[names],
        ),
        (
            edit(|all| {
                let mut more = all["webhooks"][0].clone();
                more["name"] = "more.berth.dev".into();
                all["webhooks"].as_array_mut().unwrap().push(more);
            }),
            &[names, fields],
        ),
        (
            edit(|all| all["metadata"]["labels"] = json!({"a": "b"})),
            &[metadata],
        ),
    ] {
        assert_eq!(denials(&policy, BERTH, &published, &after), expect);
        let other = "system:serviceaccount:kube-system:namespace-controller";
        assert_eq!(denials(&policy, other, &published, &after), [""; 0]);
    }
}

#[test]
fn the_policies_are_about_berths_account_and_bound_to_deny() {
    for name in OVERLAYS {
        let Some(objects) = overlay(name) else { return };
        let account = &get(&objects, "ServiceAccount", "berth")["metadata"];
        let user = format!(
            "system:serviceaccount:{}:{}",
            account["namespace"].as_str().unwrap(),
            account["name"].as_str().unwrap()
        );
        assert_eq!(user, BERTH);
        for (name, resources) in [
            ("berth-node-condition", &["nodes/status"][..]),
            (
                "berth-webhook",
                &[
                    "mutatingwebhookconfigurations",
                    "validatingwebhookconfigurations",
                ],
            ),
        ] {
            let policy = get(&objects, "ValidatingAdmissionPolicy", name);
            typed::<ValidatingAdmissionPolicy>(policy);
            let spec = &policy["spec"];
            assert_eq!(spec["failurePolicy"], "Fail");
            let rules = &spec["matchConstraints"]["resourceRules"];
            assert_eq!(rules[0]["resources"], json!(resources));
            assert_eq!(rules.as_array().unwrap().len(), 1);
            assert_eq!(
                spec["matchConditions"],
                json!([{
                    "name": "by-berth",
                    "expression": format!("request.userInfo.username == '{BERTH}'"),
                }])
            );
            let rule = &get(&objects, "ClusterRole", name)["rules"][0];
            assert_eq!(rule["resources"], json!(resources));
            assert_eq!(rule["apiGroups"], rules[0]["apiGroups"]);
            let binding = get(&objects, "ValidatingAdmissionPolicyBinding", name);
            typed::<ValidatingAdmissionPolicyBinding>(binding);
            assert_eq!(
                binding["spec"],
                json!({"policyName": name, "validationActions": ["Deny"]})
            );
        }
    }
}

//! When kube-apiserver asks berth, and what its own policy does instead of asking.

use std::sync::LazyLock;

use berth::cluster::ClusterView;
use berth::http::mutate;
use berth::wire::kubevirt::{Kind, MIGRATION};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, MutatingWebhookConfiguration,
    ValidatingWebhookConfiguration,
};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cel::evaluate;
use super::{find, get, overlay, text, with_components, yaml};
use crate::properties;
use crate::updates::{self, Update};

const WEBHOOK: &str = "manifests/base/mutating-webhook-configuration.yaml";
const VALIDATING: &str = "manifests/base/validating-webhook-configuration.yaml";
const POLICY: &str = "manifests/components/admission-policy/policy.yaml";

/// The object as its type, which has to know every field.
pub(super) fn typed<T: DeserializeOwned + serde::Serialize>(written: &Value) -> T {
    let typed: T = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(&serde_json::to_value(&typed).unwrap(), written);
    typed
}

/// Group and plural of the four kinds, and which operations on them are served.
fn served() -> Vec<(String, String, Value)> {
    let mut served: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| {
            let operations = match kind {
                Kind::VirtualMachineInstance => json!(["CREATE"]),
                _ => json!(["CREATE", "UPDATE"]),
            };
            (
                kind.group().to_owned(),
                format!("{}s", kind.name().to_lowercase()),
                operations,
            )
        })
        .collect();
    served.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    served
}

/// Group, plural and operations that rules match.
fn asked<'a>(rules: impl IntoIterator<Item = &'a Value>) -> Vec<(String, String, Value)> {
    let mut asked = Vec::new();
    for rule in rules {
        assert_eq!(rule["apiVersions"], json!(["*"]));
        assert_eq!(rule["scope"], "Namespaced");
        let group = rule["apiGroups"][0].as_str().unwrap();
        for resource in rule["resources"].as_array().unwrap() {
            let resource = resource.as_str().unwrap().to_owned();
            asked.push((group.to_owned(), resource, rule["operations"].clone()));
        }
    }
    asked.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    asked
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn not_disabled() -> Value {
    json!({"matchExpressions": [
        {"key": "berth.dev/inject", "operator": "NotIn", "values": ["disabled"]},
    ]})
}

#[test]
fn the_webhook_asks_about_the_four_kinds_and_is_never_in_the_way() {
    let written = yaml(WEBHOOK);
    let typed: MutatingWebhookConfiguration = typed(&written);
    // A name before KubeVirt's.
    assert!(typed.metadata.name.unwrap().as_str() < "virt-api-mutator");
    let webhooks = &written["webhooks"];
    assert_eq!(
        asked(list(webhooks).flat_map(|w| list(&w["rules"]))),
        served()
    );
    for webhook in list(webhooks) {
        assert_eq!(webhook["failurePolicy"], "Ignore");
        assert_eq!(webhook["sideEffects"], "None");
        assert_eq!(webhook["reinvocationPolicy"], "IfNeeded");
        assert!(webhook["timeoutSeconds"].as_i64().unwrap() <= 3);
        assert_eq!(webhook["namespaceSelector"], not_disabled());
        let service =
            json!({"name": "berth", "namespace": "berth-system", "path": "/mutate", "port": 443});
        assert_eq!(webhook["clientConfig"], json!({"service": service}));
        assert_eq!(webhook["matchConditions"], webhooks[0]["matchConditions"]);
    }
    // The label on a VMI is its own; on what VMIs are made from it gets a warning.
    assert_eq!(webhooks[0]["objectSelector"], not_disabled());
    assert_eq!(webhooks[1].get("objectSelector"), None);
}

#[test]
fn the_validating_webhook_asks_about_new_migrations_and_is_never_in_the_way() {
    let written = yaml(VALIDATING);
    typed::<ValidatingWebhookConfiguration>(&written);
    let [webhook] = &written["webhooks"].as_array().unwrap()[..] else {
        panic!("not one webhook");
    };
    let migrations = (
        Kind::VirtualMachineInstance.group().to_owned(),
        format!("{}s", MIGRATION.to_lowercase()),
        json!(["CREATE"]),
    );
    assert_eq!(asked(list(&webhook["rules"])), [migrations]);
    assert_eq!(webhook["failurePolicy"], "Ignore");
    assert_eq!(webhook["sideEffects"], "None");
    assert_eq!(webhook["timeoutSeconds"], 3);
    let service =
        json!({"name": "berth", "namespace": "berth-system", "path": "/validate", "port": 443});
    assert_eq!(webhook["clientConfig"], json!({"service": service}));
}

#[test]
fn kustomize_keeps_the_webhooks_as_they_are_written() {
    let Some(objects) = overlay("base") else {
        return;
    };
    for (kind, file) in [
        ("MutatingWebhookConfiguration", WEBHOOK),
        ("ValidatingWebhookConfiguration", VALIDATING),
    ] {
        let built = get(&objects, kind, "berth");
        assert_eq!(built["webhooks"], yaml(file)["webhooks"]);
    }
}

#[test]
fn the_policy_matches_the_four_kinds_and_takes_the_place_of_the_mutating_webhook() {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text(POLICY)).unwrap();
    let _: MutatingAdmissionPolicy = typed(&documents[0]);
    let _: MutatingAdmissionPolicyBinding = typed(&documents[1]);
    let spec = &documents[0]["spec"];
    let constraints = &spec["matchConstraints"];
    assert_eq!(asked(list(&constraints["resourceRules"])), served());
    assert_eq!(constraints["namespaceSelector"], not_disabled());
    assert_eq!(spec["failurePolicy"], "Ignore");
    assert_eq!(spec["reinvocationPolicy"], "IfNeeded");
    assert_eq!(
        documents[1]["spec"]["policyName"],
        documents[0]["metadata"]["name"]
    );

    let Some(objects) = with_components("base", &["admission-policy"]) else {
        return;
    };
    get(&objects, "MutatingAdmissionPolicy", "berth");
    get(&objects, "MutatingAdmissionPolicyBinding", "berth");
    let mutating = "MutatingWebhookConfiguration";
    assert_eq!(find(&objects, mutating, "berth"), None);
    // A policy of mutations does not review migrations.
    let validating = get(&objects, "ValidatingWebhookConfiguration", "berth");
    assert_eq!(validating["webhooks"], yaml(VALIDATING)["webhooks"]);
    let objects = with_components("base", &["admission-policy", "cert-manager"]).unwrap();
    let validating = get(&objects, "ValidatingWebhookConfiguration", "berth");
    assert_eq!(
        validating["metadata"]["annotations"]["cert-manager.io/inject-ca-from"],
        "berth-system/berth-tls"
    );
}

/// What came of an object.
#[derive(Debug, PartialEq)]
struct Came {
    asked: bool,
    patched: bool,
    warned: bool,
}

/// kube-apiserver's and berth's part in the review of an object, and the patch of the policy.
fn came_of(webhook: &Value, policy: &Value, kubevirt: &Value, review: &Value) -> (Came, Value) {
    let request = &review["request"];
    let variables = json!({
        "request": request,
        "object": request["object"],
        "oldObject": request["oldObject"],
    });
    let asked = list(&webhook["webhooks"][0]["matchConditions"])
        .all(|c| evaluate(c["expression"].as_str().unwrap(), &variables) == true);
    let answer = mutate(&review.to_string(), &ClusterView::default()).unwrap();
    let answer: Value = serde_json::from_slice(&answer.json).unwrap();
    let came = Came {
        asked,
        patched: answer["response"].get("patch").is_some(),
        warned: answer["response"].get("warnings").is_some(),
    };
    (came, policy_patch(policy, kubevirt, variables))
}

/// What the policy makes of an object, in a namespace that has no annotations.
fn policy_patch(policy: &Value, kubevirt: &Value, mut variables: Value) -> Value {
    variables["params"] = kubevirt.clone();
    variables["namespaceObject"] = json!({"metadata": {}});
    variables["variables"] = json!({});
    let spec = &policy["spec"];
    for condition in list(&spec["matchConditions"]) {
        if evaluate(condition["expression"].as_str().unwrap(), &variables) != true {
            return json!([]);
        }
    }
    for variable in list(&spec["variables"]) {
        let value = evaluate(variable["expression"].as_str().unwrap(), &variables);
        variables["variables"][variable["name"].as_str().unwrap()] = value;
    }
    assert_eq!(list(&spec["mutations"]).count(), 1);
    let expression = spec["mutations"][0]["jsonPatch"]["expression"]
        .as_str()
        .unwrap();
    // A map with the members of kube-apiserver's own type.
    let expression = expression
        .replace("JSONPatch{op:", "{'op':")
        .replace("path: ", "'path': ")
        .replace("value: ", "'value': ");
    evaluate(&expression, &variables)
}

fn manifests() -> &'static (Value, Value) {
    static MANIFESTS: LazyLock<(Value, Value)> = LazyLock::new(|| {
        let mut documents: Vec<Value> = serde_saphyr::from_multiple(&text(POLICY)).unwrap();
        (yaml(WEBHOOK), documents.remove(0))
    });
    &MANIFESTS
}

fn mk_review(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"]["name"] = json!("x");
    let version = object["apiVersion"].as_str().unwrap();
    let (group, _) = version.split_once('/').unwrap();
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "1",
            "kind": {"group": group, "kind": object["kind"]},
            "operation": "CREATE",
            "namespace": "vms",
            "object": object,
        },
    })
}

#[test]
fn what_comes_of_an_object_is_what_the_table_says() {
    let (webhook, policy) = manifests();
    let table = yaml("tests/data/reviewed-objects.yaml");
    for row in list(&table["objects"]) {
        let what = row["what"].as_str().unwrap();
        let (came, patch) = came_of(webhook, policy, &json!({}), &mk_review(&row["object"]));
        let expect = Came {
            asked: row["asked"].as_bool().unwrap(),
            patched: row["patched"].as_bool().unwrap(),
            warned: row["warned"].as_bool().unwrap(),
        };
        assert_eq!(came, expect, "{what}");
        assert_eq!(patch != json!([]), expect.patched, "{what}: {patch}");
    }
}

#[test]
fn what_comes_of_an_update_is_what_the_table_says() {
    let (webhook, policy) = manifests();
    for Update {
        what,
        review,
        asked,
        patched,
        warned,
        ..
    } in updates::all()
    {
        let (came, patch) = came_of(webhook, policy, &json!({}), &review);
        let expect = Came {
            asked,
            patched,
            warned: warned > 0,
        };
        assert_eq!(came, expect, "{what}");
        assert_eq!(patch != json!([]), patched, "{what}: {patch}");
    }
}

#[test]
fn an_update_without_an_old_object_is_left_alone_by_all_three() {
    let (webhook, policy) = manifests();
    let kind = Kind::VirtualMachinePool;
    let review = updates::mk_review(kind, &json!(null), &updates::mk_object(kind));
    let (came, patch) = came_of(webhook, policy, &json!({}), &review);
    assert_eq!((came.asked, came.patched, patch), (false, false, json!([])));
}

#[test]
fn what_is_being_deleted_is_left_alone_by_all_three() {
    let (webhook, policy) = manifests();
    let table = yaml("tests/data/reviewed-objects.yaml");
    for row in list(&table["objects"]) {
        let mut review = mk_review(&row["object"]);
        review["request"]["object"]["metadata"]["deletionTimestamp"] =
            json!("2026-11-21T02:24:24Z");
        let (came, patch) = came_of(webhook, policy, &json!({}), &review);
        let nothing = Came {
            asked: false,
            patched: false,
            warned: false,
        };
        assert_eq!((came, patch), (nothing, json!([])), "{row}");
    }
}

#[test]
fn the_policy_reads_the_default_binding_from_the_kubevirt_cr() {
    let (_, policy) = manifests();
    let vmi = json!({"kind": "VirtualMachineInstance", "metadata": {}, "spec": {"domain": {"devices": {}}}});
    let request = json!({"kind": {"kind": "VirtualMachineInstance"}, "operation": "CREATE"});
    for (default, patched) in [("bridge", true), ("", true), ("masquerade", false)] {
        let network = json!({"defaultNetworkInterface": default});
        let kubevirt = json!({"spec": {"configuration": {"network": network}}});
        let patch = policy_patch(
            policy,
            &kubevirt,
            json!({"object": vmi, "request": request}),
        );
        assert_eq!(patch != json!([]), patched, "{default}");
    }
}

#[test]
fn the_policy_heeds_the_annotation_of_the_namespace() {
    let (_, policy) = manifests();
    let opted_out = list(&policy["spec"]["variables"])
        .find(|variable| variable["name"] == "optedOut")
        .unwrap();
    let expression = opted_out["expression"].as_str().unwrap();
    for (value, expect) in [("disabled", true), ("off", false)] {
        let variables = json!({
            "object": {"metadata": {}},
            "variables": {"vmi": {}},
            "namespaceObject": {"metadata": {"annotations": {"berth.dev/inject": value}}},
        });
        assert_eq!(evaluate(expression, &variables), expect, "{value}");
    }
}

/// As kube-apiserver hands on an object of these kinds: without what their schemas do not know.
fn pruned(review: &mut Value) {
    let request = review["request"].as_object_mut().unwrap();
    let has_preference = request["kind"]["kind"] != "VirtualMachineInstanceReplicaSet";
    for field in ["object", "oldObject"] {
        let Some(object) = request.get_mut(field) else {
            continue;
        };
        if !has_preference {
            let spec = object["spec"].as_object_mut().unwrap();
            spec.remove("preference");
        }
        without_nulls(object);
    }
}

/// Metadata inside templates keeps its nulls.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.iter_mut()
                .filter(|(key, _)| *key != "metadata")
                .for_each(|(_, value)| without_nulls(value));
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

proptest! {
    /// No patch and no warning of berth's is lost because it is not asked, and the policy makes the
    /// same patch.
    #[test]
    fn what_is_not_asked_would_change_nothing(
        mut review in prop_oneof![properties::review(), properties::update()],
    ) {
        let (webhook, policy) = manifests();
        pruned(&mut review);
        let (came, patch) = came_of(webhook, policy, &json!({}), &review);
        prop_assert!(came.asked || !(came.patched || came.warned), "{came:?} of {review}");
        let berths = properties::patch_of(&review).map_or(json!([]), |patch| json!(patch));
        prop_assert_eq!(patch, berths, "{}", review);
    }
}

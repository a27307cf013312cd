//! Updates get the annotation only if they change the VMI template.

use std::fs;
use std::path::Path;

use berth::cluster::ClusterView;
use berth::http::mutate;
use berth::wire::kubevirt::Kind;
use json_patch::Patch;
use serde_json::{Value, json};

use crate::properties::patch_of;
use crate::updates::{self, Update, mk_object, mk_review};

/// The outcome of a review, its patch and its warnings.
fn answer(review: &str) -> (&'static str, Option<Patch>, Vec<String>) {
    let answer = mutate(review, &ClusterView::default()).unwrap();
    let reply: Value = serde_json::from_slice(&answer.json).unwrap();
    assert_eq!(reply["response"]["allowed"], true, "{review}");
    let warnings = reply["response"].get("warnings").cloned();
    let warnings = warnings.unwrap_or_else(|| json!([]));
    (
        answer.outcome.name(),
        patch_of(&serde_json::from_str(review).unwrap()),
        serde_json::from_value(warnings).unwrap(),
    )
}

#[test]
fn an_update_gets_what_the_table_says() {
    for Update {
        what,
        review,
        patched,
        restored,
        warned,
        ..
    } in updates::all()
    {
        let (outcome, patch, warnings) = answer(&review.to_string());
        let operations = patch.as_ref().map_or(0, |patch| patch.0.len());
        assert_eq!(operations, usize::from(patched), "{what}: {outcome}");
        assert_eq!(warnings.len(), warned, "{what}: {outcome}: {warnings:?}");
        let Some(patch) = patch else { continue };
        let mut again = review.clone();
        json_patch::patch(&mut again["request"]["object"], &patch).unwrap();
        assert_eq!(patch_of(&again), None, "{what}");
        let is_restored = again["request"]["object"] == again["request"]["oldObject"];
        assert_eq!(is_restored, restored, "{what}");
    }
}

/// An input of a fault that was seen.
fn fault(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faults");
    let text = fs::read_to_string(path.join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn updates_that_did_harm_are_left_alone() {
    for (name, outcome) in [
        ("pool-update-label", "template_unchanged"),
        ("pool-update-noop-apply", "template_unchanged"),
        ("pool-update-that-changes-the-template", "patched"),
        ("vmi-update-running", "existing_vmi"),
    ] {
        let fault = fault(name);
        let (got, patch, warnings) = answer(&fault["review"].to_string());
        assert_eq!((got, warnings.len()), (outcome, 0), "{name}");
        let operations = patch.map_or(0, |patch| patch.0.len());
        assert_eq!(fault["expect_ops"], operations, "{name}");
    }
}

#[test]
fn updates_of_vmis_are_left_alone() {
    let kind = Kind::VirtualMachineInstance;
    let mut annotated = mk_object(kind);
    annotated["metadata"]["annotations"] =
        json!({"kubevirt.io/allow-pod-bridge-network-live-migration": "no"});
    let mut bigger = mk_object(kind);
    bigger["spec"]["domain"]["cpu"] = json!({"cores": 4});
    let mut deleting = mk_object(kind);
    deleting["metadata"]["deletionTimestamp"] = json!("2026-11-21T02:24:24Z");
    for new in [
        &mk_object(kind),
        &annotated,
        &bigger,
        &deleting,
        &json!(7),
        &json!(null),
    ] {
        for old in [&mk_object(kind), &annotated, &json!(null)] {
            let review = mk_review(kind, old, new);
            let (outcome, patch, warnings) = answer(&review.to_string());
            assert_eq!((outcome, patch), ("existing_vmi", None), "{review}");
            assert_eq!(warnings, [""; 0], "{review}");
        }
    }
    // Its creation is.
    let mut review = mk_review(kind, &json!(null), &mk_object(kind));
    review["request"]["operation"] = json!("CREATE");
    assert_eq!(answer(&review.to_string()).0, "patched");
}

#[test]
fn an_update_of_something_that_cannot_be_read_is_allowed_unpatched_with_a_warning() {
    let kind = Kind::VirtualMachine;
    let mut changed = mk_object(kind);
    changed["spec"]["template"]["metadata"]["labels"]["tier"] = json!("gold");
    let cut = |path: &str, value: Value| {
        let mut object = mk_object(kind);
        *object.pointer_mut(path).unwrap() = value;
        object
    };
    let unchanged = "berth can't read this object and leaves it unchanged";
    for (old, new, error) in [
        (json!(null), &changed, "the update has no old object"),
        (json!(7), &changed, "the old object has no template"),
        (json!([]), &changed, "the old object has no template"),
        (json!({}), &changed, "the old object has no template"),
        (
            cut("/spec", json!(null)),
            &changed,
            "the old object has no template",
        ),
        (
            cut("/spec/template", json!(null)),
            &changed,
            "the old object has no template",
        ),
        (mk_object(kind), &json!(null), "the request has no object"),
        (
            mk_object(kind),
            &cut("/spec", json!({})),
            "missing field `template` in spec",
        ),
        (
            mk_object(kind),
            &cut("/spec/template/spec/networks", json!("all")),
            "invalid type: string \"all\", expected a sequence in spec.template.spec.networks",
        ),
    ] {
        let (outcome, patch, warnings) = answer(&mk_review(kind, &old, new).to_string());
        assert_eq!((outcome, patch), ("unreadable", None), "{old} {new}");
        let warning: String = format!("{unchanged}: {error}").chars().take(119).collect();
        assert!(
            warnings.len() == 1 && warnings[0].starts_with(&warning),
            "{warnings:?}"
        );
    }
    // A template that the update does not change is not read, and gets no warning.
    let odd = cut("/spec/template/spec/networks", json!("all"));
    let (outcome, patch, warnings) = answer(&mk_review(kind, &odd, &odd).to_string());
    assert_eq!(
        (outcome, patch, warnings.len()),
        ("template_unchanged", None, 0)
    );
}

/// The same value with its keys the other way round, and with white space.
fn rewritten(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let field = |(key, value)| format!("{} :\n{}", json!(key), rewritten(value));
            let fields: Vec<String> = map.iter().rev().map(field).collect();
            format!("{{ {} }}", fields.join(" , "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(rewritten).collect();
            format!("[ {} ]", items.join(" , "))
        }
        scalar => scalar.to_string(),
    }
}

#[test]
fn the_order_of_keys_and_white_space_are_no_change_of_a_template() {
    for &kind in Kind::ALL {
        let mut old = mk_object(kind);
        let template = kind
            .template()
            .iter()
            .fold(&mut old, |at, name| &mut at[*name]);
        template["spec"]["volumes"] = json!([{"name": "a", "containerDisk": {"image": "x/y"}}]);
        let object = old.to_string();
        let review = mk_review(kind, &json!("OLD"), &old).to_string();
        let review = review.replace("\"OLD\"", &rewritten(&old));
        assert_ne!(object, rewritten(&old));
        let expect = match kind {
            Kind::VirtualMachineInstance => "existing_vmi",
            _ => "template_unchanged",
        };
        assert_eq!(answer(&review).0, expect, "{review}");
    }
}

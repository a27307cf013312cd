//! The updates of `tests/data/reviewed-updates.yaml`, for each kind that has a template.

use std::fs;
use std::path::Path;

use berth::wire::kubevirt::Kind;
use json_patch::Patch;
use serde_json::{Value, json};

/// An update, and what has to come of it.
pub(crate) struct Update {
    pub(crate) what: String,
    pub(crate) review: Value,
    /// kube-apiserver asks berth.
    pub(crate) asked: bool,
    /// The annotation is added.
    pub(crate) patched: bool,
    /// With the annotation the object is what it was before the update.
    pub(crate) restored: bool,
    /// How many warnings there are.
    pub(crate) warned: usize,
}

/// All of them.
pub(crate) fn all() -> Vec<Update> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/reviewed-updates.yaml");
    let table: Value = serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let mut updates = Vec::new();
    for row in table["updates"].as_array().unwrap() {
        for &kind in Kind::ALL {
            let is_of = |kinds: &Value| kinds.as_array().unwrap().contains(&json!(kind.name()));
            let has_template = kind != Kind::VirtualMachineInstance;
            if has_template && row.get("kinds").is_none_or(is_of) {
                updates.push(update(kind, row));
            }
        }
    }
    assert!(updates.len() > 100, "{}", updates.len());
    updates
}

fn update(kind: Kind, row: &Value) -> Update {
    let flag = |name| row.get(name).map(|value| value.as_bool().unwrap());
    let object = |patch| patched(kind, &mk_object(kind), &row[patch]);
    let patched = flag("patched").unwrap_or_default();
    let warned = row.get("warned").map_or(0, |count| count.as_u64().unwrap());
    Update {
        what: format!("{}: {}", kind.name(), row["what"].as_str().unwrap()),
        review: mk_review(kind, &object("old"), &object("new")),
        asked: flag("asked").unwrap_or(patched || warned > 0),
        patched,
        restored: flag("restored").unwrap_or_default(),
        warned: usize::try_from(warned).unwrap(),
    }
}

/// The review of an update.
pub(crate) fn mk_review(kind: Kind, old: &Value, new: &Value) -> Value {
    json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "1",
            "kind": {"group": kind.group(), "kind": kind.name()},
            "operation": "UPDATE",
            "namespace": "vms",
            "name": "web",
            "object": new,
            "oldObject": old,
        },
    })
}

/// An object that is older than berth.
pub(crate) fn mk_object(kind: Kind) -> Value {
    let mut object = json!({
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "domain": {"devices": {"interfaces": [{"name": "default", "bridge": {}}]}},
            "networks": [{"name": "default", "pod": {}}],
        },
    });
    for name in kind.template().iter().rev() {
        object = json!({ *name: object });
    }
    object["apiVersion"] = format!("{}/v1", kind.group()).into();
    object["kind"] = kind.name().into();
    object["metadata"]["name"] = "web".into();
    object
}

fn patched(kind: Kind, object: &Value, patch: &Value) -> Value {
    let mut object = object.clone();
    let mut patch = patch.clone();
    for operation in patch.as_array_mut().into_iter().flatten() {
        let path = operation["path"].as_str().unwrap();
        if let Some(below) = path.strip_prefix("/template/") {
            operation["path"] = format!("/{}/{below}", kind.template().join("/")).into();
        }
    }
    let patch: Option<Patch> = serde_json::from_value(patch).unwrap();
    json_patch::patch(&mut object, &patch.unwrap_or_default()).unwrap();
    object
}

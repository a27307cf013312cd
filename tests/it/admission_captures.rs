//! Every review that a real kube-apiserver sent, with the exact patch and words that it gets.

use base64::Engine;
use json_patch::Patch;
use serde_json::{Value, json};

use crate::support::{Asked, capture, capture_json, cluster, item};

const KEY: &str = "kubevirt.io/allow-pod-bridge-network-live-migration";

/// What a review comes to: the patch, and the warnings.
struct Reviewed {
    patch: Option<Value>,
    warnings: Vec<String>,
    patched: Value,
}

async fn review(asked: &Asked, review: &Value) -> Reviewed {
    let reply = asked.ask("/mutate?timeout=10s", review.to_string()).await;
    assert_eq!(reply["kind"], "AdmissionReview");
    assert_eq!(reply["apiVersion"], "admission.k8s.io/v1");
    let response = &reply["response"];
    assert_eq!(response["uid"], review["request"]["uid"]);
    assert_eq!(response["allowed"], true);
    let patch = response.get("patch").map(|patch| {
        assert_eq!(response["patchType"], "JSONPatch");
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(patch.as_str().unwrap())
            .unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()
    });
    let mut patched = review["request"]["object"].clone();
    if let Some(patch) = &patch {
        let patch: Patch = serde_json::from_value(patch.clone()).unwrap();
        json_patch::patch(&mut patched, &patch).unwrap();
    }
    let warnings = response.get("warnings").cloned().unwrap_or(json!([]));
    Reviewed {
        patch,
        warnings: serde_json::from_value(warnings).unwrap(),
        patched,
    }
}

/// The patch that adds one value.
fn add(path: &str, value: &Value) -> Value {
    json!([{"op": "add", "path": path, "value": value}])
}

#[tokio::test]
async fn every_capture_gets_exactly_this() {
    let asked = Asked::new(&cluster(), "");
    let map = json!({ KEY: "true" });
    let escaped = KEY.replace('/', "~1");
    let ignored = vec![format!(
        "{KEY}: any value allows it; opt out by berth.dev/inject: disabled instead"
    )];
    for (name, patch, warnings) in [
        (
            "create-vm-bridge",
            Some(add("/spec/template/metadata/annotations", &map)),
            vec![],
        ),
        (
            "create-vm-bridge-dryrun",
            Some(add("/spec/template/metadata/annotations", &map)),
            vec![],
        ),
        // A label of a VM that is older than berth.
        ("update-vm-bridge", None, vec![]),
        (
            "create-vm-no-interfaces",
            Some(add("/spec/template/metadata/annotations", &map)),
            vec![],
        ),
        (
            "create-vm-template-annotations",
            Some(add(
                &format!("/spec/template/metadata/annotations/{escaped}"),
                &json!("true"),
            )),
            vec![],
        ),
        ("create-vm-masquerade", None, vec![]),
        ("create-vm-annotated-false", None, ignored),
        (
            "create-vmi-by-virt-controller",
            Some(add(
                &format!("/metadata/annotations/{escaped}"),
                &json!("true"),
            )),
            vec![],
        ),
        (
            "create-vmirs-bridge",
            Some(add("/spec/template/metadata/annotations", &map)),
            vec![],
        ),
        (
            "create-vmpool-bridge",
            Some(add(
                "/spec/virtualMachineTemplate/spec/template/metadata/annotations",
                &map,
            )),
            vec![],
        ),
        ("create-vmim", None, vec![]),
    ] {
        let body = capture_json(&format!("admission-{name}"));
        let reviewed = review(&asked, &body).await;
        assert_eq!(reviewed.patch, patch, "{name}");
        assert_eq!(reviewed.warnings, warnings, "{name}");

        // A patched object gets none, as kube-apiserver's reinvocation will see.
        let mut again = body;
        again["request"]["object"] = reviewed.patched;
        let reviewed = review(&asked, &again).await;
        assert_eq!(reviewed.patch, None, "{name}, patched");
    }
}

#[tokio::test]
async fn keys_with_slash_and_tilde_beside_the_patch_are_kept() {
    let asked = Asked::new(&cluster(), "");
    let body = capture_json("admission-create-vm-template-annotations");
    let reviewed = review(&asked, &body).await;
    assert_eq!(
        reviewed.patched["spec"]["template"]["metadata"]["annotations"],
        json!({
            "a/b~c": "tilde ~ and / slash",
            "ovn.kubernetes.io/logical_switch": "tenant-a",
            KEY: "true",
        })
    );
}

#[tokio::test]
async fn the_reply_to_a_capture_is_byte_for_byte_this() {
    let asked = Asked::new(&cluster(), "");
    let (_, reply) = asked
        .post("/mutate?timeout=10s", capture("admission-create-vm-bridge"))
        .await;
    assert_eq!(
        reply,
        concat!(
            r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"#,
            r#""uid":"3c38e2e0-905f-43e4-9682-92f4b9a44ffe","allowed":true,"patchType":"JSONPatch","#,
            r#""patch":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL3NwZWMvdGVtcGxhdGUvbWV0YWRhdGEvYW5ub3RhdGlvbnMiLCJ2YWx1ZSI6eyJrdWJldmlydC5pby9hbGxvdy1wb2QtYnJpZGdlLW5ldHdvcmstbGl2ZS1taWdyYXRpb24iOiJ0cnVlIn19XQ=="}}"#
        )
    );
}

#[tokio::test]
async fn kubevirts_default_interface_counts_as_what_the_cr_says() {
    for (default, patched) in [
        (json!("bridge"), true),
        (json!(null), true),
        (json!("masquerade"), false),
    ] {
        let mut cluster = cluster();
        item(&mut cluster, "KubeVirt", "kubevirt")["spec"]["configuration"]["network"]["defaultNetworkInterface"] =
            default.clone();
        let asked = Asked::new(&cluster, "");
        let body = capture_json("admission-create-vm-no-interfaces");
        assert_eq!(
            review(&asked, &body).await.patch.is_some(),
            patched,
            "{default}"
        );
        // What names its binding does not care.
        let body = capture_json("admission-create-vm-bridge");
        assert!(review(&asked, &body).await.patch.is_some());
    }
}

#[tokio::test]
async fn a_namespace_opts_out_by_label_or_annotation() {
    for kind in ["labels", "annotations"] {
        let mut cluster = cluster();
        item(&mut cluster, "Namespace", "default")["metadata"][kind]["berth.dev/inject"] =
            json!("disabled");
        let asked = Asked::new(&cluster, "");
        let mut body = capture_json("admission-create-vm-bridge");
        assert_eq!(review(&asked, &body).await.patch, None, "{kind}");
        assert_eq!(
            asked.metric(r#"berth_admission_requests_total{kind="VirtualMachine",operation="CREATE",outcome="opted_out"}"#),
            1.0
        );
        body["request"]["namespace"] = json!("elsewhere");
        assert!(review(&asked, &body).await.patch.is_some(), "{kind}");
    }
}

#[tokio::test]
async fn an_object_opts_out_on_itself_or_on_its_template_and_is_told_which_of_them_lasts() {
    let asked = Asked::new(&cluster(), "");
    let not_inherited = "berth.dev/inject on this object does not reach its VMIs: set it in the VMI template's metadata as well";
    for (metadata, warnings) in [
        ("/metadata", &[not_inherited][..]),
        ("/spec/template/metadata", &[]),
    ] {
        for kind in ["labels", "annotations"] {
            let mut body = capture_json("admission-create-vm-bridge");
            let metadata = body["request"]["object"].pointer_mut(metadata).unwrap();
            metadata[kind]["berth.dev/inject"] = json!("disabled");
            let reviewed = review(&asked, &body).await;
            assert_eq!(reviewed.patch, None, "{body}");
            assert_eq!(reviewed.warnings, warnings, "{body}");
        }
    }
}

#[tokio::test]
async fn an_update_says_only_what_it_brings() {
    let asked = Asked::new(&cluster(), "");
    let mut body = capture_json("admission-create-vm-annotated-false");
    assert_eq!(review(&asked, &body).await.warnings.len(), 1);
    body["request"]["operation"] = json!("UPDATE");
    // virt-controller touches the VM: its owner has been told.
    body["request"]["oldObject"] = body["request"]["object"].clone();
    assert_eq!(review(&asked, &body).await.warnings.len(), 0);
    // Its owner changes something else in the template.
    body["request"]["oldObject"]["spec"]["template"]["metadata"]["labels"] = json!({});
    assert_eq!(review(&asked, &body).await.warnings.len(), 0);
    // The owner sets the value just now.
    body["request"]["oldObject"]["spec"]["template"]["metadata"]["annotations"] = json!({});
    assert_eq!(review(&asked, &body).await.warnings.len(), 1);
}

#[tokio::test]
async fn the_key_on_the_vm_itself_is_put_where_it_belongs_with_a_warning() {
    let asked = Asked::new(&cluster(), "");
    let mut body = capture_json("admission-create-vm-bridge");
    body["request"]["object"]["metadata"]["annotations"][KEY] = json!("true");
    let reviewed = review(&asked, &body).await;
    assert_eq!(
        reviewed.patch,
        Some(add(
            "/spec/template/metadata/annotations",
            &json!({ KEY: "true" })
        ))
    );
    assert_eq!(
        reviewed.warnings,
        [format!(
            "{KEY} belongs in the VMI template's annotations; berth added it there"
        )]
    );
}

#[tokio::test]
async fn a_vm_with_a_preference_is_left_for_its_vmi() {
    let asked = Asked::new(&cluster(), "");
    let mut body = capture_json("admission-create-vm-no-interfaces");
    body["request"]["object"]["spec"]["preference"] = json!({"name": "fedora"});
    assert_eq!(review(&asked, &body).await.patch, None);
}

#[tokio::test]
async fn deletes_subresources_and_objects_on_their_way_out_pass_untouched() {
    let asked = Asked::new(&cluster(), "");
    for (pointer, value, outcome) in [
        ("/request/operation", json!("DELETE"), "other_operation"),
        ("/request/operation", json!("CONNECT"), "other_operation"),
        ("/request/subResource", json!("status"), "subresource"),
        (
            "/request/object/metadata/deletionTimestamp",
            json!("2026-11-21T02:24:24Z"),
            "deleting",
        ),
    ] {
        let mut body = capture_json("admission-create-vm-bridge");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[key] = value;
        let operation = body["request"]["operation"].as_str().unwrap().to_owned();
        let reviewed = review(&asked, &body).await;
        assert_eq!(
            (reviewed.patch, reviewed.warnings.len()),
            (None, 0),
            "{pointer}"
        );
        assert_eq!(
            asked.metric(&format!(
                r#"berth_admission_requests_total{{kind="VirtualMachine",operation="{operation}",outcome="{outcome}"}}"#
            )),
            1.0
        );
    }
}

#[tokio::test]
async fn an_object_that_berth_cannot_read_is_allowed_with_a_warning_and_counted() {
    let asked = Asked::new(&cluster(), "");
    for object in [
        json!(null),
        json!(7),
        json!({}),
        json!({"metadata": {}, "spec": {"template": {"spec": {"networks": "all"}}}}),
    ] {
        let mut body = capture_json("admission-create-vm-bridge");
        body["request"]["object"] = object.clone();
        let reviewed = review(&asked, &body).await;
        assert_eq!(reviewed.patch, None, "{object}");
        assert_eq!(reviewed.warnings.len(), 1, "{object}");
        assert!(
            reviewed.warnings[0]
                .starts_with("berth can't read this object and leaves it unchanged: "),
            "{:?}",
            reviewed.warnings
        );
    }
    assert_eq!(
        asked.metric(r#"berth_admission_requests_total{kind="VirtualMachine",operation="CREATE",outcome="unreadable"}"#),
        4.0
    );
}

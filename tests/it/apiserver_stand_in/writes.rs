//! Writes, and how they are kept from undoing each other.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};

use super::{client, code, node, nodes, vmi, vmis};
use crate::apiserver::ApiServer;

#[tokio::test]
async fn objects_are_created_read_changed_and_deleted() {
    let server = ApiServer::start();
    let api: Api<Pod> = Api::namespaced(client(&server).await, "default");
    let pod = json!({ "metadata": { "generateName": "web-" }, "spec": { "containers": [] } });
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let created = api.create(&PostParams::default(), &pod).await.unwrap();
    let name = created.name_any();
    assert!(name.starts_with("web-") && name.len() == 9, "{name}");
    assert!(created.metadata.uid.is_some() && created.metadata.creation_timestamp.is_some());

    let patch = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    let patched = api.patch(&name, &PatchParams::default(), &patch).await;
    assert_eq!(patched.unwrap().labels()["a"], "b");
    let stale = api.replace(&name, &PostParams::default(), &created).await;
    assert!(matches!(stale, Err(kube::Error::Api(status)) if status.is_conflict()));
    let again = api.get(&name).await.unwrap();
    let again = api.replace(&name, &PostParams::default(), &again).await;
    // What changes nothing has no version.
    let version = again.unwrap().resource_version();
    let list = api
        .list(&ListParams::default().labels("a=b"))
        .await
        .unwrap();
    assert_eq!(version, list.items[0].resource_version());
    api.delete(&name, &DeleteParams::default()).await.unwrap();
    assert!(api.get_opt(&name).await.unwrap().is_none());
}

#[tokio::test]
async fn a_name_is_given_once() {
    let server = ApiServer::start();
    server.apply(vmi("web"));
    let api = vmis(&server).await;
    let object = serde_json::from_value(vmi("web")).unwrap();
    let error = api
        .create(&PostParams::default(), &object)
        .await
        .unwrap_err();
    assert!(matches!(error, kube::Error::Api(status) if status.is_already_exists()));
}

#[tokio::test]
async fn a_lease_is_taken_by_one() {
    let server = ApiServer::start();
    let api: Api<Lease> = Api::namespaced(client(&server).await, "kube-system");
    let lease: Lease = serde_json::from_value(json!({
        "metadata": { "name": "berth" }, "spec": { "holderIdentity": "a" },
    }))
    .unwrap();
    let mut lease = api.create(&PostParams::default(), &lease).await.unwrap();
    for (holder, expected) in [("b", 200), ("c", 409)] {
        lease.spec.as_mut().unwrap().holder_identity = Some(holder.to_owned());
        let replaced = api.replace("berth", &PostParams::default(), &lease).await;
        let status = replaced.map_or_else(|error| code(&error), |_| 200);
        assert_eq!(status, expected, "{holder}");
    }
    let stored = server.get("leases", Some("kube-system"), "berth").unwrap();
    assert_eq!(stored["spec"]["holderIdentity"], "b");
}

#[tokio::test]
async fn status_is_written_by_itself() {
    let server = ApiServer::start();
    let mut stored = node("a", &json!({}));
    stored["status"] = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
    server.apply(stored);
    let api = nodes(&server).await;
    let condition = json!({ "type": "BerthReady", "status": "False" });
    let patch = json!({ "status": { "conditions": [condition] } });
    let params = PatchParams::default();
    api.patch("a", &params, &Patch::Merge(&patch))
        .await
        .unwrap();
    assert_eq!(types(&server), ["Ready"]);
    // A strategic merge patch adds to the conditions, a merge patch replaces them.
    api.patch_status("a", &params, &Patch::Strategic(&patch))
        .await
        .unwrap();
    assert_eq!(types(&server), ["BerthReady", "Ready"]);
    api.patch_status("a", &params, &Patch::Merge(&patch))
        .await
        .unwrap();
    assert_eq!(types(&server), ["BerthReady"]);
}

/// The types of a node's conditions.
fn types(server: &ApiServer) -> Vec<String> {
    let node = server.get("nodes", None, "a").unwrap();
    let conditions = node["status"]["conditions"].as_array().unwrap().iter();
    conditions
        .map(|condition| condition["type"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn apply_creates_and_then_merges() {
    let server = ApiServer::start();
    let api = vmis(&server).await;
    let params = PatchParams::apply("berth").force();
    for (field, value) in [("a", 1), ("b", 2)] {
        let mut object = vmi("web");
        object["spec"] = json!({ field: value });
        api.patch("web", &params, &Patch::Apply(object))
            .await
            .unwrap();
    }
    let stored = server.get("virtualmachineinstances", Some("default"), "web");
    assert_eq!(stored.unwrap()["spec"], json!({ "a": 1, "b": 2 }));
}

#[tokio::test]
async fn a_deletion_can_be_of_one_object_only() {
    let server = ApiServer::start();
    let mut object = vmi("web");
    object["metadata"]["uid"] = "first".into();
    object["metadata"]["finalizers"] = json!(["kubevirt.io/foreground"]);
    server.apply(object);
    let api = vmis(&server).await;
    let delete = |uid: &str| {
        let params = DeleteParams::default().preconditions(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        let api = api.clone();
        async move { api.delete("web", &params).await }
    };
    assert_eq!(code(&delete("second").await.unwrap_err()), 409);
    // It goes with its last finalizer.
    delete("first").await.unwrap();
    let deleted = api.get("web").await.unwrap();
    assert!(deleted.metadata.deletion_timestamp.is_some());
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.patch("web", &PatchParams::default(), &patch)
        .await
        .unwrap();
    assert!(api.get_opt("web").await.unwrap().is_none());
}

#[tokio::test]
async fn events_are_taken_in_both_groups() {
    let server = ApiServer::start();
    let api: Api<Event> = Api::namespaced(client(&server).await, "default");
    let event: Event = serde_json::from_value(json!({
        "metadata": { "name": "web.1" }, "eventTime": null, "action": "Migrate",
    }))
    .unwrap();
    api.create(&PostParams::default(), &event).await.unwrap();
    let stored = server.get("events.events.k8s.io", Some("default"), "web.1");
    assert_eq!(stored.unwrap()["action"], "Migrate");
    assert_eq!(
        server.get("events", Some("default"), "web.1"),
        None::<Value>
    );
}

#[tokio::test]
async fn what_is_no_object_is_refused() {
    let server = ApiServer::start();
    server.apply(node("a", &json!({})));
    let client = client(&server).await;
    for (method, path, content_type, body) in [
        ("POST", "", "application/json", "[]"),
        ("PUT", "/a", "application/json", "5"),
        ("PATCH", "/a", "application/merge-patch+json", "5"),
        (
            "PATCH",
            "/a",
            "application/merge-patch+json",
            r#"{"metadata":null}"#,
        ),
        (
            "PATCH",
            "/a",
            "application/json-patch+json",
            r#"[{"op":"replace","path":"","value":[]}]"#,
        ),
        (
            "PATCH",
            "/a",
            "application/merge-patch+json",
            r#"{"metadata":{"name":"b"}}"#,
        ),
    ] {
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("/api/v1/nodes{path}"))
            .header("content-type", content_type)
            .body(body.as_bytes().to_vec());
        let answer = client.request_text(request.unwrap()).await;
        assert_eq!(code(&answer.unwrap_err()), 400, "{method} {body}");
    }
    assert!(server.get("nodes", None, "a").is_some());
}

#[tokio::test]
async fn a_dry_run_answers_as_a_write_does_and_changes_nothing() {
    let server = ApiServer::start();
    server.apply(vmi("web"));
    let api = vmis(&server).await;
    let before = server.get("virtualmachineinstances", Some("default"), "web");
    let params = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let patch = Patch::Merge(json!({ "metadata": { "labels": { "a": "b" } } }));
    let patched = api.patch("web", &params, &patch).await.unwrap();
    assert_eq!(patched.labels()["a"], "b");
    let stale = Patch::Merge(json!({ "metadata": { "resourceVersion": "1" } }));
    assert_eq!(
        code(&api.patch("web", &params, &stale).await.unwrap_err()),
        409
    );
    let after = server.get("virtualmachineinstances", Some("default"), "web");
    assert_eq!(after, before);
}

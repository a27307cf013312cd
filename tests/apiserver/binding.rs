//! The binding of a pod to a node (kube-apiserver `pkg/registry/core/pod/storage/storage.go`, `assignPod`).

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::reply;
use super::request::Request;
use super::status::Status;
use super::store::Store;
use super::write::{existing, text};

pub(crate) fn bind(
    store: &mut Store,
    kind: &Kind,
    request: &Request,
    body: &[u8],
) -> Result<Response, Box<Status>> {
    let binding: Value = serde_json::from_slice(body)
        .map_err(|error| Status::bad_request(format!("json parse error: {error}")))?;
    let Some(node) = text(&binding["target"]["name"]) else {
        return Err(Status::bad_request("target.name: Required value"));
    };
    let pod = existing(store, kind, request)?;
    let name = &request.name;
    let mut value = pod.value();
    let refuse = |why: String| Err(Status::binding_conflict(name, &why));
    if let Some(uid) = text(&binding["metadata"]["uid"])
        && uid != pod.uid
    {
        return refuse(format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            pod.uid
        ));
    }
    if !value["metadata"]["deletionTimestamp"].is_null() {
        return refuse(format!(
            "pod {name} is being deleted, cannot be assigned to a host"
        ));
    }
    if let Some(node) = text(&value["spec"]["nodeName"]) {
        return refuse(format!("pod {name} is already assigned to node \"{node}\""));
    }
    value["spec"]["nodeName"] = node.into();
    store.put(kind, value);
    let success = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(reply::json(StatusCode::CREATED, success.to_string()))
}

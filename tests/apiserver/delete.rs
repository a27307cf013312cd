//! Deletion: at once, when the last finalizer goes, or when a kubelet has ended the pod.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::given::now;
use super::kinds::Kind;
use super::object::Object;
use super::reply;
use super::request::Request;
use super::status::Status;
use super::store::Store;
use super::write::{existing, text};

pub(crate) fn delete(
    store: &mut Store,
    kind: &Kind,
    request: &Request,
    body: &[u8],
) -> Result<Response, Box<Status>> {
    let old = existing(store, kind, request)?;
    let options: Value = match body {
        [] => Value::Null,
        body => {
            serde_json::from_slice(body).map_err(|error| Status::bad_request(error.to_string()))?
        }
    };
    let mut value = old.value();
    check(kind, request, &options["preconditions"], &value)?;
    let is_pod = kind.name == "Pod" && value["metadata"].is_object();
    let seconds = if is_pod {
        grace(request, &options, &old)
    } else {
        0
    };
    if finalizers(&value) > 0 || seconds > 0 {
        if !is_deleted(&value) {
            mark_deleted(kind, &mut value, seconds);
            store.put(kind, value);
        }
        let marked = existing(store, kind, request)?;
        return Ok(reply::json(StatusCode::OK, marked.json().to_owned()));
    }
    store.remove(kind, &old.key);
    let answer = if is_pod {
        mark_deleted(kind, &mut value, 0);
        Object::new(kind, value, old.revision).json().to_owned()
    } else {
        Status::deleted(kind, &request.name, &old.uid)
    };
    Ok(reply::json(StatusCode::OK, answer))
}

/// Compares an object with what a deletion says of it.
fn check(
    kind: &Kind,
    request: &Request,
    preconditions: &Value,
    value: &Value,
) -> Result<(), Box<Status>> {
    for (field, name) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let (Some(asked), Some(is)) =
            (text(&preconditions[field]), text(&value["metadata"][field]))
        else {
            continue;
        };
        if asked != is {
            let rest = match field {
                "uid" => "The object might have been deleted and then recreated",
                _ => "The object might have been modified",
            };
            let why = format!(
                "the {name} in the precondition ({asked}) does not match the {name} in record ({is}). {rest}"
            );
            return Err(Status::precondition(kind, &request.name, &why));
        }
    }
    Ok(())
}

/// How many seconds a pod gets to end: none unless it is on a node and has not ended.
fn grace(request: &Request, options: &Value, pod: &Object) -> u64 {
    if pod.node_name.is_empty() || matches!(pod.phase.as_str(), "Succeeded" | "Failed") {
        return 0;
    }
    let asked = request.parameter("gracePeriodSeconds");
    let asked = asked.and_then(|seconds| seconds.parse().ok());
    asked
        .or(options["gracePeriodSeconds"].as_u64())
        .unwrap_or(30)
}

fn mark_deleted(kind: &Kind, value: &mut Value, seconds: u64) {
    let again = is_deleted(value);
    let metadata = &mut value["metadata"];
    metadata["deletionTimestamp"] = now().into();
    metadata["deletionGracePeriodSeconds"] = seconds.into();
    if kind.has_generations() && !again {
        let generation = metadata["generation"].as_u64().unwrap_or(1);
        metadata["generation"] = (generation + 1).into();
    }
}

/// Whether a deleted object has nothing to wait for.
pub(crate) fn is_over(value: &Value) -> bool {
    let seconds = value["metadata"]["deletionGracePeriodSeconds"].as_u64();
    is_deleted(value) && finalizers(value) == 0 && seconds.unwrap_or_default() == 0
}

fn is_deleted(value: &Value) -> bool {
    value["metadata"]["deletionTimestamp"].is_string()
}

fn finalizers(value: &Value) -> usize {
    let finalizers = value["metadata"]["finalizers"].as_array();
    finalizers.map_or(0, Vec::len)
}

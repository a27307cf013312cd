//! Writes: create, update and delete, with the checks that keep writers from undoing each other.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::kinds::{Kind, Origin};
use super::object::Object;
use super::reply;
use super::request::Request;
use super::status::Status;
use super::store::Store;

pub(crate) fn create(
    store: &mut Store,
    kind: &Kind,
    request: &Request,
    body: &[u8],
) -> Result<Response, Box<Status>> {
    let value = read(kind, body)?;
    let object = create_value(store, kind, request, value)?;
    Ok(reply::json(StatusCode::CREATED, object))
}

/// Stores a new object and returns its JSON.
pub(crate) fn create_value(
    store: &mut Store,
    kind: &Kind,
    request: &Request,
    mut value: Value,
) -> Result<String, Box<Status>> {
    place(request, &mut value)?;
    let metadata = &mut value["metadata"];
    if text(&metadata["resourceVersion"]).is_some() {
        return Err(Status::version_on_create());
    }
    if text(&metadata["name"]).is_none() {
        let Some(prefix) = text(&metadata["generateName"]) else {
            return Err(Status::nameless(kind));
        };
        metadata["name"] = format!("{prefix}{}", suffix(store.revision())).into();
    }
    metadata["uid"] = uid(store.revision()).into();
    metadata["creationTimestamp"] = now().into();
    if kind.name == "Pod" {
        value["status"] = json!({ "phase": "Pending" });
    } else if kind.name == "Secret" && value["type"].is_null() {
        value["type"] = "Opaque".into();
    } else if kind.status && kind.origin == Origin::CustomResource {
        value.as_object_mut().unwrap().remove("status");
    }
    if kind.has_generations() {
        value["metadata"]["generation"] = 1.into();
    }
    let name = text(&value["metadata"]["name"]).unwrap();
    let key = kind.key(request.namespace.as_deref(), &name);
    if store.get(kind, &key).is_some() {
        return Err(Status::already_exists(kind, &name));
    }
    if let Some(namespace) = &request.namespace {
        let namespaces = Kind::named("namespaces");
        if store.get(namespaces, namespace).is_none() {
            return Err(Status::not_found(namespaces, namespace));
        }
    }
    Ok(store.put(kind, value).json().to_owned())
}

pub(crate) fn update(
    store: &mut Store,
    kind: &Kind,
    request: &Request,
    body: &[u8],
) -> Result<Response, Box<Status>> {
    let mut value = read(kind, body)?;
    place(request, &mut value)?;
    let name = text(&value["metadata"]["name"]).unwrap_or_default();
    if name != request.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            request.name
        )));
    }
    let Ok(old) = existing(store, kind, request) else {
        if !kind.update_creates {
            return Err(Status::not_found(kind, &name));
        }
        let object = create_value(store, kind, request, value)?;
        return Ok(reply::json(StatusCode::CREATED, object));
    };
    if text(&value["metadata"]["resourceVersion"]).is_none() && !kind.unconditional_update {
        return Err(Status::unversioned(kind, &name));
    }
    let object = replace(store, kind, request, &old, value)?;
    Ok(reply::json(StatusCode::OK, object))
}

/// Puts a changed object in the place of an old one and returns its JSON.
pub(crate) fn replace(
    store: &mut Store,
    kind: &Kind,
    request: &Request,
    old: &Object,
    mut value: Value,
) -> Result<String, Box<Status>> {
    let before = old.value();
    let metadata = &value["metadata"];
    if let Some(uid) = text(&metadata["uid"])
        && uid != old.uid
    {
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{}/{}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            kind.plural, old.key, old.uid
        );
        return Err(Status::conflict(kind, &request.name, &why));
    }
    if let Some(version) = text(&metadata["resourceVersion"])
        && version != text(&before["metadata"]["resourceVersion"]).unwrap_or_default()
    {
        return Err(Status::modified(kind, &request.name));
    }
    if request.subresource == "status" {
        let mut after = before.clone();
        if kind.origin == Origin::BuiltIn {
            after["metadata"] = value["metadata"].take();
        }
        move_field("status", &mut value, &mut after);
        value = after;
    } else if kind.status {
        move_field("status", &mut before.clone(), &mut value);
    }
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        move_field(
            field,
            &mut before["metadata"].clone(),
            &mut value["metadata"],
        );
    }
    if kind.has_generations() {
        let generation = before["metadata"]["generation"].as_u64().unwrap_or(1);
        let changed = wanted(kind, &before) != wanted(kind, &value);
        value["metadata"]["generation"] = (generation + u64::from(changed)).into();
    }
    if is_deleted(&value) && finalizers(&value) == 0 && !is_graceful(&value) {
        store.remove(kind, &old.key);
        return Ok(Object::new(kind, value, old.revision).json().to_owned());
    }
    Ok(store.put(kind, value).json().to_owned())
}

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
    let preconditions = &options["preconditions"];
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
    let seconds = match kind.name {
        "Pod" => grace(request, &options, &old),
        _ => 0,
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
    let answer = match kind.name {
        "Pod" => {
            mark_deleted(kind, &mut value, 0);
            Object::new(kind, value, old.revision).json().to_owned()
        }
        _ => Status::deleted(kind, &request.name, &old.uid),
    };
    Ok(reply::json(StatusCode::OK, answer))
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

/// The object that the path names.
pub(crate) fn existing(
    store: &Store,
    kind: &Kind,
    request: &Request,
) -> Result<Arc<Object>, Box<Status>> {
    let key = kind.key(request.namespace.as_deref(), &request.name);
    store
        .get(kind, &key)
        .ok_or_else(|| Status::not_found(kind, &request.name))
}

/// Reads an object of this kind.
pub(crate) fn read(kind: &Kind, body: &[u8]) -> Result<Value, Box<Status>> {
    let mut value: Value = serde_json::from_slice(body).map_err(|error| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {error}",
            kind.name
        ))
    })?;
    let api_version = kind.api_version();
    for (field, expected) in [("apiVersion", api_version.as_str()), ("kind", kind.name)] {
        let is = text(&value[field]).unwrap_or_default();
        if is.is_empty() && kind.origin == Origin::BuiltIn {
            value[field] = expected.into();
        } else if is != expected && field == "apiVersion" {
            return Err(Status::bad_request(format!(
                "the API version in the data ({is}) does not match the expected API version ({expected})"
            )));
        } else if is != expected {
            return Err(Status::bad_request(format!(
                r#"{is} in version "{}" cannot be handled as a {expected}"#,
                kind.version
            )));
        }
    }
    if !value["metadata"].is_object() {
        value["metadata"] = json!({});
    }
    Ok(value)
}

/// Gives an object the namespace of its path.
fn place(request: &Request, value: &mut Value) -> Result<(), Box<Status>> {
    let Some(namespace) = &request.namespace else {
        return Ok(());
    };
    let metadata = &mut value["metadata"];
    match text(&metadata["namespace"]) {
        None => metadata["namespace"] = namespace.as_str().into(),
        Some(same) if same == *namespace => {}
        Some(_) => {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
    }
    Ok(())
}

/// Gives a field the value that another object has, or none.
fn move_field(field: &str, from: &mut Value, to: &mut Value) {
    match from[field].take() {
        Value::Null => {
            to.as_object_mut().unwrap().remove(field);
        }
        value => to[field] = value,
    }
}

/// What the generation counts: all but metadata, and status where that is written by itself.
fn wanted(kind: &Kind, value: &Value) -> Value {
    let mut wanted = value.clone();
    let fields = wanted.as_object_mut().unwrap();
    fields.remove("metadata");
    if kind.status {
        fields.remove("status");
    }
    wanted
}

/// Whether a kubelet has yet to end it.
fn is_graceful(value: &Value) -> bool {
    let seconds = value["metadata"]["deletionGracePeriodSeconds"].as_u64();
    seconds.is_some_and(|seconds| seconds > 0)
}

fn is_deleted(value: &Value) -> bool {
    value["metadata"]["deletionTimestamp"].is_string()
}

fn finalizers(value: &Value) -> usize {
    let finalizers = value["metadata"]["finalizers"].as_array();
    finalizers.map_or(0, Vec::len)
}

fn text(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned)
}

pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A uid that no other write gives.
pub(crate) fn uid(revision: u64) -> String {
    format!("5eed0000-0000-4000-8000-{revision:012x}")
}

/// What comes after a generated name's prefix: the real one's alphabet, counted instead of thrown.
fn suffix(mut number: u64) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let base = ALPHABET.len() as u64;
    let letter = |digit: u64| char::from(ALPHABET[usize::try_from(digit).unwrap()]);
    let mut suffix = String::new();
    for _ in 0..5 {
        suffix.insert(0, letter(number % base));
        number /= base;
    }
    suffix
}

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
            let why = "Required value: name or generateName is required";
            return Err(Status::invalid(
                kind,
                "",
                "metadata.name",
                "FieldValueRequired",
                why,
            ));
        };
        metadata["name"] = format!("{prefix}{}", suffix(store.revision())).into();
    }
    metadata["uid"] = uid(store.revision()).into();
    metadata["creationTimestamp"] = now().into();
    if kind.status && kind.name == "Pod" {
        value["status"] = json!({ "phase": "Pending" });
    } else if kind.status && kind.origin == Origin::CustomResource {
        value.as_object_mut().unwrap().remove("status");
    }
    let name = text(&value["metadata"]["name"]).unwrap();
    let key = kind.key(request.namespace.as_deref(), &name);
    if store.get(kind, &key).is_some() {
        return Err(Status::already_exists(kind, &name));
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
    let old = existing(store, kind, request)?;
    if text(&value["metadata"]["resourceVersion"]).is_none() && !kind.unconditional_update {
        return Err(Status::invalid(
            kind,
            &name,
            "metadata.resourceVersion",
            "FieldValueInvalid",
            "Invalid value: 0: must be specified for an update",
        ));
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
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            old.uid
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
    for field in ["uid", "creationTimestamp", "deletionTimestamp"] {
        move_field(
            field,
            &mut before["metadata"].clone(),
            &mut value["metadata"],
        );
    }
    if is_deleted(&value) && finalizers(&value) == 0 {
        store.remove(kind, &old.key);
        return Ok(value.to_string());
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
            return Err(Status::conflict(kind, &request.name, &why));
        }
    }
    if finalizers(&value) > 0 {
        if !is_deleted(&value) {
            value["metadata"]["deletionTimestamp"] = now().into();
            value["metadata"]["deletionGracePeriodSeconds"] = 0.into();
            value = store.put(kind, value).value();
        }
        return Ok(reply::json(StatusCode::OK, value.to_string()));
    }
    store.remove(kind, &old.key);
    if kind.name == "Pod" {
        return Ok(reply::json(StatusCode::OK, old.json().to_owned()));
    }
    Ok(reply::json(
        StatusCode::OK,
        Status::deleted(kind, &request.name, &old.uid),
    ))
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
        match text(&value[field]) {
            None if kind.origin == Origin::BuiltIn => value[field] = expected.into(),
            Some(is) if is == expected => {}
            is => {
                return Err(Status::bad_request(format!(
                    "the {field} in the data ({}) does not match the expected {field} ({expected})",
                    is.unwrap_or_default()
                )));
            }
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

//! Creation and update, with the checks that keep writers from undoing each other.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::admission::admit;
use super::delete::is_over;
use super::given::{now, suffix, uid};
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
    webhooks_answer: bool,
) -> Result<Response, Box<Status>> {
    let mut value = read(kind, body)?;
    admit(store, kind, &mut value, webhooks_answer)?;
    let object = if request.is_dry_run() {
        let value = made(store, kind, request, value)?;
        Object::new(kind, value, 0).json().to_owned()
    } else {
        create_value(store, kind, request, value)?
    };
    Ok(reply::json(StatusCode::CREATED, object))
}

/// Stores a new object and returns its JSON.
pub(crate) fn create_value(
    store: &mut Store,
    kind: &Kind,
    request: &Request,
    value: Value,
) -> Result<String, Box<Status>> {
    let value = made(store, kind, request, value)?;
    Ok(store.put(kind, value).json().to_owned())
}

/// A new object as it is stored.
fn made(
    store: &Store,
    kind: &Kind,
    request: &Request,
    mut value: Value,
) -> Result<Value, Box<Status>> {
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
    Ok(value)
}

pub(crate) fn update(
    store: &mut Store,
    kind: &Kind,
    request: &Request,
    body: &[u8],
) -> Result<Response, Box<Status>> {
    let mut value = read(kind, body)?;
    place(request, &mut value)?;
    check_name(request, &value)?;
    let Ok(old) = existing(store, kind, request) else {
        if !kind.update_creates {
            return Err(Status::not_found(kind, &request.name));
        }
        let object = create_value(store, kind, request, value)?;
        return Ok(reply::json(StatusCode::CREATED, object));
    };
    if text(&value["metadata"]["resourceVersion"]).is_none() && !kind.unconditional_update {
        return Err(Status::unversioned(kind, &request.name));
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
    // A patch may have made anything of it.
    check_name(request, &value)?;
    place(request, &mut value)?;
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
    if is_over(&value) {
        store.remove(kind, &old.key);
        return Ok(Object::new(kind, value, old.revision).json().to_owned());
    }
    Ok(store.put(kind, value).json().to_owned())
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
    let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
        Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {error}",
            kind.name
        ))
    })?;
    let mut value = Value::Object(fields);
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

fn check_name(request: &Request, value: &Value) -> Result<(), Box<Status>> {
    let name = text(&value["metadata"]["name"]).unwrap_or_default();
    if name == request.name {
        return Ok(());
    }
    Err(Status::bad_request(format!(
        "the name of the object ({name}) does not match the name on the URL ({})",
        request.name
    )))
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

/// A string that says something.
pub(crate) fn text(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned)
}

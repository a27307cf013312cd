//! Patches: JSON Patch, merge, strategic merge and apply.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value};

use super::kinds::{Kind, Origin};
use super::reply;
use super::request::Request;
use super::status::Status;
use super::store::Store;
use super::write::{create_value, existing, read, replace};

const JSON: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// The lists that strategic merge takes as maps, each by the field that is the key. It is the part
/// of the real table that a controller of nodes, webhooks and pods can meet.
const KEYED: [(&str, &str); 6] = [
    ("addresses", "type"),
    ("conditions", "type"),
    ("containers", "name"),
    ("ownerReferences", "uid"),
    ("volumes", "name"),
    ("webhooks", "name"),
];

pub(crate) fn patch(
    store: &mut Store,
    kind: &Kind,
    request: &Request,
    content_type: &str,
    body: &[u8],
) -> Result<Response, Box<Status>> {
    let accepted: &[&str] = match kind.origin {
        Origin::BuiltIn => &[JSON, MERGE, STRATEGIC, APPLY],
        Origin::CustomResource => &[JSON, MERGE, APPLY],
    };
    if ![JSON, MERGE, STRATEGIC, APPLY].contains(&content_type) {
        return Err(Status::unknown_media_type());
    }
    if !accepted.contains(&content_type) {
        return Err(Status::unsupported_media_type(accepted));
    }
    if content_type == APPLY {
        return apply(store, kind, request, body);
    }
    let old = existing(store, kind, request)?;
    let mut value = old.value();
    let decoding = |error| Status::bad_request(format!("error decoding patch: {error}"));
    if content_type == JSON {
        let patch: json_patch::Patch = serde_json::from_slice(body).map_err(decoding)?;
        json_patch::patch(&mut value, &patch).map_err(|_| Status::patch_failed())?;
    } else {
        let patch: Value = serde_json::from_slice(body).map_err(decoding)?;
        if content_type == MERGE {
            json_patch::merge(&mut value, &patch);
        } else {
            merge_strategically(&mut value, &patch)?;
        }
    }
    let object = replace(store, kind, request, &old, value)?;
    Ok(reply::json(StatusCode::OK, object))
}

/// Server-side apply, as far as it creates or merges: nobody's ownership of a field is kept.
fn apply(
    store: &mut Store,
    kind: &Kind,
    request: &Request,
    body: &[u8],
) -> Result<Response, Box<Status>> {
    if request.parameter("fieldManager").is_none() {
        return Err(Status::no_field_manager());
    }
    let mut patch = read(kind, body)?;
    let Ok(old) = existing(store, kind, request) else {
        patch["metadata"]["name"] = request.name.as_str().into();
        let object = create_value(store, kind, request, patch)?;
        return Ok(reply::json(StatusCode::CREATED, object));
    };
    let mut value = old.value();
    merge_strategically(&mut value, &patch)?;
    let object = replace(store, kind, request, &old, value)?;
    Ok(reply::json(StatusCode::OK, object))
}

/// A merge patch that goes into keyed lists.
fn merge_strategically(target: &mut Value, patch: &Value) -> Result<(), Box<Status>> {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return Ok(());
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let target = target.as_object_mut().unwrap();
    for (field, patch) in patch {
        if field.starts_with('$') {
            return Err(Status::bad_request(format!("{field}: no directives here")));
        }
        let key = KEYED.iter().find(|(list, _)| list == field);
        match (key, patch, target.get_mut(field)) {
            (_, Value::Null, _) => {
                target.remove(field);
            }
            (Some((_, key)), Value::Array(patch), Some(Value::Array(items))) => {
                merge_items(items, patch, key)?;
            }
            _ => merge_strategically(target.entry(field).or_insert(Value::Null), patch)?,
        }
    }
    Ok(())
}

fn merge_items(items: &mut Vec<Value>, patch: &[Value], key: &str) -> Result<(), Box<Status>> {
    let mut new = Vec::new();
    for change in patch {
        match items.iter_mut().find(|item| item[key] == change[key]) {
            Some(item) => merge_strategically(item, change)?,
            None => new.push(change.clone()),
        }
    }
    // The real one puts them there too.
    items.splice(0..0, new);
    Ok(())
}

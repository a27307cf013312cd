//! What the server says of itself: its release, and the kinds of a group.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::kinds::{KINDS, Kind, Scope};
use super::reply;
use super::request::{Request, Verb};
use super::store::Store;

/// Answers a request about the server, if it is one.
pub(crate) fn discover(store: &Store, release: &str, request: &Request) -> Option<Response> {
    if request.verb != Verb::Get || !request.resource.is_empty() {
        return None;
    }
    if request.path == "/version" {
        let version = json!({ "major": "1", "minor": "36", "gitVersion": release });
        return Some(reply::json(StatusCode::OK, version.to_string()));
    }
    let Request { group, version, .. } = request;
    let is_served = |kind: &&Kind| {
        kind.group == group && kind.version == version && store.table(kind).installed
    };
    let kinds: Vec<Value> = KINDS.iter().filter(is_served).map(resource).collect();
    if kinds.is_empty() {
        return Some(reply::page_not_found());
    }
    let group_version = match group.as_str() {
        "" => version.clone(),
        group => format!("{group}/{version}"),
    };
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
        "resources": kinds,
    });
    Some(reply::json(StatusCode::OK, list.to_string()))
}

fn resource(kind: &Kind) -> Value {
    json!({
        "name": kind.plural, "singularName": kind.name.to_lowercase(), "kind": kind.name,
        "namespaced": kind.scope == Scope::Namespaced,
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    })
}

//! From a request to its answer, through the checks in the order of the real server's filters.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName};
use axum::http::request::Parts;
use axum::http::{self, StatusCode};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;

use super::binding::bind;
use super::delete::delete;
use super::discovery::discover;
use super::faults::{Effect, denied, failed, forbidden};
use super::form::Form;
use super::forward::forward;
use super::kinds::{KINDS, Kind, Origin, Scope};
use super::list::list;
use super::patch::patch;
use super::reply;
use super::request::{Request, Verb};
use super::review::review;
use super::shared::Shared;
use super::status::Status;
use super::watch::watch;
use super::write::{create, existing, update};

/// The real server's limit.
const LARGEST_BODY: usize = 3 << 20;

/// Answers a request and keeps it in the log.
pub(crate) async fn answer(shared: Arc<Shared>, request: http::Request<Body>) -> Response {
    let (mut head, body) = request.into_parts();
    let upgrade = head.extensions.remove::<OnUpgrade>();
    let request = Request::read(&head.method, &head.uri);
    let at = shared.change(|state| {
        state.log.push(request.clone());
        state.log.len() - 1
    });
    let response = checked(&shared, &request, &head, upgrade, body).await;
    let response = response.unwrap_or_else(|status| status.response());
    shared.change(|state| state.log[at].status = Some(response.status().as_u16()));
    response
}

async fn checked(
    shared: &Arc<Shared>,
    request: &Request,
    head: &Parts,
    upgrade: Option<OnUpgrade>,
    body: Body,
) -> Result<Response, Box<Status>> {
    let bearer = header(head, &AUTHORIZATION).strip_prefix("Bearer ");
    let struck = {
        let mut state = shared.lock();
        if state.token.is_some() && state.token.as_deref() != bearer {
            return Err(Status::unauthorized());
        }
        state.faults.strike(request)
    };
    match struck {
        Some(Effect::Status(status)) => return Ok(failed(status, request)),
        Some(Effect::Initializing) => return Err(Status::initializing()),
        Some(Effect::Hang) => {
            shared.wait_until(|state| state.faults.is_clear()).await;
        }
        // Admission comes after authorization, and knows the object.
        Some(Effect::Denied(_)) | None => {}
    }
    if shared.lock().faults.denies(request) {
        return Err(forbidden(request));
    }
    if let Some(response) = about_the_server(shared, request) {
        return Ok(response);
    }
    if request.group == "authorization.k8s.io" {
        let body = to_bytes(body, LARGEST_BODY).await.unwrap_or_default();
        let answer = review(&shared.lock().faults, request, &body);
        return answer.unwrap_or_else(|| Err(Status::no_such_path()));
    }
    let Some(kind) = served(shared, request) else {
        let built_in = KINDS.iter().filter(|kind| kind.origin == Origin::BuiltIn);
        let known = !request.resource.is_empty()
            && built_in
                .map(|kind| kind.group)
                .any(|group| group == request.group);
        return if known {
            Err(Status::no_such_path())
        } else {
            Ok(reply::page_not_found())
        };
    };
    if kind.name == "Pod" && request.subresource == "portforward" {
        let state = shared.lock();
        let pod = existing(&state.store, kind, request)?;
        if pod.value()["spec"]["nodeName"].is_null() {
            let message = format!("pod {} does not have a host assigned", request.name);
            return Err(Status::bad_request(message));
        }
        let key = kind.key(request.namespace.as_deref(), &request.name);
        let address = state.forwards.get(&key).copied();
        return forward(request, head, upgrade, address);
    }
    if !has_subresource(kind, &request.subresource) {
        return Err(match kind.origin {
            Origin::BuiltIn => Status::no_such_path(),
            Origin::CustomResource => Status::not_found(kind, &request.name),
        });
    }
    let body = to_bytes(body, LARGEST_BODY).await;
    let body = body.map_err(|_| Status::too_large(LARGEST_BODY))?;
    if let Some(Effect::Denied(denial)) = struck {
        return Err(denied(denial, request, &body));
    }
    let form = Form::accepted(header(head, &ACCEPT));
    let content_type = header(head, &CONTENT_TYPE).split(';').next();
    let body = (content_type.unwrap_or_default(), &body[..]);
    dispatch(shared, kind, form, request, body)
}

fn header<'a>(head: &'a Parts, name: &HeaderName) -> &'a str {
    let value = head.headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn about_the_server(shared: &Shared, request: &Request) -> Option<Response> {
    let state = shared.lock();
    discover(&state.store, &state.release, request)
}

/// The kind that a path is about, if there is such a path.
fn served(shared: &Shared, request: &Request) -> Option<&'static Kind> {
    let kind = Kind::at(&request.group, &request.version, &request.resource)?;
    let installed = shared.lock().store.table(kind).installed;
    let in_namespace = request.namespace.is_some();
    let placed = match kind.scope {
        Scope::Cluster => !in_namespace,
        // A collection of all namespaces can be read, no object of it.
        Scope::Namespaced => in_namespace || request.name.is_empty(),
    };
    (installed && placed).then_some(kind)
}

fn has_subresource(kind: &Kind, subresource: &str) -> bool {
    match subresource {
        "" => true,
        "status" => kind.status,
        "binding" => kind.name == "Pod",
        _ => false,
    }
}

fn dispatch(
    shared: &Arc<Shared>,
    kind: &'static Kind,
    form: Form,
    request: &Request,
    (content_type, body): (&str, &[u8]),
) -> Result<Response, Box<Status>> {
    if request.verb == Verb::Watch {
        return watch(shared, kind, form, request);
    }
    let reads = matches!(request.verb, Verb::Get | Verb::List);
    let mut state = shared.lock();
    let webhooks_answer = state.webhooks_answer;
    let mut scratch;
    let store = match request.parameter("dryRun") {
        None => &mut state.store,
        Some("All") => {
            scratch = state.store.clone();
            &mut scratch
        }
        Some(other) => return Err(Status::no_dry_run(other)),
    };
    let answer = match request.verb {
        Verb::Get => existing(store, kind, request)
            .map(|object| reply::json(StatusCode::OK, form.of(&object).into_owned())),
        Verb::List => list(store, kind, form, request),
        Verb::Create if request.subresource == "binding" => bind(store, kind, request, body),
        Verb::Create if request.name.is_empty() && placed_for_write(kind, request) => {
            create(store, kind, request, body, webhooks_answer)
        }
        Verb::Update if !request.name.is_empty() => update(store, kind, request, body),
        Verb::Patch if !request.name.is_empty() => patch(store, kind, request, content_type, body),
        Verb::Delete if request.subresource.is_empty() => delete(store, kind, request, body),
        _ => Err(Status::method_not_allowed()),
    };
    drop(state);
    if !reads {
        shared.tell();
    }
    answer
}

/// Whether the path is a collection that objects are created in.
fn placed_for_write(kind: &Kind, request: &Request) -> bool {
    request.namespace.is_some() == (kind.scope == Scope::Namespaced)
}

//! `POST /scheduler/bind`: bind this pod to this node. It is the one verb that waits: the target of a
//! migration is bound once its network is prepared, or when the time for that is up.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use crate::api::is_object_name;
use crate::continuity::Binding;
use crate::http::metrics::Surface;
use crate::http::refusal::Refusal;
use crate::http::{ClientPeer, Service};
use crate::peer::Peer;
use crate::text::{LONGEST_TEXT, shorten};
use crate::wire::bind::{BindingArgs, binding_result};

/// The answer of a berth without an API server.
const NO_API_SERVER: &str = "it decides on a snapshot and has no API server; leave bindVerb out of kube-scheduler's configuration";

pub(in crate::http) async fn handle(
    State(service): State<Arc<Service>>,
    ClientPeer(peer): ClientPeer,
    body: Body,
) -> Response {
    service.finish(Surface::Bind, answer(&service, peer, body).await)
}

async fn answer(service: &Service, peer: Peer, body: Body) -> Result<Response, Refusal> {
    let request = service.admit_bind(peer, body).await?;
    let binding = request.run(|text, _| Ok(read(BindingArgs::read(text)?)));
    let error = match binding.await? {
        Ok(binding) => match &service.binder {
            Some(binder) => request.in_time(binder.bind(&binding)).await?.err(),
            None => return request.respond(reply(NO_API_SERVER).into()),
        }
        .map(|error| error.to_string()),
        Err(problem) => Some(problem),
    };
    if let Some(error) = &error {
        service.log_problem(Surface::Bind, &shorten(error, LONGEST_TEXT));
    }
    let json = error.map_or_else(|| binding_result(""), |error| reply(&error));
    request.respond(json.into())
}

fn reply(error: &str) -> Vec<u8> {
    binding_result(&format!("berth: {}", shorten(error, LONGEST_TEXT)))
}

/// The binding, unless a name in it is none of an object.
fn read(args: BindingArgs<'_>) -> Result<Binding, String> {
    let BindingArgs {
        pod_name,
        pod_namespace,
        pod_uid,
        node,
    } = args;
    for (field, name) in [
        ("PodName", &pod_name),
        ("PodNamespace", &pod_namespace),
        ("Node", &node),
    ] {
        if !is_object_name(name.as_str()) {
            let name = shorten(name.as_str(), LONGEST_TEXT);
            return Err(format!(
                "{field} of the call is not the name of an object: {name:?}"
            ));
        }
    }
    Ok(Binding {
        namespace: pod_namespace.as_str().to_owned(),
        name: pod_name.as_str().to_owned(),
        uid: pod_uid.as_str().to_owned(),
        node: node.as_str().to_owned(),
    })
}

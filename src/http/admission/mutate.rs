//! `POST /mutate`: an admission review.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use json_patch::Patch;
use serde_json::value::RawValue;

use crate::cluster::{ClusterView, NodeNames};
use crate::decide::inject::{self, Decision, Operation, Outcome, Surroundings};
use crate::http::admission::{Answered, Parameters, log, problem, respond};
use crate::http::refusal::Refusal;
use crate::http::{ClientPeer, Service};
use crate::text::shorten;
use crate::wire::admission::{self, Request, ReviewError};
use crate::wire::kubevirt::{self, Kind};
use crate::wire::patch::{self, Anchor};
use crate::wire::template;

pub(in crate::http) async fn handle(
    State(service): State<Arc<Service>>,
    ClientPeer(peer): ClientPeer,
    parameters: Parameters,
    body: Body,
) -> Response {
    respond(service, peer, parameters, body, answer).await
}

fn answer(body: &str, service: &Service, _: Option<&NodeNames>) -> Result<Answered, Refusal> {
    let answer = mutate(body, &service.snapshot()?.cluster)?;
    Ok(Answered {
        kind: answer.kind.map(Kind::name),
        operation: answer.operation,
        outcome: answer.outcome.name(),
        problem: answer.problem,
        json: answer.json,
        asks: None,
    })
}

/// An answered review.
#[derive(Debug)]
pub struct MutateAnswer {
    /// The kind of the object, where it is one of the four.
    pub kind: Option<Kind>,
    /// What was about to happen.
    pub operation: inject::Operation,
    /// What came of it.
    pub outcome: Outcome,
    /// Why the object could not be read, for the log.
    pub problem: Option<String>,
    /// The reply.
    pub json: Vec<u8>,
}

/// Answers a review.
///
/// # Errors
/// The body is not a review. An object that can't be read is not an error: it is allowed unchanged, with
/// a warning, because berth must never be in the way of a VM.
pub fn mutate(body: &str, view: &ClusterView) -> Result<MutateAnswer, ReviewError> {
    let request = admission::read(body)?;
    let operation = request.operation;
    let kind = Kind::of(request.kind.group.as_str(), request.kind.kind.as_str());
    let is_vmi = kind == Some(Kind::VirtualMachineInstance);
    let before_reading = inject::before_reading(operation, request.is_subresource(), is_vmi);
    let (decision, patch, unreadable) = match (before_reading, kind) {
        (Some(outcome), _) => (Decision::silent(outcome), None, None),
        (None, None) => (Decision::silent(Outcome::OtherKind), None, None),
        (None, Some(kind)) => match decide(kind, &request, view) {
            Ok((decision, patch)) => (decision, patch, None),
            Err(error) => (Decision::silent(Outcome::Unreadable), None, Some(error)),
        },
    };
    let mut warnings: Vec<String> = decision.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(unreadable.as_ref().map(|error| unreadable_warning(error)));
    log(&request, decision.outcome.name(), warnings.len(), None);
    Ok(MutateAnswer {
        problem: unreadable.map(|error| problem(&request, &error)),
        kind,
        operation,
        outcome: decision.outcome,
        json: admission::allow(request.uid.as_str(), patch.as_ref(), &warnings),
    })
}

/// The decision about an object of one of the four kinds, with its patch, or what can't be read.
fn decide(
    kind: Kind,
    request: &Request<'_>,
    view: &ClusterView,
) -> Result<(Decision, Option<Patch>), String> {
    if request.operation == Operation::Update && !changes_template(kind, request)? {
        return Ok((Decision::silent(Outcome::TemplateUnchanged), None));
    }
    let (subject, anchor) = read_object(kind, request.object)?;
    let mut decision = inject::decide(&subject, surroundings(request, view));
    let patch = (decision.outcome == Outcome::Patched)
        .then(|| patch::add_annotation(kind.template(), anchor));
    drop_repeated_warnings(&mut decision, kind, request, view);
    Ok((decision, patch))
}

fn changes_template(kind: Kind, request: &Request<'_>) -> Result<bool, String> {
    let object = request.object.ok_or("the request has no object")?;
    let old = request.old_object.ok_or("the update has no old object")?;
    Ok(template::changes(kind, old.get(), object.get())?)
}

fn read_object(
    kind: Kind,
    object: Option<&RawValue>,
) -> Result<(inject::Subject<'_>, Anchor), String> {
    let object = object.ok_or("the request has no object")?;
    kubevirt::read(kind, object.get())
}

/// Drops the warnings that the object before the update gets as well: its author has seen them.
fn drop_repeated_warnings(
    decision: &mut Decision,
    kind: Kind,
    request: &Request<'_>,
    view: &ClusterView,
) {
    if decision.warnings.is_empty() || request.operation != Operation::Update {
        return;
    }
    if let Ok((before, _)) = read_object(kind, request.old_object) {
        let said = inject::decide(&before, surroundings(request, view)).warnings;
        decision.warnings.retain(|warning| !said.contains(warning));
    }
}

fn surroundings(request: &Request<'_>, view: &ClusterView) -> Surroundings {
    let namespace = request.namespace.as_ref();
    Surroundings {
        default_binding: view.default_binding(),
        namespace_opted_out: namespace.is_some_and(|name| view.namespace_opts_out(name.as_str())),
    }
}

/// kubectl shows the first 120 characters well.
fn unreadable_warning(error: &str) -> String {
    shorten(
        format_args!("berth can't read this object and leaves it unchanged: {error}"),
        120,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_about_an_unreadable_object_is_cut_at_what_kubectl_shows() {
        let warning = unreadable_warning(&"ü".repeat(500));
        assert_eq!(warning.chars().count(), 120);
    }
}

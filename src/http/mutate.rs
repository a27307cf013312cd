//! `POST /mutate`: an admission review.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use crate::cluster::View;
use crate::config::units::parse_duration;
use crate::decide::inject::{self, Decision, Outcome, Surroundings};
use crate::http::refusal::Refusal;
use crate::http::{Service, read_body};
use crate::metrics::Surface;
use crate::wire::admission::{self, Request, ReviewError};
use crate::wire::kubevirt::{self, Kind};
use crate::wire::patch::{self, Anchor};

#[derive(Deserialize)]
pub(super) struct Parameters {
    timeout: Option<String>,
}

pub(super) async fn handle(
    State(service): State<Arc<Service>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    body: Body,
) -> Response {
    let deadline = match deadline(service.limits.handler_timeout.0, parameters) {
        Ok(deadline) => deadline,
        Err(refusal) => return service.refuse(Surface::Admission, &refusal),
    };
    let answer = answer(&service, body);
    service.bounded(Surface::Admission, deadline, answer).await
}

/// kube-apiserver says in the query how long it waits; an answer after that helps nobody.
fn deadline(
    limit: Duration,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Duration, Refusal> {
    let Query(Parameters { timeout }) =
        parameters.map_err(|rejection| Refusal::BadQuery(rejection.body_text()))?;
    match timeout {
        None => Ok(limit),
        Some(text) => match parse_duration(&text) {
            Some(timeout) => Ok(limit.min(timeout)),
            None => Err(Refusal::BadTimeout(text)),
        },
    }
}

async fn answer(service: &Service, body: Body) -> Result<Vec<u8>, Refusal> {
    let start = Instant::now();
    let limit = service.limits.admission_body.bytes();
    let (text, _lease) = read_body(service, body, limit, "admissionBody").await?;
    let answer = mutate(&text, &service.view.load())?;
    service.metrics.admission(
        answer.kind,
        answer.operation,
        answer.outcome,
        start.elapsed(),
    );
    Ok(answer.json)
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
    /// The reply.
    pub json: Vec<u8>,
}

/// Answers a review.
///
/// # Errors
/// The body is no review. An object that can't be read is no error: it is allowed as it is, with
/// a warning, because berth must never be in the way of a VM.
pub fn mutate(body: &str, view: &View) -> Result<MutateAnswer, ReviewError> {
    let request = admission::read(body)?;
    let operation = request.operation();
    let kind = Kind::of(request.kind.group.as_str(), request.kind.kind.as_str());
    let (decision, patch, unreadable) = match (
        inject::before_reading(operation, request.is_subresource()),
        kind,
    ) {
        (Some(outcome), _) => (Decision::silent(outcome), None, None),
        (None, None) => (Decision::silent(Outcome::OtherKind), None, None),
        (None, Some(kind)) => match read_object(kind, &request) {
            Ok((subject, anchor)) => {
                let decision = inject::decide(&subject, surroundings(&request, view));
                let patch = (decision.outcome == Outcome::Patched)
                    .then(|| patch::add_annotation(kind.template(), anchor));
                (decision, patch, None)
            }
            Err(error) => (Decision::silent(Outcome::Unreadable), None, Some(error)),
        },
    };
    let mut warnings: Vec<String> = decision.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(unreadable.as_ref().map(|error| unreadable_warning(error)));
    log(&request, &decision, &warnings);
    Ok(MutateAnswer {
        kind,
        operation,
        outcome: decision.outcome,
        json: admission::allow(request.uid.as_str(), patch.as_ref(), &warnings),
    })
}

fn read_object<'a>(
    kind: Kind,
    request: &Request<'a>,
) -> Result<(inject::Subject<'a>, Anchor), String> {
    let object = request.object.ok_or("there is none")?;
    kubevirt::read(kind, object.get()).map_err(|error| error.to_string())
}

fn surroundings(request: &Request<'_>, view: &View) -> Surroundings {
    let namespace = request.namespace.as_ref();
    Surroundings {
        default_binding: view.default_binding(),
        namespace_opted_out: namespace.is_some_and(|name| view.namespace_opts_out(name.as_str())),
    }
}

/// kubectl shows the first 120 characters well.
fn unreadable_warning(error: &str) -> String {
    let text = format!("berth leaves this object as it is, because it can't read it: {error}");
    text.chars().take(120).collect()
}

fn log(request: &Request<'_>, decision: &Decision, warnings: &[String]) {
    let name = |text: &Option<_>| {
        text.as_ref()
            .map(|t: &crate::wire::Text<'_>| t.0.to_string())
    };
    if decision.outcome == Outcome::Unreadable {
        tracing::warn!(
            kind = request.kind.kind.as_str(),
            namespace = name(&request.namespace),
            name = name(&request.name),
            "object under review is unreadable: {}",
            warnings.join("; ")
        );
    }
    tracing::debug!(
        target: "berth::decision",
        surface = "admission",
        uid = request.uid.as_str(),
        kind = request.kind.kind.as_str(),
        namespace = name(&request.namespace),
        name = name(&request.name),
        operation = request.operation().name(),
        outcome = decision.outcome.name(),
        warnings = warnings.len(),
        "review answered"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shorter_of_both_timeouts_holds() {
        let limit = Duration::from_secs(10);
        let query = |text: Option<&str>| {
            Ok(Query(Parameters {
                timeout: text.map(str::to_owned),
            }))
        };
        for (timeout, expect) in [
            (None, Ok(10)),
            (Some("3s"), Ok(3)),
            (Some("30s"), Ok(10)),
            (
                Some("soon"),
                Err("?timeout=\"soon\" is no duration such as 10s"),
            ),
            (
                Some("0s"),
                Err("?timeout=\"0s\" is no duration such as 10s"),
            ),
        ] {
            let got = deadline(limit, query(timeout)).map_err(|refusal| refusal.to_string());
            assert_eq!(
                got,
                expect.map(Duration::from_secs).map_err(str::to_owned),
                "{timeout:?}"
            );
        }
    }

    #[test]
    fn a_warning_about_an_unreadable_object_is_cut_at_what_kubectl_shows() {
        let warning = unreadable_warning(&"ü".repeat(500));
        assert_eq!(warning.chars().count(), 120);
    }
}

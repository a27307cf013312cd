//! What kube-apiserver calls. Both routes take admission reviews, within the same limits.

mod mutate;
mod validate;

pub(super) use mutate::handle as handle_mutate;
pub use mutate::{MutateAnswer, mutate};
pub(super) use validate::handle as handle_validate;
pub use validate::{ValidateAnswer, validate};

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::response::Response;
use serde::Deserialize;
use tokio::time::Instant;

use crate::cluster::NodeNames;
use crate::config::Span;
use crate::decide::evaluate::VerdictCounts;
use crate::decide::inject::Operation;
use crate::http::Service;
use crate::http::metrics::Surface;
use crate::http::refusal::Refusal;
use crate::peer::Peer;
use crate::text::{LONGEST_NAME, LONGEST_TEXT, shorten};
use crate::wire::Text;
use crate::wire::admission::Request;

/// An answered review, as it is recorded and sent.
struct Answered {
    /// The kind of the object, where it is one that the route is for.
    kind: Option<&'static str>,
    operation: Operation,
    outcome: &'static str,
    /// Why the object could not be read, for the log.
    problem: Option<String>,
    json: Vec<u8>,
    /// The label selector whose nodes would change the answer, and are not known yet.
    asks: Option<String>,
}

/// Answers a review, perhaps with the names of the nodes that an answer asked for.
type Answer = fn(&str, &Service, Option<&NodeNames>) -> Result<Answered, Refusal>;

/// The query of an admission review.
#[derive(Deserialize)]
pub(super) struct Fields {
    timeout: Option<String>,
}

/// The query as it came, readable or not.
type Parameters = Result<Query<Fields>, QueryRejection>;

/// Answers a request within its limits: admits it, has `answer` work on its body, and records what came
/// of it.
async fn respond(
    service: Arc<Service>,
    peer: Peer,
    parameters: Parameters,
    body: Body,
    answer: Answer,
) -> Response {
    let answered = answer_in_time(&service, peer, parameters, body, answer).await;
    service.finish(Surface::Admission, answered)
}

async fn answer_in_time(
    service: &Arc<Service>,
    peer: Peer,
    parameters: Parameters,
    body: Body,
    answer: Answer,
) -> Result<Response, Refusal> {
    let patience = patience(service.handler_timeout, parameters)?;
    let request = service.admit_review(peer, patience, body).await?;
    let worker = Arc::clone(service);
    let mut answered = request
        .run(move |text, _| answer(text, &worker, None))
        .await?;
    // What was asked for may come late or not at all: then the first answer stands.
    if let (Some(selector), Some(reader)) = (&answered.asks, &service.reader) {
        let left = request.deadline().saturating_duration_since(Instant::now());
        let reading = reader.nodes_with(request.peer().ip(), selector, left / 2);
        if let Some(names) = reading.await {
            let worker = Arc::clone(service);
            answered = request
                .run(move |text, _| answer(text, &worker, Some(&names)))
                .await?;
        }
    }
    if let Some(problem) = &answered.problem {
        service.log_problem(Surface::Admission, problem);
    }
    service.metrics.admission(
        answered.kind,
        answered.operation,
        answered.outcome,
        request.start().elapsed(),
    );
    request.respond(answered.json.into())
}

/// How long the answer may take: kube-apiserver says in the query how long it waits for it.
fn patience(limit: Duration, parameters: Parameters) -> Result<Duration, Refusal> {
    let Query(Fields { timeout }) =
        parameters.map_err(|rejection| Refusal::BadQuery(rejection.body_text()))?;
    match timeout {
        None => Ok(limit),
        Some(text) => match text.parse() {
            Ok(Span(timeout)) => Ok(limit.min(timeout)),
            Err(_) => Err(Refusal::BadTimeout(text)),
        },
    }
}

/// What to log about an object that can't be read.
fn problem(request: &Request<'_>, error: &str) -> String {
    let name = |text: &Option<Text<'_>>| shorten_name(text.as_ref()).unwrap_or_default();
    let text = format_args!(
        "object under review is unreadable: {} {}/{}: {error}",
        shorten(request.kind.kind.as_str(), LONGEST_KIND),
        name(&request.namespace),
        name(&request.name),
    );
    shorten(text, LONGEST_TEXT)
}

/// The longest kind that a person needs to see, in characters.
const LONGEST_KIND: usize = 63;

fn shorten_name(name: Option<&Text<'_>>) -> Option<String> {
    name.map(|name| shorten(name.as_str(), LONGEST_NAME))
}

/// Logs a decision, with the verdicts on nodes where it has any.
fn log(
    request: &Request<'_>,
    outcome: &'static str,
    warnings: usize,
    verdicts: Option<&VerdictCounts>,
) {
    tracing::debug!(
        target: "berth::decision",
        surface = "admission",
        uid = shorten(request.uid.as_str(), LONGEST_NAME),
        kind = shorten(request.kind.kind.as_str(), LONGEST_KIND),
        namespace = shorten_name(request.namespace.as_ref()),
        name = shorten_name(request.name.as_ref()),
        operation = request.operation.name(),
        outcome,
        warnings,
        passed = verdicts.map(|counts| counts.passed),
        not_passed = verdicts.map(VerdictCounts::rejected),
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
            Ok(Query(Fields {
                timeout: text.map(str::to_owned),
            }))
        };
        for (timeout, expect) in [
            (None, Ok(10)),
            (Some("3s"), Ok(3)),
            (Some("30s"), Ok(10)),
            (
                Some("soon"),
                Err("?timeout=\"soon\" is not a duration (example: 10s)"),
            ),
            (
                Some("0s"),
                Err("?timeout=\"0s\" is not a duration (example: 10s)"),
            ),
        ] {
            let got = patience(limit, query(timeout)).map_err(|refusal| refusal.to_string());
            assert_eq!(
                got,
                expect.map(Duration::from_secs).map_err(str::to_owned),
                "{timeout:?}"
            );
        }
    }
}

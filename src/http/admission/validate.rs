//! `POST /validate`: an admission review of a migration, judged by the checks of the filter, and by the labels of
//! its `spec.addedNodeSelector`, for which the nodes that have them are listed. What is known only of the target
//! pod, such as capacity, is not judged.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use crate::cluster::NodeNames;
use crate::decide::admit::{self, Added, Decision, Outcome, may_refuse};
use crate::decide::evaluate::{SchedulingReason, VerdictCounts};
use crate::decide::inject::Operation;
use crate::decide::policy::Policy;
use crate::domain::MachineType;
use crate::http::admission::{Answered, Parameters, log, problem, respond};
use crate::http::refusal::Refusal;
use crate::http::{ClientPeer, Service};
use crate::snapshot::Snapshot;
use crate::text::shorten;
use crate::wire::Text;
use crate::wire::admission::{self, Request, ReviewError};
use crate::wire::kubevirt::{MIGRATION, is_migration};
use crate::wire::objects::{self, NewMigration};

/// The longest warning, in characters: kube-apiserver may cut longer ones.
const LONGEST_LINE: usize = 256;

pub(in crate::http) async fn handle(
    State(service): State<Arc<Service>>,
    ClientPeer(peer): ClientPeer,
    parameters: Parameters,
    body: Body,
) -> Response {
    respond(service, peer, parameters, body, answer).await
}

/// Unlike `/mutate`, a service that does not know the cluster yet answers: the migration is not judged.
fn answer(
    body: &str,
    service: &Service,
    labelled: Option<&NodeNames>,
) -> Result<Answered, Refusal> {
    let answer = validate(body, &service.stores.snapshot(), &service.policy, labelled)?;
    Ok(Answered {
        kind: answer.is_migration.then_some(MIGRATION),
        operation: answer.operation,
        outcome: answer.outcome.name(),
        problem: answer.problem,
        json: answer.json,
        asks: answer.asks,
    })
}

/// An answered review.
#[derive(Debug)]
pub struct ValidateAnswer {
    /// Whether the object is a migration.
    pub is_migration: bool,
    /// What was about to happen.
    pub operation: Operation,
    /// What came of it.
    pub outcome: Outcome,
    /// Why the object could not be read, for the log.
    pub problem: Option<String>,
    /// The reply.
    pub json: Vec<u8>,
    /// The label selector whose nodes would change the verdict, and were not given.
    pub asks: Option<String>,
}

/// Answers a review. `labelled` are the nodes that have the labels of the migration's `addedNodeSelector`; without
/// them the labels are not judged.
///
/// # Errors
/// The body is not a review. A migration that can't be read or judged is not an error: it is allowed.
pub fn validate(
    body: &str,
    snapshot: &Snapshot,
    policy: &Policy,
    labelled: Option<&NodeNames>,
) -> Result<ValidateAnswer, ReviewError> {
    let request = admission::read(body)?;
    let operation = request.operation;
    let is_migration = is_migration(request.kind.group.as_str(), request.kind.kind.as_str());
    let is_ignored = admit::is_ignored(
        policy.migration_admission,
        operation,
        is_migration,
        request.is_subresource(),
    );
    let judged = if is_ignored {
        Ok(Judged::silent(Outcome::Ignored))
    } else {
        judge(&request, snapshot, policy, labelled)
    };
    let (judged, problem) = match judged {
        Ok(judged) => (judged, None),
        Err(error) => (
            Judged::silent(Outcome::NotJudged),
            Some(problem(&request, &error)),
        ),
    };
    let Judged {
        decision,
        counts,
        asks,
    } = judged;
    let Decision { outcome, lines } = decision;
    let lines: Vec<String> = lines
        .iter()
        .map(|line| shorten(line, LONGEST_LINE))
        .collect();
    log(&request, outcome.name(), lines.len(), counts.as_ref());
    let uid = request.uid.as_str();
    Ok(ValidateAnswer {
        is_migration,
        operation,
        outcome,
        problem,
        json: match outcome {
            Outcome::Denied => admission::deny(uid, &lines.join("; ")),
            Outcome::Allowed | Outcome::Warned | Outcome::NotJudged | Outcome::Ignored => {
                admission::allow(uid, None, &lines)
            }
        },
        asks,
    })
}

/// A decision, and the verdicts that led to it.
struct Judged {
    decision: Decision,
    counts: Option<VerdictCounts>,
    asks: Option<String>,
}

impl Judged {
    const fn silent(outcome: Outcome) -> Self {
        Self {
            decision: Decision::silent(outcome),
            counts: None,
            asks: None,
        }
    }
}

/// The verdict on the creation of a migration, or what can't be read.
fn judge(
    request: &Request<'_>,
    snapshot: &Snapshot,
    policy: &Policy,
    labelled: Option<&NodeNames>,
) -> Result<Judged, String> {
    let object = request.object.ok_or("the request has no object")?;
    let migration: NewMigration<'_> = objects::read(object.get())?;
    let subject = migration.subject();
    if subject.is_decentralized {
        return Ok(Judged::silent(Outcome::Ignored));
    }
    let namespace = request.namespace.as_ref().map_or("", Text::as_str);
    let cluster = &snapshot.cluster;
    let vmi = subject
        .vmi_name
        .filter(|_| cluster.is_complete())
        .and_then(|name| cluster.vmi_named(namespace, name))
        // What a VM needs of a node is known once it runs.
        .filter(|vmi| vmi.node.is_some());
    let Some(vmi) = vmi else {
        return Ok(Judged::silent(Outcome::NotJudged));
    };
    let mut evaluator = snapshot.evaluator(policy, SchedulingReason::MigrationTarget, vmi);
    let mut counts = VerdictCounts::default();
    let selector = label_selector(&migration);
    let (mut passed, mut lacking) = (0, 0);
    for (node, _) in snapshot.nodes() {
        let verdict = evaluator.evaluate(&node);
        if labelled.is_some_and(|labelled| labelled.contains(node.name)) {
            passed += u64::from(verdict.failed.first().is_none());
        } else {
            lacking += 1;
        }
        counts.add(Some(verdict));
    }
    let added = labelled.and(selector.as_deref()).map(|labels| Added {
        labels,
        passed,
        lacking,
    });
    let username = request.username();
    let username = username.as_ref().map_or("", Text::as_str);
    let decision = admit::decide(
        &counts,
        added,
        format_args!("{}/{}", vmi.namespace, vmi.name),
        cluster.origin(vmi).machine_type.and_then(MachineType::name),
        may_refuse(policy.migration_admission, &subject, username),
    );
    let asks = selector.filter(|_| labelled.is_none() && counts.passed > 0);
    Ok(Judged {
        decision,
        counts: Some(counts),
        asks,
    })
}

/// The most labels of an `addedNodeSelector` that are asked for.
const MOST_LABELS: usize = 16;

/// The longest key of a label: a domain, a slash and a name.
const LONGEST_KEY: usize = 253 + 1 + 63;

/// The `addedNodeSelector` of a migration as a label selector; `None` where it has no labels, or what it has cannot
/// be labels, so that the API server refuses the target pod.
fn label_selector(migration: &NewMigration<'_>) -> Option<String> {
    let is_safe = |text: &str| {
        let mut bytes = text.bytes();
        text.len() <= LONGEST_KEY
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
    };
    let mut labels = Vec::new();
    for (key, value) in migration.added_node_selector() {
        if key.is_empty() || !is_safe(key) || !is_safe(value) || labels.len() == MOST_LABELS {
            return None;
        }
        labels.push(format!("{key}={value}"));
    }
    (!labels.is_empty()).then(|| labels.join(","))
}

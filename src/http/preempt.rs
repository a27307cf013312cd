//! `POST /scheduler/preempt`: on which of these nodes may pods be evicted for this one?
//!
//! A node that the guard rejects stays rejected whoever is evicted there, so that it is no candidate.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use tokio::time::Instant;

use crate::cluster::Lookup;
use crate::decide::evaluate::{Evaluator, SchedulingReason};
use crate::decide::policy::Policy;
use crate::http::Service;
use crate::http::decision::{self, Details};
use crate::http::lane::{Answered, Attempt, ByPeer};
use crate::http::metrics::{ExtenderOutcome, Verb};
use crate::http::refusal::Refusal;
use crate::http::vmi::{NoVmi, VmiRef, find_vmi, no_vmi};
use crate::snapshot::Snapshot;
use crate::wire::extender::ArgsError;
use crate::wire::preempt::{PreemptArgs, preempt_result};

pub(super) async fn handle(
    State(service): State<Arc<Service>>,
    peer: ByPeer,
    body: Body,
) -> Response {
    let patience = service.handler_timeout;
    service
        .extender
        .run(&service, peer, patience, body, answer)
        .await
}

fn answer(
    service: &Service,
    text: &str,
    start: Instant,
    attempt: &Attempt,
) -> Result<Answered, Refusal> {
    let snapshot = service.snapshot()?;
    let mut answer = preempt(text, &snapshot, &service.policy, attempt.lookup.as_ref())?;
    if let Some(vmi) = service.to_read(answer.unknown.take(), attempt) {
        return Ok(Answered::Unknown(vmi));
    }
    service.extended(
        Verb::Preempt,
        answer.outcome,
        answer.problem.as_deref(),
        start,
    );
    Ok(Answered::Reply(answer.json.into()))
}

/// An answered preempt call.
#[derive(Debug)]
pub struct PreemptAnswer {
    /// What came of it.
    pub outcome: ExtenderOutcome,
    /// Why there is no candidate at all, for the log.
    pub problem: Option<String>,
    /// The VMI that is not in the view, and that a look at the API server may bring.
    pub unknown: Option<VmiRef>,
    /// The reply.
    pub json: Vec<u8>,
}

/// Answers a preempt call. Without the pod's VMI no node is a candidate: nobody is evicted for a pod
/// that can't be judged, and the filter has said so already.
///
/// # Errors
/// The body is no preempt call. The protocol has no other way to say so.
pub fn preempt(
    body: &str,
    snapshot: &Snapshot,
    policy: &Policy,
    lookup: Option<&Lookup>,
) -> Result<PreemptAnswer, ArgsError> {
    let PreemptArgs {
        pod,
        mut candidates,
    } = PreemptArgs::read(body)?;
    let answered = |outcome, json| PreemptAnswer {
        outcome,
        problem: None,
        unknown: None,
        json,
    };
    let Some(reason) = SchedulingReason::of(pod.is_launcher(), pod.belongs_to_migration(), policy)
    else {
        decision::not_guarded(Verb::Preempt, &pod);
        let json = preempt_result(&candidates);
        return Ok(answered(ExtenderOutcome::NotGuarded, json));
    };
    let vmi = match find_vmi(&pod, &snapshot.cluster, lookup) {
        Ok(vmi) => vmi,
        Err(problem) => {
            return Ok(PreemptAnswer {
                problem: Some(no_vmi(&pod, &problem)),
                unknown: match problem {
                    NoVmi::Unknown(vmi) => Some(vmi),
                    _ => None,
                },
                ..answered(ExtenderOutcome::VmiUnknown, preempt_result(&[]))
            });
        }
    };
    let origin = snapshot.cluster.origin(vmi);
    let mut evaluator = Evaluator::for_vm(policy, snapshot.capabilities(), reason, origin);
    let mut details = Details::if_wanted(policy.required_agents(snapshot.capabilities()));
    let offered = candidates.len();
    candidates.retain(|(name, _)| {
        let Some(candidate) = snapshot.candidate(name.as_str()) else {
            details.add_unknown(name.as_str());
            return false;
        };
        let verdict = evaluator.evaluate(&candidate);
        if !verdict.fits() {
            details.add(candidate, verdict);
        }
        verdict.fits()
    });
    let kept = candidates.len() as u64;
    let counts = (kept, offered as u64 - kept);
    let vmi = (vmi, origin);
    decision::judged(Verb::Preempt, &pod, vmi, reason, counts, &details);
    let json = preempt_result(&candidates);
    Ok(answered(ExtenderOutcome::Judged, json))
}

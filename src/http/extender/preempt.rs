//! `POST /scheduler/preempt`: on which of these nodes may pods be evicted for this one?
//!
//! Evicting pods does not change the verdict on a node, so that a rejected node is not a candidate.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use crate::cluster::Lookup;
use crate::decide::evaluate::{Evaluator, SchedulingReason, VerdictCounts};
use crate::decide::policy::Policy;
use crate::http::extender::CallReport;
use crate::http::extender::decision::{self, Details};
use crate::http::extender::retry::RetryState;
use crate::http::extender::vmi::find_vmi;
use crate::http::metrics::{ExtenderOutcome, Surface, Verb};
use crate::http::refusal::Refusal;
use crate::http::{ClientPeer, Service};
use crate::peer::Peer;
use crate::snapshot::Snapshot;
use crate::wire::extender::ArgsError;
use crate::wire::preempt::{PreemptArgs, preempt_result};

pub(in crate::http) async fn handle(
    State(service): State<Arc<Service>>,
    ClientPeer(peer): ClientPeer,
    body: Body,
) -> Response {
    service.finish(Surface::Extender, answer(&service, peer, body).await)
}

async fn answer(service: &Arc<Service>, peer: Peer, body: Body) -> Result<Response, Refusal> {
    let request = service.admit_call(peer, body).await?;
    let mut retry = RetryState::default();
    loop {
        let (worker, lookup) = (Arc::clone(service), retry.lookup.clone());
        let judging = request.run(move |text, _| {
            let snapshot = worker.snapshot()?;
            Ok(preempt(text, &snapshot, &worker.policy, lookup.as_ref())?)
        });
        let PreemptAnswer { report, json } = judging.await?;
        if retry.look_up(service, &request, &report).await? {
            continue;
        }
        service.record(Verb::Preempt, &report, request.start());
        return request.respond(json.into());
    }
}

/// An answered preempt call.
#[derive(Debug)]
pub struct PreemptAnswer {
    /// What came of it.
    pub report: CallReport,
    /// The reply.
    pub json: Vec<u8>,
}

/// Answers a preempt call. Without the pod's VMI no node is a candidate: no pod is evicted for one
/// that can't be judged, and the filter has reported that already.
///
/// # Errors
/// The body is not a preempt call. The protocol has no other way to report that.
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
        report: CallReport::of(outcome, VerdictCounts::default()),
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
                report: CallReport::no_vmi(&pod, problem),
                json: preempt_result(&[]),
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

//! `POST /scheduler/prioritize`: which of these nodes are better for the pod?
//!
//! A score needs of the VM no more than its name, which its pod tells. So nothing is looked up, and a
//! VM that berth has not seen yet is scored like any other.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use crate::cluster::view::NodeEntry;
use crate::decide::evaluate::SchedulingReason;
use crate::decide::explain::Scored;
use crate::decide::policy::Policy;
use crate::decide::score::{Inputs, Scale};
use crate::domain::Provider;
use crate::http::extender::decision::{self, Details};
use crate::http::metrics::{ExtenderOutcome, Surface, Verb};
use crate::http::refusal::Refusal;
use crate::http::{ClientPeer, Service};
use crate::peer::Peer;
use crate::snapshot::{Snapshot, Switches};
use crate::wire::extender::{self, ArgsError, AskedNode, FilterArgs};
use crate::wire::prioritize::{HostPriority, host_priorities};

pub(in crate::http) async fn handle(
    State(service): State<Arc<Service>>,
    ClientPeer(peer): ClientPeer,
    body: Body,
) -> Response {
    service.finish(Surface::Extender, answer(&service, peer, body).await)
}

async fn answer(service: &Arc<Service>, peer: Peer, body: Body) -> Result<Response, Refusal> {
    let request = service.admit_call(peer, body).await?;
    let worker = Arc::clone(service);
    let scoring =
        request.run(move |text, _| Ok(prioritize(text, &worker.snapshot()?, &worker.policy)?));
    let answer = scoring.await?;
    let took = request.start().elapsed();
    service
        .metrics
        .extender(Verb::Prioritize, answer.outcome, took);
    if let Some(scale) = &answer.scale {
        service.metrics.scored(scale);
    }
    request.respond(answer.json.into())
}

/// An answered prioritize call.
#[derive(Debug)]
pub struct PrioritizeAnswer {
    /// What came of it.
    pub outcome: ExtenderOutcome,
    /// What the nodes were measured against, if they were.
    pub scale: Option<Scale>,
    /// The reply.
    pub json: Vec<u8>,
}

/// Answers a prioritize call. Every node scores 0 for a pod that berth does not guard.
///
/// # Errors
/// The call can't be answered. The protocol has no other way to report that, and
/// kube-scheduler goes on without the scores.
pub fn prioritize(
    body: &str,
    snapshot: &Snapshot,
    policy: &Policy,
) -> Result<PrioritizeAnswer, ArgsError> {
    let FilterArgs { pod, nodes: asked } = FilterArgs::read(body)?;
    let nodes = asked.read()?;
    let Some(reason) = SchedulingReason::of(pod.is_launcher(), pod.belongs_to_migration(), policy)
    else {
        decision::not_guarded(Verb::Prioritize, &pod);
        let zeros = nodes.iter().map(|node| HostPriority {
            host: node.name.as_str(),
            score: 0,
        });
        return Ok(PrioritizeAnswer {
            outcome: ExtenderOutcome::NotGuarded,
            scale: None,
            json: host_priorities(&zeros.collect::<Vec<_>>()),
        });
    };
    let vm = pod.vmi().map(|owner| owner.name);
    let switches = vm.and_then(|vm| snapshot.switches_of(pod.namespace(), vm));
    let known = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| inputs(index, node, snapshot, policy.provider, switches.as_ref()));
    let inputs = known.collect::<Result<Vec<_>, _>>()?;
    let scale = Scale::new(policy.weights, &inputs);
    let mut details = Details::if_wanted(policy.required_agents(snapshot.capabilities()));
    let scored = nodes.iter().zip(&inputs).map(|(node, inputs)| {
        let score = scale.score(inputs);
        details.add_score(Scored {
            node: node.name.as_str(),
            score,
            inputs: *inputs,
            switches: switches.as_ref().map_or(0, Switches::count),
        });
        HostPriority {
            host: node.name.as_str(),
            score,
        }
    });
    let scored: Vec<_> = scored.collect();
    decision::scored(&pod, vm, reason, scored.len(), &details);
    Ok(PrioritizeAnswer {
        outcome: ExtenderOutcome::Judged,
        scale: Some(scale),
        json: host_priorities(&scored),
    })
}

/// What is known of a node: by the view, or else by what came of it.
fn inputs(
    index: usize,
    asked: &AskedNode<'_>,
    snapshot: &Snapshot,
    provider: Provider,
    switches: Option<&Switches<'_>>,
) -> Result<Inputs, ArgsError> {
    let entry = snapshot.cluster.node(asked.name.as_str());
    let node = match (entry.and_then(NodeEntry::facts), asked.whole) {
        (Some(node), _) => Some(Cow::Borrowed(node)),
        (None, Some(whole)) => Some(Cow::Owned(extender::node_facts(index, whole, provider)?)),
        (None, None) => None,
    };
    Ok(snapshot.inputs(node.as_deref(), entry, switches))
}

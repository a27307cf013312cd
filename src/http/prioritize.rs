//! `POST /scheduler/prioritize`: which of these nodes are better for the pod?
//!
//! A score needs of the VM no more than its name, which its pod tells. So nothing is looked up, and a
//! VM that berth has not seen yet is scored like any other.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use tokio::time::Instant;

use crate::cluster::view::NodeEntry;
use crate::decide::evaluate::SchedulingReason;
use crate::decide::explain::Scored;
use crate::decide::policy::Policy;
use crate::decide::score::{Inputs, Scale};
use crate::domain::{NodeFacts, Provider};
use crate::http::Service;
use crate::http::decision::{self, Details};
use crate::http::lane::{Answered, Attempt, ByPeer};
use crate::http::metrics::{ExtenderOutcome, Verb};
use crate::http::refusal::Refusal;
use crate::snapshot::{Snapshot, Switches};
use crate::wire::Text;
use crate::wire::extender::{self, ArgsError, Asked, FilterArgs, ListedNode};
use crate::wire::prioritize::{HostPriority, host_priorities};

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

fn answer(service: &Service, text: &str, start: Instant, _: &Attempt) -> Result<Answered, Refusal> {
    let snapshot = service.snapshot()?;
    let answer = prioritize(text, &snapshot, &service.policy)?;
    service.extended(Verb::Prioritize, answer.outcome, None, start);
    if let Some(scale) = &answer.scale {
        service.metrics.scored(scale);
    }
    Ok(Answered::Reply(answer.json.into()))
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

/// Answers a prioritize call: with 0 for every node where the pod is none that berth guards.
///
/// # Errors
/// The body is no call that can be answered. The protocol has no other way to say so, and
/// kube-scheduler goes on without the scores.
pub fn prioritize(
    body: &str,
    snapshot: &Snapshot,
    policy: &Policy,
) -> Result<PrioritizeAnswer, ArgsError> {
    let FilterArgs { pod, asked } = FilterArgs::read(body)?;
    let Some(reason) = SchedulingReason::of(pod.is_launcher(), pod.belongs_to_migration(), policy)
    else {
        decision::not_guarded(Verb::Prioritize, &pod);
        let nodes = read_nodes(asked)?.into_iter().map(AskedNode::into_name);
        let zeros: Vec<_> = nodes.map(|host| HostPriority { host, score: 0 }).collect();
        return Ok(PrioritizeAnswer {
            outcome: ExtenderOutcome::NotGuarded,
            scale: None,
            json: host_priorities(&zeros),
        });
    };
    let vm = pod.vmi().map(|owner| owner.name);
    let switches = vm.and_then(|vm| snapshot.switches_of(pod.namespace(), vm));
    let nodes = read_nodes(asked)?;
    let known = nodes.iter().enumerate().map(|(index, node)| {
        let (provider, switches) = (policy.provider, switches.as_ref());
        inputs(index, node, snapshot, provider, switches)
    });
    let inputs = known.collect::<Result<Vec<_>, _>>()?;
    let scale = Scale::new(policy.weights, &inputs);
    let mut details = Details::if_wanted(policy.required_agents(snapshot.capabilities()));
    let names = nodes.into_iter().map(AskedNode::into_name);
    let scored = names.zip(&inputs).map(|(host, inputs)| {
        let score = scale.score(inputs);
        details.add_score(Scored {
            node: host.as_str(),
            score,
            inputs: *inputs,
            switches: switches.as_ref().map_or(0, Switches::count),
        });
        HostPriority { host, score }
    });
    let scored: Vec<_> = scored.collect();
    decision::scored(&pod, vm, reason, scored.len(), &details);
    Ok(PrioritizeAnswer {
        outcome: ExtenderOutcome::Judged,
        scale: Some(scale),
        json: host_priorities(&scored),
    })
}

/// A node that is asked about, with all of it where it came whole.
enum AskedNode<'a> {
    Named(Text<'a>),
    Listed(ListedNode<'a>),
}

impl<'a> AskedNode<'a> {
    const fn name(&self) -> &Text<'a> {
        match self {
            Self::Named(name) => name,
            Self::Listed(node) => &node.name,
        }
    }

    fn into_name(self) -> Text<'a> {
        match self {
            Self::Named(name) => name,
            Self::Listed(node) => node.name,
        }
    }
}

fn read_nodes(asked: Asked<'_>) -> Result<Vec<AskedNode<'_>>, ArgsError> {
    Ok(match asked {
        Asked::Names(names) => {
            let names = names.read()?.into_texts().into_iter();
            names.map(AskedNode::Named).collect()
        }
        Asked::Nodes(list) => {
            let nodes = list.read()?.items.into_iter();
            nodes.map(AskedNode::Listed).collect()
        }
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
    let entry = snapshot.cluster.node(asked.name().as_str());
    let node: Option<Cow<'_, NodeFacts>> = match (entry.and_then(NodeEntry::facts), asked) {
        (Some(node), _) => Some(Cow::Borrowed(node)),
        (None, AskedNode::Listed(node)) => {
            Some(Cow::Owned(extender::node_facts(index, node, provider)?))
        }
        (None, AskedNode::Named(_)) => None,
    };
    Ok(snapshot.inputs(node.as_deref(), entry, switches))
}

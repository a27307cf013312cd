//! `POST /scheduler/prioritize`: which of these nodes are better for the pod?
//!
//! A score needs of the VM no more than its name, which its pod tells. So nothing is looked up, and a
//! VM that berth has not seen yet is scored like any other.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::cluster::view::NodeEntry;
use crate::decide::explain::Scored;
use crate::decide::guard::{Journey, Policy};
use crate::decide::score::{Inputs, Scale};
use crate::domain::{NodeFacts, Provider};
use crate::facts::{Facts, Switches};
use crate::http::Service;
use crate::http::decision::{self, Details};
use crate::http::lane::{Answered, Attempt};
use crate::http::refusal::Refusal;
use crate::metrics::{ExtenderOutcome, Verb};
use crate::wire::Text;
use crate::wire::extender::{self, ArgsError, Asked, FilterArgs, NodeList};
use crate::wire::prioritize::{HostPriority, host_priorities};

pub(super) async fn handle(State(service): State<Arc<Service>>, body: Body) -> Response {
    let patience = service.handler_timeout;
    service.extender.run(&service, patience, body, answer).await
}

fn answer(service: &Service, text: &str, start: Instant, _: &Attempt) -> Result<Answered, Refusal> {
    let known = service.known()?;
    let answer = prioritize(text, &known.facts(), &service.policy)?;
    service.extended(Verb::Prioritize, answer.outcome, None, start);
    if let Some(scale) = &answer.scale {
        service.metrics.scored(scale);
    }
    Ok(Answered::Json(answer.json))
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
    facts: &Facts<'_>,
    policy: &Policy,
) -> Result<PrioritizeAnswer, ArgsError> {
    let FilterArgs { pod, asked } = FilterArgs::read(body)?;
    let Some(journey) = Journey::of(pod.is_launcher(), pod.belongs_to_migration(), policy) else {
        decision::not_guarded(Verb::Prioritize, &pod);
        let nodes = read_nodes(asked)?.into_iter();
        let zeros = nodes.map(|(host, _)| HostPriority { host, score: 0 });
        let zeros: Vec<_> = zeros.collect();
        return Ok(PrioritizeAnswer {
            outcome: ExtenderOutcome::NotGuarded,
            scale: None,
            json: host_priorities(&zeros),
        });
    };
    let vm = pod.vmi().map(|owner| owner.name);
    let switches = vm.and_then(|vm| facts.switches_of(pod.namespace(), vm));
    let nodes = read_nodes(asked)?;
    let known = nodes.iter().enumerate().map(|(index, (name, raw))| {
        let (provider, switches) = (policy.provider, switches.as_ref());
        inputs(index, name.as_str(), *raw, facts, provider, switches)
    });
    let inputs = known.collect::<Result<Vec<_>, _>>()?;
    let scale = Scale::new(policy.weights, &inputs);
    let mut details = Details::if_wanted(policy.provider);
    let scored = nodes.into_iter().zip(&inputs).map(|((host, _), inputs)| {
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
    decision::scored(&pod, vm, journey, scored.len(), &details);
    Ok(PrioritizeAnswer {
        outcome: ExtenderOutcome::Judged,
        scale: Some(scale),
        json: host_priorities(&scored),
    })
}

/// The nodes asked about, by name and, where they came whole, as they came.
fn read_nodes(asked: Asked<'_>) -> Result<Vec<(Text<'_>, Option<&RawValue>)>, ArgsError> {
    match asked {
        Asked::Names(names) => {
            let names = extender::read_names(names)?.into_iter();
            Ok(names.map(|name| (name, None)).collect())
        }
        Asked::Nodes(nodes) => {
            let list = NodeList::read(nodes)?;
            let items = list.items().iter().enumerate();
            let named =
                items.map(|(index, raw)| Ok((extender::node_name(index, raw)?, Some(*raw))));
            named.collect()
        }
    }
}

/// What is known of a node: by the view, or else by what came of it.
fn inputs(
    index: usize,
    name: &str,
    raw: Option<&RawValue>,
    facts: &Facts<'_>,
    provider: Provider,
    switches: Option<&Switches<'_>>,
) -> Result<Inputs, ArgsError> {
    let entry = facts.view.node(name);
    let node: Option<Cow<'_, NodeFacts>> = match (entry.and_then(NodeEntry::facts), raw) {
        (Some(node), _) => Some(Cow::Borrowed(node)),
        (None, Some(raw)) => Some(Cow::Owned(extender::node_facts(index, raw, provider)?)),
        (None, None) => None,
    };
    Ok(facts.inputs(node.as_deref(), entry, switches))
}

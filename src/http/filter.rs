//! `POST /scheduler/filter`: which of these nodes may the pod land on?

use std::borrow::Cow;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde_json::value::RawValue;

use crate::cluster::View;
use crate::decide::explain::Explained;
use crate::decide::guard::{Candidate, Fleet, Guard, Journey, Policy};
use crate::decide::reason::{NOT_YET_KNOWN, Reason, Reasons};
use crate::domain::{Agents, NodeFacts, Vmi};
use crate::http::refusal::Refusal;
use crate::http::{Service, read_body};
use crate::metrics::{ExtenderOutcome, Surface, Tally};
use crate::wire::Text;
use crate::wire::extender::{
    self, ArgsError, Asked, Failure, FilterArgs, FilterResult, NodeList, Passed,
};
use crate::wire::objects::Pod;

/// A body of this size takes a good part of a millisecond, and is answered off the threads that
/// serve everyone's connections.
const LARGE_BODY: usize = 256 << 10;

pub(super) async fn handle(State(service): State<Arc<Service>>, body: Body) -> Response {
    let deadline = service.limits.handler_timeout.0;
    let answer = answer(&service, body);
    service.bounded(Surface::Extender, deadline, answer).await
}

async fn answer(service: &Arc<Service>, body: Body) -> Result<Vec<u8>, Refusal> {
    let start = Instant::now();
    let limit = service.limits.extender_body.bytes();
    let (text, lease) = read_body(service, body, limit, "extenderBody").await?;
    let answer = if text.len() < LARGE_BODY {
        filter(&text, &service.view.load(), &service.policy)
    } else {
        let service = Arc::clone(service);
        // The lease goes along: when the deadline cuts the wait, the work goes on to its end.
        let work = move || {
            let _lease = lease;
            filter(&text, &service.view.load(), &service.policy)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => answer,
            // To the listener, which logs and counts the panics of all handlers.
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => return Err(Refusal::GivenUp),
        }
    }?;
    service
        .metrics
        .filter(answer.outcome, &answer.tally, start.elapsed());
    Ok(answer.json)
}

/// An answered filter call.
#[derive(Debug)]
pub struct FilterAnswer {
    /// What came of it.
    pub outcome: ExtenderOutcome,
    /// The verdicts.
    pub tally: Tally,
    /// The reply.
    pub json: Vec<u8>,
}

impl FilterAnswer {
    fn error(outcome: ExtenderOutcome, message: &str) -> Self {
        Self {
            outcome,
            tally: Tally::default(),
            json: extender::filter_error(message),
        }
    }
}

/// Answers a filter call.
///
/// # Errors
/// The body is not of the extender's protocol. What is, and still can't be answered, gets an
/// answer with `Error` set, which kube-scheduler shows.
pub fn filter(body: &str, view: &View, policy: &Policy) -> Result<FilterAnswer, ArgsError> {
    match judge(body, view, policy) {
        Ok(answer) => Ok(answer),
        Err(error) if error.is_foreign() => Err(error),
        Err(error) => {
            tracing::warn!(surface = "extender", verb = "filter", "{error}");
            Ok(FilterAnswer::error(
                ExtenderOutcome::BadArgs,
                &format!("berth: {error}"),
            ))
        }
    }
}

fn judge(body: &str, view: &View, policy: &Policy) -> Result<FilterAnswer, ArgsError> {
    let FilterArgs { pod, asked } = FilterArgs::read(body)?;
    let Some(journey) = Journey::of(pod.is_launcher(), pod.belongs_to_migration(), policy) else {
        return pass_all(asked);
    };
    let vmi = match find_vmi(&pod, view) {
        Ok(vmi) => vmi,
        Err(message) => {
            tracing::warn!(surface = "extender", verb = "filter", "{message}");
            return Ok(FilterAnswer::error(ExtenderOutcome::VmiUnknown, &message));
        }
    };
    let machine_type = vmi.machine_type.as_deref().unwrap_or_default();
    let texts = Reason::ALL.map(|reason| reason.text(machine_type));
    let mut sorter = Sorter::new(&texts);
    let passed = match asked {
        Asked::Names(names) => {
            let names = extender::read_names(names)?;
            let guard = Guard::new(policy, view.fleet(), journey, vmi);
            Passed::Names(sorter.sort_names(names, view, &guard))
        }
        Asked::Nodes(nodes) => {
            let list = NodeList::read(nodes)?;
            let nodes = read_nodes(list.items(), view)?;
            let guard = Guard::new(policy, fleet(view, &nodes), journey, vmi);
            let items = sorter.sort_nodes(nodes, view, &guard);
            Passed::Nodes(list.with_items(items))
        }
    };
    let Sorter {
        failed,
        unresolvable,
        tally,
        details,
        ..
    } = sorter;
    log(&pod, vmi, journey, &tally, &details);
    let result = FilterResult {
        passed,
        failed,
        unresolvable,
    };
    Ok(FilterAnswer {
        outcome: ExtenderOutcome::Judged,
        tally,
        json: result.encode(),
    })
}

/// A pod that berth does not guard: the nodes go back as they came, without being read.
fn pass_all(asked: Asked<'_>) -> Result<FilterAnswer, ArgsError> {
    asked.check_shape()?;
    let result = FilterResult {
        passed: Passed::All(asked),
        failed: Vec::new(),
        unresolvable: Vec::new(),
    };
    Ok(FilterAnswer {
        outcome: ExtenderOutcome::NotGuarded,
        tally: Tally::default(),
        json: result.encode(),
    })
}

fn find_vmi<'v>(pod: &Pod<'_>, view: &'v View) -> Result<&'v Vmi, String> {
    let (namespace, name) = (pod.namespace(), pod.name());
    let Some(owner) = pod.vmi() else {
        return Err(format!(
            "berth: pod {namespace}/{name} has the labels of a virt-launcher, but no VirtualMachineInstance controls it"
        ));
    };
    view.vmi(owner.uid).ok_or_else(|| {
        format!(
            "berth: VirtualMachineInstance {namespace}/{} with UID {} is not known",
            owner.name, owner.uid
        )
    })
}

/// A node of a `NodeList`, with its facts where the view has none.
struct ListedNode<'a> {
    name: Text<'a>,
    raw: &'a RawValue,
    fallback: Option<NodeFacts>,
}

fn read_nodes<'a>(items: &[&'a RawValue], view: &View) -> Result<Vec<ListedNode<'a>>, ArgsError> {
    let mut nodes = Vec::with_capacity(items.len());
    for (index, raw) in items.iter().copied().enumerate() {
        let name = extender::node_name(index, raw)?;
        let known = view.node(name.as_str()).is_some_and(|n| n.facts.is_some());
        let fallback = if known {
            None
        } else {
            Some(extender::node_facts(index, raw)?)
        };
        nodes.push(ListedNode {
            name,
            raw,
            fallback,
        });
    }
    Ok(nodes)
}

/// The fleet as the view has it, and the nodes of the request that the view lacks.
fn fleet(view: &View, nodes: &[ListedNode<'_>]) -> Fleet {
    let mut fleet = view.fleet();
    fleet.machine_types_seen |= nodes
        .iter()
        .filter_map(|node| node.fallback.as_ref())
        .any(|facts| !facts.machine_types.is_empty());
    fleet
}

/// Sorts nodes into those that pass and the two kinds that don't.
struct Sorter<'a> {
    texts: &'a [Cow<'static, str>; Reason::ALL.len()],
    failed: Vec<Failure<'a>>,
    unresolvable: Vec<Failure<'a>>,
    tally: Tally,
    details: Details,
}

impl<'a> Sorter<'a> {
    fn new(texts: &'a [Cow<'static, str>; Reason::ALL.len()]) -> Self {
        Self {
            texts,
            failed: Vec::new(),
            unresolvable: Vec::new(),
            tally: Tally::default(),
            details: Details::if_wanted(),
        }
    }

    fn sort_names(
        &mut self,
        mut names: Vec<Text<'a>>,
        view: &View,
        guard: &Guard<'_>,
    ) -> Vec<Text<'a>> {
        names.retain(|name| {
            let entry = view.node(name.as_str());
            let Some((facts, agents)) = entry.and_then(|e| Some((e.facts.as_ref()?, e.agents)))
            else {
                self.unknown(name);
                return false;
            };
            self.passes(name, facts, agents, guard)
        });
        names
    }

    fn sort_nodes(
        &mut self,
        mut nodes: Vec<ListedNode<'a>>,
        view: &View,
        guard: &Guard<'_>,
    ) -> Vec<&'a RawValue> {
        nodes.retain(|node| {
            let entry = view.node(node.name.as_str());
            let agents = entry.map(|entry| entry.agents).unwrap_or_default();
            let known = entry.and_then(|entry| entry.facts.as_ref());
            let Some(facts) = known.or(node.fallback.as_ref()) else {
                self.unknown(&node.name);
                return false;
            };
            self.passes(&node.name, facts, agents, guard)
        });
        nodes.into_iter().map(|node| node.raw).collect()
    }

    fn passes(
        &mut self,
        name: &Text<'a>,
        facts: &NodeFacts,
        agents: Agents,
        guard: &Guard<'_>,
    ) -> bool {
        let candidate = Candidate {
            name: name.as_str(),
            facts,
            agents,
        };
        let reasons = guard.judge(&candidate);
        self.tally.judged(reasons);
        let Some(first) = reasons.first() else {
            return true;
        };
        self.details.add(candidate, reasons);
        self.unresolvable.push(Failure {
            node: name.clone(),
            text: &self.texts[first as usize],
        });
        false
    }

    fn unknown(&mut self, name: &Text<'a>) {
        self.tally.unknown();
        self.details.add_unknown(name.as_str());
        self.failed.push(Failure {
            node: name.clone(),
            text: NOT_YET_KNOWN,
        });
    }
}

/// The per-node details for the log, collected only when the log wants them.
struct Details(Option<Vec<String>>);

impl Details {
    fn if_wanted() -> Self {
        Self(tracing::enabled!(target: "berth::decision", tracing::Level::DEBUG).then(Vec::new))
    }

    fn add(&mut self, candidate: Candidate<'_>, reasons: Reasons) {
        if let Some(details) = &mut self.0 {
            let explained = Explained { candidate, reasons };
            details.push(explained.to_string());
        }
    }

    fn add_unknown(&mut self, name: &str) {
        if let Some(details) = &mut self.0 {
            details.push(format!("{name}: not_yet_known"));
        }
    }
}

fn log(pod: &Pod<'_>, vmi: &Vmi, journey: Journey, tally: &Tally, details: &Details) {
    let Some(details) = &details.0 else {
        return;
    };
    tracing::debug!(
        target: "berth::decision",
        surface = "extender",
        verb = "filter",
        pod = format_args!("{}/{}", pod.namespace(), pod.name()),
        vmi = format_args!("{}/{}", vmi.namespace, vmi.name),
        journey = journey.name(),
        machine_type = vmi.machine_type.as_deref(),
        source = vmi.node.as_deref(),
        passed = tally.passed(),
        not_passed = details.len(),
        details = details.join("; "),
        "nodes judged"
    );
}

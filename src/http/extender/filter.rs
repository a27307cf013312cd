//! `POST /scheduler/filter`: which of these nodes may the pod land on?

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;

use crate::cluster::view::NodeEntry;
use crate::cluster::{ClusterView, Lookup};
use crate::decide::checks::{Check, NOT_YET_KNOWN};
use crate::decide::evaluate::{Evaluator, SchedulingReason, VerdictCounts};
use crate::decide::policy::{ClusterCapabilities, Policy};
use crate::domain::{AgentSet, Agents, MachineType, NodeFacts, Provider};
use crate::http::extender::CallReport;
use crate::http::extender::decision::{self, Details};
use crate::http::extender::retry::RetryState;
use crate::http::extender::vmi::find_vmi;
use crate::http::metrics::{ExtenderOutcome, Surface, Verb};
use crate::http::refusal::Refusal;
use crate::http::{ClientPeer, Service};
use crate::peer::Peer;
use crate::snapshot::Snapshot;
use crate::text::{LONGEST_TEXT, shorten};
use crate::wire::Reply;
use crate::wire::extender::{self, ArgsError, AskedNode, Failure, FilterArgs};

/// How many nodes are looked up at a time: as many as the processor's nearest cache holds.
const BATCH: usize = 64;

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
        // Before the snapshot is taken, so that no change comes in between.
        let mut changes = service.stores.changes.subscribe();
        let (worker, lookup) = (Arc::clone(service), retry.lookup.clone());
        let judging = request.run(move |text, body| {
            let snapshot = worker.snapshot()?;
            let answer = filter(text, &snapshot, &worker.policy, lookup.as_ref())?;
            Ok((answer.report, answer.reply.into_outgoing(body)))
        });
        let (report, reply) = judging.await?;
        if retry.look_up(service, &request, &report).await?
            || retry
                .wait_for_change(service, &request, &report, &mut changes)
                .await
        {
            continue;
        }
        service.record(Verb::Filter, &report, request.start());
        service.metrics.nodes(report.outcome, &report.counts);
        return request.respond(reply);
    }
}

/// An answered filter call.
#[derive(Debug)]
pub struct FilterAnswer<'a> {
    /// What came of it.
    pub report: CallReport,
    /// The reply.
    pub reply: Reply<'a>,
}

/// Answers a filter call. A VMI that is not in the view is the one that was looked up for it.
///
/// # Errors
/// The body is not of the extender's protocol. What is, and still can't be answered, gets an
/// answer with `Error` set, which kube-scheduler shows.
pub fn filter<'a>(
    body: &'a str,
    snapshot: &Snapshot,
    policy: &Policy,
    lookup: Option<&Lookup>,
) -> Result<FilterAnswer<'a>, ArgsError> {
    match judge(body, snapshot, policy, lookup) {
        Ok(answer) => Ok(answer),
        Err(error) if error.is_protocol_error() => Err(error),
        Err(error) => Ok(FilterAnswer {
            reply: error_reply(&error),
            report: CallReport {
                problem: Some(shorten(&error, LONGEST_TEXT)),
                ..CallReport::of(ExtenderOutcome::BadArgs, VerdictCounts::default())
            },
        }),
    }
}

fn error_reply(error: &impl Display) -> Reply<'static> {
    extender::filter_error(&format!("berth: {}", shorten(error, LONGEST_TEXT)))
}

fn judge<'a>(
    body: &'a str,
    snapshot: &Snapshot,
    policy: &Policy,
    lookup: Option<&Lookup>,
) -> Result<FilterAnswer<'a>, ArgsError> {
    let FilterArgs { pod, nodes: asked } = FilterArgs::read(body)?;
    let Some(reason) = SchedulingReason::of(pod.is_launcher(), pod.belongs_to_migration(), policy)
    else {
        decision::not_guarded(Verb::Filter, &pod);
        return Ok(FilterAnswer {
            report: CallReport::of(ExtenderOutcome::NotGuarded, VerdictCounts::default()),
            reply: asked.pass_all(body),
        });
    };
    let vmi = match find_vmi(&pod, &snapshot.cluster, lookup) {
        Ok(vmi) => vmi,
        Err(problem) => {
            return Ok(FilterAnswer {
                reply: error_reply(&problem),
                report: CallReport::no_vmi(&pod, problem),
            });
        }
    };
    let origin = snapshot.cluster.origin(vmi);
    let machine_type = origin.machine_type.and_then(MachineType::name);
    let texts = Check::ALL.map(|check| check.text(machine_type));
    let nodes = asked.read()?;
    let unseen = unseen_nodes(&nodes, &snapshot.cluster, policy.provider)?;
    let capabilities = capabilities(snapshot, &unseen);
    let evaluator = Evaluator::for_vm(policy, capabilities, reason, origin);
    let mut run = FilterRun::new(&texts, policy.required_agents(snapshot.capabilities()));
    let passed = run.evaluate(&nodes, &unseen, snapshot, evaluator);
    let counts = (run.counts.passed, run.not_passed());
    let vmi = (vmi, origin);
    decision::judged(Verb::Filter, &pod, vmi, reason, counts, &run.details);
    Ok(FilterAnswer {
        report: CallReport::of(ExtenderOutcome::Judged, run.counts),
        reply: asked.filtered(body, &passed, &run.failed, &run.unresolvable),
    })
}

/// What the view has of a node that is asked about.
struct KnownNode<'v> {
    facts: Option<&'v NodeFacts>,
    agents: Agents,
}

impl<'v> KnownNode<'v> {
    fn new(entry: Option<&'v NodeEntry>) -> Self {
        Self {
            facts: entry.and_then(NodeEntry::facts),
            agents: entry.map(NodeEntry::agents).unwrap_or_default(),
        }
    }
}

/// Of nodes that came whole, the facts of those that the view does not have, by their place in the
/// call.
fn unseen_nodes(
    nodes: &[AskedNode<'_>],
    cluster: &ClusterView,
    provider: Provider,
) -> Result<HashMap<usize, NodeFacts>, ArgsError> {
    let is_seen = |name| cluster.node(name).and_then(NodeEntry::facts).is_some();
    let whole = nodes.iter().enumerate().filter_map(|(place, node)| {
        let whole = node.whole.filter(|_| !is_seen(node.name.as_str()))?;
        Some((place, whole))
    });
    whole
        .map(|(place, whole)| Ok((place, extender::node_facts(place, whole, provider)?)))
        .collect()
}

/// What is true of the cluster as the view has it, with the nodes of the request that the view lacks.
fn capabilities(snapshot: &Snapshot, unseen: &HashMap<usize, NodeFacts>) -> ClusterCapabilities {
    let mut capabilities = snapshot.capabilities();
    capabilities.machine_types_seen |= unseen.values().any(|node| node.machine_types.is_labelled());
    capabilities
}

/// Sorts nodes into those that pass and the two kinds that don't.
struct FilterRun<'r> {
    texts: &'r [Cow<'static, str>; Check::ALL.len()],
    failed: Vec<Failure<'r>>,
    unresolvable: Vec<Failure<'r>>,
    counts: VerdictCounts,
    details: Details,
}

impl<'r> FilterRun<'r> {
    fn new(texts: &'r [Cow<'static, str>; Check::ALL.len()], required: AgentSet) -> Self {
        Self {
            texts,
            failed: Vec::new(),
            unresolvable: Vec::new(),
            counts: VerdictCounts::default(),
            details: Details::if_wanted(required),
        }
    }

    /// The nodes that pass.
    fn evaluate<'a>(
        &mut self,
        nodes: &'r [AskedNode<'a>],
        unseen: &HashMap<usize, NodeFacts>,
        snapshot: &Snapshot,
        mut evaluator: Evaluator<'_>,
    ) -> Vec<&'r AskedNode<'a>> {
        let mut passed = Vec::with_capacity(nodes.len());
        let mut place = 0..;
        for batch in nodes.chunks(BATCH) {
            let names = batch.iter().map(|node| node.name.as_str());
            let entries = snapshot.cluster.nodes_by_name(names).into_iter();
            let known: Vec<_> = entries.map(KnownNode::new).collect();
            for ((node, known), place) in batch.iter().zip(known).zip(&mut place) {
                let name = node.name.as_str();
                let KnownNode { facts, agents } = known;
                let Some(facts) = facts.or_else(|| unseen.get(&place)) else {
                    self.unknown(name);
                    continue;
                };
                let candidate = snapshot.candidate_with(name, facts, agents);
                let verdict = evaluator.evaluate(&candidate);
                self.counts.add(Some(verdict));
                let Some(first) = verdict.failed.first() else {
                    passed.push(node);
                    continue;
                };
                self.details.add(candidate, verdict);
                self.unresolvable.push(Failure {
                    node: name,
                    text: &self.texts[first as usize],
                });
            }
        }
        passed
    }

    fn not_passed(&self) -> u64 {
        (self.failed.len() + self.unresolvable.len()) as u64
    }

    fn unknown(&mut self, node: &'r str) {
        self.counts.add(None);
        self.details.add_unknown(node);
        self.failed.push(Failure {
            node,
            text: NOT_YET_KNOWN,
        });
    }
}

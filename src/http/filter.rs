//! `POST /scheduler/filter`: which of these nodes may the pod land on?

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use tokio::time::Instant;

use crate::cluster::Lookup;
use crate::cluster::view::{NodeEntry, View};
use crate::decide::checks::{Check, NOT_YET_KNOWN};
use crate::decide::evaluate::{Candidate, Evaluator, SchedulingReason, Verdict, VerdictCounts};
use crate::decide::policy::{ClusterCapabilities, Policy};
use crate::domain::{AgentSet, Agents, MachineType, NodeFacts, Provider};
use crate::http::Service;
use crate::http::decision::{self, Details};
use crate::http::lane::{Answered, Attempt, ByPeer};
use crate::http::metrics::{ExtenderOutcome, Verb};
use crate::http::refusal::Refusal;
use crate::http::vmi::{NoVmi, VmiRef, find_vmi, no_vmi};
use crate::snapshot::Snapshot;
use crate::text::{LONGEST_TEXT, shorten};
use crate::wire::extender::{
    self, ArgsError, Asked, Failure, FilterArgs, FilterResult, ListedNode, Passed,
};
use crate::wire::names::Names;
use crate::wire::{Reply, Text};

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
    let mut answer = filter(text, &snapshot, &service.policy, attempt.lookup.as_ref())?;
    if let Some(vmi) = service.to_read(answer.unknown.take(), attempt) {
        return Ok(Answered::Unknown(vmi));
    }
    if answer.is_hopeless() && !attempt.is_last {
        return Ok(Answered::Hopeless);
    }
    service.extended(
        Verb::Filter,
        answer.outcome,
        answer.problem.as_deref(),
        start,
    );
    service.metrics.nodes(answer.outcome, &answer.counts);
    Ok(Answered::Reply(answer.reply))
}

/// An answered filter call.
#[derive(Debug)]
pub struct FilterAnswer {
    /// What came of it.
    pub outcome: ExtenderOutcome,
    /// The verdicts.
    pub counts: VerdictCounts,
    /// Why there are no verdicts, for the log.
    pub problem: Option<String>,
    /// The VMI that is not in the view, and that a look at the API server may bring.
    pub unknown: Option<VmiRef>,
    /// The reply.
    pub reply: Reply,
}

impl FilterAnswer {
    /// Nodes were judged, and none passes.
    fn is_hopeless(&self) -> bool {
        self.outcome == ExtenderOutcome::Judged && self.counts.passed == 0
    }

    fn error(outcome: ExtenderOutcome, message: impl Display) -> Self {
        let message = shorten(message, LONGEST_TEXT);
        Self {
            outcome,
            counts: VerdictCounts::default(),
            reply: extender::filter_error(&format!("berth: {message}")),
            problem: Some(message),
            unknown: None,
        }
    }
}

/// Answers a filter call. A VMI that is not in the view is the one that was looked up for it.
///
/// # Errors
/// The body is not of the extender's protocol. What is, and still can't be answered, gets an
/// answer with `Error` set, which kube-scheduler shows.
pub fn filter(
    body: &str,
    snapshot: &Snapshot,
    policy: &Policy,
    lookup: Option<&Lookup>,
) -> Result<FilterAnswer, ArgsError> {
    match judge(body, snapshot, policy, lookup) {
        Ok(answer) => Ok(answer),
        Err(error) if error.is_foreign() => Err(error),
        Err(error) => Ok(FilterAnswer::error(ExtenderOutcome::BadArgs, error)),
    }
}

fn judge(
    body: &str,
    snapshot: &Snapshot,
    policy: &Policy,
    lookup: Option<&Lookup>,
) -> Result<FilterAnswer, ArgsError> {
    let FilterArgs { pod, asked } = FilterArgs::read(body)?;
    let Some(reason) = SchedulingReason::of(pod.is_launcher(), pod.belongs_to_migration(), policy)
    else {
        decision::not_guarded(Verb::Filter, &pod);
        return pass_all(body, asked);
    };
    let vmi = match find_vmi(&pod, &snapshot.cluster, lookup) {
        Ok(vmi) => vmi,
        Err(problem) => {
            let mut answer = FilterAnswer::error(ExtenderOutcome::VmiUnknown, &problem);
            answer.problem = Some(no_vmi(&pod, &problem));
            if let NoVmi::Unknown(vmi) = problem {
                answer.unknown = Some(vmi);
            }
            return Ok(answer);
        }
    };
    let origin = snapshot.cluster.origin(vmi);
    let machine_type = origin.machine_type.and_then(MachineType::name);
    let texts = Check::ALL.map(|check| check.text(machine_type));
    let names;
    let mut sorter = Sorter::new(&texts, policy.required_agents(snapshot.capabilities()));
    let passed = match asked {
        Asked::Names(list) => {
            names = list.read()?;
            let evaluator = Evaluator::for_vm(policy, snapshot.capabilities(), reason, origin);
            Passed::Names(&names, sorter.sort_names(&names, snapshot, evaluator))
        }
        Asked::Nodes(list) => {
            let mut list = list.read()?;
            let nodes = known_nodes(list.items, &snapshot.cluster, policy.provider)?;
            let evaluator =
                Evaluator::for_vm(policy, capabilities(snapshot, &nodes), reason, origin);
            list.items = sorter.sort_nodes(nodes, snapshot, evaluator);
            Passed::Nodes(list)
        }
    };
    let counts = (sorter.counts.passed, sorter.not_passed());
    let vmi = (vmi, origin);
    decision::judged(Verb::Filter, &pod, vmi, reason, counts, &sorter.details);
    let Sorter {
        failed,
        unresolvable,
        counts,
        ..
    } = sorter;
    let result = FilterResult {
        passed,
        failed,
        unresolvable,
    };
    Ok(FilterAnswer {
        outcome: ExtenderOutcome::Judged,
        counts,
        problem: None,
        unknown: None,
        reply: result.encode(body),
    })
}

/// A pod that berth does not evaluator: the nodes go back as they came, without being read.
fn pass_all(body: &str, asked: Asked<'_>) -> Result<FilterAnswer, ArgsError> {
    asked.check_shape()?;
    let result = FilterResult {
        passed: Passed::All(asked),
        failed: Vec::new(),
        unresolvable: Vec::new(),
    };
    Ok(FilterAnswer {
        outcome: ExtenderOutcome::NotGuarded,
        counts: VerdictCounts::default(),
        problem: None,
        unknown: None,
        reply: result.encode(body),
    })
}

/// A node of a list, with what is known of it: by the view, or else by the list.
struct KnownNode<'a, 'v> {
    listed: ListedNode<'a>,
    facts: Cow<'v, NodeFacts>,
    agents: Agents,
}

fn known_nodes<'a, 'v>(
    items: Vec<ListedNode<'a>>,
    view: &'v View,
    provider: Provider,
) -> Result<Vec<KnownNode<'a, 'v>>, ArgsError> {
    let known = |(index, listed): (usize, ListedNode<'a>)| {
        let entry = view.node(listed.name.as_str());
        let facts = match entry.and_then(NodeEntry::facts) {
            Some(facts) => Cow::Borrowed(facts),
            None => Cow::Owned(extender::node_facts(index, &listed, provider)?),
        };
        Ok(KnownNode {
            listed,
            facts,
            agents: entry.map(NodeEntry::agents).unwrap_or_default(),
        })
    };
    items.into_iter().enumerate().map(known).collect()
}

/// What is true of the cluster as the view has it, with the nodes of the request that the view lacks.
fn capabilities(snapshot: &Snapshot, nodes: &[KnownNode<'_, '_>]) -> ClusterCapabilities {
    let mut capabilities = snapshot.capabilities();
    capabilities.machine_types_seen |= nodes
        .iter()
        .any(|node| node.facts.machine_types.is_labelled());
    capabilities
}

/// Sorts nodes into those that pass and the two kinds that don't.
struct Sorter<'a> {
    texts: &'a [Cow<'static, str>; Check::ALL.len()],
    failed: Vec<Failure<'a>>,
    unresolvable: Vec<Failure<'a>>,
    counts: VerdictCounts,
    details: Details,
}

impl<'a> Sorter<'a> {
    fn new(texts: &'a [Cow<'static, str>; Check::ALL.len()], required: AgentSet) -> Self {
        Self {
            texts,
            failed: Vec::new(),
            unresolvable: Vec::new(),
            counts: VerdictCounts::default(),
            details: Details::if_wanted(required),
        }
    }

    /// Whether each of them passes.
    fn sort_names(
        &mut self,
        names: &'a Names<'a>,
        snapshot: &Snapshot,
        mut evaluator: Evaluator<'_>,
    ) -> Vec<bool> {
        let mut passed = Vec::with_capacity(names.count());
        for name in names.iter() {
            passed.push(match snapshot.candidate(name) {
                Some(candidate) => {
                    let verdict = evaluator.evaluate(&candidate);
                    self.passes(|| Text(name.into()), verdict, candidate)
                }
                None => self.unknown(name),
            });
        }
        passed
    }

    fn sort_nodes(
        &mut self,
        nodes: Vec<KnownNode<'a, '_>>,
        snapshot: &Snapshot,
        mut evaluator: Evaluator<'_>,
    ) -> Vec<ListedNode<'a>> {
        let passed = nodes.into_iter().filter_map(|node| {
            let name = &node.listed.name;
            let candidate = snapshot.candidate_with(name.as_str(), &node.facts, node.agents);
            let verdict = evaluator.evaluate(&candidate);
            let passes = self.passes(|| name.clone(), verdict, candidate);
            passes.then_some(node.listed)
        });
        passed.collect()
    }

    #[inline]
    fn passes(
        &mut self,
        name: impl FnOnce() -> Text<'a>,
        verdict: Verdict,
        candidate: Candidate<'_>,
    ) -> bool {
        self.counts.add(Some(verdict));
        let Some(first) = verdict.failed.first() else {
            return true;
        };
        self.details.add(candidate, verdict);
        self.unresolvable.push(Failure {
            node: name(),
            text: &self.texts[first as usize],
        });
        false
    }

    fn not_passed(&self) -> u64 {
        (self.failed.len() + self.unresolvable.len()) as u64
    }

    fn unknown(&mut self, name: &'a str) -> bool {
        self.counts.add(None);
        self.details.add_unknown(name);
        self.failed.push(Failure {
            node: Text(name.into()),
            text: NOT_YET_KNOWN,
        });
        false
    }
}

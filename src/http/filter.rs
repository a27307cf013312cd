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
use crate::decide::guard::{Candidate, Fleet, Guard, Journey, Policy, required_agents};
use crate::decide::reason::{NOT_YET_KNOWN, Reason, Reasons};
use crate::domain::{AgentSet, Agents, MachineType, NodeFacts, Provider};
use crate::facts::Facts;
use crate::http::Service;
use crate::http::decision::{self, Details};
use crate::http::lane::{Answered, Attempt, ByPeer};
use crate::http::metrics::{ExtenderOutcome, Tally, Verb};
use crate::http::refusal::Refusal;
use crate::http::vmi::{NoVmi, VmiRef, find_vmi, no_vmi};
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
    let known = service.known()?;
    let mut answer = filter(
        text,
        &known.facts(),
        &service.policy,
        attempt.lookup.as_ref(),
    )?;
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
    service.metrics.nodes(answer.outcome, &answer.tally);
    Ok(Answered::Reply(answer.reply))
}

/// An answered filter call.
#[derive(Debug)]
pub struct FilterAnswer {
    /// What came of it.
    pub outcome: ExtenderOutcome,
    /// The verdicts.
    pub tally: Tally,
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
        self.outcome == ExtenderOutcome::Judged && self.tally.passed() == 0
    }

    fn error(outcome: ExtenderOutcome, message: impl Display) -> Self {
        let message = shorten(message, LONGEST_TEXT);
        Self {
            outcome,
            tally: Tally::default(),
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
    facts: &Facts<'_>,
    policy: &Policy,
    lookup: Option<&Lookup>,
) -> Result<FilterAnswer, ArgsError> {
    match judge(body, facts, policy, lookup) {
        Ok(answer) => Ok(answer),
        Err(error) if error.is_foreign() => Err(error),
        Err(error) => Ok(FilterAnswer::error(ExtenderOutcome::BadArgs, error)),
    }
}

fn judge(
    body: &str,
    facts: &Facts<'_>,
    policy: &Policy,
    lookup: Option<&Lookup>,
) -> Result<FilterAnswer, ArgsError> {
    let FilterArgs { pod, asked } = FilterArgs::read(body)?;
    let Some(journey) = Journey::of(pod.is_launcher(), pod.belongs_to_migration(), policy) else {
        decision::not_guarded(Verb::Filter, &pod);
        return pass_all(body, asked);
    };
    let vmi = match find_vmi(&pod, facts.view, lookup) {
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
    let origin = facts.view.origin(vmi);
    let machine_type = origin.machine_type.and_then(MachineType::name);
    let texts = Reason::ALL.map(|reason| reason.text(machine_type));
    let names;
    let mut sorter = Sorter::new(&texts, required_agents(policy, facts.fleet()));
    let passed = match asked {
        Asked::Names(list) => {
            names = list.read()?;
            let guard = Guard::new(policy, facts.fleet(), journey, origin);
            Passed::Names(&names, sorter.sort_names(&names, facts, guard))
        }
        Asked::Nodes(list) => {
            let mut list = list.read()?;
            let nodes = known_nodes(list.items, facts.view, policy.provider)?;
            let guard = Guard::new(policy, fleet(facts, &nodes), journey, origin);
            list.items = sorter.sort_nodes(nodes, facts, guard);
            Passed::Nodes(list)
        }
    };
    let counts = (sorter.tally.passed(), sorter.not_passed());
    let vmi = (vmi, origin);
    decision::judged(Verb::Filter, &pod, vmi, journey, counts, &sorter.details);
    let Sorter {
        failed,
        unresolvable,
        tally,
        ..
    } = sorter;
    let result = FilterResult {
        passed,
        failed,
        unresolvable,
    };
    Ok(FilterAnswer {
        outcome: ExtenderOutcome::Judged,
        tally,
        problem: None,
        unknown: None,
        reply: result.encode(body),
    })
}

/// A pod that berth does not guard: the nodes go back as they came, without being read.
fn pass_all(body: &str, asked: Asked<'_>) -> Result<FilterAnswer, ArgsError> {
    asked.check_shape()?;
    let result = FilterResult {
        passed: Passed::All(asked),
        failed: Vec::new(),
        unresolvable: Vec::new(),
    };
    Ok(FilterAnswer {
        outcome: ExtenderOutcome::NotGuarded,
        tally: Tally::default(),
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

/// The fleet as the view has it, and the nodes of the request that the view lacks.
fn fleet(facts: &Facts<'_>, nodes: &[KnownNode<'_, '_>]) -> Fleet {
    let mut fleet = facts.fleet();
    fleet.machine_types_seen |= nodes
        .iter()
        .any(|node| node.facts.machine_types.is_labelled());
    fleet
}

/// Enough for the waits for memory to overlap.
const LOOKED_UP_AT_ONCE: usize = 16;

/// Sorts nodes into those that pass and the two kinds that don't.
struct Sorter<'a> {
    texts: &'a [Cow<'static, str>; Reason::ALL.len()],
    failed: Vec<Failure<'a>>,
    unresolvable: Vec<Failure<'a>>,
    tally: Tally,
    details: Details,
}

impl<'a> Sorter<'a> {
    fn new(texts: &'a [Cow<'static, str>; Reason::ALL.len()], required: AgentSet) -> Self {
        Self {
            texts,
            failed: Vec::new(),
            unresolvable: Vec::new(),
            tally: Tally::default(),
            details: Details::if_wanted(required),
        }
    }

    /// Whether each of them passes.
    fn sort_names(
        &mut self,
        names: &'a Names<'a>,
        facts: &Facts<'_>,
        mut guard: Guard<'_>,
    ) -> Vec<bool> {
        let mut passed = Vec::with_capacity(names.count());
        for (names, count) in names.chunks::<LOOKED_UP_AT_ONCE>() {
            let verdicts = facts.judge(&names, &mut guard);
            for (&name, verdict) in names.iter().zip(&verdicts).take(count) {
                passed.push(match verdict {
                    Some(reasons) => {
                        self.passes(|| Text(name.into()), *reasons, || facts.candidate(name))
                    }
                    None => self.unknown(name),
                });
            }
        }
        passed
    }

    fn sort_nodes(
        &mut self,
        nodes: Vec<KnownNode<'a, '_>>,
        facts: &Facts<'_>,
        mut guard: Guard<'_>,
    ) -> Vec<ListedNode<'a>> {
        let passed = nodes.into_iter().filter_map(|node| {
            let name = &node.listed.name;
            let candidate = facts.judged_by(name.as_str(), &node.facts, node.agents);
            let reasons = guard.judge(&candidate);
            let passes = self.passes(|| name.clone(), reasons, || Some(candidate));
            passes.then_some(node.listed)
        });
        passed.collect()
    }

    #[inline]
    fn passes<'c>(
        &mut self,
        name: impl FnOnce() -> Text<'a>,
        reasons: Reasons,
        candidate: impl FnOnce() -> Option<Candidate<'c>>,
    ) -> bool {
        self.tally.judged(reasons);
        let Some(first) = reasons.first() else {
            return true;
        };
        self.details.add(candidate, reasons);
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
        self.tally.unknown();
        self.details.add_unknown(name);
        self.failed.push(Failure {
            node: Text(name.into()),
            text: NOT_YET_KNOWN,
        });
        false
    }
}

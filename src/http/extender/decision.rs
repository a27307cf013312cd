//! Decisions in the log, at debug: one line each, with what was found of every node.

use crate::decide::evaluate::{Candidate, SchedulingReason, Verdict};
use crate::decide::explain::{Explained, Scored};
use crate::decide::origin::Origin;
use crate::domain::{AgentSet, Vmi};
use crate::http::extender::vmi::pod_name;
use crate::http::metrics::Verb;
use crate::text::{LONGEST_NAME, LONGEST_TEXT, shorten};
use crate::wire::objects::Pod;

/// Nodes that one log line gives the details of.
const DETAILED_NODES: usize = 50;

/// The longest details of one node, in characters.
const LONGEST_DETAIL: usize = 2000;

/// The details of nodes that did not pass, collected only when the log wants them.
pub(super) struct Details {
    required_agents: AgentSet,
    nodes: Option<Vec<String>>,
}

impl Details {
    pub(super) fn if_wanted(required_agents: AgentSet) -> Self {
        let wanted = tracing::enabled!(target: "berth::decision", tracing::Level::DEBUG);
        Self {
            required_agents,
            nodes: wanted.then(Vec::new),
        }
    }

    pub(super) fn add(&mut self, candidate: Candidate<'_>, verdict: Verdict) {
        let required_agents = self.required_agents;
        self.push(|| {
            let explained = Explained {
                candidate,
                verdict,
                required_agents,
            };
            shorten(explained, LONGEST_DETAIL)
        });
    }

    pub(super) fn add_unknown(&mut self, name: &str) {
        self.push(|| format!("{}: not_yet_known", shorten(name, LONGEST_NAME)));
    }

    pub(super) fn add_score(&mut self, scored: Scored<'_>) {
        self.push(|| shorten(scored, LONGEST_DETAIL));
    }

    fn push(&mut self, detail: impl FnOnce() -> String) {
        if let Some(details) = &mut self.nodes
            && details.len() < DETAILED_NODES
        {
            details.push(detail());
        }
    }
}

pub(super) fn not_guarded(verb: Verb, pod: &Pod<'_>) {
    tracing::debug!(
        target: "berth::decision",
        surface = "extender",
        verb = verb.as_ref(),
        pod = shorten(pod_name(pod), LONGEST_TEXT),
        launcher = pod.is_launcher(),
        migration = pod.belongs_to_migration(),
        "pod is not guarded"
    );
}

/// A pod's nodes were judged: so many passed, so many did not.
pub(super) fn judged(
    verb: Verb,
    pod: &Pod<'_>,
    (vmi, origin): (&Vmi, Origin<'_>),
    reason: SchedulingReason,
    (passed, not_passed): (u64, u64),
    details: &Details,
) {
    let Some(details) = &details.nodes else {
        return;
    };
    let more = usize::try_from(not_passed)
        .unwrap_or(usize::MAX)
        .saturating_sub(details.len());
    let more = (more > 0).then(|| format!("and {more} more"));
    let details: Vec<&str> = details.iter().chain(&more).map(String::as_str).collect();
    tracing::debug!(
        target: "berth::decision",
        surface = "extender",
        verb = verb.as_ref(),
        pod = shorten(pod_name(pod), LONGEST_TEXT),
        vmi = format_args!("{}/{}", vmi.namespace, vmi.name),
        reason = reason.name(),
        machine_type = origin.machine_type.map(tracing::field::display),
        source = origin.node,
        passed,
        not_passed,
        details = details.join("; "),
        "nodes judged"
    );
}

/// A pod's nodes were scored: so many.
pub(super) fn scored(
    pod: &Pod<'_>,
    vm: Option<&str>,
    reason: SchedulingReason,
    nodes: usize,
    details: &Details,
) {
    let Some(details) = &details.nodes else {
        return;
    };
    tracing::debug!(
        target: "berth::decision",
        surface = "extender",
        verb = Verb::Prioritize.as_ref(),
        pod = shorten(pod_name(pod), LONGEST_TEXT),
        vmi = vm.map(|vm| shorten(vm, LONGEST_NAME)),
        reason = reason.name(),
        nodes,
        details = details.join("; "),
        "nodes scored"
    );
}

//! The routes that kube-scheduler calls. `bind` waits for seconds and has a request limiter of its own, so
//! that its calls do not take the places of the others.

mod bind;
mod decision;
mod filter;
mod preempt;
mod prioritize;
mod retry;
mod vmi;

pub(super) use bind::handle as handle_bind;
pub(super) use filter::handle as handle_filter;
pub use filter::{FilterAnswer, filter};
pub(super) use preempt::handle as handle_preempt;
pub use preempt::{PreemptAnswer, preempt};
pub(super) use prioritize::handle as handle_prioritize;
pub use prioritize::{PrioritizeAnswer, prioritize};
pub(super) use retry::ChangeWaitLimiter;
pub use vmi::VmiRef;

use tokio::time::Instant;

use crate::decide::evaluate::VerdictCounts;
use crate::http::Service;
use crate::http::extender::vmi::NoVmi;
use crate::http::metrics::{ExtenderOutcome, Surface, Verb};
use crate::text::{LONGEST_TEXT, shorten};
use crate::wire::objects::Pod;

/// What came of a call that looks for a pod's VMI.
#[derive(Debug)]
pub struct CallReport {
    /// What came of it.
    pub outcome: ExtenderOutcome,
    /// The verdicts.
    pub counts: VerdictCounts,
    /// Why there are no verdicts, for the log.
    pub problem: Option<String>,
    /// The VMI that is not in the view, and that a look at the API server may bring.
    pub unknown: Option<VmiRef>,
}

impl CallReport {
    fn of(outcome: ExtenderOutcome, counts: VerdictCounts) -> Self {
        Self {
            outcome,
            counts,
            problem: None,
            unknown: None,
        }
    }

    /// The report of a call whose VMI is not available.
    fn no_vmi(pod: &Pod<'_>, problem: NoVmi) -> Self {
        let details = format!("{}: {}", vmi::pod_name(pod), problem.details());
        Self {
            problem: Some(shorten(details, LONGEST_TEXT)),
            unknown: problem.not_looked_up(),
            ..Self::of(ExtenderOutcome::VmiUnknown, VerdictCounts::default())
        }
    }

    /// Nodes were judged, and none passes.
    fn no_node_fits(&self) -> bool {
        self.outcome == ExtenderOutcome::Judged && self.counts.passed == 0
    }
}

impl Service {
    /// Records an answer to kube-scheduler.
    fn record(&self, verb: Verb, report: &CallReport, start: Instant) {
        if let Some(problem) = &report.problem {
            self.log_problem(Surface::Extender, problem);
        }
        self.metrics.extender(verb, report.outcome, start.elapsed());
    }
}

//! What kube-scheduler calls. A verb that waits longer than these do gets a limiter of its own, so
//! that its calls take no turns of theirs.

mod decision;
mod filter;
mod preempt;
mod prioritize;
mod retry;
mod vmi;

pub(super) use filter::handle as handle_filter;
pub use filter::{FilterAnswer, filter};
pub(super) use preempt::handle as handle_preempt;
pub use preempt::{PreemptAnswer, preempt};
pub(super) use prioritize::handle as handle_prioritize;
pub use prioritize::{PrioritizeAnswer, prioritize};
pub(super) use retry::NoNodeFits;
pub use vmi::VmiRef;

use tokio::time::Instant;

use crate::decide::evaluate::VerdictCounts;
use crate::http::Service;
use crate::http::metrics::{ExtenderOutcome, Surface, Verb};

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

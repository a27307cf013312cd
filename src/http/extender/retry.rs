//! Evaluates a call once more before the response: its VMI was not in the view, or no node fits.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::cluster::Lookup;
use crate::http::Service;
use crate::http::extender::{CallReport, VmiRef};
use crate::http::limits::Request;
use crate::http::refusal::Refusal;
use crate::snapshot::changes::ChangeStream;

/// How long an answer in which no node passes waits for a change, how often one may in the long run,
/// and how many in a row.
const CHANGE_WAIT: Duration = Duration::from_millis(150);
const CHANGE_WAIT_EVERY: Duration = Duration::from_secs(2);
const CHANGE_WAITS: u32 = 5;

/// What was tried for a call so far.
#[derive(Debug, Default)]
pub(super) struct RetryState {
    /// What the API server answered, if the VMI was looked up.
    pub(super) lookup: Option<Lookup>,
    /// Until when it waits for changes.
    wait_until: Option<Instant>,
}

impl RetryState {
    /// Looks up the VMI that a call lacks, once. Returns whether the call is to be judged again.
    pub(super) async fn look_up(
        &mut self,
        service: &Service,
        request: &Request<'_>,
        report: &CallReport,
    ) -> Result<bool, Refusal> {
        let (Some(vmi), Some(reader), None) = (&report.unknown, &service.reader, &self.lookup)
        else {
            return Ok(false);
        };
        let VmiRef {
            namespace,
            name,
            uid,
        } = vmi;
        let reading = reader.read(request.peer().ip(), namespace, name, uid);
        self.lookup = Some(request.in_time(reading).await?);
        Ok(true)
    }

    /// Waits for a change where no node fits. Returns whether the call is to be judged again.
    pub(super) async fn wait_for_change(
        &mut self,
        service: &Service,
        request: &Request<'_>,
        report: &CallReport,
        changes: &mut ChangeStream,
    ) -> bool {
        if !report.no_node_fits() {
            return false;
        }
        let wait_until = self
            .wait_until
            .or_else(|| service.change_waits.wait_until(Instant::now()));
        self.wait_until = wait_until;
        match wait_until {
            Some(until) => {
                let wait = until.min(request.deadline()) - Instant::now();
                !changes.next(wait).await.time
            }
            None => false,
        }
    }
}

/// Limits the waits of calls in which no node fits to one in 2 s on average, with a burst of 5.
///
/// What wakes a rejected pod in kube-scheduler reaches berth as well, sometimes a moment later; without a
/// wait the pod would be rejected and stay pending until the next change of a node. The limit is there
/// because kube-scheduler schedules one pod at a time.
#[derive(Debug, Default)]
pub(in crate::http) struct ChangeWaitLimiter {
    /// When the waits so far are paid for.
    paid: Mutex<Option<Instant>>,
}

impl ChangeWaitLimiter {
    /// Until when a call may wait; `None` if it may not.
    fn wait_until(&self, now: Instant) -> Option<Instant> {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let due = paid.map_or(now, |paid| paid.max(now));
        if due > now + CHANGE_WAIT_EVERY * (CHANGE_WAITS - 1) {
            return None;
        }
        *paid = Some(due + CHANGE_WAIT_EVERY);
        Some(now + CHANGE_WAIT)
    }
}

//! The node condition `OVNChassisReady`, kept at what berth would answer: visible to `kubectl describe
//! node`, and its change wakes the pods that kube-scheduler could place nowhere.

mod metrics;
pub mod tracker;

use std::convert::Infallible;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::Request;
use kube::{Client, Resource};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::api::{Cause, Fault, within};
use crate::backoff::Backoff;
use crate::decide::condition::{CONDITION, condition};
use crate::decide::policy::Policy;
use crate::domain::{ChassisReady, Status};
use crate::failure_log::FailureLog;
pub use crate::publish::metrics::Metrics;
use crate::publish::tracker::{Change, ConditionTracker, ObservedNode, Pace, PendingWrites, Write};
use crate::snapshot::Stores;

/// Who writes, as the API server notes it field by field.
const FIELD_MANAGER: &str = "berth";

/// What to do where RBAC does not allow it.
const RIGHTS: &str = "apply the ClusterRole berth-node-condition of berth's manifests, or set nodeCondition.publish: false";

/// How long one write may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause before the nodes are compared again, after a change or while writes wait.
const SOON: Duration = Duration::from_millis(100);

/// The longest wait for a change: lag grows without an event.
const TICK: Duration = Duration::from_secs(1);

/// Waits after a failure that is not of one node. Jitter adds up to as much again.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// After this many failures in a row, the cause is not a single node.
const IN_VAIN: u32 = 3;

/// Publishes what is known.
pub struct Publisher {
    client: Client,
    stores: Stores,
    policy: Policy,
    metrics: Metrics,
    tracker: ConditionTracker,
    backoff: Backoff,
    failures: FailureLog<Cause>,
}

impl Publisher {
    /// A publisher that has written nothing yet.
    #[must_use]
    pub fn new(
        client: Client,
        stores: Stores,
        policy: Policy,
        pace: Pace,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            stores,
            policy,
            metrics,
            tracker: ConditionTracker::new(pace),
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            failures: FailureLog::default(),
        }
    }

    /// Keeps the conditions at what they are to be, until it is dropped. The view has to be complete.
    pub async fn run(&mut self) -> Infallible {
        let mut changes = self.stores.changes.subscribe();
        loop {
            let PendingWrites { writes, waiting } = self.pending();
            let mut late = writes.len() + waiting;
            self.metrics.waiting.set(number(late));
            let mut in_vain = 0;
            for write in writes {
                let Err(fault) = self.write(write).await else {
                    (late, in_vain) = (late - 1, 0);
                    self.backoff.reset();
                    continue;
                };
                // One node may be deleted or protected by a policy: the others are still written.
                in_vain += 1;
                if in_vain == IN_VAIN || concerns_all_nodes(fault.cause) {
                    sleep(self.backoff.next()).await;
                    break;
                }
            }
            self.metrics.waiting.set(number(late));
            if late == 0 {
                // Any change can change a condition.
                let _ = changes.next(TICK).await;
            }
            sleep(SOON).await;
        }
    }

    fn pending(&mut self) -> PendingWrites {
        let snapshot = self.stores.snapshot();
        let cluster = snapshot.capabilities();
        let policy = &self.policy;
        let nodes = snapshot.nodes().map(|(candidate, _)| ObservedNode {
            node: candidate.name,
            published: candidate.facts.published.as_deref(),
            decide: move |is: Option<&ChassisReady>| condition(policy, cluster, &candidate, is),
        });
        self.tracker.update(nodes, Instant::now().into_std())
    }

    async fn write(&mut self, write: Write) -> Result<(), Fault> {
        let written = within(PATIENCE, patch(&self.client, &write)).await;
        let now = Instant::now().into_std();
        match &written {
            Ok(()) => {
                report(&write);
                self.metrics.writes(write.condition.status).inc();
                self.tracker.record_write(write, now);
                self.failures.clear();
            }
            Err(fault) => {
                let (node, cause) = (write.node, fault.cause);
                self.metrics.failures(cause).inc();
                self.tracker.record_failure(&node, now);
                if self.failures.record(cause) {
                    tracing::warn!(
                        node,
                        cause = cause.name(),
                        "{CONDITION} can't be written, so that its changes do not make kube-scheduler retry pods: {}",
                        fault.with_remedy(RIGHTS)
                    );
                } else {
                    tracing::debug!(node, cause = cause.name(), "{CONDITION} again: {fault}");
                }
            }
        }
        written
    }
}

impl Drop for Publisher {
    /// The next leader writes the conditions that still wait.
    fn drop(&mut self) {
        self.metrics.waiting.set(0);
    }
}

fn number(nodes: usize) -> i64 {
    i64::try_from(nodes).unwrap_or(i64::MAX)
}

/// That a new node is ready is logged at debug only.
fn report(write: &Write) {
    let Write {
        node,
        condition,
        change,
    } = write;
    let (status, reason) = (condition.status.name(), condition.reason.as_ref());
    let message = condition.message.as_ref();
    if (*change, condition.status) == (Change::New, Status::True) {
        tracing::debug!(node, status, reason, "{CONDITION}: {message}");
    } else {
        tracing::info!(node, status, reason, "{CONDITION}: {message}");
    }
}

/// Whatever else goes wrong may be one node's own: it is gone, or a webhook keeps it as it is.
const fn concerns_all_nodes(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Connection | Cause::Timeout | Cause::Unauthorized | Cause::Throttled
    )
}

/// Merges one condition into a node's, as the node problem detector does: those of others stay as
/// they are.
async fn patch(client: &Client, write: &Write) -> kube::Result<()> {
    let params = PatchParams::apply(FIELD_MANAGER);
    let patch = Patch::Strategic(body(write, Timestamp::now()));
    let request = Request::new(Node::url_path(&(), None))
        .patch_subresource("status", &write.node, &params, &patch)
        .map_err(kube::Error::BuildRequest)?;
    // The response is the whole node, which is not needed.
    client.request_text(request).await.map(drop)
}

fn body(write: &Write, now: Timestamp) -> Value {
    let Write {
        condition, change, ..
    } = write;
    let now = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut body = json!({
        "type": CONDITION,
        "status": condition.status.name(),
        "reason": condition.reason,
        "message": condition.message,
        "lastHeartbeatTime": now,
    });
    if *change != Change::MessageOnly {
        body["lastTransitionTime"] = now.into();
    }
    json!({"status": {"conditions": [body]}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_one_condition_that_tells_since_when_only_where_its_status_turns() {
        let mut write = Write {
            node: "el9-1".into(),
            condition: ChassisReady {
                status: Status::False,
                reason: "AgentsNotReady".into(),
                message: "m".into(),
            },
            change: Change::MessageOnly,
        };
        let mut expect = json!({"status": {"conditions": [{
            "type": "OVNChassisReady",
            "status": "False",
            "reason": "AgentsNotReady",
            "message": "m",
            "lastHeartbeatTime": "1970-01-01T00:00:00Z",
        }]}});
        assert_eq!(body(&write, Timestamp::UNIX_EPOCH), expect);
        expect["status"]["conditions"][0]["lastTransitionTime"] = "1970-01-01T00:00:00Z".into();
        for change in [Change::New, Change::Status] {
            write.change = change;
            assert_eq!(body(&write, Timestamp::UNIX_EPOCH), expect);
        }
    }
}

//! The node condition `OVNChassisReady` at a stand-in API server: what is written, when, and what
//! becomes of it when the API server does not take it.

use std::sync::Arc;
use std::time::Duration;

use berth::api::Cause;
use berth::config::Config;
use berth::domain::Status;
use berth::metrics::Registry;
use berth::publish::tracker::Pace;
use berth::publish::{Metrics, Publisher};
use berth::snapshot::Stores;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::apiserver::{ApiServer, Fault, Request, Verb};
use crate::live::{Watching, captured, client, load};
use crate::support::until;

/// Without a wait between two changes of a node, and without a rate that tells.
const PACE: Pace = Pace {
    debounce: Duration::ZERO,
    per_second: 1000,
};

struct Publishing {
    metrics: Metrics,
    _watching: Watching,
    task: JoinHandle<()>,
}

impl Publishing {
    async fn start(server: &ApiServer) -> Self {
        let mut watching = Watching::start(server).await;
        watching.until_complete().await;
        let metrics = Metrics::register(&Registry::default()).unwrap();
        let mut publisher = Publisher::new(
            client(server).await,
            Stores::from(Arc::clone(&watching.view)),
            Config::default().policy(),
            PACE,
            metrics.clone(),
        );
        let task = tokio::spawn(async move { match publisher.run().await {} });
        Self {
            metrics,
            _watching: watching,
            task,
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn is_write(request: &Request) -> bool {
    request.is(Verb::Patch, "nodes")
        && request.subresource == "status"
        && request.status == Some(200)
}

fn conditions(server: &ApiServer, node: &str) -> Vec<Value> {
    let node = server.get("nodes", None, node).unwrap();
    node["status"]["conditions"].as_array().unwrap().clone()
}

/// Status, reason and message of a node's condition.
fn published(server: &ApiServer, node: &str) -> [String; 3] {
    let conditions = conditions(server, node);
    let mut all = conditions.iter();
    let is = all.find(|is| is["type"] == "OVNChassisReady").unwrap();
    ["status", "reason", "message"].map(|field| is[field].as_str().unwrap().to_owned())
}

const READY: [&str; 3] = [
    "True",
    "ChassisReady",
    "the OVN chassis can take over a VM's network",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_node_has_its_own_once_and_another_when_its_verdict_changes() {
    let server = ApiServer::start();
    load(&server);
    let others = conditions(&server, "el9-1");
    let publishing = Publishing::start(&server).await;
    server.wait_for(9, is_write).await;
    for (node, expect) in [
        ("el9-1", READY),
        ("el10-0", READY),
        (
            "el9-nochassis",
            [
                "False",
                "ChassisNotRegistered",
                "the node has no annotation that names its chassis",
            ],
        ),
    ] {
        assert_eq!(published(&server, node), expect, "{node}");
    }
    let mut now = conditions(&server, "el9-1");
    let at = now.iter().position(|is| is["type"] == "OVNChassisReady");
    let mine = now.remove(at.unwrap());
    assert_eq!(now, others);
    assert_eq!(mine["lastTransitionTime"], mine["lastHeartbeatTime"]);

    let mut node = server.get("nodes", None, "el9-1").unwrap();
    let lost =
        json!({"type": "NetworkUnavailable", "status": "True", "reason": "r", "message": "m"});
    node["status"]["conditions"]
        .as_array_mut()
        .unwrap()
        .retain(|is| is["type"] != "NetworkUnavailable");
    node["status"]["conditions"]
        .as_array_mut()
        .unwrap()
        .push(lost);
    server.apply(node.clone());
    server.wait_for(10, is_write).await;
    let expect = [
        "False",
        "NetworkUnavailable",
        "the node's condition NetworkUnavailable is True",
    ];
    assert_eq!(published(&server, "el9-1"), expect);

    node["status"]["conditions"].as_array_mut().unwrap().pop();
    server.apply(node);
    server.wait_for(11, is_write).await;
    assert_eq!(published(&server, "el9-1"), READY);

    // What somebody else writes is put right.
    let mut node = captured("Node", "el9-2");
    node["status"]["conditions"] = json!([{"type": "OVNChassisReady", "status": "Maybe"}]);
    server.apply(node);
    server.wait_for(12, is_write).await;
    assert_eq!(published(&server, "el9-2"), READY);
    until("counted", || {
        publishing.metrics.writes(Status::True).get() == 10
    })
    .await;
    assert_eq!(publishing.metrics.writes(Status::False).get(), 2);
    until("nobody waits", || publishing.metrics.waiting.get() == 0).await;
    assert_eq!(server.count(is_write), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_publishes_next_writes_nothing_that_is_there() {
    let server = ApiServer::start();
    load(&server);
    let first = Publishing::start(&server).await;
    server.wait_for(9, is_write).await;
    drop(first);
    let second = Publishing::start(&server).await;
    server.apply(captured("Node", "el9-1"));
    server.wait_for(10, is_write).await;
    until("counted", || second.metrics.writes(Status::True).get() == 1).await;
    assert_eq!(server.count(is_write), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_written_waits_and_is_written_when_it_can() {
    let server = ApiServer::start();
    load(&server);
    server.deny(Verb::Patch, "nodes/status");
    let publishing = Publishing::start(&server).await;
    let forbidden = || publishing.metrics.failures(Cause::Forbidden).get();
    until("refused", || forbidden() > 0).await;
    assert_eq!(publishing.metrics.waiting.get(), 9);
    // One refusal stands for all: they are not asked for one by one.
    assert!(forbidden() < 9, "{}", forbidden());
    server.allow(Verb::Patch, "nodes/status");
    server.wait_for(9, is_write).await;
    until("nobody waits", || publishing.metrics.waiting.get() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_by_policy_is_not_counted_as_a_missing_right() {
    let server = ApiServer::start();
    load(&server);
    server.fail(Fault::denied_by_policy().verb(Verb::Patch));
    let publishing = Publishing::start(&server).await;
    let failures = |cause| publishing.metrics.failures(cause).get();
    until("denied", || failures(Cause::DeniedByPolicy) > 0).await;
    assert_eq!(failures(Cause::Forbidden), 0);
    server.heal();
    server.wait_for(9, is_write).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_that_can_not_be_written_holds_up_no_other() {
    let server = ApiServer::start();
    load(&server);
    let refused = Fault::denied_by_webhook(422).verb(Verb::Patch);
    server.fail(refused.resource("nodes").times(1));
    let publishing = Publishing::start(&server).await;
    server.wait_for(8, is_write).await;
    assert_eq!(publishing.metrics.failures(Cause::DeniedByWebhook).get(), 1);
    server.wait_for(9, is_write).await;
    until("nobody waits", || publishing.metrics.waiting.get() == 0).await;
    assert_eq!(publishing.metrics.failures(Cause::DeniedByWebhook).get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_made_anew_gets_its_condition_again() {
    let server = ApiServer::start();
    load(&server);
    let _publishing = Publishing::start(&server).await;
    server.wait_for(9, is_write).await;
    server.delete("nodes", None, "el9-1");
    server.apply(captured("Node", "el9-1"));
    server.wait_for(10, is_write).await;
    assert_eq!(published(&server, "el9-1"), READY);
}

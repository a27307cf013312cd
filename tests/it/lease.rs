//! The lease at a stand-in API server: one replica at a time runs the tasks of the leader.

use std::fs;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use berth::api::Cause;
use berth::lease::{ElectionConfig, LeaderElector, Metrics};
use berth::metrics::Registry;
use futures_util::FutureExt;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::apiserver::{ApiServer, Fault, Request, Verb};
use crate::live::{client, client_of};
use crate::ovn_lab::Proxy;
use crate::process::PATIENCE;
use crate::support::until;

const LEASES: &str = "leases";

/// As short as a test has time for.
const DURATION: Duration = Duration::from_millis(600);

fn mk_server() -> ApiServer {
    let server = ApiServer::start();
    server.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "berth"}}));
    server
}

/// What all replicas do together: how many do it, and the most that ever did.
#[derive(Default)]
struct TaskCount {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One that does them, until it is dropped.
struct Doing(Arc<TaskCount>);

impl Doing {
    fn begin(count: &Arc<TaskCount>) -> Self {
        let now = count.now.fetch_add(1, Relaxed) + 1;
        count.most.fetch_max(now, Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
    }
}

struct Replica {
    metrics: Metrics,
    leave: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Replica {
    async fn start(server: &ApiServer, identity: &str, count: &Arc<TaskCount>) -> Self {
        Self::start_with(client(server).await, identity, count)
    }

    fn start_with(client: Client, identity: &str, count: &Arc<TaskCount>) -> Self {
        let metrics = Metrics::register(&Registry::default()).unwrap();
        let config = ElectionConfig {
            namespace: "berth".to_owned(),
            name: "berth".to_owned(),
            identity: identity.to_owned(),
            duration: DURATION,
        };
        let elector = LeaderElector::new(client, config, metrics.clone());
        let (leave, left) = oneshot::channel::<()>();
        let count = Arc::clone(count);
        let duty = move || {
            let doing = Doing::begin(&count);
            async move {
                let _doing = doing;
                pending().await
            }
            .boxed()
        };
        let task = tokio::spawn(elector.run(left.map(drop), duty));
        Self {
            metrics,
            leave: Some(leave),
            task,
        }
    }

    fn holds(&self) -> bool {
        self.metrics.held.get() == 1
    }

    fn failures(&self, cause: Cause) -> u64 {
        self.metrics.failures(cause).get()
    }

    async fn leave(mut self) {
        self.leave.take().unwrap().send(()).unwrap();
        timeout(PATIENCE, &mut self.task).await.unwrap().unwrap();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn spec(server: &ApiServer) -> Value {
    let lease = server.get(LEASES, Some("berth"), "berth");
    lease.unwrap_or_default()["spec"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_holds_it_and_gives_it_back_to_the_next() {
    let server = mk_server();
    let count = Arc::new(TaskCount::default());
    let first = Replica::start(&server, "a", &count).await;
    until("held", || first.holds()).await;
    let second = Replica::start(&server, "b", &count).await;
    server
        .wait_for(3, |request| request.is(Verb::Update, LEASES))
        .await;
    assert_eq!(spec(&server)["holderIdentity"], "a");
    assert_eq!(spec(&server)["leaseTransitions"], 0);
    assert!(!second.holds());

    let acquired = spec(&server)["acquireTime"].clone();
    first.leave().await;
    until("the next", || second.holds()).await;
    assert_eq!(spec(&server)["holderIdentity"], "b");
    assert_eq!(spec(&server)["leaseTransitions"], 1);
    assert_ne!(spec(&server)["acquireTime"], acquired);
    second.leave().await;
    assert_eq!(spec(&server)["holderIdentity"], "");
    assert_eq!(count.most.load(Relaxed), 1);
    assert_eq!(count.now.load(Relaxed), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_taken_from_one_that_says_nothing_any_more() {
    let server = mk_server();
    let count = Arc::new(TaskCount::default());
    let first = Replica::start(&server, "a", &count).await;
    until("held", || first.holds()).await;
    let second = Replica::start(&server, "b", &count).await;
    drop(first);
    until("taken", || second.holds()).await;
    assert_eq!(spec(&server)["holderIdentity"], "b");
}

/// A client whose way can be held up without being closed.
async fn client_by(server: &ApiServer, proxy: &Proxy) -> Client {
    let dir = tempfile::tempdir().unwrap();
    let path = server.kubeconfig(dir.path());
    let kubeconfig = fs::read_to_string(&path).unwrap();
    let there = server.address().to_string();
    assert!(kubeconfig.contains(&there));
    let by = format!("127.0.0.1:{}", proxy.port);
    fs::write(&path, kubeconfig.replace(&there, &by)).unwrap();
    client_of(&path).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_whose_requests_hang_stops_before_another_begins() {
    let server = mk_server();
    let count = Arc::new(TaskCount::default());
    let way = Proxy::start(server.address().port()).await.unwrap();
    let first = Replica::start_with(client_by(&server, &way).await, "a", &count);
    until("held", || first.holds()).await;
    let second = Replica::start(&server, "b", &count).await;
    way.stall();
    until("taken", || second.holds()).await;
    assert!(!first.holds());
    assert!(first.failures(Cause::Timeout) > 0);
    assert_eq!(count.most.load(Relaxed), 1);
    assert_eq!(count.now.load(Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_goes_takes_it_from_all_and_one_has_it_when_it_comes_back() {
    let mut server = mk_server();
    let count = Arc::new(TaskCount::default());
    let replicas = [
        Replica::start(&server, "a", &count).await,
        Replica::start(&server, "b", &count).await,
    ];
    let held = || replicas.iter().filter(|replica| replica.holds()).count();
    for round in 1..=2 {
        until("held", || {
            let taken = replicas.iter().map(|replica| replica.metrics.taken.get());
            taken.sum::<u64>() == round
        })
        .await;
        server.stop();
        until("lost", || held() == 0).await;
        server.restart();
    }
    until("held", || held() == 1).await;
    assert_eq!(count.most.load(Relaxed), 1);
    let failures = replicas.iter();
    let failures = failures.map(|replica| replica.failures(Cause::Connection));
    assert!(failures.sum::<u64>() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_leaves_does_not_wait_for_an_answer_that_does_not_come() {
    let server = mk_server();
    server.fail(Fault::hang().verb(Verb::Create).resource(LEASES));
    let replica = Replica::start(&server, "a", &Arc::default()).await;
    let asks = |request: &Request| request.is(Verb::Create, LEASES);
    server.wait_for(1, asks).await;
    replica.leave().await;
    assert_eq!(spec(&server), Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_stops_when_somebody_takes_it_away() {
    let server = mk_server();
    let count = Arc::new(TaskCount::default());
    let replica = Replica::start(&server, "a", &count).await;
    until("held", || replica.holds()).await;
    let mut lease = server.get(LEASES, Some("berth"), "berth").unwrap();
    lease["metadata"]["labels"] = json!({"keep": "me"});
    lease["spec"]["holderIdentity"] = json!("somebody");
    lease["spec"]["leaseDurationSeconds"] = json!(1);
    server.apply(lease);
    until("lost", || !replica.holds()).await;
    assert_eq!(replica.failures(Cause::Conflict), 1);
    until("taken again", || replica.metrics.taken.get() == 2).await;
    let lease = server.get(LEASES, Some("berth"), "berth").unwrap();
    assert_eq!(lease["metadata"]["labels"], json!({"keep": "me"}));
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    server.delete(LEASES, Some("berth"), "berth");
    let is_made =
        |request: &Request| request.is(Verb::Create, LEASES) && request.status == Some(201);
    server.wait_for(2, is_made).await;
    assert_eq!(spec(&server)["holderIdentity"], "a");
    assert_eq!(
        replica.metrics.taken.get(),
        2,
        "nobody else had it meanwhile"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rbac_does_not_allow_is_counted_and_tried_again() {
    let server = mk_server();
    server.deny(Verb::Create, LEASES);
    let replica = Replica::start(&server, "a", &Arc::default()).await;
    until("refused", || replica.failures(Cause::Forbidden) > 1).await;
    assert!(!replica.holds());
    server.allow(Verb::Create, LEASES);
    until("held", || replica.holds()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_admission_denies_is_not_counted_as_a_missing_right() {
    for (denial, cause) in [
        (Fault::over_quota(), Cause::QuotaExceeded),
        (
            Fault::in_terminating_namespace(),
            Cause::NamespaceTerminating,
        ),
        (Fault::denied_by_policy(), Cause::DeniedByPolicy),
        // A webhook's 409 is no other replica that was faster.
        (Fault::denied_by_webhook(409), Cause::DeniedByWebhook),
    ] {
        let server = mk_server();
        server.fail(denial.verb(Verb::Create));
        let replica = Replica::start(&server, "a", &Arc::default()).await;
        until("denied", || replica.failures(cause) > 0).await;
        for other in [Cause::Forbidden, Cause::Conflict] {
            assert_eq!(replica.failures(other), 0, "{cause:?}");
        }
        server.heal();
        until("held", || replica.holds()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_empty_lease_of_the_manifests_is_taken_without_the_right_to_make_one() {
    let server = mk_server();
    server.deny(Verb::Create, LEASES);
    let replica = Replica::start(&server, "a", &Arc::default()).await;
    until("refused", || replica.failures(Cause::Forbidden) > 0).await;
    server.apply(json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "berth", "namespace": "berth", "labels": {"keep": "me"}},
    }));
    until("held", || replica.holds()).await;
    let lease = server.get(LEASES, Some("berth"), "berth").unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], "a");
    assert_eq!(lease["metadata"]["labels"], json!({"keep": "me"}));
}

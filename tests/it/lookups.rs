//! A target pod that comes before its VMI does: the VMI is read once, and what is not there is said.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use berth::cluster::{self, ClusterView, Lookup, VmiReader};
use berth::config::Config;
use berth::http::{Metrics, Service, router};
use berth::metrics::Registry;
use berth::peer::{Access, Peer};
use futures_util::future::join_all;
use futures_util::poll;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::apiserver::{self, ApiServer, Fault, Verb};
use crate::live::{captured, client, load};
use crate::support::{capture, cluster, items, view};

const UID: &str = "98ba4550-0347-40ef-a369-02349d8839a0";

/// What the caller is told of a VMI that is not there, that was not looked up and that can't be read.
const NOT_KNOWN: &str = "berth: VirtualMachineInstance default/web with UID 98ba4550-0347-40ef-a369-02349d8839a0 is not known";

/// Where kube-scheduler calls from.
const SCHEDULER: [u8; 4] = [10, 0, 0, 1];

/// A service whose view lacks VMI `web`, beside an API server that may have it.
pub(crate) struct Late {
    pub(crate) server: ApiServer,
    service: Arc<Service>,
    pub(crate) reader: Arc<VmiReader>,
}

impl Late {
    async fn start() -> Self {
        Self::with("").await
    }

    pub(crate) async fn with(config: &str) -> Self {
        let server = ApiServer::start();
        load(&server);
        let mut cluster = cluster();
        items(&mut cluster).retain(|item| item["kind"] != "VirtualMachineInstance");
        let view = Arc::new(ArcSwap::from_pointee(view(&cluster)));
        let config = Config::parse(config).unwrap();
        let limits = &config.limits;
        let reader = VmiReader::new(
            client(&server).await,
            limits.lookup_timeout.0,
            limits.lookups_per_second,
            Arc::new(cluster::Metrics::register(&Registry::default()).unwrap()),
        );
        let reader = Arc::new(reader);
        let service = Service::new(
            view.into(),
            Some(Arc::clone(&reader)),
            None,
            config.policy(),
            Metrics::register(&Registry::default()).unwrap(),
            &config.limits,
        );
        Self {
            server,
            service,
            reader,
        }
    }

    async fn filter(&self, args: &str) -> Value {
        let (status, answer) = self.filter_from(SCHEDULER, args).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// A filter call of a client of this address: status and answer.
    pub(crate) async fn filter_from(&self, source: [u8; 4], args: &str) -> (StatusCode, String) {
        let request = Request::post("/scheduler/filter").body(Body::from(args.to_owned()));
        let mut request = request.unwrap();
        request.extensions_mut().insert(Peer {
            address: (source, 4711).into(),
            access: Access::default(),
        });
        let response = router(Arc::clone(&self.service))
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn read(&self, namespace: &str, name: &str) -> Lookup {
        self.reader
            .read(SCHEDULER.into(), namespace, name, UID)
            .await
    }

    async fn check_not_known(&self) {
        let reply = self.filter(&capture("filter-names-migration")).await;
        assert_eq!(reply["Error"], NOT_KNOWN);
        assert_eq!(reply["NodeNames"], Value::Null);
    }

    /// The caller is told the same as ever, and the log why.
    async fn check_failure(&self, expect: &str) {
        self.check_not_known().await;
        let Lookup::Failed(fault) = self.read("default", "web").await else {
            panic!("the read did not fail");
        };
        assert_eq!(fault.to_string(), expect);
    }
}

pub(crate) fn is_read(request: &apiserver::Request) -> bool {
    request.verb == Verb::Get && request.resource == "virtualmachineinstances"
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vmi_that_no_watch_has_brought_is_read_and_judged_by() {
    let late = Late::start().await;
    for call in [
        "filter-names-migration-no-selector",
        "filter-names-migration",
    ] {
        let known = crate::support::Asked::new(&cluster(), "");
        let expect = known.ask("/scheduler/filter", capture(call)).await;
        assert_eq!(expect["Error"], "");
        assert_eq!(late.filter(&capture(call)).await, expect);
    }
    assert_eq!(late.server.count(is_read), 2);
    assert_eq!(late.reader.outcomes(), [2, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_call_is_answered_the_same_way() {
    let late = Late::start().await;
    let mut call: Value = serde_json::from_str(&capture("filter-names-migration")).unwrap();
    let mut names: Vec<String> = (0..40_000).map(|i| format!("unknown-{i}")).collect();
    names.push("el9-1".to_owned());
    call["NodeNames"] = json!(names);
    let reply = late.filter(&call.to_string()).await;
    assert_eq!(reply["NodeNames"], json!(["el9-1"]));
    assert_eq!(late.server.count(is_read), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_for_the_same_vmi_share_one_read() {
    let late = Late::start().await;
    let hang = Fault::hang()
        .verb(Verb::Get)
        .resource("virtualmachineinstances");
    late.server.fail(hang);
    let call = capture("filter-names-migration");
    let calls = join_all((0..20).map(|_| late.filter(&call)));
    let heal = async {
        late.server.wait_for(1, is_read).await;
        late.server.heal();
    };
    let (replies, ()) = tokio::join!(calls, heal);
    for reply in replies {
        assert_eq!(reply["Error"], "");
    }
    assert_eq!(late.server.count(is_read), 1);
    assert_eq!(late.reader.outcomes(), [1, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_goes_on_when_the_one_who_began_it_leaves() {
    let late = Late::start().await;
    let hang = Fault::hang()
        .verb(Verb::Get)
        .resource("virtualmachineinstances");
    late.server.fail(hang);
    let mut first = Box::pin(late.read("default", "web"));
    let mut second = Box::pin(late.read("default", "web"));
    assert!(poll!(&mut first).is_pending());
    assert!(poll!(&mut second).is_pending());
    drop(first);
    late.server.heal();
    assert!(matches!(second.await, Lookup::Found(vmi) if vmi.name.as_ref() == "web"));
    assert_eq!(late.server.count(is_read), 1);
    assert_eq!(late.reader.outcomes(), [1, 0, 0, 0, 0]);
    // It is over, and the next one begins anew.
    late.read("default", "web").await;
    assert_eq!(late.server.count(is_read), 2);
    assert_eq!(late.reader.outcomes(), [2, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_berth_does_not_guard_asks_nobody() {
    let late = Late::start().await;
    let reply = late.filter(&capture("filter-names-launch")).await;
    assert_eq!(reply["Error"], "");
    assert_eq!(late.server.count(is_read), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vmi_that_is_not_there_or_is_another_is_read_once_and_then_remembered() {
    type Change = fn(&ApiServer);
    let make_another: Change = |server| {
        let mut other = captured("VirtualMachineInstance", "web");
        other["metadata"]["uid"] = json!("another");
        server.apply(other);
    };
    let delete: Change = |server| {
        server.delete("virtualmachineinstances", Some("default"), "web");
    };
    let uninstall: Change = |server| server.uninstall("virtualmachineinstances");
    let cases: [(Change, [u64; 5]); 3] = [
        (make_another, [1, 0, 0, 0, 1]),
        (delete, [0, 1, 0, 0, 1]),
        (uninstall, [0, 1, 0, 0, 1]),
    ];
    for (change, outcomes) in cases {
        let late = Late::start().await;
        change(&late.server);
        late.check_not_known().await;
        late.check_not_known().await;
        assert_eq!(late.server.count(is_read), 1);
        assert_eq!(late.reader.outcomes(), outcomes);
    }
}

#[tokio::test]
async fn a_vmi_that_was_not_there_is_read_again_after_two_seconds() {
    let late = Late::start().await;
    late.server
        .delete("virtualmachineinstances", Some("default"), "web");
    late.check_not_known().await;
    late.server.apply(captured("VirtualMachineInstance", "web"));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(1)).await;
    tokio::time::resume();
    late.check_not_known().await;
    // Another VMI of this name is another question.
    let other = late
        .reader
        .read(SCHEDULER.into(), "default", "web", "another");
    assert_eq!(other.await, Lookup::Absent);
    assert_eq!(late.server.count(is_read), 2);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    let reply = late.filter(&capture("filter-names-migration")).await;
    assert_eq!(reply["Error"], "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_no_object_has_is_not_asked_for() {
    let late = Late::start().await;
    let long = "a".repeat(254);
    for name in [
        "",
        "?watch=true",
        "web?limit=1",
        "web/status",
        "../web",
        "..",
        "a..b",
        "-a",
        "a-",
        "a b",
        "Web",
        "we%62",
        &long,
    ] {
        for (namespace, name) in [("default", name), (name, "web")] {
            assert_eq!(
                late.read(namespace, name).await,
                Lookup::Absent,
                "{namespace} {name}"
            );
        }
    }
    let long_uid = "a".repeat(65);
    let read = late
        .reader
        .read(SCHEDULER.into(), "default", "web", &long_uid);
    assert_eq!(read.await, Lookup::Absent);
    assert_eq!(late.server.log().len(), 0);
    let absent = format!("a.{}", &long[..251]);
    for name in ["web", "a", "0.b-c", &absent] {
        late.read("default", name).await;
    }
    assert_eq!(late.server.count(is_read), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_fails_says_why_in_the_log_alone() {
    let mut late = Late::start().await;
    late.server.deny(Verb::Get, "virtualmachineinstances");
    late.check_failure(
        "virtualmachineinstances.kubevirt.io \"web\" is forbidden: User \"system:serviceaccount:kube-system:berth\" cannot get resource \"virtualmachineinstances\" in API group \"kubevirt.io\" in the namespace \"default\" (status 403)",
    )
    .await;
    late.server.allow(Verb::Get, "virtualmachineinstances");
    late.server.put_raw(
        "virtualmachineinstances",
        "default/web",
        &json!({"metadata": {"namespace": "default", "name": "web", "uid": 7}}),
    );
    late.check_failure("invalid type: integer `7`, expected a string in metadata.uid")
        .await;
    late.server.stop();
    late.check_not_known().await;
    let failed = late.read("default", "web").await;
    assert!(
        matches!(&failed, Lookup::Failed(fault) if fault.to_string().contains("Connection refused")),
        "{failed:?}"
    );
    assert_eq!(late.reader.outcomes(), [0, 0, 6, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vmi_that_is_too_large_is_not_read() {
    let late = Late::start().await;
    let large = "x".repeat(8 << 20);
    late.server.put_raw(
        "virtualmachineinstances",
        "default/web",
        &json!({"metadata": {"namespace": "default", "name": "web", "uid": "1", "annotations": {"large": large}}}),
    );
    late.check_failure("it is larger than the 8388608 bytes that are read of an object")
        .await;
}

#[tokio::test]
async fn a_read_that_hangs_is_given_up_at_its_deadline() {
    let late = Late::start().await;
    late.server.fail(Fault::hang());
    let asked = async {
        late.server.wait_for(1, is_read).await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(2)).await;
        tokio::time::resume();
    };
    tokio::join!(late.check_not_known(), asked);
    assert_eq!(late.reader.outcomes(), [0, 0, 1, 0, 0]);
}

#[tokio::test]
async fn until_the_cluster_is_known_nobody_gets_a_decision() {
    let config = Config::default();
    let view = Arc::new(ArcSwap::from_pointee(ClusterView::default()));
    let metrics = Metrics::register(&Registry::default()).unwrap();
    let service = Service::new(
        view.into(),
        None,
        None,
        config.policy(),
        metrics,
        &config.limits,
    );
    for (path, body) in [
        ("/mutate", "admission-create-vm-bridge"),
        ("/scheduler/filter", "filter-names-migration"),
    ] {
        let request = Request::post(path).body(Body::from(capture(body))).unwrap();
        let response = router(Arc::clone(&service)).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            body,
            "berth: the cluster view is not complete yet, try again\n"
        );
    }
}

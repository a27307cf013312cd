//! A target pod that comes before its VMI does: the VMI is read once, and what is not there is said.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use berth::cluster::{Lookup, View, VmiReader};
use berth::config::Config;
use berth::http::{Service, router};
use berth::metrics::Metrics;
use futures_util::future::join_all;
use futures_util::poll;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::apiserver::{self, ApiServer, Fault, Verb};
use crate::live::{captured, client, load};
use crate::support::{capture, cluster, items, view};

const WEB: &str =
    "VirtualMachineInstance default/web with UID 98ba4550-0347-40ef-a369-02349d8839a0";

/// A service whose view lacks VMI `web`, beside an API server that may have it.
struct Late {
    server: ApiServer,
    service: Arc<Service>,
    reader: Arc<VmiReader>,
}

impl Late {
    async fn start() -> Self {
        let server = ApiServer::start();
        load(&server);
        let mut cluster = cluster();
        items(&mut cluster).retain(|item| item["kind"] != "VirtualMachineInstance");
        let view = Arc::new(ArcSwap::from_pointee(view(&cluster)));
        let config = Config::default();
        let reader = VmiReader::new(client(&server).await, config.limits.lookup_timeout.0);
        let reader = Arc::new(reader);
        let service = Service::new(
            view,
            Some(Arc::clone(&reader)),
            config.policy(),
            Metrics::new().unwrap(),
            &config.limits,
        );
        Self {
            server,
            service,
            reader,
        }
    }

    async fn filter(&self, args: &str) -> Value {
        let request = Request::post("/scheduler/filter").body(Body::from(args.to_owned()));
        let response = router(Arc::clone(&self.service))
            .oneshot(request.unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice(&body).unwrap()
    }

    async fn check_error(&self, expect: &str) {
        let reply = self.filter(&capture("filter-names-migration")).await;
        assert_eq!(reply["Error"], expect);
        assert_eq!(reply["NodeNames"], Value::Null);
    }
}

fn is_read(request: &apiserver::Request) -> bool {
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
    assert_eq!(late.reader.outcomes(), [2, 0, 0]);
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
    assert_eq!(late.reader.outcomes(), [1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_goes_on_when_the_one_who_began_it_leaves() {
    let late = Late::start().await;
    let hang = Fault::hang()
        .verb(Verb::Get)
        .resource("virtualmachineinstances");
    late.server.fail(hang);
    let mut first = Box::pin(late.reader.read("default", "web"));
    let mut second = Box::pin(late.reader.read("default", "web"));
    assert!(poll!(&mut first).is_pending());
    assert!(poll!(&mut second).is_pending());
    drop(first);
    late.server.heal();
    assert!(matches!(second.await, Lookup::Found(vmi) if vmi.name.as_ref() == "web"));
    assert_eq!(late.server.count(is_read), 1);
    assert_eq!(late.reader.outcomes(), [1, 0, 0]);
    // It is over, and the next one begins anew.
    late.reader.read("default", "web").await;
    assert_eq!(late.server.count(is_read), 2);
    assert_eq!(late.reader.outcomes(), [2, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_berth_does_not_guard_asks_nobody() {
    let late = Late::start().await;
    let reply = late.filter(&capture("filter-names-launch")).await;
    assert_eq!(reply["Error"], "");
    assert_eq!(late.server.count(is_read), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vmi_that_is_not_there_or_is_another_is_said_to_be_absent() {
    let late = Late::start().await;
    let absent = format!("berth: {WEB} is not in the cluster");
    let mut other = captured("VirtualMachineInstance", "web");
    other["metadata"]["uid"] = json!("another");
    late.server.apply(other);
    late.check_error(&absent).await;
    late.server
        .delete("virtualmachineinstances", Some("default"), "web");
    late.check_error(&absent).await;
    late.server.uninstall("virtualmachineinstances");
    late.check_error(&absent).await;
    assert_eq!(late.reader.outcomes(), [1, 2, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_fails_says_why() {
    let mut late = Late::start().await;
    let unread = |why: &str| format!("berth: {WEB} is not known yet, and could not be read: {why}");
    late.server.deny(Verb::Get, "virtualmachineinstances");
    late.check_error(&unread(
        "virtualmachineinstances.kubevirt.io \"web\" is forbidden: User \"system:serviceaccount:kube-system:berth\" cannot get resource \"virtualmachineinstances\" in API group \"kubevirt.io\" in the namespace \"default\" (status 403)",
    ))
    .await;
    late.server.allow(Verb::Get, "virtualmachineinstances");
    late.server.put_raw(
        "virtualmachineinstances",
        "default/web",
        &json!({"metadata": {"namespace": "default", "name": "web", "uid": 7}}),
    );
    late.check_error(&unread(
        "invalid type: integer `7`, expected a string in metadata.uid",
    ))
    .await;
    late.server.stop();
    let reply = late.filter(&capture("filter-names-migration")).await;
    let error = reply["Error"].as_str().unwrap();
    assert!(
        error.starts_with(&unread("")) && error.contains("Connection refused"),
        "{error}"
    );
    assert_eq!(late.reader.outcomes(), [0, 0, 3]);
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
    let why = format!(
        "berth: {WEB} is not known yet, and could not be read: no answer within 1s (limits.lookupTimeout)"
    );
    tokio::join!(late.check_error(&why), asked);
}

#[tokio::test]
async fn until_the_cluster_is_known_nobody_gets_a_decision() {
    let config = Config::default();
    let view = Arc::new(ArcSwap::from_pointee(View::default()));
    let metrics = Metrics::new().unwrap();
    let service = Service::new(view, None, config.policy(), metrics, &config.limits);
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

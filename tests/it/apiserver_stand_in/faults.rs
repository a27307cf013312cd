//! What goes wrong on request, and what is well again afterwards.

use std::io::Read;
use std::net::TcpStream;

use kube::api::{ListParams, PostParams};
use kube::runtime::watcher::Config;
use serde_json::json;

use super::{Watched, client, code, node, nodes, vmi, vmis};
use crate::apiserver::{ApiServer, Fault, Verb};
use crate::process::PATIENCE;

#[tokio::test]
async fn a_fault_strikes_as_often_as_it_says_and_what_it_says() {
    let server = ApiServer::start();
    let (nodes, vmis) = (nodes(&server).await, vmis(&server).await);
    let all = ListParams::default();
    for (status, reason) in [
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (410, "Expired"),
        (500, ""),
        (503, "ServiceUnavailable"),
        (504, "Timeout"),
    ] {
        let fault = Fault::status(status).verb(Verb::List).resource("nodes");
        server.fail(fault.times(1));
        vmis.list(&all).await.unwrap();
        assert_eq!(code(&nodes.get("a").await.unwrap_err()), 404);
        let Err(kube::Error::Api(error)) = nodes.list(&all).await else {
            panic!("{status}");
        };
        assert_eq!((error.code, error.reason.as_str()), (status, reason));
        nodes.list(&all).await.unwrap();
    }
}

#[tokio::test]
async fn a_denial_of_admission_is_worded_as_kube_apiserver_words_it() {
    let server = ApiServer::start();
    let nodes = nodes(&server).await;
    for (denial, code, reason, message, cause) in [
        (
            Fault::over_quota(),
            403,
            "Forbidden",
            "nodes \"a\" is forbidden: exceeded quota: objects, requested: count/nodes=1, used: count/nodes=10, limited: count/nodes=10",
            None,
        ),
        (
            Fault::in_terminating_namespace(),
            403,
            "Forbidden",
            "nodes \"a\" is forbidden: unable to create new content in namespace  because it is being terminated",
            Some("NamespaceTerminating"),
        ),
        (
            Fault::denied_by_policy(),
            422,
            "Invalid",
            "nodes \"a\" is forbidden: ValidatingAdmissionPolicy 'owners' with binding 'owners' denied request: an owner is missing",
            Some(""),
        ),
        (
            Fault::denied_by_webhook(400),
            400,
            "",
            "admission webhook \"owners.example.com\" denied the request: an owner is missing",
            None,
        ),
        (
            Fault::denied_by_plugin(),
            403,
            "Forbidden",
            "nodes \"a\" is forbidden: cannot set an ownerRef on a resource you can't delete: , <nil>",
            None,
        ),
    ] {
        server.fail(denial.verb(Verb::Create).times(1));
        let new = serde_json::from_value(node("a", &json!({}))).unwrap();
        let created = nodes.create(&PostParams::default(), &new).await;
        let Err(kube::Error::Api(status)) = created else {
            panic!("{message}");
        };
        let causes = status.details.iter().flat_map(|details| &details.causes);
        assert_eq!(
            (
                status.code,
                &*status.reason,
                &*status.message,
                causes.map(|cause| &*cause.reason).next()
            ),
            (code, reason, message, cause)
        );
    }
}

#[tokio::test]
async fn too_many_requests_say_when_to_come_again() {
    let server = ApiServer::start();
    server.fail(Fault::status(429).times(1));
    server.fail(Fault::initializing());
    let client = client(&server).await;
    for body in [
        "Too many requests, please try again later.",
        "storage is (re)initializing",
    ] {
        let request = hyper::Request::get("/api/v1/nodes");
        let request = request.body(kube::client::Body::empty()).unwrap();
        let response = client.send(request).await.unwrap();
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()["retry-after"], "1");
        let bytes = http_body_util::BodyExt::collect(response.into_body()).await;
        let text = String::from_utf8(bytes.unwrap().to_bytes().to_vec()).unwrap();
        assert!(text.contains(body), "{text}");
    }
}

#[tokio::test]
async fn a_request_that_hangs_is_answered_when_all_is_well_again() {
    let server = ApiServer::start();
    server.fail(Fault::hang());
    let api = nodes(&server).await;
    let listing = tokio::spawn(async move { api.list(&ListParams::default()).await });
    server
        .wait_for(1, |request| request.is(Verb::List, "nodes"))
        .await;
    assert_eq!(server.log()[0].status, None);
    server.heal();
    listing.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stalled_watch_says_nothing_until_it_goes_on() {
    let server = ApiServer::start();
    let mut watched = Watched::new(nodes(&server).await, Config::default());
    watched.sees(["Init", "InitDone"]).await;
    server.stall_watches(true);
    server.apply(node("a", &json!({})));
    // Time enough for an event to come, if there were one.
    for _ in 0..10 {
        assert!(watched.is_silent());
        nodes(&server)
            .await
            .list(&ListParams::default())
            .await
            .unwrap();
    }
    server.stall_watches(false);
    watched.sees(["Apply(a)"]).await;
}

#[tokio::test]
async fn a_stopped_server_refuses_and_keeps_its_port_and_its_store() {
    let mut server = ApiServer::start();
    server.apply(vmi("web"));
    let mut watched = Watched::new(vmis(&server).await, Config::default());
    watched.sees(["Init", "InitApply(web)", "InitDone"]).await;
    for name in ["a", "b"] {
        server.stop();
        let refused = TcpStream::connect(server.address()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        server.apply(vmi(name));
        watched.sees(["watch: no answer"]).await;
        server.restart();
        watched
            .sees_after("watch: no answer", &format!("Apply({name})"))
            .await;
    }
    assert_eq!(server.count(|request| request.verb == Verb::List), 1);
}

#[tokio::test]
async fn a_verb_that_is_denied_is_forbidden() {
    let server = ApiServer::start();
    server.deny(Verb::Watch, "nodes");
    let mut watched = Watched::new(nodes(&server).await, Config::default());
    watched
        .sees(["Init", "InitDone", "watch: 403", "watch: 403"])
        .await;
    server.allow(Verb::Watch, "nodes");
    server.apply(node("a", &json!({})));
    watched.sees_after("watch: 403", "Apply(a)").await;
}

#[tokio::test]
async fn a_wrong_kubeconfig_is_refused() {
    let server = ApiServer::start();
    let without = nodes(&server).await;
    server.require_token("old");
    let old = nodes(&server).await;
    server.require_token("new");
    for (api, expected) in [(without, 401), (old, 401), (nodes(&server).await, 200)] {
        let list = api.list(&ListParams::default()).await;
        let status = list.map_or_else(|error| code(&error), |_| 200);
        assert_eq!(status, expected);
    }
}

#[test]
fn all_ends_with_the_handle() {
    let server = ApiServer::start();
    let address = server.address();
    let mut open = TcpStream::connect(address).unwrap();
    drop(server);
    open.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(open.read(&mut [0]).unwrap_or_default(), 0);
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
}

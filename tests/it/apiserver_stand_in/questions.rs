//! What the server says of itself and of rights, dry runs, and port forwards.

use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SubjectAccessReview};
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{client, code, pod, vmi, vmis};
use crate::apiserver::{ApiServer, Verb};

#[tokio::test]
async fn the_release_and_the_kinds_of_a_group_are_told() {
    let server = ApiServer::start();
    let client = client(&server).await;
    let version = client.apiserver_version().await.unwrap();
    assert_eq!(version.git_version, "v1.36.2");
    server.uninstall("kubevirts");
    let kinds = client.list_api_group_resources("kubevirt.io/v1").await;
    let kinds: Vec<String> = kinds
        .unwrap()
        .resources
        .into_iter()
        .map(|kind| kind.name)
        .collect();
    let expect = [
        "virtualmachines",
        "virtualmachineinstances",
        "virtualmachineinstancemigrations",
        "virtualmachineinstancereplicasets",
    ];
    assert_eq!(kinds, expect);
    let none = client.list_api_group_resources("example.com/v1").await;
    assert_eq!(code(&none.unwrap_err()), 404);
}

#[tokio::test]
async fn a_review_tells_what_the_caller_and_what_an_account_may_do() {
    let server = ApiServer::start();
    server.deny(Verb::Create, "deployments");
    server.deny_accounts(Verb::Patch, "nodes/status");
    let client = client(&server).await;
    for (verb, resource, expect) in [
        ("create", "deployments", false),
        ("get", "deployments", true),
    ] {
        let attributes = json!({"verb": verb, "group": "apps", "resource": resource});
        let review = json!({"metadata": {}, "spec": {"resourceAttributes": attributes}});
        let review: SelfSubjectAccessReview = serde_json::from_value(review).unwrap();
        let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        let review = api.create(&PostParams::default(), &review).await.unwrap();
        assert_eq!(review.status.unwrap().allowed, expect, "{verb} {resource}");
    }
    for (subresource, expect) in [("status", false), ("", true)] {
        let attributes = json!({"verb": "patch", "resource": "nodes", "subresource": subresource});
        let spec = json!({"user": "berth", "resourceAttributes": attributes});
        let review: SubjectAccessReview =
            serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        let api: Api<SubjectAccessReview> = Api::all(client.clone());
        let review = api.create(&PostParams::default(), &review).await.unwrap();
        assert_eq!(review.status.unwrap().allowed, expect, "{subresource}");
    }
}

#[tokio::test]
async fn a_dry_run_is_answered_as_a_creation_and_stores_nothing() {
    let server = ApiServer::start();
    let api = vmis(&server).await;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object = serde_json::from_value(vmi("web")).unwrap();
    let made = api.create(&dry, &object).await.unwrap();
    assert_eq!(made.metadata.name.as_deref(), Some("web"));
    assert!(made.metadata.uid.is_some());
    assert!(api.get_opt("web").await.unwrap().is_none());
    server.apply(vmi("web"));
    assert_eq!(code(&api.create(&dry, &object).await.unwrap_err()), 409);
}

#[tokio::test]
async fn a_service_has_an_address_of_the_range() {
    let server = ApiServer::start();
    let api: Api<Service> = Api::namespaced(client(&server).await, "default");
    for (address, expect) in [("10.96.0.77", 201), ("10.112.0.1", 422)] {
        let service = json!({"metadata": {"name": "a"}, "spec": {"clusterIP": address}});
        let service = serde_json::from_value(service).unwrap();
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let made = api.create(&dry, &service).await;
        let status = made.map_or_else(|error| code(&error), |_| 201);
        assert_eq!(status, expect, "{address}");
    }
}

#[tokio::test]
async fn a_port_of_a_pod_leads_where_it_is_forwarded_to() {
    let server = ApiServer::start();
    server.apply(pod("default", "web", "a"));
    let mut waiting = pod("default", "waiting", "a");
    waiting["spec"]["nodeName"] = Value::Null;
    server.apply(waiting);
    let api: Api<Pod> = Api::namespaced(client(&server).await, "default");
    assert!(api.portforward("waiting", &[80]).await.is_err());
    assert!(api.portforward("none", &[80]).await.is_err());

    let mut forward = api.portforward("web", &[80]).await.unwrap();
    let said = forward.take_error(80).unwrap().await.unwrap();
    assert!(said.ends_with("connection refused"), "{said}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Some(listener.local_addr().unwrap());
    server.forward("default", "web", address);
    let mut forward = api.portforward("web", &[80]).await.unwrap();
    let mut near = forward.take_stream(80).unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    near.write_all(b"ping").await.unwrap();
    near.flush().await.unwrap();
    let mut heard = [0; 4];
    far.read_exact(&mut heard).await.unwrap();
    far.write_all(&heard).await.unwrap();
    near.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"ping");
}

//! Gets and lists: selectors, pages that stay at one state, and what is not there.

use hyper::Request;
use kube::api::{Api, ListParams};
use serde_json::{Value, json};

use super::{client, code, node, nodes, pod, vmi, vmis};
use crate::apiserver::{ApiServer, Verb};

/// The names in the list at a path.
async fn names(server: &ApiServer, path: &str) -> Vec<String> {
    let request = Request::get(path).body(Vec::new()).unwrap();
    let list: Value = client(server).await.request(request).await.unwrap();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn label_selectors_choose() {
    let server = ApiServer::start();
    server.apply(node("a", &json!({ "zone": "1", "old": "" })));
    server.apply(node("b", &json!({ "zone": "2" })));
    server.apply(node("c", &json!({})));
    for (selector, expected) in [
        ("", &["a", "b", "c"][..]),
        ("zone=1", &["a"]),
        ("zone==1", &["a"]),
        ("zone!=1", &["b", "c"]),
        ("zone%20in%20(1,2),!old", &["b"]),
        ("zone%20notin%20(1,3)", &["b", "c"]),
        ("zone", &["a", "b"]),
        ("!zone", &["c"]),
        ("zone,old=", &["a"]),
    ] {
        let path = format!("/api/v1/nodes?labelSelector={selector}");
        assert_eq!(names(&server, &path).await, expected, "{selector}");
    }
}

#[tokio::test]
async fn field_selectors_choose() {
    let server = ApiServer::start();
    server.apply(pod("x", "a", "el9-1"));
    server.apply(pod("x", "b", "el9-2"));
    server.apply(pod("y", "c", "el9-1"));
    for (path, expected) in [
        (
            "/api/v1/pods?fieldSelector=spec.nodeName=el9-1",
            &["a", "c"][..],
        ),
        ("/api/v1/pods?fieldSelector=spec.nodeName!=el9-1", &["b"]),
        ("/api/v1/pods?fieldSelector=metadata.namespace==y", &["c"]),
        ("/api/v1/pods?fieldSelector=status.phase=Pending", &[]),
        (
            "/api/v1/namespaces/x/pods?fieldSelector=spec.nodeName=el9-1",
            &["a"],
        ),
        (
            "/api/v1/namespaces/x/pods?fieldSelector=metadata.name=b,status.phase=Running",
            &["b"],
        ),
    ] {
        assert_eq!(names(&server, path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn pages_show_the_state_that_the_first_one_did() {
    let server = ApiServer::start();
    for name in ["a", "b", "c", "d", "e"] {
        server.apply(node(name, &json!({})));
    }
    let api = nodes(&server).await;
    let mut page = ListParams::default().limit(2);
    let first = api.list(&page).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    server.apply(node("bb", &json!({})));
    server.apply(node("c", &json!({ "changed": "yes" })));
    server.delete("nodes", None, "d");
    let mut seen = Vec::new();
    page.continue_token = first.metadata.continue_;
    while page.continue_token.is_some() {
        let list = api.list(&page).await.unwrap();
        assert_eq!(
            list.metadata.resource_version,
            first.metadata.resource_version
        );
        seen.extend(list.items);
        page.continue_token = list.metadata.continue_;
    }
    let names: Vec<_> = seen
        .iter()
        .map(|node| node.metadata.name.as_deref())
        .collect();
    assert_eq!(names, [Some("c"), Some("d"), Some("e")]);
    assert_eq!(seen[0].metadata.labels, Some([].into()));
}

#[tokio::test]
async fn a_page_of_a_forgotten_state_is_refused_with_a_way_to_go_on() {
    let server = ApiServer::start();
    for name in ["a", "b", "c"] {
        server.apply(node(name, &json!({})));
    }
    let api = nodes(&server).await;
    let mut page = ListParams::default().limit(1);
    page.continue_token = api.list(&page).await.unwrap().metadata.continue_;
    server.delete("nodes", None, "b");
    server.compact();
    let error = api.list(&page).await.unwrap_err();
    let kube::Error::Api(status) = error else {
        panic!("{error:?}");
    };
    assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
    page.continue_token = status.metadata.unwrap().continue_;
    let rest = api.list(&page).await.unwrap().items;
    assert_eq!(rest[0].metadata.name.as_deref(), Some("c"));
}

#[tokio::test]
async fn garbage_is_listed_as_it_is() {
    let server = ApiServer::start();
    server.apply(node("a", &json!({})));
    server.put_raw("nodes", "b", &json!({ "metadata": 5 }));
    let api = nodes(&server).await;
    let list = api.list(&ListParams::default()).await;
    assert!(matches!(list, Err(kube::Error::SerdeError(_))));
    server.delete("nodes", None, "b");
    assert_eq!(
        api.list(&ListParams::default()).await.unwrap().items.len(),
        1
    );
}

#[tokio::test]
async fn metadata_is_sent_alone_to_who_asks_for_it() {
    let server = ApiServer::start();
    server.apply(vmi("web"));
    let api = vmis(&server).await;
    let list = api.list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(list.items[0].metadata.name.as_deref(), Some("web"));
    assert_eq!(list.types.kind, "PartialObjectMetadataList");
}

#[tokio::test]
async fn a_custom_resource_can_be_absent() {
    let server = ApiServer::start();
    server.uninstall("virtualmachineinstances");
    let api = vmis(&server).await;
    let error = api.list(&ListParams::default()).await.unwrap_err();
    assert_eq!(code(&error), 404);
    assert!(error.to_string().contains("404 page not found"), "{error}");
    server.install("virtualmachineinstances");
    assert_eq!(
        api.list(&ListParams::default()).await.unwrap().items.len(),
        0
    );
}

#[tokio::test]
async fn every_request_is_in_the_log() {
    let server = ApiServer::start();
    let api: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(client(&server).await, "x");
    api.list(&ListParams::default().labels("a=b").limit(5))
        .await
        .unwrap();
    assert_eq!(code(&api.get("web").await.unwrap_err()), 404);
    let log = server.log();
    let shown: Vec<_> = log
        .iter()
        .map(|request| {
            let resource = (
                request.verb,
                request.resource.as_str(),
                request.name.as_str(),
            );
            (resource, request.namespace.as_deref(), request.status)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ((Verb::List, "pods", ""), Some("x"), Some(200)),
            ((Verb::Get, "pods", "web"), Some("x"), Some(404)),
        ]
    );
    assert_eq!(log[0].query["labelSelector"], "a=b");
    assert_eq!(log[0].query["limit"], "5");
    assert_eq!(server.count(|request| request.is(Verb::List, "pods")), 1);
}

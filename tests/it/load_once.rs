//! A snapshot that is loaded once, from an API server or a file, is what a watch makes of the same
//! cluster.

use std::path::Path;

use berth::api::Cause;
use berth::cluster::ObjectKind;
use berth::domain::Network;
use berth::snapshot::{LoadFrom, LoadedSnapshot, Snapshot};
use serde_json::json;

use crate::apiserver::{ApiServer, Fault, Request, Verb};
use crate::live::{captured, client, load};
use crate::support::{cluster, view};

async fn load_once(server: &ApiServer) -> LoadedSnapshot {
    let client = client(server).await;
    let loaded = Snapshot::load_once(LoadFrom::ApiServer(&client), &Network::default()).await;
    loaded.unwrap()
}

fn lists(request: &Request) -> bool {
    request.verb == Verb::List
}

#[tokio::test(flavor = "multi_thread")]
async fn one_list_of_each_kind_makes_the_view_that_a_watch_makes() {
    let server = ApiServer::start();
    load(&server);
    let loaded = load_once(&server).await;
    assert_eq!(*loaded.snapshot.cluster, view(&cluster()));
    assert!(loaded.not_allowed.is_empty() && loaded.unreadable.is_empty());
    assert_eq!(server.count(lists), ObjectKind::ALL.len());
    assert_eq!(server.count(|request| request.verb == Verb::Watch), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_longer_than_a_page_is_listed_whole_also_when_it_expires_between_pages() {
    let server = ApiServer::start();
    let mut node = captured("Node", "el9-1");
    for number in 0..1_200 {
        node["metadata"]["name"] = json!(format!("node-{number}"));
        server.apply(node.clone());
    }
    let pages = |request: &Request| lists(request) && request.resource == "nodes";
    let expired = Fault::status(410).verb(Verb::List).resource("nodes");
    server.fail(expired.after(1).times(1));
    let loaded = load_once(&server).await;
    assert_eq!(loaded.snapshot.cluster.count(ObjectKind::Node), 1_200);
    assert_eq!(server.count(pages), 2 + 3, "the list began again");
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_that_are_not_allowed_are_named_and_kinds_that_are_not_installed_are_empty() {
    let server = ApiServer::start();
    load(&server);
    let nodes = view(&cluster()).count(ObjectKind::Node);
    server.deny(Verb::List, "virtualmachineinstances");
    server.uninstall("kubevirts");
    let loaded = load_once(&server).await;
    let not_allowed: Vec<_> = loaded.not_allowed.iter().collect();
    assert!(
        matches!(not_allowed[..], [(ObjectKind::Vmi, fault)] if fault.cause == Cause::Forbidden),
        "{not_allowed:?}"
    );
    let cluster = &loaded.snapshot.cluster;
    assert!(!cluster.is_listed(ObjectKind::Vmi) && cluster.is_listed(ObjectKind::KubeVirt));
    assert_eq!(cluster.count(ObjectKind::KubeVirt), 0);
    assert_eq!(cluster.count(ObjectKind::Node), nodes);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_can_not_be_read_is_named_and_its_neighbours_are_there() {
    let server = ApiServer::start();
    load(&server);
    let mut vmi = captured("VirtualMachineInstance", "web");
    vmi["metadata"]["name"] = json!("bad");
    vmi["status"]["nodeName"] = json!(7);
    server.apply(vmi);
    let loaded = load_once(&server).await;
    let unreadable: Vec<_> = loaded
        .unreadable
        .iter()
        .map(|(kind, key, error)| (*kind, key.to_string(), error.as_str()))
        .collect();
    let error = "invalid type: integer `7`, expected a string in status.nodeName";
    assert_eq!(
        unreadable,
        [(ObjectKind::Vmi, "default/bad".to_owned(), error)]
    );
    assert_eq!(*loaded.snapshot.cluster, view(&cluster()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_fails_otherwise_is_an_error_that_says_what_failed() {
    let server = ApiServer::start();
    server.fail(Fault::status(500).resource("nodes"));
    let client = client(&server).await;
    let loaded = Snapshot::load_once(LoadFrom::ApiServer(&client), &Network::default()).await;
    let error = loaded.unwrap_err().to_string();
    assert!(error.starts_with("can't list nodes: "), "{error}");
}

#[tokio::test]
async fn a_file_is_loaded_like_an_api_server() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures/cluster.json");
    let network = Network::default();
    let loaded = Snapshot::load_once(LoadFrom::File(&path), &network).await;
    assert_eq!(*loaded.unwrap().snapshot.cluster, view(&cluster()));
    let missing = Snapshot::load_once(LoadFrom::File(Path::new("/nowhere.json")), &network).await;
    let error = missing.unwrap_err().to_string();
    assert!(error.starts_with("--snapshot /nowhere.json: "), "{error}");
}

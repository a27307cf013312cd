//! An inventory that is taken once, from an API server or a file.

use std::path::Path;

use berth::api::Cause;
use berth::cluster::ObjectKind;
use berth::domain::Network;
use berth::fleet::kind::Kind;
use berth::fleet::load::{Loaded, from_api, from_file};
use serde_json::json;

use crate::apiserver::{ApiServer, Fault, Request, Verb};
use crate::live::{captured, client, load};
use crate::support::{cluster, view};

async fn load_once(server: &ApiServer) -> Loaded {
    load_in(server, None).await
}

async fn load_in(server: &ApiServer, namespace: Option<&str>) -> Loaded {
    let client = client(server).await;
    let loaded = from_api(&client, &Network::default(), namespace).await;
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
    assert_eq!(loaded.view, view(&cluster()));
    assert!(loaded.not_allowed.is_empty() && loaded.unreadable.is_empty());
    assert_eq!(server.count(lists), Kind::ALL.len());
    assert_eq!(server.count(|request| request.verb == Verb::Watch), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_and_a_file_make_the_same_fleet() {
    let server = ApiServer::start();
    load(&server);
    let listed = load_once(&server).await;
    let mut from_file = from_file(&captures(), &Network::default()).unwrap();
    // A file does not say whether there are none of a kind, or they were not read.
    let unread = std::mem::take(&mut from_file.fleet.unread);
    assert_eq!(
        unread.kinds,
        [
            Kind::PersistentVolumeClaim,
            Kind::PersistentVolume,
            Kind::NetworkAttachmentDefinition
        ]
        .into()
    );
    assert_eq!(
        format!("{:?}", listed.fleet),
        format!("{:?}", from_file.fleet)
    );
    assert_eq!(listed.view, from_file.view);
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
    assert_eq!(loaded.view.count(ObjectKind::Node), 1_200);
    assert_eq!(loaded.fleet.nodes.len(), 1_200);
    assert_eq!(server.count(pages), 2 + 3, "the list began again");
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_that_are_not_allowed_are_named_and_kinds_that_are_not_installed_are_empty() {
    let server = ApiServer::start();
    load(&server);
    let nodes = view(&cluster()).count(ObjectKind::Node);
    server.deny(Verb::List, "virtualmachineinstances");
    server.uninstall("kubevirts");
    server.uninstall("migrationpolicies");
    server.uninstall("network-attachment-definitions");
    let loaded = load_once(&server).await;
    let not_allowed: Vec<_> = loaded.not_allowed.iter().collect();
    assert!(
        matches!(not_allowed[..], [(Kind::VirtualMachineInstance, fault)] if fault.cause == Cause::Forbidden),
        "{not_allowed:?}"
    );
    let cluster = &loaded.view;
    assert!(!cluster.is_listed(ObjectKind::Vmi) && cluster.is_listed(ObjectKind::KubeVirt));
    assert_eq!(cluster.count(ObjectKind::KubeVirt), 0);
    assert_eq!(cluster.count(ObjectKind::Node), nodes);
    assert!(loaded.fleet.kubevirt.is_none() && loaded.fleet.vmis.is_empty());
    assert_eq!(loaded.fleet.nodes.len(), nodes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_one_namespace_sees_what_is_in_it_and_pods_of_others_only_if_that_is_allowed() {
    let server = ApiServer::start();
    load(&server);
    let mut elsewhere = captured("VirtualMachineInstance", "web");
    elsewhere["metadata"]["namespace"] = json!("elsewhere");
    server.apply(elsewhere);
    let namespaces = |loaded: &Loaded| -> Vec<String> {
        let keys = loaded.fleet.vmis.keys().map(ToString::to_string);
        let mut namespaces: Vec<_> = keys
            .filter_map(|key| Some(key.split_once('/')?.0.to_owned()))
            .collect();
        namespaces.dedup();
        namespaces
    };
    let all = load_once(&server).await;
    assert_eq!(namespaces(&all), ["default", "elsewhere"]);
    let one = load_in(&server, Some("default")).await;
    assert_eq!(namespaces(&one), ["default"]);
    assert_eq!(one.fleet.pods.len(), all.fleet.pods.len());
    assert!(one.not_allowed.is_empty(), "{:?}", one.not_allowed);

    let refused = Fault::status(403).verb(Verb::List).resource("pods");
    server.fail(refused.times(1));
    let some = load_in(&server, Some("default")).await;
    let not_allowed: Vec<_> = some.not_allowed.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(not_allowed, [Kind::Pod]);
    let launchers = all
        .fleet
        .pods
        .keys()
        .filter(|key| key.to_string().starts_with("default/"));
    assert_eq!(some.fleet.pods.len(), launchers.count());
    assert!(!some.view.is_listed(ObjectKind::AgentPod));
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
    let error = "status.nodeName is the integer `7`, not a string";
    assert_eq!(
        unreadable,
        [(
            Kind::VirtualMachineInstance,
            "default/bad".to_owned(),
            error
        )]
    );
    assert_eq!(loaded.view, view(&cluster()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_fails_otherwise_is_an_error_that_says_what_failed() {
    for status in [500, 404] {
        let server = ApiServer::start();
        server.fail(Fault::status(status).resource("nodes"));
        let client = client(&server).await;
        let loaded = from_api(&client, &Network::default(), None).await;
        let error = loaded.unwrap_err().to_string();
        assert!(error.starts_with("can't list nodes: "), "{error}");
    }
}

#[test]
fn a_file_is_loaded_like_an_api_server() {
    let loaded = from_file(&captures(), &Network::default()).unwrap();
    assert_eq!(loaded.view, view(&cluster()));
    assert_eq!(loaded.absent, []);
    let missing = from_file(Path::new("/nowhere.json"), &Network::default());
    let error = missing.unwrap_err().to_string();
    assert!(error.starts_with("--snapshot /nowhere.json: "), "{error}");
}

fn captures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures/cluster.json")
}

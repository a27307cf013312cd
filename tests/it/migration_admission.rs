//! `POST /validate`: the review of a migration that a real kube-apiserver sent, and changes of it.

use std::sync::Arc;

use axum::http::StatusCode;
use berth::cluster::{ClusterView, Metrics, VmiReader};
use berth::config::Config;
use berth::decide::admit::Outcome;
use berth::decide::policy::Policy;
use berth::http::validate;
use berth::metrics::Registry;
use berth::snapshot::Snapshot;
use serde_json::{Value, json};

use crate::apiserver::{ApiServer, Fault, Verb};
use crate::live::{client, load};
use crate::service::{Service, exchange, head};
use crate::support::{Asked, capture, capture_json, cluster, item, items, view};

const CAPTURE: &str = "admission-create-vmim";
const PATH: &str = "/validate?timeout=3s";

/// The captured cluster, in which no node supports the machine type of VM web.
fn without_target() -> Value {
    let mut cluster = cluster();
    let vmi = item(&mut cluster, "VirtualMachineInstance", "web");
    vmi["status"]["machine"]["type"] = json!("pc-q35-rhel7.0.0");
    cluster
}

fn no_target() -> [&'static str; 4] {
    [
        "BRT0401 NoTarget: none of 9 nodes can take VM default/web",
        "BRT0102 MachineType: machine type pc-q35-rhel7.0.0 not supported (9 of 9 nodes)",
        "BRT0103 ChassisNotRegistered: OVN chassis not registered (1 of 9 nodes)",
        "BRT0106 AgentsNotReady: OVN agents not ready (1 of 9 nodes)",
    ]
}

fn deny(enforced: bool) -> &'static str {
    if enforced {
        "migrations: {admission: Deny}"
    } else {
        ""
    }
}

/// The response to the captured review after a change.
async fn review(asked: &Asked, change: impl FnOnce(&mut Value)) -> Value {
    let mut body = capture_json(CAPTURE);
    change(&mut body["request"]);
    let reply = asked.ask(PATH, body.to_string()).await;
    assert_eq!(reply["response"]["uid"], body["request"]["uid"]);
    reply["response"].clone()
}

fn allowed(warnings: &[&str]) -> Value {
    let mut response = json!({"allowed": true, "uid": capture_json(CAPTURE)["request"]["uid"]});
    if !warnings.is_empty() {
        response["warnings"] = json!(warnings);
    }
    response
}

fn denied(message: &str) -> Value {
    json!({
        "allowed": false,
        "uid": capture_json(CAPTURE)["request"]["uid"],
        "status": {"status": "Failure", "reason": "Forbidden", "code": 403, "message": message},
    })
}

fn outcomes(asked: &Asked) -> [f64; 5] {
    ["allowed", "warned", "denied", "not_judged", "ignored"].map(|outcome| {
        asked.metric(&format!(
            r#"berth_admission_requests_total{{kind="VirtualMachineInstanceMigration",operation="CREATE",outcome="{outcome}"}}"#
        ))
    })
}

#[tokio::test]
async fn a_migration_with_several_targets_is_allowed_in_silence() {
    for enforced in [false, true] {
        let asked = Asked::new(&cluster(), deny(enforced));
        assert_eq!(review(&asked, |_| {}).await, allowed(&[]));
        assert_eq!(outcomes(&asked), [1.0, 0.0, 0.0, 0.0, 0.0]);
    }
}

#[tokio::test]
async fn a_migration_with_one_target_is_allowed_with_a_warning() {
    let mut cluster = cluster();
    items(&mut cluster).retain(|item| {
        let name = item["metadata"]["name"].as_str().unwrap();
        !(item["kind"] == "Node" && ["el9-2", "el9-3"].contains(&name))
    });
    for enforced in [false, true] {
        let asked = Asked::new(&cluster, deny(enforced));
        let expect = allowed(&["BRT0402 OneTarget: only 1 of 7 nodes can take VM default/web"]);
        assert_eq!(review(&asked, |_| {}).await, expect);
        assert_eq!(outcomes(&asked), [0.0, 1.0, 0.0, 0.0, 0.0]);
    }
}

#[tokio::test]
async fn a_migration_without_a_target_is_warned_about_or_refused_also_in_a_dry_run() {
    for dry_run in [false, true] {
        let asked = Asked::new(&without_target(), "");
        let response = review(&asked, |request| request["dryRun"] = json!(dry_run)).await;
        assert_eq!(response, allowed(&no_target()));
        assert_eq!(outcomes(&asked), [0.0, 1.0, 0.0, 0.0, 0.0]);

        let asked = Asked::new(&without_target(), deny(true));
        let response = review(&asked, |request| request["dryRun"] = json!(dry_run)).await;
        assert_eq!(response, denied(&no_target().join("; ")));
        assert_eq!(outcomes(&asked), [0.0, 0.0, 1.0, 0.0, 0.0]);
    }
}

#[tokio::test]
async fn a_migration_that_kubevirt_makes_by_itself_is_warned_about_and_never_refused() {
    let asked = Asked::new(&without_target(), deny(true));
    for key in ["evacuationMigration", "workloadUpdateMigration"] {
        let annotate = |request: &mut Value| {
            request["object"]["metadata"]["annotations"] =
                json!({ format!("kubevirt.io/{key}"): "" });
        };
        assert_eq!(
            review(&asked, annotate).await,
            allowed(&no_target()),
            "{key}"
        );
    }
    let by = |name: &'static str| {
        move |request: &mut Value| {
            let account = format!("system:serviceaccount:kubevirt:{name}");
            request["userInfo"]["username"] = json!(account);
        }
    };
    let response = review(&asked, by("kubevirt-controller")).await;
    assert_eq!(response, allowed(&no_target()));
    assert_eq!(outcomes(&asked), [0.0, 3.0, 0.0, 0.0, 0.0]);
    // `virtctl migrate` comes through virt-api.
    let response = review(&asked, by("kubevirt-apiserver")).await;
    assert_eq!(response, denied(&no_target().join("; ")));
}

/// The captured cluster, with an API server that lists its nodes.
async fn beside(server: &ApiServer, config: &str) -> Asked {
    load(server);
    let limits = Config::parse(config).unwrap().limits;
    let reader = VmiReader::new(
        client(server).await,
        limits.lookup_timeout.0,
        limits.lookups_per_second,
        Arc::new(Metrics::register(&Registry::default()).unwrap()),
    );
    Asked::with_reader(&cluster(), config, Some(Arc::new(reader)))
}

fn add_selector(labels: Value) -> impl FnOnce(&mut Value) {
    |request| request["object"]["spec"]["addedNodeSelector"] = labels
}

fn lists_of_nodes(server: &ApiServer) -> usize {
    server.count(|request| request.verb == Verb::List && request.resource == "nodes")
}

#[tokio::test]
async fn an_added_node_selector_is_judged_and_warned_about_and_never_refused() {
    const ZONE: &str = "topology.kubernetes.io/zone";
    for enforced in [false, true] {
        let server = ApiServer::start();
        let asked = beside(&server, deny(enforced)).await;
        let ask = async |labels: Value| review(&asked, add_selector(labels)).await;
        assert_eq!(
            ask(json!({"kubevirt.io/schedulable": "true"})).await,
            allowed(&[])
        );
        let one = [
            "BRT0402 OneTarget: only 1 of 9 nodes can take VM default/web",
            "BRT0408 NodeSelector: node selector does not match: addedNodeSelector topology.kubernetes.io/zone=az0 (6 of 9 nodes)",
        ];
        assert_eq!(ask(json!({ ZONE: "az0" })).await, allowed(&one));
        let none = [
            "BRT0401 NoTarget: none of 9 nodes can take VM default/web",
            "BRT0408 NodeSelector: node selector does not match: addedNodeSelector kubernetes.io/hostname=el9-1,topology.kubernetes.io/zone=az0 (9 of 9 nodes)",
            "BRT0102 MachineType: machine type pc-q35-rhel9.2.0 not supported (4 of 9 nodes)",
            "BRT0103 ChassisNotRegistered: OVN chassis not registered (1 of 9 nodes)",
            "BRT0106 AgentsNotReady: OVN agents not ready (1 of 9 nodes)",
        ];
        let labels = json!({ ZONE: "az0", "kubernetes.io/hostname": "el9-1" });
        assert_eq!(ask(labels).await, allowed(&none));
        assert_eq!(outcomes(&asked), [1.0, 2.0, 0.0, 0.0, 0.0]);
        assert_eq!(lists_of_nodes(&server), 3);
    }
}

#[tokio::test]
async fn an_added_node_selector_is_not_judged_where_the_nodes_cannot_be_listed() {
    let selector = || add_selector(json!({"kubernetes.io/hostname": "nowhere"}));
    let config = "{migrations: {admission: Deny}, limits: {lookupTimeout: 100ms}}";
    let server = ApiServer::start();
    let asked = beside(&server, config).await;
    for fault in [Fault::status(500), Fault::hang()] {
        server.fail(fault.verb(Verb::List).resource("nodes"));
        assert_eq!(review(&asked, selector()).await, allowed(&[]));
        server.heal();
    }
    server.deny(Verb::List, "nodes");
    assert_eq!(review(&asked, selector()).await, allowed(&[]));
    assert_eq!(outcomes(&asked), [3.0, 0.0, 0.0, 0.0, 0.0]);
    let alone = Asked::new(&cluster(), config);
    assert_eq!(review(&alone, selector()).await, allowed(&[]));
}

#[tokio::test]
async fn nodes_are_listed_only_where_labels_can_change_the_verdict() {
    let server = ApiServer::start();
    let asked = beside(&server, "").await;
    for labels in [
        json!(null),
        json!({}),
        json!({"zone": "a,b!=c"}),
        json!({"zone in (a)": ""}),
        json!({"": "a"}),
    ] {
        assert_eq!(review(&asked, add_selector(labels)).await, allowed(&[]));
    }
    let of_absent = |request: &mut Value| {
        request["object"]["spec"]["vmiName"] = json!("absent");
        add_selector(json!({"zone": "a"}))(request);
    };
    assert_eq!(review(&asked, of_absent).await, allowed(&[]));
    assert_eq!(lists_of_nodes(&server), 0);
}

#[tokio::test]
async fn a_migration_that_cannot_be_judged_is_allowed() {
    type Change = fn(&mut Value);
    let changes: [Change; 7] = [
        |request| request["namespace"] = json!("elsewhere"),
        |request| request["namespace"] = json!(null),
        |request| request["object"]["spec"]["vmiName"] = json!("unknown"),
        |request| request["object"]["spec"] = json!({}),
        |request| request["object"]["spec"] = json!(null),
        |request| request["object"]["spec"]["vmiName"] = json!(7),
        |request| request["object"] = json!(null),
    ];
    let asked = Asked::new(&without_target(), deny(true));
    for change in changes {
        assert_eq!(review(&asked, change).await, allowed(&[]));
    }
    assert_eq!(outcomes(&asked), [0.0, 0.0, 0.0, 7.0, 0.0]);

    let mut starting = without_target();
    item(&mut starting, "VirtualMachineInstance", "web")["status"]["phase"] = json!("Scheduling");
    let mut without_nodes = without_target();
    items(&mut without_nodes).retain(|item| item["kind"] != "Node");
    for cluster in [starting, without_nodes] {
        let asked = Asked::new(&cluster, deny(true));
        assert_eq!(review(&asked, |_| {}).await, allowed(&[]));
        assert_eq!(outcomes(&asked), [0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}

#[tokio::test]
async fn what_is_not_a_migration_within_the_cluster_passes_untouched() {
    type Change = fn(&mut Value);
    let asked = Asked::new(&without_target(), "migrations: {admission: Off}");
    assert_eq!(review(&asked, |_| {}).await, allowed(&[]));
    assert_eq!(outcomes(&asked), [0.0, 0.0, 0.0, 0.0, 1.0]);

    let asked = Asked::new(&without_target(), deny(true));
    let others: [(&str, &str, Change); 6] = [
        ("VirtualMachineInstanceMigration", "CREATE", |request| {
            request["object"]["spec"]["sendTo"] = json!({"migrationID": "1", "connectURL": "c"});
        }),
        ("VirtualMachineInstanceMigration", "CREATE", |request| {
            request["object"]["spec"]["receive"] = json!({"migrationID": "1"});
        }),
        ("VirtualMachineInstanceMigration", "UPDATE", |request| {
            request["operation"] = json!("UPDATE");
        }),
        ("VirtualMachineInstanceMigration", "DELETE", |request| {
            request["operation"] = json!("DELETE");
            request["object"] = json!(null);
        }),
        ("other", "CREATE", |request| {
            request["kind"]["group"] = json!("other.io");
        }),
        ("other", "CREATE", |request| {
            request["kind"]["kind"] = json!("VirtualMachineInstance");
        }),
    ];
    for (kind, operation, change) in others {
        let series = format!(
            r#"berth_admission_requests_total{{kind="{kind}",operation="{operation}",outcome="ignored"}}"#
        );
        assert_eq!(review(&asked, change).await, allowed(&[]));
        assert!(asked.metric(&series) >= 1.0, "{series}");
    }
    let subresource = |request: &mut Value| request["subResource"] = json!("status");
    assert_eq!(review(&asked, subresource).await, allowed(&[]));
    assert_eq!(outcomes(&asked), [0.0, 0.0, 0.0, 0.0, 3.0]);
}

#[test]
fn a_migration_is_not_judged_before_the_cluster_is_known() {
    let policy = Config::parse(deny(true)).unwrap().policy();
    let snapshot = Snapshot::from(&ClusterView::default());
    let answer = validate(&capture(CAPTURE), &snapshot, &policy, None).unwrap();
    assert_eq!(answer.outcome, Outcome::NotJudged);
    let reply: Value = serde_json::from_slice(&answer.json).unwrap();
    assert_eq!(reply["response"], allowed(&[]));
}

#[tokio::test]
async fn a_body_that_is_no_review_is_refused() {
    let asked = Asked::new(&cluster(), "");
    let (status, text) = asked.post(PATH, "{}").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(
        text,
        "berth: the body's kind is \"\", not \"AdmissionReview\"\n"
    );
}

/// A name that kube-apiserver would not take makes no line longer than it shows.
#[test]
fn every_line_is_short_enough_for_kube_apiserver() {
    let name = "n".repeat(253);
    let mut cluster = without_target();
    item(&mut cluster, "VirtualMachineInstance", "web")["metadata"]["name"] = json!(name);
    let mut body = capture_json(CAPTURE);
    body["request"]["object"]["spec"]["vmiName"] = json!(name);
    let snapshot = Snapshot::from(&view(&cluster));
    let answer = validate(&body.to_string(), &snapshot, &Policy::default(), None);
    let reply: Value = serde_json::from_slice(&answer.unwrap().json).unwrap();
    let warnings = reply["response"]["warnings"].as_array().unwrap();
    let lengths: Vec<_> = warnings
        .iter()
        .map(|warning| warning.as_str().unwrap().chars().count())
        .collect();
    assert_eq!(lengths[0], 256);
    assert!(lengths.iter().all(|length| *length <= 256), "{lengths:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_https_listener_refuses_a_migration_without_a_target() {
    let service = Service::start(
        "network: {provider: OVNKubernetes}\nagents: {whenUnseen: Exclude}\nmigrations: {admission: Deny}",
    )
    .await;
    let body = capture_json(CAPTURE).to_string();
    let mut stream = service.connect().await;
    let answer = exchange(&mut stream, &head(PATH, body.len()), &body).await;
    let (head, reply) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let reply: Value = serde_json::from_str(reply).unwrap();
    assert_eq!(
        reply["response"],
        denied(
            "BRT0401 NoTarget: none of 9 nodes can take VM default/web; BRT0106 AgentsNotReady: OVN agents not ready (9 of 9 nodes); BRT0102 MachineType: machine type pc-q35-rhel9.2.0 not supported (4 of 9 nodes); BRT0103 ChassisNotRegistered: OVN chassis not registered (1 of 9 nodes)"
        )
    );
    service.running.shut_down().await;
}

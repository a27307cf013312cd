//! Clusters in which something is wrong, each made from the captured one, and what a migration of
//! VMI `web` (on el9-0, pc-q35-rhel9.2.0) is told about el9-1.

use berth::domain::{Agent, Network};
use serde_json::{Value, json};

use crate::support::{Asked, capture, capture_json, cluster, fault, item, items, view, view_on};

/// The answer about el9-1 when el9-1, el9-2 and el10-0 are asked about in both forms.
#[track_caller]
fn check(cluster: &Value, config: &str, expect: Option<&str>) -> impl Future<Output = ()> + use<> {
    let asked = Asked::new(cluster, config);
    let expect = expect.map(str::to_owned);
    async move {
        for form in [names_form(), nodes_form()] {
            let reply = asked.ask("/scheduler/filter", form.to_string()).await;
            assert_eq!(reply["Error"], "");
            let reason = reply["FailedAndUnresolvableNodes"].get("el9-1");
            assert_eq!(reason.and_then(Value::as_str), expect.as_deref(), "{reply}");
        }
    }
}

fn names_form() -> Value {
    let mut args = capture_json("filter-names-migration");
    args["NodeNames"] = json!(["el9-1", "el9-2", "el10-0"]);
    args
}

/// The same call with the nodes as the capture has them, not as a test changes them: what berth
/// knows of a node comes before what the request says.
fn nodes_form() -> Value {
    let mut args = names_form();
    let mut cluster = cluster();
    let nodes: Vec<Value> = ["el9-1", "el9-2", "el10-0"]
        .iter()
        .map(|name| item(&mut cluster, "Node", name).clone())
        .collect();
    args["NodeNames"] = json!(null);
    args["Nodes"] = json!({"metadata": {}, "items": nodes});
    args
}

fn condition(item: &mut Value, kind: &str, status: &str) {
    let conditions = item["status"]["conditions"].as_array_mut().unwrap();
    let condition = conditions
        .iter_mut()
        .find(|condition| condition["type"] == kind)
        .unwrap();
    condition["status"] = json!(status);
}

fn is_agent(item: &Value) -> bool {
    item["kind"] == "Pod" && item["metadata"]["namespace"] == "kube-system"
}

fn strip_machine_types(cluster: &mut Value) {
    for item in items(cluster).iter_mut().filter(|i| i["kind"] == "Node") {
        let labels = item["metadata"]["labels"].as_object_mut().unwrap();
        labels.retain(|key, _| !key.starts_with("machine-type."));
    }
}

#[test]
fn json_yaml_and_one_document_an_object_are_the_same_cluster() {
    let mut cluster = cluster();
    let json = view(&cluster);
    let parse = |text: &str| berth::cluster::file::parse(text, &Network::default()).unwrap();
    assert_eq!(parse(&serde_saphyr::to_string(&cluster).unwrap()), json);
    let documents: Vec<String> = items(&mut cluster)
        .iter()
        .map(|item| serde_saphyr::to_string(item).unwrap())
        .collect();
    assert_eq!(parse(&documents.join("---\n")), json);
}

#[tokio::test]
async fn an_agent_pod_that_is_not_ready_or_missing_or_going_away() {
    for pod in ["ovs-ovn-el9-11", "kube-ovn-cni-el9-11"] {
        let mut not_ready = cluster();
        condition(item(&mut not_ready, "Pod", pod), "Ready", "False");
        check(&not_ready, "", Some("OVN agents not ready")).await;

        let mut missing = cluster();
        items(&mut missing).retain(|item| item["metadata"]["name"] != pod);
        check(&missing, "", Some("OVN agents not ready")).await;

        let mut going = cluster();
        item(&mut going, "Pod", pod)["metadata"]["deletionTimestamp"] =
            json!("2026-11-21T02:24:24Z");
        check(&going, "", Some("OVN agents not ready")).await;
        check(&going, "guard: {checks: {chassisAgents: false}}", None).await;
    }
}

#[tokio::test]
async fn a_node_whose_network_is_unavailable() {
    let mut cluster = cluster();
    condition(
        item(&mut cluster, "Node", "el9-1"),
        "NetworkUnavailable",
        "True",
    );
    check(&cluster, "", Some("node network unavailable")).await;
}

#[tokio::test]
async fn a_malformed_chassis_annotation() {
    for claim in ["", "el9-1", "00000002-1111-4222-8333"] {
        let mut cluster = cluster();
        item(&mut cluster, "Node", "el9-1")["metadata"]["annotations"]["ovn.kubernetes.io/chassis"] =
            json!(claim);
        check(&cluster, "", Some("OVN chassis not registered")).await;
    }
}

#[tokio::test]
async fn no_machine_type_labels_anywhere() {
    let mut cluster = cluster();
    strip_machine_types(&mut cluster);
    check(&cluster, "", None).await;
    check(&cluster, "machineType: {whenUnlabelled: Allow}", None).await;
    check(
        &cluster,
        "machineType: {whenUnlabelled: Exclude}",
        Some("machine type pc-q35-rhel9.2.0 not supported"),
    )
    .await;
    let series = r#"berth_check_active{check="machine_type"}"#;
    assert_eq!(Asked::new(&cluster, "").metric(series), 0.0);
    assert_eq!(
        Asked::new(&crate::support::cluster(), "").metric(series),
        1.0
    );
}

#[tokio::test]
async fn machine_type_labels_that_all_say_false() {
    let fault = fault("labels-all-false");
    let expect = fault["expect"].clone();
    let filter = async |config: &str, cluster: &Value| {
        let asked = Asked::new(cluster, config);
        let series = r#"berth_check_active{check="machine_type"}"#;
        assert_eq!(asked.metric(series), 1.0);
        let call = fault["filter"].to_string();
        asked.ask("/scheduler/filter", call).await["FailedAndUnresolvableNodes"].clone()
    };
    for config in ["", "machineType: {whenUnlabelled: Exclude}"] {
        assert_eq!(filter(config, &fault["snapshot"]).await, expect, "{config}");
    }
    // They are labels, so that Allow is not asked.
    let allow = "machineType: {whenUnlabelled: Allow}";
    assert_eq!(filter(allow, &fault["snapshot"]).await, expect);

    // One node is enough to show that the other lacks something.
    let mut one = fault["snapshot"].clone();
    let labels = &mut item(&mut one, "Node", "el10-0")["metadata"]["labels"];
    labels
        .as_object_mut()
        .unwrap()
        .retain(|key, _| !key.starts_with("machine-type."));
    assert_eq!(filter("", &one).await, expect);
    assert_eq!(filter(allow, &one).await, json!({"el9-1": expect["el9-1"]}));

    // The same where the request brings the nodes, and the view has none.
    let mut none = fault["snapshot"].clone();
    let (nodes, rest): (Vec<Value>, Vec<Value>) = items(&mut none)
        .drain(..)
        .partition(|item| item["kind"] == "Node");
    none["items"] = json!(rest);
    let mut call = fault["filter"].clone();
    call["NodeNames"] = json!(null);
    call["Nodes"] = json!({"metadata": {}, "items": nodes});
    let reply = Asked::new(&none, "")
        .ask("/scheduler/filter", call.to_string())
        .await;
    assert_eq!(reply["FailedAndUnresolvableNodes"], expect);
}

#[tokio::test]
async fn one_agent_that_is_seen_nowhere_is_not_required() {
    for (unseen, seen, broken) in [
        ("ovs", "kube-ovn-cni", "kube-ovn-cni-el9-11"),
        ("kube-ovn-cni", "ovs", "ovs-ovn-el9-11"),
    ] {
        let mut cluster = cluster();
        items(&mut cluster).retain(|item| item["metadata"]["labels"]["app"] != unseen);
        check(&cluster, "", None).await;
        let exclude = "agents: {whenUnseen: Exclude}";
        check(&cluster, exclude, Some("OVN agents not ready")).await;
        let asked = Asked::new(&cluster, "");
        let name = |app| if app == "ovs" { "ovs-ovn" } else { app };
        let required =
            |app| asked.metric(&format!("berth_agent_required{{agent=\"{}\"}}", name(app)));
        assert_eq!((required(unseen), required(seen)), (0.0, 1.0));
        assert_eq!(
            asked.metric(r#"berth_check_active{check="agents_not_ready"}"#),
            1.0
        );
        assert_eq!(asked.metric(r#"berth_chassis_ready{node="el9-1"}"#), 1.0);
        // The other one still counts.
        condition(item(&mut cluster, "Pod", broken), "Ready", "False");
        check(&cluster, "", Some("OVN agents not ready")).await;
    }
}

#[tokio::test]
async fn no_agent_pods_anywhere() {
    let mut cluster = cluster();
    items(&mut cluster).retain(|item| !is_agent(item));
    check(&cluster, "", None).await;
    check(
        &cluster,
        "agents: {whenUnseen: Exclude}",
        Some("OVN agents not ready"),
    )
    .await;
    let series = r#"berth_check_active{check="agents_not_ready"}"#;
    assert_eq!(Asked::new(&cluster, "").metric(series), 0.0);
}

#[tokio::test]
async fn agents_in_another_namespace_are_found_when_configured() {
    let mut cluster = cluster();
    for item in items(&mut cluster).iter_mut().filter(|i| is_agent(i)) {
        item["metadata"]["namespace"] = json!("kube-ovn");
    }
    let network = Network {
        agent_namespace: "kube-ovn".into(),
        ..Network::default()
    };
    let view = view_on(&cluster, &network);
    let [seen, unready] = [
        view.capabilities().agents_seen,
        view.node("el9-1").unwrap().agents().unready(),
    ]
    .map(|agents| agents.iter().collect::<Vec<_>>());
    assert_eq!(seen, [Agent::Ovs, Agent::Cni]);
    assert_eq!(unready, [Agent::OvnkubeNode]);
}

#[tokio::test]
async fn a_node_that_the_snapshot_lacks_is_not_yet_known_by_name_and_judged_from_the_request() {
    let mut cluster = cluster();
    items(&mut cluster)
        .retain(|item| item["kind"] != "Node" || item["metadata"]["name"] != "el9-1");
    let asked = Asked::new(&cluster, "");
    let reply = asked
        .ask("/scheduler/filter", names_form().to_string())
        .await;
    assert_eq!(reply["NodeNames"], json!(["el9-2"]));
    assert_eq!(
        reply["FailedNodes"],
        json!({"el9-1": "node not yet known to berth"})
    );
    assert_eq!(
        asked.metric(r#"berth_nodes_judged_total{reason="not_yet_known",verdict="unknown"}"#),
        1.0
    );

    // As a whole node it brings its own labels, annotations and conditions.
    for (pointer, value, expect) in [
        ("/metadata/uid", json!("x"), None),
        (
            "/metadata/annotations",
            json!({}),
            Some("OVN chassis not registered"),
        ),
        (
            "/metadata/labels",
            json!({}),
            Some("machine type pc-q35-rhel9.2.0 not supported"),
        ),
        (
            "/status/conditions",
            json!([{"type": "NetworkUnavailable", "status": "True"}]),
            Some("node network unavailable"),
        ),
    ] {
        let mut args = nodes_form();
        *args["Nodes"]["items"][0].pointer_mut(pointer).unwrap() = value;
        let reply = asked.ask("/scheduler/filter", args.to_string()).await;
        let reason = reply["FailedAndUnresolvableNodes"].get("el9-1");
        assert_eq!(reason.and_then(Value::as_str), expect, "{pointer}");
    }
}

#[tokio::test]
async fn the_labels_of_whole_nodes_count_where_the_view_has_none() {
    // Nothing is known of any node: each is judged by what it brings, and the labelled ones show
    // that the others lack something.
    let mut bare = cluster();
    items(&mut bare).retain(|item| item["kind"] != "Node");
    let asked = Asked::new(&bare, "");
    let mut args = nodes_form();
    args["Nodes"]["items"][0]["metadata"]["labels"] = json!({});
    let reply = asked.ask("/scheduler/filter", args.to_string()).await;
    assert_eq!(
        reply["FailedAndUnresolvableNodes"],
        json!({
            "el9-1": "machine type pc-q35-rhel9.2.0 not supported",
            "el10-0": "machine type pc-q35-rhel9.2.0 not supported",
        })
    );
}

#[tokio::test]
async fn a_vmi_that_was_made_anew_is_another_vmi() {
    let mut cluster = cluster();
    item(&mut cluster, "VirtualMachineInstance", "web")["metadata"]["uid"] = json!("new");
    let asked = Asked::new(&cluster, "");
    let reply = asked
        .ask("/scheduler/filter", capture("filter-names-migration"))
        .await;
    assert_eq!(
        reply["Error"],
        "berth: VirtualMachineInstance default/web with UID 98ba4550-0347-40ef-a369-02349d8839a0 is not known"
    );
    assert_eq!(reply["NodeNames"], json!(null));
}

#[tokio::test]
async fn the_source_node_is_no_target() {
    // kubevirt#18946
    let asked = Asked::new(&cluster(), "");
    let mut args = names_form();
    args["NodeNames"] = json!(["el9-0"]);
    let reply = asked.ask("/scheduler/filter", args.to_string()).await;
    assert_eq!(reply["NodeNames"], json!([]));
    assert_eq!(
        reply["FailedAndUnresolvableNodes"],
        json!({"el9-0": "migration source node"})
    );
}

#[tokio::test]
async fn the_chassis_gauge_follows_the_view() {
    let asked = Asked::new(&cluster(), "");
    assert_eq!(asked.metric(r#"berth_chassis_ready{node="el9-1"}"#), 1.0);
    assert_eq!(
        asked.metric(r#"berth_chassis_ready{node="el9-nochassis"}"#),
        0.0
    );
    assert_eq!(asked.metric(r#"berth_cluster_objects{kind="node"}"#), 9.0);
    assert_eq!(
        asked.metric(r#"berth_cluster_objects{kind="agent_pod"}"#),
        16.0
    );
}

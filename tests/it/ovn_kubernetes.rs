//! OVN-Kubernetes in place of Kube-OVN: what a migration of VMI `web` is told about the nodes of
//! `tests/data/ovn-kubernetes.yaml`.

use std::path::{Path, PathBuf};

use berth::cluster::ObjectKind;
use berth::domain::{AgentState, Network, Provider};
use serde_json::{Value, json};

use crate::apiserver::ApiServer;
use crate::live::{Watching, client, selected_pods};
use crate::process::{Served, get};
use crate::support::{Asked, capture_json, cluster as kube_ovns, item, items, view_on};

const PROVIDER: &str = "network: {provider: OVNKubernetes}";

/// What is against each node.
const VERDICTS: [(&str, Option<&str>); 8] = [
    ("ovn-source", Some("migration source node")),
    ("ovn-good", None),
    ("ovn-nochassis", Some("OVN chassis not registered")),
    ("ovn-malformed", Some("OVN chassis not registered")),
    ("ovn-noagent", Some("OVN agents not ready")),
    ("ovn-disconnected", Some("OVN agents not ready")),
    ("ovn-nometrics", None),
    ("ovn-dpu", None),
];

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/ovn-kubernetes.yaml")
}

fn cluster() -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap()
}

fn network() -> Network {
    Provider::OvnKubernetes.into()
}

fn names_form() -> Value {
    let mut args = capture_json("filter-names-migration");
    args["NodeNames"] = VERDICTS.map(|(node, _)| node).into();
    args
}

fn nodes_form() -> Value {
    let mut args = names_form();
    let mut cluster = cluster();
    let nodes = VERDICTS.map(|(node, _)| item(&mut cluster, "Node", node).clone());
    args["NodeNames"] = json!(null);
    args["Nodes"] = json!({"metadata": {}, "items": nodes});
    args
}

/// What a filter call in both forms is told about each node.
async fn filtered(cluster: &Value, config: &str) -> Vec<(&'static str, Option<String>)> {
    let asked = Asked::new(cluster, config);
    let [by_name, whole] = [names_form(), nodes_form()].map(|form| {
        let asked = &asked;
        async move {
            let reply = asked.ask("/scheduler/filter", form.to_string()).await;
            assert_eq!(reply["Error"], "");
            let named = |node: &Value| node["metadata"]["name"].clone();
            let passed = match reply["Nodes"]["items"].as_array() {
                Some(nodes) => nodes.iter().map(named).collect(),
                None => reply["NodeNames"].as_array().unwrap().clone(),
            };
            VERDICTS.map(|(node, _)| {
                let reason = reply["FailedAndUnresolvableNodes"][node].as_str();
                assert_eq!(passed.contains(&json!(node)), reason.is_none(), "{reply}");
                (node, reason.map(str::to_owned))
            })
        }
    });
    let by_name = by_name.await;
    assert_eq!(whole.await, by_name);
    by_name.to_vec()
}

/// The same as in [`VERDICTS`], but for some nodes.
fn verdicts(others: &[(&str, Option<&str>)]) -> Vec<(&'static str, Option<String>)> {
    let of = |(node, verdict)| {
        let other = others.iter().find(|(name, _)| *name == node);
        let verdict = other.map_or(verdict, |(_, verdict)| *verdict);
        (node, verdict.map(str::to_owned))
    };
    VERDICTS.map(of).to_vec()
}

#[tokio::test]
async fn a_node_needs_a_chassis_of_its_own_and_an_ovnkube_node_that_is_connected() {
    assert_eq!(filtered(&cluster(), PROVIDER).await, verdicts(&[]));
}

#[tokio::test]
async fn a_whole_node_that_the_view_lacks_is_judged_by_its_own_annotation() {
    let mut bare = cluster();
    items(&mut bare).retain(|item| item["kind"] != "Node");
    let asked = Asked::new(&bare, PROVIDER);
    let reply = asked
        .ask("/scheduler/filter", nodes_form().to_string())
        .await;
    for (node, expect) in VERDICTS {
        let reason = reply["FailedAndUnresolvableNodes"][node].as_str();
        assert_eq!(reason, expect, "{node}");
    }
}

#[tokio::test]
async fn nobody_is_evicted_on_a_node_that_the_filter_rejects() {
    let mut args = capture_json("preempt-nodes-migration");
    args["Pod"] = names_form()["Pod"].clone();
    let victims = args["NodeNameToVictims"]["el9-1"].clone();
    let uids: Vec<Value> = victims["Pods"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| json!({"UID": pod["metadata"]["uid"]}))
        .collect();
    args["NodeNameToVictims"] = VERDICTS
        .iter()
        .map(|(node, _)| ((*node).to_owned(), victims.clone()))
        .collect();
    let kept: Value = VERDICTS
        .iter()
        .filter(|(_, reason)| reason.is_none())
        .map(|(node, _)| {
            let victims = json!({"Pods": uids, "NumPDBViolations": victims["NumPDBViolations"]});
            ((*node).to_owned(), victims)
        })
        .collect();
    let asked = Asked::new(&cluster(), PROVIDER);
    let answer = asked.ask("/scheduler/preempt", args.to_string()).await;
    assert_eq!(answer, json!({"NodeNameToMetaVictims": kept}));
}

/// The pods of the agent, by their node.
fn agent<'a>(cluster: &'a mut Value, node: &str) -> &'a mut Value {
    items(cluster)
        .iter_mut()
        .find(|item| {
            item["spec"]["nodeName"] == node
                && item["metadata"]["labels"]["app"]
                    .as_str()
                    .is_some_and(|app| app.starts_with("ovnkube-node"))
        })
        .unwrap()
}

/// Makes a container of a pod unready, as a kubelet says it.
fn stop(pod: &mut Value, container: &str) {
    for condition in pod["status"]["conditions"].as_array_mut().unwrap() {
        if ["Ready", "ContainersReady"].contains(&condition["type"].as_str().unwrap()) {
            condition["status"] = json!("False");
            condition["reason"] = json!("ContainersNotReady");
        }
    }
    let statuses = pod["status"]["containerStatuses"].as_array_mut().unwrap();
    let status = statuses
        .iter_mut()
        .find(|status| status["name"] == container);
    status.unwrap()["ready"] = json!(false);
}

#[tokio::test]
async fn any_container_that_carries_traffic_counts_and_none_that_does_not() {
    let bad = Some("OVN agents not ready");
    for (container, expect) in [
        ("nb-ovsdb", bad),
        ("sb-ovsdb", bad),
        ("ovn-northd", bad),
        ("ovnkube-controller", bad),
        ("ovn-controller", bad),
        ("ovs-metrics-exporter", None),
    ] {
        let mut cluster = cluster();
        stop(agent(&mut cluster, "ovn-good"), container);
        assert_eq!(
            filtered(&cluster, PROVIDER).await,
            verdicts(&[("ovn-good", expect)]),
            "{container}"
        );
    }
}

#[tokio::test]
async fn openshift_has_its_agents_in_a_namespace_of_its_own() {
    let mut cluster = cluster();
    for item in items(&mut cluster) {
        if item["metadata"]["namespace"] == "ovn-kubernetes" {
            item["metadata"]["namespace"] = json!("openshift-ovn-kubernetes");
        }
    }
    let config = format!("{PROVIDER}\nagents: {{namespace: openshift-ovn-kubernetes}}");
    assert_eq!(filtered(&cluster, &config).await, verdicts(&[]));
    // Where nobody says so no agent is seen, and the check is off.
    assert_eq!(
        filtered(&cluster, PROVIDER).await,
        verdicts(&[("ovn-noagent", None), ("ovn-disconnected", None)])
    );
}

#[tokio::test]
async fn what_another_network_has_left_behind_says_nothing() {
    // This cluster ran Kube-OVN before: each node has its annotation and its agents.
    let mut mixed = cluster();
    let mut agents = Vec::new();
    for item in items(&mut mixed).iter_mut().filter(|i| i["kind"] == "Node") {
        item["metadata"]["annotations"]["ovn.kubernetes.io/chassis"] =
            json!("00000006-1111-4222-8333-444455556666");
        for app in ["ovs", "kube-ovn-cni"] {
            let node = item["metadata"]["name"].as_str().unwrap();
            agents.push(json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"namespace": "kube-system", "name": format!("{app}-{node}"), "labels": {"app": app}},
                "spec": {"nodeName": node},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }));
        }
    }
    items(&mut mixed).extend(agents);
    assert_eq!(filtered(&mixed, PROVIDER).await, verdicts(&[]));

    // And the other way round: for Kube-OVN all that is of OVN-Kubernetes is as if it were not there.
    let passing = VERDICTS.map(|(node, _)| (node, None));
    let source = ("ovn-source", Some("migration source node"));
    assert_eq!(
        filtered(&mixed, "").await,
        verdicts(&[&[source], &passing[1..]].concat())
    );
    let unregistered = passing.map(|(node, _)| (node, Some("OVN chassis not registered")));
    assert_eq!(
        filtered(&cluster(), "").await,
        verdicts(&[&[source], &unregistered[1..]].concat())
    );
    let kube_ovns_view = view_on(&kube_ovns(), &network());
    assert_eq!(kube_ovns_view.count(ObjectKind::AgentPod), 0);
}

#[tokio::test]
async fn the_gauges_say_which_chassis_are_ready_and_that_no_southbound_check_is_made() {
    let asked = Asked::new(&cluster(), PROVIDER);
    for (node, verdict) in VERDICTS {
        // The VM's own node is no obstacle to others.
        let ready = verdict.is_none() || node == "ovn-source";
        let series = format!("berth_chassis_ready{{node=\"{node}\"}}");
        assert_eq!(asked.metric(&series), f64::from(u8::from(ready)), "{node}");
    }
    assert_eq!(
        asked.metric(r#"berth_cluster_objects{kind="agent_pod"}"#),
        7.0
    );
    for (check, active) in [
        ("chassis_not_registered", 1.0),
        ("chassis_identity", 0.0),
        ("chassis_no_tunnel", 0.0),
        ("agents_not_ready", 1.0),
        ("chassis_not_responding", 0.0),
    ] {
        let series = format!("berth_check_active{{check=\"{check}\"}}");
        assert_eq!(asked.metric(&series), active, "{check}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ovnkube_node_is_watched_in_its_namespace_and_nothing_else_of_the_network() {
    let server = ApiServer::start();
    for item in items(&mut cluster()) {
        server.apply(item.clone());
    }
    let mut watching = Watching::start_on(client(&server).await, network());
    assert_eq!(
        watching.until_complete().await,
        view_on(&cluster(), &network())
    );
    assert_eq!(
        selected_pods(&server).await,
        [
            (
                None,
                "kubevirt.io=virt-launcher,kubevirt.io/migrationJobUID".to_owned()
            ),
            (
                Some("ovn-kubernetes".to_owned()),
                "app in (ovnkube-node,ovnkube-node-dpu-host,ovnkube-node-smart-nic)".to_owned()
            ),
        ]
    );

    let good =
        |view: &berth::cluster::ClusterView| view.node("ovn-good").unwrap().agents().ovnkube_node;
    let mut pod = agent(&mut cluster(), "ovn-good").clone();
    stop(&mut pod, "ovn-controller");
    server.apply(pod.clone());
    watching
        .until("ovn-controller is not connected", |view| {
            good(view) == AgentState::NotReady
        })
        .await;
    let name = pod["metadata"]["name"].as_str().unwrap();
    server.delete("pods", Some("ovn-kubernetes"), name);
    watching
        .until("no agent", |view| good(view) == AgentState::Missing)
        .await;
}

#[test]
fn the_program_serves_a_snapshot_of_it() {
    let path = path();
    let snapshot = ["--snapshot", path.to_str().unwrap()];
    let provider = ["--network-provider", "ovn-kubernetes"];
    let served = Served::start_on(&[snapshot, provider].concat());
    let (status, metrics) = get(served.admin, "/metrics");
    assert_eq!(status, 200);
    for (node, ready) in [("ovn-good", 1), ("ovn-disconnected", 0)] {
        let line = format!("berth_chassis_ready{{node=\"{node}\"}} {ready}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }

    // Without a word about the provider there is nothing of Kube-OVN in it, which is said.
    let served = Served::start_on(&snapshot);
    let line = served.line_that("the agents check", |line| {
        line["check"] == "agents_not_ready"
    });
    assert_eq!(
        line["message"],
        "no ovs-ovn and no kube-ovn-cni pod is in the cluster: the agents check is off (agents.whenUnseen, agents.namespace, network.provider)"
    );
    let kube_ovns = crate::process::snapshot();
    let snapshot = ["--snapshot", kube_ovns.to_str().unwrap()];
    let served = Served::start_on(&[snapshot, provider].concat());
    let line = served.line_that("the agents check", |line| {
        line["check"] == "agents_not_ready"
    });
    assert_eq!(
        line["message"],
        "no ovnkube-node pod is in the cluster: the agents check is off (agents.whenUnseen, agents.namespace, network.provider)"
    );
}

//! Every call that a real kube-scheduler sent, with the exact verdicts that it gets.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::{Asked, capture, capture_json, cluster, items};

const NOT_SUPPORTED: &str = "machine type pc-q35-rhel9.2.0 not supported";
const NOT_REGISTERED: &str = "OVN chassis not registered";

/// What a filter call comes to, in either form.
#[derive(Debug, PartialEq)]
struct Filtered {
    passed: Vec<String>,
    unresolvable: BTreeMap<String, String>,
    failed: BTreeMap<String, String>,
    error: String,
}

async fn filter(asked: &Asked, args: impl Into<String>) -> Filtered {
    let reply = asked.ask("/scheduler/filter", args.into()).await;
    let passed = match (&reply["NodeNames"], &reply["Nodes"]) {
        (Value::Array(names), Value::Null) => names.clone(),
        (Value::Null, Value::Object(list)) => list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["metadata"]["name"].clone())
            .collect(),
        (Value::Null, Value::Null) => Vec::new(),
        _ => panic!("both forms at once: {reply}"),
    };
    let parse = |value: &Value| serde_json::from_value(value.clone()).unwrap();
    Filtered {
        passed: serde_json::from_value(passed.into()).unwrap(),
        unresolvable: parse(&reply["FailedAndUnresolvableNodes"]),
        failed: parse(&reply["FailedNodes"]),
        error: reply["Error"].as_str().unwrap().to_owned(),
    }
}

fn verdicts(passed: &[&str], unresolvable: &[(&str, &str)]) -> Filtered {
    Filtered {
        passed: passed.iter().map(|name| (*name).to_owned()).collect(),
        unresolvable: unresolvable
            .iter()
            .map(|(node, text)| ((*node).to_owned(), (*text).to_owned()))
            .collect(),
        failed: BTreeMap::new(),
        error: String::new(),
    }
}

/// The capture's cluster, and the VMI that was recorded beside a capture.
fn cluster_with(vmi: Value) -> Value {
    let mut cluster = cluster();
    items(&mut cluster).push(vmi);
    cluster
}

/// VMI `legacy2`, which the cluster's snapshot was taken without: on el10-0, as `legacy`.
fn legacy2() -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"namespace": "default", "name": "legacy2", "uid": "fae1048e-9cdf-4188-993a-a34a1722432e"},
        "spec": {"domain": {"machine": {"type": "pc-q35-rhel9.2.0"}}},
        "status": {"nodeName": "el10-0", "machine": {"type": "pc-q35-rhel9.2.0"}},
    })
}

#[tokio::test]
async fn a_migration_lands_only_on_nodes_with_a_chassis() {
    let asked = Asked::new(&cluster(), "");
    assert_eq!(
        filter(&asked, capture("filter-names-migration")).await,
        verdicts(
            &["el9-2", "el9-3", "el9-1"],
            &[("el9-nochassis", NOT_REGISTERED)]
        )
    );
    for (series, expect) in [
        (
            r#"berth_extender_requests_total{outcome="judged",verb="filter"}"#,
            1.0,
        ),
        (
            r#"berth_nodes_judged_total{reason="none",verdict="passed"}"#,
            3.0,
        ),
        (
            r#"berth_nodes_judged_total{reason="chassis_not_registered",verdict="rejected"}"#,
            1.0,
        ),
        (
            r#"berth_nodes_judged_total{reason="agents_not_ready",verdict="rejected"}"#,
            0.0,
        ),
        // The node has no agents either: counted, not reported.
        (
            r#"berth_node_obstacles_total{reason="chassis_not_registered"}"#,
            1.0,
        ),
        (
            r#"berth_node_obstacles_total{reason="agents_not_ready"}"#,
            1.0,
        ),
    ] {
        assert_eq!(asked.metric(series), expect, "{series}");
    }
    let last = r#"berth_extender_last_call_timestamp_seconds{verb="filter"}"#;
    assert!(asked.metric(last) > 1e9);
}

#[tokio::test]
async fn without_kubevirts_own_selector_the_machine_type_is_still_guarded() {
    let asked = Asked::new(&cluster(), "");
    let expect = verdicts(
        &["el9-0", "el9-1", "el9-2", "el9-3"],
        &[
            ("el10-0", NOT_SUPPORTED),
            ("el10-1", NOT_SUPPORTED),
            ("old-nolabels", NOT_SUPPORTED),
            ("el9-nochassis", NOT_REGISTERED),
        ],
    );
    assert_eq!(
        filter(&asked, capture("filter-names-migration-no-selector")).await,
        expect
    );
    // kube-scheduler sends the same body to prioritize; as a filter call it gets the same verdicts.
    assert_eq!(
        filter(&asked, capture("prioritize-names-migration-no-selector")).await,
        expect
    );
}

#[tokio::test]
async fn a_first_launch_passes_every_node_in_the_order_asked() {
    let asked = Asked::new(&cluster(), "");
    let reply = asked
        .ask("/scheduler/filter", capture("filter-names-launch"))
        .await;
    assert_eq!(
        reply,
        json!({
            "Nodes": null,
            "NodeNames": ["el9-0", "el9-1", "el9-2", "el9-3", "el9-nochassis"],
            "FailedNodes": {},
            "FailedAndUnresolvableNodes": {},
            "Error": "",
        })
    );
    assert_eq!(
        asked.metric(r#"berth_extender_requests_total{outcome="not_guarded",verb="filter"}"#),
        1.0
    );
}

#[tokio::test]
async fn a_first_launch_is_guarded_when_configured_and_has_no_source() {
    let asked = Asked::new(&cluster(), "guard: {launches: true}");
    assert_eq!(
        filter(&asked, capture("filter-names-launch")).await,
        verdicts(
            &["el9-0", "el9-1", "el9-2", "el9-3"],
            &[("el9-nochassis", NOT_REGISTERED)]
        )
    );
}

#[tokio::test]
async fn a_vmi_that_the_snapshot_lacks_is_an_error_that_names_it() {
    let asked = Asked::new(&cluster(), "");
    assert_eq!(
        filter(&asked, capture("filter-nodes-migration-no-selector")).await,
        Filtered {
            error: "berth: VirtualMachineInstance default/legacy2 with UID fae1048e-9cdf-4188-993a-a34a1722432e is not known".to_owned(),
            ..verdicts(&[], &[])
        }
    );
    assert_eq!(
        asked.metric(r#"berth_extender_requests_total{outcome="vmi_unknown",verb="filter"}"#),
        1.0
    );
}

#[tokio::test]
async fn whole_nodes_that_pass_come_back_byte_for_byte() {
    let asked = Asked::new(&cluster_with(legacy2()), "");
    let body = capture("filter-nodes-migration-no-selector");
    let (_, reply) = asked.post("/scheduler/filter", body.clone()).await;
    let parsed: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(
        parsed["FailedAndUnresolvableNodes"],
        json!({
            "el10-1": NOT_SUPPORTED,
            "el10-2": NOT_SUPPORTED,
            "old-nolabels": NOT_SUPPORTED,
            "el9-nochassis": NOT_REGISTERED,
        })
    );
    let sent = raw_nodes(&body);
    let passed = raw_nodes(&reply);
    let names: Vec<_> = passed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["el9-1", "el9-2", "el9-3", "el9-0"]);
    for (name, raw) in &passed {
        let original = sent.iter().find(|(sent, _)| sent == name).unwrap();
        assert_eq!(raw, &original.1, "{name}");
    }
}

#[tokio::test]
async fn whole_nodes_of_a_pod_that_is_not_guarded_come_back_as_they_came() {
    let asked = Asked::new(&cluster(), "");
    let launch = capture_json("filter-names-launch");
    let call = capture("filter-nodes-migration-no-selector");
    let call: BTreeMap<&str, &RawValue> = serde_json::from_str(&call).unwrap();
    let nodes = call["Nodes"].get();
    let body = format!(
        r#"{{"Pod":{},"Nodes":{nodes},"NodeNames":null}}"#,
        launch["Pod"]
    );
    let (_, reply) = asked.post("/scheduler/filter", body).await;
    assert_eq!(
        reply,
        format!(
            r#"{{"Nodes":{nodes},"NodeNames":null,"FailedNodes":{{}},"FailedAndUnresolvableNodes":{{}},"Error":""}}"#
        )
    );
}

fn raw_nodes(text: &str) -> Vec<(String, String)> {
    #[derive(serde::Deserialize)]
    struct Body<'a> {
        #[serde(rename = "Nodes", borrow)]
        nodes: List<'a>,
    }
    #[derive(serde::Deserialize)]
    struct List<'a> {
        #[serde(borrow)]
        items: Vec<&'a serde_json::value::RawValue>,
    }
    let Body { nodes } = serde_json::from_str(text).unwrap();
    nodes
        .items
        .iter()
        .map(|raw| {
            let node: Value = serde_json::from_str(raw.get()).unwrap();
            let name = node["metadata"]["name"].as_str().unwrap().to_owned();
            (name, raw.get().to_owned())
        })
        .collect()
}

#[tokio::test]
async fn verbs_that_are_not_served_are_not_found() {
    let asked = Asked::new(&cluster(), "");
    for (path, name) in [("/scheduler/reserve", "filter-names-migration")] {
        let (status, text) = asked.post(path, capture(name)).await;
        assert_eq!(
            (status.as_u16(), text.as_str()),
            (
                404,
                "berth: no such path: there are POST /mutate, /validate, /scheduler/filter, /scheduler/prioritize, /scheduler/preempt and /scheduler/bind\n"
            )
        );
    }
}

//! Preemption: who may be evicted for a migration's target, in both forms of the call.

use serde_json::{Value, json};

use crate::support::{Asked, capture, capture_json, cluster, item, items};

/// The captured call, which offers seven nodes for VMI `big` (pc-q35-rhel9.4.0).
fn call() -> Value {
    capture_json("preempt-nodes-migration")
}

/// The same call as a scheduler makes it that trusts berth to know the nodes.
fn call_with_uids() -> Value {
    let mut call = call();
    let whole = call["NodeNameToVictims"].take();
    let meta = whole.as_object().unwrap().iter().map(|(node, victims)| {
        let pods = victims["Pods"].as_array().unwrap().iter();
        let pods: Vec<Value> = pods
            .map(|pod| json!({"UID": pod["metadata"]["uid"]}))
            .collect();
        let victims = json!({"Pods": pods, "NumPDBViolations": victims["NumPDBViolations"]});
        (node.clone(), victims)
    });
    call["NodeNameToMetaVictims"] = Value::Object(meta.collect());
    call
}

/// The answer that keeps all but these nodes.
fn all_but(dropped: &[&str]) -> Value {
    let mut answer = json!({"NodeNameToMetaVictims": call_with_uids()["NodeNameToMetaVictims"]});
    let nodes = answer["NodeNameToMetaVictims"].as_object_mut().unwrap();
    for node in dropped {
        assert!(nodes.remove(*node).is_some(), "{node}");
    }
    answer
}

fn with_big(mut cluster: Value) -> Value {
    items(&mut cluster).push(capture_json("preempt-nodes-migration.vmi"));
    cluster
}

async fn check(cluster: &Value, config: &str, expect: &Value) -> Asked {
    let asked = Asked::new(cluster, config);
    for call in [call(), call_with_uids()] {
        let answer = asked.ask("/scheduler/preempt", call.to_string()).await;
        assert_eq!(&answer, expect);
    }
    asked
}

#[tokio::test]
async fn of_the_nodes_offered_the_one_without_a_chassis_is_dropped() {
    assert_eq!(call()["NodeNameToVictims"].as_object().unwrap().len(), 7);
    let asked = check(&with_big(cluster()), "", &all_but(&["el9-nochassis"])).await;
    let judged = r#"berth_extender_requests_total{outcome="judged",verb="preempt"}"#;
    assert_eq!(asked.metric(judged), 2.0);
}

#[tokio::test]
async fn what_the_filter_rejects_is_no_candidate() {
    let mut cluster = with_big(cluster());
    let conditions = &mut item(&mut cluster, "Node", "el10-0")["status"]["conditions"];
    let condition = json!({"type": "NetworkUnavailable", "status": "True"});
    conditions.as_array_mut().unwrap().push(condition);
    let labels = &mut item(&mut cluster, "Node", "el9-1")["metadata"]["labels"];
    let labels = labels.as_object_mut().unwrap();
    labels.remove("machine-type.node.kubevirt.io/pc-q35-rhel9.4.0");
    items(&mut cluster).retain(|item| item["metadata"]["name"] != "el9-2");
    // One more that berth does not know is as bad: the filter does not pass it either.
    check(
        &cluster,
        "",
        &all_but(&["el10-0", "el9-1", "el9-2", "el9-nochassis"]),
    )
    .await;
}

#[tokio::test]
async fn a_check_that_is_off_drops_nobody() {
    let config = "guard: {checks: {chassisRegistered: false, chassisAgents: false}}";
    check(&with_big(cluster()), config, &all_but(&[])).await;
}

#[tokio::test]
async fn a_pod_that_berth_does_not_guard_may_evict_wherever_it_could() {
    let asked = Asked::new(&cluster(), "");
    let mut call = call_with_uids();
    call["Pod"]["metadata"]["labels"] = json!({"app": "web"});
    let answer = asked.ask("/scheduler/preempt", call.to_string()).await;
    assert_eq!(answer, all_but(&[]));
}

#[tokio::test]
async fn nobody_is_evicted_for_a_vm_that_is_not_known() {
    let nobody = json!({"NodeNameToMetaVictims": {}});
    let asked = check(&cluster(), "", &nobody).await;
    let unknown = r#"berth_extender_requests_total{outcome="vmi_unknown",verb="preempt"}"#;
    assert_eq!(asked.metric(unknown), 2.0);
}

#[tokio::test]
async fn a_body_that_is_no_preemption_gets_a_status() {
    let asked = Asked::new(&cluster(), "");
    for (body, expect) in [
        (
            capture("filter-names-migration"),
            "berth: ExtenderPreemptionArgs has neither NodeNameToVictims nor NodeNameToMetaVictims\n",
        ),
        ("{}".to_owned(), "berth: the call has no Pod\n"),
    ] {
        let (status, text) = asked.post("/scheduler/preempt", body).await;
        assert_eq!((status.as_u16(), text.as_str()), (400, expect));
    }
}

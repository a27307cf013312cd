//! Scores for what a real kube-scheduler asked about, in both forms of the call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use berth::decide::policy::Policy;
use berth::http::prioritize;
use berth::ovn::ChassisIndex;
use berth::snapshot::{Snapshot, SouthboundState};
use ovsdb::{TableCache, UpdateFormat};
use serde_json::{Value, json};

use crate::ovn_properties::chassis_replica;
use crate::support::{Asked, capture, capture_json, cluster, item, items, view};

/// The captured call, which asks about eight nodes for VMI `legacy`.
fn call() -> Value {
    capture_json("prioritize-names-migration-no-selector")
}

/// The same call as a scheduler makes it that sends whole nodes.
fn call_with_nodes(cluster: &mut Value) -> Value {
    let mut call = call();
    let names = call["NodeNames"].take();
    let names = names.as_array().unwrap().iter();
    let nodes = names.map(|name| item(cluster, "Node", name.as_str().unwrap()).clone());
    let nodes: Vec<_> = nodes.collect();
    call["Nodes"] = json!({"metadata": {}, "items": nodes});
    call
}

const ASKED: [&str; 8] = [
    "el10-1",
    "el9-0",
    "el9-1",
    "el9-2",
    "el9-3",
    "el9-nochassis",
    "old-nolabels",
    "el10-0",
];

/// The answer that gives every node this score, but for some.
fn all(score: u8, others: &[(&str, u8)]) -> Value {
    let score_of = |node: &str| {
        let other = others.iter().find(|(name, _)| *name == node);
        other.map_or(score, |(_, score)| *score)
    };
    let scored = ASKED.map(|node| json!({"Host": node, "Score": score_of(node)}));
    json!(scored)
}

async fn check(mut cluster: Value, config: &str, expect: &Value) -> Asked {
    let asked = Asked::new(&cluster, config);
    for call in [call(), call_with_nodes(&mut cluster)] {
        let answer = asked.ask("/scheduler/prioritize", call.to_string()).await;
        assert_eq!(&answer, expect);
    }
    asked
}

/// The captured cluster, without its migrations.
fn quiet() -> Value {
    let mut cluster = cluster();
    items(&mut cluster).retain(|item| item["kind"] != "VirtualMachineInstanceMigration");
    cluster
}

/// A cluster in which so many migrations of VMI `db` are arriving on a node.
fn with_arriving(mut cluster: Value, arriving: &[(&str, usize)]) -> Value {
    let mut pod = call()["Pod"].clone();
    let db = &item(&mut cluster, "VirtualMachineInstance", "db")["metadata"];
    let owner = &mut pod["metadata"]["ownerReferences"][0];
    (owner["name"], owner["uid"]) = (db["name"].clone(), db["uid"].clone());
    for (node, count) in arriving {
        for number in 0..*count {
            let uid = format!("{node}-{number}");
            let mut target = pod.clone();
            target["kind"] = json!("Pod");
            target["metadata"]["name"] = json!(format!("virt-launcher-{uid}"));
            target["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = json!(uid);
            target["spec"]["nodeName"] = json!(node);
            let migration = json!({
                "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstanceMigration",
                "metadata": {"namespace": "default", "name": uid, "uid": uid},
                "spec": {"vmiName": "db"}, "status": {"phase": "TargetReady"},
            });
            items(&mut cluster).extend([target, migration]);
        }
    }
    cluster
}

#[tokio::test]
async fn of_the_captured_cluster_two_nodes_have_a_migration_arriving() {
    let expect = all(10, &[("el9-0", 9), ("el9-nochassis", 9)]);
    check(cluster(), "", &expect).await;
}

#[tokio::test]
async fn nodes_of_which_nothing_is_known_that_tells_them_apart_score_the_same() {
    assert_eq!(call()["NodeNames"], json!(ASKED));
    let asked = check(quiet(), "", &all(10, &[])).await;
    for (series, expect) in [
        (
            r#"berth_extender_requests_total{outcome="judged",verb="prioritize"}"#,
            2.0,
        ),
        (
            r#"berth_score_inputs_total{effect="same",input="arriving"}"#,
            2.0,
        ),
        (
            r#"berth_score_inputs_total{effect="unknown",input="locality"}"#,
            2.0,
        ),
        (
            r#"berth_score_inputs_total{effect="decides",input="arriving"}"#,
            0.0,
        ),
    ] {
        assert_eq!(asked.metric(series), expect, "{series}");
    }
}

#[tokio::test]
async fn a_node_where_fewer_migrations_arrive_scores_higher() {
    let cluster = with_arriving(quiet(), &[("el9-1", 1), ("el9-3", 4)]);
    let asked = check(cluster.clone(), "", &all(10, &[("el9-1", 9), ("el9-3", 8)])).await;
    let decides = r#"berth_score_inputs_total{effect="decides",input="arriving"}"#;
    assert_eq!(asked.metric(decides), 2.0);
    // The weight of an input is its part of all ten points.
    let config = "scoring: {locality: 0, arriving: 1, response: 0, stability: 0}";
    check(
        cluster.clone(),
        config,
        &all(10, &[("el9-1", 5), ("el9-3", 2)]),
    )
    .await;
    check(cluster, "scoring: {arriving: 0}", &all(10, &[])).await;
}

#[tokio::test]
async fn a_migration_that_is_over_is_not_arriving() {
    let mut cluster = with_arriving(quiet(), &[("el9-1", 1)]);
    let kind = "VirtualMachineInstanceMigration";
    item(&mut cluster, kind, "el9-1-0")["status"]["phase"] = json!("Succeeded");
    check(cluster, "", &all(10, &[])).await;
}

#[tokio::test]
async fn a_node_that_berth_does_not_know_is_no_better_than_the_worst() {
    let mut cluster = with_arriving(quiet(), &[("el9-1", 1), ("el9-3", 4)]);
    let whole = call_with_nodes(&mut cluster);
    items(&mut cluster).retain(|item| item["metadata"]["name"] != "el10-0");
    let asked = Asked::new(&cluster, "");
    for call in [call(), whole] {
        let answer = asked.ask("/scheduler/prioritize", call.to_string()).await;
        let expect = all(10, &[("el9-1", 9), ("el9-3", 8), ("el10-0", 8)]);
        assert_eq!(answer, expect);
    }
}

#[tokio::test]
async fn a_vm_that_berth_has_not_seen_is_scored_like_any_other() {
    let mut cluster = with_arriving(quiet(), &[("el9-1", 1)]);
    let its_own = call()["Pod"]["metadata"]["ownerReferences"][0]["uid"].clone();
    items(&mut cluster).retain(|item| item["metadata"]["uid"] != its_own);
    check(cluster, "", &all(10, &[("el9-1", 9)])).await;
}

#[tokio::test]
async fn a_pod_that_is_no_target_of_a_migration_scores_nothing_anywhere() {
    let mut cluster = with_arriving(quiet(), &[("el9-1", 1)]);
    let whole = call_with_nodes(&mut cluster);
    let asked = Asked::new(&cluster, "");
    let launches = Asked::new(&cluster, "guard: {launches: true}");
    for mut call in [call(), whole] {
        let labels = call["Pod"]["metadata"]["labels"].as_object_mut().unwrap();
        labels.remove("kubevirt.io/migrationJobUID");
        let answer = asked.ask("/scheduler/prioritize", call.to_string()).await;
        assert_eq!(answer, all(0, &[]));
        let answer = launches
            .ask("/scheduler/prioritize", call.to_string())
            .await;
        assert_eq!(answer, all(10, &[("el9-1", 9)]), "a launch that is guarded");
        call["Pod"]["metadata"]["labels"] = json!({"app": "web"});
        let answer = launches
            .ask("/scheduler/prioritize", call.to_string())
            .await;
        assert_eq!(answer, all(0, &[]));
    }
    let not_guarded = r#"berth_extender_requests_total{outcome="not_guarded",verb="prioritize"}"#;
    assert_eq!(asked.metric(not_guarded), 2.0);
}

/// The chassis of nodes `el9-1` to `el9-3`, which answer when they are told to.
struct Southbound {
    replica: TableCache,
    index: ChassisIndex,
    now: Instant,
}

impl Southbound {
    fn start() -> Self {
        let mut southbound = Self {
            replica: chassis_replica(),
            index: ChassisIndex::new(Duration::from_secs(30)),
            now: Instant::now(),
        };
        southbound.index.synced(&[], &[], southbound.now);
        southbound.update(&json!({"SB_Global": {row(0, 0): {"insert": {}}}}));
        for number in 2..=4 {
            let name = format!("{number:08}-1111-4222-8333-444455556666");
            southbound.update(&json!({
                "Chassis": {row(1, number): {"insert": {"name": name}}},
                "Chassis_Private": {row(2, number): {"insert": {"name": name}}},
            }));
        }
        southbound
    }

    fn update(&mut self, rows: &Value) {
        let changes = self
            .replica
            .update(UpdateFormat::V2, &rows.to_string())
            .unwrap();
        self.index.changed(&changes, self.now);
    }

    /// Asks everyone, who answer after so many seconds, one after the other.
    fn ask(&mut self, nb_cfg: i64, seconds: [u64; 3]) {
        self.update(&json!({"SB_Global": {row(0, 0): {"modify": {"nb_cfg": nb_cfg}}}}));
        for (number, seconds) in (2..).zip(seconds) {
            self.now += Duration::from_secs(seconds);
            let answer = json!({"modify": {"nb_cfg": nb_cfg}});
            self.update(&json!({"Chassis_Private": {row(2, number): answer}}));
        }
    }

    /// The scores of the nodes, and of `el9-0`, which has no chassis here.
    fn scores(&self) -> [u8; 4] {
        let snapshot = Snapshot {
            cluster: Arc::new(view(&quiet())),
            southbound: SouthboundState::Fresh(Arc::new(self.index.view()), self.now),
        };
        let mut call = call();
        call["NodeNames"] = json!(["el9-1", "el9-2", "el9-3", "el9-0"]);
        let answer = prioritize(&call.to_string(), &snapshot, &Policy::default()).unwrap();
        let answer: Vec<Value> = serde_json::from_slice(&answer.json).unwrap();
        let scores = answer.iter().map(|one| one["Score"].as_u64().unwrap());
        let scores: Vec<_> = scores.map(|score| u8::try_from(score).unwrap()).collect();
        scores.try_into().unwrap()
    }
}

fn row(table: u8, number: u8) -> String {
    format!("00000000-0000-4000-8000-00000000{table:02}{number:02}")
}

#[test]
fn a_chassis_that_answers_fast_and_has_not_flapped_scores_higher() {
    let mut southbound = Southbound::start();
    assert_eq!(southbound.scores(), [10, 10, 10, 10]);
    // After 0, 1 and 5 seconds: all of a point, an eleventh and a fiftieth of it.
    southbound.ask(1, [0, 1, 4]);
    assert_eq!(southbound.scores(), [10, 9, 9, 9]);
    // The mean goes on, the third one was away, and nothing is known of the last.
    southbound.ask(2, [0, 1, 60]);
    assert_eq!(southbound.scores(), [10, 9, 8, 8]);
    southbound.now += Duration::from_mins(10);
    assert_eq!(southbound.scores(), [10, 9, 9, 9]);
}

#[tokio::test]
async fn a_call_without_nodes_has_no_scores() {
    let asked = Asked::new(&quiet(), "");
    for nodes in [
        json!({"NodeNames": []}),
        json!({"Nodes": {"items": []}}),
        json!({"Nodes": {"items": null}}),
    ] {
        let mut call = json!({"Pod": call()["Pod"]});
        call.as_object_mut()
            .unwrap()
            .extend(nodes.as_object().unwrap().clone());
        let answer = asked.ask("/scheduler/prioritize", call.to_string()).await;
        assert_eq!(answer, json!([]));
    }
}

#[tokio::test]
async fn what_can_not_be_answered_gets_a_status_with_the_reason() {
    let asked = Asked::new(&quiet(), "");
    let pod = call()["Pod"].to_string();
    for (body, expect) in [
        (
            "",
            "the body is not ExtenderArgs: EOF while parsing a value at line 1 column 0",
        ),
        ("{}", "the call has no Pod"),
        (
            &format!(r#"{{"Pod":{pod}}}"#),
            "ExtenderArgs has neither Nodes nor NodeNames",
        ),
        (
            &format!(r#"{{"Pod":{pod},"NodeNames":[],"Nodes":{{}}}}"#),
            "ExtenderArgs has both Nodes and NodeNames",
        ),
        (
            &format!(r#"{{"Pod":{pod},"NodeNames":[1]}}"#),
            "item 0 of NodeNames is not readable: invalid type: integer `1`, expected a string at line 1 column 5882",
        ),
        (
            &format!(r#"{{"Pod":{pod},"Nodes":{{"items":[{{}}]}}}}"#),
            "item 0 of Nodes is not readable: missing field `metadata` at line 1 column 2",
        ),
        (
            &capture("preempt-nodes-migration"),
            "ExtenderArgs has neither Nodes nor NodeNames",
        ),
    ] {
        let (status, text) = asked.post("/scheduler/prioritize", body.to_owned()).await;
        let expect = format!("berth: {expect}\n");
        assert_eq!((status.as_u16(), text), (400, expect));
    }
}

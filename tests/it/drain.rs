//! `berth drain` on a snapshot, as people run it.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::check::{migrating, shown};
use crate::process::berth;
use crate::support::{cluster, item};

fn drain(cluster: &Value, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    fs::write(&path, cluster.to_string()).unwrap();
    let mut command = berth();
    command.args(["drain", "--snapshot"]).arg(&path).args(args);
    command.output().unwrap()
}

fn printed(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn vms_that_can_move_are_shown_by_wave() {
    let output = drain(&migrating(), &["el10-1", "el9-0"]);
    assert_eq!(printed(&output), shown("drain el10-1 el9-0"));
    assert_eq!(output.status.code(), Some(2));
    let output = drain(&migrating(), &["el10-1"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn vms_without_an_eviction_strategy_would_be_shut_down() {
    let output = drain(&cluster(), &["el10-1"]);
    assert_eq!(
        printed(&output),
        "\
the drain would shut down
  default/db on el10-1
    BRT0413 a drain would shut the VM down: no eviction strategy
the cluster
  ? BRT0910 OVN's chassis are not judged
el10-1: 0 VMs would move in 0 waves, 0 would block the drain, 1 would be shut down
"
    );
    assert_eq!(output.status.code(), Some(1));
    let output = drain(&cluster(), &["el10-1", "--fail-on", "error"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_drain_of_every_node_that_fits_is_stuck() {
    let nodes = ["el9-0", "el9-1", "el9-2", "el9-3"];
    let output = drain(&migrating(), &[&nodes[..], &["-o", "json"]].concat());
    let plan: Value = serde_json::from_str(&printed(&output)).unwrap();
    assert_eq!(plan["kind"], "DrainPlan");
    assert_eq!(plan["moves"], json!([]));
    let stuck = plan["stuck"].as_array().unwrap();
    let names: Vec<&Value> = stuck.iter().map(|vm| &vm["name"]).collect();
    assert_eq!(names, ["legacy", "web"]);
    let found = |code: &str| {
        let findings = stuck[1]["findings"].as_array().unwrap().iter();
        let found = findings.filter(|finding| finding["code"] == code);
        found
            .map(|finding| finding["nodes"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("BRT0401"), [json!([])]);
    assert_eq!(found("BRT0403"), [json!(["el9-1", "el9-2", "el9-3"])]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_vm_that_would_migrate_and_has_no_room_blocks_the_drain_and_is_not_shut_down() {
    let mut cluster = migrating();
    let kubevirt = item(&mut cluster, "KubeVirt", "kubevirt");
    kubevirt["spec"]["configuration"]["evictionStrategy"] = json!("LiveMigrateIfPossible");
    for object in crate::support::items(&mut cluster) {
        if object["kind"] == "Node" {
            object["spec"]["unschedulable"] = json!(true);
        }
    }
    let output = drain(&cluster, &["el10-1", "-o", "json"]);
    let plan: Value = serde_json::from_str(&printed(&output)).unwrap();
    assert_eq!(plan["stuck"][0]["name"], "db");
    assert_eq!(plan["shutDown"], json!([]));
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_vm_that_arrives_on_a_drained_node_blocks_the_drain() {
    let output = drain(&migrating(), &["el9-nochassis", "-o", "json"]);
    let plan: Value = serde_json::from_str(&printed(&output)).unwrap();
    assert_eq!(plan["stuck"][0]["name"], "web");
    assert_eq!(plan["stuck"][0]["node"], "el9-0");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn without_the_node_or_the_pods_there_is_no_plan() {
    let output = drain(&cluster(), &["el11-0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "error: there is no node \"el11-0\"\n");
    assert_eq!(output.status.code(), Some(3));
    let mut cluster = cluster();
    crate::support::items(&mut cluster).retain(|item| item["kind"] != "Pod");
    let output = drain(&cluster, &["el10-1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let expect = "error: no plan without what could not be read: the snapshot lacks a kind: pods";
    assert!(said.starts_with(expect), "{said}");
    assert_eq!(output.status.code(), Some(3));
}

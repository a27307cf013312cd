//! `berth report` on snapshots, as people run it.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::check::{migrating, with_network};
use crate::process::berth;
use crate::support::{cluster, item, items};

fn report(cluster: &Value, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    fs::write(&path, cluster.to_string()).unwrap();
    let mut command = berth();
    command.args(["report", "--snapshot"]).arg(&path).args(args);
    command.output().unwrap()
}

fn printed(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn read(cluster: &Value, args: &[&str]) -> Value {
    let output = report(cluster, &[&["-o", "json"], args].concat());
    serde_json::from_str(&printed(&output)).unwrap()
}

/// The VMs of a list.
fn names(vms: &Value) -> Vec<&str> {
    let vms = vms.as_array().unwrap().iter();
    vms.map(|vm| vm["name"].as_str().unwrap()).collect()
}

#[test]
fn a_fleet_is_counted_by_targets_machine_types_and_codes() {
    let report = read(&with_network(), &[]);
    assert_eq!(
        report["summary"],
        json!({"ok": 5, "warning": 3, "blocked": 4, "unknown": 0})
    );
    assert_eq!(
        report["targets"],
        json!({"none": 0, "one": 0, "few": 1, "many": 11, "unknown": 0})
    );
    assert_eq!(
        report["machineTypes"],
        json!([
            {"name": "pc-q35-rhel9.2.0", "vms": 2, "nodes": 5},
            {"name": "pc-q35-rhel9.6.0", "vms": 1, "nodes": 8},
        ])
    );
    assert_eq!(
        report["findings"][0],
        json!({"code": "BRT0202", "name": "BridgeAnnotationMissing", "severity": "error", "vms": 4})
    );
    assert_eq!(report["versions"]["kubeOvn"], "1.15.14");
    assert_eq!(report["versions"]["ovnAtLeast"], "25.03.0");
    assert_eq!(report["versions"].get("ovn"), None);
    assert_eq!(report["cluster"][0]["code"], "BRT0505");
    assert_eq!(report.get("assumed"), None);
}

#[test]
fn cpu_models_are_counted_with_the_nodes_that_can_take_them() {
    let mut cluster = cluster();
    for (vmi, model) in [
        ("db", "Skylake-Client"),
        ("web", "host-model"),
        ("legacy", "host-passthrough"),
    ] {
        let vmi = item(&mut cluster, "VirtualMachineInstance", vmi);
        vmi["spec"]["domain"]["cpu"] = json!({"model": model});
    }
    for object in items(&mut cluster) {
        if object["kind"] == "Node" {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            let labels = object["metadata"]["labels"].as_object_mut().unwrap();
            labels.retain(|key, _| !key.contains("cpu-") && !key.contains("-cpu"));
            let model = if name.starts_with("el9") { "A" } else { "B" };
            for label in [
                format!("host-model-cpu.node.kubevirt.io/{model}"),
                format!("cpu-model-migration.node.kubevirt.io/{model}"),
                "cpu-vendor.node.kubevirt.io/Intel".to_owned(),
            ] {
                labels.insert(label, json!("true"));
            }
            if name == "el10-1" {
                let label = "cpu-model.node.kubevirt.io/Skylake-Client".to_owned();
                labels.insert(label, json!("true"));
            }
        }
    }
    let nodes = items(&mut cluster)
        .iter()
        .filter(|item| item["kind"] == "Node");
    let of_el9 = nodes.filter(|node| {
        node["metadata"]["name"]
            .as_str()
            .unwrap()
            .starts_with("el9")
    });
    let of_el9 = of_el9.count();
    assert_eq!(
        read(&cluster, &[])["cpuModels"],
        json!([
            {"name": "Skylake-Client", "vms": 1, "nodes": 1},
            {"name": "host-model (A)", "vms": 1, "nodes": of_el9},
            {"name": "host-passthrough (Intel)", "vms": 1, "nodes": 9},
        ])
    );
    // A guest keeps the CPU of the node on which it was started.
    let assumed = read(&cluster, &["--assume", "el9-0=like:el10-1"]);
    assert_eq!(
        assumed["assumed"]["cpuModels"][1],
        json!({"name": "host-model (A)", "vms": 1, "nodes": of_el9 - 1})
    );
}

#[test]
fn vms_with_one_target_or_none_are_named_with_what_is_against_the_other_nodes() {
    let mut cluster = cluster();
    for object in items(&mut cluster) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if object["kind"] == "Node" && !["el10-1", "el9-1"].contains(&name) {
            object["spec"]["unschedulable"] = json!(true);
        }
    }
    let report = read(&cluster, &["-n", "default"]);
    assert_eq!(
        report["scarce"],
        json!([
            {"kind": "VirtualMachine", "namespace": "default", "name": "db", "node": "el10-1", "targets": ["el9-1"], "codes": ["BRT0102", "BRT0103", "BRT0106", "BRT0403"]},
            {"kind": "VirtualMachine", "namespace": "default", "name": "legacy", "node": "el10-2", "targets": ["el9-1"], "codes": ["BRT0102", "BRT0103", "BRT0106", "BRT0403"]},
            {"kind": "VirtualMachine", "namespace": "default", "name": "web", "node": "el9-0", "targets": ["el9-1"], "codes": ["BRT0102", "BRT0103", "BRT0106", "BRT0403"]},
        ])
    );
    assert_eq!(report["targets"]["one"], 3);
}

#[test]
fn an_upgrade_of_nodes_strands_the_vms_whose_machine_type_goes() {
    for (assumptions, stranded, none) in [
        (&["el9-*=like:el10-1"][..], &["legacy", "web"][..], 2),
        (&["el9-1,el9-2=like:el10-1"], &[], 0),
        (
            &["*=without:machine-type/pc-q35-rhel9.2*"],
            &["legacy", "web"],
            2,
        ),
        (&["el10-*=without:machine-type/pc-q35-rhel9.6.0"], &[], 0),
        (
            &[
                "el9-1,el9-2=like:el10-1",
                "el9*=without:machine-type/*rhel9.2.0",
            ],
            &["legacy", "web"],
            2,
        ),
        (&["el10-*=like:el9-1"], &[], 0),
    ] {
        let mut args = Vec::new();
        for assumption in assumptions {
            args.extend(["--assume", *assumption]);
        }
        let report = read(&cluster(), &args);
        let assumed = &report["assumed"];
        assert_eq!(assumed["assumptions"], json!(assumptions));
        assert_eq!(names(&assumed["stranded"]), stranded, "{assumptions:?}");
        assert_eq!(assumed["targets"]["none"], none, "{assumptions:?}");
        assert_eq!(report["targets"]["none"], 0);
    }
}

#[test]
fn a_node_that_is_as_another_has_its_room_and_keeps_its_place_its_pods_and_its_cordon() {
    let mut cluster = migrating();
    item(&mut cluster, "Node", "el10-1")["status"]["allocatable"]["memory"] = json!("1Gi");
    item(&mut cluster, "Node", "el9-1")["spec"]["unschedulable"] = json!(true);
    let target = |args: &[&str]| {
        let assumed = read(&cluster, args);
        let assumed = &assumed["assumed"];
        assumed["scarce"]
            .as_array()
            .unwrap()
            .iter()
            .find(|vm| vm["name"] == "web")
            .cloned()
    };
    // web asks for more memory than el9-2 and el9-3 would have, and el9-1 is cordoned.
    let web = target(&["--assume", "el9-2,el9-3=like:el10-1"]).unwrap();
    assert_eq!(web["targets"], json!([]));
    assert_eq!(
        web["codes"],
        json!(["BRT0102", "BRT0103", "BRT0106", "BRT0403", "BRT0411"])
    );
}

#[test]
fn the_exit_code_is_that_of_the_vms_as_they_are_assumed() {
    let db_alone = || {
        let mut cluster = migrating();
        items(&mut cluster).retain(|object| {
            !object["kind"]
                .as_str()
                .unwrap()
                .starts_with("VirtualMachine")
                || object["metadata"]["name"] == "db"
        });
        cluster
    };
    let without = |kind: &str| {
        let mut cluster = db_alone();
        items(&mut cluster).retain(|item| item["kind"] != kind);
        cluster
    };
    let gone = "*=without:machine-type/pc-q35-rhel9.6.0";
    for (cluster, args, expect) in [
        (db_alone(), &[][..], 0),
        (db_alone(), &["--assume", gone], 2),
        (with_network(), &[], 2),
        (cluster(), &[], 3),
        (without("Pod"), &[], 3),
        (without("Node"), &[], 3),
    ] {
        let output = report(&cluster, args);
        let code = output.status.code();
        assert_eq!(code, Some(expect), "{args:?}: {}", printed(&output));
    }
    let mut shut_down = db_alone();
    let kubevirt = item(&mut shut_down, "KubeVirt", "kubevirt");
    kubevirt["spec"]["configuration"]["evictionStrategy"] = json!("None");
    assert_eq!(report(&shut_down, &[]).status.code(), Some(1));
    let output = report(&shut_down, &["--fail-on", "error"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn targets_are_not_known_without_the_pods() {
    let mut cluster = cluster();
    items(&mut cluster).retain(|item| item["kind"] != "Pod");
    let report = read(&cluster, &[]);
    assert_eq!(
        report["targets"],
        json!({"none": 0, "one": 0, "few": 0, "many": 0, "unknown": 12})
    );
    assert_eq!(report["summary"]["unknown"], 8);
    assert_eq!(report["scarce"], json!([]));
}

#[test]
fn without_the_nodes_it_is_not_known_how_many_can_take_a_machine_type() {
    let mut cluster = cluster();
    items(&mut cluster).retain(|item| item["kind"] != "Node");
    let read = read(&cluster, &[]);
    assert_eq!(
        read["machineTypes"],
        json!([
            {"name": "pc-q35-rhel9.2.0", "vms": 2, "nodes": null},
            {"name": "pc-q35-rhel9.6.0", "vms": 1, "nodes": null},
        ])
    );
    for usage in read["cpuModels"].as_array().unwrap() {
        assert_eq!(usage["nodes"], json!(null));
    }
    let text = printed(&report(&cluster, &[]));
    assert!(
        text.contains("  pc-q35-rhel9.2.0  2            ?\n"),
        "{text}"
    );
}

#[test]
fn a_node_of_another_type_takes_a_machine_type_only_where_kubevirt_does_not_select_nodes_by_it() {
    let config = tempfile::NamedTempFile::new().unwrap();
    let allow = "machineType: {equivalents: {pc-q35-rhel9.2.0: [pc-q35-rhel9.4.0]}}";
    fs::write(config.path(), allow).unwrap();
    let args = ["--config", config.path().to_str().unwrap()];
    for (version, nodes) in [("v1.9.0", 5), ("v1.5.0", 8)] {
        let mut cluster = cluster();
        let kubevirt = item(&mut cluster, "KubeVirt", "kubevirt");
        kubevirt["status"]["observedKubeVirtVersion"] = json!(version);
        let read = read(&cluster, &args);
        assert_eq!(read["machineTypes"][0]["nodes"], nodes, "{version}");
    }
}

#[test]
fn what_can_not_be_reported_is_an_error_with_code_3() {
    let form = "write NODES=like:NODE or NODES=without:machine-type/GLOB, as in el9-*=like:el10-1; NODES are names or globs, separated by commas";
    for (args, expect) in [
        (&["--assume", "el9-0"][..], format!("--assume \"el9-0\": {form}")),
        (
            &["--assume", "el11-*=like:el10-1"],
            "--assume \"el11-*=like:el10-1\": there is no node \"el11-*\"".to_owned(),
        ),
        (
            &["--assume", "el9-0=like:el11-0"],
            "--assume \"el9-0=like:el11-0\": there is no node \"el11-0\"".to_owned(),
        ),
        (
            &["--assume", "el9-0=without:machine-type/isapc"],
            "--assume \"el9-0=without:machine-type/isapc\": none of these nodes has a machine type \"isapc\"".to_owned(),
        ),
        (&["-n", "typo"], "there is no namespace \"typo\"".to_owned()),
        (
            &["--nothing"],
            "unknown flag \"--nothing\"; see berth report --help".to_owned(),
        ),
    ] {
        let output = report(&cluster(), args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("error: {expect}\n"));
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn the_schema_describes_what_is_printed_and_yaml_is_the_same_as_json() {
    let args = ["--assume", "el9-*=like:el10-1"];
    let report_read = read(&cluster(), &args);
    let output = report(&cluster(), &[&["-o", "yaml"], &args[..]].concat());
    let yaml: Value = serde_saphyr::from_str(&printed(&output)).unwrap();
    assert_eq!(yaml, report_read);
    assert_eq!(report_read["apiVersion"], "berth.dev/v1alpha1");
    assert_eq!(report_read["kind"], "FleetReport");
    let output = berth().args(["report", "--schema"]).output().unwrap();
    let schema: Value = serde_json::from_str(&printed(&output)).unwrap();
    assert_eq!(schema["title"], "FleetReport");
    let fields = |value: &Value| {
        let fields = value.as_object().unwrap().keys().cloned();
        fields.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(fields(&schema["properties"]), fields(&report_read));
    let assumed = &schema["$defs"]["Assumed"]["properties"];
    assert_eq!(fields(assumed), fields(&report_read["assumed"]));
}

#[test]
fn names_of_others_do_not_reach_the_terminal_as_they_are() {
    let mut cluster = cluster();
    item(&mut cluster, "VirtualMachineInstance", "db")["status"]["machine"] =
        json!({"type": "\u{1b}[31mpc"});
    item(&mut cluster, "Node", "el9-1")["status"]["nodeInfo"]["kubeletVersion"] =
        json!("\u{1b}]0;title\u{7}");
    let vm = item(&mut cluster, "VirtualMachine", "db");
    vm["metadata"]["namespace"] = json!("\u{1b}[31m");
    let text = printed(&report(&cluster, &["--assume", "*=like:el10-1"]));
    assert!(
        text.contains("\\u{1b}[31mpc") && text.contains("\\u{1b}]0;title"),
        "{text}"
    );
    assert!(
        text.chars().all(|c| c == '\n' || !c.is_control()),
        "{text:?}"
    );
}

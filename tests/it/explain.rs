//! `berth explain vm/NAME` on a snapshot, as people run it.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::check::{migrating, report};
use crate::process::berth;
use crate::support::{cluster, item, items};

fn explain(cluster: &Value, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    fs::write(&path, cluster.to_string()).unwrap();
    let mut command = berth();
    command
        .arg("explain")
        .args(args)
        .arg("--snapshot")
        .arg(&path);
    command.output().unwrap()
}

fn printed(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn every_node_has_its_verdict_and_every_target_its_score() {
    let text = printed(&explain(&migrating(), &["vmi/web"]));
    for part in [
        "default/web on el9-0: can migrate to 3 nodes\n",
        "  ‼ BRT0213 a migration is under way: from el9-0 to el9-nochassis\n",
        "\nversions\n  Kubernetes 1.36.2 (9 nodes)\n  KubeVirt 1.9.0\n  Kube-OVN 1.15.14\n  OVN 25.03.0 or newer (from Kube-OVN 1.15)\n",
        "\nsource\n  pod default/virt-launcher-web-gfvqz\n  machine type pc-q35-rhel9.2.0\n  KubeVirt's condition LiveMigratable is True\n",
        "\ntarget pod\n  requests cpu 0.105, ",
        "\n  label kubevirt.io/schedulable=true\n  label machine-type.node.kubevirt.io/pc-q35-rhel9.2.0=true\n",
        "\n  without label node-labeller.kubevirt.io/obsolete-host-model\n",
        "\n  tolerates node.kubernetes.io/not-ready:NoExecute\n",
        "\n  network provider KubeOVN\n  checks made: BRT0101 BRT0102 BRT0103 BRT0106 BRT0107\n",
        "\n  weights of a score: arriving 2, locality 6, response 1, stability 1\n",
        "\n  el9-0: cannot take it\n    BRT0101 migration source node\n",
        "\n  el9-nochassis: cannot take it\n    BRT0103 OVN chassis not registered: annotation missing\n",
        "\n  el9-1: can take it, score 10 of 10\n    locality: not known (counts as 6 of 6)\n    arriving: 2 of 2, 0 migrations are on their way there\n    response: not known (counts as 1 of 1)\n    stability: not known (counts as 1 of 1)\n",
    ] {
        assert!(text.contains(part), "{part}\n---\n{text}");
    }
}

#[test]
fn a_vm_that_is_blocked_is_not_said_to_have_nodes_that_can_take_it() {
    let text = printed(&explain(&migrating(), &["vm/vm-bridge"]));
    let heading = "default/vm-bridge: cannot migrate; without what blocks it, 8 nodes would fit\n  × BRT0202 ";
    assert!(text.starts_with(heading), "{text}");
    assert!(
        text.contains("\n  el9-1: would fit, score 10 of 10\n"),
        "{text}"
    );
    assert!(!text.contains("can take it"), "{text}");
    let mut cluster = migrating();
    for object in items(&mut cluster) {
        if object["kind"] == "Node" {
            object["spec"]["unschedulable"] = json!(true);
        }
    }
    let text = printed(&explain(&cluster, &["vm/db"]));
    let heading = "default/db on el10-1: cannot migrate, and no node would fit\n";
    assert!(text.starts_with(heading), "{text}");
}

#[test]
fn kubevirts_condition_is_shown_with_why_it_is_false_and_what_differs_from_it() {
    let mut cluster = migrating();
    let vmi = item(&mut cluster, "VirtualMachineInstance", "db");
    vmi["status"]["conditions"] = json!([{
        "type": "LiveMigratable", "status": "False", "reason": "DisksNotLiveMigratable",
        "message": "PVC disk is not shared",
    }]);
    let text = printed(&explain(&cluster, &["vm/db"]));
    let line = "\n  KubeVirt's condition LiveMigratable is False (DisksNotLiveMigratable): PVC disk is not shared\n";
    assert!(text.contains(line), "{text}");
    let json = printed(&explain(&cluster, &["vm/db", "-o", "json"]));
    let json: Value = serde_json::from_str(&json).unwrap();
    let expect = json!({
        "status": "False", "reason": "DisksNotLiveMigratable",
        "message": "PVC disk is not shared",
    });
    assert_eq!(json["source"]["liveMigratable"], expect);

    let vmi = item(&mut cluster, "VirtualMachineInstance", "db");
    vmi["status"]["conditions"] = json!([{"type": "LiveMigratable", "status": "True"}]);
    vmi["spec"]["volumes"] = json!([{"name": "file", "hostDisk": {"path": "/disk.img"}}]);
    let text = printed(&explain(&cluster, &["vm/db"]));
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ");
    let line = "i BRT0216 KubeVirt says that it can migrate the VM, and its spec says otherwise: a disk cannot be used from two nodes: file: a file of the node";
    assert!(words.contains(line), "{text}");
    assert!(!text.contains("BRT0210"), "{text}");
}

#[test]
fn an_explanation_and_a_check_agree_on_the_targets_and_what_is_against_the_others() {
    let cluster = migrating();
    for name in ["db", "legacy", "web", "vm-bridge"] {
        let explained = explain(&cluster, &[&format!("vm/{name}"), "-o", "json"]);
        let explained: Value = serde_json::from_str(&printed(&explained)).unwrap();
        let checked = report(&cluster, &[name]);
        let item = checked["items"].as_array().unwrap().last().unwrap();
        assert_eq!(explained["targets"], item["targets"], "{name}");
        assert_eq!(explained["verdict"], item["verdict"], "{name}");
        for node in explained["nodes"].as_array().unwrap() {
            let is_target = item["targets"].as_array().unwrap().contains(&node["name"]);
            assert_eq!(node["isTarget"], json!(is_target), "{name} {node}");
            assert_eq!(node["findings"] == json!([]), is_target, "{name} {node}");
            assert_eq!(node["score"].is_number(), is_target, "{name} {node}");
        }
    }
}

#[test]
fn the_machine_type_is_against_a_node_by_kube_scheduler_where_berths_check_passes_it() {
    let config = tempfile::NamedTempFile::new().unwrap();
    let equivalents = "machineType: {equivalents: {pc-q35-rhel9.2.0: [pc-q35-rhel9.4.0]}}";
    fs::write(config.path(), equivalents).unwrap();
    let config = config.path().to_str().unwrap();
    let args = ["vmi/web", "-o", "json", "--config", config];
    let explained = printed(&explain(&migrating(), &args));
    let explained: Value = serde_json::from_str(&explained).unwrap();
    assert_eq!(explained["targets"], json!(["el9-1", "el9-2", "el9-3"]));
    let label = "machine-type.node.kubevirt.io/pc-q35-rhel9.2.0";
    assert_eq!(explained["targetPod"]["selector"][label], "true");
    let nodes = explained["nodes"].as_array().unwrap();
    for (name, codes) in [
        ("el10-0", vec!["BRT0408"]),
        ("old-nolabels", vec!["BRT0102"]),
    ] {
        let node = nodes.iter().find(|node| node["name"] == name).unwrap();
        let found = node["findings"].as_array().unwrap().iter();
        let found: Vec<&str> = found.map(|found| found["code"].as_str().unwrap()).collect();
        assert_eq!(found, codes, "{name}");
    }
}

#[test]
fn a_vm_that_is_not_there_or_a_snapshot_without_pods_is_an_error() {
    let failure = |cluster: &Value, what: &str| {
        let output = explain(cluster, &[what]);
        assert_eq!(output.status.code(), Some(3));
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(
        failure(&cluster(), "vm/none"),
        "error: there is no VM default/none; -n NAMESPACE selects another namespace\n"
    );
    let mut cluster = cluster();
    items(&mut cluster).retain(|item| item["kind"] != "Pod");
    let said = failure(&cluster, "vmi/web");
    assert!(
        said.starts_with("error: no explanation without what could not be read: "),
        "{said}"
    );
}

#[test]
fn a_code_is_explained_without_a_cluster() {
    let output = berth()
        .env("BERTH_SNAPSHOT", "/none")
        .args(["explain", "0101"])
        .output()
        .unwrap();
    assert!(printed(&output).starts_with("BRT0101 MigrationSource (error)\n"));
}

#[test]
fn control_characters_of_a_vm_are_escaped() {
    let mut cluster = migrating();
    let vmi = item(&mut cluster, "VirtualMachineInstance", "web");
    vmi["spec"]["nodeSelector"] = json!({"a\u{1b}[2J": "b\u{1b}[2J"});
    vmi["spec"]["tolerations"] = json!([{"key": "c\u{1b}[2J", "operator": "Exists"}]);
    let text = printed(&explain(&cluster, &["vmi/web"]));
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(text.contains("[2J"), "{text}");
}

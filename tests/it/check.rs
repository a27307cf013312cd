//! `berth check` on snapshots, as people run it: what it prints, its exit codes, and an input for every code.

pub(crate) mod causes;
mod gaps;
mod suppressed;

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::process::berth;
use crate::support::{cluster, item};

/// Runs `berth check` on a cluster.
pub(super) fn check(cluster: &Value, args: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cluster.json");
    fs::write(&path, cluster.to_string()).unwrap();
    let mut command = berth();
    command.args(["check", "--snapshot"]).arg(&path).args(args);
    command.output().unwrap()
}

fn printed(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The report that `-o json` prints.
pub(crate) fn report(cluster: &Value, args: &[&str]) -> Value {
    let output = check(cluster, &[&["-o", "json"], args].concat());
    serde_json::from_str(&printed(&output)).unwrap()
}

/// The captured cluster, whose VMIs have the annotation that KubeVirt's condition needs of them.
pub(crate) fn annotated() -> Value {
    let mut cluster = cluster();
    for object in crate::support::items(&mut cluster) {
        if object["kind"] == "VirtualMachineInstance" {
            let key = "kubevirt.io/allow-pod-bridge-network-live-migration";
            object["metadata"]["annotations"][key] = json!("true");
        }
    }
    cluster
}

/// The captured cluster, whose VMs migrate when their node is drained.
pub(crate) fn migrating() -> Value {
    let mut cluster = annotated();
    let kubevirt = item(&mut cluster, "KubeVirt", "kubevirt");
    kubevirt["spec"]["configuration"]["evictionStrategy"] = json!("LiveMigrate");
    cluster
}

/// The captured cluster with the one network that its VMs name.
pub(crate) fn with_network() -> Value {
    let mut cluster = cluster();
    crate::support::items(&mut cluster).push(json!({
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"namespace": "default", "name": "tenant-net"},
        "spec": {},
    }));
    cluster
}

/// The captured cluster with the setting that README.md names, and nothing else.
pub(crate) fn of_readme() -> Value {
    let mut cluster = cluster();
    let kubevirt = item(&mut cluster, "KubeVirt", "kubevirt");
    kubevirt["spec"]["configuration"]["evictionStrategy"] = json!("LiveMigrate");
    cluster
}

/// What README.md shows of a command.
pub(crate) fn shown(command: &str) -> String {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, block) = page.split_once(&format!("$ berth {command}\n")).unwrap();
    block.split("```").next().unwrap().to_owned()
}

#[test]
fn a_vm_is_shown_with_its_targets_what_was_found_and_what_to_do() {
    let output = check(&of_readme(), &["web"]);
    assert_eq!(printed(&output), shown("check web"));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_report_has_the_shape_that_the_schema_describes() {
    let report = report(&annotated(), &["web"]);
    assert_eq!(report["apiVersion"], "berth.dev/v1alpha1");
    assert_eq!(report["kind"], "CheckReport");
    assert_eq!(
        report["summary"],
        json!({"ok": 0, "warning": 1, "blocked": 0, "unknown": 0})
    );
    let web = &report["items"][1];
    assert_eq!(web["kind"], "VirtualMachine");
    assert_eq!(web["targets"], json!(["el9-1", "el9-2", "el9-3"]));
    assert_eq!(
        web["findings"][3],
        json!({
            "code": "BRT0101",
            "name": "MigrationSource",
            "severity": "error",
            "message": "migration source node",
            "remedy": "Nothing: a migration needs another node.",
            "nodes": ["el9-0"],
        })
    );
    let output = berth().args(["check", "--schema"]).output().unwrap();
    let schema: Value = serde_json::from_str(&printed(&output)).unwrap();
    assert_eq!(schema["title"], "CheckReport");
    let fields = |value: &Value| {
        let fields = value.as_object().unwrap().keys().cloned();
        fields.collect::<Vec<_>>()
    };
    assert_eq!(fields(&schema["properties"]), fields(&report));
    let properties = &schema["$defs"]["Item"]["properties"];
    assert_eq!(fields(properties), fields(web));
}

#[test]
fn yaml_has_the_same_as_json() {
    let cluster = cluster();
    let output = check(&cluster, &["web", "-o", "yaml"]);
    let yaml: Value = serde_saphyr::from_str(&printed(&output)).unwrap();
    assert_eq!(yaml, report(&cluster, &["web"]));
}

#[test]
fn the_exit_code_says_what_the_vms_come_to() {
    let without = |kind: &str| {
        let mut cluster = migrating();
        let items = crate::support::items(&mut cluster);
        items.retain(|item| item["kind"] != kind);
        cluster
    };
    for (cluster, args, expect) in [
        (migrating(), &["db"][..], 0),
        (cluster(), &["db"], 1),
        (cluster(), &["db", "--fail-on", "error"], 0),
        (cluster(), &["db", "--suppress", "BRT0413"], 0),
        (
            cluster(),
            &["db", "--suppress", "ShutDownByDrain=vm/default/db"],
            0,
        ),
        (
            cluster(),
            &["db", "--suppress", "BRT0413=vm/default/web"],
            1,
        ),
        (with_network(), &["-A"], 2),
        (cluster(), &["-A"], 3),
        (migrating(), &["db", "--node", "el9-1"], 0),
        (migrating(), &["db", "--node", "el9-nochassis"], 2),
        (
            migrating(),
            &["db", "--suppress", "BRT0505", "--suppress", "BRT0910"],
            0,
        ),
        (without("VirtualMachineInstance"), &["db"], 3),
        (without("Pod"), &["db"], 3),
        (without("Node"), &["db"], 3),
    ] {
        let output = check(&cluster, args);
        assert_eq!(
            output.status.code(),
            Some(expect),
            "{args:?}: {}",
            printed(&output)
        );
    }
}

#[test]
fn names_and_messages_of_others_do_not_reach_the_terminal_as_they_are() {
    let mut cluster = cluster();
    item(&mut cluster, "Node", "el9-1")["metadata"]["name"] = json!("\u{1b}[31mnode");
    let db = item(&mut cluster, "VirtualMachineInstance", "db");
    db["status"]["conditions"] = json!([{
        "type": "LiveMigratable", "status": "False", "reason": "New", "message": "\u{1b}]0;title\u{7}",
    }]);
    for args in [&["db"][..], &["db", "-o", "wide"], &["-A", "-o", "short"]] {
        let text = printed(&check(&cluster, args));
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
    }
}

#[test]
fn what_can_not_be_checked_is_an_error_with_code_3() {
    for (args, expect) in [
        (
            &["nothing"][..],
            "error: there is no VM default/nothing; -n NAMESPACE selects another namespace, -A all of them\n",
        ),
        (
            &["nothing", "-A"],
            "error: there is no VM \"nothing\" in any namespace\n",
        ),
        (
            &["pod/web"],
            "error: \"pod/web\" is not a VM: write NAME, vm/NAME or vmi/NAME\n",
        ),
        (&["-n", "typo"], "error: there is no namespace \"typo\"\n"),
        (&["--node", "x"], "error: there is no node \"x\"\n"),
        (
            &["--suppress", "no such code"],
            "error: --suppress \"no such code\": there is no code \"no such code\"; `berth explain` lists all of them\n",
        ),
        (
            &["--suppress", "BRT0413=default/web"],
            "error: --suppress \"BRT0413=default/web\": write CODE or CODE=KIND/NAMESPACE/NAME, as in BRT0413=vm/default/web, and the flag once for each\n",
        ),
        (
            &["default/web"],
            "error: \"default/web\" is not a VM: for the VM of namespace default, write -n default web\n",
        ),
        (
            &["vmi/vm-bridge"],
            "error: VMI default/vm-bridge does not exist, because the VM does not run; vm/vm-bridge judges the VM by its template\n",
        ),
    ] {
        let output = check(&cluster(), args);
        assert_eq!(String::from_utf8_lossy(&output.stderr), expect);
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        assert_eq!(output.stdout, b"");
    }
    for args in [&["check", "--nothing"][..], &["drain"]] {
        let output = berth().args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{args:?}");
    }
    let output = berth()
        .args(["check", "--snapshot", "/none"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: --snapshot /none: "), "{said}");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn a_vm_that_starts_has_its_node_and_can_start_on_no_other() {
    let mut cluster = migrating();
    item(&mut cluster, "VirtualMachineInstance", "db")["status"]["phase"] = json!("Scheduling");
    let output = check(&cluster, &["db"]);
    let text = printed(&output);
    let expect = "\ndefault/db\n  √ is starting on el10-1\n";
    assert!(text.contains(expect), "{text}");
    assert_eq!(output.status.code(), Some(0));
    // What other nodes lack does not matter: it has its node.
    for object in crate::support::items(&mut cluster) {
        if object["kind"] == "Node" {
            object["spec"]["unschedulable"] = json!(true);
        }
    }
    let output = check(&cluster, &["db"]);
    let text = printed(&output);
    assert!(text.contains(expect) && !text.contains("BRT0401"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_vmi_that_does_not_run_yet_is_judged_with_its_labels_in_its_namespace() {
    let mut cluster = causes::base();
    let items = cluster["items"].as_array_mut().unwrap();
    items.retain(|item| item["kind"] != "VirtualMachine");
    let apart = json!([{
        "topologyKey": "kubernetes.io/hostname",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }]);
    let vmi = item(&mut cluster, "VirtualMachineInstance", "web");
    vmi["status"] = json!({"phase": "Scheduling"});
    vmi["spec"]["affinity"] =
        json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}});
    let other = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "default", "name": "other", "labels": {"app": "web"}},
        "spec": {"nodeName": "b", "containers": []},
        "status": {"phase": "Running"},
    });
    cluster["items"].as_array_mut().unwrap().push(other);
    let report = report(&cluster, &["web"]);
    let items = report["items"].as_array().unwrap().iter();
    let mut found = items.flat_map(|item| item["findings"].as_array().unwrap());
    let rejected = found.find(|found| found["code"] == "BRT0421").unwrap();
    assert_eq!(rejected["nodes"], json!(["b"]));
}

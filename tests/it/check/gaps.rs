//! What was not read, is damaged or is missing: which VMs are not judged, and that nothing is guessed.

use serde_json::{Value, json};

use super::causes::{
    add, add_kube_ovn, attach, attach_lan, base, claim, disk, object, refused, remove, set, vmi,
    without_agents,
};
use super::{check, printed, report};
use crate::apiserver::{ApiServer, Verb};
use crate::process::berth;

/// The verdict on the VM, the exit code, and the findings of the VM that are not about single nodes.
fn judged(cluster: &Value, args: &[&str]) -> (String, Option<i32>, Vec<String>) {
    let code = check(cluster, args).status.code();
    let report = report(cluster, args);
    let items = report["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["name"] == "web").unwrap();
    let findings = item["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|found| found["nodes"] == json!([]));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let messages = findings.map(|found| text(&found["message"])).collect();
    (text(&item["verdict"]), code, messages)
}

type Change = fn(&mut Value);

#[test]
fn a_vm_is_not_judged_without_what_has_to_be_known_of_it() {
    let cases: &[(&str, Change, &[&str])] = &[
        ("no nodes", |c| remove(c, "Node"), &["nodes"]),
        ("no pods", |c| remove(c, "Pod"), &["pods"]),
        ("no KubeVirt CR", |c| remove(c, "KubeVirt"), &["kubevirts"]),
        (
            "a damaged KubeVirt CR",
            |c| object(c, "KubeVirt")["spec"] = json!(7),
            &["kubevirts"],
        ),
        (
            "a damaged node that is not its own",
            |c| set(object(c, "Node"), "status/allocatable/cpu", json!("many")),
            &["nodes"],
        ),
        (
            "its own node is damaged",
            |c| set(&mut c["items"][0], "status/allocatable/cpu", json!("many")),
            &["nodes"],
        ),
        (
            "no VMIs",
            |c| remove(c, "VirtualMachineInstance"),
            &["its VMI (the VM is Running)"],
        ),
        (
            "its VMI is damaged",
            |c| vmi(c, "spec/volumes", json!(7)),
            &["its VMI (the VM is Running)"],
        ),
        ("no claims", disk, &["claim disk"]),
        (
            "its claim is damaged",
            |c| {
                disk(c);
                let mut claim = claim("ReadWriteMany");
                claim["spec"]["accessModes"] = json!(7);
                add(c, claim);
            },
            &["claim disk"],
        ),
        (
            "no volumes",
            |c| {
                disk(c);
                add(c, claim("ReadWriteMany"));
            },
            &["volume pv-1 of claim disk"],
        ),
        (
            "a damaged quota",
            |c| {
                add(
                    c,
                    json!({
                        "apiVersion": "v1", "kind": "ResourceQuota",
                        "metadata": {"namespace": "default", "name": "team"},
                        "spec": {"hard": {"requests.memory": "many"}},
                    }),
                );
            },
            &["the resource quotas of the namespace"],
        ),
    ];
    for (case, change, lacking) in cases {
        let mut cluster = base();
        change(&mut cluster);
        let expect = format!(
            "not judged without what was not read: {}",
            lacking.join(", ")
        );
        let (verdict, code, messages) = judged(&cluster, &[]);
        assert_eq!((verdict.as_str(), code), ("unknown", Some(3)), "{case}");
        assert_eq!(messages, [expect], "{case}");
    }
}

#[test]
fn a_vm_whose_launcher_or_network_was_not_read_is_not_judged() {
    for (change, expect) in [
        (
            (|c| object(c, "Pod")["metadata"]["labels"] = json!({})) as Change,
            "the launcher pod was not found",
        ),
        (
            attach_lan,
            "a network attachment definition could not be looked up: infra/lan",
        ),
    ] {
        let mut cluster = base();
        change(&mut cluster);
        let (verdict, code, messages) = judged(&cluster, &[]);
        assert_eq!((verdict.as_str(), code), ("unknown", Some(3)), "{expect}");
        assert_eq!(messages, [expect]);
    }
}

#[test]
fn agents_of_which_no_pod_was_read_are_named_and_the_exit_code_is_3() {
    let agents = |cluster: &Value, args: &[&str]| {
        let report = report(cluster, args);
        let mut found = report["items"][0]["findings"].as_array().unwrap().iter();
        let code = check(cluster, args).status.code();
        (found.any(|found| found["code"] == "BRT0922"), code)
    };
    let cases: &[(&str, Change, bool, i32)] = &[
        ("all pods", |_| {}, false, 1),
        ("the pods of the VM alone", without_agents, true, 3),
        (
            "a launcher on a subnet, and nodes without chassis",
            |c| {
                without_agents(c);
                attach(c);
                for at in [0, 1] {
                    c["items"][at]["metadata"]["annotations"] = json!({});
                }
            },
            true,
            3,
        ),
        (
            "nothing of a network",
            |c| {
                without_agents(c);
                for at in [0, 1] {
                    c["items"][at]["metadata"]["annotations"] = json!({});
                }
            },
            false,
            2,
        ),
    ];
    for (case, change, is_found, code) in cases {
        let mut cluster = base();
        change(&mut cluster);
        let expect = (*is_found, Some(*code));
        assert_eq!(agents(&cluster, &["web"]), expect, "{case}");
    }
    let mut cluster = base();
    without_agents(&mut cluster);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "guard: {checks: {chassisAgents: false}}").unwrap();
    let off = ["web", "--config", file.path().to_str().unwrap()];
    assert_eq!(agents(&cluster, &off), (false, Some(1)));
}

#[test]
fn an_error_that_does_not_depend_on_what_was_not_read_blocks_the_vm_all_the_same() {
    let mut cluster = base();
    refused(&mut cluster, "SomethingNew");
    remove(&mut cluster, "Node");
    let (verdict, code, messages) = judged(&cluster, &[]);
    assert_eq!((verdict.as_str(), code), ("blocked", Some(3)));
    assert_eq!(
        messages,
        [
            "KubeVirt says that it cannot migrate this VM: it says why",
            "not judged without what was not read: nodes",
        ]
    );
}

#[test]
fn a_claim_volume_or_definition_that_does_not_exist_blocks_the_vm() {
    let other = |kind: &str, api: &str| json!({"apiVersion": api, "kind": kind, "metadata": {"namespace": "default", "name": "other"}, "spec": {}});
    let mut cases = Vec::new();
    let mut cluster = base();
    disk(&mut cluster);
    add(&mut cluster, other("PersistentVolumeClaim", "v1"));
    cases.push((
        cluster,
        "a claim of the VM or its volume does not exist: disk",
    ));
    let mut cluster = base();
    disk(&mut cluster);
    add(&mut cluster, claim("ReadWriteMany"));
    add(
        &mut cluster,
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "other"}, "spec": {}}),
    );
    cases.push((
        cluster,
        "a claim of the VM or its volume does not exist: disk, whose volume pv-1 does not exist",
    ));
    let mut cluster = base();
    attach_lan(&mut cluster);
    add(
        &mut cluster,
        other("NetworkAttachmentDefinition", "k8s.cni.cncf.io/v1"),
    );
    cases.push((
        cluster,
        "a network attachment definition is missing: infra/lan",
    ));
    for (cluster, message) in &cases {
        let (verdict, code, messages) = judged(cluster, &[]);
        assert_eq!((verdict.as_str(), code), ("blocked", Some(2)), "{message}");
        assert!(
            messages.iter().any(|found| found == message),
            "{messages:?}"
        );
    }
}

#[test]
fn a_damaged_vmi_leaves_the_other_vms_as_they_are() {
    let mut cluster = base();
    let mut vm = object(&mut cluster, "VirtualMachine").clone();
    vm["metadata"]["name"] = json!("off");
    vm["status"] = json!({"printableStatus": "Stopped"});
    add(&mut cluster, vm);
    for at in [0, 1] {
        let allocatable = &mut cluster["items"][at]["status"]["allocatable"];
        allocatable["devices.kubevirt.io/tun"] = json!("1k");
        allocatable["devices.kubevirt.io/vhost-net"] = json!("1k");
        allocatable["ephemeral-storage"] = json!("10Gi");
    }
    vmi(&mut cluster, "spec/volumes", json!(7));
    let report = report(&cluster, &[]);
    assert_eq!(
        report["summary"],
        json!({"ok": 1, "warning": 0, "blocked": 0, "unknown": 1})
    );
    for (args, expect) in [
        (&[][..], 3),
        (&["off"], 0),
        (&["web"], 3),
        (&["-n", "default"], 3),
    ] {
        let args = [args, &["--suppress", "BRT0505"]].concat();
        assert_eq!(
            check(&cluster, &args).status.code(),
            Some(expect),
            "{args:?}"
        );
    }
}

#[test]
fn a_damaged_vm_without_a_vmi_is_named_when_it_is_asked_for() {
    let mut cluster = base();
    remove(&mut cluster, "VirtualMachineInstance");
    object(&mut cluster, "VirtualMachine")["spec"] = json!("x");
    let output = check(&cluster, &["web"]);
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "error: the VM is not judged, because an object could not be read: VirtualMachine default/web: spec is the string \"x\", not an object\n"
    );
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(check(&cluster, &[]).status.code(), Some(3));
}

#[test]
fn a_damaged_object_without_a_name_is_named_by_its_kind() {
    let mut cluster = base();
    for metadata in [json!({}), json!({"name": ""})] {
        add(
            &mut cluster,
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}),
        );
    }
    let text = printed(&check(&cluster, &["-o", "wide"]));
    for expect in [
        "an object could not be read: a Namespace without a name: metadata.name is missing\n",
        "an object could not be read: a Namespace without a name: metadata.name is empty\n",
    ] {
        assert!(text.contains(expect), "{text}");
    }
}

#[test]
fn a_vm_whose_vmi_has_failed_is_ending() {
    let mut cluster = base();
    vmi(&mut cluster, "status/phase", json!("Failed"));
    let (verdict, code, messages) = judged(&cluster, &[]);
    assert_eq!((verdict.as_str(), code), ("blocked", Some(2)));
    assert_eq!(messages[0], "the VM is ending: its VMI has failed");
}

#[test]
fn a_node_that_does_not_exist_is_not_one_that_was_not_read() {
    let mut cluster = base();
    vmi(&mut cluster, "status/nodeName", json!("gone"));
    object(&mut cluster, "Pod")["spec"]["nodeName"] = json!("gone");
    let (verdict, code, messages) = judged(&cluster, &[]);
    assert_eq!((verdict.as_str(), code), ("blocked", Some(2)));
    assert_eq!(
        messages[0],
        "the node on which the VM runs is not ready: gone does not exist"
    );
}

#[test]
fn a_node_whose_condition_is_not_ready_is_no_target() {
    let mut cluster = base();
    let unknown = json!([{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]);
    object(&mut cluster, "Node")["status"]["conditions"] = unknown;
    let report = report(&cluster, &[]);
    let web = &report["items"][1];
    assert_eq!(web["targets"], json!([]));
    let findings = web["findings"].as_array().unwrap();
    let found = findings.iter().find(|found| found["code"] == "BRT0404");
    let found = found.unwrap();
    assert_eq!(
        found["message"],
        "node is not ready: its condition Ready is Unknown (NodeStatusUnknown)"
    );
    assert_eq!(found["nodes"], json!(["b"]));
}

#[test]
fn the_node_on_which_the_vm_runs_is_shown_as_what_it_is() {
    let text = printed(&check(&base(), &["web", "--node", "a"]));
    assert!(
        text.contains("BRT0101 migration source node (a)\n"),
        "{text}"
    );
    let text = printed(&check(&base(), &["web"]));
    assert!(!text.contains("BRT0101"), "{text}");
}

#[test]
fn a_migration_that_waits_is_judged_with_the_labels_that_it_adds() {
    let migration = |phase: &str| {
        json!({
            "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstanceMigration",
            "metadata": {"namespace": "default", "name": "move"},
            "spec": {"vmiName": "web", "addedNodeSelector": {"zone": "north", "kubernetes.io/arch": "arm64"}},
            "status": {"phase": phase},
        })
    };
    for (phase, verdict, said) in [
        ("Scheduling", "blocked", true),
        // Its target pod has its node.
        ("Running", "warning", false),
        ("Failed", "warning", false),
    ] {
        let mut cluster = base();
        add(&mut cluster, migration(phase));
        let report = report(&cluster, &[]);
        let web = &report["items"][1];
        assert_eq!(web["verdict"], verdict, "{phase}");
        let findings = web["findings"].as_array().unwrap().iter();
        let messages: Vec<&str> = findings
            .map(|found| found["message"].as_str().unwrap())
            .collect();
        // A key of the VM's own or KubeVirt's holds.
        assert_eq!(
            messages.contains(&"node selector does not match: zone=north"),
            said,
            "{messages:?}"
        );
        let waits = "a migration is under way: move, Scheduling, only to nodes with kubernetes.io/arch=arm64, zone=north";
        assert_eq!(messages.contains(&waits), said, "{messages:?}");
    }
}

/// What is said of a machine type that the other node has no label of, with this configuration.
fn of_machine_type(version: &str, labels: &[&str], config: &str) -> (Value, Vec<String>) {
    let mut cluster = base();
    set(
        object(&mut cluster, "KubeVirt"),
        "status/observedKubeVirtVersion",
        json!(version),
    );
    let own = &mut cluster["items"][1]["metadata"]["labels"];
    own.as_object_mut()
        .unwrap()
        .remove("machine-type.node.kubevirt.io/q35");
    for label in labels {
        own[format!("machine-type.node.kubevirt.io/{label}")] = json!("true");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    let report = report(
        &cluster,
        &["web", "--config", file.path().to_str().unwrap()],
    );
    let web = report["items"].as_array().unwrap().last().unwrap();
    let findings = web["findings"].as_array().unwrap().iter();
    let of_type = findings.filter(|found| found["message"].as_str().unwrap().contains("q35"));
    let codes = of_type.map(|found| found["code"].as_str().unwrap().to_owned());
    (web["targets"].clone(), codes.collect())
}

#[test]
fn a_node_without_the_machine_type_is_no_target_where_kubevirt_selects_nodes_by_it() {
    const ALLOW: &str = "machineType: {whenUnlabelled: Allow}";
    const EQUIVALENT: &str = "machineType: {equivalents: {q35: [pc-q35-9.4]}}";
    for (version, labels, config, targets, codes) in [
        ("v1.9.0", &[][..], "{}", json!([]), &["BRT0102"][..]),
        ("v1.9.0", &[], ALLOW, json!([]), &["BRT0408"]),
        (
            "v1.5.1",
            &["pc-q35-9.4"],
            EQUIVALENT,
            json!([]),
            &["BRT0408"],
        ),
        ("v1.5.0", &[], "{}", json!([]), &["BRT0102"]),
        ("v1.5.0", &[], ALLOW, json!(["b"]), &[]),
        ("v1.5.0", &["pc-q35-9.4"], EQUIVALENT, json!(["b"]), &[]),
    ] {
        let found = of_machine_type(version, labels, config);
        let codes: Vec<String> = codes.iter().map(|code| (*code).to_owned()).collect();
        assert_eq!(found, (targets, codes), "{version} {config}");
    }
}

#[test]
fn a_file_without_the_vms_that_made_its_vmis_lacks_them() {
    let mut cluster = base();
    remove(&mut cluster, "VirtualMachine");
    vmi(
        &mut cluster,
        "metadata/ownerReferences",
        json!([{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": "web", "uid": "1", "controller": true}]),
    );
    let output = check(&cluster, &["-A"]);
    assert_eq!(output.status.code(), Some(3));
    let text = printed(&output);
    assert!(
        text.contains("? BRT0902 the snapshot lacks a kind: virtualmachines\n"),
        "{text}"
    );
    let (verdict, code, messages) = judged(&cluster, &[]);
    assert_eq!((verdict.as_str(), code), ("unknown", Some(3)));
    assert_eq!(
        messages,
        ["not judged without what was not read: virtualmachines"]
    );
    // A VMI that no VM made needs none.
    vmi(&mut cluster, "metadata/ownerReferences", json!([]));
    let (verdict, ..) = judged(&cluster, &[]);
    assert_eq!(verdict, "warning");
}

#[test]
fn whether_there_is_a_vm_is_not_known_of_a_file_without_its_kind() {
    let mut of_vms = base();
    remove(&mut of_vms, "VirtualMachine");
    let owner = json!([{"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachine", "name": "web", "uid": "1"}]);
    vmi(&mut of_vms, "metadata/ownerReferences", owner);
    let empty = json!({"apiVersion": "v1", "kind": "List", "items": []});
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "pods is forbidden", "code": 403});
    for (cluster, args, expect) in [
        (
            &of_vms,
            &["vm/web"][..],
            "whether there is a VM default/web is not known: the file has no virtualmachines",
        ),
        (
            &of_vms,
            &["other"],
            "whether there is a VM default/other is not known: the file has no virtualmachines",
        ),
        (
            &empty,
            &["web"],
            "whether there is a VM default/web is not known: the file has no virtualmachines",
        ),
        (
            &empty,
            &["vmi/web", "-A"],
            "whether there is a VM web is not known: the file has no virtualmachineinstances",
        ),
        (
            &base(),
            &["other"],
            "there is no VM default/other; -n NAMESPACE selects another namespace, -A all of them",
        ),
        (
            &status,
            &["web"],
            "--snapshot FILE: document 1 is no object of a cluster: the kubectl that wrote the file failed: pods is forbidden",
        ),
    ] {
        let output = check(cluster, args);
        let said = String::from_utf8(output.stderr).unwrap();
        let said = match said
            .split_once("--snapshot ")
            .zip(said.split_once("cluster.json"))
        {
            Some(((before, _), (_, after))) => format!("{before}--snapshot FILE{after}"),
            None => said,
        };
        assert_eq!(said, format!("error: {expect}\n"), "{args:?}");
        assert_eq!(output.status.code(), Some(3));
    }
}

#[test]
fn a_vm_whose_vmi_has_succeeded_does_not_run() {
    let mut cluster = base();
    vmi(&mut cluster, "status/phase", json!("Succeeded"));
    let (_, _, messages) = judged(&cluster, &[]);
    assert!(
        messages.contains(&"the VM does not run: its VMI has ended".to_owned()),
        "{messages:?}"
    );
}

fn add_subnet(cluster: &mut Value, name: &str) {
    let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    add_kube_ovn(cluster, "Subnet", name, &json!({"vpc": "tenants"}), &ready);
}

fn add_vpc(cluster: &mut Value, name: &str) {
    add_kube_ovn(cluster, "Vpc", name, &json!({}), &json!({}));
}

fn add_address(cluster: &mut Value, owner: &str) {
    let spec = json!({"namespace": "default", "podName": owner});
    add_kube_ovn(
        cluster,
        "IP",
        &format!("{owner}.default"),
        &spec,
        &json!({}),
    );
}

fn add_damaged(cluster: &mut Value, kind: &str, name: &str) {
    add_kube_ovn(cluster, kind, name, &json!(7), &json!(7));
}

#[test]
fn what_kube_ovn_has_of_a_vm_is_named_where_it_was_not_read_and_the_vm_is_judged() {
    let cases: &[(&str, Change, &str)] = &[
        ("nothing", |_| {}, "not judged: subnet vlan7, its address"),
        (
            "everything",
            |c| {
                add_subnet(c, "vlan7");
                add_vpc(c, "tenants");
                add_address(c, "web");
            },
            "",
        ),
        (
            "no VPCs",
            |c| {
                add_subnet(c, "vlan7");
                add_address(c, "web");
            },
            "not judged: VPC tenants",
        ),
        (
            "a damaged subnet",
            |c| {
                add_subnet(c, "other");
                add_damaged(c, "Subnet", "vlan7");
                add_address(c, "web");
            },
            "not judged: subnet vlan7",
        ),
        (
            "a damaged address",
            |c| {
                add_subnet(c, "vlan7");
                add_vpc(c, "tenants");
                add_address(c, "other");
                add_damaged(c, "IP", "web.default");
            },
            "not judged: its address",
        ),
        (
            "another subnet",
            |c| {
                add_subnet(c, "other");
                add_address(c, "web");
            },
            "the subnet of the VM is not ready: vlan7 does not exist",
        ),
    ];
    for (case, change, expect) in cases {
        let mut cluster = base();
        attach(&mut cluster);
        change(&mut cluster);
        let (verdict, code, mut messages) = judged(&cluster, &[]);
        assert_eq!((verdict.as_str(), code), ("warning", Some(1)), "{case}");
        messages.retain(|message| !message.starts_with("only one node"));
        let text = messages.join("; ");
        let text = text.strip_prefix("what Kube-OVN has of the VM is ");
        let text = text.map_or_else(|| messages.join("; "), str::to_owned);
        assert_eq!(text, *expect, "{case}");
    }
}

/// Runs `berth check` on an API server that refuses to list VMs.
fn check_without_vms(cluster: &Value, args: &[&str]) -> std::process::Output {
    let server = ApiServer::start();
    for object in cluster["items"].as_array().unwrap() {
        server.apply(object.clone());
    }
    server.deny(Verb::List, "virtualmachines");
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = server.kubeconfig(dir.path());
    let mut command = berth();
    command.args(["check", "--kubeconfig"]).arg(kubeconfig);
    command.args(args).output().unwrap()
}

#[test]
fn whether_there_is_a_vm_is_not_known_where_vms_may_not_be_listed() {
    let mut cluster = base();
    remove(&mut cluster, "VirtualMachine");
    for args in [&["vm/web"][..], &["web"], &["vm/web", "-A"]] {
        let output = check_without_vms(&cluster, &[args, &["-o", "json"]].concat());
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        let report: Value = serde_json::from_str(&printed(&output)).unwrap();
        let web = &report["items"][1];
        assert_eq!(web["verdict"], "unknown");
        let findings = web["findings"].as_array().unwrap().iter();
        let mut messages = findings.map(|found| found["message"].as_str().unwrap());
        let expect = "not judged without what was not read: virtualmachines";
        assert!(messages.any(|message| message == expect), "{args:?}");
    }
    for (args, vm) in [
        (&["vm/other"][..], "default/other"),
        (&["other"], "default/other"),
        (&["vm/other", "-A"], "other"),
    ] {
        let output = check_without_vms(&cluster, args);
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        let expect = format!(
            "error: whether there is a VM {vm} is not known: virtualmachines could not be listed: "
        );
        assert!(said.starts_with(&expect), "{said}");
    }
    let output = check_without_vms(&cluster, &["vmi/other"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("error: there is no VM default/other; "),
        "{said}"
    );
}

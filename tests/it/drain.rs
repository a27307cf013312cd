//! `berth drain` on a snapshot, as people run it.

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use crate::check::{annotated, migrating, shown};
use crate::process::berth;
use crate::support::{item, items};

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
    let output = drain(&crate::check::of_readme(), &["el10-1", "el9-0"]);
    assert_eq!(printed(&output), shown("drain el10-1 el9-0"));
    assert_eq!(output.status.code(), Some(2));
    let output = drain(&migrating(), &["el10-1"]);
    assert_eq!(output.status.code(), Some(0));
}

/// The plan that `-o json` prints.
fn plan(cluster: &Value, nodes: &[&str]) -> Value {
    let output = drain(cluster, &[nodes, &["-o", "json"]].concat());
    serde_json::from_str(&printed(&output)).unwrap()
}

/// Each VM that moves, with the node that it goes to and its wave.
fn moves(plan: &Value) -> Vec<String> {
    let moves = plan["moves"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    moves
        .map(|vm| format!("{} {} {}", text(&vm["name"]), text(&vm["to"]), vm["wave"]))
        .collect()
}

/// The names of the VMs of an outcome.
fn names(vms: &Value) -> Vec<&str> {
    let vms = vms.as_array().unwrap().iter();
    vms.map(|vm| vm["name"].as_str().unwrap()).collect()
}

/// The messages of a VM with this code.
fn messages<'a>(vm: &'a Value, code: &str) -> Vec<&'a str> {
    let findings = vm["findings"].as_array().unwrap().iter();
    let findings = findings.filter(|finding| finding["code"] == code);
    findings
        .map(|finding| finding["message"].as_str().unwrap())
        .collect()
}

/// The captured cluster, whose VMs migrate when their node is drained, without a migration under way.
fn settled() -> Value {
    let mut cluster = migrating();
    items(&mut cluster).retain(|object| {
        let is_target = object["metadata"]["labels"]
            .get("kubevirt.io/migrationJobUID")
            .is_some();
        object["kind"] != "VirtualMachineInstanceMigration" && !is_target
    });
    for object in items(&mut cluster) {
        if object["kind"] == "VirtualMachineInstance" {
            let status = object["status"].as_object_mut().unwrap();
            status.remove("migrationState");
        }
    }
    cluster
}

/// The cluster [`settled`], in which no nodes but these can take a VM.
fn settled_with(nodes: &[&str]) -> Value {
    let mut cluster = settled();
    for object in items(&mut cluster) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if object["kind"] == "Node" && !nodes.contains(&name) {
            object["spec"]["unschedulable"] = json!(true);
        }
    }
    cluster
}

/// Gives a VM and its pod the label `app`, and a required rule about the pods with the label `app=OTHER`.
fn rule(cluster: &mut Value, vm: &str, kind: &str, topology: &str, other: &str) {
    let affinity = json!({kind: {"requiredDuringSchedulingIgnoredDuringExecution": [{
        "topologyKey": topology, "labelSelector": {"matchLabels": {"app": other}},
    }]}});
    for object in items(cluster) {
        let owner = &object["metadata"]["ownerReferences"][0];
        let is_its_pod = owner["kind"] == "VirtualMachineInstance" && owner["name"] == vm;
        let is_it = object["kind"] == "VirtualMachineInstance" && object["metadata"]["name"] == vm;
        if is_it || is_its_pod {
            object["metadata"]["labels"]["app"] = json!(vm);
            object["spec"]["affinity"] = affinity.clone();
        }
    }
}

const HOST: &str = "kubernetes.io/hostname";

#[test]
fn vms_without_an_eviction_strategy_would_be_shut_down() {
    let output = drain(&annotated(), &["el10-1"]);
    assert_eq!(
        printed(&output),
        "\
default/db on el10-1 would be shut down
  ‼ BRT0413 a drain would shut the VM down: it has no eviction strategy

the cluster
  ? BRT0910 OVN's chassis are not judged

what to do
  BRT0413 ShutDownByDrain
      Set `evictionStrategy: LiveMigrate` in the VM's template (`spec.template.spec`) and restart
      the VM: a change of the template takes effect only then. Or set it in `spec.configuration` of
      the KubeVirt CR, where it takes effect at once, but only for VMs that have no
      `evictionStrategy`: one with `None` keeps it.
  BRT0910 SouthboundNotRead
      Set `--ovn-sb`, as in `--ovn-sb tcp:10.0.0.1:6642`, to the addresses of the database (Service
      `ovn-sb` in kube-system), and run the command where they can be reached.
  berth explain CODE says more

el10-1: 1 VM would be shut down
"
    );
    assert_eq!(output.status.code(), Some(1));
    let output = drain(&annotated(), &["el10-1", "--fail-on", "error"]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_vm_whose_target_pod_alone_is_on_the_node_runs_on_where_it_is() {
    let plan = plan(&annotated(), &["el9-0"]);
    assert_eq!(names(&plan["shutDown"]), ["web"]);
    assert_eq!(names(&plan["stuck"]), [""; 0]);
    let stays = &plan["endedMigrations"][0];
    assert_eq!(stays["name"], "legacy");
    assert_eq!(stays["node"], "el10-2");
    assert_eq!(
        messages(stays, "BRT0422"),
        ["a drain would end the migration of the VM: to el9-0; the VM runs on at el10-2"]
    );
    assert_eq!(messages(stays, "BRT0413"), [""; 0]);

    let mut alone = annotated();
    items(&mut alone).retain(|object| object["metadata"]["name"] != "web");
    let output = drain(&alone, &["el9-0"]);
    let text = printed(&output);
    let expect = "default/legacy on el10-2 would stay: the drain ends its migration\n";
    assert!(text.contains(expect), "{text}");
    let expect = "\nel9-0: no VM has to move, 1 migration would end\n";
    assert!(text.ends_with(expect), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_target_pod_that_the_vmi_does_not_name_yet_counts() {
    let mut cluster = annotated();
    let vmi = item(&mut cluster, "VirtualMachineInstance", "legacy");
    let status = vmi["status"].as_object_mut().unwrap();
    status.remove("migrationState");
    let ended = |cluster: &Value| {
        let plan = plan(cluster, &["el9-0"]);
        names(&plan["endedMigrations"]).len()
    };
    assert_eq!(ended(&cluster), 1);
    // One of a migration that is over goes by itself.
    for object in items(&mut cluster) {
        if object["kind"] == "VirtualMachineInstanceMigration" {
            object["status"]["phase"] = json!("Failed");
        }
    }
    assert_eq!(ended(&cluster), 0);
}

#[test]
fn a_drain_waits_for_the_target_pod_of_a_vm_that_is_to_migrate() {
    let plan = plan(&migrating(), &["el9-0"]);
    assert_eq!(names(&plan["stuck"]), ["legacy"]);
    assert_eq!(names(&plan["endedMigrations"]), [""; 0]);
    assert_eq!(
        messages(&plan["stuck"][0], "BRT0414"),
        ["a drain would wait for the VM: LiveMigrate, until its migration to el9-0 is over"]
    );
}

#[test]
fn a_target_pod_on_a_drained_node_blocks_whichever_other_nodes_are_drained() {
    for (nodes, stuck, expect) in [
        (
            &["el9-0"][..],
            &["legacy"][..],
            &["web el9-nochassis 1"][..],
        ),
        (&["el9-0", "el10-2"], &["legacy"], &["web el9-nochassis 1"]),
        (&["el9-nochassis"], &["web"], &[]),
        (&["el9-0", "el9-nochassis"], &["legacy", "web"], &[]),
    ] {
        let plan = plan(&migrating(), nodes);
        assert_eq!(names(&plan["stuck"]), stuck, "{nodes:?}");
        assert_eq!(moves(&plan), expect, "{nodes:?}");
    }
    let cluster = migrating();
    let plan = plan(&cluster, &["el9-0", "el9-nochassis"]);
    let web = &plan["stuck"][1];
    assert_eq!(
        messages(web, "BRT0414"),
        [
            "a drain would wait for the VM: LiveMigrate, until its migration to el9-nochassis is over"
        ]
    );
    assert_eq!(web["targets"], json!([]));
    // The migration of a VM that ends does not come to its end.
    let mut ending = migrating();
    let vmi = item(&mut ending, "VirtualMachineInstance", "web");
    vmi["metadata"]["deletionTimestamp"] = json!("2026-11-21T02:30:00Z");
    let plan = self::plan(&ending, &["el9-0", "el9-nochassis"]);
    assert_eq!(
        messages(&plan["stuck"][1], "BRT0414"),
        [
            "a drain would wait for the VM: its eviction strategy is LiveMigrate, and it cannot migrate"
        ]
    );
}

#[test]
fn a_migration_that_is_under_way_is_shown_with_the_move() {
    let plan = plan(&migrating(), &["el9-0"]);
    assert_eq!(moves(&plan), ["web el9-nochassis 1"]);
    assert_eq!(plan["moves"][0]["isUnderWay"], true);
    assert_eq!(
        messages(&plan["moves"][0], "BRT0213"),
        ["a migration is under way: from el9-0 to el9-nochassis"]
    );
}

#[test]
fn a_migration_to_a_node_that_does_not_fit_is_a_warning_with_what_is_against_the_node() {
    let mut cluster = migrating();
    items(&mut cluster).retain(|object| object["metadata"]["name"] != "legacy");
    let code = |args: &[&str]| drain(&cluster, args).status.code();
    assert_eq!(code(&["el9-0"]), Some(1));
    assert_eq!(code(&["el9-0", "--fail-on", "error"]), Some(0));
    assert_eq!(code(&["el9-0", "--suppress", "BRT0217"]), Some(0));
    let plan = plan(&cluster, &["el9-0"]);
    let web = &plan["moves"][0];
    assert_eq!(
        messages(web, "BRT0217"),
        [
            "the migration under way goes to a node that does not fit: el9-nochassis (BRT0103, BRT0106)"
        ]
    );
    let against = web["findings"].as_array().unwrap().iter();
    let against = against.filter(|finding| finding["nodes"] == json!(["el9-nochassis"]));
    let against: Vec<&Value> = against.map(|finding| &finding["code"]).collect();
    assert_eq!(against, ["BRT0103", "BRT0106"]);
    let text = printed(&drain(&cluster, &["el9-0"]));
    let expect = "\nel9-0: 1 VM would move in 1 wave, 1 of them to a node that does not fit\n";
    assert!(text.ends_with(expect), "{text}");
}

#[test]
fn a_vm_whose_migration_is_under_way_moves_to_its_target_pod_and_takes_no_other_room() {
    let mut cluster = migrating();
    item(&mut cluster, "Node", "el9-0")["status"]["allocatable"]["memory"] = json!("1Gi");
    let output = drain(&cluster, &["el10-2"]);
    let text = printed(&output);
    let expect = "wave 1\n  default/legacy  el10-2 → el9-0, under way\n";
    assert!(text.starts_with(expect), "{text}");
    assert_eq!(output.status.code(), Some(0));

    // It counts among the migrations that KubeVirt runs at a time.
    let kubevirt = item(&mut cluster, "KubeVirt", "kubevirt");
    kubevirt["spec"]["configuration"]["migrations"] = json!({"parallelMigrationsPerCluster": 1});
    let plan = plan(&cluster, &["el10-1", "el10-2"]);
    assert_eq!(moves(&plan), ["legacy el9-0 1", "db el10-0 2"]);
    assert_eq!(plan["moves"][1]["isUnderWay"], false);

    // The migration of a VM that ends does not come to its end.
    let vmi = item(&mut cluster, "VirtualMachineInstance", "legacy");
    vmi["metadata"]["deletionTimestamp"] = json!("2026-11-21T02:30:00Z");
    let plan = self::plan(&cluster, &["el10-2"]);
    assert_eq!(names(&plan["stuck"]), ["legacy"]);
}

#[test]
fn a_vm_that_could_not_be_judged_is_listed_apart_and_the_exit_code_is_3() {
    let mut cluster = settled();
    let vmi = item(&mut cluster, "VirtualMachineInstance", "web");
    let volumes = vmi["spec"]["volumes"].as_array_mut().unwrap();
    volumes.push(json!({"name": "data", "persistentVolumeClaim": {"claimName": "gone"}}));
    let output = drain(&cluster, &["el9-0"]);
    let text = printed(&output);
    let expect = "\
default/web on el9-0 may block the drain
  ? not judged
  ? BRT0917 not judged without what was not read: claim gone
";
    assert!(text.starts_with(expect), "{text}");
    let expect = "\nel9-0: 1 VM could not be judged\n";
    assert!(text.ends_with(expect), "{text}");
    assert_eq!(output.status.code(), Some(3));
    let of_json = plan(&cluster, &["el9-0"]);
    assert_eq!(names(&of_json["notJudged"]), ["web"]);
    assert_eq!(of_json["moves"], json!([]));

    // A VM of which the file lacks the VMI may be on any node.
    let mut cluster = settled();
    items(&mut cluster).retain(|object| {
        object["kind"] != "VirtualMachineInstance" || object["metadata"]["name"] != "web"
    });
    let plan = plan(&cluster, &["el10-0"]);
    assert_eq!(names(&plan["notJudged"]), ["web"]);
}

#[test]
fn a_vm_that_starts_on_the_node_has_its_node_and_says_that_it_starts() {
    let mut cluster = settled();
    item(&mut cluster, "VirtualMachineInstance", "web")["status"]["phase"] = json!("Scheduling");
    let text = printed(&drain(&cluster, &["el9-0"]));
    let expect = "\
default/web on el9-0 would block the drain
  i BRT0215 the VM does not run: Scheduling
  ‼ BRT0414 a drain would wait for the VM: its eviction strategy is LiveMigrate, and it is starting:
            wait until it runs
";
    assert!(text.starts_with(expect), "{text}");
}

#[test]
fn a_vm_that_starts_on_the_node_is_shut_down_or_waited_for() {
    let starting = |mut cluster: Value| {
        let vmi = item(&mut cluster, "VirtualMachineInstance", "db");
        vmi["status"]["phase"] = json!("Scheduled");
        vmi["status"]["conditions"] = json!([]);
        plan(&cluster, &["el10-1"])
    };
    assert_eq!(names(&starting(annotated())["shutDown"]), ["db"]);
    assert_eq!(names(&starting(migrating())["stuck"]), ["db"]);
}

#[test]
fn two_vms_that_keep_each_other_away_do_not_get_the_same_node() {
    let drained = ["el9-0", "el10-2"];
    let excluding = |mut cluster: Value| {
        rule(&mut cluster, "web", "podAntiAffinity", HOST, "legacy");
        rule(&mut cluster, "legacy", "podAntiAffinity", HOST, "web");
        cluster
    };
    let both = plan(&excluding(settled_with(&["el9-1", "el9-2"])), &drained);
    assert_eq!(moves(&both), ["legacy el9-1 1", "web el9-2 1"]);
    assert_eq!(both["moves"][0]["findings"], json!([]));

    let cluster = excluding(settled_with(&["el9-1"]));
    let one = plan(&cluster, &drained);
    assert_eq!(moves(&one), ["legacy el9-1 1"]);
    let web = &one["stuck"][0];
    assert_eq!(web["name"], "web");
    assert_eq!(messages(web, "BRT0401").len(), 1);
    let kept = messages(web, "BRT0421");
    assert_eq!(
        kept[0],
        "affinity or anti-affinity to pods does not match: another pod has anti-affinity to pods app=web on the same kubernetes.io/hostname (such as the target pod of default/legacy)"
    );
    assert_eq!(drain(&cluster, &drained).status.code(), Some(2));
}

#[test]
fn the_planned_move_that_keeps_a_vm_off_is_named_and_not_its_own_pod() {
    let mut cluster = settled_with(&["el9-1", "el10-1"]);
    for vm in ["db", "legacy", "web"] {
        rule(&mut cluster, vm, "podAntiAffinity", HOST, "x");
    }
    for object in items(&mut cluster) {
        let Some(labels) = object["metadata"].get_mut("labels") else {
            continue;
        };
        if labels["app"] == "db" || labels["app"] == "legacy" || labels["app"] == "web" {
            labels["app"] = json!("x");
        }
    }
    let plan = plan(&cluster, &["el9-0", "el10-2"]);
    assert_eq!(moves(&plan), ["legacy el9-1 1"]);
    let web = &plan["stuck"][0];
    let findings = web["findings"].as_array().unwrap().iter();
    let kept = findings.filter_map(|finding| {
        let (_, pod) = finding["message"].as_str()?.split_once(" (such as ")?;
        Some(format!("{pod} {}", finding["nodes"]))
    });
    let kept: Vec<String> = kept.collect();
    assert_eq!(
        kept,
        [
            "default/virt-launcher-db-msf88) [\"el10-1\"]",
            "the target pod of default/legacy) [\"el9-1\"]",
            "default/virt-launcher-db-msf88) [\"el10-1\"]",
            "the target pod of default/legacy) [\"el9-1\"]"
        ]
    );
}

#[test]
fn one_rule_is_enough_to_keep_two_vms_apart() {
    for (vm, other) in [("web", "legacy"), ("legacy", "web")] {
        let mut cluster = settled_with(&["el9-1"]);
        for name in [vm, other] {
            let about = if name == vm { other } else { "none" };
            rule(&mut cluster, name, "podAntiAffinity", HOST, about);
        }
        let plan = plan(&cluster, &["el9-0", "el10-2"]);
        assert_eq!(moves(&plan), ["legacy el9-1 1"], "{vm}");
        assert_eq!(names(&plan["stuck"]), ["web"], "{vm}");
    }
}

#[test]
fn a_vm_moves_to_where_another_has_left_or_gone_before_it() {
    let zone = |cluster: &mut Value, nodes: &[(&str, &str)]| {
        for (node, zone) in nodes {
            item(cluster, "Node", node)["metadata"]["labels"]["zone"] = json!(zone);
        }
    };
    let only_on = |cluster: &mut Value, vm: &str, node: &str| {
        let vmi = item(cluster, "VirtualMachineInstance", vm);
        vmi["spec"]["nodeSelector"] = json!({HOST: node});
    };
    // The zone of el9-1 is free once web has left it.
    let mut cluster = settled();
    let zones = [("el9-0", "a"), ("el9-1", "a"), ("el9-2", "c")];
    zone(&mut cluster, &zones);
    rule(&mut cluster, "web", "podAntiAffinity", "zone", "none");
    rule(&mut cluster, "legacy", "podAntiAffinity", "zone", "web");
    only_on(&mut cluster, "web", "el9-2");
    only_on(&mut cluster, "legacy", "el9-1");
    let left = plan(&cluster, &["el9-0", "el10-2"]);
    assert_eq!(moves(&left), ["web el9-2 1", "legacy el9-1 2"]);

    // legacy has to be where web is, on a node that stays.
    let mut cluster = settled_with(&["el9-3"]);
    rule(&mut cluster, "web", "podAntiAffinity", HOST, "none");
    rule(&mut cluster, "legacy", "podAffinity", HOST, "web");
    let followed = plan(&cluster, &["el9-0", "el10-2"]);
    assert_eq!(moves(&followed), ["web el9-3 1", "legacy el9-3 2"]);

    // Each has to follow the other.
    rule(&mut cluster, "web", "podAffinity", HOST, "legacy");
    let neither = plan(&cluster, &["el9-0", "el10-2"]);
    assert_eq!(moves(&neither), [""; 0]);
    assert_eq!(names(&neither["stuck"]), ["legacy", "web"]);
}

#[test]
fn a_node_that_is_named_twice_is_drained_once() {
    let cluster = settled();
    let twice = drain(&cluster, &["el9-0", "el9-0"]);
    assert_eq!(printed(&twice), printed(&drain(&cluster, &["el9-0"])));
    assert_eq!(
        plan(&cluster, &["el9-0", "el9-0"])["nodes"],
        json!(["el9-0"])
    );
}

#[test]
fn a_node_without_vms_has_none_to_move() {
    let output = drain(&settled(), &["el10-0"]);
    let text = printed(&output);
    assert!(text.ends_with("\n\nel10-0: no VM has to move\n"), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_vm_that_blocks_the_drain_has_the_reason_of_each_node_and_what_to_do() {
    let mut cluster = settled_with(&["el10-0"]);
    item(&mut cluster, "Node", "el9-3")["status"]["allocatable"]["memory"] = json!("1Gi");
    let text = printed(&drain(&cluster, &["el9-0"]));
    let (vm, remedies) = text.split_once("\nthe cluster\n").unwrap();
    assert_eq!(
        vm,
        "\
default/web on el9-0 would block the drain
  × BRT0401 no node can take the VM
  ‼ BRT0414 a drain would wait for the VM: its eviction strategy is LiveMigrate, and it cannot
            migrate
  - BRT0102 machine type pc-q35-rhel9.2.0 not supported (el10-0, el10-1, el10-2, old-nolabels)
  - BRT0103 OVN chassis not registered (el9-nochassis)
  - BRT0106 OVN agents not ready (el9-nochassis)
  - BRT0403 node is cordoned (el10-1, el10-2, el9-1, el9-2 and 3 more)
  - BRT0411 not enough free resources: memory: 1.3 GiB requested, 1.0 GiB free (el9-3)
"
    );
    assert!(remedies.contains("\n  BRT0401 NoTarget\n"), "{remedies}");
    assert!(remedies.contains("\n  BRT0102 "), "{remedies}");
    let wide = printed(&drain(&cluster, &["el9-0", "-o", "wide"]));
    assert!(
        wide.contains("BRT0101 migration source node (el9-0)"),
        "{wide}"
    );
}

#[test]
fn the_short_plan_has_a_line_for_each_vm() {
    let output = drain(&migrating(), &["el10-1", "el9-0", "-o", "short"]);
    assert_eq!(
        printed(&output),
        "\
VM              NODE    OUTCOME  TO             WAVE  CODES
default/web     el9-0   moves    el9-nochassis  1     BRT0213 BRT0217
default/db      el10-1  moves    el10-0         1
default/legacy  el10-2  blocks   -              -     BRT0213 BRT0414
"
    );
    let yaml = printed(&drain(&migrating(), &["el10-1", "-o", "yaml"]));
    let yaml: Value = serde_saphyr::from_str(&yaml).unwrap();
    assert_eq!(yaml, plan(&migrating(), &["el10-1"]));
}

#[test]
fn a_drain_of_every_node_that_fits_is_stuck() {
    let nodes = ["el9-0", "el9-1", "el9-2", "el9-3", "el9-nochassis"];
    let output = drain(&settled(), &[&nodes[..], &["-o", "json"]].concat());
    let plan: Value = serde_json::from_str(&printed(&output)).unwrap();
    assert_eq!(plan["kind"], "DrainPlan");
    assert_eq!(plan["moves"], json!([]));
    let stuck = plan["stuck"].as_array().unwrap();
    assert_eq!(names(&plan["stuck"]), ["web"]);
    let found = |code: &str| {
        let findings = stuck[0]["findings"].as_array().unwrap().iter();
        let found = findings.filter(|finding| finding["code"] == code);
        found
            .map(|finding| finding["nodes"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("BRT0401"), [json!([])]);
    // No node is cordoned.
    let others = json!(["el9-1", "el9-2", "el9-3", "el9-nochassis"]);
    assert_eq!(found("BRT0424"), [others]);
    assert!(found("BRT0403").is_empty());
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_vm_that_would_migrate_and_has_no_room_blocks_the_drain_and_is_not_shut_down() {
    let mut cluster = migrating();
    let kubevirt = item(&mut cluster, "KubeVirt", "kubevirt");
    kubevirt["spec"]["configuration"]["evictionStrategy"] = json!("LiveMigrateIfPossible");
    for object in items(&mut cluster) {
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
    let output = drain(&annotated(), &["el11-0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "error: there is no node \"el11-0\"\n");
    assert_eq!(output.status.code(), Some(3));
    let mut cluster = annotated();
    items(&mut cluster).retain(|item| item["kind"] != "Pod");
    let output = drain(&cluster, &["el10-1"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let expect = "error: no plan without what could not be read: the snapshot lacks a kind: pods. Write the snapshot with all kinds: ";
    assert!(said.starts_with(expect), "{said}");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn the_schema_describes_the_plan_and_needs_no_node() {
    let output = berth().args(["drain", "--schema"]).output().unwrap();
    let schema: Value = serde_json::from_str(&printed(&output)).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(schema["title"], "DrainPlan");
    let fields =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let plan = plan(&migrating(), &["el9-0", "el10-1"]);
    assert_eq!(fields(&schema["properties"]), fields(&plan));
    let of_move = &schema["$defs"]["Move"]["properties"];
    assert_eq!(fields(of_move), fields(&plan["moves"][0]));
    for schema in ["true", "false"] {
        let mut command = berth();
        command.arg("drain").env("BERTH_SCHEMA", schema);
        let code = command.output().unwrap().status.code();
        assert_eq!(code, Some(if schema == "true" { 0 } else { 3 }));
    }
}

#[test]
fn a_suppressed_code_changes_the_exit_code_and_not_what_becomes_of_the_vm() {
    let blocked = || {
        let mut cluster = settled();
        let vmi = item(&mut cluster, "VirtualMachineInstance", "web");
        vmi["spec"]["evictionStrategy"] = json!("External");
        cluster
    };
    let gap = || {
        let mut cluster = settled();
        let vmi = item(&mut cluster, "VirtualMachineInstance", "web");
        let volumes = vmi["spec"]["volumes"].as_array_mut().unwrap();
        volumes.push(json!({"name": "data", "persistentVolumeClaim": {"claimName": "gone"}}));
        cluster
    };
    let mut shut_down = annotated();
    items(&mut shut_down).retain(|object| object["metadata"]["name"] != "legacy");
    // The cluster, the outcome of web, its exit code, and the code that decides.
    for (cluster, outcome, exit, decisive) in [
        (blocked(), "stuck", 2, "BRT0414"),
        (gap(), "notJudged", 3, "BRT0917"),
        (shut_down, "shutDown", 1, "BRT0413"),
    ] {
        let of_web = format!("{decisive}=vm/default/web");
        let of_other = format!("{decisive}=vm/default/db");
        for (rule, expect) in [
            ("BRT0101", exit),
            (decisive, 0),
            (&*of_web, 0),
            (&of_other, exit),
        ] {
            let args = ["el9-0", "-o", "json", "--suppress", rule];
            let output = drain(&cluster, &args);
            assert_eq!(output.status.code(), Some(expect), "{outcome} {rule}");
            let plan: Value = serde_json::from_str(&printed(&output)).unwrap();
            assert_eq!(names(&plan[outcome]), ["web"], "{outcome} {rule}");
            assert_eq!(plan["suppressed"], usize::from(expect == 0));
            let is_left = !messages(&plan[outcome][0], decisive).is_empty();
            assert_eq!(is_left, expect != 0, "{outcome} {rule}");
        }
        let output = drain(&cluster, &["el9-0", "--suppress", decisive]);
        let text = printed(&output);
        assert!(
            text.ends_with(" (1 by suppressed findings alone)\n"),
            "{text}"
        );
        assert!(text.starts_with("default/web on el9-0 "), "{text}");
    }
    // Of a VM that blocks for two reasons, one is left.
    let mut cluster = settled_with(&["el10-0"]);
    item(&mut cluster, "Node", "el10-0")["spec"]["unschedulable"] = json!(true);
    let code = |codes: &[&str]| {
        let rules = codes.iter().flat_map(|code| ["--suppress", code]);
        let args: Vec<&str> = ["el9-0"].into_iter().chain(rules).collect();
        drain(&cluster, &args).status.code()
    };
    assert_eq!(code(&["BRT0401"]), Some(2));
    assert_eq!(code(&["BRT0414"]), Some(2));
    assert_eq!(code(&["BRT0401", "BRT0414"]), Some(0));
    let output = drain(
        &cluster,
        &["el9-0", "--suppress", "BRT0413=vm/default/nope"],
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "warning: --suppress \"BRT0413=vm/default/nope\": there is no VM default/nope\n"
    );
    // The findings of what moves, and of the cluster.
    let rules = [
        "el9-0",
        "-o",
        "json",
        "--suppress",
        "BRT0213",
        "--suppress",
        "BRT0910",
    ];
    let plan: Value = serde_json::from_str(&printed(&drain(&migrating(), &rules))).unwrap();
    assert_eq!(messages(&plan["moves"][0], "BRT0213"), [""; 0]);
    let findings = plan["findings"].as_array().unwrap();
    assert!(findings.iter().all(|found| found["code"] != "BRT0910"));
}

/// A quota of the namespace of the VMs, which leaves so much memory.
fn add_quota(cluster: &mut Value, left: &str) {
    items(cluster).push(json!({
        "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": {"namespace": "default", "name": "team"},
        "spec": {"hard": {"requests.memory": left}},
        "status": {"hard": {"requests.memory": left}, "used": {"requests.memory": "0"}},
    }));
}

#[test]
fn a_wave_has_no_more_target_pods_of_a_namespace_than_its_quota_has_room_for() {
    // Each of the three launcher pods requests a little more than 1.2 GiB.
    let nodes = ["el9-0", "el10-1", "el10-2"];
    let waves = |quota: Option<&str>| {
        let mut cluster = settled();
        if let Some(left) = quota {
            add_quota(&mut cluster, left);
        }
        let plan = plan(&cluster, &nodes);
        let moves = plan["moves"].as_array().unwrap().iter();
        let waves: Vec<u64> = moves.map(|vm| vm["wave"].as_u64().unwrap()).collect();
        let stuck = plan["stuck"].as_array().unwrap().len();
        (waves, stuck)
    };
    assert_eq!(waves(None), (vec![1, 1, 1], 0));
    assert_eq!(waves(Some("8Gi")), (vec![1, 1, 1], 0));
    assert_eq!(waves(Some("3Gi")), (vec![1, 1, 2], 0));
    assert_eq!(waves(Some("2Gi")), (vec![1, 2, 3], 0));
    assert_eq!(waves(Some("1Gi")), (vec![], 3));
}

#[test]
fn a_vm_moves_once_a_migration_that_is_under_way_has_left_its_quota() {
    // The target pod of legacy is counted in what is used.
    let mut cluster = migrating();
    add_quota(&mut cluster, "1Gi");
    let alone = plan(&cluster, &["el10-1"]);
    assert_eq!(names(&alone["stuck"]), ["db"]);
    let both = plan(&cluster, &["el10-1", "el10-2"]);
    assert_eq!(moves(&both), ["legacy el9-0 1", "db el10-0 2"]);
}

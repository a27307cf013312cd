//! A drain that `berth drain` has planned, carried out by KubeVirt's own evacuation controller and a real
//! kube-scheduler.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Api;
use crate::programs::judged;
use crate::scheduler::Scheduler;
use crate::shapes::{self, NODES, list, name};
use crate::virt_controller::{VirtController, run_pod, vmis, wait_until_running};
use crate::vms;
use crate::wait;
use crate::world::World;

const NAMESPACE: &str = "drain";

/// How long all migrations take: KubeVirt runs two at a time of each node, and looks for room each second.
const DRAINED: Duration = Duration::from_mins(2);

/// virt-controller acts within milliseconds of a change.
const SETTLED: Duration = Duration::from_secs(3);

/// What becomes of VMs: their rows, and the field of a plan that names them.
const FATES: [(&str, &str); 3] = [
    ("moved", "moves"),
    ("stuck", "stuck"),
    ("shut-down", "shutDown"),
];

pub(crate) fn a_drain_does_to_every_vm_what_its_plan_says(world: &mut World) {
    world.namespace(NAMESPACE);
    let cluster = shapes::cluster("drain.yaml");
    shapes::make(world, NAMESPACE, &cluster);
    let mut controller = VirtController::start(world);
    let api = &world.api;
    let fates = FATES.map(|(rows, _)| rows);
    let rows: Vec<&Value> = fates
        .iter()
        .chain(&["elsewhere"])
        .flat_map(|rows| list(&cluster[*rows]))
        .collect();
    for row in &rows {
        api.post(
            &vms::vmis(NAMESPACE),
            &shapes::vmi(&cluster["every-vm"], row),
        );
    }
    wait_until_running(world, NAMESPACE, rows.len());
    let berth = world.berth("berth");
    let service = world.service(&[&berth]);
    let scheduler = Scheduler::start(world, &service.url(), &world.ca);

    let drained: Vec<&str> = list(&cluster["drained"])
        .map(|node| node.as_str().unwrap())
        .collect();
    let plan = || judged(&[&["drain"], &drained[..]].concat(), &world.plane.admin);
    let planned = plan();
    let names =
        |rows: &Value| -> BTreeSet<String> { list(rows).map(|row| name(row).to_owned()).collect() };
    for (rows, field) in FATES {
        assert_eq!(
            names(&planned[field]),
            names(&cluster[rows]),
            "{field}: {planned:#}"
        );
    }
    let moving = names(&planned["moves"]);

    for node in &drained {
        api.merge(
            &format!("{NODES}/{node}"),
            &json!({"spec": {"unschedulable": true}}),
        );
    }
    for vmi in vmis(world, NAMESPACE) {
        if drained.contains(&vmi["status"]["nodeName"].as_str().unwrap()) {
            evict(api, &vmi);
        }
    }
    let moved = || -> BTreeSet<String> {
        finish_migrations(world);
        let moved = vmis(world, NAMESPACE).into_iter().filter(|vmi| {
            vmi["status"]["evacuationNodeName"].is_string()
                && vmi["status"]["nodeName"] != vmi["status"]["evacuationNodeName"]
        });
        moved.map(|vmi| name(&vmi["metadata"]).to_owned()).collect()
    };
    wait::within(DRAINED, "the VMs move", || {
        let moved = moved();
        if moved.is_superset(&moving) {
            Ok(())
        } else {
            Err(format!("{moved:?}"))
        }
    });
    wait::throughout(SETTLED, || assert_eq!(moved(), moving));
    controller.check();
    scheduler.assert_always_answered();

    // Those that the drain shuts down have no migration, those that it waits for none with a place.
    let shut_down = names(&planned["shutDown"]);
    for migration in api.list(&vms::migrations(NAMESPACE)) {
        let vm = migration["spec"]["vmiName"].as_str().unwrap();
        assert!(!shut_down.contains(vm), "{migration}");
        let is_over = migration["status"]["phase"] == "Succeeded";
        assert_eq!(is_over, moving.contains(vm), "{migration}");
    }
    let again = plan();
    assert_eq!(names(&again["moves"]), BTreeSet::new(), "{again:#}");
    assert_eq!(
        names(&again["stuck"]),
        names(&planned["stuck"]),
        "{again:#}"
    );
}

/// The pods of a VMI, or of all.
fn pods(api: &Api, vmi: &Value) -> Vec<Value> {
    let mut pods = api.list(&vms::pods(NAMESPACE));
    let uid = &vmi["metadata"]["uid"];
    pods.retain(|pod| pod["metadata"]["labels"]["kubevirt.io/created-by"] == *uid);
    pods
}

fn path(pod: &Value) -> String {
    format!("{}/{}", vms::pods(NAMESPACE), name(&pod["metadata"]))
}

/// Evicts the pod of a VMI as a drain does. KubeVirt's webhook for evictions, which is not here, refuses
/// that of a VMI that can migrate or that others move, and marks the VMI instead
/// (`pkg/virt-api/webhooks/validating-webhook/admitters/pod-eviction-admitter.go`).
fn evict(api: &Api, vmi: &Value) {
    let mut conditions = list(&vmi["status"]["conditions"]);
    let is_migratable =
        conditions.any(|it| it["type"] == "LiveMigratable" && it["status"] == "True");
    match (vmi["spec"]["evictionStrategy"].as_str(), is_migratable) {
        (Some("LiveMigrate" | "LiveMigrateIfPossible"), true) | (Some("External"), _) => {
            let marked = json!({"status": {"evacuationNodeName": vmi["status"]["nodeName"]}});
            api.merge(
                &format!("{}/{}", vms::vmis(NAMESPACE), name(&vmi["metadata"])),
                &marked,
            );
        }
        (Some("LiveMigrate"), false) => {}
        _ => {
            let [pod] = &pods(api, vmi)[..] else {
                panic!("not one pod: {vmi}")
            };
            let eviction = json!({
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": pod["metadata"]["name"], "namespace": NAMESPACE},
            });
            api.post(&format!("{}/eviction", path(pod)), &eviction);
        }
    }
}

/// Does what a kubelet and virt-handler do with migrations whose pods have a node: one step of each.
fn finish_migrations(world: &World) {
    let api = &world.api;
    for vmi in vmis(world, NAMESPACE) {
        let pods = pods(api, &vmi);
        let is_target = |pod: &&Value| {
            pod["metadata"]["labels"]
                .get("kubevirt.io/migrationJobUID")
                .is_some()
                && pod["spec"].get("nodeName").is_some()
        };
        let Some(target) = pods.iter().find(is_target) else {
            continue;
        };
        if target["status"]["phase"] != "Running" {
            run_pod(world, &path(target));
        }
        let state = &vmi["status"]["migrationState"];
        let is_prepared =
            state["migrationUid"] == target["metadata"]["labels"]["kubevirt.io/migrationJobUID"];
        if is_prepared && state["completed"] != true {
            let time = &target["metadata"]["creationTimestamp"];
            let node = &target["spec"]["nodeName"];
            let change = json!({
                "metadata": {"labels": {"kubevirt.io/nodeName": node}},
                "status": {
                    "nodeName": node,
                    "migrationState": {
                        "targetNodeAddress": "192.0.2.1",
                        "startTimestamp": time,
                        "endTimestamp": time,
                        "completed": true,
                    },
                },
            });
            api.merge(
                &format!("{}/{}", vms::vmis(NAMESPACE), name(&vmi["metadata"])),
                &change,
            );
            for pod in pods.iter().filter(|pod| pod["spec"]["nodeName"] != *node) {
                api.delete(&path(pod));
            }
        }
    }
}

//! The targets that `berth check` names, and the nodes on which KubeVirt's own virt-controller and a real
//! kube-scheduler, which asks berth, place the pods of migrations.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::Api;
use crate::programs::judged;
use crate::scheduler::Scheduler;
use crate::shapes::{self, NODE_LABEL, NODES, list, name};
use crate::virt_controller::{VirtController, wait_until_running};
use crate::vms;
use crate::wait;
use crate::world::World;

const NAMESPACE: &str = "agreement";

/// The labels of the nodes that are no target of a VM.
const OTHER: &str = "example.com/no-target-of-";

/// How long kube-scheduler takes at most to try a pod again.
const RETRIED: Duration = Duration::from_secs(12);

/// Nodes by VM.
type Sets = BTreeMap<String, BTreeSet<String>>;

pub(crate) fn a_check_names_the_nodes_that_migrations_are_placed_on(world: &mut World) {
    world.namespace(NAMESPACE);
    let cluster = shapes::cluster("agreement.yaml");
    let api = &world.api;
    shapes::make(world, NAMESPACE, &cluster);
    let mut controller = VirtController::start(world);
    let vms = cluster["vms"].as_array().unwrap();
    for vm in vms {
        api.post(
            &vms::vmis(NAMESPACE),
            &shapes::vmi(&cluster["every-vm"], vm),
        );
    }
    wait_until_running(world, NAMESPACE, vms.len());
    make_room_for_one(api);
    for vm in vms.iter().filter(|vm| vm.get("plugged").is_some()) {
        let path = format!("{}/{}", vms::vmis(NAMESPACE), name(vm));
        api.merge(&path, &vm["plugged"]);
    }

    let berth = world.berth("berth");
    let service = world.service(&[&berth]);
    let scheduler = Scheduler::start(world, &service.url(), &world.ca);
    let report = judged(&["check", "-n", NAMESPACE], &world.plane.admin);
    assert_eq!(verdicts(&report), expected(vms));
    let placed: Sets = vms
        .iter()
        .map(|vm| (name(vm).to_owned(), set(&vm["placed"], &vm["targets"])))
        .collect();
    label_others(api, &placed, list(&cluster["nodes"]).map(name));
    let differences = differences(api, &placed);
    controller.check();
    scheduler.assert_always_answered();
    assert_eq!(differences, [""; 0]);
}

/// The targets of each VM, and the codes of what was not judged.
type Verdicts = BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)>;

fn verdicts(report: &Value) -> Verdicts {
    let vms = list(&report["items"]).filter(|item| item["kind"] != "Cluster");
    vms.map(|item| {
        let unchecked = list(&item["findings"]).filter(|found| found["severity"] == "unchecked");
        let codes = unchecked.map(|found| found["code"].as_str().unwrap().to_owned());
        let targets = set(&item["targets"], &Value::Null);
        (name(item).to_owned(), (targets, codes.collect()))
    })
    .collect()
}

fn expected(vms: &[Value]) -> Verdicts {
    vms.iter()
        .map(|vm| {
            let unchecked = set(&vm["unchecked"], &Value::Null);
            let is_other = vm.get("placed").is_some();
            assert!(!is_other || !unchecked.is_empty(), "{}", vm["name"]);
            let targets = set(&vm["targets"], &Value::Null);
            (name(vm).to_owned(), (targets, unchecked))
        })
        .collect()
}

/// A list of texts, or another one where there is none.
fn set(texts: &Value, instead: &Value) -> BTreeSet<String> {
    let texts = if texts.is_null() { instead } else { texts };
    list(texts)
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

/// Leaves as much memory on node `snug` as VM exact requests, and one byte less on node `short`.
fn make_room_for_one(api: &Api) {
    let pods = api.list(&vms::pods(NAMESPACE));
    let is_exact = |pod: &&Value| pod["metadata"]["annotations"]["kubevirt.io/domain"] == "exact";
    let pod = pods.iter().find(is_exact).expect("a pod of VM exact");
    // The only init container is one that runs on.
    let containers = list(&pod["spec"]["containers"]).chain(list(&pod["spec"]["initContainers"]));
    let requested: u64 = containers
        .map(|container| {
            bytes(
                container["resources"]["requests"]["memory"]
                    .as_str()
                    .unwrap(),
            )
        })
        .sum();
    for (node, free) in [("snug", requested), ("short", requested - 1)] {
        let status = json!({"allocatable": {"memory": free.to_string()}});
        api.merge(
            &format!("{NODES}/{node}/status"),
            &json!({"status": status}),
        );
    }
}

fn bytes(quantity: &str) -> u64 {
    let at = quantity.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = quantity.split_at(at.unwrap_or(quantity.len()));
    let unit = match unit {
        "" => 1,
        "M" => 1_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        other => panic!("{quantity}: {other}"),
    };
    number.parse::<u64>().unwrap() * unit
}

/// Says of each node that is no target of a VM that it is none, so that a migration can be allowed all of
/// them.
fn label_others<'a>(api: &Api, targets: &Sets, nodes: impl Iterator<Item = &'a str>) {
    for node in nodes {
        let others = targets
            .iter()
            .filter(|(_, targets)| !targets.contains(node));
        let labels: BTreeMap<String, &str> = others
            .map(|(vm, _)| (format!("{OTHER}{vm}"), "yes"))
            .collect();
        api.merge(
            &format!("{NODES}/{node}"),
            &json!({"metadata": {"labels": labels}}),
        );
    }
}

/// What differs from the targets: a migration that is allowed all other nodes is placed on one, or one that
/// is allowed one target is not placed there.
fn differences(api: &Api, targets: &Sets) -> Vec<String> {
    let mut differences = Vec::new();
    let others: Vec<Try> = targets
        .keys()
        .map(|vm| Try::start(api, vm, &format!("{OTHER}{vm}"), "yes"))
        .collect();
    for one in others {
        if let Some(node) = one.node_or_rejection(api) {
            differences.push(format!("{}: placed on {node}", one.vm));
        }
        one.end(api);
    }
    // No two VMs are on the same node at a time: each has all the room.
    let mut left = targets.clone();
    while !left.is_empty() {
        let mut taken = BTreeSet::new();
        let mut tries = Vec::new();
        for (vm, targets) in &mut left {
            let free = targets.iter().find(|node| !taken.contains(*node));
            if let Some(node) = free.cloned() {
                targets.remove(&node);
                taken.insert(node.clone());
                tries.push((Try::start(api, vm, NODE_LABEL, &node), node));
            }
        }
        left.retain(|_, targets| !targets.is_empty());
        for (one, node) in tries {
            if let Err(status) = one.node(api) {
                differences.push(format!("{}: not placed on {node}: {status}", one.vm));
            }
            one.end(api);
        }
    }
    differences
}

/// A migration of a VM, and its pod.
struct Try {
    vm: String,
    migration: String,
    pod: String,
}

impl Try {
    /// Starts one that is allowed the nodes with this label.
    fn start(api: &Api, vm: &str, label: &str, value: &str) -> Self {
        let migration = json!({
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstanceMigration",
            "metadata": {"generateName": format!("{vm}-")},
            "spec": {"vmiName": vm, "addedNodeSelector": {label: value}},
        });
        let made = api.post(&vms::migrations(NAMESPACE), &migration);
        let migration = format!("{}/{}", vms::migrations(NAMESPACE), name(&made["metadata"]));
        // While virt-controller has not seen a pod that it has made, it makes no other, and looks again
        // after a second.
        wait::until(&format!("the pod of {migration} is known"), || {
            let status = api.get(&migration)["status"].take();
            match status["phase"].as_str() {
                Some("Scheduling") => Ok(()),
                _ => Err(status.to_string()),
            }
        });
        let pods = vms::pods(NAMESPACE);
        let uid = made["metadata"]["uid"].as_str().unwrap();
        let made = format!("{pods}?labelSelector=kubevirt.io/migrationJobUID%3D{uid}");
        let [pod] = &api.list(&made)[..] else {
            panic!("not one pod of {migration}");
        };
        Self {
            vm: vm.to_owned(),
            pod: format!("{pods}/{}", name(&pod["metadata"])),
            migration,
        }
    }

    /// The node on which it is placed, unless it is rejected everywhere.
    fn node_or_rejection(&self, api: &Api) -> Option<String> {
        wait::until(&format!("{} is scheduled or not", self.pod), || {
            let pod = api.get(&self.pod);
            match (
                pod["spec"]["nodeName"].as_str(),
                vms::rejection(&pod["status"]),
            ) {
                (Some(node), _) => Ok(Some(node.to_owned())),
                (None, Some(_)) => Ok(None),
                (None, None) => Err(pod["status"].to_string()),
            }
        })
    }

    /// The node on which it is placed. It may be rejected at first, by what has just gone.
    fn node(&self, api: &Api) -> Result<String, String> {
        let start = Instant::now();
        loop {
            if let Some(node) = self.node_or_rejection(api) {
                return Ok(node);
            }
            if start.elapsed() > RETRIED {
                return Err(api.get(&self.pod)["status"]["conditions"].to_string());
            }
        }
    }

    fn end(self, api: &Api) {
        api.delete(&self.migration);
        api.delete(&self.pod);
    }
}

//! The bind verb, with a real kube-scheduler, a real kube-apiserver and a real OVN.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::scheduling;
use crate::berth::Berth;
use crate::manifests::documents;
use crate::ovn_lab::Lab;
use crate::programs::repository;
use crate::scheduler::Scheduler;
use crate::vms;
use crate::wait;
use crate::world::World;

/// The nodes that a VM of `el9-0` can migrate to, and then its own.
const NODES: [&str; 4] = ["el9-1", "el9-2", "el9-3", "el9-0"];

fn options(lab: &Lab, port: &str) -> Value {
    let select = json!({"op": "select", "table": "Logical_Switch_Port", "where": [["name", "==", port]], "columns": ["options"]});
    lab.northbound.transact(&lab.ovn, &[select])[0]["rows"][0]["options"][1].take()
}

/// Lets berth bind pods.
fn grant(world: &World) {
    let rights = fs::read_to_string(repository("manifests/components/continuity/rbac.yaml"));
    world.kubectl.apply(&documents(&rights.unwrap()));
}

/// An OVN on which these VMs of a namespace run on `el9-0`, and two replicas that prepare their migrations.
fn prepare(world: &World, namespace: &str, vms: [&str; 2]) -> (Lab, [Berth; 2]) {
    let Some(mut lab) = Lab::start() else {
        panic!("tests/setup.sh brings OVN");
    };
    for (node, number) in NODES.into_iter().zip([2, 3, 4, 1]) {
        lab.add(node, &format!("{number:08}-1111-4222-8333-444455556666"));
    }
    grant(world);
    let replicas = ["a", "b"].map(|name| {
        world.changed_berth(name, |config| {
            config["southbound"] = json!({
                "endpoints": lab.southbound.unix(),
                "probe": {"endpoints": lab.northbound.unix()},
            });
            config["continuity"] = json!({"mode": "Prepare"});
        })
    });
    lab.nbctl(&["ls-add", "switch"]);
    for vm in vms {
        let port = format!("{vm}.{namespace}");
        let id = format!("external_ids:pod={namespace}/{vm}");
        lab.nbctl(&[
            "lsp-add",
            "switch",
            &port,
            "--",
            "set",
            "Logical_Switch_Port",
            &port,
            &id,
        ]);
        lab.plug("el9-0", &port);
    }
    lab.nbctl(&["sync"]);
    wait::until("their ports are known", || {
        match count(&replicas, "berth_southbound_ports") {
            4 => Ok(()),
            ports => Err(format!("{ports} ports")),
        }
    });
    (lab, replicas)
}

/// The sum of a series over the replicas.
fn count(replicas: &[Berth; 2], series: &str) -> u64 {
    replicas.iter().map(|berth| berth.metric(series)).sum()
}

/// Makes the target pod of a new migration of a VM, once every replica knows of `known` migrations.
fn start_target(world: &World, replicas: &[Berth; 2], vmi: &Value, known: u64) -> String {
    let migration = vms::start_migration(&world.api, vmi);
    wait::until("the migration is known", || {
        match count(replicas, "berth_cluster_objects{kind=\"migration\"}") {
            seen if seen == 2 * known => Ok(()),
            seen => Err(format!("{seen} of {}", 2 * known)),
        }
    });
    let mut target = vms::target_pod(vmi);
    target["metadata"]["labels"]["kubevirt.io/migrationJobUID"] =
        migration["metadata"]["uid"].clone();
    vms::start_pod(&world.api, &target)
}

/// Makes the first pod of a VM.
fn start_vm(world: &World, vmi: &Value) -> String {
    let mut new = vms::target_pod(vmi);
    let labels = new["metadata"]["labels"].as_object_mut().unwrap();
    labels.retain(|key, _| !key.starts_with("kubevirt.io/migration"));
    new["spec"]["affinity"] = json!({});
    vms::start_pod(&world.api, &new)
}

pub(crate) fn a_target_is_bound_once_its_network_is_prepared_and_also_without_berth(
    world: &mut World,
) {
    let namespace = world.namespace("continuity");
    let (lab, replicas) = prepare(world, &namespace, ["web", "late"]);
    let service = world.service(&replicas.each_ref());
    let scheduler = Scheduler::start_binding(world, &service.url(), &world.ca);
    let api = &world.api;
    let count = |series: &str| count(&replicas, series);
    let vmi = vms::run_vmi(api, &namespace, "web", "el9-0");
    let target = start_target(world, &replicas, &vmi, 1);
    let node = vms::wait_until_bound(api, &target);
    assert!(lab.has_flows(&node, "switch"), "{node}");
    let pair = json!([
        ["activation-strategy", "rarp"],
        ["requested-chassis", format!("el9-0,{node}")]
    ]);
    assert_eq!(options(&lab, &format!("web.{namespace}")), pair);
    for series in [
        "berth_port_pairs_total{outcome=\"written\"}",
        "berth_warmings_total{outcome=\"warmed\"}",
        "berth_binds_total{outcome=\"bound\"}",
    ] {
        assert_eq!(count(series), 1, "{series}");
    }

    // A VM that starts is bound by berth as well, and OVN is left as it is.
    let new = start_vm(world, &vmi);
    vms::wait_until_bound(api, &new);
    assert_eq!(count("berth_binds_total{outcome=\"bound\"}"), 2);
    assert_eq!(count("berth_warmings_total"), 1);
    scheduler.assert_always_answered();

    // Without berth, kube-scheduler binds them itself.
    for berth in replicas {
        berth.signal(Signal::KILL);
        berth.wait();
    }
    let vmi = vms::run_vmi(api, &namespace, "late", "el9-0");
    let target = vms::start_target(api, &vmi);
    vms::wait_until_bound(api, &target);
}

pub(crate) fn a_bind_that_waits_holds_up_no_other_pod_and_a_slow_or_failing_berth_no_vm(
    world: &mut World,
) {
    let namespace = world.namespace("waiting");
    let (mut lab, replicas) = prepare(world, &namespace, ["web", "late"]);
    let service = world.service(&replicas.each_ref());
    let scheduler = Scheduler::start_binding(world, &service.url(), &world.ca);
    let api = &world.api;
    let count = |series: &str| count(&replicas, series);
    let bound = "berth_binds_total{outcome=\"bound\"}";

    // No chassis answers, so that a target waits for as long as it may.
    for node in &NODES[..3] {
        lab.kill_controller(node);
    }
    let vmi = vms::run_vmi(api, &namespace, "web", "el9-0");
    let target = start_target(world, &replicas, &vmi, 1);
    let port = format!("web.{namespace}");
    wait::until("the target is being prepared", || {
        let options = options(&lab, &port);
        let is_written = options.to_string().contains("rarp");
        is_written.then_some(()).ok_or_else(|| options.to_string())
    });
    let new = start_vm(world, &vmi);
    vms::wait_until_bound(api, &new);
    let plain = json!({
        "metadata": {"name": "plain", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "none"}]},
    });
    vms::wait_until_bound(api, &vms::start_pod(api, &plain));
    assert_eq!(count(bound), 1, "that of the VM");
    assert!(api.get(&target)["spec"]["nodeName"].is_null());
    vms::wait_until_bound(api, &target);
    assert_eq!(count(bound), 2);
    assert_eq!(count("berth_warmings_total{outcome=\"late\"}"), 1);
    scheduler.assert_always_answered();
    drop(scheduler);

    // kube-scheduler binds the target itself, while berth still waits for a chassis.
    let hasty = Scheduler::start_binding_within(world, &service.url(), &world.ca, Some("2s"));
    let vmi = vms::run_vmi(api, &namespace, "late", "el9-0");
    let target = start_target(world, &replicas, &vmi, 2);
    vms::wait_until_bound(api, &target);
    assert_eq!(count(bound), 2);

    // It does the same where berth answers with an error.
    world
        .kubectl
        .run(&["delete", "clusterrolebinding", "berth-continuity"], "");
    wait::until("a bind fails", || {
        vms::wait_until_bound(api, &start_vm(world, &vmi));
        match count("berth_binds_total{outcome=\"failed\"}") {
            0 => Err("none".to_owned()),
            _ => Ok(()),
        }
    });
    drop(hasty);
    grant(world);
}

pub(crate) fn filter_scores_and_preemption_go_on_where_berth_binds(world: &mut World) {
    grant(world);
    let bound = "berth_binds_total{outcome=\"bound\"}";
    let berth = scheduling::targets_land(world, Scheduler::start_binding);
    assert_eq!(berth.metric(bound), 17);
    drop(berth);
    world.reset();
    let berth = scheduling::scores_decide(world, Scheduler::start_binding);
    assert_eq!(berth.metric(bound), 2 * scheduling::CHOICES);
    drop(berth);
    world.reset();
    scheduling::preemption_is_guarded(world, Scheduler::start_binding);
}

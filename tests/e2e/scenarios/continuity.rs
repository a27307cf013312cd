//! The bind verb, with a real kube-scheduler, a real kube-apiserver and a real OVN.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

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

pub(crate) fn a_target_is_bound_once_its_network_is_prepared_and_also_without_berth(
    world: &mut World,
) {
    let Some(mut lab) = Lab::start() else {
        panic!("tests/setup.sh brings OVN");
    };
    for (node, number) in NODES.into_iter().zip([2, 3, 4, 1]) {
        lab.add(node, &format!("{number:08}-1111-4222-8333-444455556666"));
    }
    let namespace = world.namespace("continuity");
    let rights = fs::read_to_string(repository("manifests/components/continuity/rbac.yaml"));
    world.kubectl.apply(&documents(&rights.unwrap()));
    let replicas = ["a", "b"].map(|name| {
        world.changed_berth(name, |config| {
            config["southbound"] = json!({
                "endpoints": lab.southbound.unix(),
                "probe": {"endpoints": lab.northbound.unix()},
            });
            config["continuity"] = json!({"mode": "Prepare"});
        })
    });
    let service = world.service(&replicas.each_ref());
    let scheduler = Scheduler::start_binding(world, &service.url(), &world.ca);
    let api = &world.api;
    lab.nbctl(&["ls-add", "switch"]);
    for vm in ["web", "late"] {
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

    let vmi = vms::run_vmi(api, &namespace, "web", "el9-0");
    let count = |series: &str| -> u64 { replicas.iter().map(|berth| berth.metric(series)).sum() };
    wait::until("its port is known", || {
        match count("berth_southbound_ports") {
            4 => Ok(()),
            ports => Err(format!("{ports} ports")),
        }
    });
    let migration = vms::start_migration(api, &vmi);
    wait::until("the migration is known", || {
        match count("berth_cluster_objects{kind=\"migration\"}") {
            2 => Ok(()),
            known => Err(format!("{known} of 2")),
        }
    });
    let mut target = vms::target_pod(&vmi);
    target["metadata"]["labels"]["kubevirt.io/migrationJobUID"] =
        migration["metadata"]["uid"].clone();
    let target = vms::start_pod(api, &target);
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
    let mut new = vms::target_pod(&vmi);
    let labels = new["metadata"]["labels"].as_object_mut().unwrap();
    labels.retain(|key, _| !key.starts_with("kubevirt.io/migration"));
    new["spec"]["affinity"] = json!({});
    let new = vms::start_pod(api, &new);
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

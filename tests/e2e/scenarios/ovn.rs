//! A real OVN beside a real kube-scheduler: a chassis that dies and returns, and networks that are local.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::fleet;
use crate::ovn_lab::Lab;
use crate::scheduler::Scheduler;
use crate::vms;
use crate::wait;
use crate::world::World;

/// From the return of a chassis to the pod on its node.
const SOON: Duration = Duration::from_secs(5);

/// kube-scheduler's, and a bit.
const LONGEST_BACKOFF: Duration = Duration::from_secs(11);

/// What people read of a pod whose VM runs on `el9-0` while every other chassis is dead.
const REJECTED: &str = "0/9 nodes are available: 1 OVN chassis not registered, 1 migration source node, 3 OVN chassis not responding, 4 machine type pc-q35-rhel9.2.0 not supported.";

pub(crate) fn a_pod_that_fits_nowhere_is_scheduled_soon_after_a_chassis_returns(world: &mut World) {
    let Some(mut lab) = Lab::start() else {
        panic!("tests/setup.sh brings OVN");
    };
    let nodes = ["el9-1", "el9-2", "el9-3"];
    for (node, number) in nodes.into_iter().zip(2..) {
        lab.add(node, &format!("{number:08}-1111-4222-8333-444455556666"));
    }
    // The chassis of the VM's own node keeps up: where all fall behind together, no node is at fault.
    lab.add("el9-0", "00000001-1111-4222-8333-444455556666");
    let southbound = json!({
        "endpoints": lab.southbound.unix(),
        "allowedLag": "3s",
        "probe": {"endpoints": lab.northbound.unix(), "interval": "1s"},
    });
    let replicas = ["a", "b"].map(|name| world.berth_on_ovn(name, &southbound));
    let service = world.service(&replicas.each_ref());
    let scheduler = Scheduler::start(world, &service.url(), &world.ca);
    let api = &world.api;
    let ready = |node: &str| {
        let node = api.get(&format!("/api/v1/nodes/{node}"));
        let conditions = node["status"]["conditions"].as_array().unwrap();
        let is = conditions.iter().find(|is| is["type"] == "OVNChassisReady");
        is.map(|is| is["status"].as_str().unwrap().to_owned())
    };
    let wait_for = |status: &str| {
        wait::until(&format!("every chassis is {status}"), || {
            let are = nodes.map(ready);
            if are.iter().all(|is| is.as_deref() == Some(status)) {
                return Ok(());
            }
            Err(format!("{are:?}"))
        });
    };
    wait_for("True");
    for node in nodes {
        lab.kill_controller(node);
    }
    wait_for("False");

    let namespace = world.namespace("dead");
    let vmi = vms::run_vmi(api, &namespace, "web", "el9-0");
    let pod = vms::start_target(api, &vmi);
    let text = vms::wait_until_rejected(api, &pod);
    assert!(text.starts_with(REJECTED), "{text}");
    let before = api.get(&pod);
    let judged = || -> u64 {
        let judged = "berth_extender_requests_total{outcome=\"judged\"";
        replicas.iter().map(|berth| berth.metric(judged)).sum()
    };
    let first = judged();
    let mut beat = 0;
    wait::until("it was tried three times more", || {
        beat += 1;
        let time = beat.to_string();
        fleet::set_annotation(api, "el10-0", "kubevirt.io/heartbeat", Some(&time));
        match judged() - first {
            tried if tried >= 3 => Ok(()),
            tried => Err(format!("{tried} times")),
        }
    });
    assert_eq!(api.get(&pod), before, "it says the same every time");

    // It is left alone for longer than kube-scheduler's longest back-off: what wakes it now is the
    // chassis, and nothing else.
    let mut quiet = (judged(), Instant::now());
    wait::until("it is left alone", || {
        let now = judged();
        if now != quiet.0 {
            quiet = (now, Instant::now());
        }
        if quiet.1.elapsed() > LONGEST_BACKOFF {
            return Ok(());
        }
        Err(format!("tried {now} times"))
    });
    let start = Instant::now();
    lab.start_controller("el9-2");
    let bound = wait::within(SOON, "the pod is bound", || {
        let pod = api.get(&pod);
        let node = pod["spec"]["nodeName"].as_str().map(str::to_owned);
        node.ok_or_else(|| pod["status"].to_string())
    });
    println!("    bound after {:.1} s", start.elapsed().as_secs_f64());
    assert_eq!(bound, "el9-2");
    assert_eq!(ready("el9-1").as_deref(), Some("False"));
    let writes = replicas
        .each_ref()
        .map(|berth| berth.metric("berth_node_condition_writes_total"));
    assert!(writes.contains(&0), "one of them publishes: {writes:?}");
    scheduler.assert_always_answered();
}

/// How many VMs on a switch migrate at once.
const VMS: usize = 3;

pub(crate) fn targets_land_where_their_network_is_local(world: &mut World) {
    let Some(mut lab) = Lab::start() else {
        panic!("tests/setup.sh brings OVN");
    };
    let nodes = ["el9-1", "el9-2", "el9-3"];
    for (node, number) in nodes.into_iter().zip(2..) {
        lab.add(node, &format!("{number:08}-1111-4222-8333-444455556666"));
    }
    let namespace = world.namespace("local");
    let api = &world.api;
    let southbound = json!({"endpoints": lab.southbound.unix()});
    let berth = world.berth_on_ovn("berth", &southbound);
    let service = world.service(&[&berth]);
    let scheduler = Scheduler::start(world, &service.url(), &world.ca);
    let caller = berth.caller(&world.ca);
    lab.nbctl(&["ls-add", "switch"]);
    let port = |name: &str| {
        let id = format!("external_ids:pod={namespace}/{name}");
        let name = format!("{name}.{namespace}");
        let set = ["--", "set", "Logical_Switch_Port", &name, &id];
        lab.nbctl(&[&["lsp-add", "switch", &name][..], &set].concat());
        name
    };
    let neighbour = port("neighbour");
    let mut before = None;
    for (round, node) in ["el9-2", "el9-3", "el9-1"].into_iter().enumerate() {
        if let Some(before) = before.replace(node) {
            lab.unplug(before, &neighbour);
        }
        lab.plug(node, &neighbour);
        let vmis: Vec<_> = (0..VMS)
            .map(|number| {
                let name = format!("vm-{round}-{number}");
                port(&name);
                vms::run_vmi(api, &namespace, &name, "el9-0")
            })
            .collect();
        let args = vms::filter_args(&vmis[VMS - 1], &nodes);
        let scores =
            nodes.map(|one| json!({"Host": one, "Score": if one == node { 10 } else { 4 }}));
        wait::until("the scores follow", || {
            match caller.post("/scheduler/prioritize", &args) {
                found if found == json!(scores) => Ok(()),
                found => Err(found.to_string()),
            }
        });
        // Each takes room there that the other nodes have.
        for vmi in &vmis {
            let pod = vms::start_target(api, vmi);
            assert_eq!(vms::wait_until_bound(api, &pod), node);
        }
    }
    let decides = "berth_score_inputs_total{effect=\"decides\",input=\"locality\"";
    assert!(berth.metric(decides) >= 9);
    scheduler.assert_always_answered();
}

//! Migration targets, scheduled by a real kube-scheduler that asks berth.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::api::Api;
use crate::berth::Berth;
use crate::fleet;
use crate::relay::Relay;
use crate::scheduler::Scheduler;
use crate::service::Service;
use crate::vms::{self, MACHINE_LABEL, MACHINE_TYPE};
use crate::wait;
use crate::world::World;

/// The nodes that run VMs of [`MACHINE_TYPE`] and have a network.
const RIGHT: [&str; 4] = ["el9-0", "el9-1", "el9-2", "el9-3"];

/// How long a pod may wait once its obstacle is gone: kube-scheduler's longest back-off, and a bit.
const SOON: Duration = Duration::from_secs(12);

/// Between two heartbeats, of which a larger cluster has more.
const HEARTBEAT: Duration = Duration::from_secs(2);

const JUDGED: &str = "berth_extender_requests_total{outcome=\"judged\",verb=\"filter\"";

/// How kube-scheduler is started.
pub(super) type Start = fn(&World, &str, &Path) -> Scheduler;

/// One replica that kube-scheduler asks.
fn serve(world: &World) -> (Berth, Service, Scheduler) {
    serve_to(world, Scheduler::start)
}

fn serve_to(world: &World, start: Start) -> (Berth, Service, Scheduler) {
    let berth = world.berth("berth");
    let service = world.service(&[&berth]);
    let scheduler = start(world, &service.url(), &world.ca);
    (berth, service, scheduler)
}

pub(crate) fn a_target_lands_on_a_right_node_and_never_on_a_wrong_one(world: &mut World) {
    targets_land(world, Scheduler::start);
}

/// Returns the replica that was asked.
pub(super) fn targets_land(world: &World, start: Start) -> Berth {
    let (berth, _service, scheduler) = serve_to(world, start);
    let namespace = world.namespace("landing");
    let api = &world.api;
    let mut targets = Vec::new();
    for round in 0..4 {
        for source in RIGHT {
            let vmi = vms::run_vmi(api, &namespace, &format!("{source}-{round}"), source);
            let mut pod = vms::target_pod(&vmi);
            if round % 2 == 1 {
                vms::select_machine_type(&mut pod);
            }
            targets.push((source, vms::start_pod(api, &pod)));
        }
    }
    for (source, pod) in targets {
        let node = vms::wait_until_bound(api, &pod);
        assert!(RIGHT.contains(&node.as_str()), "{pod} is on {node}");
        assert_ne!(node, source, "{pod} is where its VM runs");
    }
    assert_eq!(berth.metric(JUDGED), 16);

    // The first pod of a VM is asked about, and goes where it likes.
    let vmi = vms::run_vmi(api, &namespace, "new", "");
    let mut pod = vms::target_pod(&vmi);
    let labels = pod["metadata"]["labels"].as_object_mut().unwrap();
    labels.remove("kubevirt.io/migrationJobUID");
    vms::wait_until_bound(api, &vms::start_pod(api, &pod));
    let not_guarded = "berth_extender_requests_total{outcome=\"not_guarded\",verb=\"filter\"";
    assert_eq!(berth.metric(not_guarded), 1);
    scheduler.assert_always_answered();
    berth
}

/// What is in the way of a VM that runs on `el9-0` on one of the other nodes.
type Obstacle = (&'static str, fn(&Api, bool));

/// An obstacle of each kind, on nodes that would be right without it.
const OBSTACLES: [Obstacle; 4] = [
    ("el9-1", |api, there| {
        let chassis = (!there).then_some("00000002-1111-4222-8333-444455556666");
        fleet::set_annotation(api, "el9-1", "ovn.kubernetes.io/chassis", chassis);
    }),
    ("el9-2", |api, there| {
        fleet::set_ovs_ready(api, "el9-2", !there);
    }),
    ("el9-3", |api, there| {
        let status = if there { "True" } else { "False" };
        fleet::set_condition(api, "el9-3", "NetworkUnavailable", status);
    }),
    ("el10-0", |api, there| {
        let label = format!("{MACHINE_LABEL}{MACHINE_TYPE}");
        fleet::set_label(api, "el10-0", &label, (!there).then_some("true"));
    }),
];

fn obstruct(api: &Api) {
    for (_, set) in OBSTACLES {
        set(api, true);
    }
}

/// What people read of a pod whose VM runs on `el9-0` while everything is in its way.
const REJECTED: &str = "0/9 nodes are available: 1 OVN agents not ready, 1 migration source node, 1 node network unavailable, 2 OVN chassis not registered, 4 machine type pc-q35-rhel9.2.0 not supported.";

/// What events say of pods that are not scheduled.
fn events(api: &Api, namespace: &str) -> Vec<String> {
    let events = api.list(&format!("/api/v1/namespaces/{namespace}/events"));
    let failed = events.iter().filter(|e| e["reason"] == "FailedScheduling");
    failed
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect()
}

/// None of that is cured by evicting somebody.
const NOT_PREEMPTING: &str = "0/9 nodes are available: 9 Preemption is not helpful for scheduling.";

pub(crate) fn a_pod_that_fits_nowhere_says_why_and_the_same_every_time(world: &mut World) {
    let (berth, _service, scheduler) = serve(world);
    let namespace = world.namespace("nowhere");
    let api = &world.api;
    obstruct(api);
    let vmi = vms::run_vmi(api, &namespace, "web", "el9-0");
    let pod = vms::start_target(api, &vmi);
    let text = vms::wait_until_rejected(api, &pod);
    assert!(text.starts_with(REJECTED), "{text}");
    assert!(text.ends_with(NOT_PREEMPTING), "{text}");
    wait::until("events say so", || {
        let events = events(api, &namespace);
        if !events.is_empty() && events.iter().all(|event| *event == text) {
            return Ok(());
        }
        Err(format!("{events:#?}"))
    });

    // What happens on nodes wakes the pod: it is tried again, and what it says stays.
    let before = api.get(&pod);
    let first = berth.metric(JUDGED);
    let mut beat = 0;
    wait::until("it was tried three times more", || {
        beat += 1;
        let time = beat.to_string();
        fleet::set_annotation(api, "el10-0", "kubevirt.io/heartbeat", Some(&time));
        let tried = berth.metric(JUDGED) - first;
        if tried >= 3 {
            Ok(())
        } else {
            Err(format!("{tried} times"))
        }
    });
    assert_eq!(api.get(&pod), before);
    assert!(events(api, &namespace).iter().all(|event| *event == text));
    scheduler.assert_always_answered();
}

pub(crate) fn a_rejected_pod_is_scheduled_soon_after_its_obstacle_goes(world: &mut World) {
    let (berth, _service, scheduler) = serve(world);
    let namespace = world.namespace("waiting");
    let api = &world.api;
    obstruct(api);
    for (node, set) in OBSTACLES {
        let vmi = vms::run_vmi(api, &namespace, &format!("for-{node}"), "el9-0");
        let pod = vms::start_target(api, &vmi);
        vms::wait_until_rejected(api, &pod);
        let judged = berth.metric(JUDGED);
        let start = Instant::now();
        set(api, false);
        // The change wakes kube-scheduler, which may ask before berth has heard of it. The next
        // thing that happens to any node wakes it again, and nodes have heartbeats.
        let mut heartbeats = 0;
        let bound = wait::within(SOON, "the pod is bound", || {
            let pod = api.get(&pod);
            if let Some(node) = pod["spec"]["nodeName"].as_str() {
                return Ok(node.to_owned());
            }
            if start.elapsed() > HEARTBEAT * (heartbeats + 1) {
                heartbeats += 1;
                let time = heartbeats.to_string();
                fleet::set_annotation(api, "el10-1", "kubevirt.io/heartbeat", Some(&time));
            }
            Err(pod["status"].to_string())
        });
        println!(
            "    {node}: bound after {:.1} s, {} tries and {heartbeats} heartbeats",
            start.elapsed().as_secs_f64(),
            berth.metric(JUDGED) - judged,
        );
        assert_eq!(bound, node);
        set(api, true);
    }
    scheduler.assert_always_answered();
}

/// How many migrations have their target on each of two nodes, and how many pods choose between them
/// each time: as many by chance is one time in a thousand.
const ARRIVING: u64 = 4;
pub(super) const CHOICES: u64 = 5;

const GAUGE: &str = "berth_migrations_arriving";

pub(crate) fn scores_move_the_choice_between_two_equal_nodes(world: &mut World) {
    scores_decide(world, Scheduler::start);
}

/// Returns the replica that was asked.
pub(super) fn scores_decide(world: &World, start: Start) -> Berth {
    let (berth, _service, scheduler) = serve_to(world, start);
    let namespace = world.namespace("choosing");
    let api = &world.api;
    // For a VM on el9-0 there are el9-1 and el9-2, with the same on both.
    fleet::set_condition(api, "el9-3", "NetworkUnavailable", "True");
    let nodes = ["el9-1", "el9-2"];
    let migrations = nodes.map(|node| {
        let started = (0..ARRIVING).map(|number| {
            let vmi = vms::run_vmi(api, &namespace, &format!("to-{node}-{number}"), "el9-0");
            let migration = vms::start_migration(api, &vmi);
            let mut pod = vms::target_pod(&vmi);
            let labels = &mut pod["metadata"]["labels"];
            labels["kubevirt.io/migrationJobUID"] = migration["metadata"]["uid"].clone();
            pod["spec"]["nodeName"] = node.into();
            vms::start_pod(api, &pod);
            migration
        });
        started.collect::<Vec<_>>()
    });
    let vmi = vms::run_vmi(api, &namespace, "chooses", "el9-0");
    for (busy, free) in [(0, 1), (1, 0)] {
        for (of, phase) in [(busy, "Running"), (free, "Succeeded")] {
            for migration in &migrations[of] {
                vms::set_migration_phase(api, migration, phase);
            }
        }
        let expect = format!("{GAUGE}{{node=\"{}\"}} {ARRIVING}", nodes[busy]);
        wait::until("berth knows where migrations arrive", || {
            let text = berth.metrics();
            let known: Vec<_> = text.lines().filter(|l| l.starts_with(GAUGE)).collect();
            if known == [&expect] {
                return Ok(());
            }
            Err(format!("{known:?}"))
        });
        for _ in 0..CHOICES {
            let pod = vms::start_target(api, &vmi);
            assert_eq!(vms::wait_until_bound(api, &pod), nodes[free]);
            api.delete(&pod);
        }
    }
    for (series, expect) in [
        (
            "berth_extender_requests_total{outcome=\"judged\",verb=\"prioritize\"",
            2 * CHOICES,
        ),
        (
            "berth_score_inputs_total{effect=\"decides\",input=\"arriving\"",
            2 * CHOICES,
        ),
    ] {
        assert_eq!(berth.metric(series), expect, "{series}");
    }
    scheduler.assert_always_answered();
    berth
}

const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";

pub(crate) fn nobody_is_evicted_where_the_guard_rejects(world: &mut World) {
    preemption_is_guarded(world, Scheduler::start);
}

pub(super) fn preemption_is_guarded(world: &World, start: Start) {
    let (berth, _service, scheduler) = serve_to(world, start);
    let namespace = world.namespace("evicting");
    let api = &world.api;
    for (name, value) in [("vital", 1_000), ("some", 10)] {
        api.delete(&format!("{CLASSES}/{name}"));
        let class = json!({"metadata": {"name": name}, "value": value});
        api.post(CLASSES, &class);
    }
    // Every node is full, and who is on a right one is worth more: kube-scheduler alone would evict
    // on a wrong one.
    let pods = vms::pods(&namespace);
    for node in api.list("/api/v1/nodes") {
        let node = node["metadata"]["name"].as_str().unwrap();
        let class = RIGHT[1..].contains(&node).then_some("some");
        let devices = json!({"devices.kubevirt.io/tun": "1k"});
        let container = json!({"name": "c", "image": "none", "resources": {"limits": devices}});
        let mut pod = json!({
            "metadata": {"name": node},
            "spec": {"nodeName": node, "containers": [container]},
        });
        if let Some(class) = class {
            pod["spec"]["priorityClassName"] = class.into();
        }
        api.post(&pods, &pod);
    }
    let vmi = vms::run_vmi(api, &namespace, "web", "el9-0");
    let mut target = vms::target_pod(&vmi);
    let spec = target["spec"].as_object_mut().unwrap();
    spec.retain(|field, _| !["priority", "preemptionPolicy"].contains(&field.as_str()));
    spec.insert("priorityClassName".to_owned(), json!("vital"));
    let target = api.post(&pods, &target);
    let target = format!("{pods}/{}", target["metadata"]["name"].as_str().unwrap());
    let nominated = wait::until("a node is nominated", || {
        let status = api.get(&target)["status"].take();
        let node = status["nominatedNodeName"].as_str().map(str::to_owned);
        node.ok_or_else(|| status.to_string())
    });
    assert!(RIGHT[1..].contains(&nominated.as_str()), "{nominated}");
    let evicted = wait::until("somebody is evicted", || {
        let pods = api.list(&pods).into_iter();
        let evicted: Vec<Value> = pods
            .filter(|pod| !pod["metadata"]["deletionTimestamp"].is_null())
            .map(|mut pod| pod["spec"]["nodeName"].take())
            .collect();
        if evicted.is_empty() {
            return Err("nobody".to_owned());
        }
        Ok(evicted)
    });
    assert_eq!(evicted, [json!(nominated)]);
    let asked = berth.metric("berth_extender_requests_total{outcome=\"judged\",verb=\"preempt\"");
    assert!(asked > 0);
    scheduler.assert_always_answered();
}

pub(crate) fn a_vmi_that_no_watch_has_brought_is_read(world: &mut World) {
    let server = ([127, 0, 0, 1], world.plane.port).into();
    let way = Relay::start(world.runtime(), move || Some(server));
    let url = format!("https://127.0.0.1:{}", way.port);
    let account = world.account(crate::manifests::NAMESPACE, crate::manifests::ACCOUNT, &url);
    let berth = world.start_berth("berth", &account);
    berth.wait_until_ready();
    let service = world.service(&[&berth]);
    let scheduler = Scheduler::start(world, &service.url(), &world.ca);
    let namespace = world.namespace("read");
    let found = || berth.metric("berth_vmi_lookups_total{outcome=\"found\"");
    // The watches tell berth nothing from here on. A connection that is open for nothing would not
    // answer either: berth tries it once, and not again.
    way.hold();
    let nobody = json!({"metadata": {"namespace": namespace, "name": "nobody", "uid": "none"}});
    let nobody = vms::filter_args(&nobody, &["el9-0"]);
    let caller = berth.caller(&world.ca);
    wait::until("a VMI can be read", || {
        let answer = caller.post("/scheduler/filter", &nobody);
        if berth.metric("berth_vmi_lookups_total{outcome=\"absent\"") > 0 {
            Ok(())
        } else {
            Err(answer["Error"].to_string())
        }
    });
    let vmis: Vec<Value> = (0..3)
        .map(|n| vms::run_vmi(&world.api, &namespace, &format!("new-{n}"), "el9-0"))
        .collect();
    for vmi in &vmis {
        let pod = vms::start_target(&world.api, vmi);
        let node = vms::wait_until_bound(&world.api, &pod);
        assert!(RIGHT[1..].contains(&node.as_str()), "{pod} is on {node}");
    }
    assert_eq!(found(), 3);
    assert_eq!(berth.metric("berth_cluster_objects{kind=\"vmi\""), 0);
    // What the watches had to say was not lost.
    way.release();
    wait::until("the watches go on", || {
        match berth.metric("berth_cluster_objects{kind=\"vmi\"") {
            3 => Ok(()),
            count => Err(format!("{count} VMIs")),
        }
    });
    let pod = vms::start_target(&world.api, &vmis[0]);
    vms::wait_until_bound(&world.api, &pod);
    assert_eq!(found(), 3);
    scheduler.assert_always_answered();
}

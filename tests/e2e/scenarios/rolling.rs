//! A rolling restart under load: nobody notices.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use crate::api::Api;
use crate::berth::Berth;
use crate::scheduler::Scheduler;
use crate::service::Service;
use crate::vms::{self, ALLOW, bridge_vm};
use crate::wait;
use crate::world::World;

/// What is done over and over, until it is enough.
struct Load<'a> {
    api: &'a Api,
    namespace: &'a str,
    enough: AtomicBool,
    vms: AtomicUsize,
    targets: AtomicUsize,
}

impl Load<'_> {
    /// Makes VMs: each is admitted and annotated.
    fn make_vms(&self, maker: usize) {
        let vms = vms::vms(self.namespace);
        for number in 0.. {
            if self.enough.load(Relaxed) {
                return;
            }
            let name = format!("vm-{maker}-{number}");
            let vm = self.api.post(&vms, &bridge_vm(self.namespace, &name));
            let annotations = &vm["spec"]["template"]["metadata"]["annotations"];
            assert_eq!(annotations[ALLOW], "true", "{name}");
            self.api.delete(&format!("{vms}/{name}"));
            self.vms.fetch_add(1, Relaxed);
        }
    }

    /// Migrates VMIs: each target lands on a right node at the first try.
    fn migrate_vmis(&self) {
        for number in 0.. {
            if self.enough.load(Relaxed) {
                return;
            }
            let name = format!("vmi-{number}");
            let vmi = vms::run_vmi(self.api, self.namespace, &name, "el9-0");
            let pod = vms::start_target(self.api, &vmi);
            let node = vms::wait_until_bound(self.api, &pod);
            assert!(
                ["el9-1", "el9-2", "el9-3"].contains(&node.as_str()),
                "{node}"
            );
            self.api.delete(&pod);
            self.api
                .delete(&format!("{}/{name}", vms::vmis(self.namespace)));
            self.targets.fetch_add(1, Relaxed);
        }
    }

    /// Waits until both kinds of work went on for a while.
    fn goes_on(&self) {
        let done = || (self.vms.load(Relaxed), self.targets.load(Relaxed));
        let before = done();
        wait::until("the load goes on", || {
            let now = done();
            if now.0 >= before.0 + 50 && now.1 >= before.1 + 10 {
                return Ok(());
            }
            Err(format!("{before:?}, and then {now:?}"))
        });
    }
}

/// The end of a scope, also by a panic: those who work stop.
struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

pub(crate) fn a_rolling_restart_under_load_is_not_noticed(world: &mut World) {
    let namespace = world.namespace("rolling");
    let replicas = [world.berth("berth-a"), world.berth("berth-b")];
    let service = world.service(&[&replicas[0], &replicas[1]]);
    // A review that nobody answers is an error here, and not let through.
    world.register_changed_webhooks(&service.url(), |webhook| {
        webhook["failurePolicy"] = "Fail".into();
    });
    let scheduler = Scheduler::start(world, &service.url(), &world.ca);
    let load = Load {
        api: &world.api,
        namespace: &namespace,
        enough: AtomicBool::new(false),
        vms: AtomicUsize::new(0),
        targets: AtomicUsize::new(0),
    };
    // They serve until nobody asks.
    let mut new = Vec::new();
    thread::scope(|scope| {
        let _enough = Enough(&load.enough);
        for maker in 0..2 {
            let load = &load;
            scope.spawn(move || load.make_vms(maker));
        }
        scope.spawn(|| load.migrate_vmis());
        load.goes_on();
        for old in replicas {
            new.push(restart(world, &service, old));
            load.goes_on();
        }
    });
    scheduler.assert_always_answered();
    let events = world
        .api
        .list(&format!("/api/v1/namespaces/{namespace}/events"));
    let failed = |event: &&Value| event["reason"] == "FailedScheduling";
    assert_eq!(events.iter().find(failed), None);
    println!(
        "    {} VMs made, {} targets scheduled",
        load.vms.load(Relaxed),
        load.targets.load(Relaxed)
    );
}

/// Ends a replica as the kubelet does, and starts another in its place.
fn restart(world: &World, service: &Service, old: Berth) -> Berth {
    assert_eq!(old.metric("berth_requests_refused_total"), 0);
    let log = old.log().clone();
    old.signal(Signal::TERM);
    assert!(old.wait().success());
    assert_eq!(log.lines_with("\"level\":\"WARN\""), [""; 0]);
    assert_eq!(log.lines_with("\"level\":\"ERROR\""), [""; 0]);
    let new = world.berth("berth-new");
    service.add(&new);
    service.wait_for(2);
    new
}

//! The API server goes away and comes back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::captures::capture;
use crate::fleet;
use crate::vms::{self, ALLOW};
use crate::wait;
use crate::world::World;

/// Until everything is seen again: berth's longest wait between two tries, with its jitter.
const RESYNC: Duration = Duration::from_secs(20);

/// The kinds that berth watches.
const KINDS: u64 = 7;

pub(crate) fn berth_answers_while_the_api_server_is_away_and_catches_up(world: &mut World) {
    let namespace = world.namespace("outage");
    let berth = world.berth("berth");
    let account = world.berths_account();
    let caller = berth.caller(&world.ca);
    let vmi = vms::run_vmi(&world.api, &namespace, "web", "el9-0");
    let old = vms::run_vmi(&world.api, &namespace, "old", "el9-0");
    let vmis = || berth.metric("berth_cluster_objects{kind=\"vmi\"");
    wait::until("berth sees the VMIs", || match vmis() {
        2 => Ok(()),
        count => Err(format!("{count}")),
    });
    // What berth saw last of VMIs is older than what the API server will begin with.
    fleet::set_label(&world.api, "el10-1", "outage", Some("soon"));

    let question = vms::filter_args(&vmi, &["el9-0", "el9-1", "el10-0"]);
    let filter = || caller.post("/scheduler/filter", &question);
    let review = capture("admission-create-vm-bridge");
    let patched = || {
        let answer = caller.post("/mutate?timeout=3s", &review);
        answer["response"]["patchType"] == "JSONPatch"
    };
    let before = filter();
    assert_eq!(before["NodeNames"], json!(["el9-1"]));
    assert!(patched());

    world.plane.kill_server();
    wait::until("every watch has failed", || {
        match berth.metric("berth_watch_failing") {
            KINDS => Ok(()),
            count => Err(format!("{count} have")),
        }
    });
    let late = world.start_berth("berth-late", &account);
    wait::throughout(Duration::from_secs(2), || {
        assert_eq!(berth.readyz(), (200, "ok\n".to_owned()));
        assert_eq!(filter(), before);
        assert!(patched());
        assert_eq!(late.readyz().0, 503);
    });

    world.start_api_server();
    // Something of every kind, or a watch has nothing to show that it goes on.
    let api = &world.api;
    api.delete(&format!("{}/old", vms::vmis(&namespace)));
    let new = vms::run_vmi(api, &namespace, "new", "el9-1");
    vms::start_target(api, &new);
    vms::start_migration(api, &new);
    fleet::set_label(api, "el10-1", "outage", Some("over"));
    fleet::set_ovs_ready(api, "el10-1", false);
    world.set_default_interface(Some("bridge"));
    world.namespace("outage-is-over");
    wait::within(RESYNC, "berth has caught up", || {
        let known = |vmi: &Value| {
            let answer = caller.post("/scheduler/filter", &vms::filter_args(vmi, &["el9-2"]));
            answer["NodeNames"] == json!(["el9-2"])
        };
        let seen = (
            berth.metric("berth_watch_failing"),
            vmis(),
            known(&new),
            known(&old),
        );
        match seen {
            (0, 2, true, false) => Ok(()),
            _ => Err(format!("failing, VMIs, new known, old known: {seen:?}")),
        }
    });
    late.wait_until_ready();
    for kind in ["node", "vmi", "namespace", "kubevirt"] {
        let restarts = |cause| {
            berth.metric(&format!(
                "berth_watch_restarts_total{{cause=\"{cause}\",kind=\"{kind}\""
            ))
        };
        assert!(restarts("connection") > 0, "{kind}");
    }
    // The API server came back without its memory of events.
    assert_eq!(
        berth.metric("berth_watch_restarts_total{cause=\"expired\",kind=\"vmi\""),
        1
    );
    assert_eq!(berth.metric("berth_watch_lists_total{kind=\"vmi\""), 2);
    // So does what is asked through it.
    let service = world.service(&[&berth]);
    world.register_webhooks(&service.url());
    let vm = world
        .api
        .post(&vms::vms(&namespace), &vms::bridge_vm(&namespace, "vm"));
    assert_eq!(
        vm["spec"]["template"]["metadata"]["annotations"][ALLOW],
        "true"
    );
}

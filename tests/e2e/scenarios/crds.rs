//! KubeVirt is installed after berth, and removed before it.

use std::time::Duration;

use crate::vms;
use crate::wait;
use crate::world::World;

/// berth asks for a kind that is not there every few seconds.
const NOTICED: Duration = Duration::from_secs(20);

pub(crate) fn kubevirt_may_come_after_berth_and_go_before_it(world: &mut World) {
    let namespace = world.namespace("kinds-come-and-go");
    world.remove_crds();
    let berth = world.berth("berth");
    let absent = berth.log().lines_with("not installed: ");
    for plural in [
        "virtualmachineinstances",
        "virtualmachineinstancemigrations",
        "kubevirts",
    ] {
        let named = absent.iter().any(|line| line.contains(plural));
        assert!(named, "{plural} in {absent:#?}");
    }
    let vmis = || berth.metric("berth_cluster_objects{kind=\"vmi\"");
    assert_eq!(vmis(), 0);
    let see = |count: u64| {
        wait::within(NOTICED, "berth sees the VMIs", || {
            assert_eq!(berth.readyz().0, 200);
            let seen = vmis();
            if seen == count {
                Ok(())
            } else {
                Err(format!("{seen} of {count}"))
            }
        });
    };

    world.install_crds();
    let vmi = vms::run_vmi(&world.api, &namespace, "early", "el9-0");
    see(1);
    vms::run_vmi(&world.api, &namespace, "later", "el9-0");
    see(2);
    let caller = berth.caller(&world.ca);
    let judge = || caller.post("/scheduler/filter", &vms::filter_args(&vmi, &["el9-0"]));
    assert_eq!(
        judge()["FailedAndUnresolvableNodes"]["el9-0"],
        "migration source node"
    );

    world.remove_crds();
    see(0);
    world.install_crds();
    vms::run_vmi(&world.api, &namespace, "again", "el9-0");
    see(1);
    // To be absent is no failure.
    assert_eq!(berth.metric("berth_watch_failing"), 0);
}

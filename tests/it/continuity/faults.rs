//! What comes of a migration when something fails at the worst moment. The target is bound in time all the
//! same, and in the end the northbound database is as it was before.

use std::time::Duration;

use berth::continuity::{Bound, Upholding};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::gate::At;
use super::whole::Whole;
use super::world::{HASTY, LEFT_FOR, World, binding, later};
use super::{OPTIONS, migration, nbctl, of_berth, options, port, records};
use crate::apiserver::{Fault, Request, Verb};
use crate::ovn_lab::Lab;
use crate::southbound::chassis;
use crate::support::items;

const UNPREPARED: [Value; 2] = [Value::Null, Value::Null];

/// The number of a write that never comes.
const NO_WRITE: usize = usize::MAX;

/// A pair of `el9-0` and this node.
fn pair_with(node: &str) -> [Value; 2] {
    [format!("el9-0,{node}").into(), "rarp".into()]
}

fn warm_ports(lab: &Lab) -> usize {
    of_berth(lab, "Logical_Switch_Port").len()
}

#[tokio::test]
async fn ovn_northbound_that_dies_before_during_or_after_a_write_holds_up_no_bind() {
    let Some(mut world) = World::start().await else {
        return;
    };
    for at in [At::Before, At::During, At::After] {
        for (write, expect) in [(0, ["failed", "failed"]), (1, ["written", "failed"])] {
            let case = format!("{at:?} write {write}");
            let gate = world.gate(write, at).await;
            let berth = world.behind(&gate).await;
            let target = world.first_target("web");
            let dying = async {
                gate.has_stopped().await;
                world.lab.northbound.crash();
                gate.open();
            };
            let (outcomes, ()) = tokio::join!(world.bind(&berth, &target, "el9-1"), dying);
            assert_eq!(outcomes, expect, "{case}");
            world.lab.northbound.restart(&world.lab.ovn);
            let is_written = write == 1 || at == At::After;
            let pair = if is_written {
                pair_with("el9-1")
            } else {
                UNPREPARED
            };
            assert_eq!(options(&world.lab, "web.default"), pair, "{case}");
            let made = usize::from(write == 1 && at == At::After);
            assert_eq!(warm_ports(&world.lab), made, "{case}");
            world.end("Failed");
            world.tidy(&berth).await;
            world.begin();
        }
    }
}

#[tokio::test]
async fn ovn_chassis_that_never_answers_and_a_northd_that_is_stopped_hold_up_no_bind() {
    let Some(mut world) = World::start().await else {
        return;
    };
    let berth = world.berth(HASTY).await;
    world.lab.kill_controller("el9-1");
    let target = world.first_target("web");
    let outcomes = world.bind(&berth, &target, "el9-1").await;
    assert_eq!(outcomes, ["written", "late"]);
    world.lab.start_controller("el9-1");
    world.end("Failed");
    world.tidy(&berth).await;

    world.begin();
    let berth = world.berth(HASTY).await;
    world.lab.kill_northd();
    let target = world.first_target("web");
    let outcomes = world.bind(&berth, &target, "el9-2").await;
    assert_eq!(outcomes, ["written", "late"]);
    world.lab.start_northd();
    world.end("Failed");
    world.tidy(&berth).await;
}

#[tokio::test]
async fn ovn_chassis_that_are_told_not_to_answer_are_not_waited_for() {
    let Some(mut world) = World::start().await else {
        return;
    };
    let off = "NB_Global . options:enable_chassis_nb_cfg_update=false";
    let args: Vec<_> = ["set"].into_iter().chain(off.split(' ')).collect();
    world.lab.nbctl_without_chassis(&args);
    world.before = Whole::read(&world.lab);
    let berth = world.berth(OPTIONS).await;
    let target = world.first_target("web");
    let outcomes = world.bind(&berth, &target, "el9-1").await;
    assert_eq!(outcomes, ["written", "unconfirmed"]);
    world.end("Failed");
    world.tidy(&berth).await;
}

/// The replica is killed when the write of this number is done, or at the binding itself. kube-scheduler
/// asks another one.
#[tokio::test]
async fn ovn_migration_is_prepared_by_another_replica_wherever_the_first_is_killed() {
    let Some(mut world) = World::start().await else {
        return;
    };
    for (write, at, expect) in [
        (0, At::Before, Some(["written", "warmed"])),
        (0, At::After, Some(["present", "warmed"])),
        (1, At::Before, Some(["present", "warmed"])),
        (1, At::After, Some(["present", "warmed"])),
        // The API server binds the pod in the end.
        (NO_WRITE, At::Before, None),
    ] {
        let case = format!("{at:?} {write}");
        let gate = world.gate(write, at).await;
        let target = world.first_target("web");
        {
            let berth = world.behind(&gate).await;
            let binder = world.binder(&berth);
            let binding = binding(&target, "el9-1");
            let is_binding = |request: &Request| request.is(Verb::Create, "pods");
            let asked = world.server.count(is_binding) + 1;
            if write == NO_WRITE {
                let hang = Fault::hang().verb(Verb::Create).resource("pods");
                world.server.fail(hang);
            }
            tokio::select! {
                _ = binder.bind(&binding) => panic!("{case}: it is bound"),
                () = gate.has_stopped() => {}
                () = world.server.wait_for(asked, is_binding) => {}
            }
        }
        drop(gate);
        world.server.heal();
        let berth = world.berth(OPTIONS).await;
        if let Some(expect) = expect {
            let outcomes = world.bind(&berth, &target, "el9-1").await;
            assert_eq!(outcomes, expect, "{case}");
        } else {
            let binding = binding(&target, "el9-1");
            let bound = world.binder(&berth).bind(&binding).await;
            assert_eq!(bound.unwrap(), Bound::Before);
        }
        assert_eq!(options(&world.lab, "web.default"), pair_with("el9-1"));
        assert_eq!(warm_ports(&world.lab), 1);
        world.change("Succeeded", "el9-1");
        world.tidy(&berth).await;
        world.begin();
    }
}

#[tokio::test]
async fn ovn_next_leader_ends_what_a_killed_one_began() {
    let Some(mut world) = World::start().await else {
        return;
    };
    for write in 0..4 {
        for at in [At::Before, At::After] {
            let berth = world.berth(OPTIONS).await;
            let target = world.first_target("web");
            let outcomes = world.bind(&berth, &target, "el9-1").await;
            assert_eq!(outcomes, ["written", "warmed"]);
            world.end("Failed");
            let gate = world.gate(write, at).await;
            let killed = world.behind(&gate).await;
            tokio::select! {
                () = world.lead(&killed) => assert!(write > 2, "{at:?} {write}"),
                () = gate.has_stopped() => {}
            }
            drop((gate, killed));
            world.tidy(&berth).await;
            world.begin();
        }
    }
}

#[tokio::test]
async fn ovn_two_replicas_at_once_make_one_warm_port_for_a_place_and_two_leaders_leave_nothing() {
    let Some(mut world) = World::start().await else {
        return;
    };
    let (one, two) = (world.berth(OPTIONS).await, world.berth(OPTIONS).await);
    let target = world.first_target("web");
    // kube-scheduler has given up on the first call, which goes on.
    let (web, again) = (binding(&target, "el9-1"), binding(&target, "el9-1"));
    let (first, second) = (world.binder(&one), world.binder(&two));
    let (first, second) = tokio::join!(first.bind(&web), second.bind(&again));
    let mut bound = [first.unwrap(), second.unwrap()];
    bound.sort_by_key(|bound| *bound == Bound::Before);
    assert_eq!(bound, [Bound::Now, Bound::Before]);
    assert_eq!(options(&world.lab, "web.default"), pair_with("el9-1"));
    assert_eq!((warm_ports(&world.lab), records(&world.lab)), (1, 2));

    // Two VMs of one VPC, each at another replica.
    world.end("Failed");
    world.tidy(&one).await;
    for nodes in [["el9-2", "el9-2"], ["el9-1", "el9-2"]] {
        world.begin();
        for berth in [&one, &two] {
            berth.set_cluster(&world.cluster);
        }
        let [web, other] = ["web", "other"].map(|vm| world.first_target(vm));
        let (web, other) = tokio::join!(
            world.bind(&one, &web, nodes[0]),
            world.bind(&two, &other, nodes[1])
        );
        assert_eq!((web, other), (expected(), expected()), "{nodes:?}");
        assert_eq!(options(&world.lab, "web.default"), pair_with(nodes[0]));
        assert_eq!(options(&world.lab, "other.default"), pair_with(nodes[1]));
        let places = if nodes[0] == nodes[1] { 1 } else { 2 };
        assert_eq!(
            (warm_ports(&world.lab), records(&world.lab)),
            (places, places + 2)
        );
        world.end("Failed");
        // Each believes that it leads.
        let upholding = Upholding::while_on(Duration::ZERO);
        let [mut first, mut second] = [&one, &two].map(|berth| {
            berth.set_cluster(&world.cluster);
            berth.keeper(world.client.clone(), upholding)
        });
        for _ in 0..3 {
            let (first, second) = tokio::join!(first.look(), second.look());
            first.unwrap();
            second.unwrap();
            later(LEFT_FOR).await;
        }
        world.tidy(&one).await;
    }
}

fn expected() -> [String; 2] {
    ["written", "warmed"].map(str::to_owned)
}

#[tokio::test]
async fn ovn_migration_that_is_deleted_or_fails_leaves_nothing_and_a_retry_to_another_node_is_prepared()
 {
    let Some(mut world) = World::start().await else {
        return;
    };
    let berth = world.berth(OPTIONS).await;
    let target = world.first_target("web");
    world.bind(&berth, &target, "el9-1").await;
    // It fails, and is retried at once to another node. Nobody has finished the port.
    let mut retry = super::migration_of_web(&mut world.cluster).clone();
    world.end("Failed");
    retry["metadata"]["name"] = "retry".into();
    retry["metadata"]["uid"] = "m-retry".into();
    retry["status"] = json!({"phase": "Pending"});
    items(&mut world.cluster).push(retry);
    world.publish();
    berth.set_cluster(&world.cluster);
    let target = world.target("web", "m-retry");
    let outcomes = world.bind(&berth, &target, "el9-2").await;
    assert_eq!(outcomes, expected());
    assert_eq!(options(&world.lab, "web.default"), pair_with("el9-2"));
    assert_eq!((warm_ports(&world.lab), records(&world.lab)), (2, 3));

    // The retry is deleted, and the VM still runs on its source.
    items(&mut world.cluster).retain(|item| item["metadata"]["uid"] != "m-retry");
    let migrations = "virtualmachineinstancemigrations";
    world.server.delete(migrations, Some("default"), "retry");
    world.tidy(&berth).await;

    // A target that comes after its migration was deleted is bound, and nothing is written for it.
    let target = world.target("web", "m-retry");
    let outcomes = world.bind(&berth, &target, "el9-2").await;
    assert_eq!(outcomes, ["no_migration", "no_migration"]);
    world.before.is_back(&world.lab);
}

#[tokio::test]
async fn ovn_switch_that_is_deleted_in_the_middle_leaves_nothing_of_its_warm_ports() {
    let Some(mut world) = World::start().await else {
        return;
    };
    for before_the_write in [false, true] {
        nbctl(&world.lab, "ls-add net");
        port(
            &world.lab,
            "net",
            "web.default.net.default.ovn",
            "default/web",
        );
        world.lab.nbctl(&["sync"]);
        let target = world.first_target("web");
        let gate = world.gate(1, At::Before).await;
        if !before_the_write {
            gate.open();
        }
        let berth = world.behind(&gate).await;
        let deleting = async {
            if before_the_write {
                gate.has_stopped().await;
                nbctl(&world.lab, "ls-del net");
                gate.open();
            }
        };
        let (outcomes, ()) = tokio::join!(world.bind(&berth, &target, "el9-1"), deleting);
        if before_the_write {
            assert_eq!(outcomes, ["written", "failed"]);
        } else {
            assert_eq!(outcomes, expected());
            assert_eq!((warm_ports(&world.lab), records(&world.lab)), (2, 4));
            nbctl(&world.lab, "ls-del net");
            assert_eq!(of_berth(&world.lab, "HA_Chassis_Group").len(), 2);
        }
        world.end("Failed");
        world.tidy(&berth).await;
        world.begin();
    }
}

#[tokio::test]
async fn ovn_ports_groups_and_entries_of_others_stay_whatever_their_names_are() {
    let Some(mut world) = World::start().await else {
        return;
    };
    let switch = json!({"op": "select", "table": "Logical_Switch", "where": [["name", "==", "s1"]], "columns": ["_uuid"]});
    let found = world.lab.northbound.transact(&world.lab.ovn, &[switch]);
    let switch = found[0]["rows"][0]["_uuid"][1].as_str().unwrap().to_owned();
    let name = |number| format!("berth-{switch}-{}", chassis(number));
    // A group, and a port, as berth names those of `el9-1` and `el9-2`.
    nbctl(
        &world.lab,
        &format!(
            "ha-chassis-group-add {} -- ha-chassis-group-add-chassis {} c 7 -- lsp-add s2 {} -- set NB_Global . external_ids:berth=x external_ids:berth-pairs=y",
            name(2),
            name(2),
            name(3)
        ),
    );
    world.before = Whole::read(&world.lab);
    let berth = world.berth(OPTIONS).await;
    for node in ["el9-1", "el9-2"] {
        let target = world.first_target("web");
        let outcomes = world.bind(&berth, &target, node).await;
        assert_eq!(outcomes, ["written", "failed"], "{node}");
    }
    world.end("Failed");
    world.tidy(&berth).await;
}

#[tokio::test]
async fn ovn_bind_ends_in_time_with_an_api_server_that_does_not_answer_or_refuses() {
    let Some(mut world) = World::start().await else {
        return;
    };
    let berth = world.berth(OPTIONS).await;
    let target = world.first_target("web");
    let binder = world.binder(&berth);
    let refusal = Fault::status(500).verb(Verb::Create).resource("pods");
    world.server.fail(refusal.times(1));
    let refused = timeout(binder.patience(), binder.bind(&binding(&target, "el9-1"))).await;
    let refused = refused.unwrap().unwrap_err().to_string();
    let expect = format!("pod default/{target} can't be bound to node el9-1: ");
    assert!(refused.starts_with(&expect), "{refused}");
    assert_eq!(options(&world.lab, "web.default"), pair_with("el9-1"));
    // kube-scheduler chooses another node.
    let outcomes = world.bind(&berth, &target, "el9-2").await;
    assert_eq!(outcomes, expected());
    assert_eq!(options(&world.lab, "web.default"), pair_with("el9-2"));

    // A pod that can't be read is bound without preparation.
    let target = world.target("web", &migration());
    world
        .server
        .fail(Fault::hang().verb(Verb::Get).resource("pods"));
    let bound = timeout(binder.patience(), binder.bind(&binding(&target, "el9-1"))).await;
    assert_eq!(bound.unwrap().unwrap(), Bound::Now);
    world.server.heal();
    assert_eq!(options(&world.lab, "web.default"), pair_with("el9-2"));
    world.end("Failed");
    world.tidy(&berth).await;
}

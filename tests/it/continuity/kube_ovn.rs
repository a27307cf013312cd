//! Migrations beside Kube-OVN, which prepares a VM's port late, never or twice, by release. A stand-in writes
//! to the real northbound database what its controller writes, at the events at which it does.

use berth::continuity::{Keeper, Upholding};
use serde_json::{Value, json};

use super::whole::Whole;
use super::world::{World, binding};
use super::{KEEP, OPTIONS, migration, migration_of_web, nbctl, options};
use crate::preparing::Preparing;
use crate::support::{item, items, until};

const PORT: &str = "web.default";

const REQUESTED: &str = "requested-chassis";
const STRATEGY: &str = "activation-strategy";

/// Releases whose controllers differ in this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Release {
    /// 1.13.3. From 1.13.4 to 1.14.12 only migrations that have been completed are passed over.
    V1_13_3,
    /// 1.14.13 to 1.14.20.
    V1_14_13,
    /// 1.14.31 to 1.14.41, 1.15.3 to 1.15.13 and 1.16.0 to 1.16.2. The others from 1.14.21 on do not compare
    /// the UID.
    V1_15_13,
    /// 1.15.14 and later, 1.16.3 and later.
    V1_15_14,
}

use Release::{V1_13_3, V1_14_13, V1_15_13, V1_15_14};

/// The controller. Its functions are named after those that they repeat.
struct KubeOvn<'w> {
    world: &'w World,
    release: Release,
}

/// The event is to come again.
#[derive(Debug, PartialEq, Eq)]
struct Requeue;

/// pkg/controller, read at v1.13.3, v1.14.13, v1.15.13 and v1.15.14.
impl KubeOvn<'_> {
    /// kubevirt.go: a migration was created, or has another phase.
    fn handle_add_or_update_vmi_migration(&self, name: &str) -> Result<(), Requeue> {
        let server = &self.world.server;
        let get = |resource, name: &str| server.get(resource, Some("default"), name).unwrap();
        let vmi_migration = get("virtualmachineinstancemigrations", name);
        if vmi_migration["status"]["migrationState"].is_null() {
            return Ok(());
        }
        let vmi = get(
            "virtualmachineinstances",
            vmi_migration["spec"]["vmiName"].as_str().unwrap(),
        );
        let phase = vmi_migration["status"]["phase"].as_str().unwrap();
        let has_ended = ["Succeeded", "Failed"].contains(&phase);
        let state = &vmi["status"]["migrationState"];
        let uid = &vmi_migration["metadata"]["uid"];
        let is_of_another = state["migrationUid"] != *uid;
        let compares_uid = [V1_15_13, V1_15_14].contains(&self.release);
        let is_passed_over = match self.release {
            V1_13_3 => state["sourcePod"].is_null(),
            V1_14_13 => {
                state["sourcePod"].is_null()
                    || vmi_migration["status"]["migrationState"]["completed"] == true
            }
            V1_15_13 | V1_15_14 => is_of_another && has_ended,
        };
        if is_passed_over {
            return Ok(());
        }
        let [source, target] = ["sourceNode", "targetNode"].map(|field| {
            let is_known = !compares_uid || !is_of_another;
            let node = is_known.then(|| state[field].as_str()).flatten();
            node.unwrap_or_default().to_owned()
        });
        match (phase, self.release) {
            ("Running", V1_13_3) => self.set_logical_switch_port_migrate_options(&source, &target),
            ("Scheduling", V1_15_13 | V1_15_14) => {
                // The first pod with the label of the migration.
                let Some(pod) = self.world.pod_of(uid.as_str().unwrap()) else {
                    return Ok(());
                };
                let current = vmi["status"]["nodeName"].as_str().unwrap();
                let source = if source.is_empty() { current } else { &source };
                let Some(target) = pod["spec"]["nodeName"].as_str() else {
                    return match self.release {
                        V1_15_14 => Err(Requeue),
                        _ => Ok(()),
                    };
                };
                if source != target {
                    self.set_logical_switch_port_migrate_options(source, target);
                }
            }
            ("Succeeded", _) => {
                self.reset_logical_switch_port_migrate_options(&source, &target, false);
            }
            ("Failed", _) => {
                self.reset_logical_switch_port_migrate_options(&source, &target, true);
            }
            _ => {}
        }
        Ok(())
    }

    /// pod.go, at v1.14.13: a pod was created or changed, and has its subnets.
    fn reconcile_allocate_subnets(&self, pod: &str) {
        let pod = self.world.server.get("pods", Some("default"), pod).unwrap();
        let labels = &pod["metadata"]["labels"];
        let source = labels["kubevirt.io/nodeName"].as_str();
        let target = pod["spec"]["nodeName"].as_str();
        if self.release == V1_14_13
            && !labels["kubevirt.io/migrationJobUID"].is_null()
            && let (Some(source), Some(target)) = (source, target)
            && source != target
        {
            self.set_logical_switch_port_migrate_options(source, target);
        }
    }

    /// pod.go, in all releases: any pod of the VM was deleted.
    fn handle_delete_pod(&self) {
        self.clean_logical_switch_port_migrate_options();
    }
}

/// pkg/ovs/ovn-nb-logical_switch_port.go, read at v1.15.13.
impl KubeOvn<'_> {
    fn set_logical_switch_port_migrate_options(&self, source: &str, target: &str) {
        assert!(!source.is_empty() && !target.is_empty() && source != target);
        let mut options = self.port_options();
        let wanted = Value::from(format!("{source},{target}"));
        if get(&options, REQUESTED) != Some(&wanted) {
            set(&mut options, REQUESTED, Some(wanted));
            set(&mut options, STRATEGY, Some("rarp".into()));
            self.update_logical_switch_port(&options);
        }
    }

    fn reset_logical_switch_port_migrate_options(&self, source: &str, target: &str, failed: bool) {
        let mut options = self.port_options();
        if get(&options, REQUESTED).is_some() {
            let node = if failed { source } else { target };
            set(&mut options, REQUESTED, Some(node.into()));
            set(&mut options, STRATEGY, None);
            self.update_logical_switch_port(&options);
        }
    }

    fn clean_logical_switch_port_migrate_options(&self) {
        let mut options = self.port_options();
        if get(&options, REQUESTED).is_some() {
            set(&mut options, REQUESTED, None);
            set(&mut options, STRATEGY, None);
            self.update_logical_switch_port(&options);
        }
    }

    fn port_options(&self) -> Vec<Value> {
        let select = json!({"op": "select", "table": "Logical_Switch_Port", "where": [["name", "==", PORT]], "columns": ["options"]});
        let lab = &self.world.lab;
        let found = lab.northbound.transact(&lab.ovn, &[select]);
        let options = found[0]["rows"][0]["options"][1].as_array();
        options.unwrap().clone()
    }

    /// The whole column, whatever is there by now.
    fn update_logical_switch_port(&self, options: &[Value]) {
        let update = json!({"op": "update", "table": "Logical_Switch_Port", "where": [["name", "==", PORT]], "row": {"options": ["map", options]}});
        let lab = &self.world.lab;
        lab.northbound.transact(&lab.ovn, &[update]);
    }
}

fn get<'o>(options: &'o [Value], key: &str) -> Option<&'o Value> {
    let option = options.iter().find(|option| option[0] == key);
    option.map(|option| &option[1])
}

fn set(options: &mut Vec<Value>, key: &str, value: Option<Value>) {
    options.retain(|option| option[0] != key);
    options.extend(value.map(|value| json!([key, value])));
}

impl World {
    fn kube_ovn(&self, release: Release) -> KubeOvn<'_> {
        KubeOvn {
            world: self,
            release,
        }
    }

    /// What the VMI of `web` says of its last migration.
    fn set_migration_state(&mut self, migration: &str, source: &str, target: &str) {
        let vmi = item(&mut self.cluster, "VirtualMachineInstance", "web");
        vmi["status"]["migrationState"] = json!({
            "migrationUid": migration,
            "sourceNode": source,
            "sourcePod": "virt-launcher-web-gfvqz",
            "targetNode": target,
        });
        self.publish();
    }

    /// The options of `web`'s port that are of a migration.
    #[track_caller]
    fn has(&self, requested: Option<&str>, strategy: Option<&str>) {
        let expect = [requested, strategy].map(Value::from);
        assert_eq!(options(&self.lab, PORT), expect);
    }

    #[track_caller]
    fn has_pair(&self, node: &str) {
        self.has(Some(&format!("el9-0,{node}")), Some("rarp"));
    }

    /// Whether OVN has the port on a chassis beside the one that the VM runs on.
    fn is_prepared_on(&self, node: &str) -> bool {
        let select = |table: &str, column: &str, value: &str, wanted: &str| {
            let select = json!({"op": "select", "table": table, "where": [[column, "==", value]], "columns": [wanted]});
            self.lab.southbound.transact(&self.lab.ovn, &[select])[0]["rows"][0][wanted].take()
        };
        let chassis = select("Chassis", "hostname", node, "_uuid");
        select("Port_Binding", "logical_port", PORT, "additional_chassis") == chassis
    }

    /// After the VM has migrated to `el9-1`, all but the chassis of its port is as it was before.
    fn is_back_but_for_the_chassis(&self) {
        self.has(Some("el9-1"), None);
        let remove = "remove Logical_Switch_Port web.default options requested-chassis";
        nbctl(&self.lab, remove);
        self.before.is_back(&self.lab);
    }
}

/// A leader of a replica.
fn leader(world: &World, berth: &Preparing) -> Keeper {
    berth.set_cluster(&world.cluster);
    berth.keeper(world.client.clone(), Upholding::while_on(KEEP))
}

#[tokio::test]
async fn ovn_pair_of_berth_lasts_through_what_every_release_of_kube_ovn_does() {
    let Some(mut world) = World::start().await else {
        return;
    };
    for release in [V1_13_3, V1_14_13, V1_15_13, V1_15_14] {
        world.begin();
        world.set_migration_state("-", "", "");
        let berth = world.berth(OPTIONS).await;
        let target = world.first_target("web");
        let early = world
            .kube_ovn(release)
            .handle_add_or_update_vmi_migration("mig-web");
        assert_eq!(early.is_err(), release == V1_15_14, "{release:?}");
        let outcomes = world.bind(&berth, &target, "el9-1").await;
        assert_eq!(outcomes, ["written", "warmed"], "{release:?}");
        let kube_ovn = world.kube_ovn(release);
        kube_ovn.reconcile_allocate_subnets(&target);
        kube_ovn
            .handle_add_or_update_vmi_migration("mig-web")
            .unwrap();
        world.has_pair("el9-1");

        world.change("Running", "el9-0");
        world.set_migration_state(&migration(), "el9-0", "el9-1");
        let kube_ovn = world.kube_ovn(release);
        kube_ovn
            .handle_add_or_update_vmi_migration("mig-web")
            .unwrap();
        world.has_pair("el9-1");

        world.change("Succeeded", "el9-1");
        let kube_ovn = world.kube_ovn(release);
        kube_ovn
            .handle_add_or_update_vmi_migration("mig-web")
            .unwrap();
        world.has(Some("el9-1"), None);
        world.lead(&berth).await;
        world.is_back_but_for_the_chassis();
    }
}

/// kube-ovn#6823, as at v1.15.13: the event of the phase Scheduling comes before the pod is bound, and there is
/// no other.
#[tokio::test]
async fn ovn_pair_that_kube_ovn_never_writes_is_written_before_the_bind() {
    let Some(mut world) = World::start().await else {
        return;
    };
    world.begin();
    world.set_migration_state("-", "", "");
    let target = world.first_target("web");
    let kube_ovn = world.kube_ovn(V1_15_13);
    kube_ovn
        .handle_add_or_update_vmi_migration("mig-web")
        .unwrap();
    world.has(None, None);

    let berth = world.berth(OPTIONS).await;
    let outcomes = world.bind(&berth, &target, "el9-1").await;
    assert_eq!(outcomes, ["written", "warmed"]);
    world.has_pair("el9-1");
    world.lab.plug("el9-1", PORT);
    until("both ends", || world.is_prepared_on("el9-1")).await;
    until("the port", || world.lab.is_installed("el9-1", PORT)).await;

    world.set_migration_state(&migration(), "el9-0", "el9-1");
    world.change("Succeeded", "el9-1");
    world.lab.unplug("el9-0", PORT);
    let kube_ovn = world.kube_ovn(V1_15_13);
    kube_ovn
        .handle_add_or_update_vmi_migration("mig-web")
        .unwrap();
    world.lead(&berth).await;
    world.is_back_but_for_the_chassis();
}

/// kube-ovn#7419: what the controller does for an older migration or another pod strips the port, and a
/// migration that fails before the VMI knows it leaves the pair.
#[tokio::test]
async fn ovn_pair_that_kube_ovn_strips_is_restored_and_one_that_it_leaves_is_finished() {
    let Some(mut world) = World::start().await else {
        return;
    };
    // VM `web` came from `el9-1` in a migration that succeeded.
    let mut old = migration_of_web(&mut world.cluster).clone();
    old["metadata"]["name"] = "old".into();
    old["metadata"]["uid"] = "m-old".into();
    old["status"]["phase"] = "Succeeded".into();
    items(&mut world.cluster).push(old);
    world.set_migration_state("m-old", "el9-1", "el9-0");
    let berth = world.berth(OPTIONS).await;
    let target = world.first_target("web");
    world.bind(&berth, &target, "el9-1").await;
    let mut keeper = leader(&world, &berth);

    // The controller restarts, and sees the old migration as a new one.
    let kube_ovn = world.kube_ovn(V1_15_13);
    kube_ovn.handle_add_or_update_vmi_migration("old").unwrap();
    world.has(Some("el9-0"), None);
    keeper.look().await.unwrap();
    world.has_pair("el9-1");

    // The completed source pod of the old migration is deleted.
    kube_ovn.handle_delete_pod();
    world.has(None, None);
    keeper.look().await.unwrap();
    world.has_pair("el9-1");

    // An older release takes the nodes of the new migration for those of the old one.
    world.set_migration_state(&migration(), "el9-0", "el9-1");
    let kube_ovn = world.kube_ovn(V1_13_3);
    kube_ovn.handle_add_or_update_vmi_migration("old").unwrap();
    world.has(Some("el9-1"), None);
    keeper.look().await.unwrap();
    world.has_pair("el9-1");

    // It fails before virt-controller has handed it to the VMI.
    world.set_migration_state("m-old", "el9-1", "el9-0");
    world.change("Failed", "el9-0");
    let kube_ovn = world.kube_ovn(V1_15_13);
    kube_ovn
        .handle_add_or_update_vmi_migration("mig-web")
        .unwrap();
    world.has_pair("el9-1");
    world.tidy(&berth).await;
}

/// kube-ovn#7416, as at v1.15.14: the migration stays Pending until the pod of its hot-plugged volumes runs,
/// which waits for the target pod, which waits for its port.
#[tokio::test]
async fn ovn_port_of_a_vm_with_hot_plugged_volumes_is_prepared_while_its_migration_is_pending() {
    let Some(mut world) = World::start().await else {
        return;
    };
    // Kube-OVN leaves the node of an earlier migration there.
    let set = "set Logical_Switch_Port web.default options:requested-chassis=el9-0";
    nbctl(&world.lab, set);
    world.before = Whole::read(&world.lab);
    world.set_migration_state("-", "", "");
    world.change("Pending", "el9-0");
    let berth = world.berth(OPTIONS).await;
    let target = world.first_target("web");
    let outcomes = world.bind(&berth, &target, "el9-1").await;
    assert_eq!(outcomes, ["written", "warmed"]);
    let kube_ovn = world.kube_ovn(V1_15_14);
    kube_ovn
        .handle_add_or_update_vmi_migration("mig-web")
        .unwrap();
    world.lab.plug("el9-1", PORT);
    until("both ends", || world.is_prepared_on("el9-1")).await;
    until("the port", || world.lab.is_installed("el9-1", PORT)).await;

    // The pod of the volumes comes to the same node, and is left alone.
    let volumes = world.target("web", &migration());
    let mut pod = world.server.get("pods", Some("default"), &volumes).unwrap();
    pod["metadata"]["labels"]["kubevirt.io"] = "hotplug-disk".into();
    world.server.apply(pod);
    let binding = binding(&volumes, "el9-1");
    world.binder(&berth).bind(&binding).await.unwrap();
    world.has_pair("el9-1");

    world.lab.unplug("el9-1", PORT);
    world.change("Failed", "el9-0");
    world.tidy(&berth).await;
}

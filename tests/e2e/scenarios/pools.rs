//! Pools of running VMs that are older than berth, with KubeVirt's own virt-controller.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::injection::serve;
use crate::captures::reviewed;
use crate::virt_controller::{VirtController, run_vmis, vmis, wait_until_running};
use crate::vms::{self, ALLOW, placed};
use crate::wait;
use crate::world::World;

const NAMESPACE: &str = "pools";
const POOLS: &str = "/apis/pool.kubevirt.io/v1beta1/namespaces/pools/virtualmachinepools";

/// virt-controller acts within milliseconds of a change.
const SETTLED: Duration = Duration::from_secs(3);

/// How long all VMs of a pool take to be replaced.
const REPLACED: Duration = Duration::from_mins(2);

pub(crate) fn a_pool_older_than_berth_keeps_its_vms_until_its_template_changes(world: &mut World) {
    world.namespace(NAMESPACE);
    let mut played = Played {
        world,
        controller: Some(VirtController::start(world)),
    };
    played.play();
}

/// The scenario, which leaves nothing behind that waits for virt-controller.
struct Played<'a> {
    world: &'a World,
    controller: Option<VirtController>,
}

impl Played<'_> {
    fn play(&mut self) {
        let world = self.world;
        let path = format!("{POOLS}/farm");
        apply(world, &pool(2));
        let old = wait_until_running(world, NAMESPACE, 2);
        let template = template(&world.api.get(&path)).clone();
        assert!(
            template["metadata"].get("annotations").is_none(),
            "{template}"
        );

        let finalizers = world.api.get(&path)["metadata"]["finalizers"].take();
        let mut held = finalizers.as_array().cloned().unwrap_or_default();
        held.push("example.com/hold".into());

        let _served = serve(world);
        for change in [
            json!({"metadata": {"labels": {"team": "red"}}}),
            json!({"metadata": {"annotations": {"note": "x"}}}),
            json!({"metadata": {"finalizers": held}}),
            json!({"metadata": {"finalizers": finalizers}}),
            json!({"spec": {"maxUnavailable": 2}}),
            json!({"spec": {"virtualMachineTemplate": {"metadata": {"labels": {"tier": "gold"}}}}}),
        ] {
            world.api.merge(&path, &change);
            self.assert_kept(&old, &change.to_string());
        }
        let changed = world.api.get(&path);
        apply(world, &pool(2));
        let applied = world.api.get(&path);
        assert_eq!(
            applied["spec"]["virtualMachineTemplate"]["spec"],
            changed["spec"]["virtualMachineTemplate"]["spec"]
        );
        self.assert_kept(&old, "an apply that changes nothing");

        // New VMs are annotated.
        apply(world, &pool(3));
        let three = wait_until_running(world, NAMESPACE, 3);
        self.assert_kept(&old, "more replicas");
        for vmi in vmis(world, NAMESPACE) {
            let is_old = old.contains_key(vmi["metadata"]["name"].as_str().unwrap());
            assert_eq!(is_annotated(&vmi), !is_old, "{vmi}");
        }
        assert_eq!(*self::template(&world.api.get(&path)), template);

        // virt-controller writes all VMs as the pool's template has them, without the annotation, and with
        // the pool's new revision in their VMI template: that changes it, so the annotation goes along.
        let change = json!({"metadata": {"labels": {"tier": "silver"}}});
        let change = json!({"spec": {"virtualMachineTemplate": change}});
        world.api.merge(&path, &change);
        wait::until("the VMs have the label", || {
            let vms = world.api.list(&vms::vms(NAMESPACE));
            let labelled = |vm: &&Value| vm["metadata"]["labels"]["tier"] == "silver";
            match vms.iter().filter(labelled).count() {
                3 => Ok(()),
                count => Err(format!("{count} of 3")),
            }
        });
        self.assert_kept(&three, "a label of the VMs");
        for vm in world.api.list(&vms::vms(NAMESPACE)) {
            let annotation = &vm["spec"]["template"]["metadata"]["annotations"][ALLOW];
            assert_eq!(annotation, "true", "{vm}");
        }
        for vmi in vmis(world, NAMESPACE) {
            let is_old = old.contains_key(vmi["metadata"]["name"].as_str().unwrap());
            assert_eq!(is_annotated(&vmi), !is_old, "{vmi}");
        }

        let memory = json!({"domain": {"resources": {"requests": {"memory": "128M"}}}});
        let change =
            json!({"spec": {"virtualMachineTemplate": {"spec": {"template": {"spec": memory}}}}});
        let changed = world.api.merge(&path, &change);
        assert_eq!(
            self::template(&changed)["metadata"]["annotations"][ALLOW],
            "true"
        );
        wait::within(REPLACED, "the VMs are replaced", || {
            run_vmis(world, NAMESPACE);
            let vmis = vmis(world, NAMESPACE);
            let is_new = |vmi: &&Value| {
                let uid = &vmi["metadata"]["uid"];
                !three.values().any(|old| uid == old)
            };
            let new = vmis
                .iter()
                .filter(is_new)
                .filter(|vmi| is_annotated(vmi))
                .count();
            if (new, vmis.len()) == (3, 3) {
                return Ok(());
            }
            Err(format!("{new} of {}", vmis.len()))
        });
    }

    /// The VMIs are there and run, and stay so.
    fn assert_kept(&mut self, old: &BTreeMap<String, String>, after: &str) {
        if let Some(controller) = &mut self.controller {
            controller.check();
        }
        wait::throughout(SETTLED, || {
            run_vmis(self.world, NAMESPACE);
            let vmis = vmis(self.world, NAMESPACE);
            for (name, uid) in old {
                let vmi = vmis.iter().find(|vmi| vmi["metadata"]["name"] == **name);
                let vmi = vmi.unwrap_or_else(|| panic!("{name} is gone after {after}"));
                let metadata = &vmi["metadata"];
                assert_eq!(metadata["uid"], **uid, "{name} after {after}");
                assert_eq!(
                    metadata.get("deletionTimestamp"),
                    None,
                    "{name} after {after}"
                );
                assert_eq!(vmi["status"]["phase"], "Running", "{name} after {after}");
            }
        });
    }
}

impl Drop for Played<'_> {
    fn drop(&mut self) {
        self.controller = None;
        for path in [POOLS.to_owned(), vms::vms(NAMESPACE), vms::vmis(NAMESPACE)] {
            self.world.api.delete(&path);
        }
    }
}

/// A pool whose VMs are bound to the pod network by bridge.
fn pool(replicas: u32) -> Value {
    let mut pool = placed(
        reviewed("admission-create-vmpool-bridge"),
        NAMESPACE,
        "farm",
    );
    pool["spec"]["replicas"] = replicas.into();
    let vmi = &mut pool["spec"]["virtualMachineTemplate"]["spec"]["template"]["spec"];
    // What KubeVirt's webhooks would fill in.
    vmi["architecture"] = "amd64".into();
    vmi["domain"]["machine"] = json!({"type": "q35"});
    pool
}

/// Applies a pool as Flux does.
fn apply(world: &World, pool: &Value) {
    let apply = ["apply", "--server-side", "--field-manager=flux", "-f", "-"];
    world.kubectl.run(&apply, &pool.to_string());
}

/// The VMI template of a pool.
fn template(pool: &Value) -> &Value {
    &pool["spec"]["virtualMachineTemplate"]["spec"]["template"]
}

fn is_annotated(vmi: &Value) -> bool {
    vmi["metadata"]["annotations"].get(ALLOW).is_some()
}

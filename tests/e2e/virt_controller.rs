//! KubeVirt's virt-controller, and the parts of a kubelet and of virt-handler that its VMs take.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::Api;
use crate::fleet;
use crate::plane::{free_ports, logs};
use crate::process::Process;
use crate::programs::flag;
use crate::vms;
use crate::wait;
use crate::world::World;

/// The program, which is optional.
pub(crate) const PROGRAM: &str = "virt-controller";

/// The annotations of a VMI that say on which node it runs, as which machine type, and the status of its
/// condition `LiveMigratable`.
pub(crate) const ON_NODE: &str = "example.com/node";
pub(crate) const AS_MACHINE: &str = "example.com/machine";
pub(crate) const MIGRATABLE: &str = "example.com/migratable";

/// The node and the machine type of VMs without those annotations.
const NODE: &str = "el9-0";
const MACHINE: &str = "pc-q35-rhel9.6.0";

/// A running virt-controller.
pub(crate) struct VirtController {
    process: Process,
    api: Api,
}

impl VirtController {
    /// Starts one, and waits until it leads.
    pub(crate) fn start(world: &World) -> Self {
        world.install_other_crds();
        // A heartbeat of long ago would be that of a lost node.
        for node in world.api.list("/api/v1/nodes") {
            let node = node["metadata"]["name"].as_str().unwrap();
            fleet::set_annotation(&world.api, node, "kubevirt.io/heartbeat", None);
        }
        let lease = "/apis/coordination.k8s.io/v1/namespaces/kubevirt/leases/virt-controller";
        world.api.delete(lease);
        let [port] = free_ports();
        let mut command = world.programs.command(PROGRAM);
        command
            .arg(flag("kubeconfig", &world.plane.admin))
            .args(["--listen=127.0.0.1", "--launcher-image=virt-launcher"])
            .arg(format!("--port={port}"));
        let mut controller = Self {
            process: Process::start(PROGRAM, command, &logs(world.dir())),
            api: world.api.clone(),
        };
        wait::until("virt-controller leads", || {
            controller.process.check();
            world
                .api
                .find(lease)
                .map(drop)
                .ok_or_else(|| "no lease".to_owned())
        });
        controller
    }

    /// Fails when it has ended by itself.
    pub(crate) fn check(&mut self) {
        self.process.check();
    }
}

impl Drop for VirtController {
    fn drop(&mut self) {
        self.process.end();
        // It has put its finalizers on all objects, and nothing else takes them away.
        let free = json!({"metadata": {"finalizers": null}});
        for (group, resource) in [
            ("pool.kubevirt.io/v1beta1", "virtualmachinepools"),
            ("kubevirt.io/v1", "virtualmachines"),
            ("kubevirt.io/v1", "virtualmachineinstances"),
            ("kubevirt.io/v1", "virtualmachineinstancemigrations"),
            ("kubevirt.io/v1", "virtualmachineinstancereplicasets"),
        ] {
            for object in self.api.list(&format!("/apis/{group}/{resource}")) {
                let [namespace, name] =
                    ["namespace", "name"].map(|field| object["metadata"][field].as_str().unwrap());
                let path = format!("/apis/{group}/namespaces/{namespace}/{resource}/{name}");
                self.api.merge_if_there(&path, &free);
            }
        }
    }
}

/// Does what a kubelet and virt-handler do with the VMIs of a namespace: one step of each.
pub(crate) fn run_vmis(world: &World, namespace: &str) {
    for vmi in vmis(world, namespace) {
        let path = path(namespace, &vmi);
        let set_phase = |phase| {
            world.api.merge(&path, &json!({"status": {"phase": phase}}));
        };
        let is_leaving = vmi["metadata"].get("deletionTimestamp").is_some();
        match vmi["status"]["phase"].as_str() {
            Some("Running") if is_leaving => {
                set_phase("Succeeded");
                launcher(world, &vmi).inspect(|pod| world.api.delete(pod));
            }
            Some("Succeeded" | "Failed") => {
                launcher(world, &vmi).inspect(|pod| world.api.delete(pod));
            }
            Some("Scheduled") => {
                world.api.merge(&path, &json!({"status": running(&vmi)}));
            }
            Some("Pending" | "Scheduling") => {
                launcher(world, &vmi).inspect(|pod| run_pod(world, pod));
            }
            _ => {}
        }
    }
}

/// What virt-handler says of a VMI that it has started.
fn running(vmi: &Value) -> Value {
    let annotations = &vmi["metadata"]["annotations"];
    let machine = annotations[AS_MACHINE].as_str();
    let migratable = annotations[MIGRATABLE].as_str().unwrap_or("True");
    let mut conditions = vmi["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    conditions.retain(|condition| condition["type"] != "LiveMigratable");
    // virt-handler has it neither true nor false before it has judged the VMI.
    if migratable != "Unknown" {
        conditions.push(json!({"type": "LiveMigratable", "status": migratable}));
    }
    json!({
        "phase": "Running",
        "machine": {"type": machine.unwrap_or(MACHINE)},
        "selinuxContext": "none",
        "conditions": conditions,
    })
}

/// The UIDs of the VMIs of a namespace by name, once so many run.
pub(crate) fn wait_until_running(
    world: &World,
    namespace: &str,
    count: usize,
) -> BTreeMap<String, String> {
    wait::until("the VMIs run", || {
        run_vmis(world, namespace);
        let running: BTreeMap<_, _> = vmis(world, namespace)
            .iter()
            .filter(|vmi| runs(vmi))
            .map(identity)
            .collect();
        if running.len() == count {
            return Ok(running);
        }
        Err(format!("{} of {count}", running.len()))
    })
}

/// The VMIs of a namespace.
pub(crate) fn vmis(world: &World, namespace: &str) -> Vec<Value> {
    world.api.list(&vms::vmis(namespace))
}

fn runs(vmi: &Value) -> bool {
    vmi["status"]["phase"] == "Running" && vmi["metadata"].get("deletionTimestamp").is_none()
}

/// Name and UID.
fn identity(object: &Value) -> (String, String) {
    let [name, uid] = ["name", "uid"].map(|field| object["metadata"][field].as_str().unwrap());
    (name.to_owned(), uid.to_owned())
}

fn path(namespace: &str, vmi: &Value) -> String {
    let (name, _) = identity(vmi);
    format!("{}/{name}", vms::vmis(namespace))
}

/// The path to the launcher pod of a VMI.
fn launcher(world: &World, vmi: &Value) -> Option<String> {
    let pods = vms::pods(vmi["metadata"]["namespace"].as_str().unwrap());
    let uid = &vmi["metadata"]["uid"];
    let pod = world
        .api
        .list(&pods)
        .into_iter()
        .find(|pod| pod["metadata"]["labels"]["kubevirt.io/created-by"] == *uid)?;
    Some(format!("{pods}/{}", identity(&pod).0))
}

/// A pod is bound, and its container runs.
pub(crate) fn run_pod(world: &World, path: &str) {
    let pod = world.api.get(path);
    if pod["spec"].get("nodeName").is_none() {
        // Annotations of a VMI are those of its pods as well.
        let node = pod["metadata"]["annotations"][ON_NODE].as_str();
        let node = node.unwrap_or(NODE);
        let target = json!({"apiVersion": "v1", "kind": "Node", "name": node});
        let binding = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": identity(&pod).0},
            "target": target,
        });
        world.api.post(&format!("{path}/binding"), &binding);
    }
    let container = json!({
        "name": "compute",
        "image": "",
        "imageID": "",
        "ready": true,
        "restartCount": 0,
        "state": {"running": {}},
    });
    let status = json!({
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [container],
    });
    world
        .api
        .strategic_merge(&format!("{path}/status"), &json!({"status": status}));
}

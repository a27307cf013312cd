//! What comes of objects by the table of the unit tests, in a real kube-apiserver: its CEL is the one
//! that counts.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::manifests::{document, documents};
use crate::programs::repository;
use crate::vms::{self, ALLOW, bridge_vm, placed};
use crate::wait;
use crate::world::World;

const NAMESPACE: &str = "by-the-table";

/// How long kube-apiserver may take to heed a policy that is new.
const COMPILED: Duration = Duration::from_mins(1);

/// The rows of the table.
fn rows() -> Vec<Value> {
    let text = fs::read_to_string(repository("tests/data/reviewed-objects.yaml")).unwrap();
    document(&text)["objects"].as_array().unwrap().clone()
}

/// Where the annotation of an object is.
fn annotation(object: &Value) -> &Value {
    let template = match object["kind"].as_str().unwrap() {
        "VirtualMachineInstance" => object,
        "VirtualMachinePool" => &object["spec"]["virtualMachineTemplate"]["spec"]["template"],
        _ => &object["spec"]["template"],
    };
    &template["metadata"]["annotations"][ALLOW]
}

/// Has the object reviewed and not stored, and tells whether the annotation was added.
fn is_patched(world: &World, object: &Value) -> bool {
    let object = placed(object.clone(), NAMESPACE, "reviewed");
    let version = object["apiVersion"].as_str().unwrap();
    let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
    let path = format!("/apis/{version}/namespaces/{NAMESPACE}/{plural}?dryRun=All");
    let stored = world.api.post(&path, &object);
    match (annotation(&object), annotation(&stored)) {
        (Value::Null, Value::Null) => false,
        (Value::Null, value) => {
            assert_eq!(value, "true");
            true
        }
        (sent, kept) => {
            assert_eq!(sent, kept);
            false
        }
    }
}

pub(crate) fn the_webhook_is_asked_as_the_table_says(world: &mut World) {
    world.namespace(NAMESPACE);
    let berth = world.berth("berth");
    let service = world.service(&[&berth]);
    world.register_webhooks(&service.url());
    for row in rows() {
        let what = &row["what"];
        let before = berth.metric("berth_admission_requests_total");
        assert_eq!(is_patched(world, &row["object"]), row["patched"], "{what}");
        let asked = berth.metric("berth_admission_requests_total") > before;
        assert_eq!(asked, row["asked"], "{what}");
    }
}

pub(crate) fn the_policy_patches_as_the_table_says(world: &mut World) {
    world.namespace(NAMESPACE);
    let file = repository("manifests/components/admission-policy/policy.yaml");
    let policy = documents(&fs::read_to_string(file).unwrap());
    let _policy = Applied::new(world, &policy);
    for row in rows() {
        assert_eq!(
            is_patched(world, &row["object"]),
            row["patched"],
            "{}",
            row["what"]
        );
    }
    world.set_default_interface(Some("masquerade"));
    let bare = json!({"domain": {"devices": {}}});
    let vmi =
        json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "spec": bare});
    wait::until("the KubeVirt CR is taken in", || {
        if is_patched(world, &vmi) {
            return Err("a VMI without interfaces is still annotated".to_owned());
        }
        Ok(())
    });
}

/// The policy, until the scenario ends.
struct Applied<'a> {
    world: &'a World,
    objects: &'a [Value],
}

impl<'a> Applied<'a> {
    fn new(world: &'a World, objects: &'a [Value]) -> Self {
        let applied = Self { world, objects };
        world.kubectl.apply(objects);
        let path = format!("{}?dryRun=All", vms::vms(NAMESPACE));
        wait::within(COMPILED, "the policy is heeded", || {
            let vm = world.api.post(&path, &bridge_vm(NAMESPACE, "probe"));
            if annotation(&vm).is_null() {
                return Err("a VM was not annotated".to_owned());
            }
            Ok(())
        });
        applied
    }
}

impl Drop for Applied<'_> {
    fn drop(&mut self) {
        for object in self.objects {
            let plural = match object["kind"].as_str() {
                Some("MutatingAdmissionPolicy") => "mutatingadmissionpolicies",
                _ => "mutatingadmissionpolicybindings",
            };
            let group = "/apis/admissionregistration.k8s.io/v1";
            self.world.api.delete(&format!("{group}/{plural}/berth"));
        }
    }
}

//! The annotation, added by a real kube-apiserver that asks berth.

use serde_json::{Value, json};

use crate::berth::Berth;
use crate::captures::reviewed;
use crate::service::Service;
use crate::vms::{self, ALLOW, bridge_vm, placed};
use crate::world::{WEBHOOKS, World};

/// One replica that kube-apiserver asks.
pub(super) fn serve(world: &World) -> (Berth, Service) {
    let berth = world.berth("berth");
    let service = world.service(&[&berth]);
    world.register_webhooks(&service.url());
    (berth, service)
}

/// The annotation in the template of a VM or a replica set.
fn annotation(object: &Value) -> &Value {
    &object["spec"]["template"]["metadata"]["annotations"][ALLOW]
}

pub(crate) fn a_bridge_bound_vm_is_annotated_however_it_is_applied(world: &mut World) {
    let _served = serve(world);
    let namespace = world.namespace("applied");
    let vms = vms::vms(&namespace);
    let World { api, kubectl, .. } = world;

    let vm = api.post(&vms, &bridge_vm(&namespace, "posted"));
    assert_eq!(*annotation(&vm), "true");
    assert_eq!(*annotation(&api.get(&format!("{vms}/posted"))), "true");

    let manifest = |name| bridge_vm(&namespace, name).to_string();
    for verb in [&["create"][..], &["apply"], &["apply", "--server-side"]] {
        let args = [verb, &["--dry-run=server", "-o", "json", "-f", "-"]].concat();
        let dry = kubectl.run(&args, &manifest("dry"));
        let vm: Value = serde_json::from_str(&dry.out).unwrap();
        assert_eq!(*annotation(&vm), "true", "{verb:?}");
        assert_eq!(api.find(&format!("{vms}/dry")), None, "{verb:?}");
    }

    for (name, apply) in [
        ("client-side", &["apply", "-f", "-"][..]),
        ("server-side", &["apply", "--server-side", "-f", "-"]),
    ] {
        let path = format!("{vms}/{name}");
        kubectl.run(apply, &manifest(name));
        let first = api.get(&path);
        assert_eq!(*annotation(&first), "true", "{name}");
        kubectl.run(apply, &manifest(name));
        assert_eq!(api.get(&path), first, "a second apply changes {name}");
        let mut changed = bridge_vm(&namespace, name);
        changed["metadata"]["labels"] = json!({"changed": "yes"});
        kubectl.run(apply, &changed.to_string());
        let third = api.get(&path);
        assert_eq!(third["metadata"]["labels"]["changed"], "yes");
        assert_eq!(third["spec"], first["spec"], "{name}");
    }
}

pub(crate) fn every_kind_that_vmis_come_from_is_annotated(world: &mut World) {
    let _served = serve(world);
    let namespace = world.namespace("kinds");
    let group = |group, plural| format!("/apis/{group}/namespaces/{namespace}/{plural}");
    let key = ALLOW.replace('/', "~1");
    for (capture, path, template) in [
        (
            "admission-create-vmi-by-virt-controller",
            group("kubevirt.io/v1", "virtualmachineinstances"),
            "",
        ),
        (
            "admission-create-vmirs-bridge",
            group("kubevirt.io/v1", "virtualmachineinstancereplicasets"),
            "/spec/template",
        ),
        (
            "admission-create-vmpool-bridge",
            group("pool.kubevirt.io/v1beta1", "virtualmachinepools"),
            "/spec/virtualMachineTemplate/spec/template",
        ),
    ] {
        let mut object = placed(reviewed(capture), &namespace, "any");
        let template = format!("{template}/metadata/annotations");
        let sent = object.pointer_mut(&template).map(Value::take);
        if let Some(mut annotations) = sent {
            annotations.as_object_mut().unwrap().remove(ALLOW);
            *object.pointer_mut(&template).unwrap() = annotations;
        }
        let made = world.api.post(&path, &object);
        let added = made.pointer(&format!("{template}/{key}"));
        assert_eq!(added, Some(&json!("true")), "{capture}");
        // A version that is not the stored one.
        let version = if path.contains("pool") {
            "v1alpha1"
        } else {
            "v1alpha3"
        };
        let path = path
            .replace("/v1/", "/v1alpha3/")
            .replace("/v1beta1/", "/v1alpha1/");
        let group = object["apiVersion"]
            .as_str()
            .unwrap()
            .split('/')
            .next()
            .unwrap();
        object["apiVersion"] = format!("{group}/{version}").into();
        let made = world.api.post(&path, &placed(object, &namespace, "other"));
        let added = made.pointer(&format!("{template}/{key}"));
        assert_eq!(added, Some(&json!("true")), "{capture} {version}");
    }
}

pub(crate) fn what_is_not_bridge_bound_or_opts_out_is_left_alone(world: &mut World) {
    let _served = serve(world);
    let namespace = world.namespace("left-alone");
    let post = |name: &str, mut vm: Value, change: &dyn Fn(&mut Value)| {
        vm = placed(vm, &namespace, name);
        change(&mut vm);
        world.api.post(&vms::vms(&namespace), &vm)
    };
    let bridge = || reviewed("admission-create-vm-bridge");
    let bare = || reviewed("admission-create-vm-no-interfaces");

    let masquerade = reviewed("admission-create-vm-masquerade");
    assert!(annotation(&post("masquerade", masquerade, &|_| {})).is_null());
    let opted_out = post("opted-out", bridge(), &|vm| {
        vm["spec"]["template"]["metadata"]["labels"]["berth.dev/inject"] = "disabled".into();
    });
    assert!(annotation(&opted_out).is_null());

    // Without interfaces a VM gets what the KubeVirt CR says, as soon as it says so.
    assert_eq!(*annotation(&post("bare", bare(), &|_| {})), "true");
    world.set_default_interface(Some("masquerade"));
    let mut tries = 0;
    crate::wait::until("the KubeVirt CR is taken in", || {
        tries += 1;
        let vm = post(&format!("bare-{tries}"), bare(), &|_| {});
        if annotation(&vm).is_null() {
            return Ok(());
        }
        Err("a VM without interfaces is still annotated".to_owned())
    });

    // A namespace opts out by label in kube-apiserver, and by annotation in berth.
    for (name, metadata) in [
        ("out-by-label", "labels"),
        ("out-by-annotation", "annotations"),
    ] {
        let namespace = world.namespace(name);
        let change = json!({"metadata": {metadata: {"berth.dev/inject": "disabled"}}});
        world
            .api
            .merge(&format!("/api/v1/namespaces/{name}"), &change);
        let mut tries = 0;
        crate::wait::until("the namespace has opted out", || {
            tries += 1;
            let vm = bridge_vm(&namespace, &format!("vm-{tries}"));
            let vm = world.api.post(&vms::vms(&namespace), &vm);
            if annotation(&vm).is_null() {
                return Ok(());
            }
            Err(format!("a VM {name} is still annotated"))
        });
    }
}

pub(crate) fn warnings_reach_kubectl(world: &mut World) {
    let _served = serve(world);
    let namespace = world.namespace("warned");
    let vm = placed(
        reviewed("admission-create-vm-annotated-false"),
        &namespace,
        "annotated-false",
    );
    let said = world.kubectl.run(&["create", "-f", "-"], &vm.to_string());
    let warnings: Vec<&str> = said.err.lines().collect();
    assert_eq!(
        warnings,
        [
            "Warning: kubevirt.io/allow-pod-bridge-network-live-migration: any value allows it; opt out by berth.dev/inject: disabled instead",
        ]
    );
}

pub(crate) fn an_update_annotates_only_with_a_change_of_the_template(world: &mut World) {
    let namespace = world.namespace("before");
    let path = format!("{}/old", vms::vms(&namespace));
    let vm = bridge_vm(&namespace, "old");
    assert!(annotation(&world.api.post(&vms::vms(&namespace), &vm)).is_null());
    let (berth, _service) = serve(world);
    let reviews = || berth.metric("berth_admission_requests_total");
    let before = reviews();
    let template = world.api.get(&path)["spec"]["template"].take();
    for change in [
        json!({"metadata": {"labels": {"touched": "yes"}}}),
        json!({"metadata": {"annotations": {"touched": "yes"}}}),
        json!({"metadata": {"finalizers": ["snapshot.kubevirt.io/vmsnapshot-protection"]}}),
        json!({"spec": {"runStrategy": "Manual"}}),
        json!({"metadata": {"finalizers": []}}),
    ] {
        let changed = world.api.merge(&path, &change);
        assert_eq!(changed["spec"]["template"], template, "{change}");
    }
    assert_eq!(reviews(), before);
    let cores = json!({"spec": {"template": {"spec": {"domain": {"cpu": {"cores": 4}}}}}});
    let changed = world.api.merge(&path, &cores);
    assert_eq!(*annotation(&changed), "true");
    // An annotation that is taken away is added again, so that nothing changes.
    let without = json!({"spec": {"template": {"metadata": {"annotations": null}}}});
    assert_eq!(world.api.merge(&path, &without)["spec"], changed["spec"]);
}

pub(crate) fn calls_that_would_change_nothing_are_not_made(world: &mut World) {
    let (berth, _service) = serve(world);
    let namespace = world.namespace("not-asked");
    let vms = vms::vms(&namespace);
    world.api.post(&vms, &bridge_vm(&namespace, "annotated"));
    let reviews = || berth.metric("berth_admission_requests_total");
    let before = reviews();
    let masquerade = reviewed("admission-create-vm-masquerade");
    world
        .api
        .post(&vms, &placed(masquerade, &namespace, "masquerade"));
    let annotated = format!("{vms}/annotated");
    let change = json!({"metadata": {"labels": {"touched": "yes"}}});
    world.api.merge(&annotated, &change);
    let status = json!({"status": {"printableStatus": "Running"}});
    world.api.merge(&format!("{annotated}/status"), &status);
    world.api.delete(&annotated);
    assert_eq!(reviews(), before);
}

pub(crate) fn without_berth_a_vm_is_stored_as_it_is(world: &mut World) {
    let (berth, _service) = serve(world);
    drop(berth);
    let namespace = world.namespace("without");
    let vm = world
        .api
        .post(&vms::vms(&namespace), &bridge_vm(&namespace, "alone"));
    assert!(annotation(&vm).is_null());
    assert!(world.api.find(WEBHOOKS).is_some());
}

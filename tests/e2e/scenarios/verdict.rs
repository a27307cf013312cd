//! The verdict on migrations: a real kube-apiserver asks berth when one is created.

use serde_json::{Value, json};

use crate::berth::Berth;
use crate::kubectl::Said;
use crate::service::Service;
use crate::virt_controller::{AS_MACHINE, VirtController, wait_until_running};
use crate::vms;
use crate::wait;
use crate::world::World;

const NAMESPACE: &str = "verdict";

/// What is said of the migration of a VM whose machine type no node supports.
const NO_TARGET: [&str; 4] = [
    "BRT0401 NoTarget: none of 9 nodes can take VM verdict/old",
    "BRT0102 MachineType: machine type pc-q35-rhel7.0.0 not supported (9 of 9 nodes)",
    "BRT0103 ChassisNotRegistered: OVN chassis not registered (1 of 9 nodes)",
    "BRT0106 AgentsNotReady: OVN agents not ready (1 of 9 nodes)",
];

pub(crate) fn a_migration_without_a_target_is_warned_about_or_refused(world: &mut World) {
    world.namespace(NAMESPACE);
    world.configure_kubevirt(&json!({}));
    let mut controller = VirtController::start(world);
    let vms = [("web", "pc-q35-rhel9.2.0"), ("old", "pc-q35-rhel7.0.0")];
    for (name, machine) in vms {
        world
            .api
            .post(&vms::vmis(NAMESPACE), &mk_vmi(name, machine));
    }
    wait_until_running(world, NAMESPACE, vms.len());

    let (berth, service) = serve(world, "Warn");
    wait::until("berth warns", || {
        let said = migrate(world, "old", &["--dry-run=server"]);
        if said.err.is_empty() {
            Err(said.out)
        } else {
            Ok(())
        }
    });
    assert_eq!(created(&migrate(world, "old", &[])), NO_TARGET);
    assert_eq!(created(&migrate(world, "web", &[])), [""; 0]);

    // Nobody answers: `failurePolicy: Ignore`.
    drop((berth, service));
    assert_eq!(created(&migrate(world, "old", &[])), [""; 0]);

    let (berth, _service) = serve(world, "Deny");
    wait::until("berth refuses", || {
        let said = migrate(world, "old", &["--dry-run=server"]);
        if said.success { Err(said.err) } else { Ok(()) }
    });
    let said = migrate(world, "old", &[]);
    assert!(!said.success, "{said:?}");
    let refusal = format!(
        "admission webhook \"migration.admit.berth.dev\" denied the request: {}",
        NO_TARGET.join("; ")
    );
    assert!(said.err.trim_end().ends_with(&refusal), "{said:?}");
    assert_eq!(created(&migrate(world, "web", &[])), [""; 0]);

    // That of an evacuation is made all the same.
    forget_migrations(world);
    let warned = berth.metric(&reviews("warned"));
    let marked = json!({"status": {"evacuationNodeName": "el9-0"}});
    let old = format!("{}/old", vms::vmis(NAMESPACE));
    world.api.merge(&old, &marked);
    let migration = wait::until("virt-controller makes a migration", || {
        controller.check();
        let mut migrations = world.api.list(&vms::migrations(NAMESPACE)).into_iter();
        migrations.next().ok_or_else(|| "none".to_owned())
    });
    assert_eq!(migration["spec"]["vmiName"], "old");
    let annotations = &migration["metadata"]["annotations"];
    assert_eq!(annotations["kubevirt.io/evacuationMigration"], "el9-0");
    assert_eq!(berth.metric(&reviews("warned")), warned + 1);
}

/// A VMI as KubeVirt's webhooks leave it, which will run as this machine type.
fn mk_vmi(name: &str, machine: &str) -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"name": name, "annotations": {AS_MACHINE: machine}},
        "spec": {
            "architecture": "amd64",
            "evictionStrategy": "LiveMigrate",
            "domain": {
                "machine": {"type": "q35"},
                "memory": {"guest": "128Mi"},
                "devices": {"interfaces": [{"name": "default", "masquerade": {}}]},
            },
            "networks": [{"name": "default", "pod": {}}],
        },
    })
}

/// A replica that kube-apiserver asks about migrations.
fn serve(world: &World, admission: &str) -> (Berth, Service) {
    let berth = world.changed_berth("berth", |config| {
        config["migrations"]["admission"] = admission.into();
    });
    let service = world.service(&[&berth]);
    world.register_validating_webhook(&service.url());
    (berth, service)
}

/// Creates the migration of a VM as a user does.
fn migrate(world: &World, vm: &str, flags: &[&str]) -> Said {
    let migration = json!({
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"generateName": format!("{vm}-"), "namespace": NAMESPACE},
        "spec": {"vmiName": vm},
    });
    let args = [&["create", "-f", "-"], flags].concat();
    world.kubectl.try_run(&args, &migration.to_string())
}

/// The warnings about what was created.
fn created(said: &Said) -> Vec<String> {
    assert!(said.success, "{said:?}");
    let warnings = said.err.lines();
    let warnings = warnings.map(|line| line.strip_prefix("Warning: ").unwrap_or(line));
    warnings.map(str::to_owned).collect()
}

/// The series of reviews of migrations with this outcome.
fn reviews(outcome: &str) -> String {
    format!(
        "berth_admission_requests_total{{kind=\"VirtualMachineInstanceMigration\",operation=\"CREATE\",outcome=\"{outcome}\""
    )
}

/// Deletes all migrations and the pods that virt-controller has made for them.
fn forget_migrations(world: &World) {
    let targets = "labelSelector=kubevirt.io/migrationJobUID";
    world.api.delete(&vms::migrations(NAMESPACE));
    wait::until("the pods of migrations are gone", || {
        let pods = format!("{}?{targets}", vms::pods(NAMESPACE));
        world.api.delete(&pods);
        match world.api.list(&pods).len() {
            0 => Ok(()),
            count => Err(format!("{count} pods")),
        }
    });
}

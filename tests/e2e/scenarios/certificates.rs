//! Certificates that berth makes by itself, and that kube-apiserver and kube-scheduler trust.

use std::fs;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::berth::Berth;
use crate::captures::capture;
use crate::manifests::NAMESPACE;
use crate::scheduler::Scheduler;
use crate::service::Service;
use crate::vms;
use crate::wait;
use crate::world::{WEBHOOKS, World};

/// Two replicas that begin without a Secret, and webhooks that trust nobody yet.
fn serve(world: &World) -> ([Berth; 2], Service) {
    let account = world.berths_account();
    let start = |name| world.start_managing_berth(name, &account, "berth");
    // At the same time.
    let replicas = ["berth-a", "berth-b"].map(start);
    for berth in &replicas {
        berth.wait_until_ready();
    }
    let service = world.service(&[&replicas[0], &replicas[1]]);
    world
        .kubectl
        .apply(&[world.manifests.webhooks(&service.url())]);
    wait::until("kube-apiserver trusts berth", || world.probe_webhooks());
    (replicas, service)
}

/// The CAs that each webhook trusts.
fn bundles(world: &World) -> Vec<String> {
    let configuration = world.api.get(WEBHOOKS);
    let webhooks = configuration["webhooks"].as_array().unwrap();
    let bundle = |webhook: &Value| text(&webhook["clientConfig"]["caBundle"]);
    webhooks.iter().map(bundle).collect()
}

/// Bytes as Kubernetes writes them, which are none where there are none.
fn text(bytes: &Value) -> String {
    let bytes = BASE64_STANDARD.decode(bytes.as_str().unwrap_or_default());
    String::from_utf8(bytes.unwrap()).unwrap()
}

fn sum(replicas: &[Berth], series: &str) -> u64 {
    replicas.iter().map(|berth| berth.metric(series)).sum()
}

pub(crate) fn both_callers_trust_what_two_replicas_made(world: &mut World) {
    let (replicas, service) = serve(world);
    // One of them made the CA, and both serve leaves of it.
    let made = "berth_tls_issued_total{cause=\"first\",certificate=\"ca\"";
    assert_eq!(sum(&replicas, made), 1);
    let ca = world.managed_ca(NAMESPACE);
    let review = capture("admission-create-vm-bridge");
    for berth in &replicas {
        let answer = berth.caller(&ca).post("/mutate?timeout=3s", &review);
        assert_eq!(answer["response"]["patchType"], "JSONPatch");
    }
    let made = fs::read_to_string(&ca).unwrap();
    for bundle in bundles(world) {
        assert_eq!(bundle, made);
    }

    let scheduler = Scheduler::start(world, &service.url(), &ca);
    let namespace = world.namespace("trusted");
    let vmi = vms::run_vmi(&world.api, &namespace, "web", "el9-0");
    let pod = vms::start_target(&world.api, &vmi);
    assert_ne!(vms::wait_until_bound(&world.api, &pod), "el9-0");
    assert_eq!(
        sum(
            &replicas,
            "berth_extender_requests_total{outcome=\"judged\",verb=\"filter\""
        ),
        1
    );
    scheduler.assert_always_answered();
}

pub(crate) fn what_others_spoil_is_repaired(world: &mut World) {
    let (replicas, service) = serve(world);
    let ca = fs::read_to_string(world.managed_ca(NAMESPACE)).unwrap();
    let is_trusted = || {
        wait::until("berth's CA is in every bundle", || {
            let bundles = bundles(world);
            if bundles.iter().all(|bundle| bundle.contains(&ca)) {
                return Ok(());
            }
            Err(format!("{bundles:#?}"))
        });
        wait::until("kube-apiserver trusts berth", || world.probe_webhooks());
    };

    let foreign = json!([{
        "op": "replace",
        "path": "/webhooks/0/clientConfig/caBundle",
        "value": world.files_ca(),
    }]);
    world.api.json_patch(WEBHOOKS, &foreign);
    is_trusted();
    assert!(
        sum(
            &replicas,
            "berth_tls_ca_bundle_writes_total{cause=\"repaired\""
        ) > 0
    );

    // Who applies the manifests again leaves what is not in them.
    let before = bundles(world);
    world
        .kubectl
        .apply(&[world.manifests.webhooks(&service.url())]);
    assert_eq!(bundles(world), before);
    // Made anew, they trust nobody for a moment.
    world.api.delete(WEBHOOKS);
    world
        .kubectl
        .apply(&[world.manifests.webhooks(&service.url())]);
    is_trusted();

    for berth in &replicas {
        assert_eq!(berth.metric("berth_tls_management_errors_total"), 0);
    }
    // Applied again, the empty Secret of the manifests leaves what is in it, in both ways of kubectl.
    let secret = world.tls_secret(NAMESPACE);
    let filled = world.api.get(&secret)["data"].clone();
    let shipped = world.manifests.to_be_filled();
    world.kubectl.apply(&shipped);
    assert_eq!(world.api.get(&secret)["data"], filled);
    for object in &shipped {
        world
            .kubectl
            .run(&["apply", "-f", "-"], &object.to_string());
    }
    assert_eq!(world.api.get(&secret)["data"], filled);

    // Without the Secret the replicas go on. They may not make it; once it is brought again, they fill it
    // with the CA that is trusted.
    world.api.delete(&secret);
    world.probe_webhooks().unwrap();
    world.kubectl.apply(&shipped);
    wait::until("the Secret is there again", || {
        let found = world.api.get(&secret);
        if found["data"].is_null() {
            return Err("it is empty".to_owned());
        }
        assert_eq!(text(&found["data"]["ca.crt"]), ca);
        Ok(())
    });
    world.probe_webhooks().unwrap();
    for berth in &replicas {
        assert_eq!(berth.readyz().0, 200);
    }
}

//! Tests of the requests, against what virt-controller requests.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, from_value, json};

use super::*;
use crate::domain::Network;
use crate::fleet::load::from_file;
use crate::fleet::model::Vm;
use crate::fleet::target::TargetPod;

const RENDERED: &str = include_str!("../../../../tests/data/launchers/requests.json");

/// What virt-controller made of VMIs.
#[derive(Deserialize)]
struct Rendered {
    cases: Vec<Case>,
    releases: Vec<Release>,
}

/// A VMI, and the configuration in the KubeVirt CR.
#[derive(Deserialize)]
struct Case {
    name: String,
    config: Value,
    #[serde(default)]
    annotations: Labels,
    spec: Value,
}

/// What the pods of a release request, by case, where the release before it has something else.
#[derive(Deserialize)]
struct Release {
    version: String,
    requests: BTreeMap<String, Option<Resources>>,
}

/// The file was written by the functions of each release that fill in a VMI and render its pod
/// (`SetDefaultVirtualMachineInstance` and `RenderLaunchManifest`).
#[test]
fn a_launcher_requests_what_each_release_of_kubevirt_renders() {
    let Rendered { cases, releases } = serde_json::from_str(RENDERED).unwrap();
    let mut rendered: BTreeMap<String, Option<Resources>> = BTreeMap::new();
    let mut differing = Vec::new();
    for Release { version, requests } in releases {
        rendered.extend(requests);
        for case in &cases {
            let Some(mut expect) = rendered[&case.name].clone() else {
                continue;
            };
            expect.insert("pods".to_owned(), 1);
            let kubevirt: KubeVirt = from_value(json!({
                "spec": {"configuration": case.config},
                "status": {"observedKubeVirtVersion": format!("v{version}")},
            }))
            .unwrap();
            let template =
                json!({"metadata": {"annotations": case.annotations}, "spec": case.spec});
            let vm: Vm = from_value(json!({"spec": {"template": template}})).unwrap();
            let requests = TargetPod::of_launch(&vm, Some(&kubevirt)).requests;
            if requests != expect {
                differing.push(format!(
                    "{version} {}: {requests:?}\n  not {expect:?}",
                    case.name
                ));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// The amounts are computed by hand from the source of each tag.
#[test]
fn the_memory_of_a_launcher_depends_on_the_release() {
    const MIB: i64 = 1 << 20;
    let small = json!({"memory": {"guest": "1Gi"}});
    let tpm = json!({"memory": {"guest": "1Gi"}, "devices": {"tpm": {"enabled": false}}});
    let passt = json!({"memory": {"guest": "1Gi"},
        "devices": {"interfaces": [{"name": "a", "passt": {}}, {"name": "b", "passt": {}}]}});
    let dedicated = json!({"memory": {"guest": "3Gi"},
        "cpu": {"cores": 2, "dedicatedCpuPlacement": true}});
    for (version, domain, ratio, expect) in [
        ("v1.0.0", &small, None, 1268 * MIB),
        ("v1.1.0", &small, None, 1268 * MIB + 35_000_000),
        ("v1.4.0", &small, None, 1268 * MIB + 35_000_000),
        ("v1.4.1", &small, None, 1273 * MIB + 35_000_000),
        ("v1.5.0", &small, None, 1278 * MIB + 35_000_000),
        ("v1.6.0", &small, None, 1294 * MIB + 35_000_000),
        ("v1.6.3", &small, None, 1294 * MIB + 35_000_000),
        ("v1.6.4", &small, None, 1292 * MIB + 35_000_000),
        ("v1.9.0", &small, None, 1292 * MIB + 35_000_000),
        ("v1.10.0", &small, None, 1312 * MIB + 35_000_000),
        ("v1.4.0", &tpm, None, 1321 * MIB + 35_000_000),
        ("v1.4.1", &tpm, None, 1273 * MIB + 35_000_000),
        ("v1.5.0", &tpm, None, 1331 * MIB + 35_000_000),
        ("v1.5.1", &tpm, None, 1278 * MIB + 35_000_000),
        ("v1.2.2", &passt, None, 2868 * MIB + 35_000_000),
        ("v1.3.0", &passt, None, 1268 * MIB + 35_000_000),
        ("v1.5.2", &dedicated, Some("1.25"), 3_734_734_289),
        ("v1.5.3", &dedicated, Some("1.25"), 3_760_948_289),
    ] {
        let kubevirt: KubeVirt = from_value(json!({
            "spec": {"configuration": {"additionalGuestMemoryOverheadRatio": ratio.unwrap_or("")}},
            "status": {"observedKubeVirtVersion": version},
        }))
        .unwrap();
        let template = json!({"spec": {"domain": domain}});
        let vm: Vm = from_value(json!({"spec": {"template": template}})).unwrap();
        let requests = TargetPod::of_launch(&vm, Some(&kubevirt)).requests;
        assert_eq!(requests[MEMORY], expect, "{version} {domain}");
    }
}

/// The pods were made by a virt-controller between 1.9 and 1.10, whose estimate of QEMU is that of 1.10. The CR names
/// 1.9.0.
#[test]
fn the_captured_launchers_request_what_their_vms_make_of_them() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/captures/cluster.json"
    );
    let loaded = from_file(Path::new(path), &Network::default()).unwrap();
    let mut fleet = loaded.fleet;
    let kubevirt = fleet.kubevirt.as_mut().unwrap();
    kubevirt.status.observed_kube_virt_version = Some("v1.10.0".to_owned());
    let mut rebuilt = 0;
    for pod in fleet.pods.values() {
        let Some(launcher) = &pod.launcher else {
            continue;
        };
        let mut vmis = fleet.vmis.values();
        let vmi = vmis
            .find(|vmi| vmi.metadata.uid == launcher.vmi_uid)
            .unwrap();
        let made = TargetPod::of_migration(vmi, None, None, fleet.kubevirt.as_ref(), None);
        assert_eq!(made.requests, pod.requests, "{}", vmi.metadata.name);
        let mut stopped = fleet.vms.values();
        let vm = stopped.find(|vm| vm.metadata.name == vmi.metadata.name);
        if let Some(vm) = vm {
            let made = TargetPod::of_launch(vm, fleet.kubevirt.as_ref());
            assert_eq!(made.requests, pod.requests, "{}", vm.metadata.name);
        }
        rebuilt += 1;
    }
    assert!(rebuilt > 2, "{rebuilt}");
}

//! Tests of the target pod.

use std::path::Path;

use serde_json::{Value, from_value, json};

use super::*;
use crate::domain::Network;
use crate::fleet::load::from_file;
use crate::fleet::model::Launcher;

fn vmi(spec: Value, status: Value) -> Vmi {
    let mut vmi = json!({});
    vmi["spec"] = spec;
    vmi["status"] = status;
    from_value(vmi).unwrap()
}

fn vm(spec: Value) -> Vm {
    let mut vm = json!({"spec": {"template": {}}});
    vm["spec"]["template"]["spec"] = spec;
    from_value(vm).unwrap()
}

fn kubevirt(version: &str, configuration: Value) -> KubeVirt {
    let mut kubevirt = json!({"spec": {}, "status": {"observedKubeVirtVersion": version}});
    kubevirt["spec"]["configuration"] = configuration;
    from_value(kubevirt).unwrap()
}

fn labels_of(labels: &[(&str, &str)]) -> Labels {
    let labels = labels
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    labels.collect()
}

fn node(labels: &[(&str, &str)]) -> Node {
    Node {
        labels: labels_of(labels),
        ..Node::default()
    }
}

fn launcher(selector: &[(&str, &str)]) -> Pod {
    let launcher = Launcher {
        node_selector: labels_of(selector),
        ..Launcher::default()
    };
    Pod {
        launcher: Some(Box::new(launcher)),
        ..Pod::default()
    }
}

/// The selector of the target pod, without the label that all have.
fn migrated(
    spec: Value,
    status: Value,
    pod: Option<&Pod>,
    node: Option<&Node>,
    kubevirt: Option<&KubeVirt>,
) -> Labels {
    let pod = TargetPod::of_migration(&vmi(spec, status), pod, node, kubevirt, None);
    let mut selector = pod.rules.selector;
    assert_eq!(
        selector.remove("kubevirt.io/schedulable").as_deref(),
        Some("true")
    );
    selector
}

#[test]
fn the_selector_has_a_label_for_each_thing_that_the_vmi_asks_of_its_node() {
    let features = |policies: &[(&str, Value)]| -> Value {
        let feature = |(name, policy): &(&str, Value)| json!({"name": name, "policy": policy});
        policies.iter().map(feature).collect()
    };
    for (spec, expect) in [
        (json!({}), vec![]),
        (
            json!({"architecture": "AMD64"}),
            vec![("kubernetes.io/arch", "amd64")],
        ),
        (
            json!({"nodeSelector": {"zone": "az1"}}),
            vec![("zone", "az1")],
        ),
        (
            json!({"architecture": "amd64", "nodeSelector": {"kubernetes.io/arch": "arm64"}}),
            vec![("kubernetes.io/arch", "arm64")],
        ),
        (
            json!({"domain": {"cpu": {"dedicatedCpuPlacement": true, "realtime": {}}}}),
            vec![
                ("kubevirt.io/cpumanager", "true"),
                ("kubevirt.io/realtime", "true"),
            ],
        ),
        (
            json!({"domain": {"cpu": {"model": "EPYC", "features": features(&[
                ("a", json!(null)), ("b", json!("require")), ("c", json!("force")),
                ("d", json!("optional")), ("e", json!("disable")), ("f", json!("forbid")),
                ("g", json!("")),
            ])}}}),
            vec![
                ("cpu-feature.node.kubevirt.io/a", "true"),
                ("cpu-feature.node.kubevirt.io/b", "true"),
                ("cpu-feature.node.kubevirt.io/g", "true"),
                ("cpu-model.node.kubevirt.io/EPYC", "true"),
            ],
        ),
        // Features count only with a model.
        (
            json!({"domain": {"cpu": {"features": features(&[("a", json!("require"))])}}}),
            vec![],
        ),
        (
            json!({"domain": {"cpu": {
                "model": "host-passthrough", "features": features(&[("vmx", json!("require"))]),
            }}}),
            vec![("cpu-feature.node.kubevirt.io/vmx", "true")],
        ),
    ] {
        let selector = migrated(spec.clone(), json!({}), None, None, None);
        assert_eq!(selector, labels_of(&expect), "{spec}");
    }
}

#[test]
fn the_selector_has_the_frequency_and_the_encryption() {
    let feature = |policy: &str| {
        let feature = json!({"name": "invtsc", "policy": policy});
        json!({"domain": {"cpu": {"features": [feature]}}})
    };
    for (spec, status, expect) in [
        (
            feature("require"),
            json!({"topologyHints": {"tscFrequency": 2_100_000_000}}),
            vec![(
                "scheduling.node.kubevirt.io/tsc-frequency-2100000000",
                "true",
            )],
        ),
        (
            json!({"domain": {"features": {"hyperv": {"reenlightenment": {"enabled": true}}}}}),
            json!({"topologyHints": {"tscFrequency": 3}}),
            vec![("scheduling.node.kubevirt.io/tsc-frequency-3", "true")],
        ),
        (
            json!({"domain": {"features": {"hyperv": {"reenlightenment": {"enabled": false}}}}}),
            json!({"topologyHints": {"tscFrequency": 3}}),
            vec![],
        ),
        (
            feature("optional"),
            json!({"topologyHints": {"tscFrequency": 3}}),
            vec![],
        ),
        (
            feature("force"),
            json!({"topologyHints": {"tscFrequency": 0}}),
            vec![],
        ),
        (
            json!({"domain": {"launchSecurity": {"sev": {}}}}),
            json!({}),
            vec![("kubevirt.io/sev", "true")],
        ),
        (
            json!({"domain": {"launchSecurity": {"sev": {"policy": {"encryptedState": true}}}}}),
            json!({}),
            vec![("kubevirt.io/sev", "true"), ("kubevirt.io/sev-es", "true")],
        ),
        (
            json!({"domain": {"launchSecurity": {"snp": {}}}}),
            json!({}),
            vec![("kubevirt.io/sev", "true"), ("kubevirt.io/sev-snp", "true")],
        ),
        (
            json!({"domain": {"launchSecurity": {"tdx": {}}}}),
            json!({}),
            vec![("kubevirt.io/tdx", "true")],
        ),
        (
            json!({"architecture": "s390x", "domain": {"launchSecurity": {}}}),
            json!({}),
            vec![
                ("kubernetes.io/arch", "s390x"),
                ("kubevirt.io/s390-pv", "true"),
            ],
        ),
    ] {
        let selector = migrated(spec.clone(), status.clone(), None, None, None);
        assert_eq!(selector, labels_of(&expect), "{spec} {status}");
    }
}

#[test]
fn the_machine_type_is_selected_from_kubevirt_1_5_1_on() {
    const RUNS: &str = "machine-type.node.kubevirt.io/pc-q35-rhel9.6.0";
    const ASKED: &str = "machine-type.node.kubevirt.io/q35";
    let asked = json!({"domain": {"machine": {"type": "q35"}}});
    let runs = json!({"machine": {"type": "pc-q35-rhel9.6.0"}});
    let empty = json!({"machine": {"type": ""}});
    for (version, spec, status, expect) in [
        ("v1.5.0", &asked, &runs, None),
        ("v1.5.1", &asked, &runs, Some(RUNS)),
        ("v1.9.0", &json!({}), &runs, Some(RUNS)),
        ("v1.9.0", &asked, &empty, Some(ASKED)),
        ("v1.9.0", &json!({}), &empty, None),
        ("devel", &asked, &runs, Some(RUNS)),
    ] {
        let kubevirt = kubevirt(version, json!({}));
        let selector = migrated(spec.clone(), status.clone(), None, None, Some(&kubevirt));
        let expect: Vec<_> = expect.into_iter().map(|label| (label, "true")).collect();
        assert_eq!(selector, labels_of(&expect), "{version} {spec} {status}");
    }
    let launch = TargetPod::of_launch(&vm(asked), None).rules.selector;
    assert_eq!(launch.get(ASKED).map(String::as_str), Some("true"));
}

#[test]
fn the_kubevirt_cr_adds_selectors_and_feature_gates_to_the_selector() {
    let hyperv = json!({"domain": {"features": {"hyperv": {
        "relaxed": {"enabled": true},
        "vpindex": {"enabled": true},
        "synictimer": {"direct": {"enabled": false}},
        "ipi": {"enabled": false},
        "tlbflush": {},
        "evmcs": {},
    }}}});
    let gates = |gates: &[&str]| json!({"developerConfiguration": {"featureGates": gates}});
    let arm = json!({"architecture": "arm64"});
    for (spec, version, configuration, expect) in [
        (
            json!({"nodeSelector": {"zone": "az1"}}),
            "v1.9.0",
            json!({"developerConfiguration": {"nodeSelectors": {"zone": "az0", "vms": "yes"}}}),
            vec![("vms", "yes"), ("zone", "az1")],
        ),
        (hyperv.clone(), "v1.9.0", json!({}), vec![]),
        (
            hyperv,
            "v1.5.0",
            gates(&["HypervStrictCheck"]),
            vec![
                ("cpu-vendor.node.kubevirt.io/Intel", "true"),
                ("hyperv.node.kubevirt.io/synictimer", "true"),
                ("hyperv.node.kubevirt.io/tlbflush", "true"),
                ("hyperv.node.kubevirt.io/vpindex", "true"),
            ],
        ),
        (
            arm.clone(),
            "v1.9.0",
            gates(&["CrossArchitectureVirtualization"]),
            vec![("kubevirt.io/vm-arch-arm64", "true")],
        ),
        (
            arm,
            "v1.8.4",
            gates(&["CrossArchitectureVirtualization"]),
            vec![("kubernetes.io/arch", "arm64")],
        ),
        (
            json!({}),
            "v1.9.0",
            gates(&["CrossArchitectureVirtualization"]),
            vec![],
        ),
    ] {
        let kubevirt = kubevirt(version, configuration.clone());
        let selector = migrated(spec.clone(), json!({}), None, None, Some(&kubevirt));
        assert_eq!(
            selector,
            labels_of(&expect),
            "{spec} {version} {configuration}"
        );
    }
}

#[test]
fn a_host_model_guest_keeps_the_cpu_of_its_first_node() {
    let intel = node(&[
        ("host-model-cpu.node.kubevirt.io/Skylake-Server", "true"),
        ("host-model-required-features.node.kubevirt.io/vmx", "true"),
        ("host-model-required-features.node.kubevirt.io/rtm", "true"),
        ("cpu-feature.node.kubevirt.io/avx", "true"),
        ("cpu-model.node.kubevirt.io/Skylake-Server", "true"),
    ]);
    let first = vec![
        ("cpu-feature.node.kubevirt.io/rtm", "true"),
        ("cpu-feature.node.kubevirt.io/vmx", "true"),
        (
            "cpu-model-migration.node.kubevirt.io/Skylake-Server",
            "true",
        ),
    ];
    let labels_without_model =
        node(&[("host-model-required-features.node.kubevirt.io/vmx", "true")]);
    let fresh = launcher(&[("kubevirt.io/schedulable", "true")]);
    let moved = launcher(&[
        ("kubevirt.io/schedulable", "true"),
        ("cpu-model-migration.node.kubevirt.io/Haswell", "true"),
        ("cpu-feature.node.kubevirt.io/aes", "true"),
        ("cpu-model.node.kubevirt.io/EPYC", "true"),
        ("zone", "az1"),
    ]);
    let kept = vec![
        ("cpu-feature.node.kubevirt.io/aes", "true"),
        ("cpu-model-migration.node.kubevirt.io/Haswell", "true"),
    ];
    let demanding = launcher(&[("cpu-feature.node.kubevirt.io/vmx", "true")]);
    let host_model = json!({"domain": {"cpu": {"model": "host-model"}}});
    for (spec, pod, node, expect) in [
        (&host_model, Some(&fresh), Some(&intel), first.clone()),
        (&host_model, None, Some(&intel), first),
        (&host_model, Some(&moved), Some(&intel), kept.clone()),
        (&host_model, Some(&moved), None, kept),
        // As virt-controller has it: a required feature counts as a migration.
        (
            &host_model,
            Some(&demanding),
            Some(&intel),
            vec![("cpu-feature.node.kubevirt.io/vmx", "true")],
        ),
        (
            &host_model,
            Some(&fresh),
            Some(&labels_without_model),
            vec![],
        ),
        (&host_model, None, None, vec![]),
        // Without a model the branch is not taken.
        (&json!({}), Some(&moved), Some(&intel), vec![]),
        (
            &json!({"domain": {"cpu": {"model": "EPYC"}}}),
            Some(&moved),
            Some(&intel),
            vec![("cpu-model.node.kubevirt.io/EPYC", "true")],
        ),
    ] {
        let selector = migrated(spec.clone(), json!({}), pod, node, None);
        assert_eq!(selector, labels_of(&expect), "{spec}");
    }
}

#[test]
fn the_cpu_vendor_of_the_source_is_kept_by_the_versions_that_do_so() {
    let amd = node(&[("cpu-vendor.node.kubevirt.io/AMD", "true")]);
    let own = json!({"nodeSelector": {"cpu-vendor.node.kubevirt.io/Intel": "true"}});
    let kept = vec![("cpu-vendor.node.kubevirt.io/AMD", "true")];
    for (version, spec, node, expect) in [
        (Some("v1.5.3"), json!({}), Some(&amd), vec![]),
        (Some("v1.6.3"), json!({}), Some(&amd), vec![]),
        (Some("v1.6.4"), json!({}), Some(&amd), kept.clone()),
        (Some("v1.7.0"), json!({}), Some(&amd), vec![]),
        (Some("v1.7.1"), json!({}), Some(&amd), kept.clone()),
        (Some("v1.8.0"), json!({}), Some(&amd), kept.clone()),
        (Some("v1.9.0"), json!({}), Some(&amd), kept.clone()),
        (None, json!({}), Some(&amd), kept),
        (None, json!({}), Some(&Node::default()), vec![]),
        (None, json!({}), None, vec![]),
        (
            None,
            own,
            Some(&amd),
            vec![("cpu-vendor.node.kubevirt.io/Intel", "true")],
        ),
    ] {
        let kubevirt = version.map(|version| kubevirt(version, json!({})));
        let selector = migrated(spec.clone(), json!({}), None, node, kubevirt.as_ref());
        assert_eq!(selector, labels_of(&expect), "{version:?} {spec}");
    }
}

#[test]
fn an_added_node_selector_loses_to_the_labels_of_the_template() {
    let vmi = vmi(
        json!({"nodeSelector": {"zone": "az1"}, "domain": {"cpu": {"model": "host-model"}}}),
        json!({"nodeName": "node-1"}),
    );
    let migration = json!({"spec": {"addedNodeSelector": {
        "zone": "az2",
        "kubernetes.io/hostname": "node-2",
        "kubevirt.io/schedulable": "false",
        "cpu-vendor.node.kubevirt.io/Intel": "true",
        "cpu-model-migration.node.kubevirt.io/EPYC": "false",
    }}});
    let migration: Migration = from_value(migration).unwrap();
    let source = node(&[
        ("cpu-vendor.node.kubevirt.io/AMD", "true"),
        ("host-model-cpu.node.kubevirt.io/EPYC", "true"),
    ]);
    let pod = TargetPod::of_migration(&vmi, None, Some(&source), None, Some(&migration));
    let expect = labels_of(&[
        ("cpu-model-migration.node.kubevirt.io/EPYC", "true"),
        ("cpu-vendor.node.kubevirt.io/Intel", "true"),
        ("kubernetes.io/hostname", "node-2"),
        ("kubevirt.io/schedulable", "true"),
        ("zone", "az1"),
    ]);
    assert_eq!(pod.rules.selector, expect);
    assert_eq!(pod.source.as_deref(), Some("node-1"));
}

#[test]
fn a_node_with_an_obsolete_model_or_a_forbidden_feature_is_ruled_out() {
    const OBSOLETE: &str = "node-labeller.kubevirt.io/obsolete-host-model";
    let forbid = json!([{"name": "vmx", "policy": "forbid"}, {"name": "aes"}]);
    for (cpu, expect) in [
        (json!(null), vec![OBSOLETE]),
        (json!({}), vec![OBSOLETE]),
        (json!({"model": ""}), vec![OBSOLETE]),
        (json!({"model": "host-model"}), vec![OBSOLETE]),
        (json!({"model": "host-passthrough"}), vec![]),
        (json!({"model": "EPYC"}), vec![]),
        (
            json!({"model": "EPYC", "features": forbid}),
            vec!["cpu-feature.node.kubevirt.io/vmx"],
        ),
    ] {
        let vmi = vmi(json!({"domain": {"cpu": cpu}}), json!({}));
        let pod = TargetPod::of_migration(&vmi, None, None, None, None);
        assert!(
            pod.rules.forbidden.iter().eq(&expect),
            "{cpu}: {:?}",
            pod.rules.forbidden
        );
    }
}

#[test]
fn an_empty_term_of_the_affinity_becomes_one_that_matches_if_kubevirt_adds_a_label_to_it() {
    let zone = json!({"matchExpressions": [{"key": "zone", "operator": "Exists"}]});
    for (model, terms, has_affinity) in [
        ("host-model", json!([zone]), true),
        ("host-model", json!([zone, {}]), false),
        ("host-model", json!([]), true),
        ("EPYC", json!([zone, {}]), true),
    ] {
        let selector = json!({"nodeSelectorTerms": terms});
        let spec = json!({
            "domain": {"cpu": {"model": model}},
            "affinity": {"nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": selector,
            }},
        });
        let pod = TargetPod::of_migration(&vmi(spec, json!({})), None, None, None, None);
        let expect = NodeAffinity::new(from_value(selector).unwrap());
        assert_eq!(
            pod.rules.affinity,
            has_affinity.then_some(expect),
            "{model} {terms}"
        );
    }
}

#[test]
fn the_tolerations_are_those_of_the_vmi_and_the_default_ones() {
    let not_ready = "node.kubernetes.io/not-ready";
    let unreachable = "node.kubernetes.io/unreachable";
    for (own, added) in [
        (json!([]), vec![not_ready, unreachable]),
        (
            json!([{"key": "gpu", "operator": "Exists"}]),
            vec![not_ready, unreachable],
        ),
        (json!([{"operator": "Exists"}]), vec![]),
        (
            json!([{"operator": "Exists", "effect": "NoSchedule"}]),
            vec![not_ready, unreachable],
        ),
        (
            json!([{"key": not_ready, "operator": "Exists"}]),
            vec![unreachable],
        ),
        (
            json!([{"key": unreachable, "effect": "NoExecute", "value": "x"}]),
            vec![not_ready],
        ),
    ] {
        let vmi = vmi(json!({"tolerations": own}), json!({}));
        let pod = TargetPod::of_migration(&vmi, None, None, None, None);
        let mut expect: Vec<Toleration> = from_value(own).unwrap();
        let default = |key| json!({"key": key, "operator": "Exists", "effect": "NoExecute"});
        expect.extend(
            added
                .into_iter()
                .map(|key| from_value::<Toleration>(default(key)).unwrap()),
        );
        assert_eq!(pod.rules.tolerations, expect);
    }
}

#[test]
fn what_berth_does_not_judge_is_listed() {
    for (spec, expect) in [
        (json!({}), vec![]),
        (json!({"schedulerName": ""}), vec![]),
        (json!({"schedulerName": "default-scheduler"}), vec![]),
        (
            json!({
                "schedulerName": "mine",
                "topologySpreadConstraints": [{"maxSkew": 1}],
                "resourceClaims": [{"name": "gpu"}],
            }),
            vec![
                Cause::TopologySpreadNotJudged,
                Cause::DynamicResourcesNotJudged,
                Cause::OtherScheduler,
            ],
        ),
    ] {
        let pod = TargetPod::of_migration(&vmi(spec.clone(), json!({})), None, None, None, None);
        assert_eq!(pod.not_judged, expect, "{spec}");
        assert_eq!(
            TargetPod::of_launch(&vm(spec.clone()), None).not_judged,
            expect,
            "{spec}"
        );
    }
}

#[test]
fn a_vm_that_does_not_run_gets_the_default_cpu_model_and_no_source() {
    let amd = kubevirt("v1.9.0", json!({"cpuModel": "EPYC"}));
    let feature = json!([{"name": "aes"}]);
    for (cpu, kubevirt, expect, is_obsolete_ruled_out) in [
        (json!(null), None, vec![], true),
        (
            json!({"features": feature}),
            None,
            vec![("cpu-feature.node.kubevirt.io/aes", "true")],
            true,
        ),
        (
            json!({"model": ""}),
            Some(&amd),
            vec![("cpu-model.node.kubevirt.io/EPYC", "true")],
            false,
        ),
        (
            json!({"model": "Haswell"}),
            Some(&amd),
            vec![("cpu-model.node.kubevirt.io/Haswell", "true")],
            false,
        ),
        (json!({"model": "host-model"}), Some(&amd), vec![], true),
    ] {
        let mut pod = TargetPod::of_launch(&vm(json!({"domain": {"cpu": cpu}})), kubevirt);
        pod.rules
            .selector
            .remove("kubevirt.io/schedulable")
            .unwrap();
        assert_eq!(pod.rules.selector, labels_of(&expect), "{cpu}");
        assert_eq!(
            !pod.rules.forbidden.is_empty(),
            is_obsolete_ruled_out,
            "{cpu}"
        );
        assert_eq!(pod.source, None);
    }
}

const GIB: i64 = 1 << 30;
const MIB: i64 = 1 << 20;

/// The requests of a launcher without those that all have.
fn requests(mut requests: Resources) -> Vec<(String, i64)> {
    for (resource, amount) in [
        ("devices.kubevirt.io/kvm", 1),
        ("devices.kubevirt.io/tun", 1),
        ("devices.kubevirt.io/vhost-net", 1),
        ("ephemeral-storage", 50_000_000),
        ("pods", 1),
    ] {
        assert_eq!(requests.remove(resource), Some(amount), "{resource}");
    }
    requests.into_iter().collect()
}

/// A VMI with a memory overhead of 290 MiB and no container beside its own.
fn with_overhead(domain: Value) -> Vmi {
    let mut spec = json!({});
    spec["domain"] = domain;
    spec["domain"]["devices"]["logSerialConsole"] = false.into();
    vmi(spec, json!({"memory": {"memoryOverhead": "290Mi"}}))
}

/// A machine, and what its launcher requests.
type Case<'a> = (Value, Option<&'a KubeVirt>, &'a [(&'a str, i64)]);

fn assert_requests(cases: &[Case<'_>]) {
    for (domain, kubevirt, expect) in cases {
        let vmi = with_overhead(domain.clone());
        let pod = TargetPod::of_migration(&vmi, None, None, *kubevirt, None);
        let expect = expect
            .iter()
            .map(|(name, amount)| ((*name).to_owned(), *amount));
        assert!(
            requests(pod.requests.clone()).into_iter().eq(expect),
            "{domain}: {pod:?}"
        );
    }
}

#[test]
fn the_requests_are_those_of_the_source_pod_where_it_is_known() {
    let source = Pod {
        requests: Resources::from([("cpu".to_owned(), 105), ("pods".to_owned(), 1)]),
        ..Pod::default()
    };
    let known = with_overhead(json!({"resources": {"requests": {"memory": "1Gi"}}}));
    let pod = TargetPod::of_migration(&known, Some(&source), None, None, None);
    assert_eq!(pod.requests, source.requests);
}

#[test]
fn cpu_and_memory_are_computed_from_the_spec() {
    let ratio = kubevirt(
        "v1.9.0",
        json!({"developerConfiguration": {
        "cpuAllocationRatio": 3, "memoryOvercommit": 200}}),
    );
    assert_requests(&[
        (
            json!({"resources": {"requests": {"memory": "1Gi"}}}),
            None,
            &[("cpu", 100), ("memory", 1314 * MIB)],
        ),
        (
            json!({"cpu": {"cores": 2, "sockets": 4, "threads": 1}, "memory": {"guest": "2Gi"}}),
            None,
            &[("cpu", 800), ("memory", 2 * GIB + 290 * MIB)],
        ),
        (
            json!({"cpu": {"cores": 4}, "memory": {"guest": "2Gi"}}),
            Some(&ratio),
            &[("cpu", 1334), ("memory", GIB + 290 * MIB)],
        ),
        (
            json!({"resources": {
                "requests": {"cpu": "1500m", "example.com/x": "2"}, "limits": {"memory": "3Gi"}}}),
            Some(&ratio),
            &[
                ("cpu", 1500),
                ("example.com/x", 2),
                ("memory", 3 * GIB + 290 * MIB),
            ],
        ),
        (
            json!({"resources": {"limits": {"cpu": "2"}}}),
            None,
            &[("cpu", 2000), ("memory", 290 * MIB)],
        ),
        (
            json!({"cpu": {"cores": 4, "dedicatedCpuPlacement": true, "isolateEmulatorThread": true},
                "memory": {"guest": "1Gi"}}),
            Some(&kubevirt("v1.9.0", json!({}))),
            &[("cpu", 5000), ("memory", GIB + 290 * MIB)],
        ),
        (
            json!({"cpu": {"dedicatedCpuPlacement": true}, "resources": {"limits": {"cpu": "3"}}}),
            None,
            &[("cpu", 3000), ("memory", 290 * MIB)],
        ),
    ]);
}

#[test]
fn huge_pages_and_devices_are_computed_from_the_spec() {
    assert_requests(&[
        (
            json!({"memory": {"guest": "4Gi", "hugepages": {"pageSize": "1Gi"}}}),
            None,
            &[
                ("cpu", 100),
                ("hugepages-1Gi", 4 * GIB),
                ("memory", 290 * MIB),
            ],
        ),
        (
            json!({"memory": {"guest": "1Gi", "hugepages": {"pageSize": "2Mi"}},
                "resources": {"requests": {"memory": "1.5Gi"}}}),
            None,
            &[
                ("cpu", 100),
                ("hugepages-2Mi", GIB),
                ("memory", 512 * MIB + 290 * MIB),
            ],
        ),
        (
            json!({"memory": {"hugepages": {"pageSize": "2Mi"}}}),
            None,
            &[
                ("cpu", 100),
                ("hugepages-2Mi", 2 * MIB),
                ("memory", 290 * MIB),
            ],
        ),
        (
            json!({"devices": {
                "gpus": [{"name": "a", "deviceName": "nvidia.com/A100"},
                    {"name": "b", "deviceName": "nvidia.com/A100"}],
                "hostDevices": [{"name": "c", "deviceName": "intel.com/qat"}, {"name": "d"}]}}),
            None,
            &[
                ("cpu", 100),
                ("intel.com/qat", 1),
                ("memory", 290 * MIB),
                ("nvidia.com/A100", 2),
            ],
        ),
        (
            json!({"cpu": {"cores": 4_294_967_295_u32, "sockets": 4_294_967_295_u32, "threads": 9},
                "memory": {"guest": "-16Ei"}, "resources": {"requests": {"memory": "much"}}}),
            None,
            &[
                ("cpu", 429_496_729_500),
                ("memory", -92_233_720_368_547_758 + 290 * MIB),
            ],
        ),
    ]);
}

#[test]
fn a_launcher_requests_the_devices_that_it_needs() {
    let emulated = kubevirt(
        "v1.9.0",
        json!({"developerConfiguration": {"useEmulation": true}}),
    );
    let off = json!({"autoattachPodInterface": false});
    let attached = json!({"autoattachPodInterface": false, "interfaces": [{"name": "a"}]});
    for (devices, kubevirt, has_kvm, has_tun) in [
        (json!({}), None, true, true),
        (json!({}), Some(&emulated), false, true),
        (off, None, true, false),
        (attached, None, true, true),
    ] {
        let vm = vm(json!({"domain": {"devices": devices}}));
        let requests = TargetPod::of_launch(&vm, kubevirt).requests;
        let has = |resource: &str| requests.contains_key(resource);
        assert_eq!(has("devices.kubevirt.io/kvm"), has_kvm, "{devices}");
        assert_eq!(has("devices.kubevirt.io/tun"), has_tun, "{devices}");
    }
}

/// The captured migrations were made by virt-controller 1.9.
#[test]
fn the_target_pods_of_the_captured_migrations_are_rebuilt() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/captures/cluster.json"
    );
    let fleet = from_file(Path::new(path), &Network::default())
        .unwrap()
        .fleet;
    let sources = fleet.source_pods();
    let mut rebuilt = 0;
    for pod in fleet.pods.values() {
        let Some(target) = pod.launcher.as_ref().filter(|pod| pod.migration.is_some()) else {
            continue;
        };
        let mut vmis = fleet.vmis.values();
        let vmi = vmis.find(|vmi| vmi.metadata.uid == target.vmi_uid).unwrap();
        let source = sources.get(vmi.metadata.uid.as_str());
        let source = source.map(|(_, pod)| *pod);
        let node = vmi
            .status
            .node_name
            .as_ref()
            .and_then(|name| fleet.nodes.get(name));
        let mut kubevirt = fleet.kubevirt.clone().unwrap();
        // Its pods are those of a KubeVirt that does not select nodes by machine type.
        if vmi.metadata.name == "legacy" {
            kubevirt.status.observed_kube_virt_version = Some("v1.5.0".to_owned());
        }
        let made = TargetPod::of_migration(vmi, source, node, Some(&kubevirt), None);

        assert_eq!(made.rules.selector, target.node_selector);
        let mut tolerations = target.tolerations.clone();
        for toleration in &mut tolerations {
            toleration.toleration_seconds = None;
        }
        assert_eq!(made.rules.tolerations, tolerations);
        let affinity = target
            .affinity
            .as_ref()
            .unwrap()
            .node_affinity
            .as_ref()
            .unwrap();
        let required = affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref();
        let terms = &required.unwrap().node_selector_terms;
        let keys = terms
            .iter()
            .flat_map(|term| term.match_expressions.as_ref().unwrap());
        assert!(
            keys.map(|requirement| &requirement.key)
                .eq(&made.rules.forbidden)
        );
        let kubevirt = fleet.kubevirt.as_ref();
        let made = TargetPod::of_migration(vmi, source, node, kubevirt, None);
        assert_eq!(made.requests, source.unwrap().requests);
        rebuilt += 1;
    }
    assert_eq!(rebuilt, 2);
}

#[test]
fn what_was_plugged_in_since_the_start_is_requested_of_the_target() {
    const MIB: i64 = 1 << 20;
    let source = [("cpu", 100), ("memory", 396 * MIB), ("pods", 1)];
    let resources = |amounts: &[(&str, i64)]| -> Resources {
        let amounts = amounts.iter();
        amounts
            .map(|(name, amount)| ((*name).to_owned(), *amount))
            .collect()
    };
    for (mut spec, current, expect) in [
        // As at the start, with an overhead of 268 MiB.
        (json!({"memory": {"guest": "128Mi"}}), "128Mi", source),
        (
            json!({"memory": {"guest": "1Gi"}}),
            "128Mi",
            [("cpu", 100), ("memory", 1292 * MIB), ("pods", 1)],
        ),
        // Less is requested only of a pod that is made anew for less.
        (json!({"memory": {"guest": "64Mi"}}), "128Mi", source),
        (
            json!({"memory": {"guest": "128Mi"}, "cpu": {"sockets": 4}}),
            "128Mi",
            [("cpu", 400), ("memory", 420 * MIB), ("pods", 1)],
        ),
        (
            json!({"memory": {"guest": "128Mi"}, "resources": {"requests": {"memory": "1Gi"}}}),
            "128Mi",
            [("cpu", 100), ("memory", 1294 * MIB), ("pods", 1)],
        ),
    ] {
        spec["devices"]["logSerialConsole"] = false.into();
        let vmi: Vmi = from_value(json!({
            "spec": {"domain": spec},
            "status": {"memory": {"guestCurrent": current}},
        }))
        .unwrap();
        let pod = Pod {
            requests: resources(&source),
            ..Pod::default()
        };
        let target = TargetPod::of_migration(&vmi, Some(&pod), None, None, None);
        assert_eq!(target.requests, resources(&expect), "{spec}");
    }
}

#[test]
fn the_pod_is_to_other_pods_what_the_vmi_says() {
    let affinity = json!({
        "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "rack"}}]},
        "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]},
    });
    let mut vmi = vmi(json!({"affinity": affinity}), json!({}));
    vmi.metadata.labels = [("app".to_owned(), "db".to_owned())].into();
    vmi.metadata.uid = "7".to_owned();
    let pods = TargetPod::of_migration(&vmi, None, None, None, None).pods;
    let expect = [
        ("app", "db"),
        ("kubevirt.io", "virt-launcher"),
        ("kubevirt.io/created-by", "7"),
        ("kubevirt.io/migrationJobUID", ""),
        ("vm.kubevirt.io/name", vmi.metadata.name.as_str()),
    ];
    assert!(
        pods.labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .eq(expect)
    );
    assert_eq!(pods.namespace, vmi.metadata.namespace);
    assert!(pods.near.is_empty());
    assert_eq!(pods.far[0].topology_key, "zone");
}

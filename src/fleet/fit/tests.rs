//! Tests of the placement of pods.

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::api::core::v1::Taint;
use serde_json::{from_value, json};

use super::affinity::NodeAffinity;
use super::*;
use crate::domain::Network;
use crate::fleet::load::from_file;
use crate::fleet::model::{Labels, Pod, Volume};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    pairs.collect()
}

/// The nodes of the captured cluster: `el10-0` to `-2`, `el9-0` to `-3`, `el9-nochassis` and
/// `old-nolabels`, all with the same CPU.
fn captured() -> Fleet {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/captures/cluster.json"
    );
    from_file(Path::new(path), &Network::default())
        .unwrap()
        .fleet
}

fn pod(selector: &[(&str, &str)]) -> TargetPod {
    TargetPod {
        rules: NodeRules {
            selector: labels(selector),
            ..NodeRules::default()
        },
        ..TargetPod::default()
    }
}

/// Every misfit with its nodes.
fn listed<'a>(misfits: &NodeMisfits<'a>) -> Vec<(Cause, String, Vec<&'a str>)> {
    let misfits = misfits.by_misfit();
    let listed =
        misfits.map(|(misfit, nodes)| (misfit.cause, misfit.detail.to_string(), nodes.collect()));
    listed.collect()
}

const ALL: [&str; 9] = [
    "el10-0",
    "el10-1",
    "el10-2",
    "el9-0",
    "el9-1",
    "el9-2",
    "el9-3",
    "el9-nochassis",
    "old-nolabels",
];

#[test]
fn a_pod_without_rules_fits_on_every_node() {
    let fleet = captured();
    let mut placement = Placement::new(&fleet);
    let misfits = placement.misfits(&TargetPod::default(), &[]);
    assert_eq!(misfits.targets(), ALL);
    assert_eq!(listed(&misfits), []);
    assert_eq!(misfits.by_node(), ALL.map(|name| (name, Vec::new())));
    let empty = Fleet::default();
    assert_eq!(
        Placement::new(&empty)
            .misfits(&pod(&[("a", "b")]), &[])
            .by_node(),
        []
    );
}

/// The captured cluster: `el9-1` lacks labels about its CPU, `el10-1` takes no VMs, `el10-2` alone has a
/// vendor, and `el9-0` has an obsolete model.
fn mixed() -> Fleet {
    let mut fleet = captured();
    let mut set = |name: &str, label: &str, value: Option<&str>| {
        let labels = &mut fleet.nodes.get_mut(name).unwrap().labels;
        match value {
            Some(value) => labels.insert(label.to_owned(), value.to_owned()),
            None => labels.remove(label),
        };
    };
    set("el9-1", "cpu-model.node.kubevirt.io/Skylake-Server", None);
    set(
        "el9-1",
        "cpu-model-migration.node.kubevirt.io/Skylake-Server",
        None,
    );
    set("el9-1", "cpu-feature.node.kubevirt.io/vmx", None);
    set("el9-1", "cpu-feature.node.kubevirt.io/rtm", None);
    set("el10-1", labels::SCHEDULABLE, Some("false"));
    set("el10-2", "cpu-vendor.node.kubevirt.io/Intel", Some("true"));
    set("el9-0", labels::OBSOLETE_HOST_MODEL, Some("true"));
    fleet
}

/// Checks the misfits of a pod in [`mixed`].
fn assert_misfits(pod: &TargetPod, expect: &[(Cause, &str, &[&str])]) {
    let fleet = mixed();
    let misfits = Placement::new(&fleet).misfits(pod, &[]);
    let expect = expect
        .iter()
        .map(|(cause, detail, nodes)| (*cause, (*detail).to_owned(), nodes.to_vec()));
    assert_eq!(listed(&misfits), expect.collect::<Vec<_>>());
}

#[test]
fn a_label_that_a_node_lacks_has_the_cause_of_its_kind() {
    let schedulable = pod(&[
        ("kubevirt.io/schedulable", "true"),
        ("kubernetes.io/arch", "amd64"),
    ]);
    assert_misfits(
        &schedulable,
        &[(
            Cause::NotSchedulable,
            "kubevirt.io/schedulable=true",
            &["el10-1"],
        )],
    );
    assert_misfits(
        &pod(&[("kubernetes.io/arch", "arm64")]),
        &[(Cause::NodeSelector, "kubernetes.io/arch=arm64", &ALL)],
    );
    let others = [
        "el10-0",
        "el10-1",
        "el9-1",
        "el9-2",
        "el9-nochassis",
        "old-nolabels",
    ];
    assert_misfits(
        &pod(&[
            ("topology.kubernetes.io/zone", "az1"),
            ("kubevirt.io/cpumanager", "true"),
        ]),
        &[
            (Cause::NodeSelector, "kubevirt.io/cpumanager=true", &ALL),
            (
                Cause::NodeSelector,
                "topology.kubernetes.io/zone=az1",
                &others,
            ),
        ],
    );
}

#[test]
fn labels_about_the_cpu_that_the_same_nodes_lack_are_one_misfit() {
    assert_misfits(
        &pod(&[
            ("cpu-feature.node.kubevirt.io/avx", "true"),
            ("cpu-feature.node.kubevirt.io/rtm", "true"),
            ("cpu-feature.node.kubevirt.io/vmx", "true"),
            ("cpu-model.node.kubevirt.io/Skylake-Server", "true"),
        ]),
        &[(
            Cause::CpuNotSupported,
            "no model Skylake-Server, no features rtm, vmx",
            &["el9-1"],
        )],
    );
    assert_misfits(
        &pod(&[
            ("cpu-feature.node.kubevirt.io/vmx", "true"),
            (
                "cpu-model-migration.node.kubevirt.io/Skylake-Server",
                "true",
            ),
            ("cpu-vendor.node.kubevirt.io/Intel", "true"),
        ]),
        &[
            (
                Cause::CpuNotSupported,
                "no host model Skylake-Server, no feature vmx",
                &["el9-1"],
            ),
            (
                Cause::CpuNotSupported,
                "vendor is not Intel",
                &all_but("el10-2"),
            ),
        ],
    );
}

#[test]
fn a_node_with_a_forbidden_label_does_not_fit() {
    let mut pod = TargetPod::default();
    for label in [
        labels::OBSOLETE_HOST_MODEL,
        "cpu-feature.node.kubevirt.io/vmx",
    ] {
        pod.rules.forbidden.insert(label.to_owned());
    }
    assert_misfits(
        &pod,
        &[
            (
                Cause::CpuNotSupported,
                "has the forbidden feature vmx",
                &all_but("el9-1"),
            ),
            (Cause::CpuNotSupported, "obsolete host model", &["el9-0"]),
        ],
    );
}

fn all_but(name: &str) -> Vec<&'static str> {
    ALL.into_iter().filter(|node| *node != name).collect()
}

/// A cluster of three nodes with one reason each for each cause, all of them on `bad`.
fn bad_node() -> Fleet {
    let mut fleet = Fleet::default();
    let good = Node {
        labels: labels(&[
            ("kubevirt.io/schedulable", "true"),
            ("cpu-model.node.kubevirt.io/EPYC", "true"),
            ("disk", "ssd"),
            ("zone", "az1"),
            ("kubernetes.io/hostname", "good"),
        ]),
        allocatable: Resources::from([("cpu".to_owned(), 4000), ("pods".to_owned(), 110)]),
        ..Node::default()
    };
    let taints = json!([
        {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
        {"key": "gpu", "effect": "NoSchedule"},
    ]);
    let bad = Node {
        unschedulable: true,
        taints: from_value::<Vec<Taint>>(taints).unwrap(),
        ..Node::default()
    };
    fleet.nodes.insert("also-good".to_owned(), good.clone());
    fleet.nodes.insert("bad".to_owned(), bad);
    fleet.nodes.insert("good".to_owned(), good);
    let affinity = json!({"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "zone", "operator": "In", "values": ["az1"]}]}]});
    let volume = Volume {
        node_affinity: from_value(affinity).unwrap(),
        ..Volume::default()
    };
    fleet.volumes.insert("pv-1".to_owned(), volume.clone());
    fleet.volumes.insert("pv-2".to_owned(), volume);
    fleet
        .volumes
        .insert("pv-anywhere".to_owned(), Volume::default());
    fleet
}

fn demanding() -> TargetPod {
    let mut pod = pod(&[
        ("kubevirt.io/schedulable", "true"),
        ("cpu-model.node.kubevirt.io/EPYC", "true"),
        ("disk", "ssd"),
    ]);
    let affinity = json!({"nodeSelectorTerms": [{"matchFields": [
        {"key": "metadata.name", "operator": "NotIn", "values": ["bad"]}]}]});
    pod.rules.affinity = Some(NodeAffinity::new(from_value(affinity).unwrap()));
    pod.requests = Resources::from([("cpu".to_owned(), 2500), ("pods".to_owned(), 1)]);
    pod
}

#[test]
fn a_node_gets_every_misfit_in_the_order_of_the_causes() {
    let fleet = bad_node();
    let mut placement = Placement::new(&fleet);
    let misfits = placement.misfits(&demanding(), &["pv-1", "pv-anywhere", "pv-2", "gone"]);
    let expect = [
        (Cause::Cordoned, ""),
        (Cause::NodeNotReady, "node.kubernetes.io/not-ready"),
        (Cause::NotSchedulable, "kubevirt.io/schedulable=true"),
        (Cause::Taint, "gpu:NoSchedule"),
        (Cause::CpuNotSupported, "no model EPYC"),
        (Cause::NodeSelector, "disk=ssd"),
        (Cause::NodeAffinity, "metadata.name NotIn bad"),
        (Cause::VolumeNodeAffinity, "volume pv-1: zone In az1"),
        (Cause::VolumeNodeAffinity, "volume pv-2: zone In az1"),
        (Cause::InsufficientResources, "cpu: 2.5 requested, 0 free"),
        (Cause::InsufficientResources, "pods: 1 requested, 0 free"),
    ];
    let expect = expect.map(|(cause, detail)| (cause, detail.to_owned(), vec!["bad"]));
    assert_eq!(listed(&misfits), expect);
    assert_eq!(misfits.targets(), ["also-good", "good"]);
    let by_node = misfits.by_node();
    let counts: Vec<_> = by_node
        .iter()
        .map(|(name, misfits)| (*name, misfits.len()))
        .collect();
    assert_eq!(counts, [("also-good", 0), ("bad", 11), ("good", 0)]);
}

#[test]
fn the_pods_of_a_node_count_against_it() {
    let mut fleet = bad_node();
    let pod = Pod {
        node: Some("good".to_owned()),
        requests: Resources::from([("cpu".to_owned(), 1501), ("pods".to_owned(), 1)]),
        ..Pod::default()
    };
    fleet.pods.insert(
        crate::cluster::object::ObjectKey::new("default", "other"),
        pod,
    );
    let mut placement = Placement::new(&fleet);
    let misfits = placement.misfits(&demanding(), &[]);
    assert_eq!(misfits.targets(), ["also-good"]);
    let on_good = misfits.by_node().pop().unwrap();
    let misfit = Misfit {
        cause: Cause::InsufficientResources,
        detail: "cpu: 2.5 requested, 2.499 free".into(),
    };
    assert_eq!(on_good, ("good", vec![&misfit]));
}

#[test]
fn nodes_with_like_amounts_are_named_together_in_their_order() {
    let mut fleet = Fleet::default();
    // 1.1 GiB and a little, 0.2 GiB, 1.1 GiB.
    for (name, memory) in [
        ("a", 1_181_116_007),
        ("b", 214_748_365),
        ("c", 1_181_116_006),
    ] {
        let allocatable = Resources::from([("memory".to_owned(), memory)]);
        let node = Node {
            allocatable,
            ..Node::default()
        };
        fleet.nodes.insert(name.to_owned(), node);
    }
    let mut pod = TargetPod::default();
    pod.requests.insert("memory".to_owned(), 2 << 30);
    let misfits = Placement::new(&fleet).misfits(&pod, &[]);
    let text = |free| format!("memory: 2.0 GiB requested, {free} GiB free");
    assert_eq!(
        listed(&misfits),
        [
            (Cause::InsufficientResources, text("0.2"), vec!["b"]),
            (Cause::InsufficientResources, text("1.1"), vec!["a", "c"]),
        ]
    );
}

#[test]
fn a_shape_is_judged_once_and_alike_from_the_cache() {
    let fleet = bad_node();
    let mut placement = Placement::new(&fleet);
    let first = placement.misfits(&demanding(), &["pv-1"]);
    let again = placement.misfits(&demanding(), &["pv-1"]);
    assert_eq!(listed(&first), listed(&again));
    // The parts are shared, except for that of the volumes, which has their names.
    assert!(Arc::ptr_eq(&first.parts[0], &again.parts[0]));
    assert!(Arc::ptr_eq(&first.parts[2], &again.parts[2]));
    assert!(Arc::ptr_eq(
        &first.parts[1][0].nodes,
        &again.parts[1][0].nodes
    ));

    // Other tolerations are another shape, though they do not count for the hash.
    let mut tolerant = demanding();
    let all = from_value(json!({"operator": "Exists"})).unwrap();
    tolerant.rules.tolerations = vec![all];
    let causes: BTreeSet<Cause> = placement
        .misfits(&tolerant, &[])
        .by_misfit()
        .map(|(misfit, _)| misfit.cause)
        .collect();
    assert!(!causes.contains(&Cause::Taint), "{causes:?}");

    for size in 0..=i64::try_from(2 * MOST_SHAPES).unwrap() {
        let mut pod = demanding();
        pod.requests.insert("cpu".to_owned(), size);
        let fits = placement.misfits(&pod, &[]).targets().len();
        assert_eq!(fits, 2, "{size}");
        assert!(placement.by_requests.len() <= MOST_SHAPES);
    }
}

#[test]
fn a_node_with_another_cpu_is_named_for_a_guest_with_the_cpu_of_its_node() {
    let cpu = |model: &str, features: &[&str]| {
        let features = features
            .iter()
            .map(|name| format!("{}{name}", labels::CPU_FEATURE));
        let names = features.chain([format!("{}{model}", labels::HOST_CPU_MODEL)]);
        Node {
            labels: names.map(|name| (name, "true".to_owned())).collect(),
            ..Node::default()
        }
    };
    let mut fleet = Fleet::default();
    for (name, node) in [
        ("source", cpu("Skylake-Server", &["aes", "rtm", "vmx"])),
        ("same", cpu("Skylake-Server", &["aes", "rtm", "vmx"])),
        (
            "more",
            cpu("Skylake-Server", &["aes", "avx512f", "rtm", "vmx"]),
        ),
        ("less", cpu("Skylake-Server", &["aes", "vmx"])),
        ("other", cpu("EPYC", &["aes"])),
        ("unknown", Node::default()),
    ] {
        fleet.nodes.insert(name.to_owned(), node);
    }
    let mut placement = Placement::new(&fleet);
    for (source, expect) in [
        (
            "source",
            vec![
                (
                    "model is not Skylake-Server, no feature vmx",
                    vec!["other", "unknown"],
                ),
                ("no feature aes", vec!["unknown"]),
                ("no feature rtm", vec!["less", "other", "unknown"]),
            ],
        ),
        (
            "other",
            vec![
                (
                    "model is not EPYC",
                    vec!["less", "more", "same", "source", "unknown"],
                ),
                ("no feature aes", vec!["unknown"]),
            ],
        ),
        // Nothing is known to compare with.
        ("unknown", vec![]),
        ("gone", vec![]),
    ] {
        let expect: Vec<_> = expect
            .into_iter()
            .map(|(detail, nodes)| (Cause::PassthroughCpuDiffers, detail.to_owned(), nodes))
            .collect();
        assert_eq!(listed(&placement.passthrough(source)), expect, "{source}");
        assert_eq!(
            listed(&placement.passthrough(source)),
            expect,
            "{source}, again"
        );
    }
}

#[test]
fn a_node_with_the_hostname_of_the_source_node_takes_no_target() {
    let mut fleet = captured();
    let node = fleet.nodes.get_mut("el9-1").unwrap();
    let hostname = ("kubernetes.io/hostname".to_owned(), "el9-0".to_owned());
    node.labels.extend([hostname]);
    let mut placement = Placement::new(&fleet);
    let mut from = |source: &str| {
        let pod = TargetPod {
            source: Some(source.to_owned()),
            ..TargetPod::default()
        };
        listed(&placement.misfits(&pod, &[]))
    };
    let same = |node| vec![(Cause::SameHostname, "el9-0".to_owned(), vec![node])];
    assert_eq!(from("el9-0"), same("el9-1"));
    assert_eq!(from("el9-1"), same("el9-0"));
    assert_eq!(from("el9-2"), []);
    assert_eq!(from("unknown"), []);
}

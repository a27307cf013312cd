//! What is kept of each kind, and what is said of objects that can't be read.

use serde_json::{Value, json};

use super::*;

/// A fleet of these objects, each with its kind.
fn mk_fleet(objects: &[(Kind, Value)]) -> Result<Fleet, String> {
    let mut fleet = Fleet::default();
    for (kind, value) in objects {
        let at = |field: &str| value["metadata"][field].as_str().unwrap_or_default();
        let key = ObjectKey::new(at("namespace"), at("name"));
        object(&mut fleet, *kind, &key, at("name"), &value.to_string())?;
    }
    Ok(fleet)
}

fn mk_pod(labels: &Value, spec: &Value, status: &Value) -> Fleet {
    let pod = json!({
        "metadata": {
            "namespace": "default", "name": "pod", "labels": labels,
            "creationTimestamp": "2026-11-21T02:24:44Z",
            "ownerReferences": [
                {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": "other", "uid": "0"},
                {"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": "web", "uid": "1", "controller": true},
            ],
        },
        "spec": spec,
        "status": status,
    });
    mk_fleet(&[(Kind::Pod, pod)]).unwrap()
}

fn only_pod(fleet: &Fleet) -> Option<&crate::fleet::model::Pod> {
    fleet.pods.values().next()
}

fn resources(amounts: &[(&str, i64)]) -> Resources {
    let amounts = amounts.iter();
    amounts
        .map(|(name, amount)| ((*name).to_owned(), *amount))
        .collect()
}

#[test]
fn requests_are_added_up_as_kube_scheduler_does() {
    let asks = |cpu: &str, memory: &str| json!({"requests": {"cpu": cpu, "memory": memory}});
    for (what, spec, status, cpu, memory) in [
        ("nothing", json!({}), json!({}), None, None),
        (
            "the sum of the containers",
            json!({"containers": [{"resources": asks("100m", "1Ki")}, {"resources": asks("1", "1")}, {}]}),
            json!({}),
            Some(1_100),
            Some(1_025),
        ),
        (
            "the largest init container",
            json!({
                "containers": [{"resources": asks("100m", "10")}],
                "initContainers": [{"resources": asks("1", "5")}, {"resources": asks("2", "1")}],
            }),
            json!({}),
            Some(2_000),
            Some(10),
        ),
        (
            "sidecars with the containers, and with the init containers after them",
            json!({
                "containers": [{"resources": asks("100m", "10")}],
                "initContainers": [
                    {"resources": asks("2", "1")},
                    {"resources": asks("1", "1"), "restartPolicy": "Always"},
                    {"resources": asks("1500m", "3")},
                ],
            }),
            json!({}),
            Some(2_500),
            Some(11),
        ),
        (
            "the pod's own over its containers', and its overhead",
            json!({
                "containers": [{"resources": asks("100m", "10")}],
                "resources": {"requests": {"cpu": "50m", "hugepages-2Mi": "4Mi", "example.com/a": "1"}},
                "overhead": {"cpu": "250m", "memory": "5"},
            }),
            json!({}),
            Some(300),
            Some(15),
        ),
        (
            "the most of what is asked for, given and allocated during a resize",
            json!({"containers": [{"name": "a", "resources": asks("1", "10")}]}),
            json!({"containerStatuses": [{
                "name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                "resources": asks("2", "5"),
                "allocatedResources": {"cpu": "3", "memory": "7"},
            }]}),
            Some(3_000),
            Some(10),
        ),
        (
            "what is given where the resize is infeasible",
            json!({"containers": [{"name": "a", "resources": asks("9", "10")}]}),
            json!({
                "conditions": [{"type": "PodResizePending", "status": "True", "reason": "Infeasible"}],
                "containerStatuses": [{
                    "name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0,
                    "resources": asks("2", "5"),
                }],
            }),
            Some(2_000),
            Some(5),
        ),
    ] {
        let fleet = mk_pod(&json!({}), &spec, &status);
        let requests = &only_pod(&fleet).unwrap().requests;
        assert_eq!(requests.get("cpu").copied(), cpu, "{what}");
        assert_eq!(requests.get("memory").copied(), memory, "{what}");
        assert_eq!(requests.get("pods"), Some(&1), "{what}");
        assert!(!requests.contains_key("example.com/a"), "{what}");
    }
}

#[test]
fn a_pod_that_has_ended_takes_nothing_and_leaves_its_images() {
    let spec = json!({
        "containers": [{"image": "a"}],
        "initContainers": [{"image": "b"}, {}],
    });
    for (phase, is_kept) in [
        (json!("Pending"), true),
        (json!("Running"), true),
        (json!("Unknown"), true),
        (json!(null), true),
        (json!("Succeeded"), false),
        (json!("Failed"), false),
    ] {
        let fleet = mk_pod(&json!({}), &spec, &json!({"phase": phase}));
        assert_eq!(fleet.pods.len(), usize::from(is_kept), "{phase}");
        assert!(fleet.images.iter().eq(["a", "b"]), "{phase}");
    }
}

#[test]
fn the_ports_of_the_node_are_those_of_containers_and_sidecars() {
    let ports = |number: i32| json!([{"containerPort": 1, "hostPort": number, "protocol": "UDP"}]);
    let fleet = mk_pod(
        &json!({}),
        &json!({
            "nodeName": "a",
            "containers": [{"ports": [{"containerPort": 80}, {"containerPort": 1, "hostPort": 443}]}],
            "initContainers": [
                {"ports": ports(53), "restartPolicy": "Always"},
                {"ports": ports(54)},
            ],
        }),
        &json!({}),
    );
    let pod = only_pod(&fleet).unwrap();
    assert_eq!(
        pod.host_ports,
        [("TCP".to_owned(), 443), ("UDP".to_owned(), 53)]
    );
    assert_eq!(pod.node.as_deref(), Some("a"));
    assert!(pod.launcher.is_none());
}

#[test]
fn a_launcher_is_a_pod_that_a_vmi_controls_and_runs_once_all_its_containers_do() {
    let status = |ready: bool| {
        json!({"phase": "Running", "containerStatuses": [
            {"name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 0},
            {"name": "b", "image": "", "imageID": "", "ready": ready, "restartCount": 0},
        ]})
    };
    for (role, status, expect) in [
        ("virt-launcher", status(true), Some(true)),
        ("virt-launcher", status(false), Some(false)),
        ("virt-launcher", json!({"phase": "Pending"}), Some(false)),
        ("hotplug-disk", status(true), None),
    ] {
        let labels = json!({"kubevirt.io": role, "kubevirt.io/migrationJobUID": "7"});
        let apart = json!([{"topologyKey": "zone"}]);
        let affinity =
            json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": apart}});
        let spec = json!({"nodeSelector": {"a": "b"}, "tolerations": [{"key": "k"}], "affinity": affinity});
        let fleet = mk_pod(&labels, &spec, &status);
        let pod = only_pod(&fleet).unwrap();
        assert_eq!(pod.labels["kubevirt.io"], role);
        assert_eq!(pod.repels[0].topology_key, "zone");
        let launcher = pod.launcher.as_ref();
        assert_eq!(launcher.map(|it| it.is_running), expect, "{role} {status}");
        let Some(launcher) = launcher else { continue };
        assert_eq!(
            (launcher.vmi.as_str(), launcher.vmi_uid.as_str()),
            ("web", "1")
        );
        assert_eq!(launcher.migration.as_deref(), Some("7"));
        assert_eq!(launcher.created, "2026-11-21T02:24:44Z");
        assert_eq!(launcher.node_selector["a"], "b");
        assert_eq!(launcher.tolerations[0].key.as_deref(), Some("k"));
    }
}

/// An object or two of each kind that is cut down.
fn mk_objects() -> Vec<(Kind, Value)> {
    let named = |name: &str| json!({"name": name, "labels": {"a": "b"}});
    let of = |name: &str| json!({"namespace": "default", "name": name});
    vec![
        (
            Kind::Node,
            json!({
                "metadata": named("a"),
                "spec": {"unschedulable": true, "taints": [{"key": "k", "effect": "NoSchedule"}]},
                "status": {
                    "conditions": [
                        {"type": "MemoryPressure", "status": "True"},
                        {"type": "Ready", "status": "True"},
                    ],
                    "allocatable": {"cpu": "7910m", "memory": "32Gi", "pods": "110", "devices.kubevirt.io/kvm": "1k"},
                    "capacity": {"cpu": "8"},
                },
            }),
        ),
        (Kind::Namespace, json!({"metadata": named("default")})),
        (
            Kind::PersistentVolumeClaim,
            json!({
                "metadata": {
                    "namespace": "default", "name": "disk",
                    "annotations": {"volume.kubernetes.io/selected-node": "a"},
                },
                "spec": {
                    "accessModes": ["ReadWriteMany"], "volumeMode": "Block",
                    "volumeName": "pv", "storageClassName": "fast",
                },
            }),
        ),
        (
            Kind::PersistentVolume,
            json!({"metadata": named("pv"), "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z"]}]},
            ]}}}}),
        ),
        (
            Kind::StorageClass,
            json!({"metadata": named("fast"), "provisioner": "p", "volumeBindingMode": "WaitForFirstConsumer"}),
        ),
        (
            Kind::StorageClass,
            json!({"metadata": named("slow"), "provisioner": "p", "volumeBindingMode": "Immediate"}),
        ),
        (
            Kind::NetworkAttachmentDefinition,
            json!({
                "metadata": {"namespace": "default", "name": "net", "annotations":
                    {"k8s.v1.cni.cncf.io/resourceName": "intel.com/sriov"}},
                "spec": 7,
            }),
        ),
        (
            Kind::ResourceQuota,
            json!({
                "metadata": of("whole"),
                "spec": {"hard": {"requests.cpu": "9"}},
                "status": {"hard": {"requests.cpu": "2"}, "used": {"requests.cpu": "1500m", "requests.memory": "1Gi"}},
            }),
        ),
        (
            Kind::ResourceQuota,
            json!({"metadata": of("scoped"), "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}}),
        ),
        (
            Kind::MigrationPolicy,
            json!({
                "metadata": named("policy"),
                "spec": {"selectors": {"virtualMachineInstanceSelector": {"x": "y"}}, "allowPostCopy": true, "completionTimeoutPerGiB": 7},
            }),
        ),
        (
            Kind::Subnet,
            json!({
                "metadata": named("subnet"),
                "spec": {"vpc": "vpc", "cidrBlock": "10.0.0.0/24"},
                "status": {"conditions": [{"type": "Validated", "status": "True"}, {"type": "Ready", "status": "True"}]},
            }),
        ),
        (Kind::Vpc, json!({"metadata": named("vpc"), "spec": {}})),
        (
            Kind::Ip,
            json!({
                "metadata": named("web.default"),
                "spec": {"namespace": "default", "podName": "web", "podType": "VirtualMachine", "subnet": "subnet"},
            }),
        ),
    ]
}

#[test]
fn each_kind_is_cut_down_to_what_is_judged() {
    let fleet = mk_fleet(&mk_objects()).unwrap();
    let node = &fleet.nodes["a"];
    assert_eq!(node.labels["a"], "b");
    assert_eq!(node.taints[0].key, "k");
    assert!(node.unschedulable && node.not_ready.is_none());
    assert_eq!(
        node.allocatable,
        resources(&[
            ("cpu", 7_910),
            ("memory", 32 << 30),
            ("pods", 110),
            ("devices.kubevirt.io/kvm", 1_000),
        ])
    );
    assert_eq!(fleet.namespaces["default"]["a"], "b");
    let claim = &fleet.claims["default/disk"];
    assert_eq!(claim.access_modes, ["ReadWriteMany"]);
    assert_eq!(claim.volume_mode.as_deref(), Some("Block"));
    assert_eq!(claim.volume.as_deref(), Some("pv"));
    assert_eq!(claim.storage_class.as_deref(), Some("fast"));
    assert_eq!(claim.selected_node.as_deref(), Some("a"));
    let affinity = fleet.volumes["pv"].node_affinity.as_ref().unwrap();
    assert_eq!(affinity.node_selector_terms.len(), 1);
    let waits = |name: &str| fleet.storage_classes[name].waits_for_consumer;
    assert!(waits("fast") && !waits("slow"));
    assert_eq!(
        fleet.attachments["default/net"].as_deref(),
        Some("intel.com/sriov")
    );
    let whole = &fleet.quotas["default/whole"];
    assert_eq!(whole.hard, resources(&[("requests.cpu", 2_000)]));
    assert_eq!(
        whole.used,
        resources(&[("requests.cpu", 1_500), ("requests.memory", 1 << 30)])
    );
    assert!(!whole.is_scoped);
    let scoped = &fleet.quotas["default/scoped"];
    assert_eq!(scoped.hard, resources(&[("pods", 1)]));
    assert!(scoped.is_scoped);
    let policy = &fleet.policies["policy"].spec;
    let selectors = policy.selectors.as_ref().unwrap();
    assert_eq!(selectors.virtual_machine_instance_selector["x"], "y");
    assert_eq!(policy.options.allow_post_copy, Some(true));
    assert_eq!(policy.options.completion_timeout_per_gi_b, Some(7));
    let subnet = &fleet.subnets["subnet"];
    assert_eq!(subnet.vpc.as_deref(), Some("vpc"));
    assert!(subnet.is_ready);
    assert!(fleet.vpcs.contains("vpc"));
    assert!(fleet.addresses.contains("default/web"));
}

#[test]
fn null_counts_as_absent_and_a_long_annotation_is_not_kept() {
    let vmi = json!({
        "metadata": {
            "namespace": "default", "name": "web", "creationTimestamp": null,
            "labels": {"a": null, "b": "c"},
            "annotations": {
                "long": "x".repeat(1_025), "short": "x".repeat(1_024),
                "hooks.kubevirt.io/hookSidecars": "x".repeat(1_025),
            },
        },
        "spec": {
            "domain": {"cpu": null, "devices": {"interfaces": null, "disks": [null, {"name": "d"}]}, "memory": {"guest": 1024}},
            "nodeSelector": null,
            "networks": [{"name": "default", "pod": {}, "multus": null}],
            "tolerations": null,
        },
        "status": null,
    });
    let node = json!({"metadata": {"name": "a", "labels": {"a": null}}, "spec": null, "status": {"conditions": null}});
    let fleet = mk_fleet(&[(Kind::VirtualMachineInstance, vmi), (Kind::Node, node)]).unwrap();
    let vmi = &fleet.vmis["default/web"];
    assert!(vmi.metadata.labels.keys().eq(["b"]));
    let kept = ["hooks.kubevirt.io/hookSidecars", "short"];
    assert!(vmi.metadata.annotations.keys().eq(kept));
    assert!(vmi.spec.domain.cpu.is_none());
    assert_eq!(vmi.spec.domain.devices.disks.len(), 1);
    let network = &vmi.spec.networks[0];
    assert!(network.pod.is_some() && network.multus.is_none());
    let memory = vmi.spec.domain.memory.as_ref().unwrap();
    assert_eq!(memory.guest, Some(Quantity("1024".to_owned())));
    assert!(fleet.nodes["a"].labels.is_empty());
}

#[test]
fn of_two_kubevirts_the_first_by_namespace_and_name_counts() {
    let of = |namespace: &str| {
        let metadata = json!({"namespace": namespace, "name": "kubevirt"});
        (Kind::KubeVirt, json!({ "metadata": metadata }))
    };
    for order in [["a", "b"], ["b", "a"]] {
        let fleet = mk_fleet(&order.map(of)).unwrap();
        assert_eq!(fleet.kubevirt.unwrap().metadata.namespace, "a", "{order:?}");
    }
}

#[test]
fn an_object_that_can_not_be_read_says_what_is_wrong_and_where() {
    let with = |field: &str, value: Value| {
        let mut object = json!({"metadata": {"name": "a", "namespace": "default"}});
        object[field] = value;
        object
    };
    for (kind, object, expect) in [
        (
            Kind::Node,
            with("status", json!({"allocatable": {"memory": "a lot"}})),
            r#""a lot" is not a quantity, such as 500m, 2Gi or 1.5, in status.allocatable.memory"#,
        ),
        (
            Kind::Pod,
            with(
                "spec",
                json!({"containers": [{}, {"resources": {"requests": {"cpu": "x"}}}]}),
            ),
            r#""x" is not a quantity, such as 500m, 2Gi or 1.5, in spec.containers[1].resources.requests.cpu"#,
        ),
        (
            Kind::Pod,
            with("spec", json!({"nodeName": 7})),
            "invalid type: integer `7`, expected a string in spec.nodeName",
        ),
        (
            Kind::VirtualMachine,
            with("spec", json!({"template": {"spec": {"volumes": {}}}})),
            "invalid type: map, expected a sequence in spec.template.spec.volumes",
        ),
        (
            Kind::ResourceQuota,
            with("spec", json!({"hard": {"pods": ""}})),
            r#""" is not a quantity, such as 500m, 2Gi or 1.5, in spec.hard.pods"#,
        ),
    ] {
        let error = mk_fleet(&[(kind, object)]).unwrap_err();
        assert_eq!(error, expect, "{kind:?}");
    }
}

#[test]
fn the_anti_affinity_of_a_pod_is_kept_but_for_the_rule_that_kubevirt_adds() {
    let term = |label: &str| {
        json!({
            "topologyKey": "kubernetes.io/hostname",
            "labelSelector": {"matchLabels": {label: "x"}},
        })
    };
    let spec = json!({"affinity": {"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [term("kubevirt.io/created-by"), term("app")],
        "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term("a")}],
    }}});
    let fleet = mk_pod(&json!({}), &spec, &json!({}));
    let repels = &only_pod(&fleet).unwrap().repels;
    let labels = repels.iter().map(|term| {
        let selector = term.label_selector.as_ref().unwrap();
        selector
            .match_labels
            .as_ref()
            .unwrap()
            .keys()
            .next()
            .unwrap()
    });
    assert_eq!(labels.collect::<Vec<_>>(), ["app"]);
}

//! The captured cluster as a fleet, and what is said of files that lack something.

use std::fs;

use berth::domain::Network;
use berth::fleet::Fleet;
use berth::fleet::kind::Kind;
use berth::fleet::load::{Loaded, from_file};
use serde_json::{Value, json};

use crate::support::{capture, cluster, item, items};

fn loaded(text: &str) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dump");
    fs::write(&path, text).unwrap();
    let error = |error: berth::cluster::file::SnapshotError| {
        let error = error.to_string();
        let prefix = format!("--snapshot {}: ", path.display());
        error.strip_prefix(&prefix).unwrap().to_owned()
    };
    from_file(&path, &Network::default()).map_err(error)
}

fn captured() -> Fleet {
    loaded(&capture("cluster")).unwrap().fleet
}

#[test]
fn a_captured_node_keeps_its_labels_taints_and_what_pods_can_have() {
    let fleet = captured();
    assert_eq!(fleet.nodes.len(), 9);
    let node = &fleet.nodes["el9-1"];
    assert_eq!(node.labels.len(), 129);
    assert_eq!(node.labels["topology.kubernetes.io/zone"], "az2");
    assert!(node.taints.is_empty() && !node.unschedulable && node.not_ready.is_none());
    let allocatable: Vec<(&str, i64)> = node
        .allocatable
        .iter()
        .map(|(name, amount)| (name.as_str(), *amount))
        .collect();
    assert_eq!(
        allocatable,
        [
            ("cpu", 63_000),
            ("devices.kubevirt.io/kvm", 1_000),
            ("devices.kubevirt.io/tun", 1_000),
            ("devices.kubevirt.io/vhost-net", 1_000),
            ("ephemeral-storage", 500 << 30),
            ("memory", 250 << 30),
            ("pods", 250),
        ]
    );
}

#[test]
fn the_captured_target_of_a_migration_is_a_launcher_with_what_it_asks_for() {
    let fleet = captured();
    assert_eq!(fleet.pods.len(), 21);
    let pod = &fleet.pods["default/virt-launcher-web-flptl"];
    assert_eq!(pod.node.as_deref(), Some("el9-nochassis"));
    let requests: Vec<(&str, i64)> = pod
        .requests
        .iter()
        .map(|(name, amount)| (name.as_str(), *amount))
        .collect();
    assert_eq!(
        requests,
        [
            ("cpu", 105),
            ("devices.kubevirt.io/kvm", 1),
            ("devices.kubevirt.io/tun", 1),
            ("devices.kubevirt.io/vhost-net", 1),
            ("ephemeral-storage", 50_000_000),
            ("memory", (1_314 << 20) + 35_000_000),
            ("pods", 1),
        ]
    );
    let launcher = pod.launcher.as_ref().unwrap();
    let uid = "98ba4550-0347-40ef-a369-02349d8839a0";
    assert_eq!((&*launcher.vmi, &*launcher.vmi_uid), ("web", uid));
    let migration = "54a05ac7-3ebd-41c2-a989-0a706713bf94";
    assert_eq!(launcher.migration.as_deref(), Some(migration));
    assert!(launcher.is_running);
    assert_eq!(launcher.created, "2026-11-21T02:24:38Z");
    assert_eq!(pod.labels["kubevirt.io/nodeName"], "el9-0");
    assert!(launcher.node_selector.keys().eq([
        "kubevirt.io/schedulable",
        "machine-type.node.kubevirt.io/pc-q35-rhel9.2.0"
    ]));
    let affinity = launcher.affinity.as_ref().unwrap();
    assert!(affinity.node_affinity.is_some() && affinity.pod_anti_affinity.is_some());
    assert_eq!(launcher.tolerations.len(), 2);
    let agent = &fleet.pods["kube-system/ovs-ovn-el9-11"];
    assert!(agent.launcher.is_none());
    assert!(fleet.images.iter().eq([
        "docker.io/kubeovn/kube-ovn:v1.15.14",
        "quay.io/kubevirt/cirros-container-disk-demo",
        "quay.io/kubevirt/virt-launcher:v1.9.0",
    ]));
}

#[test]
fn a_captured_vm_its_vmi_and_its_migration_have_what_kubevirt_wrote() {
    let fleet = captured();
    assert_eq!((fleet.vms.len(), fleet.vmis.len()), (12, 3));
    let vmi = &fleet.vmis["default/web"];
    assert_eq!(vmi.metadata.uid, "98ba4550-0347-40ef-a369-02349d8839a0");
    assert_eq!(vmi.metadata.labels["kubevirt.io/nodeName"], "el9-0");
    assert!(vmi.metadata.annotations.contains_key("kubevirt.io/nonroot"));
    let domain = &vmi.spec.domain;
    let interface = &domain.devices.interfaces[0];
    assert!(interface.bridge.is_some() && interface.masquerade.is_none());
    assert_eq!(domain.resources.requests["memory"].0, "1Gi");
    assert!(domain.cpu.is_none());
    assert!(vmi.spec.networks[0].pod.is_some());
    assert_eq!(vmi.status.phase.as_deref(), Some("Running"));
    assert_eq!(vmi.status.node_name.as_deref(), Some("el9-0"));
    let state = vmi.status.migration_state.as_ref().unwrap();
    assert_eq!(state.target_pod.as_deref(), Some("virt-launcher-web-flptl"));
    assert!(!state.completed && !state.failed);
    let migratable = &vmi.status.conditions[0];
    assert_eq!(
        (&*migratable.condition_type, &*migratable.status),
        ("LiveMigratable", "True")
    );

    let vm = &fleet.vms["default/vm-multus-secondary-bridge"];
    assert_eq!(vm.status.printable_status.as_deref(), Some("Stopped"));
    let networks = &vm.spec.template.spec.networks;
    assert!(networks.iter().any(|network| network.multus.is_some()));

    let migration = &fleet.migrations["default/mig-web"];
    assert_eq!(migration.spec.vmi_name, "web");
    assert_eq!(migration.status.phase.as_deref(), Some("PreparingTarget"));

    let kubevirt = fleet.kubevirt.as_ref().unwrap();
    assert_eq!(
        kubevirt.status.observed_kube_virt_version.as_deref(),
        Some("v1.9.0")
    );
    assert_eq!(kubevirt.metadata.namespace, "kubevirt");
    assert!(fleet.namespaces.keys().eq([
        "default",
        "kube-node-lease",
        "kube-public",
        "kube-system",
        "kubevirt"
    ]));
}

#[test]
fn json_and_yaml_make_the_same_fleet() {
    let yaml = serde_saphyr::to_string(&cluster()).unwrap();
    let from_yaml = loaded(&yaml).unwrap();
    assert_eq!(
        format!("{:?}", from_yaml.fleet),
        format!("{:?}", captured())
    );
    assert_eq!(from_yaml.absent, []);
}

#[test]
fn a_file_says_which_kinds_it_lacks() {
    use Kind::{KubeVirt, Namespace, Node, Pod, VirtualMachine, VirtualMachineInstance};
    let without = |kinds: &[&str]| {
        let mut cluster = cluster();
        items(&mut cluster).retain(|item| !kinds.contains(&item["kind"].as_str().unwrap()));
        loaded(&cluster.to_string()).unwrap().absent
    };
    for (kinds, expect) in [
        (&["Pod"][..], &[Pod][..]),
        (
            &["Node", "Namespace", "KubeVirt"],
            &[Node, Namespace, KubeVirt],
        ),
        (&["VirtualMachine"], &[VirtualMachine]),
        (&["VirtualMachineInstance"], &[]),
        (
            &["VirtualMachine", "VirtualMachineInstance"],
            &[VirtualMachine, VirtualMachineInstance],
        ),
    ] {
        assert_eq!(without(kinds), expect, "{kinds:?}");
    }
    let none = loaded(r#"{"kind":"List","items":[]}"#).unwrap().absent;
    assert_eq!(
        none,
        [
            Node,
            Pod,
            Namespace,
            VirtualMachine,
            VirtualMachineInstance,
            KubeVirt
        ]
    );
}

#[test]
fn a_file_that_kubectl_did_not_write_to_its_end_is_refused_in_words() {
    let cut = |text: &str, at: usize| text[..at].to_owned();
    for (text, expect) in [
        (
            String::new(),
            "the file is empty; did the kubectl that wrote it fail?",
        ),
        (
            cut(&capture("cluster"), 300),
            "not JSON: line 11, column 4: it ends too early; was it written to its end?",
        ),
        (
            "Error from server (Forbidden): pods is forbidden\n".to_owned(),
            "document 1 is not a Kubernetes object: it has no kind; kubectl writes them with -o json or -o yaml",
        ),
    ] {
        assert_eq!(loaded(&text).unwrap_err(), expect);
    }
}

#[test]
fn an_object_of_a_file_that_can_not_be_read_is_named_and_its_neighbours_are_there() {
    let mut cluster = cluster();
    item(&mut cluster, "Node", "el9-1")["status"]["allocatable"]["cpu"] = json!("many");
    item(&mut cluster, "VirtualMachine", "web")["spec"]["template"] = json!([7]);
    let pod = item(&mut cluster, "Pod", "virt-launcher-web-gfvqz");
    pod["metadata"].as_object_mut().unwrap().remove("name");
    let loaded = loaded(&cluster.to_string()).unwrap();
    let unreadable: Vec<(Kind, String, &str)> = loaded
        .unreadable
        .iter()
        .map(|(kind, key, problem)| (*kind, key.to_string(), problem.as_str()))
        .collect();
    assert_eq!(
        unreadable,
        [
            (
                Kind::Node,
                "el9-1".to_owned(),
                r#""many" is not a quantity, such as 500m, 2Gi or 1.5, in status.allocatable.cpu"#
            ),
            (Kind::Pod, String::new(), "metadata.name is missing"),
            (
                Kind::VirtualMachine,
                "default/web".to_owned(),
                "spec.template[0] is the integer `7`, not an object"
            ),
        ]
    );
    let fleet = &loaded.fleet;
    assert_eq!(
        (fleet.nodes.len(), fleet.pods.len(), fleet.vms.len()),
        (8, 20, 11)
    );
}

#[test]
fn other_objects_in_a_file_are_passed_over() {
    let mut cluster = cluster();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": 7});
    let foreign: Value =
        json!({"apiVersion": "longhorn.io/v1", "kind": "Node", "metadata": {"name": "x"}});
    items(&mut cluster).extend([secret, foreign]);
    let loaded = loaded(&cluster.to_string()).unwrap();
    assert!(loaded.unreadable.is_empty());
    assert_eq!(loaded.fleet.nodes.len(), 9);
}

//! Every cause, with an input that makes it come up.

use std::collections::BTreeSet;

use berth::decide::causes::Cause;
use serde_json::{Value, json};

use super::report;

/// A pod of an agent of Kube-OVN, which is ready.
fn agent(app: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "kube-system", "name": format!("{app}-{node}"), "labels": {"app": app}},
        "spec": {"nodeName": node, "containers": [{"name": "agent"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// Two nodes, and the VM `web` that runs on the first and can migrate to the second.
pub(crate) fn base() -> Value {
    let node = |name: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": {
                    "kubernetes.io/arch": "amd64",
                    "kubernetes.io/hostname": name,
                    "kubevirt.io/schedulable": "true",
                    "machine-type.node.kubevirt.io/q35": "true",
                    "host-model-cpu.node.kubevirt.io/Skylake": "true",
                    "cpu-model-migration.node.kubevirt.io/Skylake": "true",
                    "cpu-vendor.node.kubevirt.io/Intel": "true",
                },
                "annotations": {
                    "ovn.kubernetes.io/chassis": "11111111-1111-4111-8111-111111111111",
                },
            },
            "spec": {},
            "status": {
                "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "110", "devices.kubevirt.io/kvm": "1k"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        })
    };
    let spec = json!({
        "architecture": "amd64",
        "evictionStrategy": "LiveMigrate",
        "domain": {
            "cpu": {"model": "host-model"},
            "machine": {"type": "q35"},
            "memory": {"guest": "1Gi"},
            "devices": {"interfaces": [{"name": "default", "masquerade": {}}]},
        },
        "networks": [{"name": "default", "pod": {}}],
    });
    json!({"apiVersion": "v1", "kind": "List", "items": [
        node("a"),
        node("b"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}},
        agent("ovs", "a"),
        agent("kube-ovn-cni", "a"),
        agent("ovs", "b"),
        agent("kube-ovn-cni", "b"),
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "KubeVirt",
            "metadata": {"namespace": "kubevirt", "name": "kubevirt"},
            "spec": {"configuration": {}},
            "status": {"observedKubeVirtVersion": "v1.9.0"},
        },
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachine",
            "metadata": {"namespace": "default", "name": "web", "uid": "1"},
            "spec": {"template": {"metadata": {}, "spec": spec}},
            "status": {"printableStatus": "Running"},
        },
        {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstance",
            "metadata": {"namespace": "default", "name": "web", "uid": "2"},
            "spec": spec,
            "status": {
                "phase": "Running",
                "nodeName": "a",
                "machine": {"type": "q35"},
                "conditions": [{"type": "LiveMigratable", "status": "True"}],
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "namespace": "default",
                "name": "virt-launcher-web-x",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"kubevirt.io": "virt-launcher"},
                "ownerReferences": [{
                    "apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance",
                    "name": "web", "uid": "2", "controller": true,
                }],
            },
            "spec": {
                "nodeName": "a",
                "containers": [{
                    "name": "compute",
                    "resources": {"requests": {"cpu": "100m", "memory": "1300Mi"}},
                }],
            },
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [{"name": "compute", "ready": true, "image": "", "imageID": "", "restartCount": 0}],
            },
        },
    ]})
}

/// The object of a kind: the first, or the node `b`.
pub(super) fn object<'a>(cluster: &'a mut Value, kind: &str) -> &'a mut Value {
    let items = cluster["items"].as_array_mut().unwrap();
    let mut items = items.iter_mut().filter(|item| item["kind"] == kind);
    items.next_back().unwrap()
}

pub(super) fn add(cluster: &mut Value, object: Value) {
    cluster["items"].as_array_mut().unwrap().push(object);
}

pub(super) fn remove(cluster: &mut Value, kind: &str) {
    let items = cluster["items"].as_array_mut().unwrap();
    items.retain(|item| item["kind"] != kind);
}

/// Sets a field of the VMI.
pub(super) fn vmi(cluster: &mut Value, pointer: &str, value: Value) {
    set(object(cluster, "VirtualMachineInstance"), pointer, value);
}

/// Sets a field of the node that is the only target.
pub(super) fn node(cluster: &mut Value, pointer: &str, value: Value) {
    set(object(cluster, "Node"), pointer, value);
}

/// Sets a field, and makes the way to it.
pub(super) fn set(object: &mut Value, pointer: &str, value: Value) {
    let mut place = object;
    for part in pointer.split('/').filter(|part| !part.is_empty()) {
        let key = part.replace("~1", "/");
        place = &mut place[key];
    }
    *place = value;
}

/// Adds an object of Kube-OVN.
pub(super) fn add_kube_ovn(
    cluster: &mut Value,
    kind: &str,
    name: &str,
    spec: &Value,
    status: &Value,
) {
    add(
        cluster,
        json!({"apiVersion": "kubeovn.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec, "status": status}),
    );
}

/// Kube-OVN has attached the VM's pod to a subnet.
pub(crate) fn attach(cluster: &mut Value) {
    let annotations = json!({
        "ovn.kubernetes.io/logical_switch": "vlan7",
        "ovn.kubernetes.io/provider_network": "blue",
    });
    object(cluster, "Pod")["metadata"]["annotations"] = annotations;
}

/// The VM has a second interface, on the Multus network `infra/lan`.
pub(super) fn attach_lan(cluster: &mut Value) {
    let lan = json!({"name": "lan", "multus": {"networkName": "infra/lan"}});
    let networks = json!([{"name": "default", "pod": {}}, lan]);
    vmi(cluster, "spec/networks", networks);
}

/// A policy for all VMIs.
fn add_policy(cluster: &mut Value, options: Value) {
    let mut spec = options;
    spec["selectors"] = json!({});
    add(
        cluster,
        json!({"apiVersion": "migrations.kubevirt.io/v1alpha1", "kind": "MigrationPolicy", "metadata": {"name": "slow"}, "spec": spec}),
    );
}

/// KubeVirt says that it does not migrate the VMI.
pub(super) fn refused(cluster: &mut Value, reason: &str) {
    let condition = json!([{"type": "LiveMigratable", "status": "False", "reason": reason, "message": "it says why"}]);
    vmi(cluster, "status/conditions", condition);
}

fn quota(hard: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"namespace": "default", "name": "team"},
        "spec": {"hard": {"requests.memory": hard}},
        "status": {"hard": {"requests.memory": hard}, "used": {"requests.memory": "1300Mi"}},
    })
}

pub(super) fn claim(modes: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": "default", "name": "disk"},
        "spec": {"accessModes": [modes], "volumeName": "pv-1"},
    })
}

pub(super) fn disk(cluster: &mut Value) {
    let volumes = json!([{"name": "disk", "persistentVolumeClaim": {"claimName": "disk"}}]);
    vmi(cluster, "spec/volumes", volumes);
}

/// Leaves out the pods of other namespaces than that of the VM, as `kubectl get` does without `-A`.
pub(super) fn without_agents(cluster: &mut Value) {
    let items = cluster["items"].as_array_mut().unwrap();
    items.retain(|item| item["metadata"]["namespace"] != "kube-system");
}

type Change = fn(&mut Value);

/// What has to change of [`base`] for a cause to come up, and the message.
const CASES: &[(Cause, Change, &str)] = &[
    (
        Cause::InterfaceNotMigratable,
        |c| {
            refused(c, "InterfaceNotLiveMigratable");
            let plugin = json!([{"name": "default", "binding": {"name": "mine"}}]);
            vmi(c, "spec/domain/devices/interfaces", plugin);
        },
        "an interface cannot be migrated: default has the binding plugin mine",
    ),
    (
        Cause::BridgeAnnotationMissing,
        |c| {
            refused(c, "InterfaceNotLiveMigratable");
            vmi(
                c,
                "spec/domain/devices/interfaces",
                json!([{"name": "default", "bridge": {}}]),
            );
        },
        "bridge binding without the annotation that allows its migration: interface default",
    ),
    (
        Cause::HostCpuUnknown,
        |c| {
            refused(c, "CPUModeLiveMigratable");
            let labels = &mut c["items"][0]["metadata"]["labels"];
            let labels = labels.as_object_mut().unwrap();
            labels.remove("host-model-cpu.node.kubevirt.io/Skylake");
        },
        "host-model CPU on a node whose CPU model is unknown: a",
    ),
    (
        Cause::HostDevice,
        |c| {
            refused(c, "HostDeviceNotLiveMigratable");
            let devices = json!([{"name": "nic", "deviceName": "vendor/nic"}]);
            vmi(c, "spec/domain/devices/hostDevices", devices);
        },
        "devices of the node are passed through: nic",
    ),
    (
        Cause::Sev,
        |c| {
            refused(c, "SEVNotLiveMigratable");
            vmi(c, "spec/domain/launchSecurity", json!({"sev": {}}));
        },
        "memory is encrypted by AMD SEV",
    ),
    (
        Cause::Tdx,
        |c| {
            refused(c, "TDXNotLiveMigratable");
            vmi(c, "spec/domain/launchSecurity", json!({"tdx": {}}));
        },
        "memory is encrypted by Intel TDX",
    ),
    (
        Cause::SecureExecution,
        |c| {
            refused(c, "SecureExecutionNotLiveMigratable");
            vmi(c, "spec/architecture", json!("s390x"));
            vmi(c, "spec/domain/launchSecurity", json!({}));
        },
        "memory is encrypted by IBM Secure Execution",
    ),
    (
        Cause::NoTscFrequency,
        |c| {
            refused(c, "NoTSCFrequencyNotLiveMigratable");
            let hyperv = json!({"hyperv": {"reenlightenment": {}}});
            vmi(c, "spec/domain/features", hyperv);
        },
        "the frequency of the time-stamp counter is unknown",
    ),
    (
        Cause::HypervPassthrough,
        |c| {
            refused(c, "HypervPassthroughNotLiveMigratable");
            let features = json!({"hypervPassthrough": {"enabled": true}});
            vmi(c, "spec/domain/features", features);
        },
        "Hyper-V passthrough depends on the node",
    ),
    (
        Cause::DiskNotShared,
        |c| {
            refused(c, "DisksNotLiveMigratable");
            disk(c);
            add(c, claim("ReadWriteOnce"));
        },
        "a disk cannot be used from two nodes: disk: claim disk has the access modes ReadWriteOnce",
    ),
    (
        Cause::NotLiveMigratable,
        |c| refused(c, "SomethingNew"),
        "KubeVirt says that it cannot migrate this VM: it says why",
    ),
    (
        Cause::Ending,
        |c| {
            vmi(
                c,
                "metadata/deletionTimestamp",
                json!("2026-01-01T00:00:00Z"),
            );
        },
        "the VM is ending: its VMI is being deleted since 2026-01-01T00:00:00Z",
    ),
    (
        Cause::MigrationInProgress,
        |c| {
            let state = json!({"migrationUid": "3", "sourceNode": "a", "targetNode": "b"});
            vmi(c, "status/migrationState", state);
        },
        "a migration is under way: from a to b",
    ),
    (
        Cause::TargetDoesNotFit,
        |c| {
            let state = json!({"migrationUid": "3", "sourceNode": "a", "targetNode": "b"});
            vmi(c, "status/migrationState", state);
            // The target pod is there already: what it takes of the node does not matter.
            node(c, "status/allocatable/memory", json!("1Gi"));
            let taints = json!([
                {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"},
                {"key": "gpu", "effect": "NoSchedule"},
            ]);
            node(c, "spec/taints", taints);
        },
        "the migration under way goes to a node that does not fit: b (BRT0404)",
    ),
    (
        Cause::ConditionDiffers,
        |c| {
            let bridge = json!([{"name": "default", "bridge": {}}]);
            vmi(c, "spec/domain/devices/interfaces", bridge);
            disk(c);
            add(c, claim("ReadWriteOnce"));
        },
        "KubeVirt says that it can migrate the VM, and its spec says otherwise: bridge binding without the annotation that allows its migration: interface default; a disk cannot be used from two nodes: disk: claim disk has the access modes ReadWriteOnce",
    ),
    (
        Cause::SourceNotReady,
        |c| {
            vmi(c, "status/phase", json!("Unknown"));
            c["items"][0]["status"]["conditions"][0]["status"] = json!("Unknown");
        },
        "the node on which the VM runs is not ready: a: its condition Ready is Unknown, and the phase of the VMI is Unknown",
    ),
    (
        Cause::SourceNotReady,
        |c| vmi(c, "status/phase", json!("Unknown")),
        "the node on which the VM runs is not ready: a: the phase of the VMI is Unknown",
    ),
    (
        Cause::SourceNotReady,
        |c| c["items"][0]["status"]["conditions"][0]["status"] = json!("Unknown"),
        "the node on which the VM runs is not ready: a: its condition Ready is Unknown",
    ),
    (
        Cause::NotRunning,
        |c| {
            remove(c, "VirtualMachineInstance");
            remove(c, "Pod");
            add(
                c,
                json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "x", "name": "x"}, "spec": {"containers": []}}),
            );
            set(
                object(c, "VirtualMachine"),
                "status/printableStatus",
                json!("Stopped"),
            );
        },
        "the VM does not run: Stopped",
    ),
    (
        Cause::NetworkNotFound,
        |c| {
            let networks = json!([{"name": "default", "pod": {}}, {"name": "lan", "multus": {"networkName": "lan"}}]);
            vmi(c, "spec/networks", networks);
            add(
                c,
                json!({
                    "apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                    "metadata": {"namespace": "default", "name": "other"}, "spec": {},
                }),
            );
        },
        "a network attachment definition is missing: lan",
    ),
    (
        Cause::NoTarget,
        |c| node(c, "spec/unschedulable", json!(true)),
        "no node can take the VM",
    ),
    (Cause::OneTarget, |_| {}, "only one node can take the VM: b"),
    (
        Cause::Cordoned,
        |c| node(c, "spec/unschedulable", json!(true)),
        "node is cordoned",
    ),
    (
        Cause::NodeNotReady,
        |c| {
            node(
                c,
                "spec/taints",
                json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]),
            );
            node(
                c,
                "status/conditions",
                json!([{"type": "Ready", "status": "False"}]),
            );
        },
        "node is not ready: node.kubernetes.io/not-ready",
    ),
    (
        Cause::NotSchedulable,
        |c| {
            node(
                c,
                "metadata/labels/kubevirt.io~1schedulable",
                json!("false"),
            );
        },
        "KubeVirt places no VMs on the node: kubevirt.io/schedulable=true",
    ),
    (
        Cause::Taint,
        |c| {
            node(
                c,
                "spec/taints",
                json!([{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]),
            );
        },
        "taint not tolerated: gpu=yes:NoSchedule",
    ),
    (
        Cause::CpuNotSupported,
        |c| {
            node(
                c,
                "metadata/labels/cpu-vendor.node.kubevirt.io~1Intel",
                json!("false"),
            );
        },
        "CPU not supported: vendor is not Intel",
    ),
    (
        Cause::NodeSelector,
        |c| vmi(c, "spec/nodeSelector", json!({"zone": "north"})),
        "node selector does not match: zone=north",
    ),
    (
        Cause::NodeAffinity,
        |c| {
            let terms = json!([{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["north"]}]}]);
            let required = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}});
            vmi(c, "spec/affinity", required);
        },
        "node affinity does not match: zone In north",
    ),
    (
        Cause::VolumeNodeAffinity,
        |c| {
            disk(c);
            add(c, claim("ReadWriteMany"));
            let terms = json!([{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["a"]}]}]);
            add(
                c,
                json!({
                    "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-1"},
                    "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}},
                }),
            );
        },
        "a volume cannot be reached from the node: volume pv-1: kubernetes.io/hostname In a",
    ),
    (
        Cause::InsufficientResources,
        |c| node(c, "status/allocatable/memory", json!("1Gi")),
        "not enough free resources: memory: 1.3 GiB requested, 1.0 GiB free",
    ),
    (
        Cause::QuotaExceeded,
        |c| add(c, quota("2Gi")),
        "a resource quota leaves no room for the target pod: default/team: memory: 1.3 GiB requested, 0.7 GiB free",
    ),
    (
        Cause::ShutDownByDrain,
        |c| vmi(c, "spec/evictionStrategy", json!("None")),
        "a drain would shut the VM down: its eviction strategy is None",
    ),
    (
        Cause::BlocksDrain,
        |c| vmi(c, "spec/evictionStrategy", json!("External")),
        "a drain would wait for the VM: its eviction strategy is External, which leaves its migration to another controller",
    ),
    (
        Cause::PassthroughCpuDiffers,
        |c| {
            vmi(c, "spec/domain/cpu/model", json!("host-passthrough"));
            let labels = object(c, "Node")["metadata"]["labels"]
                .as_object_mut()
                .unwrap();
            labels.remove("host-model-cpu.node.kubevirt.io/Skylake");
        },
        "host-passthrough CPU on nodes with other CPUs: model is not Skylake",
    ),
    (
        Cause::SameHostname,
        |c| {
            let mut nodes = c["items"].as_array_mut().unwrap().iter_mut();
            let node = nodes.find(|item| item["metadata"]["name"] == "b").unwrap();
            node["metadata"]["labels"]["kubernetes.io/hostname"] = json!("a");
        },
        "the hostname is that of the source node: a",
    ),
    (
        Cause::NotInSnapshot,
        |c| remove(c, "Namespace"),
        "the snapshot lacks a kind: namespaces",
    ),
    (
        Cause::Unreadable,
        |c| vmi(c, "spec/volumes", json!(7)),
        "an object could not be read: VirtualMachineInstance default/web: spec.volumes is the integer `7`, not a list",
    ),
    (
        Cause::NoSourcePod,
        |c| object(c, "Pod")["metadata"]["labels"] = json!({}),
        "the launcher pod was not found",
    ),
    (
        Cause::PodAffinity,
        |c| {
            let term = json!([{"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "db"}}}]);
            vmi(
                c,
                "spec/affinity",
                json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}),
            );
        },
        "affinity or anti-affinity to pods does not match: the VM has affinity to pods app=db on the same kubernetes.io/hostname, and none is there",
    ),
    (
        Cause::TopologySpreadNotJudged,
        |c| {
            let spread = json!([{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}]);
            vmi(c, "spec/topologySpreadConstraints", spread);
        },
        "topology spread constraints are not judged",
    ),
    (
        Cause::DynamicResourcesNotJudged,
        |c| vmi(c, "spec/resourceClaims", json!([{"name": "gpu"}])),
        "claims of dynamic resources are not judged",
    ),
    (
        Cause::InstanceTypeNotJudged,
        |c| {
            remove(c, "VirtualMachineInstance");
            let vm = object(c, "VirtualMachine");
            set(vm, "spec/instancetype", json!({"name": "large"}));
            set(vm, "status/printableStatus", json!("Stopped"));
        },
        "the instance type or preference is not judged: large",
    ),
    (
        Cause::ContainersNotCounted,
        |c| {
            remove(c, "VirtualMachineInstance");
            let vm = object(c, "VirtualMachine");
            set(vm, "status/printableStatus", json!("Stopped"));
            let annotations = json!({
                "hooks.kubevirt.io/hookSidecars": "[]", "sidecar.istio.io/inject": "true"});
            set(vm, "spec/template/metadata/annotations", annotations);
            let binding = json!([{"name": "default", "binding": {"name": "mine"}}]);
            set(vm, "spec/template/spec/domain/devices/interfaces", binding);
            let plugins = json!({"network": {"binding": {"mine": {"sidecarImage": "mine:1"}}}});
            object(c, "KubeVirt")["spec"]["configuration"] = plugins;
        },
        "containers that are added to the launcher pod are not counted: annotation hooks.kubevirt.io/hookSidecars, annotation sidecar.istio.io/inject, network binding plugin mine",
    ),
    (
        Cause::UnderlayNotOnNode,
        |c| {
            attach(c);
            let ready = "metadata/labels/blue.provider-network.kubernetes.io~1ready";
            set(&mut c["items"][0], ready, json!("true"));
        },
        "the provider network of the VM's subnet is not ready on these nodes: blue",
    ),
    (
        Cause::SubnetNotReady,
        |c| {
            attach(c);
            let status = json!({"conditions": [{"type": "Ready", "status": "False"}]});
            add_kube_ovn(c, "Subnet", "vlan7", &json!({}), &status);
        },
        "the subnet of the VM is not ready: vlan7",
    ),
    (
        Cause::AddressNotKept,
        |c| {
            attach(c);
            let spec = json!({"namespace": "default", "podName": "virt-launcher-web-x"});
            add_kube_ovn(c, "IP", "virt-launcher-web-x.default", &spec, &json!({}));
        },
        "Kube-OVN keeps no address for the VM",
    ),
    (
        Cause::PolicyApplies,
        |c| add_policy(c, json!({"allowPostCopy": true})),
        "a migration policy applies: slow (post-copy)",
    ),
    (
        Cause::BandwidthTooLow,
        |c| add_policy(c, json!({"bandwidthPerMigration": "1Mi"})),
        "the bandwidth limit is too low for the completion timeout: 1Mi/s, 150 s for each GiB, of which 150 MiB are copied",
    ),
    (
        Cause::KubeVirtVersionUnknown,
        |c| object(c, "KubeVirt")["status"] = json!({}),
        "the version of KubeVirt is unknown",
    ),
    (
        Cause::AgentsNotRead,
        without_agents,
        "no pod of the network's agents was read: ovs-ovn, kube-ovn-cni",
    ),
    (
        Cause::KubeOvnVersionUnknown,
        |_| {},
        "the version of Kube-OVN is unknown",
    ),
    (
        Cause::SouthboundNotRead,
        |_| {},
        "OVN's chassis are not judged",
    ),
    (
        Cause::QuotaNotJudged,
        |c| {
            let mut quota = quota("2Gi");
            quota["spec"]["scopes"] = json!(["NotTerminating"]);
            add(c, quota);
        },
        "a resource quota is not judged: default/team",
    ),
    (
        Cause::ClaimNotBound,
        |c| {
            disk(c);
            let mut claim = claim("ReadWriteMany");
            claim["spec"]["volumeName"] = json!("");
            add(c, claim);
        },
        "a claim is not bound to a volume yet: disk",
    ),
    (
        Cause::ClaimNotFound,
        |c| {
            disk(c);
            let mut other = claim("ReadWriteMany");
            other["metadata"]["name"] = json!("other");
            add(c, other);
        },
        "a claim of the VM or its volume does not exist: disk",
    ),
    (
        Cause::NotRead,
        disk,
        "not judged without what was not read: claim disk",
    ),
    (
        Cause::PriorityNotJudged,
        |c| vmi(c, "spec/priorityClassName", json!("high")),
        "priority and preemption are not judged: high",
    ),
    (
        Cause::RuntimeClassNotJudged,
        |c| {
            let configuration = json!({"defaultRuntimeClass": "kata"});
            object(c, "KubeVirt")["spec"]["configuration"] = configuration;
        },
        "the runtime class is not judged: kata",
    ),
    (
        Cause::NetworkNotJudged,
        attach_lan,
        "a network attachment definition could not be looked up: infra/lan",
    ),
    (
        Cause::KubeOvnNotJudged,
        attach,
        "what Kube-OVN has of the VM is not judged: subnet vlan7, its address",
    ),
    (
        Cause::OtherScheduler,
        |c| vmi(c, "spec/schedulerName", json!("mine")),
        "another scheduler places the VM: mine",
    ),
    (
        Cause::ConditionMissing,
        |c| vmi(c, "status/conditions", json!([])),
        "KubeVirt has not judged the VM yet",
    ),
];

fn found(report: &Value) -> BTreeSet<(String, String)> {
    let items = report["items"].as_array().unwrap().iter();
    let findings = items.flat_map(|item| item["findings"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .map(|finding| (text(&finding["code"]), text(&finding["message"])))
        .collect()
}

#[test]
fn every_cause_comes_up_with_its_message() {
    let mut wrong = Vec::new();
    for (cause, change, message) in CASES {
        let mut cluster = base();
        change(&mut cluster);
        let found = found(&report(&cluster, &[]));
        let expect = (cause.row().code.to_owned(), (*message).to_owned());
        if !found.contains(&expect) {
            wrong.push((cause, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let tried: BTreeSet<Cause> = CASES.iter().map(|(cause, ..)| *cause).collect();
    let missing: Vec<Cause> = Cause::ALL
        .into_iter()
        .filter(|cause| !tried.contains(cause))
        .collect();
    // The southbound database, the observation of migrations, `--node`, drain and `--install` find these, and a snapshot file refuses nothing.
    let elsewhere = [
        Cause::PortNotFound,
        Cause::NetworkNotLocal,
        Cause::PairMissing,
        Cause::PairRemoved,
        Cause::PairStale,
        Cause::PortNotMoved,
        Cause::PortElsewhere,
        Cause::AddressTwice,
        Cause::TargetBehind,
        Cause::FlowsLate,
        Cause::NodeDoesNotFit,
        Cause::NoRoomLeft,
        Cause::MigrationEndsByDrain,
        Cause::Drained,
        Cause::NotAllowed,
        Cause::InstallationNotChecked,
    ];
    assert_eq!(missing, elsewhere);
}

#[test]
fn a_vm_without_a_fault_has_none_of_the_causes_but_its_only_target() {
    let report = report(&base(), &[]);
    let codes: Vec<String> = found(&report).into_iter().map(|(code, _)| code).collect();
    assert_eq!(
        codes,
        ["BRT0101", "BRT0402", "BRT0505", "BRT0910", "BRT0923"]
    );
}

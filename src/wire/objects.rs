//! The objects that the cluster view is made of, read as far as their facts need: nodes, pods,
//! namespaces, VMIs and the KubeVirt CR. Names: facts of KubeVirt and Kube-OVN, each with its
//! source beside it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::decide::inject::{INJECT_DISABLED, INJECT_SWITCH};
use crate::domain::{self, Agent, AgentState, ChassisClaim, DefaultBinding, MachineTypes};
use crate::wire::{Map, Text};

/// The node-labeller's prefix of machine types (KubeVirt `api/core/v1/types.go`, `MachineTypeLabel`);
/// the label's value is `"true"`.
const MACHINE_TYPE_LABEL: &str = "machine-type.node.kubevirt.io/";

/// A Node.
#[derive(Debug, Deserialize)]
pub struct Node<'a> {
    #[serde(borrow)]
    metadata: NodeMetadata<'a>,
    #[serde(borrow, default)]
    status: Option<NodeStatus<'a>>,
}

#[derive(Debug, Deserialize)]
struct NodeMetadata<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(default)]
    labels: Option<MachineTypeLabels>,
    #[serde(borrow, default)]
    annotations: Option<Map<NodeAnnotations<'a>>>,
}

#[derive(Debug, Deserialize)]
struct NodeAnnotations<'a> {
    /// Kube-OVN `pkg/util/const.go`, `ChassisAnnotation`.
    #[serde(borrow, default, rename = "ovn.kubernetes.io/chassis")]
    chassis: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct NodeStatus<'a> {
    #[serde(borrow, default)]
    conditions: Option<Vec<Condition<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Condition<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
}

impl Condition<'_> {
    fn holds(&self, kind: &str) -> bool {
        self.kind.as_str() == kind && self.status.as_str() == "True"
    }
}

impl Node<'_> {
    /// Its name and its facts.
    #[must_use]
    pub fn into_facts(self) -> (Box<str>, domain::NodeFacts) {
        let NodeMetadata {
            name,
            labels,
            annotations,
        } = self.metadata;
        let conditions = self.status.and_then(|status| status.conditions);
        let facts = domain::NodeFacts {
            machine_types: labels.map(|labels| labels.0).unwrap_or_default(),
            chassis: chassis_claim(annotations.and_then(|Map(annotations)| annotations.chassis)),
            network_unavailable: conditions
                .unwrap_or_default()
                .iter()
                .any(|condition| condition.holds("NetworkUnavailable")),
        };
        (name.0.into(), facts)
    }
}

fn chassis_claim(annotation: Option<Text<'_>>) -> ChassisClaim {
    match annotation {
        None => ChassisClaim::Missing,
        Some(name) if is_uuid(name.as_str()) => ChassisClaim::Registered(name.0.into()),
        Some(other) => ChassisClaim::Malformed(other.0.into()),
    }
}

/// Whether a string is a UUID in its usual form, 8-4-4-4-12.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Of a node's 200 labels, the machine types.
#[derive(Debug)]
struct MachineTypeLabels(MachineTypes);

impl<'de> Deserialize<'de> for MachineTypeLabels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Labels;

        impl<'de> Visitor<'de> for Labels {
            type Value = MachineTypeLabels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of labels")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut labels: A) -> Result<Self::Value, A::Error> {
                let mut types: Vec<Box<str>> = Vec::new();
                while let Some(key) = labels.next_key::<Text<'de>>()? {
                    match key.as_str().strip_prefix(MACHINE_TYPE_LABEL) {
                        Some(machine_type) => {
                            if labels.next_value::<Text<'de>>()?.as_str() == "true" {
                                types.push(machine_type.into());
                            }
                        }
                        None => {
                            labels.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(MachineTypeLabels(types.into_iter().collect()))
            }
        }

        deserializer.deserialize_map(Labels)
    }
}

/// A Pod.
#[derive(Debug, Deserialize)]
pub struct Pod<'a> {
    #[serde(borrow)]
    metadata: PodMetadata<'a>,
    #[serde(borrow, default)]
    spec: Option<PodSpec<'a>>,
    #[serde(borrow, default)]
    status: Option<PodStatus<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMetadata<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    namespace: Text<'a>,
    #[serde(borrow, default)]
    labels: Option<Map<PodLabels<'a>>>,
    #[serde(borrow, default)]
    owner_references: Option<Vec<OwnerReference<'a>>>,
    #[serde(default)]
    deletion_timestamp: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct PodLabels<'a> {
    #[serde(borrow, default, rename = "kubevirt.io")]
    kubevirt: Option<Text<'a>>,
    #[serde(default, rename = "kubevirt.io/migrationJobUID")]
    migration_job: Option<IgnoredAny>,
    #[serde(borrow, default)]
    app: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OwnerReference<'a> {
    #[serde(borrow, default)]
    api_version: Text<'a>,
    #[serde(borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    uid: Text<'a>,
    #[serde(default)]
    controller: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec<'a> {
    #[serde(borrow, default)]
    node_name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct PodStatus<'a> {
    #[serde(borrow, default)]
    conditions: Option<Vec<Condition<'a>>>,
}

/// A launcher pod's VMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The VMI's name, in the pod's namespace.
    pub name: &'a str,
    /// The VMI's UID.
    pub uid: &'a str,
}

impl Pod<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_str()
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_str()
    }

    /// Whether it is a virt-launcher. Hot-plug attachment pods carry the migration's labels as
    /// well, but not this one.
    #[must_use]
    pub fn is_launcher(&self) -> bool {
        let labels = self.metadata.labels.as_ref();
        labels
            .and_then(|Map(labels)| labels.kubevirt.as_ref())
            .is_some_and(|kind| kind.as_str() == "virt-launcher")
    }

    /// Whether a migration made it (KubeVirt `MigrationJobLabel`).
    #[must_use]
    pub fn belongs_to_migration(&self) -> bool {
        let labels = self.metadata.labels.as_ref();
        labels.is_some_and(|Map(labels)| labels.migration_job.is_some())
    }

    /// The VMI that controls it.
    #[must_use]
    pub fn vmi(&self) -> Option<Owner<'_>> {
        self.metadata
            .owner_references
            .as_deref()?
            .iter()
            .find(|owner| {
                owner.controller == Some(true)
                    && owner.kind.as_str() == "VirtualMachineInstance"
                    && owner.api_version.as_str().starts_with("kubevirt.io/")
            })
            .map(|owner| Owner {
                name: owner.name.as_str(),
                uid: owner.uid.as_str(),
            })
    }

    /// Which of Kube-OVN's agents it is, by the label `app` that their `DaemonSet`s set.
    #[must_use]
    pub fn agent(&self) -> Option<Agent> {
        let app = self.metadata.labels.as_ref()?.0.app.as_ref()?;
        match app.as_str() {
            "ovs" | "ovs-dpdk" => Some(Agent::Ovs),
            "kube-ovn-cni" => Some(Agent::Cni),
            _ => None,
        }
    }

    /// The node that it runs on.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        let node = self.spec.as_ref()?.node_name.as_ref()?.as_str();
        (!node.is_empty()).then_some(node)
    }

    /// How an agent's pod is. One that is being deleted is on its way out, Ready or not.
    #[must_use]
    pub fn agent_state(&self) -> AgentState {
        let conditions = self.status.as_ref().and_then(|s| s.conditions.as_deref());
        let ready = conditions
            .unwrap_or_default()
            .iter()
            .any(|condition| condition.holds("Ready"));
        if ready && self.metadata.deletion_timestamp.is_none() {
            AgentState::Ready
        } else {
            AgentState::NotReady
        }
    }
}

/// A Namespace.
#[derive(Debug, Deserialize)]
pub struct Namespace<'a> {
    #[serde(borrow)]
    metadata: NamespaceMetadata<'a>,
}

#[derive(Debug, Deserialize)]
struct NamespaceMetadata<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow, default)]
    labels: Option<Map<Switch<'a>>>,
    #[serde(borrow, default)]
    annotations: Option<Map<Switch<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Switch<'a> {
    #[serde(borrow, default, rename = "berth.dev/inject")]
    inject: Option<Text<'a>>,
}

impl Namespace<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_str()
    }

    /// Whether it opts out of injection, by label or annotation.
    #[must_use]
    pub fn opts_out(&self) -> bool {
        debug_assert_eq!(INJECT_SWITCH, "berth.dev/inject");
        [&self.metadata.labels, &self.metadata.annotations]
            .into_iter()
            .filter_map(|switch| switch.as_ref()?.0.inject.as_ref())
            .any(|value| value.as_str() == INJECT_DISABLED)
    }
}

/// A `VirtualMachineInstance` as the guard needs it.
#[derive(Debug, Deserialize)]
pub struct Vmi<'a> {
    #[serde(borrow)]
    metadata: VmiMetadata<'a>,
    #[serde(borrow, default)]
    spec: Option<VmiSpec<'a>>,
    #[serde(borrow, default)]
    status: Option<VmiStatus<'a>>,
}

#[derive(Debug, Deserialize)]
struct VmiMetadata<'a> {
    #[serde(borrow)]
    namespace: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    uid: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct VmiSpec<'a> {
    #[serde(borrow, default)]
    domain: Option<Domain<'a>>,
}

#[derive(Debug, Deserialize)]
struct Domain<'a> {
    #[serde(borrow, default)]
    machine: Option<Machine<'a>>,
}

#[derive(Debug, Deserialize)]
struct Machine<'a> {
    #[serde(borrow, default, rename = "type")]
    machine_type: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VmiStatus<'a> {
    #[serde(borrow, default)]
    machine: Option<Machine<'a>>,
    #[serde(borrow, default)]
    node_name: Option<Text<'a>>,
}

impl Vmi<'_> {
    /// Its facts. The machine type that libvirt resolved comes before the one asked for, which may
    /// be an alias such as `q35`.
    #[must_use]
    pub fn into_facts(self) -> domain::Vmi {
        let VmiMetadata {
            namespace,
            name,
            uid,
        } = self.metadata;
        let (running, node) = match self.status {
            Some(VmiStatus { machine, node_name }) => (machine, node_name),
            None => (None, None),
        };
        let asked = self
            .spec
            .and_then(|spec| spec.domain)
            .and_then(|domain| domain.machine);
        let named = |text: Text<'_>| (!text.as_str().is_empty()).then(|| Box::from(text.as_str()));
        domain::Vmi {
            namespace: namespace.0.into(),
            name: name.0.into(),
            uid: uid.0.into(),
            machine_type: [running, asked]
                .into_iter()
                .flatten()
                .filter_map(|machine| machine.machine_type)
                .find_map(named),
            node: node.and_then(named),
        }
    }
}

/// The KubeVirt CR.
#[derive(Debug, Deserialize)]
pub struct KubeVirt<'a> {
    #[serde(borrow, default)]
    spec: Option<KubeVirtSpec<'a>>,
}

#[derive(Debug, Deserialize)]
struct KubeVirtSpec<'a> {
    #[serde(borrow, default)]
    configuration: Option<Configuration<'a>>,
}

#[derive(Debug, Deserialize)]
struct Configuration<'a> {
    #[serde(borrow, default)]
    network: Option<NetworkConfiguration<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NetworkConfiguration<'a> {
    #[serde(borrow, default)]
    default_network_interface: Option<Text<'a>>,
}

impl KubeVirt<'_> {
    /// The binding of the interface that KubeVirt adds by default.
    #[must_use]
    pub fn default_binding(&self) -> DefaultBinding {
        let configured = self
            .spec
            .as_ref()
            .and_then(|spec| spec.configuration.as_ref()?.network.as_ref())
            .and_then(|network| network.default_network_interface.as_ref());
        match configured.map(Text::as_str) {
            None | Some("" | "bridge") => DefaultBinding::Bridge,
            Some(_) => DefaultBinding::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check_node(node: &Value, expect: &domain::NodeFacts) {
        let node = node.to_string();
        let (name, facts) = serde_json::from_str::<Node<'_>>(&node)
            .unwrap()
            .into_facts();
        assert_eq!((name.as_ref(), &facts), ("n", expect), "{node}");
    }

    #[test]
    fn a_nodes_facts_are_its_machine_types_chassis_and_network() {
        check_node(
            &json!({
                "metadata": {
                    "name": "n",
                    "labels": {
                        "machine-type.node.kubevirt.io/q35": "true",
                        "machine-type.node.kubevirt.io/pc": "true",
                        "machine-type.node.kubevirt.io/isapc": "false",
                        "kubernetes.io/hostname": "n"
                    },
                    "annotations": {"ovn.kubernetes.io/chassis": "0000000a-1111-4222-8333-444455556666"}
                },
                "status": {"conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "NetworkUnavailable", "status": "True"}
                ]}
            }),
            &domain::NodeFacts {
                machine_types: ["pc", "q35"].into_iter().collect(),
                chassis: ChassisClaim::Registered("0000000a-1111-4222-8333-444455556666".into()),
                network_unavailable: true,
            },
        );
        for bare in [
            json!({"metadata": {"name": "n"}}),
            json!({"metadata": {"name": "n", "labels": null, "annotations": null}, "status": null}),
            json!({"metadata": {"name": "n", "labels": {}, "annotations": {}}, "status": {"conditions": null}}),
            json!({"metadata": {"name": "n"}, "status": {"conditions": [{"type": "NetworkUnavailable", "status": "Unknown"}]}}),
        ] {
            check_node(&bare, &domain::NodeFacts::default());
        }
    }

    #[test]
    fn a_chassis_is_named_by_a_uuid() {
        for (annotation, registered) in [
            ("00000005-1111-4222-8333-444455556666", true),
            ("ABCDEF05-1111-4222-8333-444455556666", true),
            ("", false),
            ("el9-0", false),
            ("00000005111142228333444455556666", false),
            ("00000005-1111-4222-8333-44445555666", false),
            ("00000005-1111-4222-8333-44445555666g", false),
            ("00000005+1111-4222-8333-444455556666", false),
        ] {
            let expect = if registered {
                ChassisClaim::Registered(annotation.into())
            } else {
                ChassisClaim::Malformed(annotation.into())
            };
            assert_eq!(chassis_claim(Some(Text(annotation.into()))), expect);
        }
    }

    #[track_caller]
    fn mk_pod(text: &str) -> Pod<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_pods_vmi_is_its_controller_and_nothing_else() {
        let owned = |owner: Value| json!({"metadata": {"ownerReferences": [owner]}}).to_string();
        let good = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": "web", "uid": "1", "controller": true});
        assert_eq!(
            mk_pod(&owned(good.clone())).vmi(),
            Some(Owner {
                name: "web",
                uid: "1"
            })
        );
        for (key, value) in [
            ("apiVersion", json!("example.com/v1")),
            ("kind", json!("ReplicaSet")),
            ("controller", json!(false)),
            ("controller", json!(null)),
        ] {
            let mut other = good.clone();
            other[key] = value;
            assert_eq!(mk_pod(&owned(other)).vmi(), None);
        }
        assert_eq!(mk_pod(r#"{"metadata":{}}"#).vmi(), None);
    }

    #[test]
    fn an_agent_is_ready_when_its_condition_says_so_and_it_is_not_going_away() {
        let pod = |ready: &str, metadata: Value| {
            json!({"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": ready}]}}).to_string()
        };
        for (pod, expect) in [
            (pod("True", json!({})), AgentState::Ready),
            (pod("False", json!({})), AgentState::NotReady),
            (
                pod("True", json!({"deletionTimestamp": "2026-11-21T02:24:24Z"})),
                AgentState::NotReady,
            ),
            (r#"{"metadata":{}}"#.to_owned(), AgentState::NotReady),
        ] {
            assert_eq!(mk_pod(&pod).agent_state(), expect, "{pod}");
        }
        for (app, agent) in [
            ("ovs", Some(Agent::Ovs)),
            ("ovs-dpdk", Some(Agent::Ovs)),
            ("kube-ovn-cni", Some(Agent::Cni)),
            ("ovn-central", None),
        ] {
            let pod = json!({"metadata": {"labels": {"app": app}}}).to_string();
            assert_eq!(mk_pod(&pod).agent(), agent);
        }
    }

    #[test]
    fn the_machine_type_that_runs_comes_before_the_one_asked_for() {
        for (spec, status, expect) in [
            (
                json!("q35"),
                json!("pc-q35-rhel9.2.0"),
                Some("pc-q35-rhel9.2.0"),
            ),
            (json!("q35"), json!(null), Some("q35")),
            (json!("q35"), json!(""), Some("q35")),
            (json!(""), json!(""), None),
            (json!(null), json!(null), None),
        ] {
            let vmi = json!({
                "metadata": {"namespace": "default", "name": "web", "uid": "1"},
                "spec": {"domain": {"machine": {"type": spec}}},
                "status": {"machine": {"type": status}, "nodeName": ""}
            })
            .to_string();
            let facts = serde_json::from_str::<Vmi<'_>>(&vmi).unwrap().into_facts();
            assert_eq!(
                (facts.machine_type.as_deref(), facts.node),
                (expect, None),
                "{vmi}"
            );
        }
    }

    #[test]
    fn the_default_binding_is_bridge_unless_another_is_named() {
        for (cr, expect) in [
            (json!({}), DefaultBinding::Bridge),
            (
                json!({"spec": {"configuration": {"network": null}}}),
                DefaultBinding::Bridge,
            ),
            (
                json!({"spec": {"configuration": {"network": {"defaultNetworkInterface": "bridge"}}}}),
                DefaultBinding::Bridge,
            ),
            (
                json!({"spec": {"configuration": {"network": {"defaultNetworkInterface": "masquerade"}}}}),
                DefaultBinding::Other,
            ),
        ] {
            let cr = cr.to_string();
            assert_eq!(
                serde_json::from_str::<KubeVirt<'_>>(&cr)
                    .unwrap()
                    .default_binding(),
                expect
            );
        }
    }

    #[test]
    fn a_namespace_opts_out_by_label_or_annotation() {
        for (metadata, expect) in [
            (json!({"name": "a"}), false),
            (
                json!({"name": "a", "labels": {"berth.dev/inject": "disabled"}}),
                true,
            ),
            (
                json!({"name": "a", "annotations": {"berth.dev/inject": "disabled"}}),
                true,
            ),
            (
                json!({"name": "a", "labels": {"berth.dev/inject": "enabled"}}),
                false,
            ),
        ] {
            let namespace = json!({"metadata": metadata}).to_string();
            let namespace: Namespace<'_> = serde_json::from_str(&namespace).unwrap();
            assert_eq!(namespace.opts_out(), expect);
        }
    }
}

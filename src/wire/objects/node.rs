//! Nodes.

use std::fmt;

use ovsdb::Uuid;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::condition::Condition;
use crate::decide::condition::CONDITION;
use crate::domain::{self, ChassisClaim, MachineType, MachineTypes, Provider, Status};
use crate::text::shorten;
use crate::wire::gather::{Gather, Gathered};
use crate::wire::{Map, Text};

/// The node-labeller's prefix of machine types (KubeVirt `api/core/v1/types.go`, `MachineTypeLabel`);
/// the label's value is `"true"`.
const MACHINE_TYPE_LABEL: &str = "machine-type.node.kubevirt.io/";

/// The machine types of one node: QEMU has a few dozen.
const MOST_MACHINE_TYPES: usize = 1000;

/// A Node.
#[derive(Debug, Deserialize)]
pub struct Node<'a> {
    #[serde(borrow)]
    metadata: NodeMetadata<'a>,
    status: Option<NodeStatus>,
}

#[derive(Debug, Deserialize)]
struct NodeMetadata<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    labels: Option<MachineTypeLabels>,
    annotations: Option<Map<NodeAnnotations<'a>>>,
}

#[derive(Debug, Deserialize)]
struct NodeAnnotations<'a> {
    /// Kube-OVN `pkg/util/const.go`, `ChassisAnnotation`.
    #[serde(borrow, rename = "ovn.kubernetes.io/chassis")]
    kube_ovn: Option<Text<'a>>,
    /// OVN-Kubernetes `go-controller/pkg/util/node_annotations.go`, `OvnNodeChassisID`.
    #[serde(rename = "k8s.ovn.org/node-chassis-id")]
    ovn_kubernetes: Option<Text<'a>>,
}

impl<'a> NodeAnnotations<'a> {
    /// The system-id that this provider's agent wrote. That of another, which a cluster that has
    /// changed its network may still carry, says nothing.
    fn chassis(self, provider: Provider) -> Option<Text<'a>> {
        match provider {
            Provider::KubeOvn => self.kube_ovn,
            Provider::OvnKubernetes => self.ovn_kubernetes,
        }
    }
}

#[derive(Debug, Deserialize)]
struct NodeStatus {
    conditions: Option<Gathered<Conditions>>,
}

/// Of a node's conditions, those that mean something.
#[derive(Debug, Default)]
struct Conditions {
    network_unavailable: bool,
    published: Option<domain::ChassisReady>,
}

impl<'a> Gather<'a> for Conditions {
    type Item = Condition<'a>;

    fn take(&mut self, condition: Self::Item) {
        self.network_unavailable |= condition.is_true("NetworkUnavailable");
        if self.published.is_none() {
            self.published = published(&condition);
        }
    }
}

impl Node<'_> {
    /// Its name and its facts.
    #[must_use]
    pub fn into_facts(self, provider: Provider) -> (Box<str>, domain::NodeFacts) {
        let NodeMetadata {
            name,
            labels,
            annotations,
        } = self.metadata;
        let conditions = self.status.and_then(|status| status.conditions);
        let Gathered(conditions) = conditions.unwrap_or_default();
        let facts = domain::NodeFacts {
            machine_types: labels.map(|labels| labels.0).unwrap_or_default(),
            chassis: chassis_claim(
                annotations.and_then(|Map(annotations)| annotations.chassis(provider)),
            ),
            network_unavailable: conditions.network_unavailable,
            published: conditions.published.map(Box::new),
        };
        (name.0.into(), facts)
    }
}

fn published(condition: &Condition<'_>) -> Option<domain::ChassisReady> {
    if !condition.is(CONDITION) {
        return None;
    }
    // What berth publishes is shorter, and has nothing to escape: so what differs is not its own.
    let text = |text: &Option<Text<'_>>| {
        let text = text.as_ref().map(Text::as_str);
        shorten(text.unwrap_or_default(), LONGEST_MESSAGE).into()
    };
    let status = condition.status.as_str().parse();
    Some(domain::ChassisReady {
        status: status.unwrap_or(Status::Unknown),
        reason: text(&condition.reason),
        message: text(&condition.message),
    })
}

/// The longest reason or message of a condition that is kept, in characters.
const LONGEST_MESSAGE: usize = 1000;

/// Of what should be a UUID and is not, as much as people need to see.
const LONGEST_CLAIM: usize = 80;

fn chassis_claim(annotation: Option<Text<'_>>) -> ChassisClaim {
    match annotation {
        None => ChassisClaim::Missing,
        Some(name) if Uuid::parse(name.as_str()).is_some() => {
            ChassisClaim::Registered(name.0.into())
        }
        Some(other) => ChassisClaim::Malformed(shorten(other.as_str(), LONGEST_CLAIM).into()),
    }
}

/// Of a node's 200 labels, the machine types, and whether there are any labels of this kind: a node
/// whose labels all say `false` is labelled.
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
                let mut is_labelled = false;
                let mut types: Vec<Box<str>> = Vec::new();
                while let Some(key) = labels.next_key::<Text<'de>>()? {
                    match key.as_str().strip_prefix(MACHINE_TYPE_LABEL) {
                        Some(machine_type) => {
                            is_labelled = true;
                            let is_supported = labels.next_value::<Text<'de>>()?.as_str() == "true";
                            let is_kept = types.len() < MOST_MACHINE_TYPES;
                            if is_supported && is_kept && MachineType::is_name(machine_type) {
                                types.push(machine_type.into());
                            }
                        }
                        None => {
                            labels.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(MachineTypeLabels(if is_labelled {
                    MachineTypes::labelled(types)
                } else {
                    MachineTypes::default()
                }))
            }
        }

        deserializer.deserialize_map(Labels)
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
            .into_facts(Provider::KubeOvn);
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
                    {"type": "NetworkUnavailable", "status": "True"},
                    {"type": "OVNChassisReady", "status": "False", "reason": "AgentsNotReady", "message": "m"}
                ]}
            }),
            &domain::NodeFacts {
                machine_types: ["pc", "q35"].into_iter().collect(),
                chassis: ChassisClaim::Registered("0000000a-1111-4222-8333-444455556666".into()),
                network_unavailable: true,
                published: Some(Box::new(domain::ChassisReady {
                    status: Status::False,
                    reason: "AgentsNotReady".into(),
                    message: "m".into(),
                })),
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
    fn a_node_is_labelled_by_any_machine_type_label_whatever_its_value() {
        for (labels, expect) in [
            (
                json!({"kubernetes.io/hostname": "n"}),
                MachineTypes::default(),
            ),
            (
                json!({"cpu-model.node.kubevirt.io/q35": "true"}),
                MachineTypes::default(),
            ),
            (
                json!({"machine-type.node.kubevirt.io/q35": "false"}),
                MachineTypes::labelled::<&str>([]),
            ),
            (
                json!({"machine-type.node.kubevirt.io/q35": ""}),
                MachineTypes::labelled::<&str>([]),
            ),
            (
                json!({"machine-type.node.kubevirt.io/q35": "True"}),
                MachineTypes::labelled::<&str>([]),
            ),
            (
                json!({
                    "machine-type.node.kubevirt.io/pc": "false",
                    "machine-type.node.kubevirt.io/q35": "true",
                }),
                MachineTypes::labelled(["q35"]),
            ),
        ] {
            check_node(
                &json!({"metadata": {"name": "n", "labels": labels}}),
                &domain::NodeFacts {
                    machine_types: expect,
                    ..domain::NodeFacts::default()
                },
            );
        }
    }

    #[test]
    fn a_chassis_is_claimed_by_the_annotation_of_the_network_provider() {
        const KUBE_OVN: &str = "0000000a-1111-4222-8333-444455556666";
        const OVN_KUBERNETES: &str = "b1f96182-2bdd-42b6-88f9-9a1fc1c85ece";
        let registered = |name: &str| ChassisClaim::Registered(name.into());
        for (annotations, by_kube_ovn, by_ovn_kubernetes) in [
            (json!({}), ChassisClaim::Missing, ChassisClaim::Missing),
            (
                json!({"ovn.kubernetes.io/chassis": KUBE_OVN}),
                registered(KUBE_OVN),
                ChassisClaim::Missing,
            ),
            (
                json!({"k8s.ovn.org/node-chassis-id": OVN_KUBERNETES}),
                ChassisClaim::Missing,
                registered(OVN_KUBERNETES),
            ),
            (
                json!({"ovn.kubernetes.io/chassis": KUBE_OVN, "k8s.ovn.org/node-chassis-id": OVN_KUBERNETES}),
                registered(KUBE_OVN),
                registered(OVN_KUBERNETES),
            ),
            (
                json!({"k8s.ovn.org/node-chassis-id": "n"}),
                ChassisClaim::Missing,
                ChassisClaim::Malformed("n".into()),
            ),
        ] {
            let node = json!({"metadata": {"name": "n", "annotations": annotations}}).to_string();
            let claim = |provider| {
                let node: Node<'_> = serde_json::from_str(&node).unwrap();
                node.into_facts(provider).1.chassis
            };
            assert_eq!(
                [Provider::KubeOvn, Provider::OvnKubernetes].map(claim),
                [by_kube_ovn, by_ovn_kubernetes],
                "{node}"
            );
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
}

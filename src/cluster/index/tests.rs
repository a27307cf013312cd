//! What the index makes of objects that come, change and go in any order.

use super::*;
use crate::decide::policy::ClusterCapabilities;
use crate::domain::AgentState::{Missing, NotReady, Ready};
use crate::domain::{Agent, MigrationPhase, Sender};

fn mk_node(name: &str, machine_types: &[&str]) -> Object {
    Object::Node {
        name: name.into(),
        facts: NodeFacts {
            machine_types: machine_types.iter().copied().collect(),
            ..NodeFacts::default()
        },
    }
}

fn mk_agent(name: &str, agent: Agent, node: Option<&str>, state: AgentState) -> Object {
    Object::AgentPod {
        key: ObjectKey::new("kube-system", name),
        pod: AgentPod {
            agent,
            node: node.map(Into::into),
            state,
        },
    }
}

/// A target pod of the VMI `web` with UID `v1`.
fn mk_target(name: &str, migration: &str, node: Option<&str>) -> Object {
    mk_target_of(("default", "web", "v1"), name, migration, node)
}

fn mk_target_of(
    (namespace, vmi, vmi_uid): (&str, &str, &str),
    name: &str,
    migration: &str,
    node: Option<&str>,
) -> Object {
    Object::TargetPod {
        key: ObjectKey::new(namespace, name),
        pod: TargetPod {
            migration: migration.into(),
            vmi: ObjectKey::new(namespace, vmi),
            vmi_uid: vmi_uid.into(),
            node: node.map(Into::into),
            created: None,
            bound: None,
        },
    }
}

fn phase(is_active: bool) -> MigrationPhase {
    if is_active {
        MigrationPhase::Running
    } else {
        MigrationPhase::Succeeded
    }
}

/// A migration of the VMI `web`.
fn mk_migration(name: &str, uid: &str, active: bool) -> Object {
    Object::Migration {
        key: ObjectKey::new("default", name),
        migration: Migration {
            uid: uid.into(),
            vmi: ObjectKey::new("default", "web"),
            phase: phase(active),
            created: None,
        },
    }
}

fn mk_vmi(name: &str, uid: &str) -> Vmi {
    Vmi {
        namespace: "default".into(),
        name: name.into(),
        uid: uid.into(),
        machine_type: None,
        machine_type_resolved: false,
        node: None,
        sender: None,
        latest_migration: None,
    }
}

fn arriving(index: &Index) -> [u32; 2] {
    let view = index.view();
    ["a", "b"].map(|node| view.node(node).map_or(0, NodeEntry::arriving))
}

fn mk_index(objects: impl IntoIterator<Item = Object>) -> Index {
    let mut index = Index::default();
    for object in objects {
        assert!(index.apply(object));
    }
    index
}

fn agent_pod(name: &str) -> ObjectKey {
    ObjectKey::new("kube-system", name)
}

#[test]
fn an_agent_pod_may_come_before_its_node_and_does_not_create_one() {
    let mut index = mk_index([
        mk_agent("o", Agent::Ovs, Some("a"), Ready),
        mk_agent("c", Agent::Cni, Some("a"), Ready),
    ]);
    let view = index.view();
    assert_eq!(view.node("a").unwrap().facts(), None);
    assert_eq!(view.nodes().count(), 0);
    index.apply(mk_node("a", &[]));
    let view = index.view();
    let entry = view.node("a").unwrap();
    assert!(entry.facts().is_some());
    let unready: Vec<Agent> = entry.agents().unready().iter().collect();
    assert_eq!(unready, [Agent::OvnkubeNode]);
}

#[test]
fn the_best_pod_of_an_agent_determines_its_state() {
    let old = || mk_agent("old", Agent::Ovs, Some("a"), NotReady);
    let new = || mk_agent("new", Agent::Ovs, Some("a"), Ready);
    for pods in [[old(), new()], [new(), old()]] {
        let mut index = mk_index(pods);
        let ovs = |index: &Index| index.view().node("a").map(|entry| entry.agents().ovs);
        assert_eq!(ovs(&index), Some(Ready));
        assert!(index.delete(ObjectKind::AgentPod, &agent_pod("new")));
        assert_eq!(ovs(&index), Some(NotReady));
        assert!(index.delete(ObjectKind::AgentPod, &agent_pod("old")));
        assert_eq!(ovs(&index), None);
        assert!(!index.delete(ObjectKind::AgentPod, &agent_pod("old")));
    }
}

#[test]
fn a_pod_counts_for_the_node_that_it_is_bound_to() {
    let mut index = mk_index([mk_agent("o", Agent::Ovs, None, NotReady)]);
    assert_eq!(index.view().count(ObjectKind::AgentPod), 1);
    for (node, other) in [("a", "b"), ("b", "a")] {
        assert!(index.apply(mk_agent("o", Agent::Ovs, Some(node), Ready)));
        let view = index.view();
        assert_eq!(view.node(node).unwrap().agents().ovs, Ready);
        assert_eq!(view.node(node).unwrap().agents().cni, Missing);
        assert_eq!(view.node(other), None);
    }
}

#[test]
fn a_cluster_has_labels_while_a_node_has_and_an_agent_while_it_has_a_pod() {
    let seen = |index: &Index| {
        index
            .view()
            .capabilities()
            .agents_seen
            .iter()
            .collect::<Vec<_>>()
    };
    let mut index = mk_index([mk_node("a", &[]), mk_node("b", &[])]);
    assert_eq!(index.view().capabilities(), ClusterCapabilities::default());
    index.apply(mk_node("a", &["q35"]));
    index.apply(mk_agent("c", Agent::Cni, None, NotReady));
    assert!(index.view().capabilities().machine_types_seen);
    assert_eq!(seen(&index), [Agent::Cni]);
    index.apply(mk_agent("d", Agent::Cni, Some("a"), Ready));
    index.apply(mk_agent("o", Agent::Ovs, Some("a"), Ready));
    assert_eq!(seen(&index), [Agent::Ovs, Agent::Cni]);
    index.delete(ObjectKind::AgentPod, &agent_pod("c"));
    assert_eq!(seen(&index), [Agent::Ovs, Agent::Cni]);
    index.apply(mk_agent("d", Agent::Ovs, Some("a"), Ready));
    assert_eq!(
        seen(&index),
        [Agent::Ovs],
        "a pod that is another agent's now"
    );
    index.reset(ObjectKind::AgentPod, vec![]);
    index.delete(ObjectKind::Node, &ObjectKey::new("", "a"));
    let fleet = index.view().capabilities();
    assert_eq!(fleet, ClusterCapabilities::default());
}

#[test]
fn a_node_whose_labels_are_all_false_is_labelled() {
    let node = |labelled: bool| Object::Node {
        name: "a".into(),
        facts: NodeFacts {
            machine_types: if labelled {
                MachineTypes::labelled::<&str>([])
            } else {
                MachineTypes::default()
            },
            ..NodeFacts::default()
        },
    };
    let mut index = mk_index([node(false)]);
    for labelled in [true, false, true] {
        assert!(index.apply(node(labelled)));
        assert_eq!(index.view().capabilities().machine_types_seen, labelled);
        assert_eq!(index.view().labelled_nodes(), usize::from(labelled));
    }
    index.reset(ObjectKind::Node, vec![node(false)]);
    assert!(!index.view().capabilities().machine_types_seen);
}

#[test]
fn a_migration_arrives_on_the_node_of_its_target_until_either_ends() {
    for pod_first in [true, false] {
        let mut index = mk_index([Object::Vmi(mk_vmi("web", "v1"))]);
        let mut objects = [
            mk_target("t", "m1", Some("a")),
            mk_migration("m", "m1", true),
        ];
        if !pod_first {
            objects.reverse();
        }
        for object in objects {
            assert_eq!(arriving(&index), [0, 0]);
            index.apply(object);
        }
        assert_eq!(arriving(&index), [1, 0]);
        index.apply(mk_target("t", "m1", Some("b")));
        assert_eq!(arriving(&index), [0, 1]);
        index.apply(mk_target("u", "m2", Some("b")));
        assert_eq!(arriving(&index), [0, 1], "the migration m2 is unknown");
        index.apply(mk_migration("m", "m1", false));
        assert_eq!(arriving(&index), [0, 0]);
        index.apply(mk_migration("m", "m2", true));
        assert_eq!(arriving(&index), [0, 1], "another of the same name");
        index.delete(ObjectKind::TargetPod, &ObjectKey::new("default", "u"));
        assert_eq!(arriving(&index), [0, 0]);
    }
}

#[test]
fn a_target_counts_where_its_vmi_and_its_migration_agree_in_any_order() {
    let good = || {
        [
            Object::Vmi(mk_vmi("web", "v1")),
            mk_migration("m", "m1", true),
            mk_target("t", "m1", Some("a")),
        ]
    };
    for order in [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ] {
        let mut objects = good().map(Some);
        let mut index = Index::default();
        for at in order {
            assert_eq!(arriving(&index), [0, 0], "{order:?}");
            index.apply(objects[at].take().unwrap());
        }
        assert_eq!(arriving(&index), [1, 0], "{order:?}");
        let [vmi, migration, target] = good().map(|object| object.key());
        for (kind, key) in [
            (ObjectKind::Vmi, vmi),
            (ObjectKind::Migration, migration),
            (ObjectKind::TargetPod, target),
        ] {
            let [vmi, migration, target] = good();
            assert!(index.delete(kind, &key));
            assert_eq!(arriving(&index), [0, 0], "without its {kind:?}");
            for object in [vmi, migration, target] {
                index.apply(object);
            }
            assert_eq!(arriving(&index), [1, 0]);
        }
        // Made anew under the same name, the VMI is another one.
        index.apply(Object::Vmi(mk_vmi("web", "v2")));
        assert_eq!(arriving(&index), [0, 0]);
        index.apply(Object::Vmi(mk_vmi("web", "v1")));
        assert_eq!(arriving(&index), [1, 0]);
    }
}

#[test]
fn a_pod_that_only_claims_to_be_a_target_counts_nowhere() {
    let other_namespace = Object::Migration {
        key: ObjectKey::new("other", "m"),
        migration: Migration {
            uid: "m3".into(),
            vmi: ObjectKey::new("other", "web"),
            phase: phase(true),
            created: None,
        },
    };
    let mut index = mk_index([
        Object::Vmi(mk_vmi("web", "v1")),
        Object::Vmi(mk_vmi("db", "v2")),
        mk_migration("m", "m1", true),
        mk_migration("n", "m2", false),
        other_namespace,
    ]);
    for (vmi, migration) in [
        (("default", "web", "v2"), "m1"),
        (("default", "web", "v3"), "m1"),
        (("default", "db", "v2"), "m1"),
        (("other", "web", "v1"), "m1"),
        (("other", "web", "v1"), "m3"),
        (("default", "web", "v1"), "m2"),
        (("default", "web", "v1"), "m3"),
        (("default", "web", "v1"), "m4"),
    ] {
        index.apply(mk_target_of(vmi, "t", migration, Some("a")));
        assert_eq!(arriving(&index), [0, 0], "{vmi:?} {migration}");
    }
    index.apply(mk_target("t", "m1", Some("a")));
    assert_eq!(arriving(&index), [1, 0]);
}

#[test]
fn a_migration_arrives_once_however_many_pods_claim_to_be_its_target() {
    let pods = || {
        [
            mk_target("t", "m1", Some("b")),
            mk_target("s", "m1", Some("a")),
            mk_target("u", "m1", Some("b")),
            mk_target("r", "m1", None),
        ]
    };
    for reverse in [false, true] {
        let mut pods = pods();
        if reverse {
            pods.reverse();
        }
        let mut index = mk_index([
            Object::Vmi(mk_vmi("web", "v1")),
            mk_migration("m", "m1", true),
        ]);
        for pod in pods {
            index.apply(pod);
        }
        assert_eq!(arriving(&index), [1, 0], "the first by name that is bound");
        index.delete(ObjectKind::TargetPod, &ObjectKey::new("default", "s"));
        assert_eq!(arriving(&index), [0, 1]);
    }
}

#[test]
fn a_sender_is_found_by_its_uid_if_its_namespace_and_name_agree() {
    let receiver = |uid: &str, namespace: Option<&str>, name: Option<&str>| Vmi {
        sender: Some(Box::new(Sender {
            uid: uid.into(),
            namespace: namespace.map(Into::into),
            name: name.map(Into::into),
            node: Some("a".into()),
        })),
        ..mk_vmi("receiver", "r")
    };
    let mut index = mk_index([Object::Vmi(mk_vmi("web", "v1"))]);
    for (uid, namespace, name, is_found) in [
        ("v1", Some("default"), Some("web"), true),
        ("v1", None, None, true),
        ("v1", Some("other"), Some("web"), false),
        ("v1", Some("default"), Some("db"), false),
        ("v2", Some("default"), Some("web"), false),
    ] {
        let receiver = receiver(uid, namespace, name);
        let view = index.view();
        let node = view.origin(&receiver).node;
        assert_eq!(node.is_some(), is_found, "{uid} {namespace:?} {name:?}");
    }
    let receiver = receiver("v1", None, None);
    index.apply(Object::Vmi(mk_vmi("web", "v2")));
    assert_eq!(index.view().origin(&receiver).node, None);
    index.apply(Object::Vmi(mk_vmi("web", "v1")));
    assert_eq!(index.view().origin(&receiver).node, Some("a"));
    index.delete(ObjectKind::Vmi, &ObjectKey::new("default", "web"));
    assert_eq!(index.view().origin(&receiver).node, None);
}

#[test]
fn a_vmi_with_another_uid_replaces_the_one_of_the_same_name() {
    let vmi = |uid| mk_vmi("web", uid);
    let mut index = mk_index([Object::Vmi(vmi("1")), Object::Vmi(vmi("2"))]);
    let view = index.view();
    assert_eq!(view.vmi("default", "web", "1"), None);
    assert_eq!(view.vmi("default", "web", "2"), Some(&vmi("2")));
    assert_eq!(view.count(ObjectKind::Vmi), 1);
    assert!(!index.apply(Object::Vmi(vmi("2"))), "nothing changed");
    assert!(index.delete(ObjectKind::Vmi, &ObjectKey::new("default", "web")));
    assert_eq!(index.view(), ClusterView::default());
}

#[test]
fn the_first_kubevirt_by_name_counts_in_any_order() {
    let cr = |name: &str, default_binding| Object::KubeVirt {
        key: ObjectKey::new("kubevirt", name),
        default_binding,
    };
    let a = || cr("a", DefaultBinding::Other);
    let b = || cr("b", DefaultBinding::Bridge);
    for objects in [[a(), b()], [b(), a()]] {
        let mut index = mk_index(objects);
        assert_eq!(index.view().default_binding(), DefaultBinding::Other);
        index.delete(ObjectKind::KubeVirt, &ObjectKey::new("kubevirt", "a"));
        assert_eq!(index.view().default_binding(), DefaultBinding::Bridge);
    }
}

#[test]
fn a_list_replaces_all_objects_of_its_kind_and_no_others() {
    let mut index = mk_index([mk_node("a", &[]), mk_node("b", &["q35"])]);
    index.apply(mk_agent("o", Agent::Ovs, Some("a"), Ready));
    assert!(index.reset(ObjectKind::Node, vec![mk_node("b", &["q35"])]));
    let view = index.view();
    let nodes: Vec<_> = view.nodes().map(|(name, ..)| name).collect();
    assert_eq!(nodes, ["b"]);
    assert_eq!(view.node("a").unwrap().agents().ovs, Ready);
    assert!(!index.reset(ObjectKind::Node, vec![mk_node("b", &["q35"])]));
    assert!(index.reset(ObjectKind::Node, vec![]));
    assert_eq!(index.view().count(ObjectKind::Node), 0);
}

#[test]
fn a_view_is_complete_when_every_kind_was_listed() {
    let mut index = Index::default();
    for &kind in ObjectKind::ALL {
        assert!(!index.view().is_complete());
        assert!(index.reset(kind, vec![]), "that a kind is known is news");
        assert!(index.view().is_listed(kind));
    }
    assert!(index.view().is_complete());
    assert_eq!(index.view(), ClusterView::from_iter([]));
}

#[test]
fn a_view_is_immutable() {
    let mut index = mk_index([mk_node("a", &[])]);
    let before = index.view();
    index.apply(mk_node("b", &[]));
    index.delete(ObjectKind::Node, &ObjectKey::new("", "a"));
    let nodes: Vec<_> = before.nodes().map(|(name, ..)| name).collect();
    assert_eq!(nodes, ["a"]);
}

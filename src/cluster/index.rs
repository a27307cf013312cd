//! The index: a state machine that makes views. It is told what was applied, what was deleted and
//! what a fresh list holds, in whatever order a watch brings that, and what it knows in the end
//! depends on the last word about each object alone.

use std::collections::{HashMap, HashSet};

use crate::cluster::arrivals::Arrivals;
use crate::cluster::object::{AgentPod, Migration, Object, ObjectKind, Place, TargetPod};
use crate::cluster::view::{NodeEntry, View};
use crate::domain::{AgentState, DefaultBinding, MachineTypes, NodeFacts, Vmi};

/// Every method says whether the view changed: most events of a watch change nothing that berth
/// looks at.
#[derive(Debug, Default)]
pub struct Index {
    view: View,
    agent_pods: HashMap<Place, AgentPod>,
    arrivals: Arrivals,
    /// The different sets of machine types, and how many nodes share each.
    machine_types: HashMap<MachineTypes, usize>,
}

impl Index {
    /// The view as it is now, for one atomic step of every reader.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// An object is there, new or changed.
    pub fn apply(&mut self, object: Object) -> bool {
        match object {
            Object::Node { name, facts } => self.apply_node(&name, facts),
            Object::AgentPod { place, pod } => self.apply_agent_pod(place, pod),
            Object::Vmi(vmi) => self.apply_vmi(vmi),
            Object::Migration { place, migration } => self.apply_migration(place, migration),
            Object::TargetPod { place, pod } => self.apply_target(place, pod),
            Object::Namespace { name, opts_out } => self.apply_namespace(name, opts_out),
            Object::KubeVirt {
                place,
                default_binding,
            } => self.apply_kubevirt(place, default_binding),
        }
    }

    /// An object is gone, or was never known.
    pub fn delete(&mut self, kind: ObjectKind, place: &Place) -> bool {
        let known = match kind {
            ObjectKind::Node => self.delete_node(place),
            ObjectKind::AgentPod => self.delete_agent_pod(place),
            ObjectKind::Vmi => self.delete_vmi(place),
            ObjectKind::Migration => self.delete_migration(place),
            ObjectKind::TargetPod => self.delete_target(place),
            ObjectKind::Namespace => self.view.namespaces.remove_mut(text(place)),
            ObjectKind::KubeVirt => self.view.kubevirts.remove_mut(place),
        };
        if known {
            self.view.counts[kind as usize] -= 1;
        }
        known
    }

    /// These are all objects of a kind.
    pub fn reset(&mut self, kind: ObjectKind, objects: Vec<Object>) -> bool {
        let listed: HashSet<Place> = objects.iter().map(Object::place).collect();
        let mut changed = !std::mem::replace(&mut self.view.listed[kind as usize], true);
        for place in self.places(kind) {
            if !listed.contains(&place) {
                changed |= self.delete(kind, &place);
            }
        }
        for object in objects {
            changed |= self.apply(object);
        }
        changed
    }

    fn places(&self, kind: ObjectKind) -> Vec<Place> {
        let named = |name: &str| Place::new("", name);
        match kind {
            ObjectKind::Node => self.view.nodes().map(|(name, ..)| named(name)).collect(),
            ObjectKind::AgentPod => self.agent_pods.keys().cloned().collect(),
            ObjectKind::Vmi => self.view.vmis.keys().cloned().collect(),
            ObjectKind::Migration => self.arrivals.migrations().cloned().collect(),
            ObjectKind::TargetPod => self.arrivals.targets().cloned().collect(),
            ObjectKind::Namespace => self
                .view
                .namespaces
                .keys()
                .map(|name| named(name))
                .collect(),
            ObjectKind::KubeVirt => self.view.kubevirts.keys().cloned().collect(),
        }
    }

    fn count(&mut self, kind: ObjectKind, is_new: bool) {
        if is_new {
            self.view.counts[kind as usize] += 1;
        }
    }

    // ---- nodes, and what runs on them ----

    fn apply_node(&mut self, name: &str, mut facts: NodeFacts) -> bool {
        let known = self.view.node(name).and_then(NodeEntry::facts);
        if known == Some(&facts) {
            return false;
        }
        let before = known.map(|known| known.machine_types.clone());
        let (is_new, was_labelled) = (known.is_none(), is_labelled(known));
        self.count(ObjectKind::Node, is_new);
        self.view.labelled_nodes -= usize::from(was_labelled);
        self.view.labelled_nodes += usize::from(is_labelled(Some(&facts)));
        self.share(&mut facts.machine_types);
        if let Some(before) = before {
            self.unshare(&before);
        }
        self.edit_node(name, |entry| entry.facts = Some(facts));
        true
    }

    fn delete_node(&mut self, place: &Place) -> bool {
        let name = text(place);
        let Some(known) = self.view.node(name).and_then(NodeEntry::facts) else {
            return false;
        };
        let before = known.machine_types.clone();
        self.view.labelled_nodes -= usize::from(is_labelled(Some(known)));
        self.unshare(&before);
        self.edit_node(name, |entry| entry.facts = None);
        true
    }

    /// Puts those that are here already in the place of equal ones.
    fn share(&mut self, machine_types: &mut MachineTypes) {
        if let Some((shared, _)) = self.machine_types.get_key_value(machine_types) {
            *machine_types = shared.clone();
        }
        *self.machine_types.entry(machine_types.clone()).or_default() += 1;
    }

    fn unshare(&mut self, machine_types: &MachineTypes) {
        if let Some(nodes) = self.machine_types.get_mut(machine_types) {
            *nodes -= 1;
            if *nodes == 0 {
                self.machine_types.remove(machine_types);
            }
        }
    }

    fn apply_agent_pod(&mut self, place: Place, pod: AgentPod) -> bool {
        let known = self.agent_pods.get(&place);
        if known == Some(&pod) {
            return false;
        }
        self.count(ObjectKind::AgentPod, known.is_none());
        self.count_agent_pod(&pod, 1);
        if let Some(old) = self.agent_pods.insert(place, pod) {
            self.count_agent_pod(&old, -1);
        }
        true
    }

    fn delete_agent_pod(&mut self, place: &Place) -> bool {
        let Some(old) = self.agent_pods.remove(place) else {
            return false;
        };
        self.count_agent_pod(&old, -1);
        true
    }

    fn count_agent_pod(&mut self, pod: &AgentPod, change: i16) {
        let AgentPod { agent, node, state } = pod;
        let pods = &mut self.view.agent_pods[*agent as usize];
        *pods = pods.saturating_add_signed(change.into());
        let Some(node) = node else {
            return;
        };
        self.edit_node(node, |entry| {
            let pods = entry.agent_pods(*agent);
            let count = match state {
                AgentState::Ready => &mut pods.ready,
                AgentState::NotReady => &mut pods.not_ready,
                // A pod that is there is not missing; nothing reads one as such.
                AgentState::Missing => return,
            };
            *count = count.saturating_add_signed(change);
        });
    }

    /// An entry that says nothing is none, so that a view does not remember what is gone.
    fn edit_node(&mut self, name: &str, edit: impl FnOnce(&mut NodeEntry)) {
        self.view.nodes.edit(name, |slot| slot.edit(edit));
    }

    // ---- VMIs, their migrations and the target pods of these, in any order ----

    fn apply_migration(&mut self, place: Place, migration: Migration) -> bool {
        let known = self.arrivals.migration(&place);
        if known == Some(&migration) {
            return false;
        }
        let is_new = known.is_none();
        self.count(ObjectKind::Migration, is_new);
        self.delete_migration(&place);
        let (uid, vmi) = (migration.uid.clone(), migration.vmi.clone());
        self.edit_arrivals(&uid, &vmi, |arrivals| {
            arrivals.insert_migration(place, migration);
        });
        true
    }

    fn delete_migration(&mut self, place: &Place) -> bool {
        let Some(Migration { uid, vmi, .. }) = self.arrivals.migration(place).cloned() else {
            return false;
        };
        self.edit_arrivals(&uid, &vmi, |arrivals| arrivals.remove_migration(place));
        true
    }

    fn apply_target(&mut self, place: Place, pod: TargetPod) -> bool {
        let known = self.arrivals.target(&place);
        if known == Some(&pod) {
            return false;
        }
        let is_new = known.is_none();
        self.count(ObjectKind::TargetPod, is_new);
        self.delete_target(&place);
        let (migration, vmi) = (pod.migration.clone(), pod.vmi.clone());
        self.edit_arrivals(&migration, &vmi, |arrivals| {
            arrivals.insert_target(place, pod);
        });
        true
    }

    fn delete_target(&mut self, place: &Place) -> bool {
        let Some(TargetPod { migration, vmi, .. }) = self.arrivals.target(place).cloned() else {
            return false;
        };
        self.edit_arrivals(&migration, &vmi, |arrivals| arrivals.remove_target(place));
        true
    }

    /// An edit that concerns one migration of one VMI.
    fn edit_arrivals(&mut self, migration: &str, vmi: &Place, edit: impl FnOnce(&mut Arrivals)) {
        let uid = self.view.vmis.get(vmi).map(|vmi| vmi.uid.clone());
        let node = |arrivals: &Arrivals| -> Option<Box<str>> {
            let node = arrivals.node(migration, vmi, uid.as_deref()?)?;
            Some(node.into())
        };
        let before = node(&self.arrivals);
        edit(&mut self.arrivals);
        let after = node(&self.arrivals);
        if before != after {
            self.count_arriving(before.as_slice(), -1);
            self.count_arriving(after.as_slice(), 1);
        }
    }

    fn count_arriving(&mut self, nodes: &[Box<str>], change: i32) {
        for node in nodes {
            self.edit_node(node, |entry| {
                entry.arriving = entry.arriving.saturating_add_signed(change);
            });
        }
    }

    fn apply_vmi(&mut self, vmi: Vmi) -> bool {
        let place = Place::new(&vmi.namespace, &vmi.name);
        let known = self.view.vmis.get(&place);
        if known == Some(&vmi) {
            return false;
        }
        let is_new = known.is_none();
        let is_another = known.is_none_or(|known| known.uid != vmi.uid);
        self.count(ObjectKind::Vmi, is_new);
        if is_another {
            self.delete_vmi(&place);
            let uid = vmi.uid.clone();
            self.view.vmis_by_uid.insert_mut(uid, place.clone());
            let arriving = self.arrivals.nodes(&place, &vmi.uid);
            self.count_arriving(&arriving, 1);
        }
        self.view.vmis.insert_mut(place, vmi);
        true
    }

    fn delete_vmi(&mut self, place: &Place) -> bool {
        let Some(Vmi { uid, .. }) = self.view.vmis.get(place) else {
            return false;
        };
        let uid = uid.clone();
        let arriving = self.arrivals.nodes(place, &uid);
        self.count_arriving(&arriving, -1);
        self.view.vmis_by_uid.remove_mut(&uid);
        self.view.vmis.remove_mut(place)
    }

    // ---- what stands for itself ----

    fn apply_namespace(&mut self, name: Box<str>, opts_out: bool) -> bool {
        let known = self.view.namespaces.get(&name);
        if known == Some(&opts_out) {
            return false;
        }
        let is_new = known.is_none();
        self.count(ObjectKind::Namespace, is_new);
        self.view.namespaces.insert_mut(name, opts_out);
        true
    }

    fn apply_kubevirt(&mut self, place: Place, default_binding: DefaultBinding) -> bool {
        let known = self.view.kubevirts.get(&place);
        if known == Some(&default_binding) {
            return false;
        }
        let is_new = known.is_none();
        self.count(ObjectKind::KubeVirt, is_new);
        self.view.kubevirts.insert_mut(place, default_binding);
        true
    }
}

fn is_labelled(facts: Option<&NodeFacts>) -> bool {
    facts.is_some_and(|facts| facts.machine_types.is_labelled())
}

/// The name of an object whose kind has no namespaces.
fn text(place: &Place) -> &str {
    std::borrow::Borrow::borrow(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::guard::Fleet;
    use crate::domain::AgentState::{Missing, NotReady, Ready};
    use crate::domain::{Agent, Sender};

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
            place: Place::new("kube-system", name),
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
            place: Place::new(namespace, name),
            pod: TargetPod {
                migration: migration.into(),
                vmi: Place::new(namespace, vmi),
                vmi_uid: vmi_uid.into(),
                node: node.map(Into::into),
            },
        }
    }

    /// A migration of the VMI `web`.
    fn mk_migration(name: &str, uid: &str, active: bool) -> Object {
        Object::Migration {
            place: Place::new("default", name),
            migration: Migration {
                uid: uid.into(),
                vmi: Place::new("default", "web"),
                active,
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

    fn agent_pod(name: &str) -> Place {
        Place::new("kube-system", name)
    }

    #[test]
    fn an_agent_may_be_seen_before_its_node_and_alone_makes_none() {
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
    fn the_best_pod_of_an_agent_counts_until_it_goes() {
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
    fn a_pod_that_is_bound_or_that_changes_its_node_counts_where_it_is() {
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
    fn the_fleet_is_labelled_while_one_node_is_and_has_an_agent_while_one_of_its_pods_is_there() {
        let seen = |index: &Index| index.view().fleet().agents_seen.iter().collect::<Vec<_>>();
        let mut index = mk_index([mk_node("a", &[]), mk_node("b", &[])]);
        assert_eq!(index.view().fleet(), Fleet::default());
        index.apply(mk_node("a", &["q35"]));
        index.apply(mk_agent("c", Agent::Cni, None, NotReady));
        assert!(index.view().fleet().machine_types_seen);
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
        index.delete(ObjectKind::Node, &Place::new("", "a"));
        let fleet = index.view().fleet();
        assert_eq!(fleet, Fleet::default());
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
            assert_eq!(index.view().fleet().machine_types_seen, labelled);
            assert_eq!(index.view().labelled_nodes(), usize::from(labelled));
        }
        index.reset(ObjectKind::Node, vec![node(false)]);
        assert!(!index.view().fleet().machine_types_seen);
    }

    #[test]
    fn a_migration_arrives_where_its_target_is_until_one_of_them_is_over() {
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
            assert_eq!(arriving(&index), [0, 1], "nobody knows a migration m2");
            index.apply(mk_migration("m", "m1", false));
            assert_eq!(arriving(&index), [0, 0]);
            index.apply(mk_migration("m", "m2", true));
            assert_eq!(arriving(&index), [0, 1], "another of the same name");
            index.delete(ObjectKind::TargetPod, &Place::new("default", "u"));
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
            let [vmi, migration, target] = good().map(|object| object.place());
            for (kind, place) in [
                (ObjectKind::Vmi, vmi),
                (ObjectKind::Migration, migration),
                (ObjectKind::TargetPod, target),
            ] {
                let [vmi, migration, target] = good();
                assert!(index.delete(kind, &place));
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
            place: Place::new("other", "m"),
            migration: Migration {
                uid: "m3".into(),
                vmi: Place::new("other", "web"),
                active: true,
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
            index.delete(ObjectKind::TargetPod, &Place::new("default", "s"));
            assert_eq!(arriving(&index), [0, 1]);
        }
    }

    #[test]
    fn the_sender_of_a_migration_is_found_by_its_uid_and_nothing_may_contradict() {
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
        index.delete(ObjectKind::Vmi, &Place::new("default", "web"));
        assert_eq!(index.view().origin(&receiver).node, None);
    }

    #[test]
    fn a_vmi_of_the_same_name_and_another_uid_takes_the_place_of_the_first() {
        let vmi = |uid| mk_vmi("web", uid);
        let mut index = mk_index([Object::Vmi(vmi("1")), Object::Vmi(vmi("2"))]);
        let view = index.view();
        assert_eq!(view.vmi("default", "web", "1"), None);
        assert_eq!(view.vmi("default", "web", "2"), Some(&vmi("2")));
        assert_eq!(view.count(ObjectKind::Vmi), 1);
        assert!(!index.apply(Object::Vmi(vmi("2"))), "nothing changed");
        assert!(index.delete(ObjectKind::Vmi, &Place::new("default", "web")));
        assert_eq!(index.view(), View::default());
    }

    #[test]
    fn of_two_kubevirts_the_first_by_name_holds_in_any_order() {
        let cr = |name: &str, default_binding| Object::KubeVirt {
            place: Place::new("kubevirt", name),
            default_binding,
        };
        let a = || cr("a", DefaultBinding::Other);
        let b = || cr("b", DefaultBinding::Bridge);
        for objects in [[a(), b()], [b(), a()]] {
            let mut index = mk_index(objects);
            assert_eq!(index.view().default_binding(), DefaultBinding::Other);
            index.delete(ObjectKind::KubeVirt, &Place::new("kubevirt", "a"));
            assert_eq!(index.view().default_binding(), DefaultBinding::Bridge);
        }
    }

    #[test]
    fn a_list_is_all_there_is_of_its_kind_and_of_no_other() {
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
        for kind in ObjectKind::ALL {
            assert!(!index.view().is_complete());
            assert!(index.reset(kind, vec![]), "that a kind is known is news");
            assert!(index.view().is_listed(kind));
        }
        assert!(index.view().is_complete());
        assert_eq!(index.view(), View::from_iter([]));
    }

    #[test]
    fn a_view_stays_as_it_was() {
        let mut index = mk_index([mk_node("a", &[])]);
        let before = index.view();
        index.apply(mk_node("b", &[]));
        index.delete(ObjectKind::Node, &Place::new("", "a"));
        let nodes: Vec<_> = before.nodes().map(|(name, ..)| name).collect();
        assert_eq!(nodes, ["a"]);
    }
}

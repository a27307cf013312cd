//! The index: a state machine that makes views. It is told what was applied, what was deleted and
//! what a fresh list holds, in whatever order a watch brings that, and what it knows in the end
//! depends on the last word about each object alone.

use std::collections::{HashMap, HashSet};

use crate::cluster::object::{AgentPod, Migration, Object, ObjectKind, Place, TargetPod};
use crate::cluster::view::{NodeEntry, View};
use crate::domain::{AgentState, DefaultBinding, MachineTypes, NodeFacts, Vmi};

/// Every method says whether the view changed: most events of a watch change nothing that berth
/// looks at.
#[derive(Debug, Default)]
pub struct Index {
    view: View,
    agent_pods: HashMap<Place, AgentPod>,
    migrations: HashMap<Place, Migration>,
    targets: HashMap<Place, TargetPod>,
    /// The target pods of a migration, by its UID: one, but for the moment in which another is made.
    targets_of: HashMap<Box<str>, Vec<Place>>,
    /// The UIDs of migrations that are not over.
    active: HashSet<Box<str>>,
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
            ObjectKind::Vmi => self.view.vmis.remove_mut(place),
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
            ObjectKind::Migration => self.migrations.keys().cloned().collect(),
            ObjectKind::TargetPod => self.targets.keys().cloned().collect(),
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

    // ---- migrations and their target pods, in either order ----

    fn apply_migration(&mut self, place: Place, migration: Migration) -> bool {
        let known = self.migrations.get(&place);
        if known == Some(&migration) {
            return false;
        }
        self.count(ObjectKind::Migration, known.is_none());
        if let Some(old) = self.migrations.remove(&place) {
            self.set_active(&old.uid, false);
        }
        self.set_active(&migration.uid, migration.active);
        self.migrations.insert(place, migration);
        true
    }

    fn delete_migration(&mut self, place: &Place) -> bool {
        let Some(old) = self.migrations.remove(place) else {
            return false;
        };
        self.set_active(&old.uid, false);
        true
    }

    fn set_active(&mut self, uid: &str, active: bool) {
        let changed = if active {
            self.active.insert(uid.into())
        } else {
            self.active.remove(uid)
        };
        if !changed {
            return;
        }
        let pods = self.targets_of.get(uid).into_iter().flatten();
        let nodes: Vec<Box<str>> = pods
            .filter_map(|place| self.targets.get(place)?.node.clone())
            .collect();
        for node in nodes {
            self.count_arriving(&node, if active { 1 } else { -1 });
        }
    }

    fn apply_target(&mut self, place: Place, pod: TargetPod) -> bool {
        let known = self.targets.get(&place);
        if known == Some(&pod) {
            return false;
        }
        self.count(ObjectKind::TargetPod, known.is_none());
        self.remove_target(&place);
        if let Some(node) = &pod.node
            && self.active.contains(&pod.migration)
        {
            self.count_arriving(node, 1);
        }
        let pods = self.targets_of.entry(pod.migration.clone()).or_default();
        pods.push(place.clone());
        self.targets.insert(place, pod);
        true
    }

    fn delete_target(&mut self, place: &Place) -> bool {
        self.remove_target(place)
    }

    fn remove_target(&mut self, place: &Place) -> bool {
        let Some(TargetPod { migration, node }) = self.targets.remove(place) else {
            return false;
        };
        if let Some(node) = node
            && self.active.contains(&migration)
        {
            self.count_arriving(&node, -1);
        }
        if let Some(pods) = self.targets_of.get_mut(&migration) {
            pods.retain(|pod| pod != place);
            if pods.is_empty() {
                self.targets_of.remove(&migration);
            }
        }
        true
    }

    fn count_arriving(&mut self, node: &str, change: i32) {
        self.edit_node(node, |entry| {
            entry.arriving = entry.arriving.saturating_add_signed(change);
        });
    }

    // ---- what stands for itself ----

    fn apply_vmi(&mut self, vmi: Vmi) -> bool {
        let place = Place::new(&vmi.namespace, &vmi.name);
        let known = self.view.vmis.get(&place);
        if known == Some(&vmi) {
            return false;
        }
        let is_new = known.is_none();
        self.count(ObjectKind::Vmi, is_new);
        self.view.vmis.insert_mut(place, vmi);
        true
    }

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
    facts.is_some_and(|facts| !facts.machine_types.is_empty())
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
    use crate::domain::{Agent, Provider};

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

    fn mk_target(name: &str, migration: &str, node: Option<&str>) -> Object {
        Object::TargetPod {
            place: Place::new("default", name),
            pod: TargetPod {
                migration: migration.into(),
                node: node.map(Into::into),
            },
        }
    }

    fn mk_migration(name: &str, uid: &str, active: bool) -> Object {
        Object::Migration {
            place: Place::new("default", name),
            migration: Migration {
                uid: uid.into(),
                active,
            },
        }
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
        assert!(entry.facts().is_some() && entry.agents().ready(Provider::KubeOvn));
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
    fn the_fleet_is_labelled_while_one_node_is_and_has_agents_while_one_pod_is_there() {
        let mut index = mk_index([mk_node("a", &[]), mk_node("b", &[])]);
        assert_eq!(index.view().fleet(), Fleet::default());
        index.apply(mk_node("a", &["q35"]));
        index.apply(mk_agent("c", Agent::Cni, None, NotReady));
        assert_eq!(
            index.view().fleet(),
            Fleet {
                machine_types_seen: true,
                agents_seen: true,
                southbound_counts: false,
                lag_reported: false,
            }
        );
        index.delete(ObjectKind::Node, &Place::new("", "a"));
        index.delete(ObjectKind::AgentPod, &agent_pod("c"));
        assert_eq!(index.view().fleet(), Fleet::default());
    }

    #[test]
    fn a_migration_arrives_where_its_target_is_until_one_of_them_is_over() {
        let arriving = |index: &Index| {
            let view = index.view();
            ["a", "b"].map(|node| view.node(node).map_or(0, NodeEntry::arriving))
        };
        for pod_first in [true, false] {
            let mut index = Index::default();
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
    fn a_vmi_of_the_same_name_and_another_uid_takes_the_place_of_the_first() {
        let vmi = |uid: &str| Vmi {
            namespace: "default".into(),
            name: "web".into(),
            uid: uid.into(),
            machine_type: None,
            node: None,
        };
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

//! The index: a state machine that builds views. Its input is applied objects, deleted objects and
//! full lists, in any order. Its state depends only on the last event of each object.

use std::collections::{HashMap, HashSet};

use crate::cluster::arrivals::Arrivals;
use crate::cluster::object::{AgentPod, Migration, Object, ObjectKey, ObjectKind, TargetPod};
use crate::cluster::view::{ActiveMigration, ClusterView, NodeEntry, Target};
use crate::domain::{AgentState, DefaultBinding, MachineTypes, NodeFacts, Vmi};

/// Builds views. Every method that takes events returns whether the view changed: most events of a
/// watch change no field that berth reads.
#[derive(Debug, Default)]
pub struct Index {
    view: ClusterView,
    agent_pods: HashMap<ObjectKey, AgentPod>,
    arrivals: Arrivals,
    /// The distinct sets of machine types, and the number of nodes that share each.
    machine_types: HashMap<MachineTypes, usize>,
}

impl Index {
    /// The current view, to be swapped in atomically for every reader.
    #[must_use]
    pub fn view(&self) -> ClusterView {
        self.view.clone()
    }

    /// Adds or replaces an object.
    pub fn apply(&mut self, object: Object) -> bool {
        match object {
            Object::Node { name, facts } => self.apply_node(&name, facts),
            Object::AgentPod { key, pod } => self.apply_agent_pod(key, pod),
            Object::Vmi(vmi) => self.apply_vmi(vmi),
            Object::Migration { key, migration } => self.apply_migration(key, migration),
            Object::TargetPod { key, pod } => self.apply_target(key, pod),
            Object::Namespace { name, opts_out } => self.apply_namespace(name, opts_out),
            Object::KubeVirt {
                key,
                default_binding,
            } => self.apply_kubevirt(key, default_binding),
        }
    }

    /// Removes an object, if it is known.
    pub fn delete(&mut self, kind: ObjectKind, key: &ObjectKey) -> bool {
        let known = match kind {
            ObjectKind::Node => self.delete_node(key),
            ObjectKind::AgentPod => self.delete_agent_pod(key),
            ObjectKind::Vmi => self.delete_vmi(key),
            ObjectKind::Migration => self.delete_migration(key),
            ObjectKind::TargetPod => self.delete_target(key),
            ObjectKind::Namespace => self.view.namespaces.remove_mut(text(key)),
            ObjectKind::KubeVirt => self.view.kubevirts.remove_mut(key),
        };
        if known {
            self.view.counts[kind as usize] -= 1;
        }
        known
    }

    /// Replaces all objects of a kind.
    pub fn reset(&mut self, kind: ObjectKind, objects: Vec<Object>) -> bool {
        let listed: HashSet<ObjectKey> = objects.iter().map(Object::key).collect();
        let mut changed = !std::mem::replace(&mut self.view.listed[kind as usize], true);
        for key in self.keys(kind) {
            if !listed.contains(&key) {
                changed |= self.delete(kind, &key);
            }
        }
        for object in objects {
            changed |= self.apply(object);
        }
        changed
    }

    fn keys(&self, kind: ObjectKind) -> Vec<ObjectKey> {
        let named = |name: &str| ObjectKey::new("", name);
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

    // ---- nodes and agent pods ----

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

    fn delete_node(&mut self, key: &ObjectKey) -> bool {
        let name = text(key);
        let Some(known) = self.view.node(name).and_then(NodeEntry::facts) else {
            return false;
        };
        let before = known.machine_types.clone();
        self.view.labelled_nodes -= usize::from(is_labelled(Some(known)));
        self.unshare(&before);
        self.edit_node(name, |entry| entry.facts = None);
        true
    }

    /// Replaces a set of machine types by an equal one that is already stored, to save memory.
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

    fn apply_agent_pod(&mut self, key: ObjectKey, pod: AgentPod) -> bool {
        let known = self.agent_pods.get(&key);
        if known == Some(&pod) {
            return false;
        }
        self.count(ObjectKind::AgentPod, known.is_none());
        self.count_agent_pod(&pod, 1);
        if let Some(old) = self.agent_pods.insert(key, pod) {
            self.count_agent_pod(&old, -1);
        }
        true
    }

    fn delete_agent_pod(&mut self, key: &ObjectKey) -> bool {
        let Some(old) = self.agent_pods.remove(key) else {
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
                // Unreachable: an existing pod is never read as missing.
                AgentState::Missing => return,
            };
            *count = count.saturating_add_signed(change);
        });
    }

    /// Edits the entry of a node, and removes an empty one: a view holds no deleted nodes.
    fn edit_node(&mut self, name: &str, edit: impl FnOnce(&mut NodeEntry)) {
        let nodes = &mut self.view.nodes;
        let mut entry = nodes.get(name).cloned().unwrap_or_default();
        edit(&mut entry);
        if entry == NodeEntry::default() {
            nodes.remove(name);
        } else {
            nodes.insert(name, entry);
        }
    }

    // ---- VMIs, migrations and target pods, in any order ----

    fn apply_migration(&mut self, key: ObjectKey, migration: Migration) -> bool {
        let known = self.arrivals.migration(&key);
        if known == Some(&migration) {
            return false;
        }
        let is_new = known.is_none();
        self.count(ObjectKind::Migration, is_new);
        self.delete_migration(&key);
        let (uid, vmi) = (migration.uid.clone(), migration.vmi.clone());
        if migration.phase.is_active() {
            let active = ActiveMigration {
                key: key.clone(),
                vmi: vmi.clone(),
                phase: migration.phase,
                created: migration.created,
                target: None,
            };
            self.view.migrations.insert_mut(uid.clone(), active);
        } else if let Some(end) = migration.phase.end() {
            self.view.ended.insert_mut(uid.clone(), end);
        }
        self.edit_arrivals(&uid, &vmi, |arrivals| {
            arrivals.insert_migration(key, migration);
        });
        true
    }

    fn delete_migration(&mut self, key: &ObjectKey) -> bool {
        let Some(Migration { uid, vmi, .. }) = self.arrivals.migration(key).cloned() else {
            return false;
        };
        self.view.migrations.remove_mut(&uid);
        self.view.ended.remove_mut(&uid);
        self.edit_arrivals(&uid, &vmi, |arrivals| arrivals.remove_migration(key));
        true
    }

    fn apply_target(&mut self, key: ObjectKey, pod: TargetPod) -> bool {
        let known = self.arrivals.target(&key);
        if known == Some(&pod) {
            return false;
        }
        let is_new = known.is_none();
        self.count(ObjectKind::TargetPod, is_new);
        self.delete_target(&key);
        let (migration, vmi) = (pod.migration.clone(), pod.vmi.clone());
        self.edit_arrivals(&migration, &vmi, |arrivals| {
            arrivals.insert_target(key, pod);
        });
        true
    }

    fn delete_target(&mut self, key: &ObjectKey) -> bool {
        let Some(TargetPod { migration, vmi, .. }) = self.arrivals.target(key).cloned() else {
            return false;
        };
        self.edit_arrivals(&migration, &vmi, |arrivals| arrivals.remove_target(key));
        true
    }

    /// Applies an edit of one migration of one VMI, and updates the node that it arrives on.
    fn edit_arrivals(
        &mut self,
        migration: &str,
        vmi: &ObjectKey,
        edit: impl FnOnce(&mut Arrivals),
    ) {
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
        self.find_target(migration);
    }

    /// Gives an active migration its target pod.
    fn find_target(&mut self, migration: &str) {
        let Some(active) = self.view.migrations.get_mut(migration) else {
            return;
        };
        let uid = self.view.vmis.get(&active.vmi).map(|vmi| &vmi.uid);
        let target = uid.and_then(|uid| self.arrivals.target_of(migration, &active.vmi, uid));
        active.target = target.map(|pod| Target {
            node: pod.node.clone(),
            created: pod.created,
            bound: pod.bound,
        });
    }

    fn count_arriving(&mut self, nodes: &[Box<str>], change: i32) {
        for node in nodes {
            self.edit_node(node, |entry| {
                entry.arriving = entry.arriving.saturating_add_signed(change);
            });
        }
    }

    fn apply_vmi(&mut self, vmi: Vmi) -> bool {
        let key = ObjectKey::new(&vmi.namespace, &vmi.name);
        let known = self.view.vmis.get(&key);
        if known == Some(&vmi) {
            return false;
        }
        let is_new = known.is_none();
        let is_another = known.is_none_or(|known| known.uid != vmi.uid);
        self.count(ObjectKind::Vmi, is_new);
        if is_another {
            self.delete_vmi(&key);
            let uid = vmi.uid.clone();
            self.view.vmis_by_uid.insert_mut(uid, key.clone());
            let arriving = self.arrivals.nodes(&key, &vmi.uid);
            self.count_arriving(&arriving, 1);
        }
        self.view.vmis.insert_mut(key.clone(), vmi);
        if is_another {
            self.find_targets(&key);
        }
        true
    }

    fn delete_vmi(&mut self, key: &ObjectKey) -> bool {
        let Some(Vmi { uid, .. }) = self.view.vmis.get(key) else {
            return false;
        };
        let uid = uid.clone();
        let arriving = self.arrivals.nodes(key, &uid);
        self.count_arriving(&arriving, -1);
        self.view.vmis_by_uid.remove_mut(&uid);
        let is_known = self.view.vmis.remove_mut(key);
        self.find_targets(key);
        is_known
    }

    fn find_targets(&mut self, vmi: &ObjectKey) {
        for migration in self.arrivals.in_progress(vmi) {
            self.find_target(&migration);
        }
    }

    // ---- kinds that depend on no other ----

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

    fn apply_kubevirt(&mut self, key: ObjectKey, default_binding: DefaultBinding) -> bool {
        let known = self.view.kubevirts.get(&key);
        if known == Some(&default_binding) {
            return false;
        }
        let is_new = known.is_none();
        self.count(ObjectKind::KubeVirt, is_new);
        self.view.kubevirts.insert_mut(key, default_binding);
        true
    }
}

fn is_labelled(facts: Option<&NodeFacts>) -> bool {
    facts.is_some_and(|facts| facts.machine_types.is_labelled())
}

/// The name of an object whose kind has no namespaces.
fn text(key: &ObjectKey) -> &str {
    std::borrow::Borrow::borrow(key)
}

#[cfg(test)]
mod tests;

//! The state of a VM: whether it can be migrated in it, and what has to be known of it first.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::judge::{Body, Judge, has_ended};
use crate::fleet::kind::Kind;
use crate::fleet::model::{Migration, Vmi};

impl<'f> Judge<'f> {
    /// Whether the VM is in a state in which it can be migrated.
    pub(super) fn state(&self, body: &Body<'f>) -> Vec<Finding<'f>> {
        let Some(vmi) = body.vmi else {
            let ended = self.fleet.vmis.get(body.key);
            if ended.is_some_and(|vmi| vmi.status.phase.as_deref() == Some("Failed")) {
                return vec![Finding::of(Cause::Ending, "its VMI has failed")];
            }
            if ended.is_some_and(has_ended) {
                return vec![Finding::of(Cause::NotRunning, "its VMI has ended")];
            }
            let status = body.vm.and_then(|vm| vm.status.printable_status.as_deref());
            return vec![Finding::of(Cause::NotRunning, status.unwrap_or_default())];
        };
        let mut found = Vec::new();
        let phase = vmi.status.phase.as_deref().unwrap_or_default();
        if let Some(time) = &vmi.metadata.deletion_timestamp {
            let detail = format!("its VMI is being deleted since {time}");
            found.push(Finding::of(Cause::Ending, &detail));
        } else if body.node().is_none() {
            found.push(Finding::of(Cause::NotRunning, phase));
        }
        let is_unknown = phase == "Unknown";
        found.extend(
            body.node()
                .and_then(|node| self.source_not_ready(node, is_unknown)),
        );
        if let Some(migration) = self.migration(vmi) {
            found.push(Finding::of(Cause::MigrationInProgress, &migration));
        }
        found
    }

    /// What is wrong with the node on which a VM runs, whose phase may be unknown. Nothing is known of a node that
    /// was not read.
    fn source_not_ready(&self, name: &str, is_unknown: bool) -> Option<Finding<'f>> {
        let of_node = match self.fleet.nodes.get(name) {
            Some(node) => {
                let ready = node.not_ready.as_ref();
                ready.map(|ready| format!("{name}: its condition Ready is {ready}"))
            }
            None if self.fleet.may_have(Kind::Node, &ObjectKey::new("", name)) => None,
            None => Some(format!("{name} does not exist")),
        };
        let of_vmi = "the phase of the VMI is Unknown";
        let detail = match (of_node, is_unknown) {
            (of_node, false) => of_node?,
            (None, true) => format!("{name}: {of_vmi}"),
            (Some(of_node), true) => format!("{of_node}, and {of_vmi}"),
        };
        Some(Finding::of(Cause::SourceNotReady, &detail))
    }

    /// The migration of a VMI that is not over, in a few words.
    fn migration(&self, vmi: &Vmi) -> Option<String> {
        let state = vmi.status.migration_state.as_ref();
        let state = state.filter(|state| !state.completed && !state.failed);
        if let Some(state) = state
            && let Some(target) = &state.target_node
        {
            let source = state.source_node.as_deref().unwrap_or("?");
            return Some(format!("from {source} to {target}"));
        }
        let migration = self.migration_of(vmi)?;
        let phase = migration.status.phase.as_deref();
        let phase = phase.filter(|phase| !phase.is_empty());
        let name = &migration.metadata.name;
        let added: Vec<String> = migration
            .spec
            .added_node_selector
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let added = match added.as_slice() {
            [] => String::new(),
            labels => format!(", only to nodes with {}", labels.join(", ")),
        };
        Some(format!("{name}, {}{added}", phase.unwrap_or("not begun")))
    }

    /// The migration of a VMI that is not over.
    fn migration_of(&self, vmi: &Vmi) -> Option<&'f Migration> {
        let key = (vmi.metadata.namespace.as_str(), vmi.metadata.name.as_str());
        self.migrations.get(&key).copied()
    }

    /// The migration of a VMI whose target pod has no node yet: the nodes are judged for it.
    pub(super) fn pending(&self, vmi: &Vmi) -> Option<&'f Migration> {
        let migration = self.migration_of(vmi)?;
        let phase = migration.status.phase.as_deref();
        matches!(phase, None | Some("" | "Pending" | "Scheduling")).then_some(migration)
    }

    /// The node to which a migration that is not over takes a VM. Its target pod may be there before the VMI names
    /// it.
    pub(in crate::fleet) fn arrives_on(&self, body: &Body<'f>) -> Option<&'f str> {
        let uid = body.vmi?.metadata.uid.as_str();
        let node = self.arriving.get(uid).copied();
        let node = node.filter(|node| Some(*node) != body.node());
        node.or_else(|| body.migrates_to())
    }

    /// What is against the node to which a migration that is not over takes a VM.
    pub(super) fn target_does_not_fit(
        &self,
        body: &Body<'f>,
        of_nodes: &[Finding<'f>],
    ) -> Option<Finding<'f>> {
        let node = self.arrives_on(body)?;
        let against = of_nodes.iter();
        let against = against.filter(|found| found.is_against_arrival(node));
        let codes: BTreeSet<&str> = against.map(|found| found.code.id()).collect();
        let codes: Vec<&str> = codes.into_iter().collect();
        let detail = format!("{node} ({})", codes.join(", "));
        (!codes.is_empty()).then(|| Finding::of(Cause::TargetDoesNotFit, &detail))
    }

    /// What was not read and has to be known of a VM, beside `others`.
    pub(super) fn not_read(&self, body: &Body<'f>, others: Vec<String>) -> Option<Finding<'f>> {
        let kinds = self.fleet.unread.vital();
        let mut lacking: Vec<String> = kinds.map(|kind| kind.plural().to_owned()).collect();
        if self.fleet.unread.has_quota_in(body.namespace()) {
            lacking.push("the resource quotas of the namespace".to_owned());
        }
        lacking.extend(others);
        (!lacking.is_empty()).then(|| Finding::of(Cause::NotRead, &lacking.join(", ")))
    }
}

/// The nodes of the target pods of migrations that are not over, by the UIDs of their VMIs.
pub(super) fn arriving(fleet: &Fleet) -> HashMap<&str, &str> {
    let migrations = fleet.migrations.values();
    let migrations: HashSet<&str> = migrations
        .filter(|migration| !migration.is_over())
        .map(|migration| migration.metadata.uid.as_str())
        .collect();
    let pods = fleet.pods.values().filter_map(|pod| {
        let launcher = pod.launcher.as_deref()?;
        let migration = launcher.migration.as_deref()?;
        let node = pod.node.as_deref()?;
        migrations
            .contains(migration)
            .then_some((launcher.vmi_uid.as_str(), node))
    });
    pods.collect()
}

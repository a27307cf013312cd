//! Where migrations arrive: the node of the target pod of each migration in progress. Pods and
//! migrations come from separate watches, in any order.
//!
//! Any user can create a pod with KubeVirt's labels. A pod therefore counts only if three objects
//! of one namespace agree: the migration that its label names is in progress, the VMI that controls
//! the pod exists with the same UID, and the migration is of that VMI. A migration has one target:
//! if several pods claim to be it, the first by name counts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::cluster::object::{Migration, ObjectKey, TargetPod};

/// The target pods and migrations. The UID of a VMI is passed in where it is needed.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    migrations: HashMap<ObjectKey, Migration>,
    targets: HashMap<ObjectKey, TargetPod>,
    /// The UIDs of the migrations in progress, by their VMI.
    in_progress: HashMap<ObjectKey, BTreeSet<Box<str>>>,
    /// The claims of the pods. They share their strings with `targets`, because there can be many: a
    /// launcher pod that a migration created stays as long as its VM runs.
    claims: BTreeSet<Claim>,
}

/// The claim of a pod to be the target of a migration. The UID tells the VMI from earlier and later
/// VMIs of the same name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    migration: Arc<str>,
    vmi: ObjectKey,
    vmi_uid: Arc<str>,
    pod: ObjectKey,
}

impl Arrivals {
    pub(super) fn migration(&self, key: &ObjectKey) -> Option<&Migration> {
        self.migrations.get(key)
    }

    pub(super) fn target(&self, key: &ObjectKey) -> Option<&TargetPod> {
        self.targets.get(key)
    }

    pub(super) fn migrations(&self) -> impl Iterator<Item = &ObjectKey> {
        self.migrations.keys()
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &ObjectKey> {
        self.targets.keys()
    }

    /// The target pod of a migration of a VMI, if the VMI has this UID: a bound one before others.
    pub(super) fn target_of(
        &self,
        migration: &str,
        vmi: &ObjectKey,
        vmi_uid: &str,
    ) -> Option<&TargetPod> {
        if !self.in_progress.get(vmi)?.contains(migration) {
            return None;
        }
        let before_all = Claim {
            migration: migration.into(),
            vmi: vmi.clone(),
            vmi_uid: vmi_uid.into(),
            pod: ObjectKey::new("", ""),
        };
        let claims = self.claims.range(&before_all..);
        let claims = claims.take_while(|claim| claim.is_about(&before_all));
        let mut pods = claims.filter_map(|claim| self.targets.get(&claim.pod));
        let first = pods.next()?;
        if first.node.is_some() {
            return Some(first);
        }
        Some(pods.find(|pod| pod.node.is_some()).unwrap_or(first))
    }

    /// The node on which a migration of a VMI arrives, if the VMI has this UID.
    pub(super) fn node(&self, migration: &str, vmi: &ObjectKey, vmi_uid: &str) -> Option<&str> {
        self.target_of(migration, vmi, vmi_uid)?.node.as_deref()
    }

    /// The migrations of a VMI that are in progress.
    pub(super) fn in_progress(&self, vmi: &ObjectKey) -> Vec<Box<str>> {
        let of_vmi = self.in_progress.get(vmi).into_iter().flatten();
        of_vmi.cloned().collect()
    }

    /// The nodes on which migrations of a VMI arrive, one for each, if the VMI has this UID.
    pub(super) fn nodes(&self, vmi: &ObjectKey, vmi_uid: &str) -> Vec<Box<str>> {
        let migrations = self.in_progress.get(vmi).into_iter().flatten();
        let nodes = migrations.filter_map(|migration| self.node(migration, vmi, vmi_uid));
        nodes.map(Into::into).collect()
    }

    pub(super) fn insert_migration(&mut self, key: ObjectKey, migration: Migration) {
        if migration.phase.is_active() {
            let of_vmi = self.in_progress.entry(migration.vmi.clone()).or_default();
            of_vmi.insert(migration.uid.clone());
        }
        self.migrations.insert(key, migration);
    }

    pub(super) fn remove_migration(&mut self, key: &ObjectKey) {
        let Some(Migration { uid, vmi, .. }) = self.migrations.remove(key) else {
            return;
        };
        if let Some(of_vmi) = self.in_progress.get_mut(&vmi) {
            of_vmi.remove(&uid);
            if of_vmi.is_empty() {
                self.in_progress.remove(&vmi);
            }
        }
    }

    pub(super) fn insert_target(&mut self, key: ObjectKey, pod: TargetPod) {
        self.claims.insert(Claim::of(&key, &pod));
        self.targets.insert(key, pod);
    }

    pub(super) fn remove_target(&mut self, key: &ObjectKey) {
        if let Some(pod) = self.targets.remove(key) {
            self.claims.remove(&Claim::of(key, &pod));
        }
    }
}

impl Claim {
    fn of(key: &ObjectKey, pod: &TargetPod) -> Self {
        Self {
            migration: Arc::clone(&pod.migration),
            vmi: pod.vmi.clone(),
            vmi_uid: Arc::clone(&pod.vmi_uid),
            pod: key.clone(),
        }
    }

    fn is_about(&self, other: &Self) -> bool {
        self.migration == other.migration && self.vmi == other.vmi && self.vmi_uid == other.vmi_uid
    }
}

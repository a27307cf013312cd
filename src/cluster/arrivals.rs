//! Where migrations arrive: on which node the target pod of each migration in progress is. Pods and
//! migrations come from watches of their own, in any order.
//!
//! Anybody may make a pod with KubeVirt's labels. So a pod is only a claim, and counts where three
//! objects agree: the migration that its label names is in progress, the VMI that controls it is the
//! one of that name now, and it is the VMI that the migration is about, all in one namespace. A
//! migration has one target: of several pods that claim to be it, the first by name counts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::cluster::object::{Migration, ObjectKey, TargetPod};

/// What target pods and migrations say. Which VMIs there are is asked for when it matters.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    migrations: HashMap<ObjectKey, Migration>,
    targets: HashMap<ObjectKey, TargetPod>,
    /// The UIDs of the migrations that are not over, by their VMI.
    in_progress: HashMap<ObjectKey, BTreeSet<Box<str>>>,
    /// What the pods that are bound claim. Every launcher that a migration made is one as long as
    /// its VM runs, so that they share their texts with `targets`.
    bound: BTreeSet<Claim>,
}

/// The pod of a migration of a VMI: where that is, and which of those that have its name one after
/// another.
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

    /// The node on which a migration arrives, where the VMI of its name has this UID.
    pub(super) fn node(&self, migration: &str, vmi: &ObjectKey, vmi_uid: &str) -> Option<&str> {
        if !self.in_progress.get(vmi)?.contains(migration) {
            return None;
        }
        let before_all = Claim {
            migration: migration.into(),
            vmi: vmi.clone(),
            vmi_uid: vmi_uid.into(),
            pod: ObjectKey::new("", ""),
        };
        let first = self.bound.range(&before_all..).next()?;
        let is_meant = first.is_about(&before_all);
        self.targets
            .get(&first.pod)
            .filter(|_| is_meant)?
            .node
            .as_deref()
    }

    /// The nodes on which migrations of a VMI arrive, where it has this UID: a node for each.
    pub(super) fn nodes(&self, vmi: &ObjectKey, vmi_uid: &str) -> Vec<Box<str>> {
        let migrations = self.in_progress.get(vmi).into_iter().flatten();
        let nodes = migrations.filter_map(|migration| self.node(migration, vmi, vmi_uid));
        nodes.map(Into::into).collect()
    }

    pub(super) fn insert_migration(&mut self, key: ObjectKey, migration: Migration) {
        if migration.active {
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
        if pod.node.is_some() {
            self.bound.insert(Claim::of(&key, &pod));
        }
        self.targets.insert(key, pod);
    }

    pub(super) fn remove_target(&mut self, key: &ObjectKey) {
        if let Some(pod) = self.targets.remove(key) {
            self.bound.remove(&Claim::of(key, &pod));
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

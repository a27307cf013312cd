//! What is stored, by revision: the objects of each kind and the changes that led to them.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Value, json};

use super::kinds::{KINDS, Kind, Origin};
use super::object::Object;

/// How many changes a kind remembers, compacted or not.
const REMEMBERED: usize = 10_000;

#[derive(Clone, Debug)]
pub(crate) struct Store {
    revision: u64,
    tables: BTreeMap<String, Table>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) installed: bool,
    /// Counts how often the kind was removed, each at a revision.
    pub(crate) removals: Vec<u64>,
    objects: BTreeMap<String, Arc<Object>>,
    history: VecDeque<Arc<Change>>,
    /// States before this revision can't be asked for.
    oldest: u64,
}

/// One write.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) before: Option<Arc<Object>>,
    pub(crate) after: Option<Arc<Object>>,
}

/// A revision is older than what is remembered, which begins here.
#[derive(Debug)]
pub(crate) struct TooOld {
    pub(crate) oldest: u64,
}

impl Store {
    /// A cluster as it is before anybody uses it.
    pub(crate) fn new() -> Self {
        let tables = KINDS.iter().map(|kind| {
            let table = Table {
                installed: true,
                oldest: 1,
                ..Table::default()
            };
            (kind.resource(), table)
        });
        let mut store = Self {
            revision: 1,
            tables: tables.collect(),
        };
        for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            let namespace = json!({
                "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
                "spec": { "finalizers": ["kubernetes"] },
                "status": { "phase": "Active" },
            });
            store.put(Kind::named("namespaces"), namespace);
        }
        store
    }

    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    pub(crate) fn table(&self, kind: &Kind) -> &Table {
        &self.tables[&kind.resource()]
    }

    pub(crate) fn get(&self, kind: &Kind, key: &str) -> Option<Arc<Object>> {
        self.table(kind).objects.get(key).cloned()
    }

    /// Stores an object; one that is equal to what is there changes nothing.
    pub(crate) fn put(&mut self, kind: &Kind, value: Value) -> Arc<Object> {
        let object = Object::new(kind, value, self.revision + 1);
        if let Some(before) = self.get(kind, &object.key)
            && before.at(kind, 0).json() == object.at(kind, 0).json()
        {
            return before;
        }
        self.write(kind, object)
    }

    pub(crate) fn put_raw(&mut self, kind: &Kind, key: &str, value: &Value) {
        self.write(kind, Object::raw(key, value, self.revision + 1));
    }

    fn write(&mut self, kind: &Kind, object: Object) -> Arc<Object> {
        self.revision += 1;
        let object = Arc::new(object);
        let table = self.table_mut(kind);
        let before = table
            .objects
            .insert(object.key.clone(), Arc::clone(&object));
        table.remember(Change {
            revision: object.revision,
            before,
            after: Some(Arc::clone(&object)),
        });
        object
    }

    pub(crate) fn remove(&mut self, kind: &Kind, key: &str) -> Option<Arc<Object>> {
        let revision = self.revision + 1;
        let table = self.table_mut(kind);
        let before = table.objects.remove(key)?;
        table.remember(Change {
            revision,
            before: Some(Arc::clone(&before)),
            after: None,
        });
        self.revision = revision;
        Some(before)
    }

    /// Serves a custom resource that was removed.
    pub(crate) fn install(&mut self, kind: &Kind) {
        self.revision += 1;
        let oldest = self.revision;
        let table = self.table_mut(kind);
        table.installed = true;
        table.oldest = oldest;
    }

    /// Takes away a custom resource and all objects of it.
    pub(crate) fn uninstall(&mut self, kind: &Kind) {
        assert_eq!(kind.origin, Origin::CustomResource, "{}", kind.plural);
        let keys: Vec<_> = self.table(kind).objects.keys().cloned().collect();
        for key in keys {
            self.remove(kind, &key);
        }
        let revision = self.revision;
        let table = self.table_mut(kind);
        table.installed = false;
        table.removals.push(revision);
    }

    /// Forgets all states but the present.
    pub(crate) fn compact(&mut self) {
        let revision = self.revision;
        for table in self.tables.values_mut() {
            table.oldest = revision;
        }
    }

    fn table_mut(&mut self, kind: &Kind) -> &mut Table {
        self.tables.get_mut(&kind.resource()).unwrap()
    }
}

impl Table {
    fn remember(&mut self, change: Change) {
        self.history.push_back(Arc::new(change));
        if self.history.len() > REMEMBERED
            && let Some(forgotten) = self.history.pop_front()
        {
            self.oldest = self.oldest.max(forgotten.revision);
        }
    }

    /// Whether a watch may begin here.
    pub(crate) fn remembers(&self, revision: u64) -> Result<(), TooOld> {
        let oldest = self.oldest;
        if revision < oldest {
            Err(TooOld { oldest })
        } else {
            Ok(())
        }
    }

    /// The changes after a revision, for a watch that has begun: compaction takes none from it.
    pub(crate) fn changes_after(&self, revision: u64) -> Option<Vec<Arc<Change>>> {
        let begin = self
            .history
            .partition_point(|change| change.revision <= revision);
        let forgotten = begin == 0 && self.history.len() >= REMEMBERED;
        (!forgotten).then(|| self.history.range(begin..).cloned().collect())
    }

    /// All objects of now, in the order of lists.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// The objects of a revision from a key on, in the order of lists.
    pub(crate) fn objects_at(&self, revision: u64, from: &str) -> Result<Vec<Arc<Object>>, TooOld> {
        self.remembers(revision)?;
        let since = (Bound::Included(from), Bound::Unbounded);
        let later = self
            .history
            .partition_point(|change| change.revision <= revision);
        if later == self.history.len() {
            let now = self.objects.range::<str, _>(since);
            return Ok(now.map(|(_, object)| Arc::clone(object)).collect());
        }
        let mut objects = self.objects.clone();
        for change in self.history.range(later..).rev() {
            match (&change.before, &change.after) {
                (Some(before), _) => {
                    objects.insert(before.key.clone(), Arc::clone(before));
                }
                (None, Some(after)) => {
                    objects.remove(&after.key);
                }
                (None, None) => {}
            }
        }
        let then = objects.range::<str, _>(since);
        Ok(then.map(|(_, object)| Arc::clone(object)).collect())
    }
}

//! A map by name that is cheap to copy: hash tables in shards, which copies share until one of them
//! changes a shard. A filter call looks thousands of names up, and an event changes one: a
//! persistent tree map is twice as slow at the former, and one hash map would be copied at the latter.

use std::fmt;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// So that a shard of a cluster of 5,000 nodes has 20 of them.
const SHARDS: usize = 256;

/// A map from names to values.
#[derive(Clone)]
pub(crate) struct ShardedMap<V> {
    shards: Arc<[Arc<Shard<V>>; SHARDS]>,
    hasher: RandomState,
}

/// A part of the map. All its names are in one string: names with memory of their own would lie
/// anywhere in it, and each look-up would wait for one.
#[derive(Clone)]
struct Shard<V> {
    names: String,
    entries: HashTable<Entry<V>>,
}

// In this order, so that what a look-up compares lies beside the value.
#[derive(Clone)]
#[repr(C)]
struct Entry<V> {
    /// The hash of the name.
    hash: u64,
    /// Where the name is.
    name: Range<usize>,
    value: V,
}

impl<V> Default for ShardedMap<V> {
    fn default() -> Self {
        let empty = Arc::default();
        Self {
            shards: Arc::new(std::array::from_fn(|_| Arc::clone(&empty))),
            hasher: RandomState::default(),
        }
    }
}

impl<V> Default for Shard<V> {
    fn default() -> Self {
        Self {
            names: String::new(),
            entries: HashTable::new(),
        }
    }
}

impl<V> ShardedMap<V> {
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        let hash = self.hasher.hash_one(name);
        self.shards[shard_of(hash)].get(hash, name)
    }

    /// The values of many names, in their order. Each step is a short loop of its own, in which the
    /// processor waits for the memory of many names at a time: one after the other takes thrice as long.
    pub(crate) fn get_each<'n>(
        &self,
        names: impl Iterator<Item = &'n str> + Clone,
    ) -> Vec<Option<&V>> {
        let hash = |name| self.hasher.hash_one(name);
        let hashes: Vec<u64> = names.clone().map(hash).collect();
        let of_hash = |hash: &u64| {
            let shard = &self.shards[shard_of(*hash)];
            Some((
                shard,
                shard.entries.find(*hash, |entry| entry.hash == *hash)?,
            ))
        };
        let found: Vec<_> = hashes.iter().map(of_hash).collect();
        let values = found.into_iter().zip(names).map(|(found, name)| {
            let (shard, entry) = found?;
            if entry.name(&shard.names) == name {
                Some(&entry.value)
            } else {
                self.get(name)
            }
        });
        values.collect()
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.entries.len()).sum()
    }

    /// All names with their values, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        self.shards.iter().flat_map(|shard| {
            let entries = shard.entries.iter();
            entries.map(|entry| (entry.name(&shard.names), &entry.value))
        })
    }
}

impl<V: Clone> ShardedMap<V> {
    /// Puts a value in the place of the one that the name has, if it has one.
    pub(crate) fn insert(&mut self, name: &str, value: V) {
        let hash = self.hasher.hash_one(name);
        self.shard_mut(hash).insert(hash, name, value);
    }

    /// Removes a name, if it is there.
    pub(crate) fn remove(&mut self, name: &str) {
        let hash = self.hasher.hash_one(name);
        if self.shards[shard_of(hash)].get(hash, name).is_some() {
            self.shard_mut(hash).remove(name);
        }
    }

    fn shard_mut(&mut self, hash: u64) -> &mut Shard<V> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard_of(hash)])
    }
}

/// Chosen by bits of the hash that the table of a shard does not use: it takes the lowest and the
/// highest.
const fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

impl<V> Shard<V> {
    fn get(&self, hash: u64, name: &str) -> Option<&V> {
        let is_named = |entry: &Entry<V>| entry.is_named(hash, name, &self.names);
        Some(&self.entries.find(hash, is_named)?.value)
    }

    fn insert(&mut self, hash: u64, name: &str, value: V) {
        let is_named = |entry: &Entry<V>| entry.is_named(hash, name, &self.names);
        if let Some(known) = self.entries.find_mut(hash, is_named) {
            known.value = value;
            return;
        }
        let start = self.names.len();
        self.names.push_str(name);
        let name = start..self.names.len();
        let entry = Entry { hash, name, value };
        self.entries.insert_unique(hash, entry, |entry| entry.hash);
    }

    /// Builds the shard again without a name, so that the name leaves no gap in the string.
    fn remove(&mut self, name: &str) {
        let Self { names, entries } = std::mem::take(self);
        for entry in entries {
            let kept = entry.name(&names);
            if kept != name {
                self.insert(entry.hash, kept, entry.value);
            }
        }
    }
}

impl<V> Entry<V> {
    fn name<'n>(&self, names: &'n str) -> &'n str {
        names.get(self.name.clone()).unwrap_or_default()
    }

    fn is_named(&self, hash: u64, name: &str, names: &str) -> bool {
        self.hash == hash && self.name(names) == name
    }
}

impl<V: PartialEq> PartialEq for ShardedMap<V> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self
                .iter()
                .all(|(name, value)| other.get(name) == Some(value))
    }
}

impl<V: Eq> Eq for ShardedMap<V> {}

impl<V: fmt::Debug> fmt::Debug for ShardedMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_stays_as_it_was_and_equality_is_by_contents() {
        let names: Vec<String> = (0..2000).map(|number| format!("worker-{number}")).collect();
        let mut map = ShardedMap::default();
        for (number, name) in names.iter().enumerate() {
            map.insert(name, number);
        }
        let copy = map.clone();
        assert_eq!(
            (map.len(), map.get("worker-7"), map.get("x")),
            (2000, Some(&7), None)
        );
        map.insert("worker-7", 0);
        map.remove("worker-8");
        map.remove("x");
        assert_eq!(
            (map.len(), map.get("worker-7"), map.get("worker-8")),
            (1999, Some(&0), None)
        );
        assert_eq!(
            (copy.len(), copy.get("worker-7"), copy.get("worker-8")),
            (2000, Some(&7), Some(&8))
        );
        assert_ne!(map, copy);
        let mut other = ShardedMap::default();
        for (name, value) in copy.iter() {
            other.insert(name, *value);
        }
        assert_eq!(other, copy);
    }
}

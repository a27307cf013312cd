//! A map by name that is cheap to copy: hash tables in shards, which copies share until one of them
//! changes a shard. A filter call looks thousands of names up, and an event changes one: a
//! persistent tree map is twice as slow at the former, and one hash map would be copied at the latter.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// So that a shard of a cluster of 5,000 nodes has 20 of them.
const SHARDS: usize = 256;

/// A name, its value, and the hash of the name, so that it is hashed once.
#[derive(Clone)]
struct Named<V> {
    hash: u64,
    name: Arc<str>,
    value: V,
}

type Shard<V> = HashTable<Named<V>>;

/// A map from names to values.
#[derive(Clone)]
pub(crate) struct ShardedMap<V> {
    shards: Arc<[Arc<Shard<V>>; SHARDS]>,
    hasher: RandomState,
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

impl<V> ShardedMap<V> {
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        let hash = self.hasher.hash_one(name);
        let named = self.shards[shard_of(hash)].find(hash, |named| named.has(hash, name))?;
        Some(&named.value)
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// All names with their values, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        let entries = self.shards.iter().flat_map(|shard| shard.iter());
        entries.map(|named| (named.name.as_ref(), &named.value))
    }
}

impl<V> Named<V> {
    fn has(&self, hash: u64, name: &str) -> bool {
        self.hash == hash && *self.name == *name
    }
}

/// Chosen by bits of the hash that the table of a shard does not use: it takes the lowest and the
/// highest.
const fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

impl<V: Clone> ShardedMap<V> {
    /// Puts a value in the place of the one that the name has, if it has one.
    pub(crate) fn insert(&mut self, name: &str, value: V) {
        match self.entry(name) {
            (_, Entry::Occupied(mut known)) => known.get_mut().value = value,
            (hash, Entry::Vacant(place)) => {
                let name = name.into();
                place.insert(Named { hash, name, value });
            }
        }
    }

    /// Removes a name, if it is there.
    pub(crate) fn remove(&mut self, name: &str) {
        if self.get(name).is_some()
            && let (_, Entry::Occupied(known)) = self.entry(name)
        {
            known.remove();
        }
    }

    fn entry(&mut self, name: &str) -> (u64, Entry<'_, Named<V>>) {
        let hash = self.hasher.hash_one(name);
        let shard = Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[shard_of(hash)]);
        let entry = shard.entry(hash, |named| named.has(hash, name), |named| named.hash);
        (hash, entry)
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

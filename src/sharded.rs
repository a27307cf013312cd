//! A map by name that is cheap to copy: standard hash maps in shards, which copies share until one of
//! them changes a shard. A filter call looks thousands of names up, and an event changes one: a
//! persistent tree map is twice as slow at the former, and one hash map would be copied at the latter.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::quality::RandomState;

/// So that a shard of a cluster of 5,000 nodes has 20 of them.
const SHARDS: usize = 256;

type Shard<V> = HashMap<Arc<str>, V, RandomState>;

/// A map from names to values.
#[derive(Clone)]
pub(crate) struct ShardedMap<V> {
    shards: Arc<[Arc<Shard<V>>; SHARDS]>,
    hasher: RandomState,
}

impl<V> Default for ShardedMap<V> {
    fn default() -> Self {
        let hasher = RandomState::default();
        let empty = Arc::new(Shard::with_hasher(hasher.clone()));
        Self {
            shards: Arc::new(std::array::from_fn(|_| Arc::clone(&empty))),
            hasher,
        }
    }
}

impl<V> ShardedMap<V> {
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        self.shards[self.shard_of(name)].get(name)
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.len()).sum()
    }

    /// All names with their values, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        let entries = self.shards.iter().flat_map(|shard| shard.iter());
        entries.map(|(name, value)| (name.as_ref(), value))
    }

    fn shard_of(&self, name: &str) -> usize {
        // Only the lowest bits count.
        #[expect(clippy::cast_possible_truncation)]
        let hash = self.hasher.hash_one(name) as usize;
        hash % SHARDS
    }
}

impl<V: Clone> ShardedMap<V> {
    /// Puts a value in the place of the one that the name has, if it has one.
    pub(crate) fn insert(&mut self, name: &str, value: V) {
        let shard = self.shard_mut(name);
        match shard.get_mut(name) {
            Some(known) => *known = value,
            None => {
                shard.insert(name.into(), value);
            }
        }
    }

    /// Removes a name, if it is there.
    pub(crate) fn remove(&mut self, name: &str) {
        if self.get(name).is_some() {
            self.shard_mut(name).remove(name);
        }
    }

    fn shard_mut(&mut self, name: &str) -> &mut Shard<V> {
        let at = self.shard_of(name);
        Arc::make_mut(&mut Arc::make_mut(&mut self.shards)[at])
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

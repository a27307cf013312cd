//! A persistent table by name, for what a request asks of thousands of names at once: nodes, and their
//! chassis.
//!
//! A general persistent map is a chain of small allocations, and with thousands of names each of them
//! is a wait for memory that no cache holds. Here there are two levels of pointers, which stay in the
//! caches, and then the entries themselves, and the waits for these overlap. A change copies the way
//! to one bucket, whatever the size of the table: a bucket of a cluster of 15,000 nodes has four
//! entries.

use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::sync::Arc;

use foldhash::quality::RandomState;

/// Branches of each of the two levels.
const BRANCHES: usize = 64;

/// A map from names to values.
#[derive(Clone)]
pub(crate) struct Table<V> {
    shards: Arc<[Shard<V>; BRANCHES]>,
    hasher: RandomState,
}

type Shard<V> = Arc<[Bucket<V>; BRANCHES]>;
type Bucket<V> = Arc<[Entry<V>]>;

#[derive(Clone)]
struct Entry<V> {
    hash: u64,
    name: Name,
    value: V,
}

impl<V> Entry<V> {
    fn is_of(&self, hash: u64, name: &str) -> bool {
        self.hash == hash && self.name.as_bytes() == name.as_bytes()
    }
}

/// A name, beside its value where it is not very long.
#[derive(Clone)]
enum Name {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Arc<str>),
}

const SHORT: usize = 46;

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (u8::try_from(name.len()), bytes.get_mut(..name.len())) {
            (Ok(length), Some(place)) => {
                place.copy_from_slice(name.as_bytes());
                Self::Short { length, bytes }
            }
            _ => Self::Long(name.into()),
        }
    }
}

impl Name {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => &bytes[..usize::from(*length)],
            Self::Long(name) => name.as_bytes(),
        }
    }

    fn as_str(&self) -> &str {
        // They were a string before.
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl<V> Default for Table<V> {
    fn default() -> Self {
        let bucket = Bucket::default();
        let shard = Arc::new(std::array::from_fn(|_| Arc::clone(&bucket)));
        Self {
            shards: Arc::new(std::array::from_fn(|_| Arc::clone(&shard))),
            hasher: RandomState::default(),
        }
    }
}

/// The branches to take for a hash.
const fn way(hash: u64) -> (usize, usize) {
    // Less than 64 each.
    #[expect(clippy::cast_possible_truncation)]
    let hash = hash as usize;
    (hash % BRANCHES, hash / BRANCHES % BRANCHES)
}

fn find<'b, V>(bucket: &'b [Entry<V>], hash: u64, name: &str) -> Option<&'b V> {
    let mut entries = bucket.iter();
    let entry = entries.find(|entry| entry.is_of(hash, name))?;
    Some(&entry.value)
}

impl<V> Table<V> {
    pub(crate) fn get(&self, name: &str) -> Option<&V> {
        let hash = self.hash(name);
        find(self.bucket(hash), hash, name)
    }

    /// The values of some names. All are looked for before anything is decided by what is found, so
    /// that the waits for memory overlap.
    pub(crate) fn get_each<const N: usize>(&self, names: &[&str; N]) -> [Option<&V>; N] {
        let mut places: [(u64, &[Entry<V>]); N] = [(0, &[]); N];
        // Asked for here, and waited for below.
        let mut firsts = 0;
        for (place, name) in places.iter_mut().zip(names) {
            let hash = self.hash(name);
            let bucket = self.bucket(hash);
            firsts ^= bucket.first().map_or(0, |first| first.hash);
            *place = (hash, bucket);
        }
        black_box(firsts);
        let mut values = [None; N];
        for ((value, (hash, bucket)), name) in values.iter_mut().zip(&places).zip(names) {
            *value = find(bucket, *hash, name);
        }
        values
    }

    fn hash(&self, name: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    fn bucket(&self, hash: u64) -> &[Entry<V>] {
        let (shard, bucket) = way(hash);
        &self.shards[shard][bucket]
    }

    /// All names with their values, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &V)> {
        let buckets = self.shards.iter().flat_map(|shard| shard.iter());
        let entries = buckets.flat_map(|bucket| bucket.iter());
        entries.map(|entry| (entry.name.as_str(), &entry.value))
    }
}

impl<V: Clone> Table<V> {
    /// Puts a value in the place of the one that the name has, if it has one.
    pub(crate) fn insert(&mut self, name: &str, value: V) {
        let hash = self.hash(name);
        let bucket = self.bucket_mut(hash);
        match find_mut(bucket, hash, name) {
            Some(known) => *known = value,
            None => add(bucket, hash, name, value),
        }
    }

    /// The name has no value from here on.
    pub(crate) fn remove(&mut self, name: &str) {
        let hash = self.hash(name);
        let bucket = self.bucket_mut(hash);
        if find(bucket, hash, name).is_some() {
            take(bucket, hash, name);
        }
    }

    fn bucket_mut(&mut self, hash: u64) -> &mut Bucket<V> {
        let (shard, bucket) = way(hash);
        let shard = &mut Arc::make_mut(&mut self.shards)[shard];
        &mut Arc::make_mut(shard)[bucket]
    }
}

impl<V: Clone + Default + PartialEq> Table<V> {
    /// Changes the value of a name, which is the default where it has none; the default is not kept.
    pub(crate) fn edit(&mut self, name: &str, edit: impl FnOnce(&mut V)) {
        let hash = self.hash(name);
        let bucket = self.bucket_mut(hash);
        if let Some(known) = find_mut(bucket, hash, name) {
            edit(known);
            if *known == V::default() {
                take(bucket, hash, name);
            }
            return;
        }
        let mut value = V::default();
        edit(&mut value);
        if value != V::default() {
            add(bucket, hash, name, value);
        }
    }
}

fn find_mut<'b, V: Clone>(bucket: &'b mut Bucket<V>, hash: u64, name: &str) -> Option<&'b mut V> {
    let at = bucket.iter().position(|entry| entry.is_of(hash, name))?;
    let entry = Arc::make_mut(bucket).get_mut(at)?;
    Some(&mut entry.value)
}

fn add<V: Clone>(bucket: &mut Bucket<V>, hash: u64, name: &str, value: V) {
    let name = name.into();
    let new = Entry { hash, name, value };
    *bucket = bucket.iter().cloned().chain([new]).collect();
}

fn take<V: Clone>(bucket: &mut Bucket<V>, hash: u64, name: &str) {
    let others = bucket.iter().filter(|entry| !entry.is_of(hash, name));
    *bucket = others.cloned().collect();
}

impl<V: PartialEq> PartialEq for Table<V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().count() == other.iter().count()
            && self
                .iter()
                .all(|(name, value)| other.get(name) == Some(value))
    }
}

impl<V: Eq> Eq for Table<V> {}

impl<V: fmt::Debug> fmt::Debug for Table<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn contents(table: &Table<u8>) -> BTreeMap<&str, u8> {
        table.iter().map(|(name, value)| (name, *value)).collect()
    }

    proptest! {
        #[test]
        fn a_table_is_what_was_last_said_of_each_name(
            edits in vec((0_u16..200, 0_u8..3, any::<bool>()), 0..400),
        ) {
            let mut table = Table::default();
            let mut expect = BTreeMap::new();
            for (name, value, by_edit) in edits {
                let name = name.to_string();
                let before = (table.clone(), expect.clone());
                match value {
                    _ if by_edit => table.edit(&name, |slot| *slot = value),
                    0 => table.remove(&name),
                    _ => table.insert(&name, value),
                }
                prop_assert_eq!(table.get(&name), (value != 0).then_some(&value));
                expect.insert(name, value);
                // A copy stays as it was.
                let (copy, mut was): (Table<u8>, BTreeMap<String, u8>) = before;
                was.retain(|_, value| *value != 0);
                prop_assert!(was.iter().all(|(name, value)| copy.get(name) == Some(value)));
                prop_assert_eq!(copy.iter().count(), was.len());
            }
            expect.retain(|_, value| *value != 0);
            let expect = expect.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            prop_assert_eq!(contents(&table), expect);
        }
    }

    #[test]
    fn tables_are_equal_by_what_is_in_them() {
        let mk_table = |names: &[&str]| {
            let mut table = Table::default();
            for name in names {
                table.edit(name, |value| *value = 1);
            }
            table
        };
        assert_eq!(mk_table(&["a", "b"]), mk_table(&["b", "a"]));
        assert_ne!(mk_table(&["a", "b"]), mk_table(&["a"]));
        assert_ne!(mk_table(&["a"]), mk_table(&["a", "b"]));
        assert_ne!(mk_table(&["a"]), mk_table(&["b"]));
    }

    #[test]
    fn a_name_is_itself_whatever_its_length() {
        let mut table = Table::default();
        let names: Vec<String> = (0..300).map(|length| "ü".repeat(length)).collect();
        for name in &names {
            table.edit(name, |value| *value = 1);
        }
        let found = contents(&table).into_keys().collect::<Vec<_>>();
        assert_eq!(found, names);
        assert!(names.iter().all(|name| table.get(name) == Some(&1)));
    }

    #[test]
    fn names_that_are_looked_up_together_have_the_values_that_each_has() {
        let mut table = Table::default();
        for (name, value) in [("a", 1_u8), ("b", 2), ("", 3)] {
            table.insert(name, value);
        }
        let values = table.get_each(&["b", "c", "a", "b", ""]);
        assert_eq!(values, [Some(&2), None, Some(&1), Some(&2), Some(&3)]);
        assert_eq!(table.get_each(&[]), []);
    }

    #[test]
    fn a_bucket_holds_as_many_as_come() {
        let mut table = Table::default();
        let names: Vec<String> = (0..20_000).map(|i| format!("worker-{i}")).collect();
        for name in &names {
            table.edit(name, |value| *value = 1_u8);
        }
        assert!(names.iter().all(|name| table.get(name) == Some(&1)));
        assert_eq!(table.get("worker-20000"), None);
        for name in &names {
            table.edit(name, |value| *value = 0);
        }
        assert_eq!(table, Table::default());
    }
}

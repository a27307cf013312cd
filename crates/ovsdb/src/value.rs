//! Values of a database (RFC 7047 §5.1), and the differences that `update2` sends in their place.

use std::slice;

use serde::de::{self, Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::atom::Atom;
use crate::budget::{self, Budget};
use crate::error::Error;
use crate::json::elements;
use crate::schema::{Base, Column, ColumnType};
use crate::uuid::Uuid;

/// What is in one column of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// One value, which takes no memory of its own: a database may have a million of them.
    One(Atom),
    /// No value, or several that are distinct and in order.
    Set(Box<[Atom]>),
    /// Keys, distinct and in order, each with its value.
    Map(Box<[(Atom, Atom)]>),
}

impl Datum {
    /// A set of values.
    pub fn set<A: Into<Atom>>(atoms: impl IntoIterator<Item = A>) -> Self {
        let mut atoms: Vec<_> = atoms.into_iter().map(Into::into).collect();
        atoms.sort_unstable();
        atoms.dedup();
        match <[Atom; 1]>::try_from(atoms) {
            Ok([atom]) => Self::One(atom),
            Err(atoms) => Self::Set(atoms.into()),
        }
    }

    /// A map. Of a key that is there twice the first value counts.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        let pairs = pairs.into_iter().map(|(k, v)| (k.into(), v.into()));
        let mut pairs: Vec<(Atom, Atom)> = pairs.collect();
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        pairs.dedup_by(|(one, _), (other, _)| one == other);
        Self::Map(pairs.into())
    }

    /// Reads a value of a column, or of a map the keys that are kept. What is left out of every value
    /// and of every difference makes no difference to the rest.
    pub(crate) fn parse(json: &str, column: &Column, budget: &mut Budget) -> Result<Self, Error> {
        let ColumnType { key, value, .. } = column.kind;
        match (tagged(json), value) {
            (tagged, None) => Self::parse_set(json, tagged, Some(key), budget),
            (Some(("map", pairs)), Some(value)) => {
                let keeps = |key: &str| column.keeps(key);
                Self::parse_map(pairs, Some((key, value)), keeps, budget)
            }
            // An empty set is an empty map as well.
            (Some(("set", list)), Some(_)) => {
                elements(VALUE, list, |_| Err(not_a_map()))?;
                Ok(Self::Map([].into()))
            }
            (_, Some(_)) => Err(not_a_map()),
        }
    }

    fn parse_untyped(json: &str) -> Result<Self, Error> {
        let mut budget = Budget::new(usize::MAX);
        match tagged(json) {
            Some(("map", pairs)) => Self::parse_map(pairs, None, |_| true, &mut budget),
            tagged => Self::parse_set(json, tagged, None, &mut budget),
        }
    }

    fn parse_set(
        json: &str,
        tagged: Option<(&str, &str)>,
        base: Option<Base>,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        match tagged {
            Some(("set", list)) => {
                let mut atoms = Vec::new();
                elements(VALUE, list, |element| {
                    let atom = Atom::parse(element.get(), base)?;
                    budget.spend(budget::ELEMENT + atom.size())?;
                    atoms.push(atom);
                    Ok(())
                })?;
                Ok(Self::set(atoms))
            }
            Some(("map", _)) => Err(Error::unreadable("expected a set, not a map")),
            _ => {
                let atom = Atom::parse(json, base)?;
                budget.spend(atom.size())?;
                Ok(Self::One(atom))
            }
        }
    }

    fn parse_map(
        pairs: &str,
        bases: Option<(Base, Base)>,
        keeps: impl Fn(&str) -> bool,
        budget: &mut Budget,
    ) -> Result<Self, Error> {
        let (key_base, value_base) = bases.unzip();
        let mut kept = Vec::new();
        elements(VALUE, pairs, |pair| {
            let (key, value) = two(pair.get()).ok_or_else(|| {
                Error::unreadable("an element of a map is not a key with a value")
            })?;
            let (key, value) = (Atom::parse(key, key_base)?, Atom::parse(value, value_base)?);
            if !matches!(&key, Atom::String(name) if !keeps(name)) {
                budget.spend(budget::ELEMENT + key.size() + value.size())?;
                kept.push((key, value));
            }
            Ok(())
        })?;
        Ok(Self::map(kept))
    }

    /// What it takes, as [`Self::parse`] charges it, in bytes.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::One(atom) => atom.size(),
            Self::Set(atoms) => {
                let sizes = atoms.iter().map(|atom| budget::ELEMENT + atom.size());
                sizes.sum()
            }
            Self::Map(pairs) => {
                let sizes = pairs.iter();
                let sizes = sizes.map(|(k, v)| budget::ELEMENT + k.size() + v.size());
                sizes.sum()
            }
        }
    }

    /// What a column holds in a row that comes without it.
    pub(crate) fn default_of(column: ColumnType) -> Self {
        match (column.value, column.optional) {
            (Some(_), _) => Self::Map([].into()),
            (None, true) => Self::Set([].into()),
            (None, false) => Self::One(Atom::default_of(column.key)),
        }
    }

    /// This value after a difference. Of a column that holds more than one value, a `modify` of
    /// `update2` brings what is in the old or the new value and not in both; of a map also the keys
    /// whose values changed, with the new ones.
    pub(crate) fn with_difference(&self, difference: Self) -> Self {
        match (self, difference) {
            (Self::Map(old), Self::Map(change)) => {
                let kept = old.iter().filter(|(key, _)| get(&change, key).is_none());
                let came = change.iter();
                let came = came.filter(|(key, value)| get(old, key) != Some(value));
                Self::map(kept.chain(came).cloned())
            }
            (Self::One(_) | Self::Set(_), change @ (Self::One(_) | Self::Set(_))) => {
                let (old, change) = (self.atoms(), change.atoms());
                let kept = old.iter().filter(|atom| !contains(change, atom));
                let came = change.iter().filter(|atom| !contains(old, atom));
                Self::set(kept.chain(came).cloned())
            }
            // A column has one type, and so both are of one shape.
            (_, other) => other,
        }
    }

    /// The values of a set, or the one value; none of a map.
    #[must_use]
    pub fn atoms(&self) -> &[Atom] {
        match self {
            Self::One(atom) => slice::from_ref(atom),
            Self::Set(atoms) => atoms,
            Self::Map(_) => &[],
        }
    }

    /// The string, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::One(Atom::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The integer, where it is one.
    #[must_use]
    pub const fn integer(&self) -> Option<i64> {
        match self {
            Self::One(Atom::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    /// The boolean, where it is one.
    #[must_use]
    pub const fn boolean(&self) -> Option<bool> {
        match self {
            Self::One(Atom::Boolean(boolean)) => Some(*boolean),
            _ => None,
        }
    }

    /// All references in it, where it is not a map.
    pub fn uuids(&self) -> impl Iterator<Item = Uuid> {
        self.atoms().iter().filter_map(|atom| match atom {
            Atom::Uuid(uuid) => Some(*uuid),
            _ => None,
        })
    }

    /// All strings in it, where it is not a map.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.atoms().iter().filter_map(|atom| match atom {
            Atom::String(text) => Some(&**text),
            _ => None,
        })
    }

    /// The entries of a map of strings, in the order of their keys.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs: &[_] = match self {
            Self::Map(pairs) => pairs,
            Self::One(_) | Self::Set(_) => &[],
        };
        pairs.iter().filter_map(|pair| match pair {
            (Atom::String(key), Atom::String(value)) => Some((&**key, &**value)),
            _ => None,
        })
    }

    /// The string under a key of a map of strings.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&str> {
        let Self::Map(pairs) = self else {
            return None;
        };
        pairs.iter().find_map(|pair| match pair {
            (Atom::String(name), Atom::String(value)) if **name == *key => Some(&**value),
            _ => None,
        })
    }
}

impl<A: Into<Atom>> From<A> for Datum {
    fn from(atom: A) -> Self {
        Self::One(atom.into())
    }
}

/// Reads a value of which only the text tells the type, as in the result of a `select`.
impl<'de> Deserialize<'de> for Datum {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <Box<RawValue>>::deserialize(deserializer)?;
        Self::parse_untyped(json.get()).map_err(de::Error::custom)
    }
}

/// A `<value>`, as a transaction holds it.
impl From<&Datum> for Value {
    fn from(datum: &Datum) -> Self {
        match datum {
            Datum::One(atom) => atom.into(),
            Datum::Set(atoms) => {
                let atoms = atoms.iter().map(Self::from);
                json!(["set", atoms.collect::<Vec<_>>()])
            }
            Datum::Map(pairs) => {
                let pairs = pairs.iter().map(|(k, v)| [Self::from(k), Self::from(v)]);
                json!(["map", pairs.collect::<Vec<_>>()])
            }
        }
    }
}

/// What is read, in an error about its JSON.
const VALUE: &str = "a value";

fn not_a_map() -> Error {
    Error::unreadable("expected a map")
}

/// The tag and the list of a set or a map.
fn tagged(json: &str) -> Option<(&str, &str)> {
    let (tag, list) = two(json)?;
    let tag: &str = serde_json::from_str(tag).ok()?;
    list.starts_with('[').then_some((tag, list))
}

/// The two elements of an array of two.
fn two(json: &str) -> Option<(&str, &str)> {
    // Anything else would be read to its end.
    if !json.starts_with('[') {
        return None;
    }
    let (first, second): (&RawValue, &RawValue) = serde_json::from_str(json).ok()?;
    Some((first.get(), second.get()))
}

fn contains(atoms: &[Atom], atom: &Atom) -> bool {
    atoms.binary_search(atom).is_ok()
}

fn get<'a>(pairs: &'a [(Atom, Atom)], key: &Atom) -> Option<&'a Atom> {
    let at = pairs.binary_search_by(|(name, _)| name.cmp(key)).ok()?;
    pairs.get(at).map(|(_, value)| value)
}

#[cfg(test)]
mod tests;

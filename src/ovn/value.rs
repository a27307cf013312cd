//! Values of an OVSDB database, as RFC 7047 §5.1 writes them, and the differences that `update2`
//! sends in their place.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ovn::budget::{self, Budget, TooLarge};
use crate::ovn::json::{PartError, elements};
use crate::ovn::schema::{Base, Column, ColumnType};

/// The id of a row, a transaction, a cluster or a server. In two halves: a `u128` would make
/// everything that holds one larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u64; 2]);

impl Uuid {
    /// What servers say where they have no id.
    pub const ZERO: Self = Self([0; 2]);

    /// Reads the usual form, 32 hexadecimal digits and hyphens.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let well_formed = bytes.len() == 36
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        if !well_formed {
            return None;
        }
        let digits = bytes.iter().filter(|byte| **byte != b'-');
        let halves = digits.fold([0; 2], |[high, low], byte| {
            let digit = char::from(*byte).to_digit(16).unwrap_or_default();
            [high << 4 | low >> 60, low << 4 | u64::from(digit)]
        });
        Some(Self(halves))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([high, low]) = *self;
        let number = u128::from(high) << 64 | u128::from(low);
        let part = |shift: u32, digits: u32| (number >> shift) & ((1 << (4 * digits)) - 1);
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            part(96, 8),
            part(80, 4),
            part(64, 4),
            part(48, 4),
            part(0, 12)
        )
    }
}

/// A real number, in an order that holds for every one of them.
#[derive(Clone, Copy, Debug)]
pub struct Real(pub f64);

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// A 64-bit integer.
    Integer(i64),
    /// A real number.
    Real(Real),
    /// A truth value.
    Boolean(bool),
    /// A string.
    String(Box<str>),
    /// A reference to a row.
    Uuid(Uuid),
}

impl Atom {
    fn parse(json: &str, base: Base) -> Result<Self, ValueError> {
        fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
            serde_json::from_str(json).ok()
        }
        let atom = match base {
            Base::Integer => read(json).map(Self::Integer),
            Base::Real => read(json).map(|number| Self::Real(Real(number))),
            Base::Boolean => read(json).map(Self::Boolean),
            Base::String => read(json).map(Self::String),
            Base::Uuid => match read(json) {
                Some(("uuid", id)) => Uuid::parse(id).map(Self::Uuid),
                _ => None,
            },
        };
        atom.ok_or(ValueError::Atom(base))
    }

    /// What it takes beside its place in a column.
    const fn size(&self) -> usize {
        match self {
            Self::String(text) => budget::string(text.len()),
            Self::Integer(_) | Self::Real(_) | Self::Boolean(_) | Self::Uuid(_) => 0,
        }
    }

    /// What a column of this type holds where nothing was said.
    fn default_of(base: Base) -> Self {
        match base {
            Base::Integer => Self::Integer(0),
            Base::Real => Self::Real(Real(0.0)),
            Base::Boolean => Self::Boolean(false),
            Base::String => Self::String("".into()),
            Base::Uuid => Self::Uuid(Uuid::ZERO),
        }
    }
}

/// Distinct values in order. Most columns hold one, which takes no memory of its own: a database may
/// have a million of them.
#[derive(Clone, Debug)]
pub enum Atoms {
    /// One value.
    One(Atom),
    /// None, or more than one.
    Others(Box<[Atom]>),
}

impl Deref for Atoms {
    type Target = [Atom];

    fn deref(&self) -> &[Atom] {
        match self {
            Self::One(atom) => std::slice::from_ref(atom),
            Self::Others(atoms) => atoms,
        }
    }
}

impl PartialEq for Atoms {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Atoms {}

/// Puts them in order, and leaves out what is there already.
impl From<Vec<Atom>> for Atoms {
    fn from(mut atoms: Vec<Atom>) -> Self {
        atoms.sort_unstable();
        atoms.dedup();
        match <[Atom; 1]>::try_from(atoms) {
            Ok([atom]) => Self::One(atom),
            Err(atoms) => Self::Others(atoms.into()),
        }
    }
}

/// What is in one column of one row. A single value is a set of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// Distinct values in order.
    Set(Atoms),
    /// Keys, distinct and in order, each with its value.
    Map(Box<[(Atom, Atom)]>),
}

/// Why a value is none of its column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// A single value of another type.
    #[error("a value is no {0}")]
    Atom(Base),
    /// A map where a set is due.
    #[error("a map stands where a set is due")]
    NotASet,
    /// Something else where a map is due.
    #[error("something else stands where a map is due")]
    NotAMap,
    /// An element of a map that is not a pair.
    #[error("an element of a map is no pair")]
    NotAPair,
    /// More than may be kept of a database.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
}

impl Datum {
    /// Reads a value of a column, or of a map the keys that are kept. What is left out of every value
    /// and of every difference makes no difference to the rest.
    pub fn parse(json: &str, column: &Column, budget: &mut Budget) -> Result<Self, ValueError> {
        let ColumnType { key, value, .. } = column.kind;
        match value {
            None => Self::parse_set(json, key, budget),
            Some(value) => Self::parse_map(json, key, value, |key| column.keeps(key), budget),
        }
    }

    fn parse_set(json: &str, base: Base, budget: &mut Budget) -> Result<Self, ValueError> {
        let atoms = match tagged(json) {
            Some(("set", list)) => {
                let mut atoms = Vec::new();
                each(list, ValueError::Atom(base), |element| {
                    let atom = Atom::parse(element, base)?;
                    budget.spend(budget::ELEMENT + atom.size())?;
                    atoms.push(atom);
                    Ok(())
                })?;
                atoms
            }
            Some(("map", _)) => return Err(ValueError::NotASet),
            _ => {
                let atom = Atom::parse(json, base)?;
                budget.spend(atom.size())?;
                vec![atom]
            }
        };
        Ok(Self::Set(atoms.into()))
    }

    fn parse_map(
        json: &str,
        key: Base,
        value: Base,
        keeps: impl Fn(&str) -> bool,
        budget: &mut Budget,
    ) -> Result<Self, ValueError> {
        let list = match tagged(json) {
            Some(("map", list)) => list,
            // An empty set is an empty map as well: both are nothing.
            Some(("set", list)) => {
                each(list, ValueError::NotAMap, |_| Err(ValueError::NotAMap))?;
                return Ok(Self::Map([].into()));
            }
            _ => return Err(ValueError::NotAMap),
        };
        let mut pairs = Vec::new();
        each(list, ValueError::NotAPair, |pair| {
            let (k, v) = two(pair).ok_or(ValueError::NotAPair)?;
            let (k, v) = (Atom::parse(k, key)?, Atom::parse(v, value)?);
            let is_kept = match &k {
                Atom::String(name) => keeps(name),
                _ => true,
            };
            if is_kept {
                budget.spend(budget::ELEMENT + k.size() + v.size())?;
                pairs.push((k, v));
            }
            Ok(())
        })?;
        pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        pairs.dedup_by(|(one, _), (other, _)| one == other);
        Ok(Self::Map(pairs.into()))
    }

    /// What it takes, as [`Self::parse`] counts it.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Set(Atoms::One(atom)) => atom.size(),
            Self::Set(Atoms::Others(atoms)) => {
                let sizes = atoms.iter().map(|atom| budget::ELEMENT + atom.size());
                sizes.sum()
            }
            Self::Map(pairs) => {
                let sizes = pairs
                    .iter()
                    .map(|(k, v)| budget::ELEMENT + k.size() + v.size());
                sizes.sum()
            }
        }
    }

    /// What a column holds in a row that came without it.
    #[must_use]
    pub fn default_of(column: &ColumnType) -> Self {
        match (column.value, column.optional) {
            (Some(_), _) => Self::Map([].into()),
            (None, true) => Self::Set(Atoms::Others([].into())),
            (None, false) => Self::Set(Atoms::One(Atom::default_of(column.key))),
        }
    }

    /// This value after a difference. Of a column that holds more than one value, a `modify` of
    /// `update2` brings what is in the old or the new value and not in both; of a map also the keys
    /// whose values changed, with the new ones.
    #[must_use]
    pub fn with_difference(&self, difference: Self) -> Self {
        match (self, difference) {
            (Self::Set(old), Self::Set(change)) => {
                let kept = old.iter().filter(|atom| !contains(&change, atom));
                let came = change.iter().filter(|atom| !contains(old, atom));
                Self::Set(kept.chain(came).cloned().collect::<Vec<_>>().into())
            }
            (Self::Map(old), Self::Map(change)) => {
                let kept = old.iter().filter(|(key, _)| get(&change, key).is_none());
                let came = change
                    .iter()
                    .filter(|(key, value)| get(old, key) != Some(value));
                let mut pairs: Vec<_> = kept.chain(came).cloned().collect();
                pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
                Self::Map(pairs.into())
            }
            // One type has one shape.
            (_, other) => other,
        }
    }

    /// The string, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Set(atoms) => match **atoms {
                [Atom::String(ref text)] => Some(text),
                _ => None,
            },
            Self::Map(_) => None,
        }
    }

    /// The integer, where it is one.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Set(atoms) => match **atoms {
                [Atom::Integer(number)] => Some(number),
                _ => None,
            },
            Self::Map(_) => None,
        }
    }

    /// The truth value, where it is one.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self {
            Self::Set(atoms) => match **atoms {
                [Atom::Boolean(truth)] => Some(truth),
                _ => None,
            },
            Self::Map(_) => None,
        }
    }

    /// All references in it.
    pub fn uuids(&self) -> impl Iterator<Item = Uuid> {
        let atoms: &[Atom] = match self {
            Self::Set(atoms) => atoms,
            Self::Map(_) => &[],
        };
        atoms.iter().filter_map(|atom| match atom {
            Atom::Uuid(uuid) => Some(*uuid),
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
            (Atom::String(name), Atom::String(value)) if name.as_ref() == key => {
                Some(value.as_ref())
            }
            _ => None,
        })
    }
}

/// The tag and the list of a set or a map.
fn tagged(json: &str) -> Option<(&str, &str)> {
    let (tag, list) = two(json)?;
    let tag: &str = serde_json::from_str(tag).ok()?;
    list.starts_with('[').then_some((tag, list))
}

/// The two elements of an array of two.
fn two(json: &str) -> Option<(&str, &str)> {
    // Anything else would be looked through to its end.
    if !json.starts_with('[') {
        return None;
    }
    let (first, second): (&RawValue, &RawValue) = serde_json::from_str(json).ok()?;
    Some((first.get(), second.get()))
}

/// Looks at the elements of a list, which is JSON as a part of a message that is.
fn each<'a>(
    list: &'a str,
    malformed: ValueError,
    mut look: impl FnMut(&'a str) -> Result<(), ValueError>,
) -> Result<(), ValueError> {
    elements(list, |element| look(element.get())).map_err(|error| match error {
        PartError::Json(_) => malformed,
        PartError::Part(error) => error,
    })
}

fn contains(atoms: &[Atom], atom: &Atom) -> bool {
    atoms.binary_search(atom).is_ok()
}

fn get<'a>(pairs: &'a [(Atom, Atom)], key: &Atom) -> Option<&'a Atom> {
    let at = pairs.binary_search_by(|(name, _)| name.cmp(key)).ok()?;
    pairs.get(at).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const STRING: ColumnType = ColumnType::one(Base::String);
    const STRINGS: ColumnType = ColumnType::many(Base::String);
    const MAP: ColumnType = ColumnType::map(Base::String, Base::String);

    fn try_parse(json: &Value, kind: ColumnType) -> Result<Datum, ValueError> {
        let column = Column {
            name: "c",
            kind,
            keys: "",
        };
        let mut budget = Budget::new(1 << 20);
        let parsed = Datum::parse(&json.to_string(), &column, &mut budget);
        if let Ok(datum) = &parsed {
            assert!(datum.size() <= budget.spent(), "{json}");
        }
        parsed
    }

    #[track_caller]
    fn parse(json: &Value, kind: ColumnType) -> Datum {
        try_parse(json, kind).unwrap()
    }

    #[test]
    fn a_uuid_is_read_and_written_alike_and_anything_else_is_none() {
        let text = "0a1b2c3d-0000-4222-8333-44445555666f";
        assert_eq!(Uuid::parse(text).unwrap().to_string(), text);
        assert_eq!(
            Uuid::ZERO.to_string(),
            "00000000-0000-0000-0000-000000000000"
        );
        for bad in [
            "",
            "0a1b2c3d",
            "0a1b2c3d-0000-4222-8333-44445555666",
            "0a1b2c3d-0000-4222-8333-44445555666g",
            "0a1b2c3d00000-4222-8333-44445555666f",
            "0a1b2c3d-0000-4222-8333-4444555566ßf",
        ] {
            assert_eq!(Uuid::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn one_value_is_a_set_of_one_in_either_form() {
        assert_eq!(
            parse(&json!("a"), STRING),
            parse(&json!(["set", ["a"]]), STRING)
        );
        assert_eq!(
            parse(&json!(["set", ["b", "a", "b"]]), STRINGS),
            parse(&json!(["set", ["a", "b"]]), STRINGS)
        );
        let id = "0a1b2c3d-0000-4222-8333-444455556666";
        let uuids = parse(&json!(["uuid", id]), ColumnType::many(Base::Uuid));
        assert_eq!(
            uuids.uuids().collect::<Vec<_>>(),
            [Uuid::parse(id).unwrap()]
        );
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        for (json, column, error) in [
            (json!(1), STRING, ValueError::Atom(Base::String)),
            (json!(null), STRING, ValueError::Atom(Base::String)),
            (
                json!("1"),
                ColumnType::one(Base::Integer),
                ValueError::Atom(Base::Integer),
            ),
            (
                json!(1.5),
                ColumnType::one(Base::Integer),
                ValueError::Atom(Base::Integer),
            ),
            (
                json!(["uuid", "x"]),
                ColumnType::one(Base::Uuid),
                ValueError::Atom(Base::Uuid),
            ),
            (
                json!(["set", [["set", []]]]),
                STRINGS,
                ValueError::Atom(Base::String),
            ),
            (json!(["map", []]), STRINGS, ValueError::NotASet),
            (json!("a"), MAP, ValueError::NotAMap),
            (json!(["set", ["a"]]), MAP, ValueError::NotAMap),
            (json!(["map", [["a"]]]), MAP, ValueError::NotAPair),
            (
                json!(["map", [["a", 1]]]),
                MAP,
                ValueError::Atom(Base::String),
            ),
        ] {
            assert_eq!(try_parse(&json, column), Err(error), "{json}");
        }
    }

    #[test]
    fn a_difference_of_a_set_toggles_and_one_of_a_map_replaces_as_well() {
        for (column, old, difference, new) in [
            (STRINGS, json!(["set", []]), json!("a"), json!("a")),
            (
                STRINGS,
                json!(["set", ["a", "b"]]),
                json!(["set", ["b", "c"]]),
                json!(["set", ["a", "c"]]),
            ),
            (STRINGS, json!("a"), json!("a"), json!(["set", []])),
            (
                MAP,
                json!(["map", []]),
                json!(["map", [["k", "1"]]]),
                json!(["map", [["k", "1"]]]),
            ),
            (
                MAP,
                json!(["map", [["k", "1"]]]),
                json!(["map", [["k", "1"]]]),
                json!(["map", []]),
            ),
            (
                MAP,
                json!(["map", [["k", "1"], ["l", "2"]]]),
                json!(["map", [["k", "3"], ["j", "0"]]]),
                json!(["map", [["j", "0"], ["k", "3"], ["l", "2"]]]),
            ),
        ] {
            let changed = parse(&old, column).with_difference(parse(&difference, column));
            assert_eq!(changed, parse(&new, column), "{old} {difference}");
        }
    }

    #[test]
    fn of_a_map_only_the_keys_that_are_wanted_are_kept() {
        let column = Column {
            name: "options",
            kind: MAP,
            keys: "peer,chassis",
        };
        let mut budget = Budget::new(1 << 20);
        let mut parse = |json: &Value| Datum::parse(&json.to_string(), &column, &mut budget);
        let datum = parse(&json!(["map", [["peer", "p"], ["mtu", "1"]]])).unwrap();
        let difference = json!(["map", [["mtu", "2"], ["chassis", "c"], ["peer", "p"]]]);
        let changed = datum.with_difference(parse(&difference).unwrap());
        let found = ["peer", "mtu", "chassis"].map(|key| (datum.entry(key), changed.entry(key)));
        assert_eq!(found, [(Some("p"), None), (None, None), (None, Some("c"))]);
        assert_eq!(
            parse(&json!(["map", [["mtu", 1]]])),
            Err(ValueError::Atom(Base::String)),
            "what is not kept has its type as well"
        );
    }

    #[test]
    fn a_value_is_refused_where_it_takes_more_than_is_left() {
        let refused = |json: &Value, kind, limit| {
            let column = Column {
                name: "c",
                kind,
                keys: "",
            };
            let parsed = Datum::parse(&json.to_string(), &column, &mut Budget::new(limit));
            parsed == Err(ValueError::TooLarge(TooLarge(limit)))
        };
        let many: Vec<u32> = (0..100).collect();
        let integers = ColumnType::many(Base::Integer);
        for (json, kind, size) in [
            (json!("abc"), STRING, 41),
            (json!(["set", many]), integers, 100 * 128),
            (json!(["map", [["k", "v"]]]), MAP, 128 + 35 + 35),
        ] {
            assert!(refused(&json, kind, size - 1), "{json}");
            assert!(!refused(&json, kind, size), "{json}");
        }
    }

    #[test]
    fn a_value_takes_no_more_than_three_words() {
        assert_eq!(size_of::<Datum>(), 24);
    }

    #[test]
    fn an_accessor_finds_its_own_type_only() {
        let text = parse(&json!("a"), STRING);
        assert_eq!(
            (text.text(), text.integer(), text.boolean()),
            (Some("a"), None, None)
        );
        let map = parse(&json!(["map", [["k", "v"]]]), MAP);
        assert_eq!(
            (map.entry("k"), map.entry("v"), map.text()),
            (Some("v"), None, None)
        );
        assert_eq!(text.entry("a"), None);
        let none = Datum::default_of(&STRINGS);
        assert_eq!((none.text(), none.uuids().count()), (None, 0));
    }
}

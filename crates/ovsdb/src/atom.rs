//! Single values of a database (RFC 7047 §5.1, `<atom>`).

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::budget;
use crate::error::Error;
use crate::schema::Base;
use crate::uuid::Uuid;

/// A real number, in a total order.
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

/// A single value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// A 64-bit integer.
    Integer(i64),
    /// A real number.
    Real(Real),
    /// A boolean.
    Boolean(bool),
    /// A string.
    String(Box<str>),
    /// A reference to a row.
    Uuid(Uuid),
    /// A reference to a row that the same transaction inserts; no server sends one.
    NamedUuid(Box<str>),
}

impl Atom {
    /// Reads a value of this type or, where none is given, of the type that it is written as.
    pub(crate) fn parse(json: &str, base: Option<Base>) -> Result<Self, Error> {
        fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
            serde_json::from_str(json).ok()
        }
        let base = base.unwrap_or_else(|| match json.as_bytes() {
            [b'"', ..] => Base::String,
            [b't' | b'f', ..] => Base::Boolean,
            [b'[', ..] => Base::Uuid,
            number if number.iter().any(|byte| b".eE".contains(byte)) => Base::Real,
            _ => Base::Integer,
        });
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
        atom.ok_or_else(|| Error::unreadable(format!("a value is not of type {base}")))
    }

    /// What it takes beside its place in a column, in bytes.
    pub(crate) const fn size(&self) -> usize {
        match self {
            Self::String(text) | Self::NamedUuid(text) => budget::string(text.len()),
            Self::Integer(_) | Self::Real(_) | Self::Boolean(_) | Self::Uuid(_) => 0,
        }
    }

    /// What a column of this type holds unless a row says otherwise.
    pub(crate) fn default_of(base: Base) -> Self {
        match base {
            Base::Integer => Self::Integer(0),
            Base::Real => Self::Real(Real(0.0)),
            Base::Boolean => Self::Boolean(false),
            Base::String => Self::String("".into()),
            Base::Uuid => Self::Uuid(Uuid::ZERO),
        }
    }
}

macro_rules! atom_from {
    ($($from:ty: $value:ident => $atom:expr;)*) => {$(
        impl From<$from> for Atom {
            fn from($value: $from) -> Self {
                $atom
            }
        }
    )*};
}

atom_from! {
    i64: number => Self::Integer(number);
    f64: number => Self::Real(Real(number));
    bool: boolean => Self::Boolean(boolean);
    &str: text => Self::String(text.into());
    String: text => Self::String(text.into());
    Uuid: id => Self::Uuid(id);
}

/// An `<atom>`, as a transaction holds it.
impl From<&Atom> for Value {
    fn from(atom: &Atom) -> Self {
        match atom {
            Atom::Integer(number) => json!(number),
            Atom::Real(Real(number)) => json!(number),
            Atom::Boolean(boolean) => json!(boolean),
            Atom::String(text) => json!(text),
            Atom::Uuid(id) => json!(["uuid", id.to_string()]),
            Atom::NamedUuid(name) => json!(["named-uuid", name]),
        }
    }
}

//! A set of variants of an enum, with a bit for each.

use std::fmt;
use std::marker::PhantomData;

use strum::VariantArray;

/// An enum without values, of at most 16 variants.
pub trait Member: VariantArray + Copy {
    /// Its place in [`VariantArray::VARIANTS`].
    fn index(self) -> usize;
}

/// A set of such variants, in their order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Set<T>(u16, PhantomData<T>);

impl<T: Member> Set<T> {
    /// Every variant.
    pub const ALL: Self = {
        assert!(T::VARIANTS.len() <= u16::BITS as usize, "widen the set");
        Self(
            u16::MAX >> (u16::BITS as usize - T::VARIANTS.len()),
            PhantomData,
        )
    };

    /// Whether a variant is in the set.
    #[must_use]
    pub fn contains(self, variant: T) -> bool {
        self.0 & bit(variant) != 0
    }

    /// Adds a variant when a condition holds.
    #[must_use]
    pub fn with(self, variant: T, holds: bool) -> Self {
        if holds {
            Self(self.0 | bit(variant), PhantomData)
        } else {
            self
        }
    }

    /// The set without a variant.
    #[must_use]
    pub fn without(self, variant: T) -> Self {
        Self(self.0 & !bit(variant), PhantomData)
    }

    /// The variants that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0, PhantomData)
    }

    /// The first variant.
    #[must_use]
    pub fn first(self) -> Option<T> {
        T::VARIANTS.get(self.0.trailing_zeros() as usize).copied()
    }

    /// Whether the set has no variant.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The variants in order.
    pub fn iter(self) -> impl Iterator<Item = T> {
        let variants = T::VARIANTS.iter().copied();
        variants.filter(move |variant| self.contains(*variant))
    }
}

fn bit(variant: impl Member) -> u16 {
    1 << variant.index()
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Self(0, PhantomData)
    }
}

impl<T: Member> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(variants: I) -> Self {
        let variants = variants.into_iter();
        variants.fold(Self::default(), |set, variant| set.with(variant, true))
    }
}

impl<T: Member + fmt::Debug> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

//! Lists of others, of which no more is kept than is needed: a list costs what it comes to, and not what
//! its items would take one beside the other.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

/// What a list comes to.
pub(super) trait Gather<'a>: Default {
    /// An item of the list.
    type Item: Deserialize<'a>;

    /// Takes the next item; what is not kept of it is gone.
    fn take(&mut self, item: Self::Item);
}

/// A list that is read an item at a time.
#[derive(Debug, Default)]
pub(super) struct Gathered<G>(pub(super) G);

impl<'de, G: Gather<'de>> Deserialize<'de> for Gathered<G> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<G>(PhantomData<G>);

        impl<'de, G: Gather<'de>> Visitor<'de> for Items<G> {
            type Value = Gathered<G>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut gathered = G::default();
                while let Some(item) = seq.next_element()? {
                    gathered.take(item);
                }
                Ok(Gathered(gathered))
            }
        }

        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// A list of no more than `MOST` items.
#[derive(Debug)]
pub(super) struct AtMost<const MOST: usize, T>(pub(super) Vec<T>);

impl<'de, const MOST: usize, T: Deserialize<'de>> Deserialize<'de> for AtMost<MOST, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<const MOST: usize, T>(PhantomData<T>);

        impl<'de, const MOST: usize, T: Deserialize<'de>> Visitor<'de> for Items<MOST, T> {
            type Value = AtMost<MOST, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == MOST {
                        return Err(A::Error::custom(format_args!("more than {MOST} items")));
                    }
                    items.push(item);
                }
                Ok(AtMost(items))
            }
        }

        deserializer.deserialize_seq(Items::<MOST, T>(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Sum(u32);

    impl Gather<'_> for Sum {
        type Item = u32;

        fn take(&mut self, item: u32) {
            self.0 += item;
        }
    }

    #[test]
    fn a_list_comes_to_what_its_items_come_to() {
        let Gathered(Sum(sum)) = serde_json::from_str("[1,2,3]").unwrap();
        assert_eq!(sum, 6);
        let error = serde_json::from_str::<Gathered<Sum>>("{}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid type: map, expected a sequence at line 1 column 0"
        );
    }

    #[test]
    fn a_longer_list_than_is_kept_is_an_error() {
        let AtMost(items) = serde_json::from_str::<AtMost<2, u32>>("[1,2]").unwrap();
        assert_eq!(items, [1, 2]);
        let error = serde_json::from_str::<AtMost<2, u32>>("[1,2,3]").unwrap_err();
        assert_eq!(error.to_string(), "more than 2 items at line 1 column 7");
    }
}

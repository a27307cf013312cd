//! Lists of which no more is kept than is needed, because others fill them: a list costs what is made
//! of it, and not what its items would take side by side.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// What is made of a list.
pub(super) trait Gather<'a>: Default {
    /// An item of the list.
    type Item: Deserialize<'a>;

    /// Takes the next item, and drops what is not needed of it.
    fn take(&mut self, item: Self::Item);
}

/// A list that is read an item at a time.
#[derive(Debug, Default)]
pub(super) struct Gathered<G>(pub(super) G);

impl<'de, G: Gather<'de>> Deserialize<'de> for Gathered<G> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut gathered = G::default();
        each_item(deserializer, usize::MAX, |item| gathered.take(item))?;
        Ok(Self(gathered))
    }
}

/// A list of no more than `MOST` items.
#[derive(Debug)]
pub(super) struct AtMost<const MOST: usize, T>(pub(super) Vec<T>);

impl<'de, const MOST: usize, T: Deserialize<'de>> Deserialize<'de> for AtMost<MOST, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut items = Vec::new();
        each_item(deserializer, MOST, |item| items.push(item))?;
        Ok(Self(items))
    }
}

/// Reads a list of at most so many items, one after the other.
fn each_item<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
    most: usize,
    take: impl FnMut(T),
) -> Result<(), D::Error> {
    struct Items<F, T> {
        most: usize,
        take: F,
        item: PhantomData<T>,
    }

    impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Items<F, T> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
            let mut count = 0;
            while let Some(item) = seq.next_element()? {
                if count == self.most {
                    return Err(A::Error::custom(format_args!("more than {count} items")));
                }
                count += 1;
                (self.take)(item);
            }
            Ok(())
        }
    }

    deserializer.deserialize_seq(Items {
        most,
        take,
        item: PhantomData,
    })
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

//! A list with an item for each node, which is not to be longer than any cluster.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

/// The nodes of one call: several times the largest clusters there are. A node takes more memory
/// than its name, so that the size of a body alone does not bound what it costs.
pub(super) const MOST_NODES: usize = 65_536;

/// A list of no more than [`MOST_NODES`].
#[derive(Debug)]
pub(super) struct Nodes<T>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Nodes<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodesVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for NodesVisitor<T> {
            type Value = Nodes<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = seq.next_element()? {
                    if nodes.len() == MOST_NODES {
                        return Err(A::Error::custom(format_args!(
                            "more than {MOST_NODES} nodes"
                        )));
                    }
                    nodes.push(node);
                }
                Ok(Nodes(nodes))
            }
        }

        deserializer.deserialize_seq(NodesVisitor(PhantomData))
    }
}

//! The preempt verb of kube-scheduler's extender API: nodes on which pods would be evicted to make
//! room, in one of two forms, and always answered in the short one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::wire::Text;
use crate::wire::extender::{ArgsError, MOST_NODES};
use crate::wire::objects::Pod;

/// A preempt call: the pod that needs room, and the nodes that could make it.
#[derive(Debug)]
pub struct PreemptArgs<'a> {
    /// The pod that needs room.
    pub pod: Pod<'a>,
    /// The nodes and who would have to go, as they came.
    pub candidates: Vec<(Text<'a>, Victims<'a>)>,
}

/// The pods of one node that would be evicted.
#[derive(Debug)]
pub enum Victims<'a> {
    /// `nodeCacheCapable: true`: `MetaVictims`, which go back as they came.
    Meta(&'a RawValue),
    /// `nodeCacheCapable: false`: whole pods, of which the UIDs go back.
    Whole(WholeVictims<'a>),
}

/// `Victims`, as far as they go back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct WholeVictims<'a> {
    #[serde(borrow, default)]
    pods: Option<Vec<Victim<'a>>>,
    #[serde(borrow, default, rename = "NumPDBViolations")]
    violations: Option<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
struct Victim<'a> {
    #[serde(borrow)]
    metadata: VictimMetadata<'a>,
}

#[derive(Debug, Deserialize)]
struct VictimMetadata<'a> {
    #[serde(borrow)]
    uid: Text<'a>,
}

impl<'a> PreemptArgs<'a> {
    /// Reads a call.
    pub fn read(body: &'a str) -> Result<Self, ArgsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct ExtenderPreemptionArgs<'a> {
            #[serde(borrow, default)]
            pod: Option<&'a RawValue>,
            #[serde(borrow, default)]
            node_name_to_victims: Option<Nodes<'a, WholeVictims<'a>>>,
            #[serde(borrow, default)]
            node_name_to_meta_victims: Option<Nodes<'a, &'a RawValue>>,
        }

        let ExtenderPreemptionArgs {
            pod,
            node_name_to_victims,
            node_name_to_meta_victims,
        } = super::read_object(body).map_err(ArgsError::NotPreemption)?;
        let pod = pod.ok_or(ArgsError::NoPod)?;
        let candidates = match (node_name_to_meta_victims, node_name_to_victims) {
            (Some(Nodes(candidates, _)), None) | (None, Some(Nodes(candidates, _))) => candidates,
            (None, None) => return Err(ArgsError::NoVictims),
            (Some(_), Some(_)) => return Err(ArgsError::BothVictims),
        };
        let pod = super::read_object(pod.get()).map_err(ArgsError::BadPod)?;
        Ok(Self { pod, candidates })
    }
}

impl<'a> From<&'a RawValue> for Victims<'a> {
    fn from(meta: &'a RawValue) -> Self {
        Self::Meta(meta)
    }
}

impl<'a> From<WholeVictims<'a>> for Victims<'a> {
    fn from(whole: WholeVictims<'a>) -> Self {
        Self::Whole(whole)
    }
}

/// A map of nodes with victims in one of the two forms, in the order in which it came. It has no more
/// of them than [`MOST_NODES`].
struct Nodes<'a, V>(Vec<(Text<'a>, Victims<'a>)>, PhantomData<V>);

impl<'de: 'a, 'a, V: Deserialize<'de> + Into<Victims<'a>>> Deserialize<'de> for Nodes<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodesVisitor<'a, V>(PhantomData<(&'a (), V)>);

        impl<'de: 'a, 'a, V: Deserialize<'de> + Into<Victims<'a>>> Visitor<'de> for NodesVisitor<'a, V> {
            type Value = Nodes<'a, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of nodes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut nodes = Vec::new();
                while let Some((name, victims)) = map.next_entry::<_, V>()? {
                    if nodes.len() == MOST_NODES {
                        return Err(A::Error::custom(format_args!(
                            "more than {MOST_NODES} nodes"
                        )));
                    }
                    nodes.push((name, victims.into()));
                }
                Ok(Nodes(nodes, PhantomData))
            }
        }

        deserializer.deserialize_map(NodesVisitor(PhantomData))
    }
}

/// The answer: these nodes, with the victims that they came with.
#[must_use]
pub fn preempt_result(candidates: &[(Text<'_>, Victims<'_>)]) -> Vec<u8> {
    super::encode(&Reply(candidates))
}

struct Reply<'r>(&'r [(Text<'r>, Victims<'r>)]);

impl Serialize for Reply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct ByNode<'r>(&'r [(Text<'r>, Victims<'r>)]);

        impl Serialize for ByNode<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.iter().map(|(node, victims)| (node, victims)))
            }
        }

        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("NodeNameToMetaVictims", &ByNode(self.0))?;
        map.end()
    }
}

impl Serialize for Victims<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Meta(meta) => meta.serialize(serializer),
            Self::Whole(WholeVictims { pods, violations }) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("Pods", pods.as_deref().unwrap_or_default())?;
                match violations {
                    Some(violations) => map.serialize_entry("NumPDBViolations", violations)?,
                    None => map.serialize_entry("NumPDBViolations", &0)?,
                }
                map.end()
            }
        }
    }
}

/// As a `MetaPod`.
impl Serialize for Victim<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("UID", &self.metadata.uid)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(call: &str, expect: Result<&str, &str>) {
        let answer = PreemptArgs::read(call)
            .map(|args| String::from_utf8(preempt_result(&args.candidates)).unwrap());
        let answer = answer.map_err(|error| error.to_string());
        assert_eq!(answer.as_deref().map_err(String::as_str), expect, "{call}");
    }

    #[test]
    fn whole_victims_become_their_uids_and_short_ones_stay_as_they_are() {
        check(
            r#"{"Pod":{"metadata":{}},"NodeNameToMetaVictims":{"b":{"Pods":[{"UID":"1"}], "NumPDBViolations":2},"a":null}}"#,
            Ok(
                r#"{"NodeNameToMetaVictims":{"b":{"Pods":[{"UID":"1"}], "NumPDBViolations":2},"a":null}}"#,
            ),
        );
        check(
            r#"{"Pod":{"metadata":{}},"NodeNameToVictims":{"b":{"Pods":[{"metadata":{"uid":"1","name":"x"},"spec":{}},{"metadata":{"uid":"2"}}],"NumPDBViolations":2},"a":{}}}"#,
            Ok(
                r#"{"NodeNameToMetaVictims":{"b":{"Pods":[{"UID":"1"},{"UID":"2"}],"NumPDBViolations":2},"a":{"Pods":[],"NumPDBViolations":0}}}"#,
            ),
        );
        check(
            r#"{"Pod":{"metadata":{}},"NodeNameToVictims":{},"NodeNameToMetaVictims":null}"#,
            Ok(r#"{"NodeNameToMetaVictims":{}}"#),
        );
    }

    #[test]
    fn a_call_that_is_not_clear_is_an_error_that_says_so() {
        for (call, expect) in [
            (
                "[]",
                "the body is not ExtenderPreemptionArgs: expected an object, not an array",
            ),
            ("{}", "the call has no Pod"),
            (
                r#"{"Pod":{"metadata":{}}}"#,
                "ExtenderPreemptionArgs has neither NodeNameToVictims nor NodeNameToMetaVictims",
            ),
            (
                r#"{"Pod":{"metadata":{}},"NodeNameToVictims":{},"NodeNameToMetaVictims":{}}"#,
                "ExtenderPreemptionArgs has both NodeNameToVictims and NodeNameToMetaVictims",
            ),
            (
                r#"{"Pod":{"metadata":{}},"NodeNameToVictims":[]}"#,
                "the body is not ExtenderPreemptionArgs: invalid type: sequence, expected a map of nodes at line 1 column 43",
            ),
            (
                r#"{"Pod":{"metadata":{}},"NodeNameToVictims":{"a":{"Pods":[{"metadata":{}}]}}}"#,
                "the body is not ExtenderPreemptionArgs: missing field `uid` at line 1 column 71",
            ),
        ] {
            check(call, Err(expect));
        }
    }

    #[test]
    fn more_candidates_than_any_cluster_has_nodes_are_refused() {
        for victims in ["NodeNameToVictims", "NodeNameToMetaVictims"] {
            let call = |count| {
                let nodes = vec![r#""":{}"#; count].join(",");
                format!(r#"{{"Pod":{{"metadata":{{}}}},"{victims}":{{{nodes}}}}}"#)
            };
            let args = call(MOST_NODES);
            assert_eq!(
                PreemptArgs::read(&args).unwrap().candidates.len(),
                MOST_NODES
            );
            let error = PreemptArgs::read(&call(MOST_NODES + 1)).unwrap_err();
            let error = error.to_string();
            assert!(
                error.starts_with("the body is not ExtenderPreemptionArgs: more than 65536 nodes"),
                "{error}"
            );
        }
    }
}

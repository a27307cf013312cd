//! The preempt verb of kube-scheduler's extender API: nodes on which pods would be evicted to make
//! room, in one of two forms, and always answered in the short one.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::Serializer;
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
    /// The nodes and the pods that would be evicted there, as they came.
    pub candidates: Vec<(Text<'a>, Victims<'a>)>,
}

/// The pods of one node that would be evicted.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Victims<'a> {
    /// `nodeCacheCapable: true`: `MetaVictims`, which go back as they came.
    Meta(&'a RawValue),
    /// `nodeCacheCapable: false`: whole pods, of which the UIDs go back.
    Whole(WholeVictims<'a>),
}

/// Read as `Victims`, and written as `MetaVictims`.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct WholeVictims<'a> {
    #[serde(borrow, default, deserialize_with = "null_is_default")]
    pods: Vec<Victim<'a>>,
    #[serde(
        default,
        rename = "NumPDBViolations",
        deserialize_with = "null_is_default"
    )]
    violations: i64,
}

/// Read as a `Pod`, and written as a `MetaPod`.
#[derive(Debug, Deserialize, Serialize)]
struct Victim<'a> {
    #[serde(borrow, rename(serialize = "UID"), serialize_with = "uid_alone")]
    metadata: VictimMetadata<'a>,
}

#[derive(Debug, Deserialize)]
struct VictimMetadata<'a> {
    #[serde(borrow)]
    uid: Text<'a>,
}

fn uid_alone<S: Serializer>(
    metadata: &VictimMetadata<'_>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    metadata.uid.serialize(serializer)
}

fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl<'a> PreemptArgs<'a> {
    /// Reads a call.
    pub fn read(body: &'a str) -> Result<Self, ArgsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct ExtenderPreemptionArgs<'a> {
            #[serde(borrow)]
            pod: Option<&'a RawValue>,
            node_name_to_victims: Option<ByNode<'a, WholeVictims<'a>>>,
            node_name_to_meta_victims: Option<ByNode<'a, &'a RawValue>>,
        }

        let ExtenderPreemptionArgs {
            pod,
            node_name_to_victims,
            node_name_to_meta_victims,
        } = super::read_object(body).map_err(ArgsError::NotPreemption)?;
        let pod = pod.ok_or(ArgsError::NoPod)?;
        let candidates = match (node_name_to_meta_victims, node_name_to_victims) {
            (Some(ByNode(meta)), None) => {
                let meta = meta.into_iter();
                meta.map(|(node, meta)| (node, Victims::Meta(meta)))
                    .collect()
            }
            (None, Some(ByNode(whole))) => {
                let whole = whole.into_iter();
                whole
                    .map(|(node, whole)| (node, Victims::Whole(whole)))
                    .collect()
            }
            (None, None) => return Err(ArgsError::NoVictims),
            (Some(_), Some(_)) => return Err(ArgsError::BothVictims),
        };
        let pod = super::read_object(pod.get()).map_err(ArgsError::BadPod)?;
        Ok(Self { pod, candidates })
    }
}

/// A map of nodes, in the order in which it came, of [`MOST_NODES`] at most.
struct ByNode<'a, V>(Vec<(Text<'a>, V)>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for ByNode<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NodesVisitor<'a, V>(PhantomData<(&'a (), V)>);

        impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for NodesVisitor<'a, V> {
            type Value = ByNode<'a, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of nodes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut nodes = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if nodes.len() == MOST_NODES {
                        let error = format_args!("more than {MOST_NODES} nodes");
                        return Err(A::Error::custom(error));
                    }
                    nodes.push(entry);
                }
                Ok(ByNode(nodes))
            }
        }

        deserializer.deserialize_map(NodesVisitor(PhantomData))
    }
}

/// The answer: these nodes, with the victims that they came with.
#[must_use]
pub fn preempt_result(candidates: &[(Text<'_>, Victims<'_>)]) -> Vec<u8> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct ExtenderPreemptionResult<'r> {
        #[serde(serialize_with = "by_node")]
        node_name_to_meta_victims: &'r [(Text<'r>, Victims<'r>)],
    }

    super::encode(&ExtenderPreemptionResult {
        node_name_to_meta_victims: candidates,
    })
}

fn by_node<S: Serializer>(
    candidates: &[(Text<'_>, Victims<'_>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(candidates.iter().map(|(node, victims)| (node, victims)))
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

//! kube-scheduler's extender API (`k8s.io/kube-scheduler/extender/v1`): JSON keys are the Go field
//! names. Whole nodes are passed on as the bytes they came as.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::{NodeFacts, Provider};
use crate::wire::Text;
use crate::wire::objects::{Node, Pod};

/// Why a call can't be answered.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// The body is not JSON, or not of the shape of `ExtenderArgs`.
    #[error("the body is not ExtenderArgs: {0}")]
    NotArgs(#[source] serde_json::Error),
    /// The body is not JSON, or not of the shape of `ExtenderPreemptionArgs`.
    #[error("the body is not ExtenderPreemptionArgs: {0}")]
    NotPreemption(#[source] serde_json::Error),
    /// `Pod` is null or missing.
    #[error("the call has no Pod")]
    NoPod,
    /// `Pod` is there and not readable.
    #[error("the Pod of the call is not readable: {0}")]
    BadPod(#[source] serde_json::Error),
    /// Both maps of victims are null or missing.
    #[error("ExtenderPreemptionArgs has neither NodeNameToVictims nor NodeNameToMetaVictims")]
    NoVictims,
    /// Both maps of victims are given: which of them is meant?
    #[error("ExtenderPreemptionArgs has both NodeNameToVictims and NodeNameToMetaVictims")]
    BothVictims,
    /// Both `Nodes` and `NodeNames` are null or missing.
    #[error("ExtenderArgs has neither Nodes nor NodeNames")]
    NoNodes,
    /// Both `Nodes` and `NodeNames` are given: which of them is meant?
    #[error("ExtenderArgs has both Nodes and NodeNames")]
    BothForms,
    /// `NodeNames` is not a list of strings.
    #[error("NodeNames is not readable: {0}")]
    BadNames(#[source] serde_json::Error),
    /// `Nodes` is not a list of nodes.
    #[error("Nodes is not readable: {0}")]
    BadNodes(#[source] serde_json::Error),
    /// One of the nodes has no name.
    #[error("item {index} of Nodes is not readable: {source}")]
    BadNode {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl ArgsError {
    /// Whether the caller does not speak the protocol, so that it gets a status of 400. Everything
    /// else is answered in the protocol's own `Error`, because kube-scheduler shows that to people
    /// and drops the body of any other status.
    #[must_use]
    pub const fn is_foreign(&self) -> bool {
        matches!(self, Self::NotArgs(_) | Self::NotPreemption(_))
    }
}

/// A filter call: the pod, and the nodes in one of two forms.
#[derive(Debug)]
pub struct FilterArgs<'a> {
    /// The pod to be scheduled.
    pub pod: Pod<'a>,
    /// The nodes asked about.
    pub asked: Asked<'a>,
}

/// The nodes of a call, not yet read: most pods are none of berth's business.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// `nodeCacheCapable: true`: names alone.
    Names(&'a RawValue),
    /// `nodeCacheCapable: false`: a `NodeList`.
    Nodes(&'a RawValue),
}

impl<'a> FilterArgs<'a> {
    /// Reads a call.
    pub fn read(body: &'a str) -> Result<Self, ArgsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct ExtenderArgs<'a> {
            #[serde(borrow, default)]
            pod: Option<&'a RawValue>,
            #[serde(borrow, default)]
            nodes: Option<&'a RawValue>,
            #[serde(borrow, default)]
            node_names: Option<&'a RawValue>,
        }

        let ExtenderArgs {
            pod,
            nodes,
            node_names,
        } = super::read_object(body).map_err(ArgsError::NotArgs)?;
        let pod = pod.ok_or(ArgsError::NoPod)?;
        let asked = match (node_names, nodes) {
            (Some(names), None) => Asked::Names(names),
            (None, Some(nodes)) => Asked::Nodes(nodes),
            (None, None) => return Err(ArgsError::NoNodes),
            (Some(_), Some(_)) => return Err(ArgsError::BothForms),
        };
        let pod = super::read_object(pod.get()).map_err(ArgsError::BadPod)?;
        Ok(Self { pod, asked })
    }
}

impl Asked<'_> {
    /// Whether it is a list at all, for when its items are not looked at.
    pub fn check_shape(self) -> Result<(), ArgsError> {
        let wrong = |found: &RawValue| {
            let found = super::shorten(found.get(), 20);
            serde_json::Error::custom(format!("a list is expected, not {found}"))
        };
        match self {
            Self::Names(names) if !names.get().starts_with('[') => {
                Err(ArgsError::BadNames(wrong(names)))
            }
            Self::Nodes(nodes) if !nodes.get().starts_with('{') => {
                Err(ArgsError::BadNodes(wrong(nodes)))
            }
            Self::Names(_) | Self::Nodes(_) => Ok(()),
        }
    }
}

/// The nodes of one call: several times the largest clusters there are. A node takes more memory
/// than its name, so that the size of a body alone does not bound what it costs.
const MOST_NODES: usize = 65_536;

/// The names in a `NodeNames`.
pub fn read_names(names: &RawValue) -> Result<Vec<Text<'_>>, ArgsError> {
    serde_json::from_str(names.get())
        .map(|Nodes(names)| names)
        .map_err(ArgsError::BadNames)
}

/// A list of no more than [`MOST_NODES`].
#[derive(Debug)]
struct Nodes<T>(Vec<T>);

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

impl<T: Serialize> Serialize for Nodes<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A `NodeList` whose items are not decoded.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeList<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    api_version: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    items: Option<Nodes<&'a RawValue>>,
}

impl<'a> NodeList<'a> {
    /// Reads a `Nodes`.
    pub fn read(nodes: &'a RawValue) -> Result<Self, ArgsError> {
        super::read_object(nodes.get()).map_err(ArgsError::BadNodes)
    }

    /// The items as they came.
    #[must_use]
    pub fn items(&self) -> &[&'a RawValue] {
        self.items.as_ref().map_or(&[], |Nodes(items)| items)
    }

    /// The same list with these of its items.
    #[must_use]
    pub fn with_items(self, items: Vec<&'a RawValue>) -> Self {
        Self {
            items: Some(Nodes(items)),
            ..self
        }
    }
}

/// The name of a node, read without the rest of it.
pub fn node_name(index: usize, node: &RawValue) -> Result<Text<'_>, ArgsError> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        metadata: NamedMetadata<'a>,
    }
    #[derive(Deserialize)]
    struct NamedMetadata<'a> {
        #[serde(borrow)]
        name: Text<'a>,
    }

    let Named { metadata } =
        serde_json::from_str(node.get()).map_err(|source| ArgsError::BadNode { index, source })?;
    Ok(metadata.name)
}

/// The facts of a node, for one that berth has not seen yet.
pub fn node_facts(
    index: usize,
    node: &RawValue,
    provider: Provider,
) -> Result<NodeFacts, ArgsError> {
    let node: Node<'_> =
        super::read_object(node.get()).map_err(|source| ArgsError::BadNode { index, source })?;
    Ok(node.into_facts(provider).1)
}

/// The nodes that passed, in the form that was asked in.
#[derive(Debug)]
pub enum Passed<'a> {
    /// Every node passed: the list goes back as it came.
    All(Asked<'a>),
    /// The names that passed.
    Names(Vec<Text<'a>>),
    /// The nodes that passed.
    Nodes(NodeList<'a>),
}

/// An answer to a filter call.
#[derive(Debug)]
pub struct FilterResult<'a> {
    /// The nodes that passed.
    pub passed: Passed<'a>,
    /// Nodes that may pass when they are asked about again, and why they did not.
    pub failed: Vec<Failure<'a>>,
    /// Nodes that no preemption can help, and why.
    pub unresolvable: Vec<Failure<'a>>,
}

/// A node that did not pass and the text for it.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The node's name.
    pub node: Text<'a>,
    /// The text, which is the same for every node with this obstacle.
    pub text: &'a str,
}

impl FilterResult<'_> {
    /// The answer as JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        super::encode(&FilterReply {
            passed: Some(&self.passed),
            failed: &self.failed,
            unresolvable: &self.unresolvable,
            error: "",
        })
    }
}

/// An answer that says why there is none. kube-scheduler tries the pod again later.
#[must_use]
pub fn filter_error(message: &str) -> Vec<u8> {
    super::encode(&FilterReply {
        passed: None,
        failed: &[],
        unresolvable: &[],
        error: message,
    })
}

struct FilterReply<'r> {
    passed: Option<&'r Passed<'r>>,
    failed: &'r [Failure<'r>],
    unresolvable: &'r [Failure<'r>],
    error: &'r str,
}

impl Serialize for FilterReply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        let absent = &();
        match self.passed {
            None => {
                map.serialize_entry("Nodes", absent)?;
                map.serialize_entry("NodeNames", absent)?;
            }
            Some(Passed::All(Asked::Names(names))) => {
                map.serialize_entry("Nodes", absent)?;
                map.serialize_entry("NodeNames", names)?;
            }
            Some(Passed::Names(names)) => {
                map.serialize_entry("Nodes", absent)?;
                map.serialize_entry("NodeNames", names)?;
            }
            Some(Passed::All(Asked::Nodes(nodes))) => {
                map.serialize_entry("Nodes", nodes)?;
                map.serialize_entry("NodeNames", absent)?;
            }
            Some(Passed::Nodes(nodes)) => {
                map.serialize_entry("Nodes", nodes)?;
                map.serialize_entry("NodeNames", absent)?;
            }
        }
        map.serialize_entry("FailedNodes", &FailedMap(self.failed))?;
        map.serialize_entry("FailedAndUnresolvableNodes", &FailedMap(self.unresolvable))?;
        map.serialize_entry("Error", self.error)?;
        map.end()
    }
}

struct FailedMap<'r>(&'r [Failure<'r>]);

impl Serialize for FailedMap<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|failure| (&failure.node, failure.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(body: &str, expect: &str, foreign: bool) {
        let error = FilterArgs::read(body).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.is_foreign()),
            (expect, foreign),
            "{body}"
        );
    }

    #[test]
    fn a_call_without_a_pod_or_with_no_clear_form_is_an_error_that_says_so() {
        check_error("{}", "the call has no Pod", false);
        check_error(
            r#"{"Pod":null,"NodeNames":[]}"#,
            "the call has no Pod",
            false,
        );
        check_error(
            r#"{"Pod":{"metadata":{}}}"#,
            "ExtenderArgs has neither Nodes nor NodeNames",
            false,
        );
        check_error(
            r#"{"Pod":{"metadata":{}},"Nodes":null,"NodeNames":null}"#,
            "ExtenderArgs has neither Nodes nor NodeNames",
            false,
        );
        check_error(
            r#"{"Pod":{"metadata":{}},"Nodes":{"items":[]},"NodeNames":[]}"#,
            "ExtenderArgs has both Nodes and NodeNames",
            false,
        );
        check_error(
            r#"{"Pod":7,"NodeNames":[]}"#,
            "the Pod of the call is not readable: invalid type: integer `7`, expected struct Pod at line 1 column 1",
            false,
        );
    }

    #[test]
    fn a_body_that_is_not_of_this_protocol_is_foreign() {
        check_error(
            "",
            "the body is not ExtenderArgs: EOF while parsing a value at line 1 column 0",
            true,
        );
        check_error(
            r#"{"Pod":{},"Pod":{}}"#,
            "the body is not ExtenderArgs: duplicate field `Pod` at line 1 column 15",
            true,
        );
    }

    #[test]
    fn nodes_that_pass_keep_their_bytes_and_the_list_its_own_fields() {
        let nodes: &RawValue = serde_json::from_str(
            r#"{"metadata": {"resourceVersion":"7"}, "items":[{ "metadata" : {"name":"a\u002f"}, "x":1.50e3 }, {"metadata":{"name":"b"}}]}"#,
        )
        .unwrap();
        let list = NodeList::read(nodes).unwrap();
        assert_eq!(node_name(0, list.items()[0]).unwrap().as_str(), "a/");
        let first = vec![list.items()[0]];
        let result = FilterResult {
            passed: Passed::Nodes(list.with_items(first)),
            failed: vec![],
            unresolvable: vec![Failure {
                node: Text("b".into()),
                text: "OVN agents not ready",
            }],
        };
        assert_eq!(
            String::from_utf8(result.encode()).unwrap(),
            r#"{"Nodes":{"metadata":{"resourceVersion":"7"},"items":[{ "metadata" : {"name":"a\u002f"}, "x":1.50e3 }]},"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{"b":"OVN agents not ready"},"Error":""}"#
        );
    }

    #[test]
    fn more_nodes_than_any_cluster_has_are_refused() {
        let names = |count| format!("[{}\"a\"]", "\"a\",".repeat(count - 1));
        let parse = |text: String| {
            let raw: Box<RawValue> = serde_json::from_str(&text).unwrap();
            read_names(&raw)
                .map(|names| names.len())
                .map_err(|error| error.to_string())
        };
        assert_eq!(parse(names(MOST_NODES)), Ok(MOST_NODES));
        let error = parse(names(MOST_NODES + 1)).unwrap_err();
        assert!(
            error.starts_with("NodeNames is not readable: more than 65536 nodes at line 1"),
            "{error}"
        );
    }

    #[test]
    fn an_error_names_no_nodes() {
        assert_eq!(
            String::from_utf8(filter_error("why")).unwrap(),
            r#"{"Nodes":null,"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":"why"}"#
        );
    }

    #[test]
    fn a_node_without_a_name_is_named_by_its_place() {
        let node: &RawValue = serde_json::from_str(r#"{"metadata":{}}"#).unwrap();
        assert_eq!(
            node_name(3, node).unwrap_err().to_string(),
            "item 3 of Nodes is not readable: missing field `name` at line 1 column 14"
        );
    }
}

//! kube-scheduler's extender API (`k8s.io/kube-scheduler/extender/v1`): JSON keys are the Go field
//! names. Whole nodes are passed on as the bytes they came as.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::error::Category;
use serde_json::value::RawValue;
use serde_path_to_error::Segment;

use crate::domain::{NodeFacts, Provider};
use crate::wire::gather::AtMost;
use crate::wire::objects::{Node, Pod};
use crate::wire::{Map, Reply, Text, error_with_path, read_object};

/// The nodes of one call: several times the largest clusters there are. A node takes more memory
/// than its name, so that the size of a body alone does not bound what it costs.
pub(super) const MOST_NODES: usize = 65_536;

/// Why a call can't be answered.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// The body is not JSON, or not of the shape of `ExtenderArgs`.
    #[error("the body is not ExtenderArgs: {0}")]
    NotArgs(#[source] serde_json::Error),
    /// The body is not JSON, or not of the shape of `ExtenderPreemptionArgs`.
    #[error("the body is not ExtenderPreemptionArgs: {0}")]
    NotPreemption(#[source] serde_json::Error),
    /// The body is not JSON, or not of the shape of `ExtenderBindingArgs`.
    #[error("the body is not ExtenderBindingArgs: {0}")]
    NotBinding(#[source] serde_json::Error),
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
    /// `NodeNames` is not a list.
    #[error("NodeNames is not readable: {0}")]
    BadNames(#[source] serde_json::Error),
    /// One of the names is not a string.
    #[error("item {index} of NodeNames is not readable: {source}")]
    BadName {
        /// Its place in the list, from 0.
        index: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
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
    /// Why a call can't be read: what is JSON, and wrong in the list of nodes, is said of that list.
    fn of(body: &str, error: serde_json::Error) -> Self {
        if error.classify() != Category::Data {
            return Self::NotArgs(error);
        }
        let located = error_with_path::<ExtenderArgs<'_>>(body);
        let path = located.iter().flat_map(|located| located.path().iter());
        let path: Vec<_> = path.take(2).collect();
        match path.as_slice() {
            [list, Segment::Seq { index }] if is_named(list, "NodeNames") => Self::BadName {
                index: *index,
                source: error,
            },
            [list, ..] if is_named(list, "NodeNames") => Self::BadNames(error),
            [list, ..] if is_named(list, "Nodes") => Self::BadNodes(error),
            _ => Self::NotArgs(error),
        }
    }

    /// Whether the caller does not speak the protocol, so that it gets a status of 400. Everything
    /// else is answered in the protocol's own `Error`, because kube-scheduler shows that to people
    /// and drops the body of any other status.
    #[must_use]
    pub const fn is_protocol_error(&self) -> bool {
        matches!(
            self,
            Self::NotArgs(_) | Self::NotPreemption(_) | Self::NotBinding(_)
        )
    }
}

fn is_named(segment: &Segment, name: &str) -> bool {
    matches!(segment, Segment::Map { key } if key == name)
}

/// A filter call: the pod, and the nodes in one of two forms.
#[derive(Debug)]
pub struct FilterArgs<'a> {
    /// The pod to be scheduled.
    pub pod: Pod<'a>,
    /// The nodes asked about.
    pub nodes: NodesArg<'a>,
}

/// The nodes of a call. Whole nodes are read when they are looked at, which most pods do not need.
#[derive(Debug)]
pub enum NodesArg<'a> {
    /// `nodeCacheCapable: true`: names alone.
    Names(Vec<AskedNode<'a>>),
    /// `nodeCacheCapable: false`: a `NodeList`.
    Nodes(NodeList<'a>),
}

/// A list whose items are not read yet.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct LazyList<'a>(#[serde(borrow)] AtMost<MOST_NODES, &'a RawValue>);

/// A `NodeList`: the fields that go back with it, as they came, and its nodes.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeList<'a> {
    #[serde(borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    api_version: Option<&'a RawValue>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow, default)]
    items: Option<LazyList<'a>>,
}

/// A node that is asked about.
#[derive(Clone, Debug)]
pub struct AskedNode<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// All of it, as it came, where more came than its name.
    pub whole: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExtenderArgs<'a> {
    #[serde(borrow, default)]
    pod: Option<&'a RawValue>,
    #[serde(borrow, default)]
    nodes: Option<Map<NodeList<'a>>>,
    #[serde(borrow, default)]
    node_names: Option<AtMost<MOST_NODES, AskedNode<'a>>>,
}

impl<'a> FilterArgs<'a> {
    /// Reads a call.
    pub fn read(body: &'a str) -> Result<Self, ArgsError> {
        let ExtenderArgs {
            pod,
            nodes,
            node_names,
        } = read_object(body).map_err(|error| ArgsError::of(body, error))?;
        let pod = pod.ok_or(ArgsError::NoPod)?;
        let nodes = match (node_names, nodes) {
            (Some(AtMost(names)), None) => NodesArg::Names(names),
            (None, Some(Map(list))) => NodesArg::Nodes(list),
            (None, None) => return Err(ArgsError::NoNodes),
            (Some(_), Some(_)) => return Err(ArgsError::BothForms),
        };
        let pod = read_object(pod.get()).map_err(ArgsError::BadPod)?;
        Ok(Self { pod, nodes })
    }
}

impl<'a> NodesArg<'a> {
    /// The nodes, in their order.
    pub fn read(&self) -> Result<Cow<'_, [AskedNode<'a>]>, ArgsError> {
        match self {
            Self::Names(names) => Ok(names.into()),
            Self::Nodes(list) => {
                let items = list.items().iter().enumerate();
                items.map(|(index, node)| read_node(index, node)).collect()
            }
        }
    }

    /// The answer to the filter call of this body in which all nodes pass, without a look at them.
    #[must_use]
    pub fn pass_all(&self, body: &'a str) -> Reply<'a> {
        self.answer(body, &[], &[], |out| match self {
            Self::Names(names) => write_list(names.iter(), out, write_node),
            Self::Nodes(list) => {
                let items = list.items().iter();
                write_list(items, out, |item, out| out.quote(item.get()));
            }
        })
    }

    /// The answer to the filter call of this body: the nodes that pass, those that may pass when they
    /// are asked about again, and those that no preemption can help.
    #[must_use]
    pub fn filtered(
        &self,
        body: &'a str,
        passed: &[&AskedNode<'a>],
        failed: &[Failure<'_>],
        unresolvable: &[Failure<'_>],
    ) -> Reply<'a> {
        self.answer(body, failed, unresolvable, |out| {
            write_list(passed.iter().copied(), out, write_node);
        })
    }

    fn answer(
        &self,
        body: &'a str,
        failed: &[Failure<'_>],
        unresolvable: &[Failure<'_>],
        write_passed: impl FnOnce(&mut Reply<'a>),
    ) -> Reply<'a> {
        let mut out = Reply::to(body);
        match self {
            Self::Names(_) => {
                out.json(r#"{"Nodes":null,"NodeNames":"#);
                write_passed(&mut out);
            }
            Self::Nodes(list) => {
                out.json(r#"{"Nodes":{"#);
                for (field, value) in [
                    (r#""kind":"#, list.kind),
                    (r#""apiVersion":"#, list.api_version),
                    (r#""metadata":"#, list.metadata),
                ] {
                    if let Some(value) = value {
                        out.json(field);
                        out.quote(value.get());
                        out.json(",");
                    }
                }
                out.json(r#""items":"#);
                write_passed(&mut out);
                out.json(r#"},"NodeNames":null"#);
            }
        }
        write_failures(failed, unresolvable, "", &mut out);
        out
    }
}

impl<'a> LazyList<'a> {
    fn items(&self) -> &[&'a RawValue] {
        let Self(AtMost(items)) = self;
        items
    }
}

impl<'a> NodeList<'a> {
    fn items(&self) -> &[&'a RawValue] {
        let items = self.items.as_ref();
        items.map(LazyList::items).unwrap_or_default()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for AskedNode<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Text::deserialize(deserializer)?;
        Ok(Self { name, whole: None })
    }
}

/// A node as far as its name.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    metadata: Map<NamedMetadata<'a>>,
}

#[derive(Deserialize)]
struct NamedMetadata<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

fn read_node(index: usize, json: &RawValue) -> Result<AskedNode<'_>, ArgsError> {
    let json = json.get();
    let Named { metadata } =
        read_object(json).map_err(|source| ArgsError::BadNode { index, source })?;
    let Map(NamedMetadata { name }) = metadata;
    Ok(AskedNode {
        name,
        whole: Some(json),
    })
}

/// The facts of a node that came whole, for one that berth has not seen yet. `index` is its place in
/// the call.
pub fn node_facts(index: usize, node: &str, provider: Provider) -> Result<NodeFacts, ArgsError> {
    let node: Node<'_> =
        read_object(node).map_err(|source| ArgsError::BadNode { index, source })?;
    Ok(node.into_facts(provider).1)
}

/// A node that did not pass and the text for it.
#[derive(Debug)]
pub struct Failure<'a> {
    /// The node's name.
    pub node: &'a str,
    /// The text, which is the same for every node that is rejected for this reason.
    pub text: &'a str,
}

/// An answer that says why the nodes could not be judged. kube-scheduler tries the pod again later.
#[must_use]
pub fn filter_error(message: &str) -> Reply<'static> {
    let mut out = Reply::default();
    out.json(r#"{"Nodes":null,"NodeNames":null"#);
    write_failures(&[], &[], message, &mut out);
    out
}

fn write_node<'a>(node: &AskedNode<'a>, out: &mut Reply<'a>) {
    match node.whole {
        Some(whole) => out.quote(whole),
        None => out.text(&node.name),
    }
}

fn write_list<'a, T>(
    items: impl Iterator<Item = T>,
    out: &mut Reply<'a>,
    write: impl Fn(T, &mut Reply<'a>),
) {
    out.json("[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.json(",");
        }
        write(item, out);
    }
    out.json("]");
}

/// The fields after the nodes that pass, and the end of the answer.
fn write_failures(
    failed: &[Failure<'_>],
    unresolvable: &[Failure<'_>],
    error: &str,
    out: &mut Reply<'_>,
) {
    out.json(r#","FailedNodes":"#);
    out.value(&Failures(failed));
    out.json(r#","FailedAndUnresolvableNodes":"#);
    out.value(&Failures(unresolvable));
    out.json(r#","Error":"#);
    out.value(error);
    out.json("}");
}

struct Failures<'r>(&'r [Failure<'r>]);

impl Serialize for Failures<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let failures = self.0.iter();
        serializer.collect_map(failures.map(|failure| (failure.node, failure.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_error(body: &str, expect: &str, is_protocol_error: bool) {
        let error = FilterArgs::read(body).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.is_protocol_error()),
            (expect, is_protocol_error),
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
    fn a_body_that_is_not_of_this_protocol_is_a_protocol_error() {
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

    fn names_in(call: &str) -> Result<Vec<String>, ArgsError> {
        let args = FilterArgs::read(call)?;
        let nodes = args.nodes.read()?;
        Ok(nodes.iter().map(|node| node.name.0.to_string()).collect())
    }

    fn to_text(reply: &Reply<'_>) -> String {
        String::from_utf8(reply.to_vec()).unwrap()
    }

    #[test]
    fn nodes_that_pass_keep_their_bytes_and_the_list_its_own_fields() {
        let call = r#"{"Pod":{"metadata":{}},"Nodes":{"metadata": {"resourceVersion":"7"}, "more": 1, "kind":null, "items":[{ "metadata" : {"name":"a\u002f"}, "x":1.50e3 }, {"metadata":{"name":"b"}}]}}"#;
        let args = FilterArgs::read(call).unwrap();
        let nodes = args.nodes.read().unwrap();
        assert_eq!(nodes[0].name.as_str(), "a/");
        let rejected = Failure {
            node: nodes[1].name.as_str(),
            text: "OVN agents not ready",
        };
        assert_eq!(
            to_text(&args.nodes.filtered(call, &[&nodes[0]], &[], &[rejected])),
            r#"{"Nodes":{"metadata":{"resourceVersion":"7"},"items":[{ "metadata" : {"name":"a\u002f"}, "x":1.50e3 }]},"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{"b":"OVN agents not ready"},"Error":""}"#
        );
    }

    #[test]
    fn names_that_pass_and_those_that_fail_are_in_the_answer() {
        let call = r#"{"Pod":{"metadata":{}},"NodeNames":["a","\u0062",  "c\"","d"]}"#;
        let args = FilterArgs::read(call).unwrap();
        let nodes = args.nodes.read().unwrap();
        let failure = |index: usize, text| Failure {
            node: nodes[index].name.as_str(),
            text,
        };
        assert_eq!(
            to_text(&args.nodes.filtered(
                call,
                &[&nodes[1], &nodes[2]],
                &[failure(0, "unknown")],
                &[failure(3, "rejected")]
            )),
            r#"{"Nodes":null,"NodeNames":["b","c\""],"FailedNodes":{"a":"unknown"},"FailedAndUnresolvableNodes":{"d":"rejected"},"Error":""}"#
        );
    }

    #[test]
    fn nodes_that_are_not_looked_at_go_back_as_they_came() {
        for (nodes, expect) in [
            (
                r#""NodeNames":["a", "\u0062\""]"#,
                r#""Nodes":null,"NodeNames":["a","b\""]"#,
            ),
            (
                r#""Nodes":{"apiVersion":"v1","items":[ 7 , {"a": 1}]}"#,
                r#""Nodes":{"apiVersion":"v1","items":[7,{"a": 1}]},"NodeNames":null"#,
            ),
            (r#""Nodes":{}"#, r#""Nodes":{"items":[]},"NodeNames":null"#),
        ] {
            let call = format!(r#"{{"Pod":{{"metadata":{{}}}},{nodes}}}"#);
            let answer = FilterArgs::read(&call).unwrap().nodes.pass_all(&call);
            assert_eq!(
                to_text(&answer),
                format!(
                    r#"{{{expect},"FailedNodes":{{}},"FailedAndUnresolvableNodes":{{}},"Error":""}}"#
                )
            );
        }
    }

    #[test]
    fn a_name_that_is_no_string_is_an_error() {
        for (names, expect) in [
            (
                r#"["a",7]"#,
                "item 1 of NodeNames is not readable: invalid type: integer `7`, expected a string at line 1 column 41",
            ),
            (
                r#""a""#,
                "NodeNames is not readable: invalid type: string \"a\", expected a sequence at line 1 column 38",
            ),
        ] {
            let call = format!(r#"{{"Pod":{{"metadata":{{}}}},"NodeNames":{names}}}"#);
            assert_eq!(names_in(&call).unwrap_err().to_string(), expect);
        }
    }

    #[test]
    fn more_nodes_than_any_cluster_has_are_refused() {
        let call = |nodes: &str| format!(r#"{{"Pod":{{"metadata":{{}}}},{nodes}}}"#);
        let items = |item: &str, count| vec![item; count].join(",");
        let error = |result: Result<usize, ArgsError>| {
            let error = result.unwrap_err().to_string();
            error.split(" at line ").next().unwrap().to_owned()
        };
        let count_names = |count| {
            let call = call(&format!(r#""NodeNames":[{}]"#, items(r#""a""#, count)));
            names_in(&call).map(|names| names.len())
        };
        assert_eq!(count_names(MOST_NODES).unwrap(), MOST_NODES);
        assert_eq!(
            error(count_names(MOST_NODES + 1)),
            "NodeNames is not readable: more than 65536 items"
        );
        let count_nodes = |count| {
            let items = items(r#"{"metadata":{"name":"a"}}"#, count);
            let call = call(&format!(r#""Nodes":{{"items":[{items}]}}"#));
            names_in(&call).map(|names| names.len())
        };
        assert_eq!(count_nodes(MOST_NODES).unwrap(), MOST_NODES);
        assert_eq!(
            error(count_nodes(MOST_NODES + 1)),
            "Nodes is not readable: more than 65536 items"
        );
    }

    #[test]
    fn an_error_names_no_nodes() {
        assert_eq!(
            to_text(&filter_error("why")),
            r#"{"Nodes":null,"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":"why"}"#
        );
    }

    #[test]
    fn what_can_not_be_read_is_named_by_its_place() {
        for (list, expect) in [
            (
                r#"{"items":[{"metadata":{"name":"a"}},{"metadata":{}}]}"#,
                "item 1 of Nodes is not readable: missing field `name` at line 1 column 14",
            ),
            (
                r#"{"items":[{"metadata":{"name":"a","name":"b"}}]}"#,
                "item 0 of Nodes is not readable: duplicate field `name` at line 1 column 30",
            ),
            (
                r#"{"items":[{"metadata":{"name":"a"},"metadata":{"name":"b"}}]}"#,
                "item 0 of Nodes is not readable: duplicate field `metadata` at line 1 column 35",
            ),
            (
                r#"{"items":[[{"name":"a"}]]}"#,
                "item 0 of Nodes is not readable: expected an object, not an array",
            ),
            (
                r#"{"items":[],"items":[]}"#,
                "Nodes is not readable: duplicate field `items` at line 1 column 50",
            ),
            (
                r#"{"items":7}"#,
                "Nodes is not readable: invalid type: integer `7`, expected a sequence at line 1 column 41",
            ),
            (
                r#"[{"metadata":{"name":"a"}}]"#,
                "Nodes is not readable: invalid type: sequence, expected a map at line 1 column 31",
            ),
        ] {
            let call = format!(r#"{{"Pod":{{"metadata":{{}}}},"Nodes":{list}}}"#);
            assert_eq!(names_in(&call).unwrap_err().to_string(), expect);
        }
    }

    #[test]
    fn fields_are_read_in_any_order_and_however_they_are_written() {
        for (call, expect) in [
            (
                r#"{"Pod":{"metadata":{}},"Nodes":null,"NodeNames":["a"]}"#,
                vec!["a"],
            ),
            (
                r#" { "NodeNames" : [ "a" , "\u0062" ] , "\u0050od" : { "metadata" : { } } } "#,
                vec!["a", "b"],
            ),
            (
                r#"{"Pod":{"metadata":{}},"Nodes":{"items":null},"NodeNames":null}"#,
                vec![],
            ),
            (
                r#"{"Pod":{"metadata":{}},"Nodes":{"metadata":{"x":[7]},"items":[ {"metadata":{"name":"a"},"x":[{}]} , {"metadata":{"name":"ü"}} ]}, "more": 1}"#,
                vec!["a", "ü"],
            ),
        ] {
            assert_eq!(names_in(call).unwrap(), expect, "{call}");
        }
    }
}

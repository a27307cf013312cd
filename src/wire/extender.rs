//! kube-scheduler's extender API (`k8s.io/kube-scheduler/extender/v1`): JSON keys are the Go field
//! names. Whole nodes are passed on as the bytes they came as.

use serde::Deserialize;
use serde::de::Error as _;
use serde_json::value::RawValue;

use crate::domain::{NodeFacts, Provider};
use crate::text::shorten;
use crate::wire::gather::AtMost;
use crate::wire::names::Names;
use crate::wire::objects::{Node, Pod};
use crate::wire::reply::{Reply, Writer};
use crate::wire::scan::{Cursor, once};
use crate::wire::{Map, Text};

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

/// The nodes of a call. What is wrong with one of them counts only when they are looked at: most
/// pods are none of berth's business.
#[derive(Debug)]
pub enum Asked<'a> {
    /// `nodeCacheCapable: true`: names alone.
    Names(Listed<'a, Names<'a>>),
    /// `nodeCacheCapable: false`: a `NodeList`.
    Nodes(Listed<'a, NodeList<'a>>),
}

/// A list as it came, and what is in it if that could be read on the way.
#[derive(Debug)]
pub struct Listed<'a, T> {
    text: &'a str,
    read: Option<T>,
}

/// The fields of `ExtenderArgs`.
struct Parts<'a> {
    pod: Option<Result<Pod<'a>, serde_json::Error>>,
    names: Option<Listed<'a, Names<'a>>>,
    nodes: Option<Listed<'a, NodeList<'a>>>,
}

impl<'a> FilterArgs<'a> {
    /// Reads a call.
    pub fn read(body: &'a str) -> Result<Self, ArgsError> {
        Self::of(Parts::scan(body).map_or_else(|| Parts::read(body), Ok)?)
    }

    /// Reads a call step by step, as is done for the sake of its error when it can't be read in one
    /// go. It comes to the same.
    pub fn read_slowly(body: &'a str) -> Result<Self, ArgsError> {
        Self::of(Parts::read(body)?)
    }

    fn of(Parts { pod, names, nodes }: Parts<'a>) -> Result<Self, ArgsError> {
        let pod = pod.ok_or(ArgsError::NoPod)?;
        let asked = match (names, nodes) {
            (Some(names), None) => Asked::Names(names),
            (None, Some(nodes)) => Asked::Nodes(nodes),
            (None, None) => return Err(ArgsError::NoNodes),
            (Some(_), Some(_)) => return Err(ArgsError::BothForms),
        };
        let pod = pod.map_err(ArgsError::BadPod)?;
        Ok(Self { pod, asked })
    }
}

impl<'a> Parts<'a> {
    /// Reads all of a call in one go: it may have 100 MB of nodes.
    fn scan(body: &'a str) -> Option<Self> {
        let (mut pod, mut names, mut nodes) = (None, None, None);
        let mut cursor = Cursor::new(body);
        cursor.object(|cursor, key| match key {
            "Pod" => once(&mut pod, cursor.object_or_null()?),
            "NodeNames" => once(&mut names, Listed::scan(cursor, Names::scan)?),
            "Nodes" => once(&mut nodes, Listed::scan(cursor, NodeList::scan)?),
            _ => cursor.skip(),
        })?;
        cursor.is_at_end().then(|| Self {
            pod: pod.flatten().map(Ok),
            names: names.flatten(),
            nodes: nodes.flatten(),
        })
    }

    /// The same, step by step, and with what is wrong.
    fn read(body: &'a str) -> Result<Self, ArgsError> {
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
        Ok(Self {
            pod: pod.map(|pod| super::read_object(pod.get())),
            names: node_names.map(Listed::unread),
            nodes: nodes.map(Listed::unread),
        })
    }
}

impl<'a, T> Listed<'a, T> {
    /// The list as it came.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.text
    }

    fn unread(text: &'a RawValue) -> Self {
        Self {
            text: text.get(),
            read: None,
        }
    }

    /// Reads a list where it is one, and passes over whatever else is there; null is none.
    #[expect(clippy::option_option, reason = "null is read as well as a list is")]
    fn scan(
        cursor: &mut Cursor<'a>,
        scan: impl FnOnce(&mut Cursor<'a>) -> Option<T>,
    ) -> Option<Option<Self>> {
        cursor.peek()?;
        let start = cursor.clone();
        if let Some(read) = scan(cursor) {
            return Some(Some(Self {
                text: start.text_until(cursor)?,
                read: Some(read),
            }));
        }
        *cursor = start;
        let (text, _) = cursor.value::<Option<&RawValue>>()?;
        Some(text.map(Self::unread))
    }
}

impl<'a> Listed<'a, Names<'a>> {
    /// The names.
    pub fn read(self) -> Result<Names<'a>, ArgsError> {
        match self.read {
            Some(names) => Ok(names),
            None => Names::read(self.text).map_err(ArgsError::BadNames),
        }
    }
}

impl<'a> Listed<'a, NodeList<'a>> {
    /// The list.
    pub fn read(self) -> Result<NodeList<'a>, ArgsError> {
        match self.read {
            Some(list) => Ok(list),
            None => NodeList::read(self.text),
        }
    }
}

impl Asked<'_> {
    /// Whether it is a list at all, for when its items are not looked at.
    pub fn check_shape(&self) -> Result<(), ArgsError> {
        let wrong = |found: &str| {
            let found = shorten(found, 20);
            serde_json::Error::custom(format!("a list is expected, not {found}"))
        };
        match self {
            Self::Names(names) if !names.text.starts_with('[') => {
                Err(ArgsError::BadNames(wrong(names.text)))
            }
            Self::Nodes(nodes) if !nodes.text.starts_with('{') => {
                Err(ArgsError::BadNodes(wrong(nodes.text)))
            }
            Self::Names(_) | Self::Nodes(_) => Ok(()),
        }
    }
}

/// A `NodeList` whose items are not decoded.
#[derive(Debug)]
pub struct NodeList<'a> {
    /// The fields of the list itself: key, and value as it came.
    fields: Vec<(&'static str, &'a str)>,
    /// The nodes.
    pub items: Vec<ListedNode<'a>>,
}

/// A node of a list.
#[derive(Clone, Debug)]
pub struct ListedNode<'a> {
    /// Its name.
    pub name: Text<'a>,
    /// All of it, as it came.
    pub text: &'a str,
}

/// The fields of a `NodeList` that go back with it.
const LIST_FIELDS: [&str; 3] = ["kind", "apiVersion", "metadata"];

impl<'a> NodeList<'a> {
    fn scan(cursor: &mut Cursor<'a>) -> Option<Self> {
        let mut fields = [None; LIST_FIELDS.len()];
        let mut items = None;
        cursor.object(|cursor, key| {
            if key == "items" {
                return once(&mut items, scan_items(cursor)?);
            }
            match LIST_FIELDS.iter().position(|field| *field == key) {
                Some(field) => once(&mut fields[field], cursor.value::<Option<&RawValue>>()?.0),
                None => cursor.skip(),
            }
        })?;
        Some(Self::new(
            fields.map(Option::flatten),
            items.unwrap_or_default(),
        ))
    }

    /// The same, step by step, and with what is wrong.
    fn read(text: &'a str) -> Result<Self, ArgsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct PlainList<'a> {
            #[serde(borrow, default)]
            kind: Option<&'a RawValue>,
            #[serde(borrow, default)]
            api_version: Option<&'a RawValue>,
            #[serde(borrow, default)]
            metadata: Option<&'a RawValue>,
            #[serde(borrow, default)]
            items: Option<AtMost<MOST_NODES, &'a RawValue>>,
        }

        let PlainList {
            kind,
            api_version,
            metadata,
            items,
        } = super::read_object(text).map_err(ArgsError::BadNodes)?;
        let AtMost(items) = items.unwrap_or(AtMost(Vec::new()));
        let items = items.into_iter().enumerate().map(|(index, item)| {
            let text = item.get();
            let name = node_name(index, text)?;
            Ok(ListedNode { name, text })
        });
        let items = items.collect::<Result<_, ArgsError>>()?;
        Ok(Self::new([kind, api_version, metadata], items))
    }

    fn new(fields: [Option<&'a RawValue>; LIST_FIELDS.len()], items: Vec<ListedNode<'a>>) -> Self {
        let fields = LIST_FIELDS.into_iter().zip(fields);
        let fields = fields.filter_map(|(field, value)| Some((field, value?.get())));
        Self {
            fields: fields.collect(),
            items,
        }
    }
}

/// The nodes of a list, each read once; null is none.
fn scan_items<'a>(cursor: &mut Cursor<'a>) -> Option<Vec<ListedNode<'a>>> {
    let mut items = Vec::new();
    if cursor.peek()? != b'[' {
        return cursor.value::<()>().map(|_| items);
    }
    cursor.array(|cursor| {
        if items.len() == MOST_NODES || cursor.peek()? != b'{' {
            return None;
        }
        let (Named { metadata }, text) = cursor.value()?;
        let Map(NamedMetadata { name }) = metadata;
        items.push(ListedNode { name, text });
        Some(())
    })?;
    Some(items)
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

/// The name of a node, read without the rest of it.
fn node_name(index: usize, node: &str) -> Result<Text<'_>, ArgsError> {
    let Named { metadata } =
        super::read_object(node).map_err(|source| ArgsError::BadNode { index, source })?;
    let Map(NamedMetadata { name }) = metadata;
    Ok(name)
}

/// The facts of a node, for one that berth has not seen yet.
pub fn node_facts(
    index: usize,
    node: &ListedNode<'_>,
    provider: Provider,
) -> Result<NodeFacts, ArgsError> {
    let node: Node<'_> =
        super::read_object(node.text).map_err(|source| ArgsError::BadNode { index, source })?;
    Ok(node.into_facts(provider).1)
}

/// The nodes that passed, in the form that was asked in.
#[derive(Debug)]
pub enum Passed<'a> {
    /// Every node passed: the list goes back as it came.
    All(Asked<'a>),
    /// Of these names, those with true.
    Names(&'a Names<'a>, Vec<bool>),
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
    /// The answer as JSON, to the call of this body.
    #[must_use]
    pub fn encode(&self, body: &str) -> Reply {
        let mut out = Writer::new(body);
        match &self.passed {
            Passed::All(Asked::Names(Listed { text, .. })) => {
                out.json(r#"{"Nodes":null,"NodeNames":"#);
                out.quote(text);
            }
            Passed::Names(names, passed) => {
                // They are in the call as well, and so are those that did not pass.
                let failures = self.failed.iter().chain(&self.unresolvable);
                let texts: usize = failures.map(|failure| failure.text.len() + 6).sum();
                out.reserve(body.len() + texts);
                out.json(r#"{"Nodes":null,"NodeNames":["#);
                names.write(passed, &mut out);
                out.json("]");
            }
            Passed::All(Asked::Nodes(Listed { text, .. })) => {
                out.json(r#"{"Nodes":"#);
                out.quote(text);
                out.json(r#","NodeNames":null"#);
            }
            Passed::Nodes(list) => {
                out.json(r#"{"Nodes":"#);
                list.write(&mut out);
                out.json(r#","NodeNames":null"#);
            }
        }
        for (field, failures) in [
            ("FailedNodes", &self.failed),
            ("FailedAndUnresolvableNodes", &self.unresolvable),
        ] {
            out.json(",");
            out.string(field);
            out.json(":{");
            for (index, failure) in failures.iter().enumerate() {
                if index > 0 {
                    out.comma();
                }
                out.string(failure.node.as_str());
                out.json(":");
                out.string(failure.text);
            }
            out.json("}");
        }
        out.json(r#","Error":""}"#);
        out.finish()
    }
}

impl NodeList<'_> {
    fn write(&self, out: &mut Writer<'_>) {
        out.json("{");
        for (field, value) in &self.fields {
            out.string(field);
            out.json(":");
            out.quote(value);
            out.json(",");
        }
        out.json(r#""items":["#);
        for (index, node) in self.items.iter().enumerate() {
            if index > 0 {
                out.comma();
            }
            out.quote(node.text);
        }
        out.json("]}");
    }
}

/// An answer that says why there is none. kube-scheduler tries the pod again later.
#[must_use]
pub fn filter_error(message: &str) -> Reply {
    let mut out = Writer::new("");
    out.json(
        r#"{"Nodes":null,"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":"#,
    );
    out.string(message);
    out.json("}");
    out.finish()
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

    fn names(call: &str) -> Result<Names<'_>, ArgsError> {
        match FilterArgs::read(call)?.asked {
            Asked::Names(names) => names.read(),
            Asked::Nodes(_) => panic!("{call}"),
        }
    }

    fn list(call: &str) -> Result<NodeList<'_>, ArgsError> {
        match FilterArgs::read(call)?.asked {
            Asked::Nodes(nodes) => nodes.read(),
            Asked::Names(_) => panic!("{call}"),
        }
    }

    #[test]
    fn nodes_that_pass_keep_their_bytes_and_the_list_its_own_fields() {
        let call = r#"{"Pod":{"metadata":{}},"Nodes":{"metadata": {"resourceVersion":"7"}, "more": 1, "kind":null, "items":[{ "metadata" : {"name":"a\u002f"}, "x":1.50e3 }, {"metadata":{"name":"b"}}]}}"#;
        let mut list = list(call).unwrap();
        assert_eq!(list.items[0].name.as_str(), "a/");
        list.items.truncate(1);
        let result = FilterResult {
            passed: Passed::Nodes(list),
            failed: vec![],
            unresolvable: vec![Failure {
                node: Text("b".into()),
                text: "OVN agents not ready",
            }],
        };
        assert_eq!(
            String::from_utf8(result.encode(call).to_vec(call)).unwrap(),
            r#"{"Nodes":{"metadata":{"resourceVersion":"7"},"items":[{ "metadata" : {"name":"a\u002f"}, "x":1.50e3 }]},"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{"b":"OVN agents not ready"},"Error":""}"#
        );
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
            names(&call).map(|names| names.count())
        };
        assert_eq!(count_names(MOST_NODES).unwrap(), MOST_NODES);
        assert_eq!(
            error(count_names(MOST_NODES + 1)),
            "NodeNames is not readable: more than 65536 items"
        );
        let count_nodes = |count| {
            let items = items(r#"{"metadata":{"name":"a"}}"#, count);
            let call = call(&format!(r#""Nodes":{{"items":[{items}]}}"#));
            list(&call).map(|list| list.items.len())
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
            String::from_utf8(filter_error("why").to_vec("")).unwrap(),
            r#"{"Nodes":null,"NodeNames":null,"FailedNodes":{},"FailedAndUnresolvableNodes":{},"Error":"why"}"#
        );
    }

    #[test]
    fn what_can_not_be_read_is_named_by_its_place() {
        for (nodes, expect) in [
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
                "Nodes is not readable: duplicate field `items` at line 1 column 19",
            ),
            (
                r#"{"items":7}"#,
                "Nodes is not readable: invalid type: integer `7`, expected a sequence at line 1 column 10",
            ),
            (
                r#"[{"metadata":{"name":"a"}}]"#,
                "Nodes is not readable: expected an object, not an array",
            ),
        ] {
            let call = format!(r#"{{"Pod":{{"metadata":{{}}}},"Nodes":{nodes}}}"#);
            assert_eq!(list(&call).unwrap_err().to_string(), expect);
        }
    }

    #[test]
    fn what_is_well_formed_is_read_in_one_go() {
        for (call, expect) in [
            (
                r#"{"Pod":{"metadata":{}},"Nodes":null,"NodeNames":["a"]}"#,
                1,
            ),
            (
                r#" { "NodeNames" : [ "a" , "\u0062" ] , "\u0050od" : { "metadata" : { } } } "#,
                2,
            ),
            (r#"{"Pod":null,"Nodes":{"items":null},"NodeNames":null}"#, 0),
            (
                r#"{"Pod":{"metadata":{}},"Nodes":{"metadata":{"x":[7]},"items":[ {"metadata":{"name":"a"},"x":[{}]} ]}, "more": 1}"#,
                1,
            ),
        ] {
            let Parts { names, nodes, .. } = Parts::scan(call).unwrap();
            let names = names.map(|names| names.read.unwrap().count());
            let nodes = nodes.map(|nodes| nodes.read.unwrap().items.len());
            assert_eq!(names.or(nodes), Some(expect), "{call}");
        }
    }
}

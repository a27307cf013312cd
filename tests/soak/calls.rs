//! What is asked, and what is to be answered.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hyper::Method;
use serde_json::{Value, json};

use crate::churn;
use crate::support::{capture, capture_json};

/// The surface that counts a call in berth's metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    /// `berth_admission_requests_total`.
    Admission,
    /// `berth_extender_requests_total` of the verb `filter`.
    Filter,
    /// The same of `prioritize`.
    Prioritize,
    /// The same of `preempt`.
    Preempt,
    /// `berth_requests_refused_total`.
    Refused,
}

/// What is right for an answer: what is wrong with it is the error.
type Check = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// A request and its answer.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) counted: Counted,
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) body: bytes::Bytes,
    /// Refused before the body has come: closing an HTTP/1 connection on it may cost the answer.
    pub(crate) is_cut_off: bool,
    status: u16,
    check: Check,
}

/// Nodes that nothing happens to, each with the reason against it for the VMI `web`.
const VERDICTS: [(&str, Option<&str>); 5] = [
    ("el9-0", Some("migration source node")),
    ("el9-1", None),
    ("el9-2", None),
    ("el9-3", None),
    ("el9-nochassis", Some("OVN chassis not registered")),
];

/// Nodes that berth has never heard of, in a call that is answered off the serving threads.
const UNKNOWN: usize = 40;

impl Call {
    /// Everything, in an order in which a tenth is malformed.
    pub(crate) fn all() -> Vec<Self> {
        let good: [fn() -> Self; 8] = [
            patched,
            names,
            left_alone,
            whole,
            preempt,
            scores,
            many_whole,
            unknown_vmi,
        ];
        let by_turns: [fn() -> Self; 3] = [launch, whole_scores, launch_scores];
        let bad: [fn() -> Self; 9] = [
            cut_short,
            no_utf8,
            no_route,
            wrong_method,
            no_pod,
            too_large,
            twice,
            deep,
            no_form,
        ];
        let mut calls = Vec::new();
        for (turn, bad) in bad.into_iter().enumerate() {
            calls.extend(good.iter().map(|good| good()));
            calls.push(by_turns[turn % by_turns.len()]());
            calls.push(bad());
        }
        calls
    }

    /// What is wrong with an answer.
    pub(crate) fn problem(&self, status: u16, body: &str) -> Option<String> {
        let wrong = if status == self.status {
            (self.check)(body).err()?
        } else {
            format!("not {}", self.status)
        };
        let shown: String = body.chars().take(300).collect();
        Some(format!("{}: {status}, {wrong}: {shown}", self.name))
    }

    fn good(name: &'static str, counted: Counted, body: impl Into<String>, check: Check) -> Self {
        Self {
            name,
            counted,
            method: Method::POST,
            path: match counted {
                Counted::Admission | Counted::Refused => "/mutate?timeout=10s",
                Counted::Filter => "/scheduler/filter",
                Counted::Prioritize => "/scheduler/prioritize",
                Counted::Preempt => "/scheduler/preempt",
            },
            body: body.into().into(),
            is_cut_off: false,
            status: 200,
            check,
        }
    }

    fn refused(
        name: &'static str,
        path: &'static str,
        body: impl Into<bytes::Bytes>,
        status: u16,
        text: &'static str,
    ) -> Self {
        Self {
            name,
            counted: Counted::Refused,
            method: Method::POST,
            path,
            body: body.into(),
            is_cut_off: false,
            status,
            check: contains(text),
        }
    }
}

fn contains(text: &'static str) -> Check {
    Box::new(move |body| {
        let there = body.contains(text);
        there
            .then_some(())
            .ok_or_else(|| format!("without {text:?}"))
    })
}

fn exactly(expect: Value) -> Check {
    Box::new(move |body| {
        let found: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        (found == expect)
            .then_some(())
            .ok_or_else(|| format!("not {expect}"))
    })
}

fn patched() -> Call {
    let review = capture("admission-create-vm-bridge");
    let check = contains(r#""allowed":true,"patchType":"JSONPatch","patch":""#);
    Call::good(
        "a VM gets the annotation",
        Counted::Admission,
        review,
        check,
    )
}

fn left_alone() -> Call {
    let review = capture_json("admission-create-vm-masquerade");
    let reply = json!({
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "response": {"uid": review["request"]["uid"], "allowed": true},
    });
    let check = exactly(reply);
    Call::good(
        "a VM is left alone",
        Counted::Admission,
        review.to_string(),
        check,
    )
}

/// The nodes of every call: those that nothing happens to, and those that change.
fn node_names() -> Vec<String> {
    let fixed = VERDICTS.iter().map(|(name, _)| (*name).to_owned());
    fixed
        .chain((0..churn::NODES).map(churn::node_name))
        .collect()
}

/// Every node has one verdict, and the fixed ones have theirs.
fn verdicts(passed: impl Fn(&Value) -> Vec<String> + Send + Sync + 'static) -> Check {
    Box::new(move |body| {
        let reply: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        if reply["Error"] != "" {
            return Err("an error".to_owned());
        }
        let mut verdicts: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
        for name in passed(&reply) {
            verdicts.entry(name).or_default().push(None);
        }
        for field in ["FailedNodes", "FailedAndUnresolvableNodes"] {
            for (name, text) in reply[field].as_object().into_iter().flatten() {
                let text = text.as_str().map(str::to_owned);
                verdicts.entry(name.clone()).or_default().push(text);
            }
        }
        for name in node_names() {
            let found = verdicts.remove(&name).unwrap_or_default();
            let fixed = VERDICTS.iter().find(|(fixed, _)| *fixed == name);
            let is_right = match (found.as_slice(), fixed) {
                ([found], Some((_, expect))) => found.as_deref() == *expect,
                ([_], None) => true,
                _ => false,
            };
            if !is_right {
                return Err(format!("{name} is {found:?}"));
            }
        }
        if verdicts.is_empty() {
            Ok(())
        } else {
            Err(format!("nodes that were not asked about: {verdicts:?}"))
        }
    })
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .map(|item| item.as_str().unwrap_or_default().to_owned())
        .collect()
}

fn names() -> Call {
    let mut call = capture_json("filter-names-migration");
    call["NodeNames"] = json!(node_names());
    let check = verdicts(|reply| strings(&reply["NodeNames"]));
    Call::good("nodes by name", Counted::Filter, call.to_string(), check)
}

fn passed_nodes(reply: &Value) -> Vec<String> {
    let items = reply["Nodes"]["items"].as_array().into_iter().flatten();
    let name = |node: &Value| {
        node["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    items.map(name).collect()
}

/// A call with these nodes whole, all like one that is fit.
fn whole_call(names: &[String]) -> String {
    let mut call = capture_json("filter-names-migration");
    let mut cluster = crate::support::cluster();
    let node = crate::support::item(&mut cluster, "Node", "el9-1").clone();
    let items: Vec<Value> = names
        .iter()
        .map(|name| {
            let mut node = node.clone();
            node["metadata"]["name"] = json!(name);
            node
        })
        .collect();
    call["NodeNames"] = Value::Null;
    call["Nodes"] = json!({"metadata": {}, "items": items});
    call.to_string()
}

fn whole() -> Call {
    let check = verdicts(passed_nodes);
    let call = whole_call(&node_names());
    Call::good("whole nodes", Counted::Filter, call, check)
}

/// Nodes that only the request knows have no agents that berth knows.
fn many_whole() -> Call {
    let names: Vec<String> = (0..UNKNOWN).map(|i| format!("unknown-{i}")).collect();
    let call = whole_call(&names);
    let check = move |body: &str| {
        let reply: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let failed = reply["FailedAndUnresolvableNodes"].as_object();
        let failed = failed.map_or(0, serde_json::Map::len);
        (reply["Error"] == "" && failed == UNKNOWN)
            .then_some(())
            .ok_or_else(|| format!("{failed} of {UNKNOWN} nodes rejected"))
    };
    Call::good("many whole nodes", Counted::Filter, call, Box::new(check))
}

fn launch() -> Call {
    let call = capture_json("filter-names-launch");
    let reply = json!({
        "Nodes": null,
        "NodeNames": call["NodeNames"],
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": {},
        "Error": "",
    });
    let check = exactly(reply);
    Call::good("a first launch", Counted::Filter, call.to_string(), check)
}

/// Every node asked about has one score, in the order of the call.
fn scored(nodes: Vec<String>, right: impl Fn(u64) -> bool + Send + Sync + 'static) -> Check {
    Box::new(move |body| {
        let reply: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
        let scores = reply.as_array().ok_or("not a list")?;
        let hosts: Vec<_> = scores.iter().map(|one| one["Host"].as_str()).collect();
        if !hosts
            .iter()
            .copied()
            .eq(nodes.iter().map(|node| Some(node.as_str())))
        {
            return Err("other nodes than were asked about".to_owned());
        }
        let wrong = scores
            .iter()
            .find(|one| !one["Score"].as_u64().is_some_and(&right));
        wrong.map_or(Ok(()), |one| Err(format!("a score that is none: {one}")))
    })
}

fn scores() -> Call {
    let mut call = capture_json("filter-names-migration");
    call["NodeNames"] = json!(node_names());
    let check = scored(node_names(), |score| score <= 10);
    Call::good(
        "scores of names",
        Counted::Prioritize,
        call.to_string(),
        check,
    )
}

fn whole_scores() -> Call {
    let call = whole_call(&node_names());
    let check = scored(node_names(), |score| score <= 10);
    Call::good("scores of whole nodes", Counted::Prioritize, call, check)
}

fn launch_scores() -> Call {
    let call = capture_json("filter-names-launch");
    let check = scored(strings(&call["NodeNames"]), |score| score == 0);
    let name = "scores for a first launch";
    Call::good(name, Counted::Prioritize, call.to_string(), check)
}

fn no_form() -> Call {
    let text = "ExtenderArgs has neither Nodes nor NodeNames";
    Call::refused(
        "scores of nothing",
        "/scheduler/prioritize",
        r#"{"Pod":{"metadata":{}}}"#,
        400,
        text,
    )
}

fn unknown_vmi() -> Call {
    let mut call = capture_json("filter-names-migration");
    let owner = &mut call["Pod"]["metadata"]["ownerReferences"][0];
    owner["name"] = json!("nobody");
    owner["uid"] = json!("11111111-2222-4333-8444-555555555555");
    // Not in the cluster, or not to be read while the API server is away.
    let check = contains(
        r#""Error":"berth: VirtualMachineInstance default/nobody with UID 11111111-2222-4333-8444-555555555555 is not "#,
    );
    Call::good("an unknown VMI", Counted::Filter, call.to_string(), check)
}

fn preempt() -> Call {
    let mut call = capture_json("filter-names-migration");
    let victims = |uid: &str| json!({"Pods": [{"UID": uid}], "NumPDBViolations": 0});
    let candidates: serde_json::Map<_, _> = VERDICTS
        .iter()
        .map(|(name, _)| ((*name).to_owned(), victims(name)))
        .collect();
    let kept: serde_json::Map<_, _> = VERDICTS
        .iter()
        .filter(|(_, reason)| reason.is_none())
        .map(|(name, _)| ((*name).to_owned(), victims(name)))
        .collect();
    call = json!({"Pod": call["Pod"], "NodeNameToMetaVictims": candidates});
    let check = exactly(json!({ "NodeNameToMetaVictims": kept }));
    Call::good(
        "who may be evicted",
        Counted::Preempt,
        call.to_string(),
        check,
    )
}

fn cut_short() -> Call {
    let call = capture("filter-names-migration");
    let half = call[..call.len() / 2].to_owned();
    Call::refused(
        "half a body",
        "/scheduler/filter",
        half,
        400,
        "EOF while parsing",
    )
}

fn no_utf8() -> Call {
    let body = &b"{\"kind\":\"\xff\"}"[..];
    Call::refused("no UTF-8", "/mutate", body, 400, "invalid utf-8")
}

fn no_route() -> Call {
    Call::refused("no such path", "/scheduler", "{}", 404, "no such path")
}

fn wrong_method() -> Call {
    let text = "PUT is not served here: use POST";
    let call = Call::refused("another method", "/mutate", "{}", 405, text);
    Call {
        method: Method::PUT,
        ..call
    }
}

fn no_pod() -> Call {
    let check = contains(r#""Error":"berth: the call has no Pod""#);
    Call::good(
        "no pod",
        Counted::Filter,
        r#"{"Pod":null,"NodeNames":["a"]}"#,
        check,
    )
}

fn too_large() -> Call {
    let body = vec![b' '; (1 << 20) + 1];
    let text = "the body is larger than the limit of 1048576 bytes (limits.admissionBody)";
    let call = Call::refused("too large a body", "/mutate", body, 413, text);
    Call {
        is_cut_off: true,
        ..call
    }
}

fn twice() -> Call {
    let call = r#"{"Pod":{},"Pod":{},"NodeNames":[]}"#;
    let text = "duplicate field `Pod`";
    Call::refused("a key twice", "/scheduler/filter", call, 400, text)
}

fn deep() -> Call {
    let mut body = String::new();
    write!(body, "{}", "{\"a\":".repeat(20_000)).unwrap();
    Call::refused(
        "nesting without end",
        "/mutate",
        body,
        400,
        "is not an AdmissionReview",
    )
}

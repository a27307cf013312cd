//! The lines of a watch.

use std::fmt::Display;

use super::form::Form;
use super::kinds::{Kind, Origin};

/// An event: its type, and then its object.
pub(crate) fn line(kind: &str, object: impl Display) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

/// An event that breaks off.
pub(crate) fn half_a_line(kind: &Kind) -> String {
    format!(
        r#"{{"type":"MODIFIED","object":{{"apiVersion":"{}","kind":"{}","metadata":{{"na"#,
        kind.api_version(),
        kind.name
    )
}

/// The revision that has been reached, and whether the initial events end with it.
pub(crate) fn bookmark(kind: &Kind, form: Form, revision: u64, initial: bool) -> String {
    let (name, api_version) = form.type_of(kind);
    let (name, api_version) = (
        format!(r#""kind":"{name}""#),
        format!(r#""apiVersion":"{api_version}""#),
    );
    let revision = format!(r#""resourceVersion":"{revision}""#);
    let annotations = r#""annotations":{"k8s.io/initial-events-end":"true"}"#;
    // Custom resources have their fields sorted, here as everywhere.
    let sorted = kind.origin == Origin::CustomResource && form == Form::Whole;
    let (head, metadata) = match (sorted, initial) {
        (true, true) => ([api_version, name], format!("{annotations},{revision}")),
        (true, false) => ([api_version, name], revision),
        (false, true) => ([name, api_version], format!("{revision},{annotations}")),
        (false, false) => ([name, api_version], revision),
    };
    let object = format!(r#"{{{},"metadata":{{{metadata}}}}}"#, head.join(","));
    line("BOOKMARK", object)
}

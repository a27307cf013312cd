//! The JSON Patch that adds the annotation: the smallest that does it.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch, PatchOperation};
use serde_json::{Value, json};

use crate::decide::inject::ALLOW_ANNOTATION;

/// How much of the way to the annotations is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The template has no `metadata`.
    Template,
    /// It has `metadata` without `annotations`.
    Metadata,
    /// It has `annotations`.
    Annotations,
}

/// Adds the annotation to the template at `template`, the names on the way from the object's root.
#[must_use]
pub fn add_annotation(template: &[&str], anchor: Anchor) -> Patch {
    let value = Value::from("true");
    let (rest, value): (&[&str], Value) = match anchor {
        Anchor::Template => (
            &["metadata"],
            json!({ "annotations": { ALLOW_ANNOTATION: value } }),
        ),
        Anchor::Metadata => (
            &["metadata", "annotations"],
            json!({ ALLOW_ANNOTATION: value }),
        ),
        Anchor::Annotations => (&["metadata", "annotations", ALLOW_ANNOTATION], value),
    };
    Patch(vec![PatchOperation::Add(AddOperation {
        // The pointer's own type escapes `~` and `/`.
        path: PointerBuf::from_tokens(template.iter().chain(rest).copied()),
        value,
    })])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(template: &[&str], anchor: Anchor, expect: &str) {
        let patch = serde_json::to_string(&add_annotation(template, anchor)).unwrap();
        assert_eq!(patch, expect);
    }

    #[test]
    fn one_key_is_added_where_annotations_are_there() {
        check(
            &[],
            Anchor::Annotations,
            r#"[{"op":"add","path":"/metadata/annotations/kubevirt.io~1allow-pod-bridge-network-live-migration","value":"true"}]"#,
        );
    }

    #[test]
    fn the_map_is_added_where_it_is_missing() {
        check(
            &["spec", "template"],
            Anchor::Metadata,
            r#"[{"op":"add","path":"/spec/template/metadata/annotations","value":{"kubevirt.io/allow-pod-bridge-network-live-migration":"true"}}]"#,
        );
    }

    #[test]
    fn metadata_is_added_where_that_is_missing_too() {
        check(
            &["spec", "template"],
            Anchor::Template,
            r#"[{"op":"add","path":"/spec/template/metadata","value":{"annotations":{"kubevirt.io/allow-pod-bridge-network-live-migration":"true"}}}]"#,
        );
    }
}

//! Selectors of labels, as the API server evaluates them.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};

/// Whether a selector selects these labels. An operator that there is not selects nothing.
pub(super) fn matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> bool {
    let selector = Selector::try_from(selector.clone());
    selector.is_ok_and(|selector| selector.matches(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_selects_by_value_and_by_expression() {
        let labels = BTreeMap::from([("app".to_owned(), "berth".to_owned())]);
        for (selector, expect) in [
            ("{}", true),
            (r#"{"matchLabels": {"app": "berth"}}"#, true),
            (r#"{"matchLabels": {"app": "other"}}"#, false),
            (r#"{"matchLabels": {"app": "berth", "zone": "a"}}"#, false),
            (
                r#"{"matchExpressions": [{"key": "app", "operator": "In", "values": ["berth"]}]}"#,
                true,
            ),
            (
                r#"{"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["berth"]}]}"#,
                false,
            ),
            (
                r#"{"matchExpressions": [{"key": "zone", "operator": "NotIn", "values": ["a"]}]}"#,
                true,
            ),
            (
                r#"{"matchExpressions": [{"key": "app", "operator": "Exists"}]}"#,
                true,
            ),
            (
                r#"{"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}"#,
                false,
            ),
            (
                r#"{"matchExpressions": [{"key": "app", "operator": "Like"}]}"#,
                false,
            ),
        ] {
            let parsed: LabelSelector = serde_json::from_str(selector).unwrap();
            assert_eq!(matches(&parsed, &labels), expect, "{selector}");
        }
    }
}

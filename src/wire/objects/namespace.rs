//! Namespaces, and whether they opt out of injection.

use serde::Deserialize;

use crate::decide::inject::INJECT_DISABLED;
use crate::wire::kubevirt::Marks;
use crate::wire::{Map, Text};

/// A Namespace.
#[derive(Debug, Deserialize)]
pub struct Namespace<'a> {
    #[serde(borrow)]
    metadata: NamespaceMetadata<'a>,
}

#[derive(Debug, Deserialize)]
struct NamespaceMetadata<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    labels: Option<Map<Marks<'a>>>,
    annotations: Option<Map<Marks<'a>>>,
}

impl Namespace<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_str()
    }

    /// Whether it opts out of injection, by label or annotation.
    #[must_use]
    pub fn opts_out(&self) -> bool {
        [&self.metadata.labels, &self.metadata.annotations]
            .into_iter()
            .filter_map(|marks| marks.as_ref()?.0.inject.as_ref())
            .any(|value| value.as_str() == INJECT_DISABLED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_namespace_opts_out_by_label_or_annotation() {
        for (metadata, expect) in [
            (json!({"name": "a"}), false),
            (
                json!({"name": "a", "labels": {"berth.dev/inject": "disabled"}}),
                true,
            ),
            (
                json!({"name": "a", "annotations": {"berth.dev/inject": "disabled"}}),
                true,
            ),
            (
                json!({"name": "a", "labels": {"berth.dev/inject": "enabled"}}),
                false,
            ),
        ] {
            let namespace = json!({"metadata": metadata}).to_string();
            let namespace: Namespace<'_> = serde_json::from_str(&namespace).unwrap();
            assert_eq!(namespace.opts_out(), expect);
        }
    }
}

//! Conditions of nodes and pods.

use serde::Deserialize;

use crate::wire::Text;

/// A condition of an object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Condition<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    pub(super) status: Text<'a>,
    pub(super) reason: Option<Text<'a>>,
    pub(super) message: Option<Text<'a>>,
    pub(super) last_transition_time: Option<Text<'a>>,
}

impl Condition<'_> {
    /// Whether it is of this type.
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.as_str() == kind
    }

    /// Whether it is of this type, and holds.
    pub(super) fn is_true(&self, kind: &str) -> bool {
        self.is(kind) && self.status.as_str() == "True"
    }
}

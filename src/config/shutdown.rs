//! What happens on SIGTERM.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::units::Span;

/// What happens on SIGTERM.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Shutdown {
    /// How long berth accepts requests after `/readyz` starts to fail.
    pub delay: Span,
    /// How long requests in progress may take after that.
    pub timeout: Span,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            delay: Span(Duration::from_secs(5)),
            timeout: Span(Duration::from_secs(20)),
        }
    }
}

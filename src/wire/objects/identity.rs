//! Which object it is, whatever else is in it.

use serde::Deserialize;

use crate::wire::Text;

/// An object as far as any of them can be told from the others. It is read apart from everything
/// else, so that an object that berth can't read still has a name to complain about.
#[derive(Debug, Deserialize)]
#[serde(expecting = "an object")]
pub struct Identity<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    namespace: Option<Text<'a>>,
    resource_version: Option<Text<'a>>,
}

impl Identity<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_str()
    }

    /// Its namespace; empty where it has none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        let namespace = self.metadata.namespace.as_ref();
        namespace.map(Text::as_str).unwrap_or_default()
    }

    /// The version of it, by which a watch goes on.
    #[must_use]
    pub fn resource_version(&self) -> Option<&str> {
        self.metadata.resource_version.as_ref().map(Text::as_str)
    }
}

//! How far the migrations of one VM are, read for whoever is about to change the VM's ports.

use serde::Deserialize;

use super::migration::Migration;
use crate::wire::Text;

/// The migrations of a namespace.
#[derive(Debug, Deserialize)]
pub struct MigrationList<'a> {
    /// All of them, also those that are over.
    #[serde(borrow)]
    pub items: Vec<Migration<'a>>,
}

/// A `VirtualMachineInstance`, as far as it says where it runs.
#[derive(Debug, Deserialize)]
pub struct VmiPlace<'a> {
    #[serde(borrow)]
    metadata: PlaceMetadata<'a>,
    status: Option<PlaceStatus<'a>>,
}

#[derive(Debug, Deserialize)]
struct PlaceMetadata<'a> {
    #[serde(borrow)]
    uid: Text<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlaceStatus<'a> {
    #[serde(borrow)]
    node_name: Option<Text<'a>>,
    migration_state: Option<PlaceState<'a>>,
}

/// KubeVirt `api/core/v1/types.go`, `VirtualMachineInstanceMigrationState`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PlaceState<'a> {
    #[serde(borrow)]
    migration_uid: Option<Text<'a>>,
    target_node_domain_ready_timestamp: Option<Text<'a>>,
}

impl VmiPlace<'_> {
    /// Its UID.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_str()
    }

    /// The node that it runs on.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        let node = self.status.as_ref()?.node_name.as_ref()?.as_str();
        (!node.is_empty()).then_some(node)
    }

    /// Whether the VM runs on the target of this migration already, as far as KubeVirt has seen.
    #[must_use]
    pub fn has_arrived(&self, migration: &str) -> bool {
        let state = self
            .status
            .as_ref()
            .and_then(|s| s.migration_state.as_ref());
        state.is_some_and(|state| {
            let uid = state.migration_uid.as_ref().map(Text::as_str);
            uid == Some(migration) && state.target_node_domain_ready_timestamp.is_some()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_vmi_says_where_it_runs_and_whether_it_has_arrived() {
        let ready =
            json!({"migrationUid": "m", "targetNodeDomainReadyTimestamp": "2026-01-01T00:00:00Z"});
        for (status, node, arrived) in [
            (json!(null), None, false),
            (json!({"nodeName": ""}), None, false),
            (json!({"nodeName": "a"}), Some("a"), false),
            (
                json!({"nodeName": "a", "migrationState": {"migrationUid": "m"}}),
                Some("a"),
                false,
            ),
            (
                json!({"nodeName": "a", "migrationState": ready}),
                Some("a"),
                true,
            ),
        ] {
            let text = json!({"metadata": {"uid": "v"}, "status": status}).to_string();
            let vmi: VmiPlace<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(
                (
                    vmi.uid(),
                    vmi.node(),
                    vmi.has_arrived("m"),
                    vmi.has_arrived("n")
                ),
                ("v", node, arrived, false),
                "{text}"
            );
        }
    }
}

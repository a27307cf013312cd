//! Migrations.

use serde::Deserialize;

use crate::wire::Text;

/// A `VirtualMachineInstanceMigration`.
#[derive(Debug, Deserialize)]
pub struct Migration<'a> {
    #[serde(borrow)]
    metadata: MigrationMetadata<'a>,
    spec: Option<MigrationSpec<'a>>,
    status: Option<MigrationStatus<'a>>,
}

#[derive(Debug, Deserialize)]
struct MigrationMetadata<'a> {
    #[serde(borrow)]
    uid: Text<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MigrationSpec<'a> {
    #[serde(borrow)]
    vmi_name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct MigrationStatus<'a> {
    #[serde(borrow)]
    phase: Option<Text<'a>>,
}

impl Migration<'_> {
    /// Its UID.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_str()
    }

    /// The name of the VMI that migrates, in the migration's namespace.
    #[must_use]
    pub fn vmi_name(&self) -> &str {
        let name = self.spec.as_ref().and_then(|spec| spec.vmi_name.as_ref());
        name.map(Text::as_str).unwrap_or_default()
    }

    /// Whether it is not over yet (KubeVirt `api/core/v1/types.go`,
    /// `VirtualMachineInstanceMigrationPhase`).
    #[must_use]
    pub fn is_active(&self) -> bool {
        let phase = self.status.as_ref().and_then(|s| s.phase.as_ref());
        !matches!(phase.map(Text::as_str), Some("Succeeded" | "Failed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_migration_names_its_vmi() {
        for (spec, expect) in [
            (json!({"vmiName": "web"}), "web"),
            (json!({"vmiName": null}), ""),
            (json!({}), ""),
            (json!(null), ""),
        ] {
            let migration = json!({"metadata": {"uid": "m"}, "spec": spec}).to_string();
            let migration: Migration<'_> = serde_json::from_str(&migration).unwrap();
            assert_eq!(migration.vmi_name(), expect);
        }
    }

    #[test]
    fn a_migration_is_over_when_it_succeeded_or_failed() {
        for (status, active) in [
            (json!(null), true),
            (json!({"phase": null}), true),
            (json!({"phase": "Scheduling"}), true),
            (json!({"phase": "Running"}), true),
            (json!({"phase": "Succeeded"}), false),
            (json!({"phase": "Failed"}), false),
        ] {
            let migration = json!({"metadata": {"uid": "m"}, "status": status}).to_string();
            let migration: Migration<'_> = serde_json::from_str(&migration).unwrap();
            assert_eq!((migration.uid(), migration.is_active()), ("m", active));
        }
    }
}

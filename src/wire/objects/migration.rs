//! Migrations.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::time::time;
use crate::decide::admit::Subject;
use crate::domain::{MigrationPhase, UnixTime};
use crate::wire::{Map, Text};

/// A `VirtualMachineInstanceMigration`.
#[derive(Debug, Deserialize)]
pub struct Migration<'a> {
    #[serde(borrow)]
    metadata: MigrationMetadata<'a>,
    spec: Option<MigrationSpec<'a>>,
    status: Option<MigrationStatus<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MigrationMetadata<'a> {
    #[serde(borrow)]
    uid: Text<'a>,
    creation_timestamp: Option<Text<'a>>,
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
        name.map_or("", Text::as_str)
    }

    /// When it was created.
    #[must_use]
    pub fn created(&self) -> Option<UnixTime> {
        time(self.metadata.creation_timestamp.as_ref())
    }

    /// How far it is.
    #[must_use]
    pub fn phase(&self) -> MigrationPhase {
        let phase = self.status.as_ref().and_then(|s| s.phase.as_ref());
        MigrationPhase::named(phase.map(Text::as_str).unwrap_or_default())
    }

    /// Whether it is not over yet.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.phase().is_active()
    }
}

/// A `VirtualMachineInstanceMigration` that is about to be created: it has no UID yet.
#[derive(Debug, Deserialize)]
pub struct NewMigration<'a> {
    #[serde(borrow)]
    metadata: Option<NewMetadata<'a>>,
    spec: Option<NewSpec<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewSpec<'a> {
    #[serde(borrow)]
    vmi_name: Option<Text<'a>>,
    send_to: Option<IgnoredAny>,
    receive: Option<IgnoredAny>,
    #[serde(borrow)]
    added_node_selector: Option<BTreeMap<Text<'a>, Option<Text<'a>>>>,
}

#[derive(Debug, Deserialize)]
struct NewMetadata<'a> {
    #[serde(borrow)]
    annotations: Option<Map<MigrationAnnotations<'a>>>,
}

/// KubeVirt `api/core/v1/types.go`, `EvacuationMigrationAnnotation` and
/// `WorkloadUpdateMigrationAnnotation`: KubeVirt looks at their presence alone.
#[derive(Debug, Deserialize)]
struct MigrationAnnotations<'a> {
    #[serde(borrow, rename = "kubevirt.io/evacuationMigration")]
    evacuation: Option<Text<'a>>,
    #[serde(borrow, rename = "kubevirt.io/workloadUpdateMigration")]
    workload_update: Option<Text<'a>>,
}

impl NewMigration<'_> {
    /// What the admission verdict needs of it.
    #[must_use]
    pub fn subject(&self) -> Subject<'_> {
        let annotations = self.metadata.as_ref().and_then(|m| m.annotations.as_ref());
        let spec = self.spec.as_ref();
        let vmi_name = spec.and_then(|spec| spec.vmi_name.as_ref());
        Subject {
            vmi_name: vmi_name.map(Text::as_str).filter(|name| !name.is_empty()),
            is_decentralized: spec
                .is_some_and(|spec| spec.send_to.is_some() || spec.receive.is_some()),
            is_automatic: annotations.is_some_and(|Map(annotations)| {
                annotations.evacuation.is_some() || annotations.workload_update.is_some()
            }),
        }
    }

    /// The labels that the node has to have beside those that the VM asks for.
    pub fn added_node_selector(&self) -> impl Iterator<Item = (&str, &str)> {
        let spec = self.spec.as_ref();
        let added = spec.and_then(|spec| spec.added_node_selector.as_ref());
        let added = added.into_iter().flatten();
        added.map(|(key, value)| (key.as_str(), value.as_ref().map_or("", Text::as_str)))
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

    #[test]
    fn a_new_migration_says_which_vmi_it_is_for_and_who_makes_it() {
        let local = |vmi_name| Subject {
            vmi_name,
            is_decentralized: false,
            is_automatic: false,
        };
        let web = local(Some("web"));
        let automatic = Subject {
            is_automatic: true,
            ..web
        };
        let decentralized = Subject {
            is_decentralized: true,
            ..web
        };
        let annotated = |annotations| json!({"metadata": {"annotations": annotations}, "spec": {"vmiName": "web"}});
        for (migration, expect) in [
            (json!({}), local(None)),
            (json!({"metadata": null, "spec": null}), local(None)),
            (json!({"spec": {"vmiName": ""}}), local(None)),
            (json!({"spec": {"vmiName": "web", "sendTo": null}}), web),
            (
                json!({"spec": {"vmiName": "web", "sendTo": {}}}),
                decentralized,
            ),
            (
                json!({"spec": {"vmiName": "web", "receive": {}}}),
                decentralized,
            ),
            (annotated(json!(null)), web),
            (annotated(json!({"other": "x"})), web),
            (
                annotated(json!({"kubevirt.io/evacuationMigration": "node-1"})),
                automatic,
            ),
            (
                annotated(json!({"kubevirt.io/workloadUpdateMigration": ""})),
                automatic,
            ),
        ] {
            let text = migration.to_string();
            let read: NewMigration<'_> = serde_json::from_str(&text).unwrap();
            assert_eq!(read.subject(), expect, "{text}");
        }
    }
}

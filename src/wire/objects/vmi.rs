//! VMIs as the guard needs them; the injection reads them in `wire::kubevirt`.

use serde::Deserialize;

use super::time::time;
use crate::domain::{self, LatestMigration, MachineType, MigrationEnd};
use crate::text::LONGEST_NAME;
use crate::wire::{Map, Text};

/// A `VirtualMachineInstance` as the guard needs it.
#[derive(Debug, Deserialize)]
pub struct Vmi<'a> {
    #[serde(borrow)]
    metadata: VmiMetadata<'a>,
    spec: Option<VmiSpec<'a>>,
    status: Option<VmiStatus<'a>>,
}

#[derive(Debug, Deserialize)]
struct VmiMetadata<'a> {
    #[serde(borrow)]
    namespace: Text<'a>,
    name: Text<'a>,
    uid: Text<'a>,
    annotations: Option<Map<VmiAnnotations<'a>>>,
}

#[derive(Debug, Deserialize)]
struct VmiAnnotations<'a> {
    /// KubeVirt `api/core/v1/types.go`, `CreateMigrationTarget`.
    #[serde(borrow, rename = "kubevirt.io/create-migration-target")]
    create_migration_target: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct VmiSpec<'a> {
    #[serde(borrow)]
    domain: Option<Domain<'a>>,
}

#[derive(Debug, Deserialize)]
struct Domain<'a> {
    #[serde(borrow)]
    machine: Option<Machine<'a>>,
}

#[derive(Debug, Deserialize)]
struct Machine<'a> {
    #[serde(borrow, rename = "type")]
    machine_type: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VmiStatus<'a> {
    #[serde(borrow)]
    phase: Option<Text<'a>>,
    machine: Option<Machine<'a>>,
    node_name: Option<Text<'a>>,
    migration_state: Option<MigrationState<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct MigrationState<'a> {
    completed: Option<bool>,
    failed: Option<bool>,
    #[serde(borrow)]
    migration_uid: Option<Text<'a>>,
    target_node_domain_ready_timestamp: Option<Text<'a>>,
    source_state: Option<SourceState<'a>>,
}

/// What the sending side of a decentralized migration says of itself (KubeVirt
/// `api/core/v1/types.go`, `VirtualMachineInstanceCommonMigrationState`). KubeVirt up to 1.9 leaves
/// the name out, and nothing in it says which cluster it is about.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SourceState<'a> {
    #[serde(borrow)]
    node: Option<Text<'a>>,
    domain_name: Option<Text<'a>>,
    domain_namespace: Option<Text<'a>>,
    #[serde(rename = "virtualMachineInstanceUID")]
    vmi_uid: Option<Text<'a>>,
}

impl MigrationState<'_> {
    /// Whether a receiver that runs has its VM: its migration succeeded, or it is over, as KubeVirt
    /// takes the mark away then. KubeVirt before 1.8.4 does so after a failure as well.
    fn has_arrived(&self, is_marked: bool) -> bool {
        self.failed != Some(true) && (self.completed == Some(true) || !is_marked)
    }

    fn latest(&self) -> Option<LatestMigration> {
        let end = match (self.failed, self.completed) {
            (Some(true), _) => Some(MigrationEnd::Failed),
            (_, Some(true)) => Some(MigrationEnd::Succeeded),
            _ => None,
        };
        Some(LatestMigration {
            uid: self.migration_uid.as_ref().and_then(named)?,
            domain_ready: time(self.target_node_domain_ready_timestamp.as_ref()),
            end,
        })
    }
}

impl SourceState<'_> {
    /// The VMI that sends; `None` where it has no UID, by which alone it can be told from others.
    fn sender(&self) -> Option<domain::Sender> {
        let name = |text: &Option<Text<'_>>| text.as_ref().and_then(named);
        Some(domain::Sender {
            uid: name(&self.vmi_uid)?,
            namespace: name(&self.domain_namespace),
            name: name(&self.domain_name),
            node: name(&self.node),
        })
    }

    fn is_of(&self, uid: &str) -> bool {
        self.vmi_uid.as_ref().is_some_and(|of| of.as_str() == uid)
    }
}

/// The name of an object. Another cluster, which may be the sending side, writes what it likes, and a
/// longer text names nothing.
fn named(text: &Text<'_>) -> Option<Box<str>> {
    let text = text.as_str();
    (1..=LONGEST_NAME)
        .contains(&text.len())
        .then(|| text.into())
}

impl Vmi<'_> {
    /// Its facts. The machine type that libvirt resolved comes before the one asked for, which may
    /// be an alias such as `q35`.
    #[must_use]
    pub fn into_facts(self) -> domain::Vmi {
        let VmiMetadata {
            namespace,
            name,
            uid,
            annotations,
        } = self.metadata;
        let VmiStatus {
            phase,
            machine,
            node_name,
            migration_state,
        } = self.status.unwrap_or_default();
        let is_marked = annotations
            .and_then(|Map(annotations)| annotations.create_migration_target)
            .is_some_and(|value| value.as_str() == "true");
        let runs = runs(phase.as_ref().map(Text::as_str), is_marked);
        let latest_migration = migration_state.as_ref().and_then(MigrationState::latest);
        let source = migration_state.and_then(|state| {
            let has_arrived = runs && state.has_arrived(is_marked);
            let source = state.source_state?;
            // The VMI that sends has such a state as well, of itself.
            (!has_arrived && !source.is_of(uid.as_str())).then_some(source)
        });
        let asked = self
            .spec
            .and_then(|spec| spec.domain)
            .and_then(|domain| domain.machine);
        let [resolved, asked] = [machine, asked].map(|machine| {
            let text = machine?.machine_type?;
            (!text.as_str().is_empty()).then(|| MachineType::new(text.as_str()))
        });
        domain::Vmi {
            namespace: namespace.0.into(),
            name: name.0.into(),
            uid: uid.0.into(),
            machine_type_resolved: resolved.is_some(),
            machine_type: resolved.or(asked),
            // A receiver's domain may be up already, and paused: the VM runs where it comes from.
            node: node_name
                .filter(|_| runs && source.is_none())
                .as_ref()
                .and_then(named),
            sender: source.and_then(|source| source.sender()).map(Box::new),
            latest_migration: latest_migration.map(Box::new),
        }
    }
}

/// Whether `status.phase` says that the VM is on `status.nodeName` (KubeVirt
/// `api/core/v1/types.go`, `VirtualMachineInstancePhase`). virt-controller sets the node when a
/// launcher is ready there (Scheduled), and never clears it: before and after the VM runs it is where
/// a launcher is or was, and while it waits for its first migration, where an attempt failed.
fn runs(phase: Option<&str>, is_receiver: bool) -> bool {
    match phase.unwrap_or_default() {
        // Unknown: virt-handler can't be reached, and the VM is where it was.
        "Running" | "Unknown" => true,
        // KubeVirt writes no node without a phase; in an object that was cut down it means something.
        "" => !is_receiver,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn mk_facts(metadata: &Value, spec: &Value, status: &Value) -> domain::Vmi {
        let mut vmi = json!({
            "metadata": {"namespace": "other", "name": "web", "uid": "1"},
            "spec": spec,
            "status": status,
        });
        let fields = metadata.as_object().unwrap().clone();
        vmi["metadata"].as_object_mut().unwrap().extend(fields);
        let vmi = vmi.to_string();
        serde_json::from_str::<Vmi<'_>>(&vmi).unwrap().into_facts()
    }

    #[test]
    fn the_machine_type_that_runs_comes_before_the_one_asked_for() {
        for (spec, status, expect, resolved) in [
            (
                json!("q35"),
                json!("pc-q35-rhel9.2.0"),
                Some("pc-q35-rhel9.2.0"),
                true,
            ),
            // No label of a node can be named so, whatever the other field says.
            (json!("q35"), json!("x".repeat(64)), Some(""), true),
            (json!("q35\n"), json!(null), Some(""), false),
            (json!("q35"), json!(null), Some("q35"), false),
            (json!("q35"), json!(""), Some("q35"), false),
            (json!(""), json!(""), None, false),
            (json!(null), json!(null), None, false),
        ] {
            let facts = mk_facts(
                &json!({}),
                &json!({"domain": {"machine": {"type": spec}}}),
                &json!({"machine": {"type": status}, "nodeName": ""}),
            );
            assert_eq!(
                (facts.machine_type, facts.machine_type_resolved, facts.node),
                (expect.map(MachineType::new), resolved, None),
                "{spec} {status}"
            );
        }
    }

    const MARK: &str = "kubevirt.io/create-migration-target";

    /// A VMI on node `b` that says of the source: nothing, itself, or another VMI.
    fn on_b(mark: &str, phase: &Value, source: Option<&str>, ended: Value) -> (bool, bool) {
        let mut state = ended;
        if let Some(uid) = source {
            state["sourceState"] = json!({"node": "a", "virtualMachineInstanceUID": uid});
        }
        let facts = mk_facts(
            &json!({"annotations": {MARK: mark}}),
            &json!({}),
            &json!({"phase": phase, "nodeName": "b", "migrationState": state}),
        );
        assert!(facts.node.as_deref().is_none_or(|node| node == "b"));
        (facts.node.is_some(), facts.sender.is_some())
    }

    #[test]
    fn a_vmi_is_on_its_node_in_the_phases_in_which_it_runs() {
        for (phase, ordinary, marked) in [
            (json!("Running"), true, true),
            (json!("Unknown"), true, true),
            (json!(""), true, false),
            (json!(null), true, false),
            (json!("Pending"), false, false),
            (json!("Scheduling"), false, false),
            (json!("Scheduled"), false, false),
            (json!("WaitingForSync"), false, false),
            (json!("Succeeded"), false, false),
            (json!("Failed"), false, false),
            (json!("SomethingNew"), false, false),
        ] {
            // It says of no source, or is the source itself.
            for source in [None, Some("1")] {
                let on = |mark| on_b(mark, &phase, source, json!({}));
                assert_eq!(on(""), (ordinary, false), "{phase} {source:?}");
                assert_eq!(on("true"), (marked, false), "{phase} {source:?}");
                // To KubeVirt no other value is a mark.
                assert_eq!(on("false"), (ordinary, false), "{phase} {source:?}");
            }
        }
    }

    #[test]
    fn a_receiver_is_nowhere_until_its_vm_has_arrived() {
        let failed = || json!({"completed": true, "failed": true});
        let succeeded = || json!({"completed": true});
        let goes_on = || json!({"completed": false});
        for (phase, ended, marked, unmarked) in [
            ("WaitingForSync", goes_on(), false, false),
            ("WaitingForSync", failed(), false, false),
            ("WaitingForSync", succeeded(), false, false),
            ("Scheduling", goes_on(), false, false),
            ("Scheduled", goes_on(), false, false),
            ("Scheduled", failed(), false, false),
            // Its domain is up, and paused.
            ("Running", goes_on(), false, true),
            ("Running", failed(), false, false),
            ("Running", succeeded(), true, true),
            ("Unknown", succeeded(), true, true),
        ] {
            for (mark, has_arrived) in [("true", marked), ("", unmarked)] {
                assert_eq!(
                    on_b(mark, &json!(phase), Some("2"), ended.clone()),
                    (has_arrived, !has_arrived),
                    "{phase} {ended} {mark}"
                );
            }
        }
    }

    #[test]
    fn a_text_too_long_for_a_name_names_no_node() {
        for (length, expect) in [(LONGEST_NAME, true), (LONGEST_NAME + 1, false)] {
            let status = json!({"nodeName": "n".repeat(length)});
            let facts = mk_facts(&json!({}), &json!({}), &status);
            assert_eq!(facts.node.is_some(), expect, "{length}");
        }
    }

    #[test]
    fn a_sender_is_told_by_its_uid() {
        let long = "x".repeat(254);
        let named = |namespace: Option<&str>, name: Option<&str>, node: Option<&str>| {
            Some(domain::Sender {
                uid: "2".into(),
                namespace: namespace.map(Into::into),
                name: name.map(Into::into),
                node: node.map(Into::into),
            })
        };
        for (source, expect) in [
            (json!(null), None),
            (json!({}), None),
            (
                json!({"node": "a", "domainName": "web", "domainNamespace": "default"}),
                None,
            ),
            (json!({"node": "a", "virtualMachineInstanceUID": ""}), None),
            (
                json!({"virtualMachineInstanceUID": "2"}),
                named(None, None, None),
            ),
            (
                json!({"virtualMachineInstanceUID": "2", "node": "", "domainName": null}),
                named(None, None, None),
            ),
            (
                json!({"virtualMachineInstanceUID": "2", "node": "a", "domainName": "web", "domainNamespace": "default"}),
                named(Some("default"), Some("web"), Some("a")),
            ),
            (
                json!({"virtualMachineInstanceUID": "2", "node": long, "domainName": long}),
                named(None, None, None),
            ),
            (json!({"virtualMachineInstanceUID": long}), None),
        ] {
            let status =
                json!({"phase": "WaitingForSync", "migrationState": {"sourceState": source}});
            let facts = mk_facts(&json!({}), &json!({}), &status);
            assert_eq!(facts.sender.as_deref(), expect.as_ref(), "{source}");
        }
    }
}

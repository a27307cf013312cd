//! VMIs as the guard needs them; the injection reads them in `wire::kubevirt`.

use serde::Deserialize;

use crate::domain::{self, MachineType};
use crate::text::LONGEST_NAME;
use crate::wire::Text;

/// A `VirtualMachineInstance` as the guard needs it.
#[derive(Debug, Deserialize)]
pub struct Vmi<'a> {
    #[serde(borrow)]
    metadata: VmiMetadata<'a>,
    #[serde(borrow, default)]
    spec: Option<VmiSpec<'a>>,
    #[serde(borrow, default)]
    status: Option<VmiStatus<'a>>,
}

#[derive(Debug, Deserialize)]
struct VmiMetadata<'a> {
    #[serde(borrow)]
    namespace: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    uid: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct VmiSpec<'a> {
    #[serde(borrow, default)]
    domain: Option<Domain<'a>>,
}

#[derive(Debug, Deserialize)]
struct Domain<'a> {
    #[serde(borrow, default)]
    machine: Option<Machine<'a>>,
}

#[derive(Debug, Deserialize)]
struct Machine<'a> {
    #[serde(borrow, default, rename = "type")]
    machine_type: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VmiStatus<'a> {
    #[serde(borrow, default)]
    machine: Option<Machine<'a>>,
    #[serde(borrow, default)]
    node_name: Option<Text<'a>>,
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
        } = self.metadata;
        let (running, node) = match self.status {
            Some(VmiStatus { machine, node_name }) => (machine, node_name),
            None => (None, None),
        };
        let asked = self
            .spec
            .and_then(|spec| spec.domain)
            .and_then(|domain| domain.machine);
        let filled = |text: &Text<'_>| !text.as_str().is_empty();
        domain::Vmi {
            namespace: namespace.0.into(),
            name: name.0.into(),
            uid: uid.0.into(),
            machine_type: [running, asked]
                .into_iter()
                .flatten()
                .filter_map(|machine| machine.machine_type)
                .find(filled)
                .map(|text| MachineType::new(text.as_str())),
            // A longer text is the name of no node.
            node: node
                .filter(|node| filled(node) && node.as_str().len() <= LONGEST_NAME)
                .map(|node| node.0.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_machine_type_that_runs_comes_before_the_one_asked_for() {
        for (spec, status, expect) in [
            (
                json!("q35"),
                json!("pc-q35-rhel9.2.0"),
                Some("pc-q35-rhel9.2.0"),
            ),
            (json!("q35"), json!(null), Some("q35")),
            (json!("q35"), json!(""), Some("q35")),
            (json!(""), json!(""), None),
            (json!(null), json!(null), None),
            // No label of a node can be named so, whatever the other field says.
            (json!("q35"), json!("x".repeat(64)), Some("")),
            (json!("q35\n"), json!(null), Some("")),
        ] {
            let vmi = json!({
                "metadata": {"namespace": "default", "name": "web", "uid": "1"},
                "spec": {"domain": {"machine": {"type": spec}}},
                "status": {"machine": {"type": status}, "nodeName": ""}
            })
            .to_string();
            let facts = serde_json::from_str::<Vmi<'_>>(&vmi).unwrap().into_facts();
            assert_eq!(
                (facts.machine_type, facts.node),
                (expect.map(MachineType::new), None),
                "{vmi}"
            );
        }
    }
    #[test]
    fn a_text_too_long_for_a_name_names_no_node() {
        for (length, expect) in [(LONGEST_NAME, true), (LONGEST_NAME + 1, false)] {
            let vmi = json!({
                "metadata": {"namespace": "default", "name": "web", "uid": "1"},
                "status": {"nodeName": "n".repeat(length)}
            })
            .to_string();
            let facts = serde_json::from_str::<Vmi<'_>>(&vmi).unwrap().into_facts();
            assert_eq!(facts.node.is_some(), expect, "{length}");
        }
    }
}

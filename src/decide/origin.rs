//! The source of a VM: the node that it runs on and its machine type there. A target must be another node
//! and support that machine type.

use crate::domain::{MachineType, Vmi};

/// The node and machine type that a VM leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    /// The node that it runs on, where it runs in this cluster.
    pub node: Option<&'a str>,
    /// The machine type that it runs with, or that it asks for.
    pub machine_type: Option<&'a MachineType>,
}

impl<'a> Origin<'a> {
    /// The origin of a VMI. `sender` is the VMI that it takes over from, where that is in this
    /// cluster: the VM runs there, and as libvirt resolved it there.
    #[must_use]
    pub fn of(vmi: &'a Vmi, sender: Option<&'a Vmi>) -> Self {
        let own = Self {
            node: vmi.node.as_deref(),
            machine_type: vmi.machine_type.as_ref(),
        };
        let Some(sender) = sender else {
            return own;
        };
        let named = vmi
            .sender
            .as_deref()
            .and_then(|named| named.node.as_deref());
        let resolved = sender.machine_type.as_ref();
        Self {
            node: named.or(sender.node.as_deref()),
            machine_type: resolved
                .filter(|_| sender.machine_type_resolved)
                .or(own.machine_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Sender;

    fn mk_vmi(machine_type: Option<&str>, resolved: bool, node: Option<&str>) -> Vmi {
        Vmi {
            namespace: "default".into(),
            name: "web".into(),
            uid: "1".into(),
            machine_type: machine_type.map(MachineType::new),
            machine_type_resolved: resolved,
            node: node.map(Into::into),
            sender: None,
            latest_migration: None,
        }
    }

    fn mk_receiver(machine_type: Option<&str>, source: Option<&str>) -> Vmi {
        Vmi {
            sender: Some(Box::new(Sender {
                uid: "2".into(),
                namespace: None,
                name: None,
                node: source.map(Into::into),
            })),
            ..mk_vmi(machine_type, false, None)
        }
    }

    #[test]
    fn a_vm_comes_from_where_it_runs() {
        let vmi = mk_vmi(Some("q35"), false, Some("a"));
        let expect = Origin {
            node: Some("a"),
            machine_type: Some(&MachineType::new("q35")),
        };
        assert_eq!(Origin::of(&vmi, None), expect);
    }

    #[test]
    fn a_receiver_takes_node_and_resolved_machine_type_from_a_sender_of_this_cluster_only() {
        let resolved = mk_vmi(Some("pc-q35-rhel9.2.0"), true, Some("b"));
        let asked = mk_vmi(Some("q35"), false, Some("b"));
        let (alias, unnamed) = (mk_receiver(Some("pc"), Some("a")), mk_receiver(None, None));
        for (receiver, sender, node, machine_type) in [
            (&alias, None, None, Some("pc")),
            (&alias, Some(&resolved), Some("a"), Some("pc-q35-rhel9.2.0")),
            // An alias may mean something else on the receiver's side.
            (&alias, Some(&asked), Some("a"), Some("pc")),
            (&unnamed, None, None, None),
            (
                &unnamed,
                Some(&resolved),
                Some("b"),
                Some("pc-q35-rhel9.2.0"),
            ),
            (&unnamed, Some(&asked), Some("b"), None),
        ] {
            let machine_type = machine_type.map(MachineType::new);
            let expect = Origin {
                node,
                machine_type: machine_type.as_ref(),
            };
            assert_eq!(Origin::of(receiver, sender), expect, "{sender:?}");
        }
    }
}

//! The checks that a node has to pass: one row for each. A row has the code, the text and the
//! documentation of a check; its rule is in [`evaluate`](super::evaluate).

use std::borrow::Cow;

use strum::{EnumCount, IntoStaticStr, VariantArray};

use crate::domain::{Member, Set};

/// The texts and properties of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The stable code, `BRT` and four digits. A code is never used for anything else.
    pub code: &'static str,
    /// The text for kube-scheduler; `{}` stands for the VM's machine type. It is the same for every
    /// node: kube-scheduler groups equal texts in the pod's status, and a status that changes from try
    /// to try wakes the pod in a loop.
    pub text: &'static str,
    /// How much a failed check matters.
    pub severity: Severity,
    /// What has to be known for the check to be made.
    pub needs: Needs,
    /// What a failed check means.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Severity {
    /// The VM can't be placed on the node, or can't be migrated at all.
    Error,
    /// It can, and something is to be mended.
    Warning,
    /// Nothing is to be done.
    Info,
    /// It could not be judged.
    Unchecked,
}

/// What a check looks at. Where the cluster does not have it, the check is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The Node object, or the VMI.
    Objects,
    /// Machine-type labels on any node.
    MachineTypeLabels,
    /// Pods of the network's agents.
    AgentPods,
    /// A southbound database in the configuration, in reach or not.
    SouthboundConfigured,
    /// The southbound database.
    Southbound,
    /// Chassis that report to the southbound database how far they are.
    SouthboundLag,
}

impl Needs {
    /// The need for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Objects => "the Node object and the VMI",
            Self::MachineTypeLabels => "a machine-type label on any node of the cluster",
            Self::AgentPods => "a pod of the network's agents in the cluster",
            Self::SouthboundConfigured => "`southbound.endpoints` in the configuration",
            Self::Southbound => "OVN's southbound database",
            Self::SouthboundLag => "OVN's southbound database, with chassis that report `nb_cfg`",
        }
    }
}

/// Defines [`Check`] and the row of each variant, so that neither can be without the other.
macro_rules! checks {
    ($($(#[$doc:meta])* $check:ident { $($field:ident: $value:expr),+ $(,)? })+) => {
        /// A check, in the order in which failed ones are reported.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            EnumCount, IntoStaticStr, VariantArray,
        )]
        #[strum(serialize_all = "snake_case")]
        #[repr(u8)]
        pub enum Check {
            $($(#[$doc])* $check),+
        }

        impl Check {
            /// Every check, in order.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$check),+];

            /// All that is said of the check.
            #[must_use]
            pub const fn row(self) -> Row {
                match self {
                    $(Self::$check => Row { $($field: $value),+ }),+
                }
            }

            /// The name of its code in CamelCase, which is also the reason in the node condition.
            #[must_use]
            pub const fn code_name(self) -> &'static str {
                match self {
                    $(Self::$check => stringify!($check)),+
                }
            }
        }
    };
}

checks! {
    /// The VM runs on this node.
    MigrationSource {
        code: "BRT0101",
        text: "migration source node",
        severity: Severity::Error,
        needs: Needs::Objects,
        meaning: "The VM runs on this node. For the receiver of a decentralized migration, this is the node of the sending VMI, if that is in the same cluster.",
        remedy: "Nothing: a migration needs another node.",
    }
    /// QEMU on this node does not know the VM's machine type.
    MachineType {
        code: "BRT0102",
        text: "machine type {} not supported",
        severity: Severity::Error,
        needs: Needs::MachineTypeLabels,
        meaning: "The node has no label `machine-type.node.kubevirt.io/TYPE: \"true\"` for the VM's machine type. For a running VM this is the type in `status.machine.type`, otherwise the type in its spec; for a decentralized migration, that of the sending VMI, if that is in the same cluster. If the text contains no type, the VM's machine type cannot be a label name, and no node supports it.",
        remedy: "Migrate to nodes whose QEMU knows the type, which are mostly those with the same release of the operating system. Or stop and start the VM: if its spec has an alias such as `q35`, it gets the type that is the newest on its node. If the node has no machine-type label at all, check the log of its virt-handler pod, which writes the labels; while a version of KubeVirt that writes them rolls out, set `machineType.whenUnlabelled: Allow`. If you know that another type is compatible, add it to `machineType.equivalents`. Both settings help only with KubeVirt before 1.5.1: newer ones put the label of the type into the node selector of the target pod, and kube-scheduler refuses the nodes without it (BRT0408). If the text contains no type, correct `spec.domain.machine.type` of the VM.",
    }
    /// The node never registered an OVN chassis, or the southbound database has none of that name.
    ChassisNotRegistered {
        code: "BRT0103",
        text: "OVN chassis not registered",
        severity: Severity::Error,
        needs: Needs::Objects,
        meaning: "The node has no annotation `ovn.kubernetes.io/chassis` (OVN-Kubernetes: `k8s.ovn.org/node-chassis-id`) with a UUID, or the southbound database has no chassis of that name.",
        remedy: "Check the log of the `kube-ovn-cni` or `ovnkube-node` pod of the node, which writes the annotation when it starts. If every node is rejected, set `network.provider` in berth's configuration to the network that the cluster has.",
    }
    /// The chassis names another node, or another chassis names this one.
    ChassisIdentity {
        code: "BRT0104",
        text: "OVN chassis identity mismatch",
        severity: Severity::Error,
        needs: Needs::Southbound,
        meaning: "The hostname of the chassis is not the node's name, two chassis have that hostname, or the chassis belongs to another availability zone (`other_config:is-remote`). For a migration Kube-OVN writes the names of both nodes into the port's `requested-chassis`, and OVN looks for chassis with these hostnames: it would move the port to another chassis or to none.",
        remedy: "Look at the rows with `ovn-sbctl list Chassis`. Set `external_ids:hostname` of the node's Open vSwitch to the node's name. Delete the row that a reinstallation left behind with `ovn-sbctl chassis-del`; while such a row has the node's tunnel address, an older ovn-controller does not register at all, and the check is `chassis_not_registered`.",
    }
    /// No other chassis can reach this one: it has no tunnel endpoint.
    ChassisNoTunnel {
        code: "BRT0105",
        text: "OVN chassis has no tunnel endpoint",
        severity: Severity::Error,
        needs: Needs::Southbound,
        meaning: "The chassis has no tunnel address (no row in `Chassis.encaps`), so that no other chassis can send it packets.",
        remedy: "Look at `ovs-vsctl get Open_vSwitch . external_ids:ovn-encap-ip` on the node: it has to be the node's address in the network of the tunnels. The `kube-ovn-cni` pod sets it when it starts.",
    }
    /// The network's agents on the node are missing or not ready.
    AgentsNotReady {
        code: "BRT0106",
        text: "OVN agents not ready",
        severity: Severity::Error,
        needs: Needs::AgentPods,
        meaning: "The node's `ovs-ovn` or `kube-ovn-cni` pod (OVN-Kubernetes: `ovnkube-node`) is missing, not Ready or being deleted. An agent without any pod in the whole cluster is not required.",
        remedy: "`kubectl get pods -A -o wide --field-selector spec.nodeName=NODE` shows these pods, and `kubectl describe pod` why one is not ready.",
    }
    /// The node says that its network is unavailable.
    NetworkUnavailable {
        code: "BRT0107",
        text: "node network unavailable",
        severity: Severity::Error,
        needs: Needs::Objects,
        meaning: "The node's condition `NetworkUnavailable` is `True`.",
        remedy: "`kubectl describe node NODE` shows the reason and who set the condition; that is the network plugin or the cloud provider.",
    }
    /// The chassis does not keep up with the southbound database.
    ChassisNotResponding {
        code: "BRT0108",
        text: "OVN chassis not responding",
        severity: Severity::Error,
        needs: Needs::SouthboundLag,
        meaning: "ovn-controller on the node has not confirmed the newest state of OVN (its `Chassis_Private.nb_cfg` is below `SB_Global.nb_cfg`) for longer than `southbound.allowedLag`. It hangs, is overloaded, or has lost the southbound database; a VM that arrives there would get no network.",
        remedy: "Check the log of ovn-controller in the node's `ovs-ovn` pod, and that the node reaches the southbound database. Delete the pod to start it anew.",
    }
    /// The southbound database is out of reach, and the configuration rejects every node then.
    SouthboundOutOfReach {
        code: "BRT0109",
        text: "OVN southbound database out of reach",
        severity: Severity::Error,
        needs: Needs::SouthboundConfigured,
        meaning: "berth has not heard from the southbound database for longer than `southbound.staleAfter`, and `southbound.onStale: Reject` rejects every node then.",
        remedy: "Check the OVN database pods and berth's connection to them. To migrate without the database's checks, set `southbound.onStale: Ignore`.",
    }
}

impl Check {
    /// The name in metric labels and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The text for kube-scheduler, with the VM's machine type where it has a name.
    #[must_use]
    pub fn text(self, machine_type: Option<&str>) -> Cow<'static, str> {
        let text = self.row().text;
        let Some((before, after)) = text.split_once("{} ") else {
            return text.into();
        };
        let machine_type = machine_type.map(|name| format!("{name} "));
        format!("{before}{}{after}", machine_type.unwrap_or_default()).into()
    }
}

/// The text for a node that is asked about before berth has seen it.
pub const NOT_YET_KNOWN: &str = "node not yet known to berth";

/// A set of checks: those that are made, or those that a node fails.
pub type CheckSet = Set<Check>;

impl Member for Check {
    fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_code_names_and_text() {
        let rows: Vec<_> = Check::ALL
            .into_iter()
            .map(|check| {
                let text = check.text(Some("pc-q35-rhel9.2.0")).into_owned();
                (check.row().code, check.name(), check.code_name(), text)
            })
            .collect();
        let expect = [
            (
                "BRT0101",
                "migration_source",
                "MigrationSource",
                "migration source node",
            ),
            (
                "BRT0102",
                "machine_type",
                "MachineType",
                "machine type pc-q35-rhel9.2.0 not supported",
            ),
            (
                "BRT0103",
                "chassis_not_registered",
                "ChassisNotRegistered",
                "OVN chassis not registered",
            ),
            (
                "BRT0104",
                "chassis_identity",
                "ChassisIdentity",
                "OVN chassis identity mismatch",
            ),
            (
                "BRT0105",
                "chassis_no_tunnel",
                "ChassisNoTunnel",
                "OVN chassis has no tunnel endpoint",
            ),
            (
                "BRT0106",
                "agents_not_ready",
                "AgentsNotReady",
                "OVN agents not ready",
            ),
            (
                "BRT0107",
                "network_unavailable",
                "NetworkUnavailable",
                "node network unavailable",
            ),
            (
                "BRT0108",
                "chassis_not_responding",
                "ChassisNotResponding",
                "OVN chassis not responding",
            ),
            (
                "BRT0109",
                "southbound_out_of_reach",
                "SouthboundOutOfReach",
                "OVN southbound database out of reach",
            ),
        ]
        .map(|(code, name, code_name, text)| (code, name, code_name, text.to_owned()));
        assert_eq!(rows, expect);
        assert_eq!(Check::MachineType.text(None), "machine type not supported");
        assert_eq!(NOT_YET_KNOWN, "node not yet known to berth");
    }

    #[test]
    fn the_first_check_in_order_is_reported_whatever_was_added_first() {
        let set = CheckSet::default()
            .with(Check::NetworkUnavailable, true)
            .with(Check::MachineType, true)
            .with(Check::MigrationSource, false);
        assert_eq!(set.first(), Some(Check::MachineType));
        let checks: Vec<_> = set.iter().collect();
        assert_eq!(checks, [Check::MachineType, Check::NetworkUnavailable]);
    }

    #[test]
    fn the_list_and_the_set_have_every_check() {
        assert_eq!(Check::ALL, Check::VARIANTS);
        let all: CheckSet = Check::ALL.into_iter().collect();
        assert_eq!(all, CheckSet::ALL);
        assert!(all.iter().eq(Check::ALL));
    }
}

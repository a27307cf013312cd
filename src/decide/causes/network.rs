//! BRT03…: what is wrong with the networks of a VM.

use super::CauseRow;
use crate::decide::checks::Severity;

pub(super) const NETWORK_NOT_FOUND: CauseRow = CauseRow {
    code: "BRT0301",
    severity: Severity::Error,
    text: "a network attachment definition is missing",
    meaning: "The VM has an interface on a Multus network whose NetworkAttachmentDefinition does not exist. The launcher pod of a migration cannot start.",
    remedy: "Create the definition again, or remove the interface.",
};

pub(super) const PORT_NOT_FOUND: CauseRow = CauseRow {
    code: "BRT0302",
    severity: Severity::Warning,
    text: "OVN has no port of the VM",
    meaning: "Kube-OVN has attached the VM's pod to a subnet, and OVN's southbound database has no port whose `external_ids:pod` is this VM, nor one that is named after it. Without a port the VM has no network after a migration, and often none before it.",
    remedy: "Look for the port: `kubectl ko nbctl --columns=name,external_ids find Logical_Switch_Port external_ids:pod=NAMESPACE/VM`. If there is none, restart the VM, and look in the log of kube-ovn-controller for why the port was deleted.",
};

pub(super) const NETWORK_NOT_LOCAL: CauseRow = CauseRow {
    code: "BRT0303",
    severity: Severity::Info,
    text: "the VM's network is not on these nodes yet",
    meaning: "No port of the VM's VPC is bound on the chassis of these nodes, so that OVN has no flows of it there. The first VM of the VPC that migrates there loses its network for seconds, until the flows are installed. The nodes are targets all the same.",
    remedy: "Nothing is wrong. If the VM does not tolerate it, migrate to a node that has the network: berth's score prefers those.",
};

pub(super) const UNDERLAY_NOT_ON_NODE: CauseRow = CauseRow {
    code: "BRT0304",
    severity: Severity::Warning,
    text: "the provider network of the VM's subnet is not ready on these nodes",
    meaning: "The subnet of the VM is a VLAN of the nodes' own network, and these nodes lack the label `NAME.provider-network.kubernetes.io/ready=true` that Kube-OVN sets once it has connected a node. A VM that migrates there has no network.",
    remedy: "Look at the conditions of the ProviderNetwork. If the nodes are excluded from it on purpose, keep the VM off them by a node selector.",
};

pub(super) const SUBNET_NOT_READY: CauseRow = CauseRow {
    code: "BRT0305",
    severity: Severity::Warning,
    text: "the subnet of the VM is not ready",
    meaning: "The Kube-OVN Subnet that the VM's pod is attached to does not exist, its condition Ready is not True, or its VPC does not exist. Kube-OVN cannot attach the target pod to it, which then stays in ContainerCreating.",
    remedy: "Look at the conditions of the Subnet and its Vpc: `kubectl describe subnet NAME`.",
};

pub(super) const ADDRESS_NOT_KEPT: CauseRow = CauseRow {
    code: "BRT0306",
    severity: Severity::Warning,
    text: "Kube-OVN keeps no address for the VM",
    meaning: "There is no IP object of Kube-OVN for this VM. The target pod gets another address than the VM has, and the VM is not reachable after the migration.",
    remedy: "If kube-ovn-controller runs with `--keep-vm-ip=false`, remove that flag. Otherwise restart the VM, so that Kube-OVN makes the object again.",
};

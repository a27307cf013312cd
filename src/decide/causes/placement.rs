//! BRT04…: what keeps a VM off a node, and what a drain does to it: capacity and policy.

use super::CauseRow;
use crate::decide::checks::Severity;

pub(super) const NO_TARGET: CauseRow = CauseRow {
    code: "BRT0401",
    severity: Severity::Error,
    text: "no node can take the VM",
    meaning: "Each node of the cluster is ruled out by at least one finding, and the findings name their nodes.",
    remedy: "Choose the node that should take the VM, and mend what its findings say. `berth check VM --node NODE` shows them alone.",
};

pub(super) const ONE_TARGET: CauseRow = CauseRow {
    code: "BRT0402",
    severity: Severity::Warning,
    text: "only one node can take the VM",
    meaning: "While that node is down or full, the VM cannot migrate.",
    remedy: "Make a second node fit: the findings of the other nodes say what is against each.",
};

pub(super) const CORDONED: CauseRow = CauseRow {
    code: "BRT0403",
    severity: Severity::Error,
    text: "node is cordoned",
    meaning: "`spec.unschedulable` of the node is set.",
    remedy: "`kubectl uncordon NODE`, if that is not intended.",
};

pub(super) const NODE_NOT_READY: CauseRow = CauseRow {
    code: "BRT0404",
    severity: Severity::Error,
    text: "node is not ready",
    meaning: "The condition Ready of the node is not True, or it has the taint that follows from that. kube-scheduler looks at the taint alone, which VMs may tolerate; a migration to a node without a kubelet fails all the same.",
    remedy: "`kubectl describe node NODE` shows the reason. Mostly the kubelet has stopped, or cannot reach the API server.",
};

pub(super) const NOT_SCHEDULABLE: CauseRow = CauseRow {
    code: "BRT0405",
    severity: Severity::Error,
    text: "KubeVirt places no VMs on the node",
    meaning: "The node does not have the label `kubevirt.io/schedulable: \"true\"`, which virt-handler sets while it runs there.",
    remedy: "Check that the virt-handler pod of the node is there and ready: `kubectl get pods -A -o wide -l kubevirt.io=virt-handler`.",
};

pub(super) const TAINT: CauseRow = CauseRow {
    code: "BRT0406",
    severity: Severity::Error,
    text: "taint not tolerated",
    meaning: "The node has a taint with effect NoSchedule or NoExecute that the VM does not tolerate.",
    remedy: "Add a toleration to the VM, or remove the taint.",
};

pub(super) const CPU_NOT_SUPPORTED: CauseRow = CauseRow {
    code: "BRT0407",
    severity: Severity::Error,
    text: "CPU not supported",
    meaning: "The node lacks a CPU model, a CPU feature or the CPU vendor that the VM needs. For `host-model` these are those of the node on which the VM started.",
    remedy: "Add nodes with the same CPU, or give the VM a named CPU model that all nodes have (`spec.domain.cpu.model`), and restart it.",
};

pub(super) const NODE_SELECTOR: CauseRow = CauseRow {
    code: "BRT0408",
    severity: Severity::Error,
    text: "node selector does not match",
    meaning: "The node lacks a label of the target pod's node selector: of the VM's own, of the KubeVirt CR's `nodeSelectors`, of a migration's `addedNodeSelector`, or one that KubeVirt adds for what the VM uses.",
    remedy: "Label the node, or correct the selector.",
};

pub(super) const NODE_AFFINITY: CauseRow = CauseRow {
    code: "BRT0409",
    severity: Severity::Error,
    text: "node affinity does not match",
    meaning: "The required node affinity of the VM does not match the node.",
    remedy: "Label the node, or correct the affinity.",
};

pub(super) const VOLUME_NODE_AFFINITY: CauseRow = CauseRow {
    code: "BRT0410",
    severity: Severity::Error,
    text: "a volume cannot be reached from the node",
    meaning: "The persistent volume of a disk has a node affinity that does not match the node.",
    remedy: "Use a volume that all nodes reach, or migrate the volume together with the VM.",
};

pub(super) const INSUFFICIENT_RESOURCES: CauseRow = CauseRow {
    code: "BRT0411",
    severity: Severity::Error,
    text: "not enough free resources",
    meaning: "What the target pod requests is more than what is left of the node's allocatable resources.",
    remedy: "Free the node, or add nodes. A migration needs the VM's resources twice while it lasts.",
};

pub(super) const QUOTA_EXCEEDED: CauseRow = CauseRow {
    code: "BRT0412",
    severity: Severity::Error,
    text: "a resource quota leaves no room for the target pod",
    meaning: "While a migration lasts there are two pods of the VM, and a ResourceQuota of the namespace does not allow the second one.",
    remedy: "Raise the quota by what one launcher pod requests, or use KubeVirt's Application-Aware Quota (AAQ), which does not count the second pod of a migration.",
};

pub(super) const SHUT_DOWN_BY_DRAIN: CauseRow = CauseRow {
    code: "BRT0413",
    severity: Severity::Warning,
    text: "a drain would shut the VM down",
    meaning: "Neither the VM nor the KubeVirt CR has an eviction strategy that migrates (LiveMigrate, or LiveMigrateIfPossible for a VM that can be migrated). A drain of the node ends the VM.",
    remedy: "Set `evictionStrategy: LiveMigrate` in the VM's template (`spec.template.spec`) and restart the VM: a change of the template takes effect only then. Or set it in `spec.configuration` of the KubeVirt CR, where it takes effect at once, but only for VMs that have no `evictionStrategy`: one with `None` keeps it.",
};

pub(super) const BLOCKS_DRAIN: CauseRow = CauseRow {
    code: "BRT0414",
    severity: Severity::Warning,
    text: "a drain would wait for the VM",
    meaning: "The VM's eviction strategy is External, which leaves its migration to another controller, or the strategy migrates it and it cannot be migrated now, or not before it runs or its migration to the drained node is over. `kubectl drain` does not end before the VM has moved or is shut down.",
    remedy: "Wait, if the VM starts, ends or is in a migration: `kubectl drain` tries again until its `--timeout`. Of a VM that cannot migrate, mend what its other findings say, or shut it down before the drain. With External, ask the controller that the strategy is meant for.",
};

pub(super) const PASSTHROUGH_CPU_DIFFERS: CauseRow = CauseRow {
    code: "BRT0415",
    severity: Severity::Warning,
    text: "host-passthrough CPU on nodes with other CPUs",
    meaning: "The guest has the CPU of its node as it is. KubeVirt compares no more than the vendor. These nodes have another CPU model, or lack CPU features of the VM's node: the migration may fail, or the guest may crash after it.",
    remedy: "Migrate to nodes with the same CPU: a node selector of the VM can choose them. Or give the VM a named CPU model that all nodes have.",
};

pub(super) const NODE_DOES_NOT_FIT: CauseRow = CauseRow {
    code: "BRT0416",
    severity: Severity::Error,
    text: "the node cannot take the VM",
    meaning: "The node of `--node` fails at least one check. The findings name them.",
    remedy: "Mend what the findings of the node say, or choose another node.",
};

pub(super) const NO_ROOM_LEFT: CauseRow = CauseRow {
    code: "BRT0417",
    severity: Severity::Error,
    text: "no room is left for the VM",
    meaning: "There are nodes that fit, and the VMs that the plan of the drain places before this one take what is free on them.",
    remedy: "Drain fewer nodes at a time, free resources, or add nodes.",
};

pub(super) const POLICY_APPLIES: CauseRow = CauseRow {
    code: "BRT0418",
    severity: Severity::Info,
    text: "a migration policy applies",
    meaning: "The VM is migrated with the settings of this MigrationPolicy in place of those of the KubeVirt CR. Of the policies whose labels match the VM and its namespace, KubeVirt takes the one with the most labels.",
    remedy: "Nothing, if the policy is meant for this VM.",
};

pub(super) const BANDWIDTH_TOO_LOW: CauseRow = CauseRow {
    code: "BRT0419",
    severity: Severity::Warning,
    text: "the bandwidth limit is too low for the completion timeout",
    meaning: "At this bandwidth, copying 1 GiB once takes longer than a migration may take for each GiB, and neither post-copy nor a pause of the guest is allowed. KubeVirt aborts the migration of a VM that uses most of its memory.",
    remedy: "Raise `bandwidthPerMigration` or `completionTimeoutPerGiB` in the MigrationPolicy or the KubeVirt CR, or allow post-copy.",
};

pub(super) const SAME_HOSTNAME: CauseRow = CauseRow {
    code: "BRT0420",
    severity: Severity::Error,
    text: "the hostname is that of the source node",
    meaning: "KubeVirt keeps the target pod from nodes whose label `kubernetes.io/hostname` has the value that it has on the VM's own node. Two nodes have the same value.",
    remedy: "Give each node a hostname of its own: `hostnamectl set-hostname NAME`, or `--hostname-override` of its kubelet.",
};

pub(super) const POD_AFFINITY: CauseRow = CauseRow {
    code: "BRT0421",
    severity: Severity::Error,
    text: "affinity or anti-affinity to pods does not match",
    meaning: "The VM has to be near other pods, or far from them, and the node is not; or a pod that is there keeps the VM away by its own anti-affinity. One of the pods is named. Only required rules reject a node.",
    remedy: "Move the other pods, or make the rule a preferred one.",
};

pub(super) const MIGRATION_ENDS_BY_DRAIN: CauseRow = CauseRow {
    code: "BRT0422",
    severity: Severity::Warning,
    text: "a drain would end the migration of the VM",
    meaning: "The VM runs on another node, and the target pod of its migration is on the drained node. KubeVirt does not refuse the eviction of this pod, because the VM's eviction strategy does not migrate it. The migration fails, and the VM runs on where it is.",
    remedy: "Nothing, if the VM may stay where it is: it can be migrated later, to a node that is not drained.",
};

pub(super) const CLAIM_NOT_FOUND: CauseRow = CauseRow {
    code: "BRT0423",
    severity: Severity::Error,
    text: "a claim of the VM or its volume does not exist",
    meaning: "A disk of the VM is on a PersistentVolumeClaim that does not exist, or that is bound to a PersistentVolume which does not exist. The launcher pod of a migration is not scheduled.",
    remedy: "Create the claim again if its data is elsewhere, or remove the disk from the VM. `kubectl get pvc -n NAMESPACE` lists the claims.",
};

pub(super) const DRAINED: CauseRow = CauseRow {
    code: "BRT0424",
    severity: Severity::Error,
    text: "node is drained as well",
    meaning: "`berth drain` was asked for this node too. No VM moves to a node that is drained.",
    remedy: "Drain fewer nodes at a time, free resources on the others, or add nodes.",
};

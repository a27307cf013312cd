//! BRT02…: what keeps KubeVirt from migrating a VM.

use super::CauseRow;
use crate::decide::checks::Severity;

pub(super) const INTERFACE_NOT_MIGRATABLE: CauseRow = CauseRow {
    code: "BRT0201",
    severity: Severity::Error,
    text: "an interface cannot be migrated",
    meaning: "KubeVirt migrates a VM only if the interface on the pod network has masquerade binding, a binding plugin that is registered as migratable, or bridge binding with the annotation of BRT0202. This interface has none of these.",
    remedy: "Use masquerade or bridge binding for the pod network, or declare that the plugin can migrate: `migration: {}` in `spec.configuration.network.binding.PLUGIN` of the KubeVirt CR.",
};

pub(super) const BRIDGE_ANNOTATION_MISSING: CauseRow = CauseRow {
    code: "BRT0202",
    severity: Severity::Error,
    text: "bridge binding without the annotation that allows its migration",
    meaning: "The interface on the pod network has bridge binding, and the VMI has no annotation `kubevirt.io/allow-pod-bridge-network-live-migration`. KubeVirt does not migrate such a VM.",
    remedy: "`berth annotate -n NAMESPACE VM` shows what lacks the annotation, what opts out, and when the annotation has an effect; with `--apply` it adds it. By hand it belongs in `spec.template.metadata.annotations` of the VM, which has an effect at the next start. Do this only with a network that keeps the address of a VM in a migration, as Kube-OVN and OVN-Kubernetes do. berth's webhook adds it to VMs that are created while it is installed.",
};

pub(super) const HOST_CPU_UNKNOWN: CauseRow = CauseRow {
    code: "BRT0203",
    severity: Severity::Error,
    text: "host-model CPU on a node whose CPU model is unknown",
    meaning: "The VM has the CPU model of its node, and the node has no label `host-model-cpu.node.kubevirt.io/MODEL`. KubeVirt does not know which nodes have the same CPU.",
    remedy: "Check the log of the virt-handler pod on the node, which writes the label, or give the VM a named CPU model (`spec.domain.cpu.model`).",
};

pub(super) const HOST_DEVICE: CauseRow = CauseRow {
    code: "BRT0204",
    severity: Severity::Error,
    text: "devices of the node are passed through",
    meaning: "The VM has a PCI device, a mediated device or a GPU of its node, which cannot move.",
    remedy: "Shut the VM down, and start it on another node. SR-IOV network interfaces do not count: KubeVirt unplugs them for a migration.",
};

pub(super) const SEV: CauseRow = CauseRow {
    code: "BRT0205",
    severity: Severity::Error,
    text: "memory is encrypted by AMD SEV",
    meaning: "KubeVirt does not migrate VMs whose memory is encrypted by AMD SEV, SEV-ES or SEV-SNP.",
    remedy: "Shut the VM down to move it.",
};

pub(super) const TDX: CauseRow = CauseRow {
    code: "BRT0206",
    severity: Severity::Error,
    text: "memory is encrypted by Intel TDX",
    meaning: "KubeVirt does not migrate VMs whose memory is encrypted by Intel TDX.",
    remedy: "Shut the VM down to move it.",
};

pub(super) const SECURE_EXECUTION: CauseRow = CauseRow {
    code: "BRT0207",
    severity: Severity::Error,
    text: "memory is encrypted by IBM Secure Execution",
    meaning: "KubeVirt does not migrate VMs under IBM Secure Execution.",
    remedy: "Shut the VM down to move it.",
};

pub(super) const NO_TSC_FREQUENCY: CauseRow = CauseRow {
    code: "BRT0208",
    severity: Severity::Error,
    text: "the frequency of the time-stamp counter is unknown",
    meaning: "The guest uses Hyper-V re-enlightenment, which needs a time-stamp counter of one frequency, and the node on which the VM started does not report its frequency.",
    remedy: "Check the label `cpu-timer.node.kubevirt.io/tsc-frequency` of the node. Without one, remove `spec.domain.features.hyperv.reenlightenment`, or shut the VM down to move it.",
};

pub(super) const HYPERV_PASSTHROUGH: CauseRow = CauseRow {
    code: "BRT0209",
    severity: Severity::Error,
    text: "Hyper-V passthrough depends on the node",
    meaning: "The guest has every Hyper-V feature of its node, and another node may have others.",
    remedy: "Replace `spec.domain.features.hypervPassthrough` by the features that the guest needs, in `spec.domain.features.hyperv`, and restart the VM.",
};

pub(super) const DISK_NOT_SHARED: CauseRow = CauseRow {
    code: "BRT0210",
    severity: Severity::Error,
    text: "a disk cannot be used from two nodes",
    meaning: "During a migration both nodes use the disks of a VM. The claim of this disk does not have the access mode ReadWriteMany, or the disk is a file of the node.",
    remedy: "Move the disk to a claim with ReadWriteMany, or migrate the volume together with the VM (`updateVolumesStrategy: Migration`).",
};

pub(super) const NOT_LIVE_MIGRATABLE: CauseRow = CauseRow {
    code: "BRT0211",
    severity: Severity::Error,
    text: "KubeVirt says that it cannot migrate this VM",
    meaning: "The condition LiveMigratable of the VMI is False, and the finding has its message: its reason is one that berth does not judge itself, or berth finds nothing in the spec that is the reason. KubeVirt refuses the migration all the same.",
    remedy: "Follow the message of KubeVirt.",
};

pub(super) const ENDING: CauseRow = CauseRow {
    code: "BRT0212",
    severity: Severity::Error,
    text: "the VM is ending",
    meaning: "The VMI is being deleted, or its phase is Failed. KubeVirt refuses its migration. The finding says which of the two.",
    remedy: "Nothing, unless it stays so: then `kubectl describe vmi NAME` shows what it waits for, or why it failed.",
};

pub(super) const MIGRATION_IN_PROGRESS: CauseRow = CauseRow {
    code: "BRT0213",
    severity: Severity::Warning,
    text: "a migration is under way",
    meaning: "KubeVirt runs one migration of a VM at a time and refuses another one. The finding names the source and the target of the one that runs, or its VirtualMachineInstanceMigration.",
    remedy: "Wait for its end, or delete its VirtualMachineInstanceMigration to cancel it: `kubectl get vmim` lists them.",
};

pub(super) const SOURCE_NOT_READY: CauseRow = CauseRow {
    code: "BRT0214",
    severity: Severity::Error,
    text: "the node on which the VM runs is not ready",
    meaning: "The node does not exist, its condition Ready is not True, or the phase of the VMI is Unknown: KubeVirt could not learn from the node how the VM is. A migration needs the virt-handler of that node.",
    remedy: "Bring the node back. If it is lost for good, make sure that it is powered off, and delete the Node object: KubeVirt then starts the VM on another node.",
};

pub(super) const NOT_RUNNING: CauseRow = CauseRow {
    code: "BRT0215",
    severity: Severity::Info,
    text: "the VM does not run",
    meaning: "There is nothing to migrate. The VM is judged by its template: what it will be able to do once it runs.",
    remedy: "Nothing.",
};

pub(super) const CONDITION_DIFFERS: CauseRow = CauseRow {
    code: "BRT0216",
    severity: Severity::Info,
    text: "KubeVirt says that it can migrate the VM, and its spec says otherwise",
    meaning: "The condition LiveMigratable of the VMI is True, and the finding names what in the spec is against a migration. virt-handler computes the condition from the VMI, its node and the KubeVirt CR each time it looks at the VMI, and virt-api refuses a migration by the condition alone: KubeVirt migrates the VM, and berth judges it so. If the two still differ in a minute, virt-handler has not looked at the VMI since the annotation, a claim or the KubeVirt CR was changed, or knows something that berth does not.",
    remedy: "Look at the condition again in a minute: `kubectl get vmi NAME -o yaml`. If it is still True, check that the virt-handler pod of the VM's node runs. Put right what the finding names before the VM is restarted: the condition can turn False at any time.",
};

pub(super) const TARGET_DOES_NOT_FIT: CauseRow = CauseRow {
    code: "BRT0217",
    severity: Severity::Warning,
    text: "the migration under way goes to a node that does not fit",
    meaning: "The target pod of the migration is on the node that the finding names, with the codes of what is against the node. The migration may fail, or the VM may lose its network on the target. What kube-scheduler decides when it places a pod is not judged again: cordon, taints, free resources, and affinity to pods.",
    remedy: "Cancel the migration before it ends: `virtctl migrate-cancel VM -n NAMESPACE`, or `kubectl delete vmim NAME -n NAMESPACE`. The next one may choose the same node: mend what the findings say of it, or cordon it, before you migrate the VM again.",
};

//! BRT09…: what could not be checked.

use super::CauseRow;
use crate::decide::checks::Severity;

pub(super) const NOT_ALLOWED: CauseRow = CauseRow {
    code: "BRT0901",
    severity: Severity::Unchecked,
    text: "a kind could not be listed",
    meaning: "The API server does not allow the user of the kubeconfig to list this kind. What depends on it is not judged. VMs that cannot be judged without it have BRT0917 or BRT0914.",
    remedy: "Use a kubeconfig whose user may `list` this kind in all namespaces; `kubectl auth can-i list KIND -A` tells.",
};

pub(super) const NOT_IN_SNAPSHOT: CauseRow = CauseRow {
    code: "BRT0902",
    severity: Severity::Unchecked,
    text: "the snapshot lacks a kind",
    meaning: "The snapshot has no object of a kind that every cluster with VMs has. What depends on it is not judged. VMs that cannot be judged without it have BRT0917.",
    remedy: "Write the snapshot with all kinds: `kubectl get nodes,pods,namespaces,vm,vmi,vmim,kubevirts,migrationpolicies,pvc,pv,sc,resourcequotas,network-attachment-definitions,subnets.kubeovn.io,vpcs.kubeovn.io,ips.kubeovn.io -A -o json`. kubectl refuses kinds that the cluster does not have: leave out `network-attachment-definitions` without Multus, and those of `kubeovn.io` without Kube-OVN.",
};

pub(super) const UNREADABLE: CauseRow = CauseRow {
    code: "BRT0903",
    severity: Severity::Unchecked,
    text: "an object could not be read",
    meaning: "A field of the object has another type than its API gives it, or is missing. berth does as if the object were not known: VMs that cannot be judged without it have BRT0917 or BRT0914.",
    remedy: "Write the snapshot again, without changes by hand. If the object came from the API server, look at the field that is named: `kubectl get KIND NAME -o yaml`.",
};

pub(super) const NO_SOURCE_POD: CauseRow = CauseRow {
    code: "BRT0904",
    severity: Severity::Unchecked,
    text: "the launcher pod was not found",
    meaning: "The VM runs, and its pod is not among the pods. What the target pod requests, and which CPU a host-model VM needs, are not known without it. The VM is not judged.",
    remedy: "Run the command again: the pod may have been replaced while the lists were read. In a snapshot, include the pods of all namespaces.",
};

pub(super) const TOPOLOGY_SPREAD_NOT_JUDGED: CauseRow = CauseRow {
    code: "BRT0906",
    severity: Severity::Unchecked,
    text: "topology spread constraints are not judged",
    meaning: "The VM has topology spread constraints, by which kube-scheduler may reject nodes that are targets here.",
    remedy: "Nothing, unless the target pod of a migration stays Pending: then `kubectl describe pod` says whether a constraint is the reason.",
};

pub(super) const DYNAMIC_RESOURCES_NOT_JUDGED: CauseRow = CauseRow {
    code: "BRT0907",
    severity: Severity::Unchecked,
    text: "claims of dynamic resources are not judged",
    meaning: "The VM has `spec.resourceClaims`. Which node can allocate them is not known here.",
    remedy: "See in `kubectl get resourceslices,resourceclaims -A` whether another node has a device that is free.",
};

pub(super) const INSTANCE_TYPE_NOT_JUDGED: CauseRow = CauseRow {
    code: "BRT0908",
    severity: Severity::Unchecked,
    text: "the instance type or preference is not judged",
    meaning: "The VM does not run, and its CPU, memory or devices come from an instance type or a preference that berth does not read.",
    remedy: "Check again once the VM runs.",
};

pub(super) const KUBE_VIRT_VERSION_UNKNOWN: CauseRow = CauseRow {
    code: "BRT0909",
    severity: Severity::Unchecked,
    text: "the version of KubeVirt is unknown",
    meaning: "There is no KubeVirt CR, or its `status.observedKubeVirtVersion` is not set. The target pod is rebuilt as KubeVirt 1.9 does it. The VMs are judged all the same.",
    remedy: "Check that KubeVirt is installed and its operator runs: `kubectl get kubevirts -A` shows the CR and its phase.",
};

pub(super) const SOUTHBOUND_NOT_READ: CauseRow = CauseRow {
    code: "BRT0910",
    severity: Severity::Unchecked,
    text: "OVN's chassis are not judged",
    meaning: "OVN's southbound database was not read, so that the checks BRT0104, BRT0105 and BRT0108 were not made.",
    remedy: "Set `--ovn-sb`, as in `--ovn-sb tcp:10.0.0.1:6642`, to the addresses of the database (Service `ovn-sb` in kube-system), and run the command where they can be reached.",
};

pub(super) const QUOTA_NOT_JUDGED: CauseRow = CauseRow {
    code: "BRT0911",
    severity: Severity::Unchecked,
    text: "a resource quota is not judged",
    meaning: "The namespace has a ResourceQuota that counts only some pods, or one on the limits of pods, which are not known before the pod is made.",
    remedy: "Compare `kubectl describe resourcequota -n NAMESPACE` with what one more launcher pod of the VM requests.",
};

pub(super) const CLAIM_NOT_BOUND: CauseRow = CauseRow {
    code: "BRT0912",
    severity: Severity::Unchecked,
    text: "a claim is not bound to a volume yet",
    meaning: "Which nodes reach a disk is known only once its claim is bound to a volume. Until then, the disk does not rule out any node.",
    remedy: "Check the claim: `kubectl describe pvc NAME`. One that waits for its first consumer is bound when the VM starts, and one of a data volume template is made then.",
};

pub(super) const OTHER_SCHEDULER: CauseRow = CauseRow {
    code: "BRT0913",
    severity: Severity::Unchecked,
    text: "another scheduler places the VM",
    meaning: "The VM has a `schedulerName` of its own. Its rules are not known here; berth's extender guards the VM only if that scheduler calls it.",
    remedy: "Check that the configuration of that scheduler has berth's extender (`berth scheduler-config` prints it), or use the default scheduler.",
};

pub(super) const NETWORK_NOT_JUDGED: CauseRow = CauseRow {
    code: "BRT0914",
    severity: Severity::Unchecked,
    text: "a network attachment definition could not be looked up",
    meaning: "The VM has an interface on a Multus network, and the NetworkAttachmentDefinitions of its namespace were not read. Without the definition, the launcher pod of a migration cannot start. The VM is not judged.",
    remedy: "In a snapshot, include `network-attachment-definitions`. Otherwise let the user of the kubeconfig list them.",
};

pub(super) const CONDITION_MISSING: CauseRow = CauseRow {
    code: "BRT0915",
    severity: Severity::Unchecked,
    text: "KubeVirt has not judged the VM yet",
    meaning: "The VMI runs and has no condition LiveMigratable, which virt-handler sets soon after the start. KubeVirt may know a reason against a migration that berth does not.",
    remedy: "Run the command again in a minute. If the condition is still missing, check the virt-handler pod of the VM's node.",
};

pub(super) const INSTALLATION_NOT_CHECKED: CauseRow = CauseRow {
    code: "BRT0916",
    severity: Severity::Unchecked,
    text: "part of the installation was not checked",
    meaning: "The API server does not allow the user of the kubeconfig to read what this needs, or something on the way does not answer. The installation may be in order all the same.",
    remedy: "Check as a user with the ClusterRole `cluster-admin`. Where something does not answer, the text says what.",
};

pub(super) const NOT_READ: CauseRow = CauseRow {
    code: "BRT0917",
    severity: Severity::Unchecked,
    text: "not judged without what was not read",
    meaning: "What the finding names has to be known before anything can be said of the VM: the nodes and pods, the KubeVirt CR, its VMI, a claim or volume of its disks, or the resource quotas of its namespace. It was not listed, is not in the snapshot, or is damaged. The VM is not judged.",
    remedy: "BRT0901, BRT0902 and BRT0903 say why it was not read. In a snapshot, include the kinds that are named, of all namespaces.",
};

pub(super) const PRIORITY_NOT_JUDGED: CauseRow = CauseRow {
    code: "BRT0918",
    severity: Severity::Unchecked,
    text: "priority and preemption are not judged",
    meaning: "The VM has a priority class. Where a node is full (BRT0411), kube-scheduler may evict pods of lower priority for the target pod, so that a node is a target that is none here; and pods of higher priority may take the place of the VM.",
    remedy: "Nothing, unless you rely on preemption: then see in `kubectl get priorityclasses` what the class is worth.",
};

pub(super) const RUNTIME_CLASS_NOT_JUDGED: CauseRow = CauseRow {
    code: "BRT0919",
    severity: Severity::Unchecked,
    text: "the runtime class is not judged",
    meaning: "The KubeVirt CR gives launcher pods a runtime class (`defaultRuntimeClass`). Its node selector, tolerations and overhead may rule out nodes that are targets here.",
    remedy: "Compare `scheduling` and `overhead` in `kubectl get runtimeclass NAME -o yaml` with the nodes.",
};

pub(super) const KUBE_OVN_NOT_JUDGED: CauseRow = CauseRow {
    code: "BRT0920",
    severity: Severity::Unchecked,
    text: "what Kube-OVN has of the VM is not judged",
    meaning: "Kube-OVN has attached the VM's pod to a subnet, and the Subnet, the Vpc or the IP that the finding names was not read: Kube-OVN's kinds were not listed, are not in the snapshot, or an object is damaged. Whether the subnet is ready (BRT0305) and Kube-OVN keeps the address of the VM (BRT0306) is not known. The VM is judged all the same.",
    remedy: "In a snapshot, include `subnets.kubeovn.io,vpcs.kubeovn.io,ips.kubeovn.io`. Otherwise let the user of the kubeconfig list them: `kubectl auth can-i list subnets.kubeovn.io`.",
};

pub(super) const CONTAINERS_NOT_COUNTED: CauseRow = CauseRow {
    code: "BRT0921",
    severity: Severity::Unchecked,
    text: "containers that are added to the launcher pod are not counted",
    meaning: "What the launcher pod requests is computed, because there is no pod of the VM to read it from. It will have containers beside those of KubeVirt: by `hooks.kubevirt.io/hookSidecars`, by Istio, or of a network binding plugin. What these request is not known here and comes on top.",
    remedy: "Check again once the VM runs. Until then, leave room for what the containers request on nodes that are nearly full.",
};

pub(super) const AGENTS_NOT_READ: CauseRow = CauseRow {
    code: "BRT0922",
    severity: Severity::Unchecked,
    text: "no pod of the network's agents was read",
    meaning: "The nodes or the launcher pods have the annotations of the network provider, and not one pod of its agents is among the pods that were read: the snapshot has the pods of some namespaces only, or the agents run in another namespace. Whether the agents of a node are ready (BRT0106) is not judged, and the resources that pods of other namespaces take of a node may be missing.",
    remedy: "In a snapshot, include the pods of all namespaces (`kubectl get … -A`). If the agents run in another namespace, set `agents.namespace` in the file of `--config`. If they do not run as pods, set `guard.checks.chassisAgents: false` there.",
};

pub(super) const KUBE_OVN_VERSION_UNKNOWN: CauseRow = CauseRow {
    code: "BRT0923",
    severity: Severity::Unchecked,
    text: "the version of Kube-OVN is unknown",
    meaning: "The nodes or the launcher pods have the annotations of Kube-OVN, and no image of a pod that was read tells its release. Its known bugs, and those of its OVN, are not looked for. The VMs are judged all the same.",
    remedy: "In a snapshot, include the pods of all namespaces. If the images have no tag with a release, compare the one that was installed with the known bugs: `berth explain` lists them as BRT05….",
};

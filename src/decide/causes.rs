//! What the commands for people find beside the checks of a node: one row for each cause, from what
//! KubeVirt itself does not migrate (02xx) to what could not be judged (09xx).

use strum::{EnumCount, IntoStaticStr};

use crate::decide::checks::Severity;

/// The texts and properties of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CauseRow {
    /// The stable code, `BRT` and four digits. A code is never used for anything else.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is wrong, in a few words; a finding adds of what.
    pub text: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
}

/// Defines [`Cause`] and the row of each variant, so that neither can be without the other.
macro_rules! causes {
    ($($(#[$doc:meta])* $cause:ident { $($field:ident: $value:expr),+ $(,)? })+) => {
        /// A cause, in the order in which findings are shown.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumCount, IntoStaticStr,
        )]
        #[repr(u8)]
        pub enum Cause {
            $($(#[$doc])* $cause),+
        }

        impl Cause {
            /// Every cause, in order.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$cause),+];

            /// All that is said of the cause.
            #[must_use]
            pub const fn row(self) -> CauseRow {
                match self {
                    $(Self::$cause => CauseRow { $($field: $value),+ }),+
                }
            }

            /// The name of its code in CamelCase.
            #[must_use]
            pub fn code_name(self) -> &'static str {
                self.into()
            }
        }
    };
}

causes! {
    /// KubeVirt cannot migrate one of the interfaces.
    InterfaceNotMigratable {
        code: "BRT0201",
        severity: Severity::Error,
        text: "an interface cannot be migrated",
        meaning: "KubeVirt migrates a VM only if the interface on the pod network has masquerade binding, a binding plugin that is registered as migratable, or bridge binding with the annotation of BRT0202. This interface has none of these.",
        remedy: "Use masquerade or bridge binding for the pod network, or declare that the plugin can migrate: `migration: {}` in `spec.configuration.network.binding.PLUGIN` of the KubeVirt CR.",
    }
    /// The annotation for bridge binding is missing.
    BridgeAnnotationMissing {
        code: "BRT0202",
        severity: Severity::Error,
        text: "bridge binding without the annotation that allows its migration",
        meaning: "The interface on the pod network has bridge binding, and the VMI has no annotation `kubevirt.io/allow-pod-bridge-network-live-migration`. KubeVirt does not migrate such a VM.",
        remedy: "`berth annotate` shows what the annotation would need to be added to, and `berth annotate --apply` adds it. By hand it belongs in `spec.template.metadata.annotations` of the VM, which then has to be restarted. Do this only with a network that keeps the address of a VM in a migration, as Kube-OVN and OVN-Kubernetes do. berth's webhook adds it to VMs that are created while it is installed.",
    }
    /// The CPU model of the host is not known.
    HostCpuUnknown {
        code: "BRT0203",
        severity: Severity::Error,
        text: "host-model CPU on a node whose CPU model is unknown",
        meaning: "The VM has the CPU model of its node, and the node has no label `host-model-cpu.node.kubevirt.io/MODEL`. KubeVirt does not know which nodes have the same CPU.",
        remedy: "Check the log of the virt-handler pod on the node, which writes the label, or give the VM a named CPU model (`spec.domain.cpu.model`).",
    }
    /// A device of the node is passed through.
    HostDevice {
        code: "BRT0204",
        severity: Severity::Error,
        text: "devices of the node are passed through",
        meaning: "The VM has a PCI device, a mediated device or a GPU of its node, which cannot move.",
        remedy: "Shut the VM down, and start it on another node. SR-IOV network interfaces do not count: KubeVirt unplugs them for a migration.",
    }
    /// AMD SEV encrypts the memory.
    Sev {
        code: "BRT0205",
        severity: Severity::Error,
        text: "memory is encrypted by AMD SEV",
        meaning: "KubeVirt does not migrate VMs whose memory is encrypted by AMD SEV, SEV-ES or SEV-SNP.",
        remedy: "Shut the VM down to move it.",
    }
    /// Intel TDX encrypts the memory.
    Tdx {
        code: "BRT0206",
        severity: Severity::Error,
        text: "memory is encrypted by Intel TDX",
        meaning: "KubeVirt does not migrate VMs whose memory is encrypted by Intel TDX.",
        remedy: "Shut the VM down to move it.",
    }
    /// IBM Secure Execution encrypts the memory.
    SecureExecution {
        code: "BRT0207",
        severity: Severity::Error,
        text: "memory is encrypted by IBM Secure Execution",
        meaning: "KubeVirt does not migrate VMs under IBM Secure Execution.",
        remedy: "Shut the VM down to move it.",
    }
    /// The time-stamp counter's frequency is needed and not known.
    NoTscFrequency {
        code: "BRT0208",
        severity: Severity::Error,
        text: "the frequency of the time-stamp counter is unknown",
        meaning: "The guest uses Hyper-V re-enlightenment, which needs a time-stamp counter of one frequency, and the node on which the VM started does not report its frequency.",
        remedy: "Check the label `cpu-timer.node.kubevirt.io/tsc-frequency` of the node. Without one, remove `spec.domain.features.hyperv.reenlightenment`, or shut the VM down to move it.",
    }
    /// Hyper-V passthrough.
    HypervPassthrough {
        code: "BRT0209",
        severity: Severity::Error,
        text: "Hyper-V passthrough depends on the node",
        meaning: "The guest has every Hyper-V feature of its node, and another node may have others.",
        remedy: "Replace `spec.domain.features.hypervPassthrough` by the features that the guest needs, in `spec.domain.features.hyperv`, and restart the VM.",
    }
    /// A disk is on a volume that one node alone can use.
    DiskNotShared {
        code: "BRT0210",
        severity: Severity::Error,
        text: "a disk cannot be used from two nodes",
        meaning: "During a migration both nodes use the disks of a VM. The claim of this disk does not have the access mode ReadWriteMany, or the disk is a file of the node.",
        remedy: "Move the disk to a claim with ReadWriteMany, or migrate the volume together with the VM (`updateVolumesStrategy: Migration`).",
    }
    /// KubeVirt says that it does not migrate the VM, for a reason that is not among these.
    NotLiveMigratable {
        code: "BRT0211",
        severity: Severity::Error,
        text: "KubeVirt says that it cannot migrate this VM",
        meaning: "The condition LiveMigratable of the VMI is False with a reason that berth does not judge itself. Its message follows.",
        remedy: "Follow the message of KubeVirt.",
    }
    /// The VMI is being deleted or has ended.
    Ending {
        code: "BRT0212",
        severity: Severity::Error,
        text: "the VM is ending",
        meaning: "The VMI is being deleted, or its phase is Failed. KubeVirt refuses its migration. The finding says which of the two.",
        remedy: "Nothing, unless it stays so: then `kubectl describe vmi NAME` shows what it waits for, or why it failed.",
    }
    /// A migration is under way already.
    MigrationInProgress {
        code: "BRT0213",
        severity: Severity::Warning,
        text: "a migration is under way",
        meaning: "KubeVirt runs one migration of a VM at a time and refuses another one. The finding names the source and the target of the one that runs, or its VirtualMachineInstanceMigration.",
        remedy: "Wait for its end, or delete its VirtualMachineInstanceMigration to cancel it: `kubectl get vmim` lists them.",
    }
    /// The node of the VM does not answer.
    SourceNotReady {
        code: "BRT0214",
        severity: Severity::Error,
        text: "the node on which the VM runs is not ready",
        meaning: "The node does not exist, or its condition Ready is not True. A migration needs the virt-handler of that node.",
        remedy: "Bring the node back. If it is lost for good, make sure that it is powered off, and delete the Node object: KubeVirt then starts the VM on another node.",
    }
    /// The VM does not run.
    NotRunning {
        code: "BRT0215",
        severity: Severity::Info,
        text: "the VM does not run",
        meaning: "There is nothing to migrate. The VM is judged by its template: what it will be able to do once it runs.",
        remedy: "Nothing.",
    }

    /// A network attachment definition is missing.
    NetworkNotFound {
        code: "BRT0301",
        severity: Severity::Error,
        text: "a network attachment definition is missing",
        meaning: "The VM has an interface on a Multus network whose NetworkAttachmentDefinition does not exist. The launcher pod of a migration cannot start.",
        remedy: "Create the definition again, or remove the interface.",
    }
    /// OVN has no port of the VM.
    PortNotFound {
        code: "BRT0302",
        severity: Severity::Warning,
        text: "OVN has no port of the VM",
        meaning: "Kube-OVN has attached the VM's pod to a subnet, and OVN's southbound database has no port whose `external_ids:pod` is this VM, nor one that is named after it. Without a port the VM has no network after a migration, and often none before it.",
        remedy: "Look for the port: `kubectl ko nbctl --columns=name,external_ids find Logical_Switch_Port external_ids:pod=NAMESPACE/VM`. If there is none, restart the VM, and look in the log of kube-ovn-controller for why the port was deleted.",
    }
    /// The network of the VM is not on a node yet.
    NetworkNotLocal {
        code: "BRT0303",
        severity: Severity::Info,
        text: "the VM's network is not on these nodes yet",
        meaning: "No port of the VM's VPC is bound on the chassis of these nodes, so that OVN has no flows of it there. The first VM of the VPC that migrates there loses its network for seconds, until the flows are installed. The nodes are targets all the same.",
        remedy: "Nothing is wrong. If the VM does not tolerate it, migrate to a node that has the network: berth's score prefers those.",
    }
    /// The underlay network of the VM is not on a node.
    UnderlayNotOnNode {
        code: "BRT0304",
        severity: Severity::Warning,
        text: "the provider network of the VM's subnet is not ready on these nodes",
        meaning: "The subnet of the VM is a VLAN of the nodes' own network, and these nodes lack the label `NAME.provider-network.kubernetes.io/ready=true` that Kube-OVN sets once it has connected a node. A VM that migrates there has no network.",
        remedy: "Look at the conditions of the ProviderNetwork. If the nodes are excluded from it on purpose, keep the VM off them by a node selector.",
    }
    /// A subnet of the VM is missing or not ready.
    SubnetNotReady {
        code: "BRT0305",
        severity: Severity::Warning,
        text: "the subnet of the VM is not ready",
        meaning: "The Kube-OVN Subnet that the VM's pod is attached to does not exist, its condition Ready is not True, or its VPC does not exist. Kube-OVN cannot attach the target pod to it, which then stays in ContainerCreating.",
        remedy: "Look at the conditions of the Subnet and its Vpc: `kubectl describe subnet NAME`.",
    }
    /// Kube-OVN keeps no address for the VM.
    AddressNotKept {
        code: "BRT0306",
        severity: Severity::Warning,
        text: "Kube-OVN keeps no address for the VM",
        meaning: "There is no IP object of Kube-OVN for this VM. The target pod gets another address than the VM has, and the VM is not reachable after the migration.",
        remedy: "If kube-ovn-controller runs with `--keep-vm-ip=false`, remove that flag. Otherwise restart the VM, so that Kube-OVN makes the object again.",
    }

    /// No node is a target.
    NoTarget {
        code: "BRT0401",
        severity: Severity::Error,
        text: "no node can take the VM",
        meaning: "Each node of the cluster is ruled out by at least one finding, and the findings name their nodes.",
        remedy: "Choose the node that should take the VM, and mend what its findings say. `berth check VM --node NODE` shows them alone.",
    }
    /// One node alone is a target.
    OneTarget {
        code: "BRT0402",
        severity: Severity::Warning,
        text: "only one node can take the VM",
        meaning: "While that node is down or full, the VM cannot migrate.",
        remedy: "Make a second node fit: the findings of the other nodes say what is against each.",
    }
    /// The node is cordoned.
    Cordoned {
        code: "BRT0403",
        severity: Severity::Error,
        text: "node is cordoned",
        meaning: "`spec.unschedulable` of the node is set.",
        remedy: "`kubectl uncordon NODE`, if that is not intended.",
    }
    /// The node is not ready.
    NodeNotReady {
        code: "BRT0404",
        severity: Severity::Error,
        text: "node is not ready",
        meaning: "The condition Ready of the node is not True, or it has the taint that follows from that. kube-scheduler looks at the taint alone, which VMs may tolerate; a migration to a node without a kubelet fails all the same.",
        remedy: "`kubectl describe node NODE` shows the reason. Mostly the kubelet has stopped, or cannot reach the API server.",
    }
    /// KubeVirt does not place VMs on the node.
    NotSchedulable {
        code: "BRT0405",
        severity: Severity::Error,
        text: "KubeVirt places no VMs on the node",
        meaning: "The node does not have the label `kubevirt.io/schedulable: \"true\"`, which virt-handler sets while it runs there.",
        remedy: "Check that the virt-handler pod of the node is there and ready: `kubectl get pods -A -o wide -l kubevirt.io=virt-handler`.",
    }
    /// A taint is not tolerated.
    Taint {
        code: "BRT0406",
        severity: Severity::Error,
        text: "taint not tolerated",
        meaning: "The node has a taint with effect NoSchedule or NoExecute that the VM does not tolerate.",
        remedy: "Add a toleration to the VM, or remove the taint.",
    }
    /// The CPU of the node does not do.
    CpuNotSupported {
        code: "BRT0407",
        severity: Severity::Error,
        text: "CPU not supported",
        meaning: "The node lacks a CPU model, a CPU feature or the CPU vendor that the VM needs. For `host-model` these are those of the node on which the VM started.",
        remedy: "Add nodes with the same CPU, or give the VM a named CPU model that all nodes have (`spec.domain.cpu.model`), and restart it.",
    }
    /// A label that the VM asks for is missing.
    NodeSelector {
        code: "BRT0408",
        severity: Severity::Error,
        text: "node selector does not match",
        meaning: "The node lacks a label of the target pod's node selector: of the VM's own, of the KubeVirt CR's `nodeSelectors`, of a migration's `addedNodeSelector`, or one that KubeVirt adds for what the VM uses.",
        remedy: "Label the node, or correct the selector.",
    }
    /// The node affinity does not match.
    NodeAffinity {
        code: "BRT0409",
        severity: Severity::Error,
        text: "node affinity does not match",
        meaning: "The required node affinity of the VM does not match the node.",
        remedy: "Label the node, or correct the affinity.",
    }
    /// A volume cannot be reached from the node.
    VolumeNodeAffinity {
        code: "BRT0410",
        severity: Severity::Error,
        text: "a volume cannot be reached from the node",
        meaning: "The persistent volume of a disk has a node affinity that does not match the node.",
        remedy: "Use a volume that all nodes reach, or migrate the volume together with the VM.",
    }
    /// The node is full.
    InsufficientResources {
        code: "BRT0411",
        severity: Severity::Error,
        text: "not enough free resources",
        meaning: "What the target pod requests is more than what is left of the node's allocatable resources.",
        remedy: "Free the node, or add nodes. A migration needs the VM's resources twice while it lasts.",
    }
    /// A quota leaves no room for a second pod.
    QuotaExceeded {
        code: "BRT0412",
        severity: Severity::Error,
        text: "a resource quota leaves no room for the target pod",
        meaning: "While a migration lasts there are two pods of the VM, and a ResourceQuota of the namespace does not allow the second one.",
        remedy: "Raise the quota by what one launcher pod requests, or use KubeVirt's Application-Aware Quota (AAQ), which does not count the second pod of a migration.",
    }
    /// The VM would be shut down by a drain.
    ShutDownByDrain {
        code: "BRT0413",
        severity: Severity::Warning,
        text: "a drain would shut the VM down",
        meaning: "Neither the VM nor the KubeVirt CR has an eviction strategy that migrates (LiveMigrate, or LiveMigrateIfPossible for a VM that can be migrated). A drain of the node ends the VM.",
        remedy: "Set `evictionStrategy: LiveMigrate` in the VM's template (`spec.template.spec`) and restart the VM: a change of the template takes effect only then. Or set it in `spec.configuration` of the KubeVirt CR, where it takes effect at once, but only for VMs that have no `evictionStrategy`: one with `None` keeps it.",
    }
    /// The VM blocks a drain.
    BlocksDrain {
        code: "BRT0414",
        severity: Severity::Warning,
        text: "a drain would wait for the VM",
        meaning: "The VM's eviction strategy is External, which leaves its migration to another controller, or the strategy migrates it and it cannot be migrated now, or not before its migration to the drained node is over. `kubectl drain` does not end before the VM has moved or is shut down.",
        remedy: "Mend what the other findings of the VM say, or shut it down before the drain. With External, ask the controller that the strategy is meant for.",
    }
    /// The CPU of another node differs, and the guest has all of its own.
    PassthroughCpuDiffers {
        code: "BRT0415",
        severity: Severity::Warning,
        text: "host-passthrough CPU on nodes with other CPUs",
        meaning: "The guest has the CPU of its node as it is. KubeVirt compares no more than the vendor. These nodes have another CPU model, or lack CPU features of the VM's node: the migration may fail, or the guest may crash after it.",
        remedy: "Migrate to nodes with the same CPU: a node selector of the VM can choose them. Or give the VM a named CPU model that all nodes have.",
    }

    /// The node that was asked about is not a target.
    NodeDoesNotFit {
        code: "BRT0416",
        severity: Severity::Error,
        text: "the node cannot take the VM",
        meaning: "The node of `--node` fails at least one check. The findings name them.",
        remedy: "Mend what the findings of the node say, or choose another node.",
    }
    /// Other VMs take the room.
    NoRoomLeft {
        code: "BRT0417",
        severity: Severity::Error,
        text: "no room is left for the VM",
        meaning: "There are nodes that fit, and the VMs that the plan of the drain places before this one take what is free on them.",
        remedy: "Drain fewer nodes at a time, free resources, or add nodes.",
    }
    /// A migration policy applies.
    PolicyApplies {
        code: "BRT0418",
        severity: Severity::Info,
        text: "a migration policy applies",
        meaning: "The VM is migrated with the settings of this MigrationPolicy in place of those of the KubeVirt CR. Of the policies whose labels match the VM and its namespace, KubeVirt takes the one with the most labels.",
        remedy: "Nothing, if the policy is meant for this VM.",
    }
    /// The bandwidth is too low for the time that a migration may take.
    BandwidthTooLow {
        code: "BRT0419",
        severity: Severity::Warning,
        text: "the bandwidth limit is too low for the completion timeout",
        meaning: "At this bandwidth, copying 1 GiB once takes longer than a migration may take for each GiB, and neither post-copy nor a pause of the guest is allowed. KubeVirt aborts the migration of a VM that uses most of its memory.",
        remedy: "Raise `bandwidthPerMigration` or `completionTimeoutPerGiB` in the MigrationPolicy or the KubeVirt CR, or allow post-copy.",
    }
    /// A node has the hostname of the source node.
    SameHostname {
        code: "BRT0420",
        severity: Severity::Error,
        text: "the hostname is that of the source node",
        meaning: "KubeVirt keeps the target pod from nodes whose label `kubernetes.io/hostname` has the value that it has on the VM's own node. Two nodes have the same value.",
        remedy: "Give each node a hostname of its own: `hostnamectl set-hostname NAME`, or `--hostname-override` of its kubelet.",
    }

    /// Rules about other pods do not match.
    PodAffinity {
        code: "BRT0421",
        severity: Severity::Error,
        text: "affinity or anti-affinity to pods does not match",
        meaning: "The VM has to be near other pods, or far from them, and the node is not; or a pod that is there keeps the VM away by its own anti-affinity. Only required rules reject a node.",
        remedy: "Move the other pods, or make the rule a preferred one.",
    }

    /// A drain would end the migration of the VM.
    MigrationEndsByDrain {
        code: "BRT0422",
        severity: Severity::Warning,
        text: "a drain would end the migration of the VM",
        meaning: "The VM runs on another node, and the target pod of its migration is on the drained node. KubeVirt does not refuse the eviction of this pod, because the VM's eviction strategy does not migrate it. The migration fails, and the VM runs on where it is.",
        remedy: "Nothing, if the VM may stay where it is: it can be migrated later, to a node that is not drained.",
    }
    /// A claim of the VM, or the volume that it is bound to, is missing.
    ClaimNotFound {
        code: "BRT0423",
        severity: Severity::Error,
        text: "a claim of the VM or its volume does not exist",
        meaning: "A disk of the VM is on a PersistentVolumeClaim that does not exist, or that is bound to a PersistentVolume which does not exist. The launcher pod of a migration is not scheduled.",
        remedy: "Create the claim again if its data is elsewhere, or remove the disk from the VM. `kubectl get pvc -n NAMESPACE` lists the claims.",
    }

    /// A kind could not be listed.
    NotAllowed {
        code: "BRT0901",
        severity: Severity::Unchecked,
        text: "a kind could not be listed",
        meaning: "The API server does not allow the user of the kubeconfig to list this kind. What depends on it is not judged. VMs that cannot be judged without it have BRT0917 or BRT0914.",
        remedy: "Use a kubeconfig whose user may `list` this kind in all namespaces; `kubectl auth can-i list KIND -A` tells.",
    }
    /// A snapshot has no object of a kind that every cluster has.
    NotInSnapshot {
        code: "BRT0902",
        severity: Severity::Unchecked,
        text: "the snapshot lacks a kind",
        meaning: "The snapshot has no object of a kind that every cluster with VMs has. What depends on it is not judged. VMs that cannot be judged without it have BRT0917.",
        remedy: "Write the snapshot with all kinds: `kubectl get nodes,pods,namespaces,vm,vmi,vmim,kubevirts,migrationpolicies,pvc,pv,sc,resourcequotas,network-attachment-definitions,subnets.kubeovn.io,vpcs.kubeovn.io,ips.kubeovn.io -A -o json`. kubectl refuses kinds that the cluster does not have: leave out `network-attachment-definitions` without Multus, and those of `kubeovn.io` without Kube-OVN.",
    }
    /// An object could not be read.
    Unreadable {
        code: "BRT0903",
        severity: Severity::Unchecked,
        text: "an object could not be read",
        meaning: "A field of the object has another type than its API gives it, or is missing. berth does as if the object were not known: VMs that cannot be judged without it have BRT0917 or BRT0914.",
        remedy: "Write the snapshot again, without changes by hand. If the object came from the API server, look at the field that is named: `kubectl get KIND NAME -o yaml`.",
    }
    /// The launcher pod of a VM that runs is missing.
    NoSourcePod {
        code: "BRT0904",
        severity: Severity::Unchecked,
        text: "the launcher pod was not found",
        meaning: "The VM runs, and its pod is not among the pods. What the target pod requests, and which CPU a host-model VM needs, are not known without it. The VM is not judged.",
        remedy: "Run the command again: the pod may have been replaced while the lists were read. In a snapshot, include the pods of all namespaces.",
    }
    /// Topology spread is not judged.
    TopologySpreadNotJudged {
        code: "BRT0906",
        severity: Severity::Unchecked,
        text: "topology spread constraints are not judged",
        meaning: "The VM has topology spread constraints, by which kube-scheduler may reject nodes that are targets here.",
        remedy: "Nothing, unless the target pod of a migration stays Pending: then `kubectl describe pod` says whether a constraint is the reason.",
    }
    /// Dynamic resources are not judged.
    DynamicResourcesNotJudged {
        code: "BRT0907",
        severity: Severity::Unchecked,
        text: "claims of dynamic resources are not judged",
        meaning: "The VM has `spec.resourceClaims`. Which node can allocate them is not known here.",
        remedy: "See in `kubectl get resourceslices,resourceclaims -A` whether another node has a device that is free.",
    }
    /// An instance type or a preference is not judged.
    InstanceTypeNotJudged {
        code: "BRT0908",
        severity: Severity::Unchecked,
        text: "the instance type or preference is not judged",
        meaning: "The VM does not run, and its CPU, memory or devices come from an instance type or a preference that berth does not read.",
        remedy: "Check again once the VM runs.",
    }
    /// The version of KubeVirt is not known.
    KubeVirtVersionUnknown {
        code: "BRT0909",
        severity: Severity::Unchecked,
        text: "the version of KubeVirt is unknown",
        meaning: "There is no KubeVirt CR, or its `status.observedKubeVirtVersion` is not set. The target pod is rebuilt as KubeVirt 1.9 does it. The VMs are judged all the same.",
        remedy: "Check that KubeVirt is installed and its operator runs: `kubectl get kubevirts -A` shows the CR and its phase.",
    }
    /// The southbound database was not read.
    SouthboundNotRead {
        code: "BRT0910",
        severity: Severity::Unchecked,
        text: "OVN's chassis are not judged",
        meaning: "OVN's southbound database was not read, so that the checks BRT0104, BRT0105 and BRT0108 were not made.",
        remedy: "Set `--ovn-sb`, as in `--ovn-sb tcp:10.0.0.1:6642`, to the addresses of the database (Service `ovn-sb` in kube-system), and run the command where they can be reached.",
    }
    /// A quota is not judged.
    QuotaNotJudged {
        code: "BRT0911",
        severity: Severity::Unchecked,
        text: "a resource quota is not judged",
        meaning: "The namespace has a ResourceQuota that counts only some pods, or one on the limits of pods, which are not known before the pod is made.",
        remedy: "Compare `kubectl describe resourcequota -n NAMESPACE` with what one more launcher pod of the VM requests.",
    }
    /// A claim is not bound.
    ClaimNotBound {
        code: "BRT0912",
        severity: Severity::Unchecked,
        text: "a claim is not bound to a volume yet",
        meaning: "Which nodes reach a disk is known only once its claim is bound to a volume. Until then, the disk does not rule out any node.",
        remedy: "Check the claim: `kubectl describe pvc NAME`. One that waits for its first consumer is bound when the VM starts, and one of a data volume template is made then.",
    }
    /// Another scheduler places the VM.
    OtherScheduler {
        code: "BRT0913",
        severity: Severity::Unchecked,
        text: "another scheduler places the VM",
        meaning: "The VM has a `schedulerName` of its own. Its rules are not known here; berth's extender guards the VM only if that scheduler calls it.",
        remedy: "Check that the configuration of that scheduler has berth's extender (`berth scheduler-config` prints it), or use the default scheduler.",
    }
    /// A network attachment definition could not be looked up.
    NetworkNotJudged {
        code: "BRT0914",
        severity: Severity::Unchecked,
        text: "a network attachment definition could not be looked up",
        meaning: "The VM has an interface on a Multus network, and the NetworkAttachmentDefinitions of its namespace were not read. Without the definition, the launcher pod of a migration cannot start. The VM is not judged.",
        remedy: "In a snapshot, include `network-attachment-definitions`. Otherwise let the user of the kubeconfig list them.",
    }
    /// KubeVirt has not said yet whether it can be migrated.
    ConditionMissing {
        code: "BRT0915",
        severity: Severity::Unchecked,
        text: "KubeVirt has not judged the VM yet",
        meaning: "The VMI runs and has no condition LiveMigratable, which virt-handler sets soon after the start. KubeVirt may know a reason against a migration that berth does not.",
        remedy: "Run the command again in a minute. If the condition is still missing, check the virt-handler pod of the VM's node.",
    }
    /// Part of the installation could not be checked.
    InstallationNotChecked {
        code: "BRT0916",
        severity: Severity::Unchecked,
        text: "part of the installation was not checked",
        meaning: "The API server does not allow the user of the kubeconfig to read what this needs, or something on the way does not answer. The installation may be in order all the same.",
        remedy: "Check as a user with the ClusterRole `cluster-admin`. Where something does not answer, the text says what.",
    }
    /// Something that has to be known of a VM was not read.
    NotRead {
        code: "BRT0917",
        severity: Severity::Unchecked,
        text: "not judged without what was not read",
        meaning: "What the finding names has to be known before anything can be said of the VM: the nodes and pods, the KubeVirt CR, its VMI, a claim or volume of its disks, or the resource quotas of its namespace. It was not listed, is not in the snapshot, or is damaged. The VM is not judged.",
        remedy: "BRT0901, BRT0902 and BRT0903 say why it was not read. In a snapshot, include the kinds that are named, of all namespaces.",
    }
    /// Preemption is not judged.
    PriorityNotJudged {
        code: "BRT0918",
        severity: Severity::Unchecked,
        text: "priority and preemption are not judged",
        meaning: "The VM has a priority class. Where a node is full (BRT0411), kube-scheduler may evict pods of lower priority for the target pod, so that a node is a target that is none here; and pods of higher priority may take the place of the VM.",
        remedy: "Nothing, unless you rely on preemption: then see in `kubectl get priorityclasses` what the class is worth.",
    }
    /// The runtime class is not judged.
    RuntimeClassNotJudged {
        code: "BRT0919",
        severity: Severity::Unchecked,
        text: "the runtime class is not judged",
        meaning: "The KubeVirt CR gives launcher pods a runtime class (`defaultRuntimeClass`). Its node selector, tolerations and overhead may rule out nodes that are targets here.",
        remedy: "Compare `scheduling` and `overhead` in `kubectl get runtimeclass NAME -o yaml` with the nodes.",
    }    /// What Kube-OVN has of a VM was not read.
    KubeOvnNotJudged {
        code: "BRT0920",
        severity: Severity::Unchecked,
        text: "what Kube-OVN has of the VM is not judged",
        meaning: "Kube-OVN has attached the VM's pod to a subnet, and the Subnet, the Vpc or the IP that the finding names was not read: Kube-OVN's kinds were not listed, are not in the snapshot, or an object is damaged. Whether the subnet is ready (BRT0305) and Kube-OVN keeps the address of the VM (BRT0306) is not known. The VM is judged all the same.",
        remedy: "In a snapshot, include `subnets.kubeovn.io,vpcs.kubeovn.io,ips.kubeovn.io`. Otherwise let the user of the kubeconfig list them: `kubectl auth can-i list subnets.kubeovn.io`.",
    }
}

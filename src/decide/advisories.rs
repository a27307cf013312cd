//! Known bugs of KubeVirt, Kube-OVN and OVN that harm live migrations: one row for each, with the releases
//! that have it. The ranges are those that the source names, or the tags between the commit that brought the
//! bug and the one that mended it. Where neither is known, a range is open and the row says so.

use strum::{EnumCount, IntoStaticStr};

use crate::decide::checks::Severity;
use crate::decide::version::{Component, Range, Version, before, between, since};

/// What else has to be true for a bug to matter, as far as a VMI tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing: it concerns the cluster as a whole.
    Always,
    /// VMs whose launcher is older than this release of KubeVirt.
    StartedBefore(Version),
    /// VMs with volumes that were plugged in while they ran.
    HotplugVolumes,
    /// VMs with a network of Multus.
    MultusNetwork,
    /// VMs whose default network is one of Multus.
    DefaultMultusNetwork,
}

/// All that is said of a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdvisoryRow {
    /// The stable code, `BRT` and four digits. A code is never used for anything else.
    pub code: &'static str,
    /// What has the bug.
    pub component: Component,
    /// The releases that have it, in order.
    pub affected: &'static [Range],
    /// What else has to be true.
    pub condition: Condition,
    /// Warning where migrations fail or lose packets and something can be done about it; Info where it takes
    /// something unusual as well, or where no release is better.
    pub severity: Severity,
    /// What is wrong, in a few words.
    pub text: &'static str,
    /// What happens.
    pub symptom: &'static str,
    /// How it shows: in berth, in `kubectl`, in logs.
    pub shows: &'static str,
    /// The release to upgrade to, or what helps until then.
    pub remedy: &'static str,
    /// The page of the bug.
    pub source: &'static str,
}

impl AdvisoryRow {
    /// Whether this release of its component has the bug.
    #[must_use]
    pub fn affects(&self, version: Version) -> bool {
        self.affected.iter().any(|range| range.contains(version))
    }

    /// The releases that have it, for people: `Kube-OVN before 1.13.3`.
    #[must_use]
    pub fn releases(&self) -> String {
        let name = self.component.name();
        if self.affected == [Range::ALL] {
            return format!("every release of {name}");
        }
        let ranges: Vec<String> = self.affected.iter().map(Range::to_string).collect();
        format!("{name} {}", ranges.join(", "))
    }
}

/// Defines [`Advisory`] and the row of each variant, so that neither can be without the other.
macro_rules! advisories {
    ($($(#[$doc:meta])* $advisory:ident { $($field:ident: $value:expr),+ $(,)? })+) => {
        /// A known bug, in the order of the codes.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumCount, IntoStaticStr,
        )]
        #[repr(u8)]
        pub enum Advisory {
            $($(#[$doc])* $advisory),+
        }

        impl Advisory {
            /// Every known bug, in order.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$advisory),+];

            /// All that is said of the bug.
            #[must_use]
            pub const fn row(self) -> &'static AdvisoryRow {
                match self {
                    $(Self::$advisory => {
                        const ROW: AdvisoryRow = AdvisoryRow { $($field: $value),+ };
                        &ROW
                    }),+
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

advisories! {
    /// KubeVirt does not look at the machine type when it places a target.
    MachineTypeIgnored {
        code: "BRT0501",
        component: Component::KubeVirt,
        affected: &[before(Version(1, 5, 1))],
        condition: Condition::Always,
        severity: Severity::Warning,
        text: "KubeVirt ignores the machine type when it places the target of a migration",
        symptom: "The launcher pod of a migration can land on a node whose QEMU does not know the VM's machine type. The migration fails there, although other nodes know the type.",
        shows: "berth's filter rejects these nodes with BRT0102. Without the filter, the VirtualMachineInstanceMigration ends in the phase Failed.",
        remedy: "Upgrade KubeVirt to 1.5.1 or later. Until then, keep berth in the path of kube-scheduler.",
        source: "https://github.com/kubevirt/kubevirt/issues/13664",
    }
    /// KubeVirt does not look at the CPU vendor when it places a target.
    CpuVendorIgnored {
        code: "BRT0502",
        component: Component::KubeVirt,
        affected: &[
            before(Version(1, 6, 4)),
            between(Version(1, 7, 0), Version(1, 7, 1)),
        ],
        condition: Condition::Always,
        severity: Severity::Info,
        text: "KubeVirt can place the target of a migration on a CPU of another vendor",
        symptom: "In a cluster with CPUs of AMD and Intel, the launcher pod of a migration can land on a node of the other vendor, and the migration fails. A VM with `host-model` asks for the CPU model of its node and is not affected.",
        shows: "BRT0415 for a VM with `host-passthrough`. The VirtualMachineInstanceMigration ends in the phase Failed.",
        remedy: "Upgrade KubeVirt to 1.6.4, 1.7.1 or later. Until then, give the VMs the node selector `cpu-vendor.node.kubevirt.io/VENDOR: \"true\"`.",
        source: "https://github.com/kubevirt/kubevirt/pull/16060",
    }
    /// The QEMU of KubeVirt 1.7 refuses the state of network devices that an older one started.
    VirtioNetFeatures {
        code: "BRT0503",
        component: Component::KubeVirt,
        affected: &[since(Version(1, 7, 0))],
        condition: Condition::StartedBefore(Version(1, 7, 0)),
        severity: Severity::Warning,
        text: "a VM that was started before the upgrade to KubeVirt 1.7 may not migrate",
        symptom: "An older QEMU offered the guest UDP segmentation offload (USO) if the kernel of the node has it (6.2 and later). The QEMU of KubeVirt 1.7 and later does not accept the state of such a network device, and each migration of the VM fails.",
        shows: "The launcher of the target logs `Failed to load virtio-net:virtio` and `Features … unsupported`; the VirtualMachineInstanceMigration ends in the phase Failed. KubeVirt's automatic workload updates repeat it.",
        remedy: "Stop and start the VM (`virtctl restart NAME`): its new launcher does not offer USO. No release with a fix is known.",
        source: "https://github.com/kubevirt/kubevirt/issues/16386",
    }
    /// The libvirt of KubeVirt 1.8 refuses VMs of an older QEMU that have more than one CPU.
    HyperThreadingFeature {
        code: "BRT0504",
        component: Component::KubeVirt,
        affected: &[since(Version(1, 8, 0))],
        condition: Condition::StartedBefore(Version(1, 8, 0)),
        severity: Severity::Warning,
        text: "a VM that was started before the upgrade to KubeVirt 1.8 may not migrate",
        symptom: "QEMU 10 reports the CPU feature `ht` of guests with more than one CPU, and an older QEMU did not. The libvirt of KubeVirt 1.8 takes that for another CPU, and each migration of such a VM fails.",
        shows: "`status.migrationState.failureReason` of the VMI says `guest CPU doesn't match specification: extra features: ht`.",
        remedy: "Stop and start the VM (`virtctl restart NAME`). libvirt has a fix that is not in KubeVirt 1.8. No release with a fix is known; 1.9 was not reported.",
        source: "https://github.com/harvester/harvester/issues/11615",
    }
    /// KubeVirt waits for a target on the source node.
    TargetOnSourceNode {
        code: "BRT0505",
        component: Component::KubeVirt,
        affected: &[Range::ALL],
        condition: Condition::Always,
        severity: Severity::Info,
        text: "KubeVirt does not notice a target on the source node",
        symptom: "If the scheduler places the target on the node of the VM, the migration stays in PreparingTarget for about five minutes and then fails with a misleading reason. kube-scheduler does not do this: it takes another scheduler, one without the plugin InterPodAffinity, or wrong hostname labels.",
        shows: "berth's filter rejects the node with BRT0101. Without it, `status.migrationState` of the VMI has one node as source and target, and the event says `target pod shutdown during migration`.",
        remedy: "Check `schedulerName` of the VM, the profile of the scheduler and the labels `kubernetes.io/hostname`. No release with a fix is known.",
        source: "https://github.com/kubevirt/kubevirt/issues/18946",
    }

    /// Kube-OVN never tells OVN about the target.
    PortNeverPrepared {
        code: "BRT0506",
        component: Component::KubeOvn,
        affected: &[before(Version(1, 13, 3))],
        condition: Condition::Always,
        severity: Severity::Warning,
        text: "Kube-OVN does not prepare the port of a VM for its migration",
        symptom: "OVN is never told of the target, except with a patched KubeVirt. The chassis of the target claims the port as soon as its interface appears, and both chassis contend for it. Packets are lost for ten seconds and more.",
        shows: "The logical switch port has no `requested-chassis` while the migration runs.",
        remedy: "Upgrade Kube-OVN to 1.13.3 or later. 1.15.14 and 1.16.3 have none of the bugs BRT0506 to BRT0512.",
        source: "https://github.com/kubeovn/kube-ovn/issues/3472",
    }
    /// Kube-OVN tells OVN about the target when the memory is copied already.
    PortPreparedLate {
        code: "BRT0507",
        component: Component::KubeOvn,
        affected: &[between(Version(1, 13, 3), Version(1, 14, 13))],
        condition: Condition::Always,
        severity: Severity::Warning,
        text: "Kube-OVN prepares the port of a VM late in its migration",
        symptom: "OVN is told of the target when the migration is in the phase Running. Until then the chassis of source and target contend for the port, and packets are lost. Before 1.13.15 it was sometimes not told at all.",
        shows: "`requested-chassis` of the logical switch port has two nodes only from the phase Running on.",
        remedy: "Upgrade Kube-OVN to 1.14.13 or later.",
        source: "https://github.com/kubeovn/kube-ovn/pull/5873",
    }
    /// What Kube-OVN writes for a migration stays on the port.
    SecondMigrationStuck {
        code: "BRT0508",
        component: Component::KubeOvn,
        affected: &[between(Version(1, 13, 3), Version(1, 14, 12))],
        condition: Condition::Always,
        severity: Severity::Warning,
        text: "with Kube-OVN, the second migration of a VM can get stuck",
        symptom: "Options of the first migration stay on the VM's port. The launcher pod of the next one does not get its network.",
        shows: "The launcher pod of the target stays in Init. kube-ovn-cni logs `ovs interface … is not ready after 30s`.",
        remedy: "Upgrade Kube-OVN to 1.14.12 or later. Until then, while no migration runs: `kubectl ko nbctl remove logical_switch_port VM.NAMESPACE options requested-chassis activation-strategy`.",
        source: "https://github.com/kubeovn/kube-ovn/issues/5523",
    }
    /// Kube-OVN takes the nodes of the last migration for those of this one.
    StaleMigrationState {
        code: "BRT0509",
        component: Component::KubeOvn,
        affected: &[
            between(Version(1, 14, 21), Version(1, 14, 31)),
            between(Version(1, 15, 0), Version(1, 15, 3)),
        ],
        condition: Condition::Always,
        severity: Severity::Warning,
        text: "Kube-OVN uses the nodes of the previous migration",
        symptom: "When a VM migrates again, Kube-OVN can take the source of its previous migration for that of this one. It prepares the port for the wrong nodes, or not at all if the VM goes back to where it came from.",
        shows: "The launcher pod of the target does not get its network; kube-ovn-cni logs `ovs interface … is not ready after 30s`, and kube-ovn-controller `migration setup skipped`.",
        remedy: "Upgrade Kube-OVN to 1.14.31, 1.15.3 or later. Until then, try again: it depends on timing.",
        source: "https://github.com/kubeovn/kube-ovn/issues/6220",
    }
    /// Kube-OVN gives up if the target is not scheduled at once.
    PortPreparedOnce {
        code: "BRT0510",
        component: Component::KubeOvn,
        affected: &[
            between(Version(1, 14, 21), Version(1, 15, 14)),
            between(Version(1, 16, 0), Version(1, 16, 3)),
        ],
        condition: Condition::Always,
        severity: Severity::Warning,
        text: "Kube-OVN does not prepare the port if the target is not scheduled at once",
        symptom: "Kube-OVN looks for the target's node once, when the migration enters the phase Scheduling. If the pod has no node yet, the port is never prepared, and the migration fails after 15 minutes.",
        shows: "The launcher pod of the target stays in ContainerCreating. kube-ovn-cni logs `ovs interface … is not ready after 30s`, kube-ovn-controller `migration setup skipped`. `requested-chassis` of the port is the source alone.",
        remedy: "Upgrade Kube-OVN to 1.15.14, 1.16.3 or later.",
        source: "https://github.com/kubeovn/kube-ovn/issues/6823",
    }
    /// Kube-OVN prepares the port of the default network alone.
    OtherPortsNotPrepared {
        code: "BRT0511",
        component: Component::KubeOvn,
        affected: &[between(Version(1, 14, 21), Version(1, 15, 9))],
        condition: Condition::MultusNetwork,
        severity: Severity::Warning,
        text: "Kube-OVN does not prepare the ports of Multus networks",
        symptom: "Only the port of the pod network, `VM.NAMESPACE`, is prepared for a migration. The chassis of source and target contend for the others, and packets are lost there.",
        shows: "The ports `VM.NAMESPACE.NAD.NADNAMESPACE.ovn` have no `requested-chassis` with two nodes while the migration runs.",
        remedy: "Upgrade Kube-OVN to 1.15.9 or later.",
        source: "https://github.com/kubeovn/kube-ovn/pull/6241",
    }
    /// Kube-OVN removes a VM from its port groups when an old launcher pod goes.
    PortGroupsLost {
        code: "BRT0512",
        component: Component::KubeOvn,
        affected: &[
            between(Version(1, 12, 34), Version(1, 13, 0)),
            between(Version(1, 13, 14), Version(1, 15, 11)),
            between(Version(1, 16, 0), Version(1, 16, 1)),
        ],
        condition: Condition::Always,
        severity: Severity::Warning,
        text: "Kube-OVN removes a VM from its port groups after a migration",
        symptom: "When the completed launcher pod of a migration's source is deleted, the port of the running VM is removed from all port groups: those of its node, subnet, security groups and network policies. The VM loses its connections until kube-ovn-controller starts anew.",
        shows: "The VM is out of reach some time after a migration that succeeded. kube-ovn-controller logs `remove lsp … from all port groups`.",
        remedy: "Upgrade Kube-OVN to 1.15.11, 1.16.1 or later (1.12.34 and 1.13.14 brought the bug, 1.13.0 does not have it). Until then, restart kube-ovn-controller when it happens.",
        source: "https://github.com/kubeovn/kube-ovn/issues/6665",
    }
    /// Kube-OVN forgets or strips the options of a migration.
    RequestedChassisLost {
        code: "BRT0513",
        component: Component::KubeOvn,
        affected: &[since(Version(1, 13, 3))],
        condition: Condition::Always,
        severity: Severity::Info,
        text: "Kube-OVN can strip or leave options of a migration on the port of a VM",
        symptom: "The deletion of any launcher pod of a VM, or a restart of kube-ovn-controller, can strip the options of a migration that is under way. A migration that fails early can leave its options behind. The target then never gets its network.",
        shows: "The launcher pod of the target stays in Init with `ovs interface … is not ready after 30s`. The port of a VM that does not migrate has two nodes in `requested-chassis`.",
        remedy: "During a migration, delete no launcher pods and do not restart kube-ovn-controller. After it, remove what is left: `kubectl ko nbctl remove logical_switch_port VM.NAMESPACE options requested-chassis activation-strategy`. No release with a fix is known.",
        source: "https://github.com/kubeovn/kube-ovn/issues/7419",
    }
    /// Kube-OVN and KubeVirt wait for each other.
    HotplugVolumesStall {
        code: "BRT0514",
        component: Component::KubeOvn,
        affected: &[since(Version(1, 14, 21))],
        condition: Condition::HotplugVolumes,
        severity: Severity::Warning,
        text: "with Kube-OVN, the migration of a VM with hot-plugged volumes can get stuck",
        symptom: "KubeVirt keeps the migration Pending until the volumes are attached on the target, which needs the network of the target. Kube-OVN prepares that only when the migration is no longer Pending.",
        shows: "The VirtualMachineInstanceMigration stays in the phase Pending. kube-ovn-cni logs `ovs interface … is not ready after 30s`.",
        remedy: "Unplug the volumes for the migration, or try again: it does not always happen. No release with a fix is known.",
        source: "https://github.com/kubeovn/kube-ovn/issues/7416",
    }
    /// Switches of an underlay keep the old place of the VM.
    UnderlayStaleAddress {
        code: "BRT0515",
        component: Component::KubeOvn,
        affected: &[since(Version(1, 14, 6))],
        condition: Condition::Always,
        severity: Severity::Info,
        text: "in an underlay network, neighbours can lose a VM for minutes after its migration",
        symptom: "VMs on the source node, in the same underlay network, still send to the old port of the VM: the bridge of the node has its MAC address there until the entry expires after five minutes. Overlay networks are not affected. It was reported for 1.14.6 and 1.14.15.",
        shows: "`ovs-appctl fdb/show BRIDGE` on the source node still has the MAC address of the VM at its old port.",
        remedy: "Run `ovs-appctl fdb/flush BRIDGE` on the source node after the migration. No release with a fix is known.",
        source: "https://github.com/kubeovn/kube-ovn/issues/5955",
    }
    /// Without `keep-vm-ip` two ports have one address.
    DuplicateAddress {
        code: "BRT0516",
        component: Component::KubeOvn,
        affected: &[Range::ALL],
        condition: Condition::Always,
        severity: Severity::Info,
        text: "without keep-vm-ip, two ports have the address of a VM during its migration",
        symptom: "Without `--keep-vm-ip` each launcher pod has a port of its own. While a migration runs, both have the VM's address, and OVN may send to the wrong one. Its maintainers say that live migration needs `--keep-vm-ip=true`, which is the default. It was reported for 1.15.0.",
        shows: "`kubectl ko nbctl show` has two ports with one address. Traffic stops for a while, or for good if the migration fails.",
        remedy: "Start kube-ovn-controller with `--keep-vm-ip=true`. No release with a fix is known.",
        source: "https://github.com/kubeovn/kube-ovn/issues/6634",
    }
    /// Kube-OVN reports a lost port that a VM does not need.
    FalseLostPort {
        code: "BRT0517",
        component: Component::KubeOvn,
        affected: &[before(Version(1, 13, 6))],
        condition: Condition::DefaultMultusNetwork,
        severity: Severity::Info,
        text: "Kube-OVN reports a lost port that does not exist",
        symptom: "kube-ovn-controller expects the port `VM.NAMESPACE` also of a VM whose default network is one of Multus, and advises to delete its pod. The VM is fine: its port has a longer name.",
        shows: "kube-ovn-controller logs `lsp lost for pod …, please delete the pod and retry`, and the port `VM.NAMESPACE.NAD.NADNAMESPACE.ovn` exists.",
        remedy: "Do not delete the pod. Upgrade Kube-OVN to 1.13.6 or later to silence it.",
        source: "https://github.com/kubeovn/kube-ovn/issues/5087",
    }

    /// OVN reports a port as ready before its flows are there.
    ReadyBeforeFlows {
        code: "BRT0518",
        component: Component::Ovn,
        affected: &[before(Version(26, 9, 0))],
        condition: Condition::Always,
        severity: Severity::Info,
        text: "OVN reports a port as ready before the flows of its network are there",
        symptom: "On a chassis where the VM's networks are not in use yet, ovn-controller sets `ovn-installed` before it has received their flows. The first migration to such a node interrupts the traffic of the VM for seconds (18 s were reported), later ones for less than one.",
        shows: "berth's score prefers nodes where the VM's networks are in use (`locality`).",
        remedy: "Give the VM target nodes that run other VMs of its network. `ovn-monitor-all=true` on the chassis makes the gap shorter. OVN's main branch is mended since May 2026; 26.03.2 and earlier are not, so that 26.09.0 is the first release that can be.",
        source: "https://github.com/kubeovn/kube-ovn/issues/5343",
    }
    /// ovn-controller stalls for minutes when a migrating port appears on a large switch.
    MultichassisStall {
        code: "BRT0519",
        component: Component::Ovn,
        affected: &[
            between(Version(22, 12, 1), Version(23, 3, 0)),
            between(Version(23, 3, 1), Version(23, 9, 6)),
            between(Version(24, 3, 0), Version(24, 3, 4)),
            between(Version(24, 9, 0), Version(24, 9, 1)),
        ],
        condition: Condition::Always,
        severity: Severity::Warning,
        text: "ovn-controller can stall for a minute when a VM arrives on a large switch",
        symptom: "The time for a port with two chassis grows with the square of the ports of its switch. On the target of a migration, ovn-controller was seen to compute for 88 s, and the VM had no network in the meantime.",
        shows: "berth rejects the node with BRT0108 (`chassis_not_responding`) while it stalls. ovn-controller logs `handler for input if_status_mgr took … ms`.",
        remedy: "Upgrade OVN to 23.09.6, 24.03.4, 24.09.1 or later (22.12 and 23.03.0 have no fix; 23.03.0 does not have the bug).",
        source: "https://github.com/ovn-org/ovn/issues/261",
    }
}

#[cfg(test)]
mod tests;

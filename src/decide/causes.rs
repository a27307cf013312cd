//! What the commands for people find beside the checks of a node: one row for each cause, from what
//! KubeVirt itself does not migrate (02xx) to what could not be judged (09xx). The rows are in a file for each
//! hundred.

mod migratable;
mod migrating;
mod network;
mod placement;
mod unchecked;

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

/// Defines [`Cause`] and gives each variant its row, so that neither can be without the other.
macro_rules! causes {
    ($($(#[$doc:meta])* $cause:ident = $row:expr;)+) => {
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
                    $(Self::$cause => $row),+
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
    InterfaceNotMigratable = migratable::INTERFACE_NOT_MIGRATABLE;
    /// The annotation for bridge binding is missing.
    BridgeAnnotationMissing = migratable::BRIDGE_ANNOTATION_MISSING;
    /// The CPU model of the host is not known.
    HostCpuUnknown = migratable::HOST_CPU_UNKNOWN;
    /// A device of the node is passed through.
    HostDevice = migratable::HOST_DEVICE;
    /// AMD SEV encrypts the memory.
    Sev = migratable::SEV;
    /// Intel TDX encrypts the memory.
    Tdx = migratable::TDX;
    /// IBM Secure Execution encrypts the memory.
    SecureExecution = migratable::SECURE_EXECUTION;
    /// The time-stamp counter's frequency is needed and not known.
    NoTscFrequency = migratable::NO_TSC_FREQUENCY;
    /// Hyper-V passthrough.
    HypervPassthrough = migratable::HYPERV_PASSTHROUGH;
    /// A disk is on a volume that one node alone can use.
    DiskNotShared = migratable::DISK_NOT_SHARED;
    /// KubeVirt says that it does not migrate the VM, for a reason that is not among these.
    NotLiveMigratable = migratable::NOT_LIVE_MIGRATABLE;
    /// The VMI is being deleted or has ended.
    Ending = migratable::ENDING;
    /// A migration is under way already.
    MigrationInProgress = migratable::MIGRATION_IN_PROGRESS;
    /// The node of the VM does not answer.
    SourceNotReady = migratable::SOURCE_NOT_READY;
    /// The VM does not run.
    NotRunning = migratable::NOT_RUNNING;
    /// KubeVirt's condition and its spec say different things of a VM.
    ConditionDiffers = migratable::CONDITION_DIFFERS;
    /// The migration under way goes to a node that does not fit.
    TargetDoesNotFit = migratable::TARGET_DOES_NOT_FIT;

    /// A network attachment definition is missing.
    NetworkNotFound = network::NETWORK_NOT_FOUND;
    /// OVN has no port of the VM.
    PortNotFound = network::PORT_NOT_FOUND;
    /// The network of the VM is not on a node yet.
    NetworkNotLocal = network::NETWORK_NOT_LOCAL;
    /// The underlay network of the VM is not on a node.
    UnderlayNotOnNode = network::UNDERLAY_NOT_ON_NODE;
    /// A subnet of the VM is missing or not ready.
    SubnetNotReady = network::SUBNET_NOT_READY;
    /// Kube-OVN keeps no address for the VM.
    AddressNotKept = network::ADDRESS_NOT_KEPT;

    /// The ports of a migrating VM never named the target's chassis.
    PairMissing = migrating::PAIR_MISSING;
    /// The pair of chassis was removed in the middle of a migration.
    PairRemoved = migrating::PAIR_REMOVED;
    /// Ports name two chassis, and no migration is under way.
    PairStale = migrating::PAIR_STALE;
    /// The VM runs on the target, and its ports are still bound on the source.
    PortNotMoved = migrating::PORT_NOT_MOVED;
    /// The VM's ports are not bound where the VM runs.
    PortElsewhere = migrating::PORT_ELSEWHERE;
    /// Two ports have one address.
    AddressTwice = migrating::ADDRESS_TWICE;
    /// The target's chassis is behind while a VM migrates to it.
    TargetBehind = migrating::TARGET_BEHIND;
    /// The target's chassis gets the flows only after the port.
    FlowsLate = migrating::FLOWS_LATE;

    /// No node is a target.
    NoTarget = placement::NO_TARGET;
    /// One node alone is a target.
    OneTarget = placement::ONE_TARGET;
    /// The node is cordoned.
    Cordoned = placement::CORDONED;
    /// The node is not ready.
    NodeNotReady = placement::NODE_NOT_READY;
    /// KubeVirt does not place VMs on the node.
    NotSchedulable = placement::NOT_SCHEDULABLE;
    /// A taint is not tolerated.
    Taint = placement::TAINT;
    /// The CPU of the node does not do.
    CpuNotSupported = placement::CPU_NOT_SUPPORTED;
    /// A label that the VM asks for is missing.
    NodeSelector = placement::NODE_SELECTOR;
    /// The node affinity does not match.
    NodeAffinity = placement::NODE_AFFINITY;
    /// A volume cannot be reached from the node.
    VolumeNodeAffinity = placement::VOLUME_NODE_AFFINITY;
    /// The node is full.
    InsufficientResources = placement::INSUFFICIENT_RESOURCES;
    /// A quota leaves no room for a second pod.
    QuotaExceeded = placement::QUOTA_EXCEEDED;
    /// The VM would be shut down by a drain.
    ShutDownByDrain = placement::SHUT_DOWN_BY_DRAIN;
    /// The VM blocks a drain.
    BlocksDrain = placement::BLOCKS_DRAIN;
    /// The CPU of another node differs, and the guest has all of its own.
    PassthroughCpuDiffers = placement::PASSTHROUGH_CPU_DIFFERS;
    /// The node that was asked about is not a target.
    NodeDoesNotFit = placement::NODE_DOES_NOT_FIT;
    /// Other VMs take the room.
    NoRoomLeft = placement::NO_ROOM_LEFT;
    /// A migration policy applies.
    PolicyApplies = placement::POLICY_APPLIES;
    /// The bandwidth is too low for the time that a migration may take.
    BandwidthTooLow = placement::BANDWIDTH_TOO_LOW;
    /// A node has the hostname of the source node.
    SameHostname = placement::SAME_HOSTNAME;
    /// Rules about other pods do not match.
    PodAffinity = placement::POD_AFFINITY;
    /// A drain would end the migration of the VM.
    MigrationEndsByDrain = placement::MIGRATION_ENDS_BY_DRAIN;
    /// A claim of the VM, or the volume that it is bound to, is missing.
    ClaimNotFound = placement::CLAIM_NOT_FOUND;
    /// The node is drained as well.
    Drained = placement::DRAINED;

    /// A kind could not be listed.
    NotAllowed = unchecked::NOT_ALLOWED;
    /// A snapshot has no object of a kind that every cluster has.
    NotInSnapshot = unchecked::NOT_IN_SNAPSHOT;
    /// An object could not be read.
    Unreadable = unchecked::UNREADABLE;
    /// The launcher pod of a VM that runs is missing.
    NoSourcePod = unchecked::NO_SOURCE_POD;
    /// Topology spread is not judged.
    TopologySpreadNotJudged = unchecked::TOPOLOGY_SPREAD_NOT_JUDGED;
    /// Dynamic resources are not judged.
    DynamicResourcesNotJudged = unchecked::DYNAMIC_RESOURCES_NOT_JUDGED;
    /// An instance type or a preference is not judged.
    InstanceTypeNotJudged = unchecked::INSTANCE_TYPE_NOT_JUDGED;
    /// The version of KubeVirt is not known.
    KubeVirtVersionUnknown = unchecked::KUBE_VIRT_VERSION_UNKNOWN;
    /// The southbound database was not read.
    SouthboundNotRead = unchecked::SOUTHBOUND_NOT_READ;
    /// A quota is not judged.
    QuotaNotJudged = unchecked::QUOTA_NOT_JUDGED;
    /// A claim is not bound.
    ClaimNotBound = unchecked::CLAIM_NOT_BOUND;
    /// Another scheduler places the VM.
    OtherScheduler = unchecked::OTHER_SCHEDULER;
    /// A network attachment definition could not be looked up.
    NetworkNotJudged = unchecked::NETWORK_NOT_JUDGED;
    /// KubeVirt has not said yet whether it can be migrated.
    ConditionMissing = unchecked::CONDITION_MISSING;
    /// Part of the installation could not be checked.
    InstallationNotChecked = unchecked::INSTALLATION_NOT_CHECKED;
    /// Something that has to be known of a VM was not read.
    NotRead = unchecked::NOT_READ;
    /// Preemption is not judged.
    PriorityNotJudged = unchecked::PRIORITY_NOT_JUDGED;
    /// The runtime class is not judged.
    RuntimeClassNotJudged = unchecked::RUNTIME_CLASS_NOT_JUDGED;
    /// What Kube-OVN has of a VM was not read.
    KubeOvnNotJudged = unchecked::KUBE_OVN_NOT_JUDGED;
    /// Containers beside the launcher are not counted.
    ContainersNotCounted = unchecked::CONTAINERS_NOT_COUNTED;
    /// No pod of the network's agents was read.
    AgentsNotRead = unchecked::AGENTS_NOT_READ;
    /// The version of Kube-OVN is not known.
    KubeOvnVersionUnknown = unchecked::KUBE_OVN_VERSION_UNKNOWN;
}

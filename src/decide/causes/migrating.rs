//! BRT03…: what is wrong with the network of a VM that migrates, or did.

use super::CauseRow;
use crate::decide::checks::Severity;

pub(super) const PAIR_MISSING: CauseRow = CauseRow {
    code: "BRT0307",
    severity: Severity::Warning,
    text: "the ports of the VM do not name the target's chassis",
    meaning: "The target pod of a migration is bound, and the VM's ports do not have `requested-chassis=SOURCE,TARGET`. OVN then binds them on the target only when KubeVirt has moved the VM, or both chassis contend for them, and the VM loses its network for that time. Kube-OVN 1.12 and before 1.13.3 never writes the pair, 1.13.3 to 1.13.15 and 1.14.0 to 1.14.12 write it only when the VM is copied; later releases can miss the moment (kube-ovn#6823, #7416), and `--enable-live-migration-optimize=false` turns it off.",
    remedy: "Set `continuity.mode: Prepare`: berth then writes the pair before the pod is bound. Otherwise update Kube-OVN to 1.15.14, 1.16.3 or newer.",
};

pub(super) const PAIR_REMOVED: CauseRow = CauseRow {
    code: "BRT0308",
    severity: Severity::Warning,
    text: "the pair of chassis was removed while the VM migrates",
    meaning: "The VM's ports named the chassis of both ends, and do not any more, while the migration is under way. If they name the source alone, the target's chassis gives the ports up, and the VM has no network after the cut-over until Kube-OVN names the target; if they name none, both chassis contend for them at once. Kube-OVN removes the pair when any launcher pod of the VM is deleted, and when it replays an older migration (kube-ovn#7419).",
    remedy: "With `continuity.mode: Prepare` berth writes its pair again at once. Otherwise do not delete old launcher pods of a VM while it migrates, and do not restart kube-ovn-controller then.",
};

pub(super) const PAIR_STALE: CauseRow = CauseRow {
    code: "BRT0309",
    severity: Severity::Warning,
    text: "the ports of the VM name two chassis, and it does not migrate",
    meaning: "A pair of chassis was left on the VM's ports after a migration (kube-ovn#7419). Both chassis hold the ports. If the VM is started or migrates to a third node, that node's chassis may not bind them, and the VM has no network there. A migration that has just ended leaves the pair for seconds: up to 30 s where berth has to remove it.",
    remedy: "Name the chassis of the node that the VM runs on alone: `kubectl ko nbctl set Logical_Switch_Port PORT options:requested-chassis=NODE -- remove Logical_Switch_Port PORT options activation-strategy`. `continuity.mode: Prepare` does so for the pairs that berth wrote.",
};

pub(super) const PORT_NOT_MOVED: CauseRow = CauseRow {
    code: "BRT0310",
    severity: Severity::Warning,
    text: "the VM is on the target, and its ports are not",
    meaning: "The VM has announced itself on the target's chassis, and OVN still binds its ports on the source's first. Kube-OVN moves them when the migration succeeds. Until then OVN sends the VM's traffic to both.",
    remedy: "Look in the log of kube-ovn-controller for the migration. By hand: `kubectl ko nbctl set Logical_Switch_Port PORT options:requested-chassis=NODE -- remove Logical_Switch_Port PORT options activation-strategy` with the node that the VM runs on.",
};

pub(super) const PORT_ELSEWHERE: CauseRow = CauseRow {
    code: "BRT0311",
    severity: Severity::Warning,
    text: "the ports of the VM are not bound where it runs",
    meaning: "A migration has ended, and OVN binds ports of the VM on another chassis than that of the node that the VM runs on, or on none. The VM has no network on them.",
    remedy: "Look at the port: `kubectl ko sbctl find Port_Binding logical_port=PORT`, and in the log of ovn-controller on the VM's node. If `requested-chassis` of the port names another node, set it to the node that the VM runs on.",
};

pub(super) const ADDRESS_TWICE: CauseRow = CauseRow {
    code: "BRT0312",
    severity: Severity::Warning,
    text: "two ports have the address of the VM",
    meaning: "Another port of OVN has the same MAC and IP addresses as a port of the VM: it was left by a pod that is gone, or made by hand. Traffic to the VM goes to either.",
    remedy: "Delete the port that belongs to no running pod: `kubectl ko nbctl lsp-del PORT`.",
};

pub(super) const TARGET_BEHIND: CauseRow = CauseRow {
    code: "BRT0313",
    severity: Severity::Warning,
    text: "the target's chassis is behind while the VM migrates to it",
    meaning: "ovn-controller of the target's node has not answered OVN for seconds, so that it may not have bound the VM's ports or may lack flows. If it goes on after the cut-over, the VM has no network (ovn#261).",
    remedy: "Look at the ovs-ovn pod of the target's node: is it running, and does ovn-controller use a whole CPU? Migrate one VM at a time to it.",
};

pub(super) const FLOWS_LATE: CauseRow = CauseRow {
    code: "BRT0314",
    severity: Severity::Warning,
    text: "the target's chassis had no flows of the VM's network",
    meaning: "This is the first VM of its VPC on the target's chassis, and no warm port was there. This release of OVN reports the port as installed before the flows are there (all releases up to 26.03), so that the migration goes on and the VM loses its network for seconds: 8.6 s were measured in a VPC of 8,000 ports, and 18 s are in kube-ovn#5343.",
    remedy: "Set `continuity.mode: Prepare`, so that berth has the flows computed before the target pod is bound; it costs northd one full computation. On an underlay network it does not help.",
};

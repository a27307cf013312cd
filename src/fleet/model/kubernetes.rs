//! The objects of Kubernetes, cut down from its own types.

use k8s_openapi::api::core::v1::{Affinity, NodeSelector, PodAffinityTerm, Taint, Toleration};

use super::kube_ovn::OvnNetwork;
use super::{Labels, Resources};

/// A node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its labels.
    pub labels: Labels,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// It is cordoned.
    pub unschedulable: bool,
    /// It is among the nodes of a planned drain.
    pub is_drained: bool,
    /// What its condition `Ready` says, where that is not `True`, such as `Unknown (NodeStatusUnknown)`.
    pub not_ready: Option<String>,
    /// What pods can have of it.
    pub allocatable: Resources,
    /// The version of its kubelet, such as `v1.34.1`.
    pub kubelet: Option<String>,
}

/// A pod that has not ended.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Its node; `None` while it waits for one.
    pub node: Option<String>,
    /// Its labels.
    pub labels: Labels,
    /// What the scheduler counts for it: the sum of its containers or the largest init container, its
    /// sidecars and its overhead, as kube-scheduler adds them up, and one of `pods`.
    pub requests: Resources,
    /// The host ports that it takes, as `(protocol, port)`.
    pub host_ports: Vec<(String, i32)>,
    /// The pods that it keeps away: its required anti-affinity, without the rule by which KubeVirt keeps the
    /// target of a migration from the VM's own node.
    pub repels: Vec<PodAffinityTerm>,
    /// What only the launcher of a VM has.
    pub launcher: Option<Box<Launcher>>,
}

/// What is kept of the pod of a VM.
#[derive(Clone, Debug, Default)]
pub struct Launcher {
    /// The name of the VMI that controls it.
    pub vmi: String,
    /// That VMI's UID.
    pub vmi_uid: String,
    /// The UID of the migration that made it, if one did.
    pub migration: Option<String>,
    /// Its phase is `Running`, all its containers are ready, and it is not being deleted.
    pub is_running: bool,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// The labels that its node has to have.
    pub node_selector: Labels,
    /// Its affinity.
    pub affinity: Option<Affinity>,
    /// Its tolerations.
    pub tolerations: Vec<Toleration>,
    /// Its networks of Kube-OVN.
    pub networks: Vec<OvnNetwork>,
}

/// A persistent volume claim.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Its access modes, such as `ReadWriteMany`.
    pub access_modes: Vec<String>,
    /// `Block` or `Filesystem`.
    pub volume_mode: Option<String>,
    /// The volume that it is bound to.
    pub volume: Option<String>,
    /// Its storage class.
    pub storage_class: Option<String>,
    /// Its annotation `volume.kubernetes.io/selected-node`.
    pub selected_node: Option<String>,
}

/// A persistent volume.
#[derive(Clone, Debug, Default)]
pub struct Volume {
    /// The nodes from which it can be reached; `None` for all.
    pub node_affinity: Option<NodeSelector>,
    /// Its labels.
    pub labels: Labels,
}

/// A storage class.
#[derive(Clone, Debug, Default)]
pub struct StorageClass {
    /// Its volumes are bound when a pod needs them, not when they are claimed.
    pub waits_for_consumer: bool,
}

/// A resource quota.
#[derive(Clone, Debug, Default)]
pub struct Quota {
    /// The limits, by the quota's own names of resources such as `requests.cpu` and `count/pods`.
    pub hard: Resources,
    /// What is used of them.
    pub used: Resources,
    /// It counts only some of the pods (`scopes` or `scopeSelector`).
    pub is_scoped: bool,
}

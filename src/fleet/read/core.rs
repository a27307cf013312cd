//! The objects of Kubernetes, with the fields that are read. Its own types have hundreds more, and
//! reading them makes a third of the program.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, NodeSelector, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde::Deserialize;

use crate::fleet::model::Labels;

/// Amounts by resource, as they are written.
pub(super) type Quantities = BTreeMap<String, Quantity>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) labels: Labels,
    pub(super) annotations: Labels,
    pub(super) owner_references: Vec<OwnerReference>,
    pub(super) creation_timestamp: Option<String>,
    pub(super) deletion_timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct OwnerReference {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) controller: bool,
}

/// An object of which the metadata alone is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Namespace {
    pub(super) metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node {
    pub(super) metadata: Metadata,
    pub(super) spec: NodeSpec,
    pub(super) status: NodeStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeSpec {
    pub(super) taints: Vec<Taint>,
    pub(super) unschedulable: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NodeStatus {
    pub(super) conditions: Vec<Condition>,
    pub(super) allocatable: Quantities,
    #[serde(rename = "nodeInfo")]
    pub(super) info: NodeInfo,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct NodeInfo {
    pub(super) kubelet_version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    pub(super) spec: PodSpec,
    pub(super) status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) node_name: Option<String>,
    pub(super) node_selector: Labels,
    pub(super) affinity: Option<Affinity>,
    pub(super) tolerations: Vec<Toleration>,
    pub(super) containers: Vec<Container>,
    pub(super) init_containers: Vec<Container>,
    pub(super) overhead: Quantities,
    pub(super) resources: Requirements,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) image: Option<String>,
    pub(super) ports: Vec<Port>,
    pub(super) resources: Requirements,
    pub(super) restart_policy: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Port {
    pub(super) host_port: Option<i32>,
    pub(super) protocol: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Requirements {
    pub(super) requests: Quantities,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodStatus {
    pub(super) phase: Option<String>,
    pub(super) conditions: Vec<Condition>,
    pub(super) container_statuses: Vec<ContainerStatus>,
    pub(super) init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    pub(super) ready: bool,
    pub(super) resources: Option<Requirements>,
    pub(super) allocated_resources: Quantities,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PersistentVolumeClaim {
    pub(super) metadata: Metadata,
    pub(super) spec: ClaimSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ClaimSpec {
    pub(super) access_modes: Vec<String>,
    pub(super) volume_mode: Option<String>,
    pub(super) volume_name: Option<String>,
    pub(super) storage_class_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PersistentVolume {
    pub(super) metadata: Metadata,
    pub(super) spec: VolumeSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct VolumeSpec {
    pub(super) node_affinity: VolumeNodeAffinity,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct VolumeNodeAffinity {
    pub(super) required: Option<NodeSelector>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StorageClass {
    pub(super) volume_binding_mode: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResourceQuota {
    pub(super) spec: QuotaSpec,
    pub(super) status: QuotaStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct QuotaSpec {
    pub(super) hard: Quantities,
    pub(super) scopes: Vec<String>,
    pub(super) scope_selector: ScopeSelector,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ScopeSelector {
    pub(super) match_expressions: Vec<serde::de::IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct QuotaStatus {
    pub(super) hard: Option<Quantities>,
    pub(super) used: Quantities,
}

/// A subnet of Kube-OVN (`kubeovn.io/v1`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Subnet {
    pub(super) spec: SubnetSpec,
    pub(super) status: SubnetStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SubnetSpec {
    pub(super) vpc: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SubnetStatus {
    pub(super) conditions: Vec<Condition>,
}

/// An address that Kube-OVN keeps (`kubeovn.io/v1`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ip {
    pub(super) spec: IpSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct IpSpec {
    pub(super) namespace: String,
    /// The pod, or the VM whose pods have the address one after another.
    pub(super) pod_name: String,
}

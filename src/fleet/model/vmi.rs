//! A `VirtualMachineInstance`: its spec, its networks and its volumes.

use k8s_openapi::api::core::v1::{Affinity, Toleration};
use serde::Deserialize;

use super::domain::{Domain, Machine, Named};
use super::status::VmiStatus;
use super::{Labels, Metadata};

/// A `VirtualMachineInstance`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Vmi {
    /// Metadata.
    pub metadata: Metadata,
    /// Spec.
    pub spec: VmiSpec,
    /// Status.
    pub status: VmiStatus,
}

impl Vmi {
    /// The machine type that it runs with, or that its spec asks for.
    #[must_use]
    pub fn machine_type(&self) -> Option<&str> {
        let runs = self.status.machine.as_ref();
        let asked = self.spec.domain.machine.as_ref();
        [runs, asked].into_iter().flatten().find_map(Machine::name)
    }

    /// Whether a VM made it.
    #[must_use]
    pub fn is_of_vm(&self) -> bool {
        let mut owners = self.metadata.owner_references.iter();
        owners.any(|owner| owner.kind == "VirtualMachine")
    }
}

/// The spec of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VmiSpec {
    /// The labels that its node has to have.
    pub node_selector: Labels,
    /// Its affinity.
    pub affinity: Option<Affinity>,
    /// Its tolerations.
    pub tolerations: Vec<Toleration>,
    /// Its topology spread constraints; how many there are is all that is kept.
    pub topology_spread_constraints: Vec<serde::de::IgnoredAny>,
    /// Its scheduler.
    pub scheduler_name: Option<String>,
    /// Its priority class.
    pub priority_class_name: Option<String>,
    /// Its claims of dynamic resources (DRA).
    pub resource_claims: Vec<serde::de::IgnoredAny>,
    /// What happens to it when its node is drained.
    pub eviction_strategy: Option<String>,
    /// The architecture, such as `amd64`.
    pub architecture: Option<String>,
    /// The machine.
    pub domain: Domain,
    /// The networks.
    pub networks: Vec<Network>,
    /// The volumes.
    pub volumes: Vec<VmiVolume>,
    /// How it is told that the guest is ready.
    pub readiness_probe: Option<Probe>,
    /// How it is told that the guest lives.
    pub liveness_probe: Option<Probe>,
}

/// A probe of the guest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Probe {
    /// A command that runs in the guest.
    pub exec: Option<serde::de::IgnoredAny>,
}

/// A network of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// The pod's own.
    pub pod: Option<serde::de::IgnoredAny>,
    /// One that Multus attaches.
    pub multus: Option<Multus>,
}

/// A network that Multus attaches.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Multus {
    /// `NAME` or `NAMESPACE/NAME` of its definition.
    pub network_name: String,
    /// It replaces the pod's own.
    pub default: bool,
}

/// A volume of a VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VmiVolume {
    /// Its name.
    pub name: String,
    /// A claim.
    pub persistent_volume_claim: Option<ClaimSource>,
    /// A data volume, whose claim has its name.
    pub data_volume: Option<Named>,
    /// A claim under a layer that is lost with the VMI.
    pub ephemeral: Option<Ephemeral>,
    /// A file or device of the node.
    pub host_disk: Option<HostDisk>,
    /// An empty disk on the node.
    pub empty_disk: Option<serde::de::IgnoredAny>,
    /// An image of a registry.
    pub container_disk: Option<serde::de::IgnoredAny>,
    /// A path of the launcher that something else mounts.
    pub container_path: Option<serde::de::IgnoredAny>,
    /// Metrics of the node.
    pub downward_metrics: Option<serde::de::IgnoredAny>,
}

/// A claim under a layer that is lost with the VMI.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Ephemeral {
    /// The claim.
    pub persistent_volume_claim: Option<ClaimSource>,
}

/// A claim that a VMI uses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ClaimSource {
    /// Its name, in the VMI's namespace.
    pub claim_name: String,
    /// It was plugged in while the VM ran.
    pub hotpluggable: bool,
}

/// A file or device of the node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HostDisk {
    /// All nodes have it.
    pub shared: Option<bool>,
}

impl VmiVolume {
    /// The claim that it is on, in the VMI's namespace.
    #[must_use]
    pub fn claim(&self) -> Option<&str> {
        let own = self.persistent_volume_claim.as_ref();
        let below = self.ephemeral.as_ref();
        let below = below.and_then(|ephemeral| ephemeral.persistent_volume_claim.as_ref());
        let claim = own.or(below).map(|claim| claim.claim_name.as_str());
        claim.or_else(|| Some(self.data_volume.as_ref()?.name.as_str()))
    }
}

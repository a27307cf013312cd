//! The kinds that are served, and how the real server treats each.

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) plural: &'static str,
    /// As in `kind: Node`.
    pub(crate) name: &'static str,
    pub(crate) scope: Scope,
    pub(crate) origin: Origin,
    /// Status is written at `/status` alone.
    pub(crate) status: bool,
    /// An update needs no resourceVersion.
    pub(crate) unconditional_update: bool,
    /// An update of what is not there creates it.
    pub(crate) update_creates: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    Cluster,
    Namespaced,
}

/// Where a kind comes from, which shows in its JSON and in what may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    BuiltIn,
    CustomResource,
}

use Origin::{BuiltIn, CustomResource};
use Scope::{Cluster, Namespaced};

#[rustfmt::skip]
pub(crate) static KINDS: [Kind; 26] = [
    Kind { group: "", version: "v1", plural: "nodes", name: "Node", scope: Cluster, origin: BuiltIn, status: true, unconditional_update: true, update_creates: false },
    Kind { group: "", version: "v1", plural: "namespaces", name: "Namespace", scope: Cluster, origin: BuiltIn, status: true, unconditional_update: true, update_creates: false },
    Kind { group: "", version: "v1", plural: "pods", name: "Pod", scope: Namespaced, origin: BuiltIn, status: true, unconditional_update: true, update_creates: false },
    Kind { group: "", version: "v1", plural: "secrets", name: "Secret", scope: Namespaced, origin: BuiltIn, status: false, unconditional_update: true, update_creates: false },
    Kind { group: "", version: "v1", plural: "services", name: "Service", scope: Namespaced, origin: BuiltIn, status: true, unconditional_update: true, update_creates: true },
    Kind { group: "", version: "v1", plural: "events", name: "Event", scope: Namespaced, origin: BuiltIn, status: false, unconditional_update: true, update_creates: true },
    Kind { group: "events.k8s.io", version: "v1", plural: "events", name: "Event", scope: Namespaced, origin: BuiltIn, status: false, unconditional_update: true, update_creates: true },
    Kind { group: "admissionregistration.k8s.io", version: "v1", plural: "mutatingwebhookconfigurations", name: "MutatingWebhookConfiguration", scope: Cluster, origin: BuiltIn, status: false, unconditional_update: false, update_creates: false },
    Kind { group: "admissionregistration.k8s.io", version: "v1", plural: "validatingwebhookconfigurations", name: "ValidatingWebhookConfiguration", scope: Cluster, origin: BuiltIn, status: false, unconditional_update: false, update_creates: false },
    Kind { group: "coordination.k8s.io", version: "v1", plural: "leases", name: "Lease", scope: Namespaced, origin: BuiltIn, status: false, unconditional_update: false, update_creates: true },
    Kind { group: "apps", version: "v1", plural: "deployments", name: "Deployment", scope: Namespaced, origin: BuiltIn, status: true, unconditional_update: true, update_creates: false },
    Kind { group: "policy", version: "v1", plural: "poddisruptionbudgets", name: "PodDisruptionBudget", scope: Namespaced, origin: BuiltIn, status: true, unconditional_update: false, update_creates: false },
    Kind { group: "admissionregistration.k8s.io", version: "v1", plural: "mutatingadmissionpolicies", name: "MutatingAdmissionPolicy", scope: Cluster, origin: BuiltIn, status: false, unconditional_update: false, update_creates: false },
    Kind { group: "admissionregistration.k8s.io", version: "v1", plural: "mutatingadmissionpolicybindings", name: "MutatingAdmissionPolicyBinding", scope: Cluster, origin: BuiltIn, status: false, unconditional_update: false, update_creates: false },
    Kind { group: "", version: "v1", plural: "persistentvolumes", name: "PersistentVolume", scope: Cluster, origin: BuiltIn, status: true, unconditional_update: true, update_creates: false },
    Kind { group: "", version: "v1", plural: "persistentvolumeclaims", name: "PersistentVolumeClaim", scope: Namespaced, origin: BuiltIn, status: true, unconditional_update: true, update_creates: false },
    Kind { group: "", version: "v1", plural: "resourcequotas", name: "ResourceQuota", scope: Namespaced, origin: BuiltIn, status: true, unconditional_update: true, update_creates: false },
    Kind { group: "storage.k8s.io", version: "v1", plural: "storageclasses", name: "StorageClass", scope: Cluster, origin: BuiltIn, status: false, unconditional_update: true, update_creates: false },
    Kind { group: "kubevirt.io", version: "v1", plural: "virtualmachines", name: "VirtualMachine", scope: Namespaced, origin: CustomResource, status: true, unconditional_update: false, update_creates: false },
    Kind { group: "kubevirt.io", version: "v1", plural: "virtualmachineinstances", name: "VirtualMachineInstance", scope: Namespaced, origin: CustomResource, status: false, unconditional_update: false, update_creates: false },
    Kind { group: "kubevirt.io", version: "v1", plural: "virtualmachineinstancemigrations", name: "VirtualMachineInstanceMigration", scope: Namespaced, origin: CustomResource, status: true, unconditional_update: false, update_creates: false },
    Kind { group: "kubevirt.io", version: "v1", plural: "kubevirts", name: "KubeVirt", scope: Namespaced, origin: CustomResource, status: true, unconditional_update: false, update_creates: false },
    Kind { group: "kubevirt.io", version: "v1", plural: "virtualmachineinstancereplicasets", name: "VirtualMachineInstanceReplicaSet", scope: Namespaced, origin: CustomResource, status: true, unconditional_update: false, update_creates: false },
    Kind { group: "pool.kubevirt.io", version: "v1beta1", plural: "virtualmachinepools", name: "VirtualMachinePool", scope: Namespaced, origin: CustomResource, status: true, unconditional_update: false, update_creates: false },
    Kind { group: "migrations.kubevirt.io", version: "v1alpha1", plural: "migrationpolicies", name: "MigrationPolicy", scope: Cluster, origin: CustomResource, status: false, unconditional_update: false, update_creates: false },
    Kind { group: "k8s.cni.cncf.io", version: "v1", plural: "network-attachment-definitions", name: "NetworkAttachmentDefinition", scope: Namespaced, origin: CustomResource, status: false, unconditional_update: false, update_creates: false },
];

impl Kind {
    /// The kind of this plural, or plural and group as in `events.events.k8s.io`.
    pub(crate) fn named(resource: &str) -> &'static Self {
        KINDS
            .iter()
            .find(|kind| kind.plural == resource || kind.resource() == resource)
            .unwrap_or_else(|| panic!("{resource} is not among the kinds that are served"))
    }

    /// The kind of an object.
    pub(crate) fn of(api_version: &str, kind: &str) -> &'static Self {
        KINDS
            .iter()
            .find(|row| row.name == kind && row.api_version() == api_version)
            .unwrap_or_else(|| {
                panic!("{api_version} {kind} is not among the kinds that are served")
            })
    }

    /// The kind at a path.
    pub(crate) fn at(group: &str, version: &str, plural: &str) -> Option<&'static Self> {
        KINDS
            .iter()
            .find(|kind| kind.group == group && kind.version == version && kind.plural == plural)
    }

    pub(crate) fn api_version(&self) -> String {
        match self.group {
            "" => self.version.to_owned(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// As messages name it: `pods`, `leases.coordination.k8s.io`.
    pub(crate) fn resource(&self) -> String {
        match self.group {
            "" => self.plural.to_owned(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// As refusals of a body name it: `Pod`, `Lease.coordination.k8s.io`.
    pub(crate) fn qualified_kind(&self) -> String {
        match self.group {
            "" => self.name.to_owned(),
            group => format!("{}.{group}", self.name),
        }
    }

    /// Whether `metadata.generation` counts the changes of what is wanted.
    pub(crate) fn has_generations(&self) -> bool {
        self.origin == Origin::CustomResource
            || matches!(
                self.name,
                "Pod"
                    | "Deployment"
                    | "PodDisruptionBudget"
                    | "MutatingWebhookConfiguration"
                    | "ValidatingWebhookConfiguration"
                    | "MutatingAdmissionPolicy"
                    | "MutatingAdmissionPolicyBinding"
            )
    }

    /// Where an object is in the order of lists.
    pub(crate) fn key(&self, namespace: Option<&str>, name: &str) -> String {
        match (self.scope, namespace) {
            (Scope::Namespaced, Some(namespace)) => format!("{namespace}/{name}"),
            _ => name.to_owned(),
        }
    }
}

//! The kinds of objects that a fleet is made of.

use strum::{IntoStaticStr, VariantArray};

/// A kind, in the order in which they are listed. Its name is that of Kubernetes, such as `Node`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray, IntoStaticStr)]
pub enum Kind {
    /// Nodes.
    Node,
    /// Pods.
    Pod,
    /// Namespaces.
    Namespace,
    /// VMs.
    VirtualMachine,
    /// VMIs.
    VirtualMachineInstance,
    /// Migrations.
    VirtualMachineInstanceMigration,
    /// The KubeVirt CR.
    KubeVirt,
    /// Migration policies.
    MigrationPolicy,
    /// Persistent volume claims.
    PersistentVolumeClaim,
    /// Persistent volumes.
    PersistentVolume,
    /// Storage classes.
    StorageClass,
    /// Multus' network attachment definitions.
    NetworkAttachmentDefinition,
    /// Resource quotas.
    ResourceQuota,
    /// Kube-OVN's subnets.
    Subnet,
    /// Kube-OVN's VPCs.
    Vpc,
    /// Kube-OVN's addresses of pods and VMs.
    #[strum(serialize = "IP")]
    Ip,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Its name in `kind`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The kind of an object that says this of itself, in any version.
    #[must_use]
    pub fn of(group: &str, name: &str) -> Option<Self> {
        let mut kinds = Self::ALL.iter().copied();
        kinds.find(|kind| kind.group() == group && kind.name() == name)
    }

    /// Its API group; empty for the core group.
    #[must_use]
    pub const fn group(self) -> &'static str {
        match self {
            Self::Node
            | Self::Pod
            | Self::Namespace
            | Self::PersistentVolumeClaim
            | Self::PersistentVolume
            | Self::ResourceQuota => "",
            Self::VirtualMachine
            | Self::VirtualMachineInstance
            | Self::VirtualMachineInstanceMigration
            | Self::KubeVirt => "kubevirt.io",
            Self::MigrationPolicy => "migrations.kubevirt.io",
            Self::StorageClass => "storage.k8s.io",
            Self::NetworkAttachmentDefinition => "k8s.cni.cncf.io",
            Self::Subnet | Self::Vpc | Self::Ip => "kubeovn.io",
        }
    }

    /// A CRD brings it, which may be absent.
    #[must_use]
    pub const fn is_custom(self) -> bool {
        matches!(
            self,
            Self::VirtualMachine
                | Self::VirtualMachineInstance
                | Self::VirtualMachineInstanceMigration
                | Self::KubeVirt
                | Self::MigrationPolicy
                | Self::NetworkAttachmentDefinition
                | Self::Subnet
                | Self::Vpc
                | Self::Ip
        )
    }

    /// The version of its group in which it is read.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::MigrationPolicy => "v1alpha1",
            _ => "v1",
        }
    }

    /// Its name in a path of the API, such as `nodes`.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Node => "nodes",
            Self::Pod => "pods",
            Self::Namespace => "namespaces",
            Self::VirtualMachine => "virtualmachines",
            Self::VirtualMachineInstance => "virtualmachineinstances",
            Self::VirtualMachineInstanceMigration => "virtualmachineinstancemigrations",
            Self::KubeVirt => "kubevirts",
            Self::MigrationPolicy => "migrationpolicies",
            Self::PersistentVolumeClaim => "persistentvolumeclaims",
            Self::PersistentVolume => "persistentvolumes",
            Self::StorageClass => "storageclasses",
            Self::NetworkAttachmentDefinition => "network-attachment-definitions",
            Self::ResourceQuota => "resourcequotas",
            Self::Subnet => "subnets",
            Self::Vpc => "vpcs",
            Self::Ip => "ips",
        }
    }

    /// Its objects are in namespaces.
    #[must_use]
    pub const fn is_namespaced(self) -> bool {
        !matches!(
            self,
            Self::Node
                | Self::Namespace
                | Self::MigrationPolicy
                | Self::PersistentVolume
                | Self::StorageClass
                | Self::Subnet
                | Self::Vpc
                | Self::Ip
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::decide::causes::Cause;

    #[test]
    fn the_remedy_of_a_kind_that_a_snapshot_lacks_names_every_kind() {
        let remedy = Cause::NotInSnapshot.row().remedy;
        let (_, kinds) = remedy.split_once("kubectl get ").unwrap();
        let (kinds, _) = kinds.split_once(' ').unwrap();
        let named: BTreeSet<&str> = kinds.split(',').collect();
        let expect = Kind::ALL.iter().map(|kind| match kind {
            Kind::VirtualMachine => "vm",
            Kind::VirtualMachineInstance => "vmi",
            Kind::VirtualMachineInstanceMigration => "vmim",
            Kind::PersistentVolumeClaim => "pvc",
            Kind::PersistentVolume => "pv",
            Kind::StorageClass => "sc",
            Kind::Subnet => "subnets.kubeovn.io",
            Kind::Vpc => "vpcs.kubeovn.io",
            Kind::Ip => "ips.kubeovn.io",
            kind => kind.plural(),
        });
        assert_eq!(named, expect.collect());
    }
}

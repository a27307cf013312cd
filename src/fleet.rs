//! A cluster as the commands for people see it: every object that decides whether a VM can migrate, and
//! where to. The service watches less than this; a command lists it once.

pub mod model;
pub mod quantity;

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::object::ObjectKey;

use model::{
    Claim, KubeVirt, Labels, Migration, MigrationPolicy, Node, Pod, Quota, StorageClass, Vm, Vmi,
    Volume,
};

/// Everything that was listed, by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// The pods that have not ended.
    pub pods: BTreeMap<ObjectKey, Pod>,
    /// The images of all pods, from which the versions of the agents are told.
    pub images: BTreeSet<String>,
    /// The labels of the namespaces by name.
    pub namespaces: BTreeMap<String, Labels>,
    /// The VMIs.
    pub vmis: BTreeMap<ObjectKey, Vmi>,
    /// The VMs, whether they run or not.
    pub vms: BTreeMap<ObjectKey, Vm>,
    /// The migrations.
    pub migrations: BTreeMap<ObjectKey, Migration>,
    /// The KubeVirt CR, the first by namespace and name.
    pub kubevirt: Option<KubeVirt>,
    /// The migration policies by name.
    pub policies: BTreeMap<String, MigrationPolicy>,
    /// The persistent volume claims.
    pub claims: BTreeMap<ObjectKey, Claim>,
    /// The persistent volumes by name.
    pub volumes: BTreeMap<String, Volume>,
    /// The storage classes by name.
    pub storage_classes: BTreeMap<String, StorageClass>,
    /// The network attachment definitions.
    pub attachments: BTreeSet<ObjectKey>,
    /// The resource quotas.
    pub quotas: BTreeMap<ObjectKey, Quota>,
}

//! A cluster as the commands for people see it: every object that decides whether a VM can migrate, and
//! where to. The service watches less than this; a command lists it once.

pub mod advise;
pub mod assume;
pub mod census;
pub mod drain;
pub mod finding;
pub mod fit;
pub mod judge;
pub mod kind;
pub mod load;
pub mod migratable;
pub mod model;
pub mod network;
pub mod plan;
pub mod policy;
pub mod quantity;
pub mod quota;
mod read;
pub mod target;
pub mod unread;
pub mod versions;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::cluster::object::ObjectKey;
use crate::decide::version::Version;

use model::{
    Claim, KubeVirt, Labels, Launcher, Migration, MigrationPolicy, Node, Pod, Quota, StorageClass,
    Subnet, Vm, Vmi, Volume,
};
use unread::Unread;

/// Everything that was listed, by namespace and name.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// Nodes as they were before something was assumed of them: what runs on them was started there.
    pub before: BTreeMap<String, Node>,
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
    /// The network attachment definitions, each with the resource of a device plugin that its networks take a device
    /// of.
    pub attachments: BTreeMap<ObjectKey, Option<String>>,
    /// The resource quotas.
    pub quotas: BTreeMap<ObjectKey, Quota>,
    /// The subnets of Kube-OVN by name.
    pub subnets: BTreeMap<String, Subnet>,
    /// The names of the VPCs of Kube-OVN.
    pub vpcs: BTreeSet<String>,
    /// The pods and VMs that Kube-OVN keeps addresses for.
    pub addresses: BTreeSet<ObjectKey>,
    /// The release of OVN, where its southbound database was read.
    pub ovn: Option<Version>,
    /// What was not read.
    pub unread: Unread,
}

impl Fleet {
    /// The node on which a VM runs, as it was when the VM came there.
    #[must_use]
    pub fn source_node(&self, name: &str) -> Option<&Node> {
        self.before.get(name).or_else(|| self.nodes.get(name))
    }

    /// The pod in which each VMI runs with its key, by the VMI's UID: of its pods on its node the one that runs, and
    /// the newest of those (KubeVirt v1.9.0 `pkg/controller/controller.go`, `CurrentVMIPod`).
    #[must_use]
    pub fn source_pods(&self) -> HashMap<&str, (&ObjectKey, &Pod)> {
        let nodes: HashMap<&str, &str> = self
            .vmis
            .values()
            .filter_map(|vmi| Some((vmi.metadata.uid.as_str(), vmi.status.node_name.as_deref()?)))
            .collect();
        let mut sources: HashMap<&str, (&ObjectKey, &Pod)> = HashMap::new();
        for (key, pod) in &self.pods {
            let Some(launcher) = pod.launcher.as_deref() else {
                continue;
            };
            let uid = launcher.vmi_uid.as_str();
            if pod.node.as_deref() != nodes.get(uid).copied() {
                continue;
            }
            let rank = |launcher: &Launcher| (launcher.is_running, launcher.created.clone());
            let known = sources.get(uid);
            let known = known.and_then(|(_, pod)| pod.launcher.as_deref());
            if known.is_none_or(|known| rank(known) < rank(launcher)) {
                sources.insert(uid, (key, pod));
            }
        }
        sources
    }

    /// Adds what was listed apart from this, each kind in one of them.
    fn merge(&mut self, other: Self) {
        let Self {
            nodes,
            before,
            pods,
            images,
            namespaces,
            vmis,
            vms,
            migrations,
            kubevirt,
            policies,
            claims,
            volumes,
            storage_classes,
            attachments,
            quotas,
            subnets,
            vpcs,
            addresses,
            ovn,
            unread,
        } = other;
        self.nodes.extend(nodes);
        self.before.extend(before);
        self.pods.extend(pods);
        self.images.extend(images);
        self.namespaces.extend(namespaces);
        self.vmis.extend(vmis);
        self.vms.extend(vms);
        self.migrations.extend(migrations);
        self.kubevirt = self.kubevirt.take().or(kubevirt);
        self.policies.extend(policies);
        self.claims.extend(claims);
        self.volumes.extend(volumes);
        self.storage_classes.extend(storage_classes);
        self.attachments.extend(attachments);
        self.quotas.extend(quotas);
        self.subnets.extend(subnets);
        self.vpcs.extend(vpcs);
        self.addresses.extend(addresses);
        self.ovn = self.ovn.or(ovn);
        self.unread.extend(unread);
    }
}

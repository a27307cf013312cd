//! What is known about a VMI.

use crate::domain::{LatestMigration, MachineType};

/// What berth uses of a `VirtualMachineInstance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vmi {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its UID: a new instance of the same name is another VMI.
    pub uid: Box<str>,
    /// The machine type that it runs with, or that it asks for where it does not run yet.
    pub machine_type: Option<MachineType>,
    /// Whether libvirt resolved the machine type. One that is only asked for may be an alias such as
    /// `q35`.
    pub machine_type_resolved: bool,
    /// The node that it runs on; `None` while it does not run, wherever its pods are.
    pub node: Option<Box<str>>,
    /// The VMI that it is to take over from, while it receives a decentralized migration.
    pub sender: Option<Box<Sender>>,
    /// Its latest migration, under way or over.
    pub latest_migration: Option<Box<LatestMigration>>,
}

/// The other end of a decentralized migration, as the receiving VMI names it. It may be in another
/// cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The UID of the VMI that sends.
    pub uid: Box<str>,
    /// Its namespace, where it is given.
    pub namespace: Option<Box<str>>,
    /// Its name, where it is given.
    pub name: Option<Box<str>>,
    /// The node that it runs on, a node of its own cluster.
    pub node: Option<Box<str>>,
}

/// How a VMI is bound to the pod network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// `bridge`: live migration needs the annotation.
    Bridge,
    /// Masquerade, passt, SR-IOV, a binding plugin, or none that is named.
    Other,
    /// No network of the VMI is the pod network.
    NoPodNetwork,
    /// Neither networks nor interfaces are given: KubeVirt adds its default interface.
    Default,
    /// Neither is given, and a preference or instancetype may still give some: the VMI will show.
    LeftToVmi,
}

/// The binding of the interface that KubeVirt adds where a VMI names none
/// (KubeVirt CR, `spec.configuration.network.defaultNetworkInterface`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DefaultBinding {
    /// `bridge`, also when the CR is silent.
    #[default]
    Bridge,
    /// Anything else.
    Other,
}

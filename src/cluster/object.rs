//! An object of the cluster, reduced to what berth uses.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use strum::{IntoStaticStr, VariantArray};

use crate::domain::{Agent, AgentState, DefaultBinding, MigrationPhase, NodeFacts, UnixTime, Vmi};
use crate::text::{LONGEST_TEXT, shorten};

/// The key of an object: `namespace/name`, or only the name if its kind has no namespaces. Clones
/// share the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(Arc<str>);

impl ObjectKey {
    /// The key of a namespaced object, or of a cluster-scoped one if the namespace is empty.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        if namespace.is_empty() {
            return Self(name.into());
        }
        Self(format!("{namespace}/{name}").into())
    }

    /// Whether the object is in this namespace.
    #[must_use]
    pub fn is_in(&self, namespace: &str) -> bool {
        self.namespace() == Some(namespace)
    }

    /// The namespace; `None` for a cluster-scoped object.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.0.split_once('/').map(|(namespace, _)| namespace)
    }

    /// The namespace, empty for a cluster-scoped object, and the name.
    #[must_use]
    pub fn parts(&self) -> [&str; 2] {
        self.0
            .split_once('/')
            .map_or(["", &self.0], |(namespace, name)| [namespace, name])
    }

    /// The key of another object in the same namespace.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        Self::new(self.namespace().unwrap_or_default(), name)
    }
}

impl Borrow<str> for ObjectKey {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shorten(&self.0, LONGEST_TEXT))
    }
}

/// An object of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A node.
    Node {
        /// Its name.
        name: Box<str>,
        /// Its facts.
        facts: NodeFacts,
    },
    /// A pod of a network agent.
    AgentPod {
        /// Its namespace and name.
        key: ObjectKey,
        /// What is known of it.
        pod: AgentPod,
    },
    /// A VMI.
    Vmi(Vmi),
    /// A migration.
    Migration {
        /// Its namespace and name.
        key: ObjectKey,
        /// What is known of it.
        migration: Migration,
    },
    /// The launcher pod that a migration made.
    TargetPod {
        /// Its namespace and name.
        key: ObjectKey,
        /// What is known of it.
        pod: TargetPod,
    },
    /// A namespace.
    Namespace {
        /// Its name.
        name: Box<str>,
        /// It opts out of injection.
        opts_out: bool,
    },
    /// The KubeVirt CR.
    KubeVirt {
        /// Its namespace and name.
        key: ObjectKey,
        /// The binding of the interface that KubeVirt adds by default.
        default_binding: DefaultBinding,
    },
}

/// What berth uses of an agent's pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPod {
    /// Which agent.
    pub agent: Agent,
    /// The node that it runs on; `None` while it is not bound.
    pub node: Option<Box<str>>,
    /// Its state.
    pub state: AgentState,
}

/// What berth uses of a `VirtualMachineInstanceMigration`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its UID, which its target pod carries.
    pub uid: Box<str>,
    /// The VMI that migrates.
    pub vmi: ObjectKey,
    /// How far it is.
    pub phase: MigrationPhase,
    /// When it was created.
    pub created: Option<UnixTime>,
}

/// What berth uses of a migration's target pod. The pod itself claims this; it is not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPod {
    /// The UID of the migration that made it.
    pub migration: Arc<str>,
    /// The VMI that controls it.
    pub vmi: ObjectKey,
    /// That VMI's UID.
    pub vmi_uid: Arc<str>,
    /// The node that it runs on; `None` while it is not bound, and once it has ended.
    pub node: Option<Box<str>>,
    /// When it was created.
    pub created: Option<UnixTime>,
    /// When it was bound.
    pub bound: Option<UnixTime>,
}

/// The kinds of [`Object`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ObjectKind {
    /// Nodes.
    Node,
    /// Pods of the network's agents.
    AgentPod,
    /// VMIs.
    Vmi,
    /// Migrations.
    Migration,
    /// Launcher pods that a migration made.
    TargetPod,
    /// Namespaces.
    Namespace,
    /// The KubeVirt CR.
    #[strum(serialize = "kubevirt")]
    KubeVirt,
}

impl ObjectKind {
    /// All of them.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in metric labels and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Object {
    /// The object's kind.
    #[must_use]
    pub const fn kind(&self) -> ObjectKind {
        match self {
            Self::Node { .. } => ObjectKind::Node,
            Self::AgentPod { .. } => ObjectKind::AgentPod,
            Self::Vmi(_) => ObjectKind::Vmi,
            Self::Migration { .. } => ObjectKind::Migration,
            Self::TargetPod { .. } => ObjectKind::TargetPod,
            Self::Namespace { .. } => ObjectKind::Namespace,
            Self::KubeVirt { .. } => ObjectKind::KubeVirt,
        }
    }

    /// The object's key.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        match self {
            Self::Node { name, .. } | Self::Namespace { name, .. } => ObjectKey::new("", name),
            Self::Vmi(vmi) => ObjectKey::new(&vmi.namespace, &vmi.name),
            Self::AgentPod { key, .. }
            | Self::Migration { key, .. }
            | Self::TargetPod { key, .. }
            | Self::KubeVirt { key, .. } => key.clone(),
        }
    }
}

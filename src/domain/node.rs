//! What is known about a node from its Node object.

use std::borrow::Cow;

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::MachineTypes;

/// What a node says about its OVN chassis: the network provider's agent writes the OVN system-id, a
/// UUID, into an annotation, and leaves it there when it dies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChassisClaim {
    /// No annotation: no agent ever registered this node.
    #[default]
    Missing,
    /// The annotation holds something that is not a UUID: as much of it as is shown.
    Malformed(Box<str>),
    /// The chassis name: the OVN system-id.
    Registered(Box<str>),
}

impl ChassisClaim {
    /// The name of the chassis, where it is claimed in order.
    #[must_use]
    pub const fn name(&self) -> Option<&str> {
        match self {
            Self::Registered(name) => Some(name),
            Self::Missing | Self::Malformed(_) => None,
        }
    }
}

/// What berth uses of a Node object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// Machine types from the node-labeller's labels.
    pub machine_types: MachineTypes,
    /// The node's claim to an OVN chassis.
    pub chassis: ChassisClaim,
    /// Whether the node condition `NetworkUnavailable` is `True`.
    pub network_unavailable: bool,
    /// The node condition `OVNChassisReady`, once it was published.
    pub published: Option<Box<ChassisReady>>,
}

/// The node condition `OVNChassisReady`: berth's verdict on a node's chassis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChassisReady {
    /// Whether the chassis can take over a VM's network.
    pub status: Status,
    /// Why, in one word.
    pub reason: Cow<'static, str>,
    /// Why, for people.
    pub message: Cow<'static, str>,
}

/// The status of a condition.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    VariantArray,
    IntoStaticStr,
    EnumString,
)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It is not known.
    Unknown,
}

impl Status {
    /// All of them.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// As the API writes it, and in metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

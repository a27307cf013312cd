//! The machine types of nodes and VMIs.

use std::fmt;
use std::sync::Arc;

/// The machine types that KubeVirt's node-labeller found on a node, such as `pc-q35-rhel9.6.0`,
/// in sorted order. Clones share them, as most nodes of a cluster have the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MachineTypes(Arc<MachineTypeLabels>);

#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct MachineTypeLabels {
    /// The node carries a machine-type label, whatever its value.
    present: bool,
    /// The types whose label says `true`.
    supported: Box<[Box<str>]>,
}

impl MachineTypes {
    /// Those of a node that carries machine-type labels, of which these say `true`: it may be none.
    pub fn labelled<S: Into<Box<str>>>(supported: impl IntoIterator<Item = S>) -> Self {
        Self::new(true, supported)
    }

    fn new<S: Into<Box<str>>>(present: bool, supported: impl IntoIterator<Item = S>) -> Self {
        let mut supported: Vec<Box<str>> = supported.into_iter().map(Into::into).collect();
        supported.sort_unstable();
        supported.dedup();
        Self(Arc::new(MachineTypeLabels {
            present: present || !supported.is_empty(),
            supported: supported.into(),
        }))
    }

    /// Whether the node can run this machine type.
    #[must_use]
    pub fn contains(&self, machine_type: &str) -> bool {
        self.0
            .supported
            .binary_search_by(|known| known.as_ref().cmp(machine_type))
            .is_ok()
    }

    /// Whether the node carries any machine-type label. A node without one may support every type;
    /// a node whose labels all say something else than `true` supports none.
    #[must_use]
    pub fn is_labelled(&self) -> bool {
        self.0.present
    }

    /// Whether these are clones of one another, and so equal without a look at them.
    #[must_use]
    pub fn are_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The types in sorted order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.supported.iter().map(AsRef::as_ref)
    }
}

/// Those of a node that is labelled with these types, or not labelled where there are none.
impl<S: Into<Box<str>>> FromIterator<S> for MachineTypes {
    fn from_iter<I: IntoIterator<Item = S>>(types: I) -> Self {
        Self::new(false, types)
    }
}

/// The machine type that a VMI runs with or asks for. It is a tenant's text, of any length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineType {
    /// A name that the label of a node can have, such as `pc-q35-rhel9.6.0`.
    Named(Box<str>),
    /// Anything else. No node can have its label, so that none supports it.
    Unsupported,
}

/// The longest name that a label can have, in bytes.
const LONGEST_LABEL_NAME: usize = 63;

impl MachineType {
    /// The machine type of this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        if Self::is_name(text) {
            Self::Named(text.into())
        } else {
            Self::Unsupported
        }
    }

    /// Its name, where it has one.
    #[must_use]
    pub const fn name(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Unsupported => None,
        }
    }

    /// Whether a text can be the name of a label: Kubernetes' `IsQualifiedName`.
    #[must_use]
    pub fn is_name(text: &str) -> bool {
        let bytes = text.as_bytes();
        let is_alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        bytes.len() <= LONGEST_LABEL_NAME
            && is_alphanumeric(bytes.first())
            && is_alphanumeric(bytes.last())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    }
}

impl fmt::Display for MachineType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().unwrap_or("(not the name of a label)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_type_is_named_by_what_a_label_can_be_named() {
        let longest = "x".repeat(LONGEST_LABEL_NAME);
        for name in ["q35", "pc-q35-rhel9.6.0", "pc_q35", "a", &longest] {
            assert_eq!(MachineType::new(name).name(), Some(name));
        }
        let too_long = "x".repeat(LONGEST_LABEL_NAME + 1);
        for text in [
            "", "-q35", "q35.", "q 35", "q35\n", "q/35", "q35é", &too_long,
        ] {
            assert_eq!(MachineType::new(text), MachineType::Unsupported, "{text}");
        }
    }
}

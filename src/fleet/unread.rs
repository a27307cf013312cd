//! What of a cluster was not read: that an object is not among the others says nothing of it then.

use std::collections::BTreeSet;

use crate::cluster::object::ObjectKey;
use crate::fleet::Fleet;
use crate::fleet::kind::Kind;

/// Without these nothing can be said of the nodes that can take a VM.
const VITAL: [Kind; 5] = [
    Kind::Node,
    Kind::Pod,
    Kind::VirtualMachine,
    Kind::VirtualMachineInstance,
    Kind::KubeVirt,
];

/// What was not read.
#[derive(Clone, Debug, Default)]
pub struct Unread {
    /// The kinds of which not all objects were listed. Of a file, those that it has no object of, if each
    /// cluster with VMs has some, or a VM names them.
    pub kinds: BTreeSet<Kind>,
    /// The objects that are damaged.
    pub objects: BTreeSet<(Kind, ObjectKey)>,
}

impl Unread {
    pub(super) fn extend(&mut self, other: Self) {
        self.kinds.extend(other.kinds);
        self.objects.extend(other.objects);
    }

    /// The kinds without which nothing can be said of the nodes that can take a VM. One damaged node or pod
    /// is enough; a damaged VM or VMI leaves the others as they are.
    pub fn vital(&self) -> impl Iterator<Item = Kind> {
        VITAL.into_iter().filter(|kind| {
            let is_of_vm = matches!(kind, Kind::VirtualMachine | Kind::VirtualMachineInstance);
            let is_damaged = || self.objects.iter().any(|(damaged, _)| damaged == kind);
            self.kinds.contains(kind) || !is_of_vm && is_damaged()
        })
    }

    /// Whether a resource quota of a namespace was not read. That a file has none is no gap.
    #[must_use]
    pub fn has_quota_in(&self, namespace: &str) -> bool {
        let mut objects = self.objects.iter();
        self.kinds.contains(&Kind::ResourceQuota)
            || objects.any(|(kind, key)| *kind == Kind::ResourceQuota && key.is_in(namespace))
    }
}

impl Fleet {
    /// Whether an object that is not among those that were read may exist all the same. Claims and network
    /// attachment definitions of a namespace are listed together or not at all.
    #[must_use]
    pub fn may_have(&self, kind: Kind, key: &ObjectKey) -> bool {
        let has_neighbours = || match (kind, key.namespace()) {
            (Kind::PersistentVolumeClaim, Some(namespace)) => {
                self.claims.keys().any(|known| known.is_in(namespace))
            }
            (Kind::NetworkAttachmentDefinition, Some(namespace)) => {
                self.attachments.keys().any(|known| known.is_in(namespace))
            }
            _ => false,
        };
        let unread = &self.unread;
        unread.objects.contains(&(kind, key.clone()))
            || unread.kinds.contains(&kind) && !has_neighbours()
    }
}

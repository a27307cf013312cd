//! From a file, as `kubectl get … -A -o json` or `-o yaml` writes it.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Gathered, Loaded};
use crate::cluster::file::{self, FormatError, SnapshotError};
use crate::domain::Network;
use crate::fleet::kind::Kind;
use crate::fleet::model::Vmi;

/// Of these a cluster may have none, and a VM that names one says that there should be some.
const NAMED_BY_VMS: [Kind; 3] = [
    Kind::PersistentVolumeClaim,
    Kind::PersistentVolume,
    Kind::NetworkAttachmentDefinition,
];

/// Reads a file. An object that can't be read leaves its neighbours.
///
/// # Errors
/// The file is not one that kubectl wrote.
pub fn from_file(path: &Path, network: &Network) -> Result<Loaded, SnapshotError> {
    file::load_with(path, |text| parse(text, network))
}

/// Reads the text of a file.
pub(super) fn parse(text: &str, network: &Network) -> Result<Loaded, FormatError> {
    let documents = file::documents(text)?;
    let mut gathered = Gathered::default();
    let mut kinds = BTreeSet::new();
    for (identity, text) in file::objects(&documents)? {
        let Some(kind) = Kind::of(&identity.group, &identity.kind) else {
            continue;
        };
        kinds.insert(kind);
        gathered.take(kind, network, text);
    }
    if kinds.contains(&Kind::VirtualMachine) {
        kinds.insert(Kind::VirtualMachineInstance);
    } else if kinds.contains(&Kind::VirtualMachineInstance)
        && !gathered.fleet.vmis.values().any(Vmi::is_of_vm)
    {
        kinds.insert(Kind::VirtualMachine);
    }
    let expected = [
        Kind::Node,
        Kind::Pod,
        Kind::Namespace,
        Kind::VirtualMachine,
        Kind::VirtualMachineInstance,
        Kind::KubeVirt,
    ];
    let lacking = |kinds_of: &[Kind]| -> Vec<Kind> {
        let lacking = kinds_of.iter().copied();
        lacking.filter(|kind| !kinds.contains(kind)).collect()
    };
    let absent = lacking(&expected);
    let unread = &mut gathered.fleet.unread.kinds;
    unread.extend(&absent);
    unread.extend(lacking(&NAMED_BY_VMS));
    Ok(Loaded {
        fleet: gathered.fleet,
        view: gathered.objects.into_iter().collect(),
        not_allowed: Vec::new(),
        absent,
        unreadable: gathered.unreadable,
    })
}

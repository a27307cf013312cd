//! A launcher pod's VMI, or why it is not there to judge by.

use std::fmt;
use std::sync::Arc;

use crate::api::Fault;
use crate::cluster::{Lookup, View};
use crate::domain::Vmi;
use crate::text::{LONGEST_NAME, LONGEST_TEXT, shorten};
use crate::wire::objects::{Owner, Pod};

/// A VMI as its launcher pod names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmiRef {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its UID.
    pub uid: Box<str>,
}

impl fmt::Display for VmiRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            name,
            uid,
        } = self;
        write!(
            f,
            "VirtualMachineInstance {namespace}/{name} with UID {uid}"
        )
    }
}

/// Why a pod's VMI is not there to judge by.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoVmi {
    /// The pod does not say which it is.
    #[error("pod {0} has the labels of a virt-launcher, but no VirtualMachineInstance controls it")]
    Unowned(String),
    /// It is not in the view.
    #[error("{0} is not known")]
    Unknown(VmiRef),
    /// It is neither in the view nor in the cluster, or another one has its name.
    #[error("{0} is not in the cluster")]
    Absent(VmiRef),
    /// It is not in the view, and could not be read.
    #[error("{0} is not known yet, and could not be read: {1}")]
    Unread(VmiRef, Arc<Fault>),
}

/// The VMI that controls a launcher pod: from the view, or else as it was looked up.
pub(super) fn find_vmi<'v>(
    pod: &Pod<'_>,
    view: &'v View,
    lookup: Option<&'v Lookup>,
) -> Result<&'v Vmi, NoVmi> {
    let namespace = pod.namespace();
    let Some(Owner { name, uid }) = pod.vmi() else {
        return Err(NoVmi::Unowned(shorten(pod_name(pod), LONGEST_NAME)));
    };
    if let Some(vmi) = view.vmi(namespace, name, uid) {
        return Ok(vmi);
    }
    let vmi = VmiRef {
        namespace: namespace.into(),
        name: name.into(),
        uid: uid.into(),
    };
    match lookup {
        None => Err(NoVmi::Unknown(vmi)),
        Some(Lookup::Found(found)) if found.uid == vmi.uid => Ok(found),
        Some(Lookup::Found(_) | Lookup::Absent) => Err(NoVmi::Absent(vmi)),
        Some(Lookup::Failed(fault)) => Err(NoVmi::Unread(vmi, Arc::clone(fault))),
    }
}

/// What the log says of a pod that can't be judged.
pub(super) fn no_vmi(pod: &Pod<'_>, problem: &NoVmi) -> String {
    shorten(format_args!("{}: {problem}", pod_name(pod)), LONGEST_TEXT)
}

/// A pod's namespace and name, of whatever length they are.
pub(super) fn pod_name(pod: &Pod<'_>) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{}/{}", pod.namespace(), pod.name()))
}

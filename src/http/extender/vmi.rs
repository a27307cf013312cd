//! A launcher pod's VMI, or why it is not available.

use std::fmt;

use crate::cluster::{ClusterView, Lookup};
use crate::domain::Vmi;
use crate::text::{LONGEST_NAME, shorten};
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

/// Why a pod's VMI is not available. The text is part of the response, which must not reveal to any
/// client which VMIs exist.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoVmi {
    /// No VMI controls the pod.
    #[error("pod {0} has the labels of a virt-launcher, but no VirtualMachineInstance controls it")]
    Unowned(String),
    /// It is not in the view, nor did a look-up find it, if there was one.
    #[error("{0} is not known")]
    Unknown(VmiRef, Option<Lookup>),
}

impl NoVmi {
    /// The text for the log, with the reason that the response omits.
    pub(super) fn details(&self) -> String {
        let why = match self {
            Self::Unowned(_) | Self::Unknown(_, None) => return self.to_string(),
            Self::Unknown(_, Some(Lookup::Found(_) | Lookup::Absent)) => "it is not in the cluster",
            Self::Unknown(_, Some(Lookup::Limited)) => {
                "too many were looked up already (limits.lookupsPerSecond)"
            }
            Self::Unknown(_, Some(Lookup::Failed(fault))) => {
                return format!("{self}: it could not be read: {fault}");
            }
        };
        format!("{self}: {why}")
    }

    /// The VMI, if it was not looked up yet.
    pub(super) fn not_looked_up(self) -> Option<VmiRef> {
        match self {
            Self::Unknown(vmi, None) => Some(vmi),
            Self::Unknown(_, Some(_)) | Self::Unowned(_) => None,
        }
    }
}

/// The VMI that controls a launcher pod: from the view, or else as it was looked up.
pub(super) fn find_vmi<'v>(
    pod: &Pod<'_>,
    view: &'v ClusterView,
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
        Some(Lookup::Found(found)) if found.uid == vmi.uid => Ok(found),
        lookup => Err(NoVmi::Unknown(vmi, lookup.cloned())),
    }
}

/// A pod's namespace and name, of whatever length they are.
pub(super) fn pod_name(pod: &Pod<'_>) -> impl fmt::Display {
    fmt::from_fn(move |f| write!(f, "{}/{}", pod.namespace(), pod.name()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::{Cause, Fault};

    #[test]
    fn the_caller_is_told_one_thing_and_the_log_why() {
        let vmi = VmiRef {
            namespace: "default".into(),
            name: "web".into(),
            uid: "1".into(),
        };
        let fault = Fault::new(Cause::Timeout, "no answer");
        let told = "VirtualMachineInstance default/web with UID 1 is not known";
        for (lookup, why) in [
            (Lookup::Absent, ": it is not in the cluster"),
            (
                Lookup::Limited,
                ": too many were looked up already (limits.lookupsPerSecond)",
            ),
            (
                Lookup::Failed(Arc::new(fault)),
                ": it could not be read: no answer",
            ),
        ] {
            let problem = NoVmi::Unknown(vmi.clone(), Some(lookup));
            assert_eq!(problem.to_string(), told);
            assert_eq!(problem.details(), format!("{told}{why}"));
        }
        let problem = NoVmi::Unknown(vmi, None);
        assert_eq!(
            (problem.to_string(), problem.details()),
            (told.into(), told.into())
        );
    }
}

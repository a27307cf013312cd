//! A launcher pod's VMI, or why it is not available.

use std::fmt;

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

/// Why a pod's VMI is not available. The text is part of the response, which must not reveal to any
/// client which VMIs exist.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoVmi {
    /// No VMI controls the pod.
    #[error("pod {0} has the labels of a virt-launcher, but no VirtualMachineInstance controls it")]
    Unowned(String),
    /// It is not in the view, and was not looked up.
    #[error("{0} is not known")]
    Unknown(VmiRef),
    /// It is not in the view, and looking it up did not bring it.
    #[error("{0} is not known")]
    NotFound(VmiRef, Lookup),
}

impl NoVmi {
    /// The text for the log, with the reason that the response omits.
    pub(super) fn details(&self) -> String {
        let why = match self {
            Self::Unowned(_) | Self::Unknown(_) => return self.to_string(),
            Self::NotFound(_, Lookup::Found(_) | Lookup::Absent) => "it is not in the cluster",
            Self::NotFound(_, Lookup::Limited) => {
                "too many were looked up already (limits.lookupsPerSecond)"
            }
            Self::NotFound(_, Lookup::Failed(fault)) => {
                return format!("{self}: it could not be read: {fault}");
            }
        };
        format!("{self}: {why}")
    }
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
        Some(lookup) => Err(NoVmi::NotFound(vmi, lookup.clone())),
    }
}

/// What the log says of a pod that can't be judged.
pub(super) fn no_vmi(pod: &Pod<'_>, problem: &NoVmi) -> String {
    let details = problem.details();
    shorten(format_args!("{}: {details}", pod_name(pod)), LONGEST_TEXT)
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
            let problem = NoVmi::NotFound(vmi.clone(), lookup);
            assert_eq!(problem.to_string(), told);
            assert_eq!(problem.details(), format!("{told}{why}"));
        }
        let problem = NoVmi::Unknown(vmi);
        assert_eq!(
            (problem.to_string(), problem.details()),
            (told.into(), told.into())
        );
    }
}

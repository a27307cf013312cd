//! The retrofit: what to do with an object that is there already, and lacks the annotation that
//! [`inject`](super::inject) would give it.

use crate::domain::Provider;

/// An object that lacks the annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// A VM.
    Vm {
        /// It has a VMI.
        runs: bool,
    },
    /// A VMI that has not ended.
    Vmi {
        /// A VM made it.
        of_vm: bool,
        /// Its launcher pod has an address of the network provider; `None` if the pod was not found.
        on_provider: Option<bool>,
    },
    /// A replica set.
    ReplicaSet,
    /// A pool.
    Pool,
}

/// What to do with an object that lacks the annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Add it, with this effect.
    Patch(Effect),
    /// Leave the object as it is, for this reason.
    Leave(Reason),
    /// This has to be known first.
    Unknown(Gap),
}

/// What has to be known of an object, and is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Its launcher pod, which says whether its network follows it.
    LauncherPod,
    /// Which interface it gets, which the KubeVirt CR says.
    DefaultInterface,
    /// Whether its namespace opts out.
    Namespace,
}

/// When the annotation has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// When the VM starts.
    AtStart,
    /// When the VM that runs is started anew. KubeVirt copies the annotations of a template at the start
    /// alone, and does not set the condition `RestartRequired` for them (v1.9.0
    /// `pkg/virt-controller/watch/vm/vm.go`, `syncRestartRequired`).
    AfterRestart,
    /// As soon as virt-handler has seen it.
    AtOnce,
}

/// Why an object is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It, its template or its namespace opts out.
    OptsOut,
    /// OVN-Kubernetes sets up a launcher pod for migrations only if the pod has the annotation, which it
    /// gets when it is made (ovn-kubernetes `go-controller/pkg/kubevirt/pod.go`).
    SetUpWithout,
    /// The same for a VMI that no VM would make again.
    SetUpWithoutVm,
    /// Nothing says that the network of the running VM would follow it.
    NotOnProvider,
    /// KubeVirt updates and restarts the VMs of a pool whose template changes (v1.9.0
    /// `pkg/virt-controller/watch/pool/pool.go`).
    Pool,
    /// A change of the template reaches new VMIs alone, and those get the annotation from the webhook.
    ReplicaSet,
}

impl Effect {
    /// What happens next, for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::AtStart => "has an effect when the VM starts",
            Self::AfterRestart => "has an effect after the next restart of the VM",
            Self::AtOnce => "has an effect at once, without a restart",
        }
    }
}

impl Reason {
    /// Why, and what can be done, for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::OptsOut => {
                "it, its template or its namespace opts out (berth.dev/inject: disabled), and KubeVirt does not migrate it: remove that if it may migrate"
            }
            Self::SetUpWithout => {
                "OVN-Kubernetes set up the launcher pod without the annotation, and the VM would lose its network in a migration: restart the VM when its template has the annotation"
            }
            Self::SetUpWithoutVm => {
                "OVN-Kubernetes set up the launcher pod without the annotation, and the VM would lose its network in a migration: delete the VMI and create it again"
            }
            Self::NotOnProvider => {
                "the launcher pod is not annotated ovn.kubernetes.io/virtualmachine, by which Kube-OVN says that its address follows the VM: restart the VM when its template has the annotation"
            }
            Self::Pool => {
                "KubeVirt restarts all VMs of a pool when the pool's template changes: edit it when they may restart; its VMs are in this list themselves"
            }
            Self::ReplicaSet => {
                "its VMIs are in this list themselves, and new ones get the annotation from berth's webhook"
            }
        }
    }
}

impl Gap {
    /// What is not known, and what can be done, for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::LauncherPod => {
                "BRT0904 the launcher pod was not found, which says whether the network follows the VM: read the pods as well, or run the command again once the VM runs"
            }
            Self::DefaultInterface => {
                "its interface is KubeVirt's default one, which is in the KubeVirt CR, and that was not read"
            }
            Self::Namespace => {
                "its namespace was not read, which may opt out: read the namespaces as well"
            }
        }
    }
}

/// Decides about an object that lacks the annotation.
#[must_use]
pub const fn step(lacking: Lacking, provider: Provider) -> Step {
    match (lacking, provider) {
        (Lacking::Vm { runs: false }, _) => Step::Patch(Effect::AtStart),
        (Lacking::Vm { runs: true }, _) => Step::Patch(Effect::AfterRestart),
        (Lacking::Vmi { of_vm: true, .. }, Provider::OvnKubernetes) => {
            Step::Leave(Reason::SetUpWithout)
        }
        (Lacking::Vmi { of_vm: false, .. }, Provider::OvnKubernetes) => {
            Step::Leave(Reason::SetUpWithoutVm)
        }
        (Lacking::Vmi { on_provider, .. }, Provider::KubeOvn) => match on_provider {
            Some(true) => Step::Patch(Effect::AtOnce),
            Some(false) => Step::Leave(Reason::NotOnProvider),
            None => Step::Unknown(Gap::LauncherPod),
        },
        (Lacking::ReplicaSet, _) => Step::Leave(Reason::ReplicaSet),
        (Lacking::Pool, _) => Step::Leave(Reason::Pool),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_vm_gets_the_annotation_at_once_only_if_its_network_would_follow_it() {
        use Provider::{KubeOvn, OvnKubernetes};
        let vmi = |of_vm, on_provider| Lacking::Vmi { of_vm, on_provider };
        for (lacking, provider, expect) in [
            (
                Lacking::Vm { runs: false },
                KubeOvn,
                Step::Patch(Effect::AtStart),
            ),
            (
                Lacking::Vm { runs: true },
                KubeOvn,
                Step::Patch(Effect::AfterRestart),
            ),
            (
                Lacking::Vm { runs: false },
                OvnKubernetes,
                Step::Patch(Effect::AtStart),
            ),
            (
                Lacking::Vm { runs: true },
                OvnKubernetes,
                Step::Patch(Effect::AfterRestart),
            ),
            (vmi(true, Some(true)), KubeOvn, Step::Patch(Effect::AtOnce)),
            (vmi(false, Some(true)), KubeOvn, Step::Patch(Effect::AtOnce)),
            (
                vmi(true, Some(false)),
                KubeOvn,
                Step::Leave(Reason::NotOnProvider),
            ),
            (vmi(true, None), KubeOvn, Step::Unknown(Gap::LauncherPod)),
            (
                vmi(true, None),
                OvnKubernetes,
                Step::Leave(Reason::SetUpWithout),
            ),
            (
                vmi(true, Some(true)),
                OvnKubernetes,
                Step::Leave(Reason::SetUpWithout),
            ),
            (
                vmi(false, Some(true)),
                OvnKubernetes,
                Step::Leave(Reason::SetUpWithoutVm),
            ),
            (Lacking::Pool, KubeOvn, Step::Leave(Reason::Pool)),
            (Lacking::Pool, OvnKubernetes, Step::Leave(Reason::Pool)),
            (
                Lacking::ReplicaSet,
                KubeOvn,
                Step::Leave(Reason::ReplicaSet),
            ),
            (
                Lacking::ReplicaSet,
                OvnKubernetes,
                Step::Leave(Reason::ReplicaSet),
            ),
        ] {
            assert_eq!(step(lacking, provider), expect, "{lacking:?} {provider:?}");
        }
    }
}

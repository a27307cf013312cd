//! The injection: does this object get the annotation that lets a bridge-bound VM migrate?

use std::borrow::Cow;
use std::fmt;

use strum::{IntoStaticStr, VariantArray};

use crate::domain::{Binding, DefaultBinding};

/// The annotation that KubeVirt looks for: its presence allows the live migration of a VMI whose
/// pod network is bound by bridge (KubeVirt `pkg/network/vmispec/interface.go`).
pub const ALLOW_ANNOTATION: &str = "kubevirt.io/allow-pod-bridge-network-live-migration";

/// The label or annotation by which an object or a namespace opts out.
pub const INJECT_SWITCH: &str = "berth.dev/inject";

/// The value of [`INJECT_SWITCH`] that opts out.
pub const INJECT_DISABLED: &str = "disabled";

/// What the API server is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// CREATE.
    Create,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// CONNECT.
    Connect,
}

/// What the decision needs of the object under review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// How the VMI is bound to the pod network.
    pub binding: Binding,
    /// The value of [`ALLOW_ANNOTATION`] where KubeVirt looks for it.
    pub annotation: Option<Cow<'a, str>>,
    /// [`ALLOW_ANNOTATION`] stands on an outer object, where KubeVirt does not look.
    pub misplaced: bool,
    /// The values of [`INJECT_SWITCH`] on the VMI or its template.
    pub switches: Vec<Cow<'a, str>>,
    /// The values of [`INJECT_SWITCH`] on outer objects, which no VMI inherits.
    pub outer_switches: Vec<Cow<'a, str>>,
    /// The object is being deleted.
    pub deleting: bool,
}

/// What the decision needs of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The binding that KubeVirt adds by default.
    pub default_binding: DefaultBinding,
    /// The object's namespace opts out.
    pub namespace_opted_out: bool,
}

/// What came of a review. The names are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, VariantArray, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Outcome {
    /// The annotation is added.
    Patched,
    /// The annotation is there.
    AlreadyAnnotated,
    /// The object, its template or its namespace opts out.
    OptedOut,
    /// The pod network is not bound by bridge, or there is none.
    NotBridge,
    /// The binding is known only once a preference or instancetype was applied.
    LeftToVmi,
    /// Neither CREATE nor UPDATE.
    OtherOperation,
    /// The update leaves the VMI template as it was. With the annotation it would change the template,
    /// and KubeVirt restarts every VM of a pool whose template changes.
    TemplateUnchanged,
    /// An update of a VMI: its launcher pod was set up without the annotation.
    ExistingVmi,
    /// A subresource such as `status`.
    Subresource,
    /// The object is being deleted.
    Deleting,
    /// None of the four kinds.
    OtherKind,
    /// The object can't be read; it passes as it is.
    Unreadable,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// The name in metric labels and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What the person who applied the object should know. kubectl and virtctl print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The annotation's value is not `"true"`, and means the same; how to forbid live migration.
    ValueIgnored,
    /// The annotation stood where KubeVirt does not look.
    Misplaced,
    /// [`INJECT_SWITCH`] has a value without a meaning.
    UnknownSwitch,
    /// The object opts out, and the VMIs that will be made from its template do not.
    SwitchNotInherited,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ValueIgnored => write!(
                f,
                "{ALLOW_ANNOTATION}: any value allows it; opt out by {INJECT_SWITCH}: {INJECT_DISABLED} instead"
            ),
            Self::Misplaced => write!(
                f,
                "{ALLOW_ANNOTATION} belongs in the VMI template's annotations; berth added it there"
            ),
            Self::UnknownSwitch => write!(
                f,
                "{INJECT_SWITCH}: only \"{INJECT_DISABLED}\" has a meaning; the value given is ignored"
            ),
            Self::SwitchNotInherited => write!(
                f,
                "{INJECT_SWITCH} on this object does not reach its VMIs: set it in the VMI template's metadata as well"
            ),
        }
    }
}

/// The answer to a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What came of it; only [`Outcome::Patched`] changes the object.
    pub outcome: Outcome,
    /// What to tell the person.
    pub warnings: Vec<Warning>,
}

impl Decision {
    /// A decision with nothing to say.
    #[must_use]
    pub const fn silent(outcome: Outcome) -> Self {
        Self {
            outcome,
            warnings: Vec::new(),
        }
    }
}

/// Decides what can be decided before the object is read.
#[must_use]
pub fn before_reading(operation: Operation, subresource: bool, is_vmi: bool) -> Option<Outcome> {
    match operation {
        Operation::Delete | Operation::Connect => Some(Outcome::OtherOperation),
        Operation::Create | Operation::Update if subresource => Some(Outcome::Subresource),
        Operation::Update if is_vmi => Some(Outcome::ExistingVmi),
        Operation::Create | Operation::Update => None,
    }
}

/// Decides about an object of one of the four kinds that is created, or whose template an update
/// changes.
#[must_use]
pub fn decide(subject: &Subject<'_>, surroundings: Surroundings) -> Decision {
    if subject.deleting {
        return Decision::silent(Outcome::Deleting);
    }
    let disabled = |switches: &[Cow<'_, str>]| switches.iter().any(|v| v == INJECT_DISABLED);
    let opted_out_above = disabled(&subject.outer_switches);
    let opted_out = disabled(&subject.switches);
    let not_inherited = || {
        let lost = opted_out_above && !opted_out && !surroundings.namespace_opted_out;
        if lost {
            vec![Warning::SwitchNotInherited]
        } else {
            Vec::new()
        }
    };
    let bridge = match subject.binding {
        Binding::Bridge => true,
        Binding::Default => surroundings.default_binding == DefaultBinding::Bridge,
        Binding::Other | Binding::NoPodNetwork => false,
        Binding::LeftToVmi => {
            return Decision {
                outcome: Outcome::LeftToVmi,
                warnings: not_inherited(),
            };
        }
    };
    if !bridge {
        return Decision::silent(Outcome::NotBridge);
    }
    if let Some(value) = &subject.annotation {
        let warnings = if value == "true" {
            Vec::new()
        } else {
            vec![Warning::ValueIgnored]
        };
        return Decision {
            outcome: Outcome::AlreadyAnnotated,
            warnings,
        };
    }
    if surroundings.namespace_opted_out || opted_out || opted_out_above {
        return Decision {
            outcome: Outcome::OptedOut,
            warnings: not_inherited(),
        };
    }
    let mut warnings = Vec::new();
    if subject.misplaced {
        warnings.push(Warning::Misplaced);
    }
    if !subject.switches.is_empty() || !subject.outer_switches.is_empty() {
        warnings.push(Warning::UnknownSwitch);
    }
    Decision {
        outcome: Outcome::Patched,
        warnings,
    }
}

#[cfg(test)]
mod tests;

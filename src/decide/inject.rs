//! The injection: does this object get the annotation that lets a bridge-bound VM migrate?

use std::borrow::Cow;
use std::fmt;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub const ALL: [Self; 12] = [
        Self::Patched,
        Self::AlreadyAnnotated,
        Self::OptedOut,
        Self::NotBridge,
        Self::LeftToVmi,
        Self::OtherOperation,
        Self::TemplateUnchanged,
        Self::ExistingVmi,
        Self::Subresource,
        Self::Deleting,
        Self::OtherKind,
        Self::Unreadable,
    ];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Patched => "patched",
            Self::AlreadyAnnotated => "already_annotated",
            Self::OptedOut => "opted_out",
            Self::NotBridge => "not_bridge",
            Self::LeftToVmi => "left_to_vmi",
            Self::OtherOperation => "other_operation",
            Self::TemplateUnchanged => "template_unchanged",
            Self::ExistingVmi => "existing_vmi",
            Self::Subresource => "subresource",
            Self::Deleting => "deleting",
            Self::OtherKind => "other_kind",
            Self::Unreadable => "unreadable",
        }
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
mod tests {
    use super::*;

    fn mk_subject(binding: Binding) -> Subject<'static> {
        Subject {
            binding,
            annotation: None,
            misplaced: false,
            switches: Vec::new(),
            outer_switches: Vec::new(),
            deleting: false,
        }
    }

    #[track_caller]
    fn check(subject: &Subject<'_>, outcome: Outcome, warnings: &[Warning]) {
        let Decision {
            outcome: got,
            warnings: said,
        } = decide(subject, Surroundings::default());
        assert_eq!((got, said.as_slice()), (outcome, warnings));
    }

    #[test]
    fn only_a_bridge_on_the_pod_network_is_patched() {
        for (binding, outcome) in [
            (Binding::Bridge, Outcome::Patched),
            (Binding::Default, Outcome::Patched),
            (Binding::Other, Outcome::NotBridge),
            (Binding::NoPodNetwork, Outcome::NotBridge),
            (Binding::LeftToVmi, Outcome::LeftToVmi),
        ] {
            check(&mk_subject(binding), outcome, &[]);
        }
    }

    #[test]
    fn the_default_binding_is_what_kubevirt_is_configured_to_add() {
        let surroundings = Surroundings {
            default_binding: DefaultBinding::Other,
            ..Surroundings::default()
        };
        assert_eq!(
            decide(&mk_subject(Binding::Default), surroundings),
            Decision::silent(Outcome::NotBridge)
        );
        assert_eq!(
            decide(&mk_subject(Binding::Bridge), surroundings),
            Decision::silent(Outcome::Patched)
        );
    }

    #[test]
    fn a_key_that_is_there_is_left_alone_and_a_value_that_misleads_is_explained() {
        for (value, warnings) in [
            ("true", &[][..]),
            ("false", &[Warning::ValueIgnored]),
            // As OVN-Kubernetes' documentation writes it.
            ("", &[Warning::ValueIgnored]),
            ("True", &[Warning::ValueIgnored]),
        ] {
            let annotated = Subject {
                annotation: Some(value.into()),
                ..mk_subject(Binding::Bridge)
            };
            check(&annotated, Outcome::AlreadyAnnotated, warnings);
            // Who opts out and still has the key believes that the VM can't migrate.
            let opted_out = Subject {
                switches: vec!["disabled".into()],
                ..annotated
            };
            check(&opted_out, Outcome::AlreadyAnnotated, warnings);
        }
        let irrelevant = Subject {
            annotation: Some("false".into()),
            ..mk_subject(Binding::Other)
        };
        check(&irrelevant, Outcome::NotBridge, &[]);
    }

    #[test]
    fn a_key_in_the_wrong_place_is_put_right_with_a_warning() {
        let misplaced = Subject {
            misplaced: true,
            ..mk_subject(Binding::Bridge)
        };
        check(&misplaced, Outcome::Patched, &[Warning::Misplaced]);
    }

    #[test]
    fn an_object_opts_out_by_any_of_its_switches() {
        for (switches, outcome, warnings) in [
            (&["disabled"][..], Outcome::OptedOut, &[][..]),
            (&["enabled", "disabled"], Outcome::OptedOut, &[]),
            (&["false"], Outcome::Patched, &[Warning::UnknownSwitch]),
        ] {
            let subject = Subject {
                switches: switches.iter().map(|v| Cow::Borrowed(*v)).collect(),
                ..mk_subject(Binding::Bridge)
            };
            check(&subject, outcome, warnings);
        }
    }

    #[test]
    fn who_opts_out_where_no_vmi_inherits_it_is_told() {
        let disabled = vec![Cow::Borrowed("disabled")];
        let above = Subject {
            outer_switches: disabled.clone(),
            ..mk_subject(Binding::Bridge)
        };
        let not_inherited = [Warning::SwitchNotInherited];
        check(&above, Outcome::OptedOut, &not_inherited);
        let left = Subject {
            binding: Binding::LeftToVmi,
            ..above.clone()
        };
        check(&left, Outcome::LeftToVmi, &not_inherited);
        let both = Subject {
            switches: disabled,
            ..above.clone()
        };
        check(&both, Outcome::OptedOut, &[]);
        let irrelevant = Subject {
            binding: Binding::Other,
            ..above.clone()
        };
        check(&irrelevant, Outcome::NotBridge, &[]);
        let surroundings = Surroundings {
            namespace_opted_out: true,
            ..Surroundings::default()
        };
        assert_eq!(
            decide(&above, surroundings),
            Decision::silent(Outcome::OptedOut)
        );
    }

    #[test]
    fn a_namespace_opts_out_for_everything_in_it() {
        let surroundings = Surroundings {
            namespace_opted_out: true,
            ..Surroundings::default()
        };
        assert_eq!(
            decide(&mk_subject(Binding::Bridge), surroundings),
            Decision::silent(Outcome::OptedOut)
        );
    }

    #[test]
    fn an_object_that_is_being_deleted_is_left_alone() {
        let deleting = Subject {
            deleting: true,
            ..mk_subject(Binding::Bridge)
        };
        check(&deleting, Outcome::Deleting, &[]);
    }

    #[test]
    fn only_create_and_update_of_the_object_itself_are_looked_at() {
        use Operation::{Connect, Create, Delete, Update};
        for (operation, subresource, is_vmi, expect) in [
            (Create, false, false, None),
            (Create, false, true, None),
            (Update, false, false, None),
            (Update, false, true, Some(Outcome::ExistingVmi)),
            (Create, true, false, Some(Outcome::Subresource)),
            (Update, true, true, Some(Outcome::Subresource)),
            (Delete, false, true, Some(Outcome::OtherOperation)),
            (Connect, true, false, Some(Outcome::OtherOperation)),
        ] {
            assert_eq!(before_reading(operation, subresource, is_vmi), expect);
        }
    }

    #[test]
    fn every_warning_is_exact_and_fits_what_kubectl_prints() {
        let texts: Vec<String> = [
            Warning::ValueIgnored,
            Warning::Misplaced,
            Warning::UnknownSwitch,
            Warning::SwitchNotInherited,
        ]
        .iter()
        .map(ToString::to_string)
        .collect();
        assert_eq!(
            texts,
            [
                "kubevirt.io/allow-pod-bridge-network-live-migration: any value allows it; opt out by berth.dev/inject: disabled instead",
                "kubevirt.io/allow-pod-bridge-network-live-migration belongs in the VMI template's annotations; berth added it there",
                "berth.dev/inject: only \"disabled\" has a meaning; the value given is ignored",
                "berth.dev/inject on this object does not reach its VMIs: set it in the VMI template's metadata as well",
            ]
        );
        assert!(texts.iter().all(|text| text.len() <= 120));
    }
}

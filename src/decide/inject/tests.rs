//! Which objects get the annotation, and where.

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
fn an_opt_out_that_no_vmi_inherits_gets_a_warning() {
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

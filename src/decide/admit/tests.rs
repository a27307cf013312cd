//! Who is told what about which migration.

use super::*;

const MIGRATION: Subject<'_> = Subject {
    vmi_name: Some("web"),
    is_decentralized: false,
    is_automatic: false,
};

fn mk_counts(passed: u64, rejected: u64, failed: &[(Check, u64)]) -> VerdictCounts {
    let mut counts = VerdictCounts {
        passed,
        ..VerdictCounts::default()
    };
    // By which check does not matter: a verdict has every reason.
    counts.reported[0] = rejected;
    for (check, nodes) in failed {
        counts.failed[*check as usize] = *nodes;
    }
    counts
}

fn verdict(counts: &VerdictCounts, may_refuse: bool) -> (Outcome, Vec<String>) {
    verdict_with(counts, None, may_refuse)
}

fn verdict_with(
    counts: &VerdictCounts,
    added: Option<Added<'_>>,
    may_refuse: bool,
) -> (Outcome, Vec<String>) {
    let machine_type = Some("pc-q35-8.2");
    let Decision { outcome, lines } =
        decide(counts, added, "default/web", machine_type, may_refuse);
    (outcome, lines)
}

#[test]
fn labels_that_a_migration_adds_are_warned_about_and_never_refuse_it() {
    let of_labels = |lacking: u64| {
        format!(
            "BRT0408 NodeSelector: node selector does not match: addedNodeSelector zone=a ({lacking} of 5 nodes)"
        )
    };
    let none = "BRT0401 NoTarget: none of 5 nodes can take VM default/web".to_owned();
    let one = "BRT0402 OneTarget: only 1 of 5 nodes can take VM default/web".to_owned();
    for (fitting, passed, lacking, expect) in [
        (3, 3, 1, (Outcome::Allowed, vec![])),
        (3, 2, 3, (Outcome::Allowed, vec![])),
        (3, 1, 4, (Outcome::Warned, vec![one.clone(), of_labels(4)])),
        (1, 1, 4, (Outcome::Warned, vec![one])),
        (3, 0, 5, (Outcome::Warned, vec![none.clone(), of_labels(5)])),
        // No node would fit without them.
        (0, 0, 5, (Outcome::Denied, vec![none])),
    ] {
        let added = Added {
            labels: "zone=a",
            passed,
            lacking,
        };
        let counts = mk_counts(fitting, 5 - fitting, &[]);
        assert_eq!(
            verdict_with(&counts, Some(added), true),
            expect,
            "{fitting} {passed}"
        );
    }
}

#[test]
fn only_the_creation_of_a_migration_is_judged() {
    use MigrationAdmission::{Deny, Off, Warn};
    for (admission, operation, is_migration, is_subresource, ignored) in [
        (Warn, Operation::Create, true, false, false),
        (Deny, Operation::Create, true, false, false),
        (Off, Operation::Create, true, false, true),
        (Deny, Operation::Update, true, false, true),
        (Deny, Operation::Delete, true, false, true),
        (Deny, Operation::Connect, true, false, true),
        (Deny, Operation::Create, false, false, true),
        (Deny, Operation::Create, true, true, true),
    ] {
        assert_eq!(
            is_ignored(admission, operation, is_migration, is_subresource),
            ignored,
            "{admission:?} {operation:?} {is_migration} {is_subresource}"
        );
    }
}

#[test]
fn only_a_users_migration_may_be_refused_and_only_with_deny() {
    use MigrationAdmission::{Deny, Off, Warn};
    let automatic = Subject {
        is_automatic: true,
        ..MIGRATION
    };
    let account = |name: &str| format!("system:serviceaccount:{name}");
    for (admission, subject, username, expect) in [
        (Deny, MIGRATION, "admin".to_owned(), true),
        (Warn, MIGRATION, "admin".to_owned(), false),
        (Off, MIGRATION, "admin".to_owned(), false),
        (Deny, automatic, "admin".to_owned(), false),
        // `virtctl migrate`.
        (
            Deny,
            MIGRATION,
            account("kubevirt:kubevirt-apiserver"),
            true,
        ),
        (
            Deny,
            MIGRATION,
            account("kubevirt:kubevirt-controller"),
            false,
        ),
        (Deny, MIGRATION, account("cnv:kubevirt-operator"), false),
        (Deny, MIGRATION, account("tenant:pipeline"), true),
        (Deny, MIGRATION, "kubevirt-controller".to_owned(), true),
        (Deny, MIGRATION, String::new(), true),
    ] {
        assert_eq!(
            may_refuse(admission, &subject, &username),
            expect,
            "{admission:?} {subject:?} {username}"
        );
    }
}

#[test]
fn a_migration_with_two_targets_passes_in_silence_and_one_with_a_single_target_is_warned_about() {
    for may_refuse in [false, true] {
        let counts = mk_counts(2, 1, &[(Check::MigrationSource, 1)]);
        assert_eq!(verdict(&counts, may_refuse), (Outcome::Allowed, vec![]));
        let counts = mk_counts(1, 4, &[(Check::MigrationSource, 1)]);
        let line = "BRT0402 OneTarget: only 1 of 5 nodes can take VM default/web";
        assert_eq!(
            verdict(&counts, may_refuse),
            (Outcome::Warned, vec![line.to_owned()])
        );
        // Nothing is known of nodes.
        let none = mk_counts(0, 0, &[]);
        assert_eq!(verdict(&none, may_refuse), (Outcome::NotJudged, vec![]));
    }
}

#[test]
fn a_migration_without_a_target_is_told_the_checks_that_most_nodes_fail() {
    for (counts, lines) in [
        (
            mk_counts(0, 1, &[(Check::MigrationSource, 1)]),
            &[
                "BRT0401 NoTarget: none of 1 node can take VM default/web",
                "BRT0101 MigrationSource: migration source node (1 of 1 node)",
            ][..],
        ),
        (
            mk_counts(
                0,
                6,
                &[
                    (Check::MigrationSource, 1),
                    (Check::MachineType, 2),
                    (Check::ChassisNotRegistered, 1),
                    (Check::AgentsNotReady, 3),
                ],
            ),
            &[
                "BRT0401 NoTarget: none of 6 nodes can take VM default/web",
                "BRT0106 AgentsNotReady: OVN agents not ready (3 of 6 nodes)",
                "BRT0102 MachineType: machine type pc-q35-8.2 not supported (2 of 6 nodes)",
                "BRT0103 ChassisNotRegistered: OVN chassis not registered (1 of 6 nodes)",
            ],
        ),
    ] {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        assert_eq!(verdict(&counts, false), (Outcome::Warned, lines.clone()));
        assert_eq!(verdict(&counts, true), (Outcome::Denied, lines));
    }
}

#[test]
fn a_migration_is_not_refused_because_the_southbound_database_is_out_of_reach() {
    let counts = mk_counts(0, 2, &[(Check::SouthboundOutOfReach, 2)]);
    let (outcome, lines) = verdict(&counts, true);
    assert_eq!((outcome, lines.len()), (Outcome::Warned, 2));
}

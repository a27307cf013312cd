//! Every state of a port's options, before, during and after a migration from `a` to `b`.

use super::*;

fn pair() -> Pair {
    Pair {
        source: "a".to_owned(),
        target: "b".to_owned(),
    }
}

/// Options of a port: `other` stands for whatever else is set on it.
fn options(requested: &str, strategy: &str) -> Options {
    let all = [
        (REQUESTED_CHASSIS, requested),
        (ACTIVATION_STRATEGY, strategy),
        ("other", "kept"),
    ];
    let set = all.into_iter().filter(|(_, value)| *value != "-");
    set.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn before_the_bind_a_port_gets_the_pair_unless_its_options_are_somebody_elses() {
    use Preparation::{Foreign, Present, Write};
    let written = || Write(options("a,b", "rarp"));
    for (requested, strategy, expect) in [
        ("-", "-", written()),
        ("", "", written()),
        ("a", "-", written()),
        ("system-id-of-a", "-", written()),
        ("a,b", "rarp", Present),
        ("a,b", "-", Foreign),
        ("a", "rarp", Foreign),
        ("b", "-", Foreign),
        ("a,c", "rarp", Foreign),
        ("b,a", "rarp", Foreign),
        ("a,b,c", "rarp", Foreign),
        ("-", "rarp", Foreign),
    ] {
        let names = ["a", "system-id-of-a"];
        let prepared = pair().prepare(&options(requested, strategy), &names, None);
        assert_eq!(prepared, expect, "{requested:?} {strategy:?}");
    }
}

#[test]
fn a_pair_that_berth_wrote_for_another_target_is_replaced() {
    let ours = Pair {
        target: "c".to_owned(),
        ..pair()
    };
    for (requested, strategy, expect) in [
        ("a,c", "rarp", Preparation::Write(options("a,b", "rarp"))),
        ("a,b", "rarp", Preparation::Present),
        ("a,d", "rarp", Preparation::Foreign),
        ("a,c", "-", Preparation::Foreign),
    ] {
        let prepared = pair().prepare(&options(requested, strategy), &["a"], Some(&ours));
        assert_eq!(prepared, expect, "{requested:?} {strategy:?}");
    }
}

#[test]
fn while_the_migration_runs_a_removed_pair_is_restored() {
    use Upkeep::{Leave, Restore};
    for (requested, strategy, expect) in [
        ("a,b", "rarp", Leave),
        ("-", "-", Restore),
        ("", "-", Restore),
        ("a", "-", Restore),
        // The API server is asked whether it has ended before it is written.
        ("b", "-", Restore),
        ("a,c", "rarp", Leave),
        ("c", "-", Leave),
    ] {
        let kept = pair().keep_up(Some(&options(requested, strategy)), Progress::UnderWay);
        assert_eq!(kept, expect, "{requested:?} {strategy:?}");
    }
    assert_eq!(pair().keep_up(None, Progress::UnderWay), Upkeep::Forget);
    let removed = options("a", "-");
    assert_eq!(pair().added_to(&removed), options("a,b", "rarp"));
}

#[test]
fn after_the_migration_a_pair_that_nobody_changed_is_finished_once_it_is_due() {
    use Upkeep::{Finish, Forget, Leave};
    for (requested, strategy, is_due, expect) in [
        ("a,b", "rarp", false, Leave),
        ("a,b", "rarp", true, Finish),
        ("b", "-", false, Forget),
        ("-", "-", true, Forget),
        ("b,c", "rarp", true, Forget),
        ("a,b", "-", true, Forget),
    ] {
        let progress = Progress::Ended { is_due };
        let kept = pair().keep_up(Some(&options(requested, strategy)), progress);
        assert_eq!(kept, expect, "{requested:?} {strategy:?}");
    }
}

#[test]
fn a_finished_port_names_one_chassis_or_none() {
    let written = options("a,b", "rarp");
    for (chassis, expect) in [(Some("b"), options("b", "-")), (None, options("-", "-"))] {
        assert_eq!(finished(&written, chassis), expect);
    }
}

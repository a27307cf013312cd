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
    let restored = || Restore(options("a,b", "rarp"));
    for (requested, strategy, expect) in [
        ("a,b", "rarp", Leave),
        ("-", "-", restored()),
        ("", "-", restored()),
        ("a", "-", restored()),
        // Finished: the API server told somebody else of the end first.
        ("b", "-", Leave),
        ("a,c", "rarp", Leave),
        ("c", "-", Leave),
    ] {
        let kept = pair().keep_up(Some(&options(requested, strategy)), Progress::UnderWay);
        assert_eq!(kept, expect, "{requested:?} {strategy:?}");
    }
    assert_eq!(pair().keep_up(None, Progress::UnderWay), Upkeep::Forget);
}

#[test]
fn after_the_migration_a_pair_that_nobody_changed_gives_way_to_the_node_that_the_vm_runs_on() {
    use Upkeep::{Finish, Forget, Leave};
    for (requested, strategy, runs_on, is_due, expect) in [
        ("a,b", "rarp", Some("b"), false, Leave),
        ("a,b", "rarp", Some("b"), true, Finish(options("b", "-"))),
        ("a,b", "rarp", Some("a"), true, Finish(options("a", "-"))),
        ("a,b", "rarp", None, true, Finish(options("-", "-"))),
        ("b", "-", Some("b"), false, Forget),
        ("-", "-", None, true, Forget),
        ("b,c", "rarp", Some("b"), true, Forget),
        ("a,b", "-", Some("b"), true, Forget),
    ] {
        let progress = Progress::Ended { runs_on, is_due };
        let kept = pair().keep_up(Some(&options(requested, strategy)), progress);
        assert_eq!(kept, expect, "{requested:?} {strategy:?} {runs_on:?}");
    }
}

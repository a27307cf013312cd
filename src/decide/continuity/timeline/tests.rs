//! Timelines, told moment by moment.

use super::*;

const ONE: NetworkSight = NetworkSight {
    ports: 1,
    paired: 0,
    additional: 0,
    activated: 0,
    at_target: 0,
    at_home: 1,
    open: 0,
    presence: Presence::Cold,
    has_tunnels: true,
    answers: Some((7, 7)),
    behind: None,
    says_installed_early: true,
};

const WARM: NetworkSight = NetworkSight {
    presence: Presence::Warm,
    ..ONE
};

const PAIRED: NetworkSight = NetworkSight {
    paired: 1,
    open: 1,
    ..ONE
};

/// Both chassis contend for a port that names none.
const CONTENDED: NetworkSight = NetworkSight {
    additional: 1,
    at_target: 1,
    at_home: 0,
    ..ONE
};

const LANDED: NetworkSight = NetworkSight {
    additional: 1,
    presence: Presence::Local,
    ..PAIRED
};

const ACTIVATED: NetworkSight = NetworkSight {
    activated: 1,
    ..LANDED
};

const MOVED: NetworkSight = NetworkSight {
    at_target: 1,
    at_home: 1,
    ..ACTIVATED
};

const SETTLED_THERE: NetworkSight = NetworkSight {
    paired: 0,
    activated: 0,
    open: 0,
    ..MOVED
};

const CREATED: UnixTime = Duration::from_secs(1_000_000);

/// The time so many milliseconds after the migration was created.
fn at(millis: u64) -> UnixTime {
    CREATED + Duration::from_millis(millis)
}

/// A migration of a VM from `a` whose target pod is bound to `b`.
fn bound(network: NetworkSight) -> Sight<'static> {
    Sight {
        phase: MigrationPhase::Scheduling,
        created: Some(CREATED),
        source: Some("a"),
        pod: Some(PodSight {
            node: Some("b"),
            created: Some(CREATED),
            bound: Some(at(2_000)),
        }),
        domain_ready: None,
        end: None,
        is_superseded: false,
        network: Some(network),
    }
}

fn unbound(network: NetworkSight) -> Sight<'static> {
    let pod = PodSight {
        node: None,
        created: Some(CREATED),
        bound: None,
    };
    Sight {
        pod: Some(pod),
        ..bound(network)
    }
}

fn ready(network: NetworkSight) -> Sight<'static> {
    Sight {
        phase: MigrationPhase::Running,
        domain_ready: Some(at(9_000)),
        ..bound(network)
    }
}

fn ended(end: MigrationEnd, network: NetworkSight) -> Sight<'static> {
    let at_home = match end {
        MigrationEnd::Succeeded => network.at_target,
        MigrationEnd::Failed => network.ports - network.at_target,
    };
    Sight {
        end: Some(end),
        ..ready(NetworkSight { at_home, ..network })
    }
}

/// What a timeline says: stages with the milliseconds since the stage before, codes, and the outcome.
fn told(moments: &[(u64, Sight<'_>)]) -> Vec<String> {
    let first = moments.first().map_or(0, |(millis, _)| *millis);
    let mut timeline = Timeline::new(Some(CREATED), at(first));
    let mut told = Vec::new();
    for (millis, sight) in moments {
        let news = timeline.see(sight, at(*millis));
        told.extend(news.iter().map(|news| match news {
            News::Reached(stage, None) => stage.as_ref().to_owned(),
            News::Reached(stage, Some(took)) => format!("{} {}", stage.as_ref(), took.as_millis()),
            News::Found(finding) => finding.cause.row().code.to_owned(),
            News::Ended(outcome) => format!("= {}", outcome.as_ref()),
        }));
    }
    told
}

fn codes(moments: &[(u64, Sight<'_>)]) -> Vec<String> {
    let mut told = told(moments);
    told.retain(|word| word.starts_with("BRT"));
    told
}

#[test]
fn a_prepared_migration_is_confirmed_at_both_ends() {
    use MigrationEnd::Succeeded;
    let told = told(&[
        (100, unbound(ONE)),
        (400, unbound(WARM)),
        (
            500,
            unbound(NetworkSight {
                paired: 1,
                open: 1,
                ..WARM
            }),
        ),
        (
            2_100,
            bound(NetworkSight {
                paired: 1,
                open: 1,
                ..WARM
            }),
        ),
        (3_000, bound(LANDED)),
        (9_050, ready(LANDED)),
        (9_100, ready(ACTIVATED)),
        (10_000, ended(Succeeded, ACTIVATED)),
        (11_000, ended(Succeeded, MOVED)),
        (11_200, ended(Succeeded, SETTLED_THERE)),
        (99_000, ended(Succeeded, SETTLED_THERE)),
    ]);
    assert_eq!(
        told,
        [
            "created",
            "target_pod 0",
            "warm 400",
            "pair 100",
            "bound 1500",
            "flows 100",
            "additional 900",
            "ready 0",
            "domain_ready 6000",
            "activated 100",
            "moved 1900",
            "single 200",
            "done 0",
            "= confirmed"
        ]
    );
}

#[test]
fn a_first_landing_without_a_warm_port_has_its_flows_when_the_chassis_answers_a_later_question() {
    let asked = |asked, answered| {
        bound(NetworkSight {
            answers: Some((asked, answered)),
            ..LANDED
        })
    };
    let told = told(&[
        (100, unbound(ONE)),
        (2_100, bound(PAIRED)),
        // It may have answered before it bound the port.
        (3_000, asked(8, 7)),
        (4_000, asked(8, 8)),
        (5_000, asked(9, 8)),
        (6_000, asked(9, 9)),
    ]);
    assert_eq!(
        told,
        [
            "created",
            "target_pod 0",
            "bound 2000",
            "pair 100",
            "additional 900",
            "BRT0314",
            "flows 3000",
            "ready 0"
        ]
    );
}

#[test]
fn a_network_that_is_on_the_target_already_has_its_flows_when_the_pod_is_bound() {
    let local = NetworkSight {
        presence: Presence::Local,
        ..PAIRED
    };
    let told = told(&[
        (100, unbound(local)),
        (2_100, bound(local)),
        (3_000, bound(LANDED)),
    ]);
    assert_eq!(
        told,
        [
            "created",
            "target_pod 0",
            "pair 100",
            "bound 1900",
            "flows 100",
            "additional 900",
            "ready 0"
        ]
    );
}

#[test]
fn what_was_there_when_a_migration_is_first_seen_in_the_middle_has_no_exact_time() {
    let told = told(&[
        (8_000, bound(LANDED)),
        (9_100, ready(LANDED)),
        (9_200, ready(ACTIVATED)),
    ]);
    assert_eq!(
        told,
        [
            "created",
            "target_pod 0",
            "bound 2000",
            "pair",
            "additional",
            "domain_ready",
            "activated 200"
        ]
    );
}

#[test]
fn what_is_there_after_ovn_was_away_has_no_exact_time() {
    let blind = Sight {
        network: None,
        ..bound(ONE)
    };
    let told = told(&[
        (2_100, bound(ONE)),
        (3_000, blind),
        (9_000, bound(PAIRED)),
        (9_500, bound(LANDED)),
    ]);
    assert_eq!(
        told,
        [
            "created",
            "target_pod 0",
            "bound 2000",
            "pair",
            "additional",
            "BRT0314"
        ]
    );
}

#[test]
fn an_outcome_says_what_was_seen() {
    use MigrationEnd::{Failed, Succeeded};
    let blind = |end| Sight {
        network: None,
        ..ended(end, ONE)
    };
    let unprepared = ended(Succeeded, SETTLED_THERE);
    for (moments, expect) in [
        (vec![(10_000, blind(Succeeded))], "= unobserved"),
        (vec![(10_000, blind(Failed))], "= failed"),
        (
            vec![(2_100, bound(ONE)), (10_000, unprepared)],
            "= unconfirmed",
        ),
        (
            vec![(2_100, bound(PAIRED)), (10_000, ended(Failed, ONE))],
            "= failed",
        ),
        // The VM is stopped, or migrates again.
        (
            vec![(
                10_000,
                Sight {
                    is_superseded: true,
                    ..ended(Succeeded, PAIRED)
                },
            )],
            "= unconfirmed",
        ),
        // The ports never settle.
        (
            vec![
                (10_000, ended(Succeeded, MOVED)),
                (70_000, ended(Succeeded, MOVED)),
            ],
            "= unconfirmed",
        ),
    ] {
        assert_eq!(told(&moments).last().map(String::as_str), Some(expect));
    }
    let open = [
        (10_000, ended(Succeeded, MOVED)),
        (69_000, ended(Succeeded, MOVED)),
    ];
    assert!(!told(&open).iter().any(|word| word.starts_with('=')));
}

/// What is seen, and the codes that it comes to.
type Case<'a> = (&'a str, Vec<(u64, Sight<'a>)>, &'a [&'a str]);

#[track_caller]
fn check(cases: Vec<Case<'_>>) {
    for (name, moments, expect) in cases {
        assert_eq!(codes(&moments), expect, "{name}");
    }
}

#[test]
fn a_pair_that_is_missing_is_found_once_and_five_seconds_after_the_bind() {
    let blind = || Sight {
        network: None,
        ..bound(ONE)
    };
    let unknown = || bound(NetworkSight::default());
    let half = NetworkSight {
        ports: 2,
        at_home: 2,
        ..PAIRED
    };
    check(vec![
        (
            "late",
            vec![
                (2_000, bound(ONE)),
                (7_000, bound(ONE)),
                (8_000, bound(ONE)),
            ],
            &["BRT0307"],
        ),
        (
            "in time",
            vec![
                (2_000, bound(ONE)),
                (6_900, bound(PAIRED)),
                (8_000, bound(PAIRED)),
            ],
            &[],
        ),
        (
            "claimed by the target",
            vec![(2_000, bound(ONE)), (7_000, bound(CONTENDED))],
            &["BRT0307", "BRT0314"],
        ),
        (
            "one port of two",
            vec![(2_000, bound(ONE)), (7_000, bound(half))],
            &["BRT0307"],
        ),
        (
            "OVN is not read",
            vec![(2_000, blind()), (9_000, blind())],
            &[],
        ),
        (
            "no port is known",
            vec![(2_000, unknown()), (9_000, unknown())],
            &[],
        ),
        (
            "not bound yet",
            vec![(2_000, unbound(ONE)), (99_000, unbound(ONE))],
            &[],
        ),
    ]);
}

#[test]
fn a_pair_that_is_removed_is_found_once_and_only_in_the_middle_of_a_migration() {
    use MigrationEnd::Failed;
    check(vec![
        (
            "away",
            vec![
                (2_000, bound(PAIRED)),
                (3_000, bound(ONE)),
                (5_000, bound(ONE)),
                (6_000, bound(ONE)),
            ],
            &["BRT0308"],
        ),
        (
            "away, and claimed by the target",
            vec![
                (2_000, bound(PAIRED)),
                (2_500, bound(LANDED)),
                (3_000, bound(CONTENDED)),
                (5_000, bound(CONTENDED)),
            ],
            &["BRT0314", "BRT0308"],
        ),
        (
            "away for a moment, twice",
            vec![
                (2_000, bound(PAIRED)),
                (3_000, bound(ONE)),
                (4_900, bound(ONE)),
                (5_000, bound(PAIRED)),
                (6_000, bound(ONE)),
                (7_900, bound(ONE)),
            ],
            &[],
        ),
        (
            "gone when the ports moved",
            vec![
                (2_000, bound(LANDED)),
                (9_100, ready(SETTLED_THERE)),
                (20_000, ready(SETTLED_THERE)),
            ],
            &[],
        ),
        (
            "gone at the end",
            vec![
                (2_000, bound(PAIRED)),
                (9_000, ended(Failed, ONE)),
                (20_000, ended(Failed, ONE)),
            ],
            &[],
        ),
    ]);
}

#[test]
fn a_target_that_is_behind_or_gets_its_flows_late_is_found() {
    let behind = |seconds| {
        bound(NetworkSight {
            behind: Some(Duration::from_secs(seconds)),
            ..PAIRED
        })
    };
    let mended = NetworkSight {
        says_installed_early: false,
        ..LANDED
    };
    check(vec![
        (
            "behind",
            vec![(3_000, behind(9)), (4_000, behind(10)), (5_000, behind(11))],
            &["BRT0313"],
        ),
        (
            "cold",
            vec![
                (2_000, bound(PAIRED)),
                (3_000, bound(LANDED)),
                (4_000, bound(LANDED)),
            ],
            &["BRT0314"],
        ),
        (
            "cold, on an OVN that waits",
            vec![(2_000, bound(PAIRED)), (3_000, bound(mended))],
            &[],
        ),
        (
            "warm",
            vec![
                (
                    2_000,
                    bound(NetworkSight {
                        presence: Presence::Warm,
                        ..PAIRED
                    }),
                ),
                (3_000, bound(LANDED)),
            ],
            &[],
        ),
        (
            "seen only after the landing",
            vec![(8_000, bound(LANDED)), (9_000, bound(LANDED))],
            &[],
        ),
    ]);
}

#[test]
fn ports_that_are_not_where_the_vm_runs_are_found() {
    use MigrationEnd::{Failed, Succeeded};
    let nowhere = NetworkSight {
        at_target: 0,
        ..SETTLED_THERE
    };
    check(vec![
        (
            "activated, and over",
            vec![
                (9_000, ready(ACTIVATED)),
                (10_000, ended(Succeeded, ACTIVATED)),
                (20_000, ended(Succeeded, ACTIVATED)),
            ],
            &["BRT0310"],
        ),
        (
            "on the source after success",
            vec![
                (9_000, ready(PAIRED)),
                (10_000, ended(Succeeded, PAIRED)),
                (20_000, ended(Succeeded, PAIRED)),
            ],
            &["BRT0311"],
        ),
        (
            "nowhere after success",
            vec![
                (10_000, ended(Succeeded, nowhere)),
                (20_000, ended(Succeeded, nowhere)),
            ],
            &["BRT0311"],
        ),
        (
            "on the target after a failure",
            vec![
                (10_000, ended(Failed, SETTLED_THERE)),
                (20_000, ended(Failed, SETTLED_THERE)),
            ],
            &["BRT0311"],
        ),
        (
            "still moving",
            vec![
                (10_000, ended(Succeeded, PAIRED)),
                (19_000, ended(Succeeded, PAIRED)),
            ],
            &[],
        ),
    ]);
}

#[test]
fn what_is_waited_for_follows_what_was_reached() {
    let blind = Sight {
        network: None,
        ..bound(ONE)
    };
    for (sight, expect) in [
        (
            Sight {
                pod: None,
                ..bound(ONE)
            },
            Stage::TargetPod,
        ),
        (unbound(ONE), Stage::Bound),
        (bound(ONE), Stage::Pair),
        (bound(PAIRED), Stage::Additional),
        (bound(LANDED), Stage::DomainReady),
        (ready(ONE), Stage::Moved),
        (ready(MOVED), Stage::Single),
        (ready(SETTLED_THERE), Stage::Done),
        (blind.clone(), Stage::DomainReady),
        (
            Sight {
                domain_ready: Some(at(9_000)),
                ..blind
            },
            Stage::Done,
        ),
    ] {
        let mut timeline = Timeline::new(Some(CREATED), at(0));
        timeline.see(&sight, at(10_000));
        assert_eq!(timeline.next(), Some(expect), "{sight:?}");
    }
    let mut timeline = Timeline::new(Some(CREATED), at(0));
    timeline.see(&ended(MigrationEnd::Failed, ONE), at(10_000));
    assert_eq!(timeline.next(), None);
}

#[test]
fn the_source_is_where_the_vm_was_before_it_moved() {
    let mut timeline = Timeline::new(Some(CREATED), at(0));
    timeline.see(
        &Sight {
            source: Some("b"),
            ..bound(ONE)
        },
        at(2_000),
    );
    assert_eq!(timeline.source, None);
    timeline.see(&bound(ONE), at(3_000));
    timeline.see(
        &Sight {
            source: Some("b"),
            ..bound(ONE)
        },
        at(4_000),
    );
    assert_eq!(timeline.source.as_deref(), Some("a"));
    assert_eq!(timeline.target.as_deref(), Some("b"));
}

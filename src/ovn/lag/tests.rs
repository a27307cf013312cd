//! Clocks, history, restarts and standstills.

use super::*;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn mk_history(values: impl IntoIterator<Item = (i64, u64)>) -> NbCfgHistory {
    let mut history = NbCfgHistory::default();
    for (value, seconds) in values {
        let bump = Bump {
            at: at(seconds),
            live: true,
        };
        history.see(value, bump);
    }
    history
}

fn since(history: &NbCfgHistory, value: Option<i64>) -> Option<Duration> {
    history.first_after(value).map(|bump| bump.at)
}

#[test]
fn the_clock_runs_only_while_it_is_started() {
    let start = Instant::now();
    let mut clock = Clock::default();
    assert_eq!(clock.at(start + at(5)), at(0));
    clock.start(start);
    assert_eq!(clock.at(start + at(5)), at(5));
    clock.stop(start + at(7));
    assert_eq!(clock.at(start + at(60)), at(7));
    clock.start(start + at(60));
    clock.start(start + at(61));
    assert_eq!(clock.at(start + at(62)), at(9));
}

#[test]
fn a_lag_begins_with_the_first_value_that_was_not_answered() {
    let history = mk_history([(3, 10), (4, 20), (4, 25), (7, 30)]);
    assert_eq!(history.current(), Some(7));
    for (value, expect) in [
        (None, Some(10)),
        (Some(2), Some(10)),
        (Some(3), Some(20)),
        (Some(4), Some(30)),
        (Some(6), Some(30)),
        (Some(7), None),
        (Some(8), None),
    ] {
        assert_eq!(since(&history, value), expect.map(at), "{value:?}");
    }
    assert_eq!(history.first_from(5).map(|bump| bump.at), Some(at(30)));
    assert_eq!(history.first_from(8), None);
}

#[test]
fn a_restart_moves_the_lags_that_began_in_it_to_its_end() {
    let restart = |from, to| Restart {
        from: at(from),
        to: at(to),
    };
    let none = Restart::default();
    for (restart, since, expect) in [
        (none, 7, 7),
        (restart(10, 20), 9, 9),
        (restart(10, 20), 10, 20),
        (restart(10, 20), 21, 21),
        // One after the other, the second of which begins where the first one ends, or later.
        (restart(10, 20).then(restart(20, 30)), 10, 30),
        (restart(10, 20).then(restart(20, 30)), 9, 9),
        (restart(10, 20).then(restart(21, 30)), 10, 10),
        (restart(10, 20).then(restart(21, 30)), 21, 30),
        (restart(10, 20).then(restart(5, 30)), 5, 30),
    ] {
        assert_eq!(restart.apply(at(since)), at(expect), "{restart:?} {since}");
    }
}

#[test]
fn a_standstill_needs_three_chassis_that_fell_behind_within_the_allowed_lag() {
    let history = mk_history([(1, 0), (2, 10), (3, 20), (4, 30)]);
    let standstill = |answers: &[i64]| {
        let mut all = Answers::default();
        for answer in answers {
            all.add(*answer);
        }
        let standstill = all.standstill(&history, Restart::default(), at(10));
        standstill.map(|all| (all.from.as_secs(), all.over.as_secs()))
    };
    for (answers, expect) in [
        (&[][..], None),
        (&[3, 3], None),
        (&[3, 3, 4], None),
        (&[3, 3, 3], Some((20, 40))),
        (&[2, 3, 2], Some((20, 40))),
        (&[1, 2, 3], None),
        (&[1, 1, 2], Some((10, 30))),
        (&[1, 2, 2, 2], Some((10, 30))),
    ] {
        assert_eq!(standstill(answers), expect, "{answers:?}");
    }
    let mut all = Answers::default();
    for answer in [3, 3, 3, 4] {
        all.add(answer);
    }
    all.remove(4);
    all.remove(9);
    let left = all.standstill(&history, Restart::default(), at(10));
    assert!(left.is_some(), "the chassis that kept up is gone");
}

#[test]
fn a_lower_value_starts_a_new_history() {
    let history = mk_history([(3, 10), (4, 20), (2, 30)]);
    assert_eq!(history.current(), Some(2));
    assert_eq!(since(&history, None), Some(at(30)));
}

#[test]
fn a_long_history_is_thinned_out_and_keeps_its_beginning_and_its_end() {
    let last = 100_000_i64;
    let history = mk_history((0..=last).map(|value| (value, value.unsigned_abs())));
    assert!(history.seen.size() <= MOST, "{}", history.seen.size());
    assert_eq!(since(&history, Some(-1)), Some(at(0)));
    for value in last - 1000..last {
        let exact = at(value.unsigned_abs() + 1);
        assert_eq!(since(&history, Some(value)), Some(exact));
    }
    for value in (0..last).step_by(777) {
        let since = since(&history, Some(value)).unwrap();
        assert!(since <= at(value.unsigned_abs() + 1), "{value}");
    }
}

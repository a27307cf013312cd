//! What is written when, by a clock of the test.

use super::*;
use crate::domain::Status::{False, True, Unknown};

const PACE: Pace = Pace {
    debounce: Duration::from_secs(5),
    per_second: 2,
};

fn mk_condition(status: Status, reason: &'static str) -> ChassisReady {
    ChassisReady {
        status,
        reason: reason.into(),
        message: "".into(),
    }
}

/// A node that is to have a condition, whatever it has.
fn mk_node<'a>(
    node: &'a str,
    published: Option<&'a ChassisReady>,
    wanted: &'a ChassisReady,
) -> ObservedNode<'a, impl Clone + FnOnce(Option<&ChassisReady>) -> ChassisReady> {
    ObservedNode {
        node,
        published,
        decide: |_: Option<&ChassisReady>| wanted.clone(),
    }
}

/// Looks at nodes, writes all that is due, and gives the names and how many wait.
fn write_due<F>(
    tracker: &mut ConditionTracker,
    nodes: &[ObservedNode<'_, F>],
    now: Instant,
) -> (Vec<String>, usize)
where
    F: Clone + FnOnce(Option<&ChassisReady>) -> ChassisReady,
{
    let PendingWrites { writes, waiting } = tracker.update(nodes.iter().cloned(), now);
    let names = writes.iter().map(|write| write.node.to_string()).collect();
    for write in writes {
        tracker.record_write(write, now);
    }
    (names, waiting)
}

fn names<const N: usize>(names: [&str; N], waiting: usize) -> (Vec<String>, usize) {
    (names.map(str::to_owned).to_vec(), waiting)
}

#[test]
fn a_condition_is_written_once_and_again_only_when_it_changes() {
    let (good, bad) = (mk_condition(True, "a"), mk_condition(False, "b"));
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut tracker = ConditionTracker::new(PACE);
    for (seconds, published, wanted, expect) in [
        (0, None, &good, names(["a"], 0)),
        // The watch does not tell of it yet.
        (1, None, &good, names([], 0)),
        (1, Some(&good), &good, names([], 0)),
        (60, Some(&good), &bad, names(["a"], 0)),
        (61, Some(&good), &bad, names([], 0)),
        // Not again before the debounce is over.
        (62, Some(&bad), &good, names([], 1)),
        (63, Some(&bad), &bad, names([], 0)),
        (64, Some(&bad), &good, names([], 1)),
        (65, Some(&bad), &good, names(["a"], 0)),
        (66, Some(&good), &good, names([], 0)),
        // Somebody else wrote it.
        (180, Some(&bad), &good, names(["a"], 0)),
        (181, None, &good, names([], 1)),
        (185, None, &good, names(["a"], 0)),
    ] {
        let seen = [mk_node("a", published, wanted)];
        assert_eq!(
            write_due(&mut tracker, &seen, at(seconds)),
            expect,
            "{seconds} s"
        );
    }
}

#[test]
fn a_write_says_what_is_new_about_it() {
    let is = mk_condition(False, "b");
    let mut tracker = ConditionTracker::new(PACE);
    for (published, expect) in [
        (None, Change::New),
        (Some(&mk_condition(True, "b")), Change::Status),
        (Some(&mk_condition(False, "a")), Change::MessageOnly),
    ] {
        let due = tracker.update([mk_node("a", published, &is)].into_iter(), Instant::now());
        let changes: Vec<_> = due.writes.iter().map(|write| write.change).collect();
        assert_eq!(changes, [expect]);
    }
}

#[test]
fn many_changes_are_written_at_the_rate_with_ready_nodes_first() {
    let good = mk_condition(True, "a");
    let [bad, other, unknown] = [(False, "b"), (False, "c"), (Unknown, "d")]
        .map(|(status, reason)| mk_condition(status, reason));
    let nodes = [
        mk_node("other-word", Some(&other), &bad),
        mk_node("new", None, &bad),
        mk_node("goes", Some(&good), &bad),
        mk_node("goes-too", Some(&good), &unknown),
        mk_node("comes", Some(&bad), &good),
        mk_node("comes-too", Some(&unknown), &good),
        mk_node("stays", Some(&good), &good),
    ];
    let mut tracker = ConditionTracker::new(PACE);
    let now = Instant::now();
    let first = write_due(&mut tracker, &nodes, now);
    assert_eq!(first, names(["comes", "comes-too", "goes", "goes-too"], 2));
    assert_eq!(write_due(&mut tracker, &nodes, now), names([], 2));
    let now = now + Duration::from_millis(500);
    assert_eq!(write_due(&mut tracker, &nodes, now), names(["new"], 1));
    let now = now + Duration::from_secs(9);
    assert_eq!(
        write_due(&mut tracker, &nodes, now),
        names(["other-word"], 0)
    );
}

#[test]
fn decisions_use_the_last_write_and_not_a_late_watch_event() {
    let (good, bad) = (mk_condition(True, "a"), mk_condition(False, "b"));
    let mut tracker = ConditionTracker::new(PACE);
    let now = Instant::now();
    let mut told = Vec::new();
    for seconds in 0..3 {
        let seen = ObservedNode {
            node: "a",
            published: Some(&bad),
            decide: |is: Option<&ChassisReady>| {
                told.push(is.unwrap().status);
                good.clone()
            },
        };
        let due = tracker.update([seen].into_iter(), now + Duration::from_secs(seconds));
        for write in due.writes {
            tracker.record_write(write, now);
        }
    }
    assert_eq!(told, [False, True, True]);
}

#[test]
fn a_write_that_the_watch_does_not_confirm_is_repeated() {
    let (good, bad) = (mk_condition(True, "a"), mk_condition(False, "b"));
    let start = Instant::now();
    let mut tracker = ConditionTracker::new(PACE);
    // Somebody has put the old one back at once.
    for (seconds, expect) in [
        (0, names(["a"], 0)),
        (9, names([], 0)),
        (10, names(["a"], 0)),
        (19, names([], 0)),
    ] {
        let seen = [mk_node("a", Some(&bad), &good)];
        let at = start + Duration::from_secs(seconds);
        assert_eq!(write_due(&mut tracker, &seen, at), expect, "{seconds} s");
    }
}

#[test]
fn a_node_that_comes_and_goes_waits_longer_each_time_until_it_is_quiet() {
    let conditions = [mk_condition(True, "a"), mk_condition(False, "b")];
    let mut now = Instant::now();
    let mut tracker = ConditionTracker::new(PACE);
    let mut is = None;
    let mut turn = |tracker: &mut ConditionTracker, now: Instant, number: usize| {
        let wanted = &conditions[number % 2];
        let seen = [mk_node("a", is, wanted)];
        let written = write_due(tracker, &seen, now) == names(["a"], 0);
        if written {
            is = Some(wanted);
        }
        written
    };
    for (number, wait) in [(0, 5), (1, 10), (2, 20), (3, 40)] {
        assert!(turn(&mut tracker, now, number));
        let early = now + Duration::from_secs(wait - 1);
        assert!(!turn(&mut tracker, early, number + 1), "{wait} s");
        now += Duration::from_secs(wait);
    }
    now += Duration::from_secs(40 * 10);
    assert!(turn(&mut tracker, now, 4));
    assert!(turn(&mut tracker, now + PACE.debounce, 5));
}

#[test]
fn a_failed_write_is_retried_after_waits_that_grow() {
    let bad = mk_condition(False, "b");
    let nodes = [mk_node("a", None, &bad)];
    let mut tracker = ConditionTracker::new(PACE);
    let mut now = Instant::now();
    for wait in [1, 2, 4, 8] {
        assert_eq!(tracker.update(nodes.iter().cloned(), now).writes.len(), 1);
        tracker.record_failure("a", now);
        let early = now + Duration::from_secs(wait - 1);
        assert_eq!(write_due(&mut tracker, &nodes, early), names([], 1));
        now += Duration::from_secs(wait);
    }
    assert_eq!(write_due(&mut tracker, &nodes, now), names(["a"], 0));
}

#[test]
fn a_node_that_is_gone_is_forgotten() {
    let bad = mk_condition(False, "b");
    let mut tracker = ConditionTracker::new(PACE);
    let now = Instant::now();
    let node = [mk_node("a", None, &bad)];
    write_due(&mut tracker, &node, now);
    write_due(&mut tracker, &node[..0], now);
    assert!(tracker.nodes.is_empty());
    assert_eq!(write_due(&mut tracker, &node, now), names(["a"], 0));
}

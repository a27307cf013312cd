//! What is said of a migration.

use super::*;
use crate::decide::causes::Cause::PairMissing;
use crate::decide::continuity::timeline::{PodSight, Sight, Timeline};
use crate::domain::{MigrationEnd, UnixTime};

const CREATED: UnixTime = Duration::from_secs(1_000_000);

fn at(millis: u64) -> UnixTime {
    CREATED + Duration::from_millis(millis)
}

/// A migration from `a` to `b` that has ended.
fn mk_observed() -> Observed {
    let mut timeline = Timeline::new(Some(CREATED), at(500));
    let bound = Sight {
        created: Some(CREATED),
        source: Some("a"),
        pod: Some(PodSight {
            node: Some("b"),
            created: Some(at(1_000)),
            bound: Some(at(2_000)),
        }),
        ..Sight::default()
    };
    timeline.see(&bound, at(2_500));
    let message = "1 of 1 ports do not name the target's chassis".to_owned();
    timeline.find(PairMissing, message, at(7_000));
    let done = Sight {
        domain_ready: Some(at(9_000)),
        end: Some(MigrationEnd::Succeeded),
        ..bound
    };
    timeline.see(&done, at(9_750));
    Observed {
        namespace: "default".to_owned(),
        name: "m".to_owned(),
        uid: "1".to_owned(),
        vm: "web".to_owned(),
        vmi_uid: None,
        timeline,
    }
}

fn told(news: News) -> Told {
    Told::Migration(Box::new(mk_observed()), news)
}

#[test]
fn an_event_is_about_the_migration_and_says_what_to_do() {
    let finding = mk_observed().timeline.findings.remove(0);
    let note = note(&told(News::Found(finding))).unwrap();
    let event = serde_json::to_value(event(&note, Timestamp::UNIX_EPOCH)).unwrap();
    let row = PairMissing.row();
    assert_eq!(
        event,
        serde_json::json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": "m-", "namespace": "default"},
            "involvedObject": {
                "apiVersion": "kubevirt.io/v1",
                "kind": "VirtualMachineInstanceMigration",
                "name": "m",
                "namespace": "default",
                "uid": "1",
            },
            "type": "Warning",
            "reason": "PairMissing",
            "message": format!("BRT0307 {}: 1 of 1 ports do not name the target's chassis. {}", row.text, row.remedy),
            "source": {"component": "berth"},
            "firstTimestamp": "1970-01-01T00:00:00Z",
            "lastTimestamp": "1970-01-01T00:00:00Z",
            "count": 1,
        })
    );
}

#[test]
fn the_end_of_a_migration_is_said_in_one_line_where_its_network_was_seen() {
    let says = |outcome| {
        let note = note(&told(News::Ended(outcome)))?;
        Some((note.reason, note.is_warning, note.message))
    };
    let line = "a to b: target pod made 1.0 s, target pod bound 2.0 s, VM on the target 9.0 s, done 9.8 s; BRT0307";
    let expect = |reason: &str| Some((reason.to_owned(), false, line.to_owned()));
    assert_eq!(says(Outcome::Confirmed), expect("CutoverConfirmed"));
    assert_eq!(says(Outcome::Unconfirmed), expect("CutoverUnconfirmed"));
    assert_eq!(says(Outcome::Unobserved), None);
    assert_eq!(says(Outcome::Failed), None);
    assert_eq!(note(&told(News::Reached(Stage::Bound, None))), None);
}

#[test]
fn a_pair_that_was_left_is_said_of_the_vmi_where_there_is_one() {
    let stale = |uid: Option<&str>| Told::Stale {
        vm: "default/web".to_owned(),
        vmi_uid: uid.map(str::to_owned),
        message: "two chassis".to_owned(),
    };
    let note_of = |told| {
        let note = note(&told)?;
        Some((note.kind, note.namespace, note.name, note.uid, note.reason))
    };
    let owned = str::to_owned;
    assert_eq!(
        note_of(stale(Some("v"))),
        Some((
            "VirtualMachineInstance",
            owned("default"),
            owned("web"),
            owned("v"),
            owned("PairStale")
        ))
    );
    assert_eq!(note_of(stale(None)), None);
}

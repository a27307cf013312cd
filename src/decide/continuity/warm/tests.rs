//! What needs come to, one by one and in any number.

use super::*;

const LIMITS: Limits = Limits {
    max_concurrent: 2,
    timeout: 20,
    mark_after: 60,
    nb_cfg: 9,
};
const NOW: u64 = 1_000_000;

fn need(vpc: &str, chassis: &str) -> Need {
    Need {
        place: Place {
            vpc: vpc.to_owned(),
            chassis: chassis.to_owned(),
        },
        switch: format!("{vpc}-switch"),
    }
}

fn port(vpc: &str, chassis: &str, record: Option<(u64, i64)>) -> WarmPort {
    let need = need(vpc, chassis);
    WarmPort {
        name: name(&need.switch, chassis),
        place: Some(need.place),
        record: record.map(|(used, nb_cfg)| WarmRecord { used, nb_cfg }),
    }
}

#[test]
fn needs_of_one_place_share_one_port() {
    let needs = [need("v", "a"), need("v", "a"), need("v", "b")];
    let plan = plan(&needs, &[], |_| None, NOW, LIMITS);
    assert_eq!(plan.answers, [Answer::AtThis; 3]);
    assert_eq!(plan.create, [need("v", "a"), need("v", "b")]);
    assert!(plan.asks() && plan.mark.is_empty());
}

#[test]
fn a_port_that_is_there_is_used_again_and_marked_after_a_while() {
    let known = name("v-switch", "a");
    for (record, answer, mark) in [
        (Some((NOW, 7)), Answer::At(7), None),
        (Some((NOW - 59, 7)), Answer::At(7), None),
        (Some((NOW - 60, 7)), Answer::At(7), Some(Some(7))),
        // Its record is lost: its chassis is asked anew.
        (None, Answer::AtThis, Some(None)),
        // The database counts from the beginning again.
        (Some((NOW, 10)), Answer::AtThis, Some(None)),
    ] {
        let ports = [port("v", "a", record)];
        let plan = plan(&[need("v", "a")], &ports, |_| Some(7), NOW, LIMITS);
        let mark: Vec<_> = mark
            .map(|nb_cfg| (known.clone(), nb_cfg))
            .into_iter()
            .collect();
        assert_eq!(
            (plan.answers, plan.create, plan.mark),
            (vec![answer], vec![], mark)
        );
    }
    // A port whose place is not known is found by its name.
    let lost = WarmPort {
        place: None,
        ..port("v", "a", Some((NOW, 7)))
    };
    let plan = plan(&[need("v", "a")], &[lost], |_| None, NOW, LIMITS);
    assert_eq!((plan.answers, plan.create), (vec![Answer::At(7)], vec![]));
}

#[test]
fn no_more_ports_are_made_than_may_be_under_way() {
    let needs = [need("v", "a"), need("w", "a"), need("x", "a")];
    for (ports, reached, expect) in [
        (vec![], None, 2),
        (vec![port("y", "b", Some((NOW - 1, 7)))], Some(6), 1),
        (vec![port("y", "b", Some((NOW - 1, 7)))], None, 1),
        (vec![port("y", "b", Some((NOW - 1, 7)))], Some(7), 2),
        // A chassis that never answers holds its place for a while only.
        (vec![port("y", "b", Some((NOW - 21, 7)))], Some(6), 2),
    ] {
        let plan = plan(&needs, &ports, |_| reached, NOW, LIMITS);
        assert_eq!(plan.create, needs[..expect]);
        let later = plan
            .answers
            .iter()
            .filter(|answer| **answer == Answer::Later);
        assert_eq!(later.count(), needs.len() - expect);
    }
}

//! What is left over at some moments of a warm port's life.

use super::*;

const KEEP: Duration = Duration::from_mins(10);
const NOW: u64 = 1_000_000;

fn records(warm: &[(&str, u64)]) -> Records {
    let warm = warm.iter().map(|(name, used)| {
        let record = WarmRecord {
            used: *used,
            nb_cfg: 1,
        };
        ((*name).to_owned(), record)
    });
    Records {
        warm: warm.collect(),
        ..Records::default()
    }
}

fn made(ports: &[(&str, &str)], groups: &[&str]) -> Made {
    let ports = ports
        .iter()
        .map(|(name, chassis)| ((*name).to_owned(), (*chassis).to_owned()));
    Made {
        ports: ports.collect(),
        groups: groups.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn a_port_is_left_over_after_keep_unless_a_migration_arrives_at_its_chassis() {
    for (used, arriving, expect) in [
        (Some(NOW), "-", false),
        (Some(NOW - 599), "-", false),
        (Some(NOW - 600), "-", true),
        (Some(NOW - 600), "c", false),
        (Some(NOW - 600), "d", true),
        (Some(NOW + 599), "-", false),
        (Some(NOW + 600), "-", true),
        (None, "-", true),
        (None, "c", false),
    ] {
        let known: Vec<_> = used.into_iter().map(|used| ("p", used)).collect();
        let left = leftovers(
            &made(&[("p", "c")], &["p"]),
            &records(&known),
            NOW,
            KEEP,
            |chassis| chassis == arriving,
        );
        let ports = if expect { vec!["p".to_owned()] } else { vec![] };
        assert_eq!(
            left,
            Leftovers {
                ports,
                ..Leftovers::default()
            },
            "{used:?} {arriving}"
        );
    }
}

#[test]
fn a_group_and_a_record_are_left_over_once_their_port_is_gone_and_a_damaged_record_at_once() {
    let damaged = Records {
        damaged: vec!["berth-pair:x".to_owned()],
        ..records(&[("p", NOW), ("r", NOW)])
    };
    let left = leftovers(
        &made(&[("p", "c")], &["p", "q"]),
        &damaged,
        NOW,
        KEEP,
        |_| true,
    );
    assert_eq!(
        left,
        Leftovers {
            ports: vec![],
            groups: vec!["q".to_owned()],
            records: vec![warm_key("r"), "berth-pair:x".to_owned()],
        }
    );
    assert!(leftovers(&Made::default(), &Records::default(), NOW, KEEP, |_| false).is_empty());
}

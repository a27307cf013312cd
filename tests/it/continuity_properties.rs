//! What the planner of warm ports does with needs in any number.

use std::collections::BTreeSet;

use berth::decide::continuity::record::WarmRecord;
use berth::decide::continuity::warm::{Answer, Limits, Need, Place, WarmPort, name, plan};
use proptest::prelude::*;

const NOW: u64 = 1_000_000;

fn need(vpc: u8, chassis: u8) -> Need {
    Need {
        place: Place {
            vpc: format!("v{vpc}"),
            chassis: format!("c{chassis}"),
        },
        switch: format!("s{vpc}"),
    }
}

fn port(vpc: u8, chassis: u8, record: Option<(u64, i64)>) -> WarmPort {
    let need = need(vpc, chassis);
    WarmPort {
        name: name(&need.switch, &need.place.chassis),
        place: Some(need.place),
        record: record.map(|(ago, nb_cfg)| WarmRecord {
            used: NOW - ago,
            nb_cfg,
        }),
    }
}

proptest! {
    #[test]
    fn every_need_is_answered_and_no_place_gets_two_ports(
        needs in prop::collection::vec((0..4_u8, 0..3_u8), 0..20),
        there in prop::collection::btree_map(
            (0..4_u8, 0..3_u8),
            prop::option::of((0..200_u64, 0..9_i64)),
            0..6,
        ),
        reached in 0..9_i64,
        max_concurrent in 0..4_usize,
    ) {
        let needs: Vec<_> = needs.iter().map(|(vpc, chassis)| need(*vpc, *chassis)).collect();
        let ports = there.iter().map(|((vpc, chassis), record)| port(*vpc, *chassis, *record));
        let ports: Vec<_> = ports.collect();
        let limits = Limits { max_concurrent, timeout: 20, mark_after: 60, nb_cfg: 9 };
        let plan = plan(&needs, &ports, |_| Some(reached), NOW, limits);
        prop_assert_eq!(plan.answers.len(), needs.len());
        prop_assert!(plan.create.len() <= max_concurrent);
        let created: BTreeSet<_> = plan.create.iter().map(|need| &need.place).collect();
        prop_assert_eq!(created.len(), plan.create.len());
        let there: BTreeSet<_> = ports.iter().filter_map(|port| port.place.as_ref()).collect();
        for (need, answer) in needs.iter().zip(&plan.answers) {
            let is_there = there.contains(&need.place);
            let is_made = !is_there && *answer == Answer::AtThis;
            prop_assert_eq!(created.contains(&need.place), is_made);
            prop_assert!(!is_there || *answer != Answer::Later);
        }
    }
}

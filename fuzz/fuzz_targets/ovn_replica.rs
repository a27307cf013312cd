//! Any changes of a database: its replica, told of them in either form, is what a fresh copy would
//! be. Bytes that begin a JSON object are updates themselves: they are taken as a whole or not at all.
#![no_main]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use berth::ovn::replica::{Replica, Row};
use berth::ovn::schema::Plan;
use berth::ovn::value::Uuid;
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/it/ovn_model.rs"]
mod ovn_model;

use ovn_model::{Choices, Database, Step, WANTED, plan};

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    match std::str::from_utf8(data) {
        Ok(text) if text.starts_with('{') => updates(text),
        _ => changes(data),
    }
});

fn updates(text: &str) {
    let mut replica = fresh();
    for apply in [
        Replica::update,
        Replica::update2,
        Replica::reset,
        Replica::reset2,
    ] {
        let before = rows(&replica);
        if apply(&mut replica, text).is_err() {
            assert_eq!(rows(&replica), before);
        }
    }
}

fn changes(data: &[u8]) {
    let mut choices = Choices(data);
    let (mut database, mut told) = (Database::default(), Database::default());
    let (mut replica, mut first) = (fresh(), fresh());
    while choices.are_left() {
        let step = database.transact(&mut choices);
        if step == Step::Lost {
            let all = [database.initial(), database.initial1()].map(|all| all.to_string());
            replica.reset2(&all[0]).expect("all of it");
            first.reset(&all[1]).expect("all of it");
        } else {
            let changes = [database.update2(&told), database.update1(&told)];
            let changes = changes.map(|change| change.to_string());
            replica.update2(&changes[0]).expect("a change");
            first.update(&changes[1]).expect("a change");
        }
        told = database.clone();
        assert_eq!(rows(&replica), rows(&first));
    }
    let mut copy = fresh();
    copy.reset2(&database.initial().to_string())
        .expect("all of it");
    assert_eq!(rows(&replica), rows(&copy));
}

fn fresh() -> Replica {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    let mut replica = Replica::default();
    replica.plan(PLAN.get_or_init(plan).clone());
    replica
}

fn rows(replica: &Replica) -> BTreeMap<(&'static str, Uuid), Row> {
    let tables = WANTED.iter().map(|wanted| wanted.table);
    tables
        .flat_map(|table| {
            replica
                .rows(table)
                .map(move |(id, row)| ((table, id), row.clone()))
        })
        .collect()
}

//! Any changes of a database: its cache, told of them in either form, is what a fresh copy would
//! be. Bytes that begin a JSON object are updates themselves: they are taken as a whole or not at all.
#![no_main]

use std::collections::BTreeMap;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use ovsdb::{MonitorPlan, Row, TableCache, UpdateFormat, Uuid};

#[path = "../../crates/ovsdb/tests/it/model.rs"]
mod model;

use model::{Choices, Database, Step, TABLES, plan};

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    match std::str::from_utf8(data) {
        Ok(text) if text.starts_with('{') => updates(text),
        _ => changes(data),
    }
});

fn updates(text: &str) {
    let mut cache = fresh();
    for format in [UpdateFormat::V1, UpdateFormat::V2] {
        for apply in [TableCache::update, TableCache::replace] {
            let before = rows(&cache);
            if apply(&mut cache, format, text).is_err() {
                assert_eq!(rows(&cache), before);
            }
        }
    }
}

fn changes(data: &[u8]) {
    let mut choices = Choices(data);
    let (mut database, mut told) = (Database::default(), Database::default());
    let (mut cache, mut first) = (fresh(), fresh());
    while choices.are_left() {
        let step = database.transact(&mut choices);
        if step == Step::Lost {
            let all = [database.initial(), database.initial1()].map(|all| all.to_string());
            cache.replace(UpdateFormat::V2, &all[0]).expect("all of it");
            first.replace(UpdateFormat::V1, &all[1]).expect("all of it");
        } else {
            let changes = [database.update2(&told), database.update1(&told)];
            let changes = changes.map(|change| change.to_string());
            cache
                .update(UpdateFormat::V2, &changes[0])
                .expect("a change");
            first
                .update(UpdateFormat::V1, &changes[1])
                .expect("a change");
        }
        told = database.clone();
        assert_eq!(rows(&cache), rows(&first));
    }
    let mut copy = fresh();
    copy.replace(UpdateFormat::V2, &database.initial().to_string())
        .expect("all of it");
    assert_eq!(rows(&cache), rows(&copy));
}

fn fresh() -> TableCache {
    static PLAN: OnceLock<MonitorPlan> = OnceLock::new();
    let mut cache = TableCache::default();
    cache.plan(PLAN.get_or_init(plan).clone());
    cache
}

fn rows(cache: &TableCache) -> BTreeMap<(&'static str, Uuid), Row> {
    let tables = TABLES.iter().map(|wanted| wanted.table);
    tables
        .flat_map(|table| {
            cache
                .rows(table)
                .map(move |(id, row)| ((table, id), row.clone()))
        })
        .collect()
}

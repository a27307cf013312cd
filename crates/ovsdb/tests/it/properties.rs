//! Whatever happens to a database, its cache is what a fresh copy would be.

use std::collections::BTreeMap;

use ovsdb::frame::Framer;
use ovsdb::{Change, Row, TableCache, UpdateFormat, Uuid};
use proptest::prelude::*;

use crate::model::{Choices, Database, Step, TABLES, plan};

type Rows = BTreeMap<(&'static str, Uuid), Row>;

fn rows_of(cache: &TableCache) -> Rows {
    let tables = TABLES.iter().map(|wanted| wanted.table);
    tables
        .flat_map(|table| {
            cache
                .rows(table)
                .map(move |(id, row)| ((table, id), row.clone()))
        })
        .collect()
}

fn mk_cache() -> TableCache {
    let mut cache = TableCache::default();
    cache.plan(plan());
    cache
}

/// What somebody knows who is told of changes only.
fn hear(known: &mut Rows, changes: Vec<Change>) {
    for Change { table, id, row } in changes {
        match row {
            Some(row) => known.insert((table, id), row),
            None => known.remove(&(table, id)),
        };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_cache_equals_a_fresh_copy_after_any_changes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut choices = Choices(&bytes);
        let (mut database, mut told) = (Database::default(), Database::default());
        let (mut cache, mut first) = (mk_cache(), mk_cache());
        let (mut known, mut known_of_first) = (Rows::new(), Rows::new());
        while choices.are_left() {
            let step = database.transact(&mut choices);
            let (changes, changes_of_first) = if step == Step::Lost {
                (
                    cache.replace(UpdateFormat::V2, &database.initial().to_string()).unwrap(),
                    first.replace(UpdateFormat::V1, &database.initial1().to_string()).unwrap(),
                )
            } else {
                (
                    cache.update(UpdateFormat::V2, &database.update2(&told).to_string()).unwrap(),
                    first.update(UpdateFormat::V1, &database.update1(&told).to_string()).unwrap(),
                )
            };
            told = database.clone();
            let mut fresh = mk_cache();
            fresh.replace(UpdateFormat::V2, &database.initial().to_string()).unwrap();
            let expect = rows_of(&fresh);
            hear(&mut known, changes);
            hear(&mut known_of_first, changes_of_first);
            prop_assert_eq!(&rows_of(&cache), &expect);
            prop_assert_eq!(&rows_of(&first), &expect);
            prop_assert_eq!(&known, &expect);
            prop_assert_eq!(&known_of_first, &expect);
        }
    }

    #[test]
    fn messages_are_the_same_however_the_stream_is_cut(
        bytes in prop::collection::vec(any::<u8>(), 0..100),
        cuts in prop::collection::vec(1usize..50, 1..20),
    ) {
        let mut choices = Choices(&bytes);
        let mut database = Database::default();
        let mut messages = Vec::new();
        while choices.are_left() {
            database.transact(&mut choices);
            messages.push(database.initial().to_string());
        }
        let stream = messages.join("\n");
        let mut rest = stream.as_bytes();
        let mut framer = Framer::new(1 << 20);
        let mut found = Vec::new();
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(*cut));
            rest = after;
            framer.push(piece);
            while let Some(message) = framer.next_message().unwrap() {
                found.push(String::from_utf8(message.to_vec()).unwrap());
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found, messages);
    }
}

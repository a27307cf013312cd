//! Whatever happens to a database, the chassis are what a fresh reader would see.

use std::time::{Duration, Instant};

use berth::ovn::chassis::{self, ChassisIndex};
use berth::ovn::view::ChassisView;
use ovsdb::{MonitorPlan, Schema, TableCache, UpdateFormat};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::ovn_lab::judge_at;

/// Bytes that decide what happens; after the last comes zero.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    /// A number below `limit`.
    fn below(&mut self, limit: u8) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first % limit
    }

    fn are_left(&self) -> bool {
        !self.0.is_empty()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn ovn_chassis_are_what_they_are_to_somebody_who_just_came(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let mut choices = Choices(&bytes);
        let now = Instant::now();
        let mut tables = json!({});
        let mut replica = chassis_replica();
        let mut index = ChassisIndex::new(Duration::ZERO);
        index.synced(&[], &[], now);
        while choices.are_left() {
            for _ in 0..=choices.below(3) {
                change_a_row(&mut tables, &mut choices);
            }
            let all = tables.to_string();
            let changes = replica.replace(UpdateFormat::V2, &all).unwrap();
            index.changed(&changes, now);

            let mut fresh = ChassisIndex::new(Duration::ZERO);
            fresh.synced(&chassis_replica().replace(UpdateFormat::V2, &all).unwrap(), &[], now);
            prop_assert_eq!(look(&index.view(), now), look(&fresh.view(), now), "{}", all);
        }
    }
}

/// A replica of the four tables that tell of chassis.
pub(crate) fn chassis_replica() -> TableCache {
    let schema = json!({"tables": {
        "SB_Global": {"columns": {
            "nb_cfg": {"type": "integer"},
            "options": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}},
        "Chassis": {"columns": {
            "name": {"type": "string"}, "hostname": {"type": "string"},
            "encaps": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
            "other_config": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}}},
        "Chassis_Private": {"columns": {"name": {"type": "string"}, "nb_cfg": {"type": "integer"}}},
        "Encap": {"columns": {"ip": {"type": "string"}}},
    }});
    let mut replica = TableCache::default();
    let schema = Schema::parse(&schema.to_string()).unwrap();
    replica.plan(MonitorPlan::new(&chassis::WANTED, &schema));
    replica
}

/// Names are one of three or none, hosts one of two, and nothing keeps anybody from being anything.
fn change_a_row(tables: &mut Value, choices: &mut Choices<'_>) {
    let number = choices.below(4);
    let uuid =
        |table: u8, number: u8| format!("00000000-0000-4000-8000-00000000{table:02}{number:02}");
    let name = ["c0", "c1", "c2", ""][usize::from(choices.below(4))];
    let (table, at, row) = match choices.below(4) {
        0 => {
            let off = ["true", "false"][usize::from(choices.below(8) == 7)];
            let options = json!(["map", [["enable_chassis_nb_cfg_update", off]]]);
            (
                "SB_Global",
                0,
                json!({"nb_cfg": choices.below(3), "options": options}),
            )
        }
        1 => {
            let encaps: Vec<_> = (0..choices.below(3))
                .map(|_| json!(["uuid", uuid(3, choices.below(4))]))
                .collect();
            let remote = if choices.below(5) == 0 {
                "true"
            } else {
                "false"
            };
            let host = format!("h{}", choices.below(2));
            let config = json!(["map", [["is-remote", remote]]]);
            (
                "Chassis",
                1,
                json!({"name": name, "hostname": host, "encaps": ["set", encaps], "other_config": config}),
            )
        }
        2 => (
            "Chassis_Private",
            2,
            json!({"name": name, "nb_cfg": choices.below(3)}),
        ),
        _ => {
            let ip = ["", "10.0.0.1"][usize::from(choices.below(2))];
            ("Encap", 3, json!({ "ip": ip }))
        }
    };
    let id = uuid(at, if at == 0 { 0 } else { number });
    if choices.below(4) == 0 {
        if let Some(rows) = tables[table].as_object_mut() {
            rows.remove(&id);
        }
    } else {
        tables[table][id] = json!({ "initial": row });
    }
    if tables[table].is_null() {
        tables.as_object_mut().unwrap().remove(table);
    }
}

/// All that a view tells, but for times.
fn look(view: &ChassisView, now: Instant) -> Vec<String> {
    let mut seen = vec![format!("{:?} {}", view.nb_cfg(), view.count())];
    for host in ["h0", "h1"] {
        seen.push(format!(
            "{host} {:?}",
            view.on_host(host).collect::<Vec<_>>()
        ));
        for name in ["c0", "c1", "c2"] {
            // Whether it is behind at all shows where nothing is allowed, a while later.
            let later = now + Duration::from_secs(1);
            let rejections = judge_at(view, host, name, later, Duration::ZERO);
            seen.push(format!("{host} {name} {rejections:?}"));
        }
    }
    seen
}

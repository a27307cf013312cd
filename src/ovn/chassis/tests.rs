//! Rows of four tables, and what they make of a chassis.

use ovsdb::{MonitorPlan, Schema, TableCache, UpdateFormat};
use serde_json::{Value, json};

use super::*;
use crate::decide::evaluate::{Candidate, Evaluator};
use crate::decide::policy::{ClusterCapabilities, Policy};
use crate::domain::{Agents, ChassisClaim, NodeFacts};
use crate::ovn::view::SETTLED;

const ALLOWED: Duration = Duration::from_secs(15);

/// A database with its index, and a clock of its own.
struct Db {
    replica: TableCache,
    index: ChassisIndex,
    now: Instant,
}

impl Db {
    /// A database with these rows, just connected.
    fn new(rows: &Value) -> Self {
        Self::lacking(&[], rows)
    }

    /// One without some columns.
    fn lacking(columns: &[(&str, &str)], rows: &Value) -> Self {
        let text = || json!({"type": "string"});
        let integer = || json!({"type": "integer"});
        let many = |key: &str| json!({"type": {"key": key, "min": 0, "max": "unlimited"}});
        let map =
            || json!({"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}});
        let mut schema = json!({
            "SB_Global": {"columns": {"nb_cfg": integer(), "options": map()}},
            "Chassis": {"columns": {"name": text(), "hostname": text(), "encaps": many("uuid"), "other_config": map()}},
            "Chassis_Private": {"columns": {"name": text(), "nb_cfg": integer()}},
            "Encap": {"columns": {"ip": text()}},
        });
        for (table, column) in columns {
            let columns = schema[table]["columns"].as_object_mut().unwrap();
            assert!(columns.remove(*column).is_some());
        }
        let schema = json!({ "tables": schema }).to_string();
        let mut db = Self {
            replica: TableCache::default(),
            index: ChassisIndex::new(ALLOWED),
            now: Instant::now(),
        };
        db.replica
            .plan(MonitorPlan::new(&WANTED, &Schema::parse(&schema).unwrap()));
        db.sync(rows);
        db
    }

    /// All that is there, after a connection.
    fn sync(&mut self, rows: &Value) {
        let changes = self
            .replica
            .replace(UpdateFormat::V2, &rows.to_string())
            .unwrap();
        let missing = self.replica.planned().missing.clone();
        self.index.synced(&changes, &missing, self.now);
    }

    fn update(&mut self, rows: &Value) {
        let changes = self
            .replica
            .update(UpdateFormat::V2, &rows.to_string())
            .unwrap();
        self.index.changed(&changes, self.now);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn bump(&mut self, nb_cfg: i64) {
        self.update(&json!({"SB_Global": {id(0): {"modify": {"nb_cfg": nb_cfg}}}}));
    }

    fn answer(&mut self, number: u8, nb_cfg: i64) {
        self.update(
            &json!({"Chassis_Private": {id(number + 0x20): {"modify": {"nb_cfg": nb_cfg}}}}),
        );
    }

    /// What is wrong with the chassis that a node claims.
    fn judge(&self, node: &str, chassis: &str) -> Vec<&'static str> {
        rejections(&self.index.view(), node, chassis, self.now)
    }

    fn lag(&self, chassis: &str) -> Option<u64> {
        let view = self.index.view();
        let lag = view
            .chassis(chassis)
            .and_then(|row| view.lag(row, self.now));
        lag.map(|lag| lag.time.as_secs())
    }

    fn response(&self, chassis: &str) -> Option<(u64, u64)> {
        let view = self.index.view();
        let Response { last, mean } = view.response(view.chassis(chassis)?)?;
        Some((last.as_secs(), mean.as_secs()))
    }
}

/// The checks that reject a node which claims a chassis.
fn rejections(view: &ChassisView, node: &str, chassis: &str, now: Instant) -> Vec<&'static str> {
    let policy = Policy {
        allowed_lag: ALLOWED,
        ..Policy::default()
    };
    let cluster = ClusterCapabilities {
        southbound_counts: true,
        lag_reported: view.reports_lag(),
        ..ClusterCapabilities::default()
    };
    let candidate = Candidate {
        name: node,
        facts: &NodeFacts {
            chassis: ChassisClaim::Registered(chassis.into()),
            ..NodeFacts::default()
        },
        agents: Agents::default(),
        southbound: view.southbound(node, chassis, now),
    };
    let verdict = Evaluator::for_any_vm(&policy, cluster).evaluate(&candidate);
    verdict.failed.iter().map(Check::name).collect()
}

fn id(number: u8) -> String {
    format!("00000000-0000-4000-8000-0000000000{number:02x}")
}

fn rows(parts: impl IntoIterator<Item = Value>) -> Value {
    let mut all = json!({});
    for part in parts {
        for (table, rows) in part.as_object().unwrap() {
            for (id, row) in rows.as_object().unwrap() {
                all[table][id] = row.clone();
            }
        }
    }
    all
}

fn global(nb_cfg: i64) -> Value {
    json!({"SB_Global": {id(0): {"initial": {"nb_cfg": nb_cfg}}}})
}

/// The rows of a chassis `c{number}` on a host.
fn chassis(number: u8, hostname: &str, nb_cfg: i64) -> Value {
    let (row, encap, private) = (id(number), id(number + 0x10), id(number + 0x20));
    let name = format!("c{number}");
    json!({
        "Chassis": {row: {"insert": {"name": name, "hostname": hostname, "encaps": ["uuid", encap]}}},
        "Encap": {encap: {"insert": {"ip": "10.0.0.1"}}},
        "Chassis_Private": {private: {"insert": {"name": name, "nb_cfg": nb_cfg}}},
    })
}

fn two() -> Db {
    Db::new(&rows([global(5), chassis(1, "a", 5), chassis(2, "b", 5)]))
}

#[test]
fn a_chassis_in_order_has_no_problem_and_one_that_is_not_there_is_not_registered() {
    let mut db = two();
    assert_eq!(db.judge("a", "c1"), [""; 0]);
    assert_eq!(db.judge("a", "c3"), ["chassis_not_registered"]);
    let gone = json!({"Chassis": {id(1): {"delete": null}}});
    db.update(&gone);
    assert_eq!(db.judge("a", "c1"), ["chassis_not_registered"]);
    assert_eq!(db.index.view().count(), 1);
    // Whatever else stays of it makes no chassis, and nothing is left when that goes as well.
    let rest = json!({"Encap": {id(0x11): {"delete": null}}, "Chassis_Private": {id(0x21): {"delete": null}}});
    db.update(&rest);
    assert_eq!(db.index.rows_of.len(), 1);
    assert_eq!(db.index.users.len(), 1);
    assert_eq!(db.judge("b", "c2"), [""; 0]);
}

#[test]
fn a_chassis_of_a_name_that_no_node_can_claim_is_passed_over() {
    let long = "x".repeat(254);
    let longest = "x".repeat(253);
    for (name, count) in [(&*longest, 2), (&*long, 1), ("c1\n", 1), ("c1\u{202e}", 1)] {
        let mut one = chassis(1, "a", 5);
        one["Chassis"][id(1)]["insert"]["name"] = json!(name);
        one["Chassis_Private"][id(0x21)]["insert"]["name"] = json!(name);
        let db = Db::new(&rows([global(5), one, chassis(2, "b", 5)]));
        assert_eq!(db.index.view().count(), count, "{name:?}");
        assert_eq!(db.judge("b", "c2"), [""; 0]);
    }
    let hostile = Db::new(&rows([global(5), chassis(1, &long, 5)]));
    assert_eq!(hostile.judge("a", "c1"), ["chassis_identity"]);
    let view = hostile.index.view();
    assert_eq!(view.chassis("c1").unwrap().hostname.as_ref(), "");
}

#[test]
fn no_check_fails_before_the_first_sync() {
    let view = ChassisView::default();
    let rejections = rejections(&view, "a", "c1", Instant::now());
    assert!(rejections.is_empty() && view.judged.is_empty());
}

#[test]
fn a_chassis_belongs_to_one_host() {
    let mut db = two();
    let rename = |hostname: &str| json!({"Chassis": {id(1): {"modify": {"hostname": hostname}}}});
    db.update(&rename("a.example.com"));
    assert_eq!(db.judge("a", "c1"), ["chassis_identity"]);
    db.update(&rename("b"));
    assert_eq!(db.judge("a", "c1"), ["chassis_identity"]);
    assert_eq!(
        db.judge("b", "c2"),
        ["chassis_identity"],
        "two rows claim it"
    );
    let view = db.index.view();
    assert_eq!(view.on_host("b").collect::<Vec<_>>(), ["c1", "c2"]);
    assert_eq!(view.on_host("a").count(), 0);
    db.update(&rename("a"));
    assert_eq!(db.judge("a", "c1"), [""; 0]);
    assert_eq!(db.judge("b", "c2"), [""; 0]);
}

#[test]
fn a_host_that_was_installed_again_has_two_chassis_until_the_old_one_goes() {
    let mut db = two();
    db.update(&chassis(3, "a", 5));
    assert_eq!(db.judge("a", "c3"), ["chassis_identity"]);
    assert_eq!(db.judge("a", "c1"), ["chassis_identity"]);
    db.update(&json!({"Chassis": {id(1): {"delete": null}}}));
    assert_eq!(db.judge("a", "c3"), [""; 0]);
    assert_eq!(db.judge("a", "c1"), ["chassis_not_registered"]);
}

#[test]
fn a_chassis_under_another_name_is_another_chassis() {
    let mut db = two();
    db.update(&json!({"Chassis": {id(1): {"modify": {"name": "c9"}}}}));
    assert_eq!(db.judge("a", "c1"), ["chassis_not_registered"]);
    assert_eq!(db.judge("a", "c9"), [""; 0]);
    // Another row takes the name over in the same moment.
    db.update(&rows([
        json!({"Chassis": {id(1): {"delete": null}}}),
        json!({"Chassis": {id(9): {"insert": {"name": "c9", "hostname": "a"}}}}),
    ]));
    assert_eq!(db.judge("a", "c9"), ["chassis_no_tunnel"]);
    assert_eq!(db.index.view().on_host("a").collect::<Vec<_>>(), ["c9"]);
}

/// The rows of a chassis of another zone, as ovn-ic makes them.
fn remote(number: u8, hostname: &str) -> Value {
    let mut rows = chassis(number, hostname, 0);
    rows["Chassis"][id(number)]["insert"]["other_config"] = json!(["map", [["is-remote", "true"]]]);
    rows.as_object_mut().unwrap().remove("Chassis_Private");
    rows
}

#[test]
fn a_node_that_claims_a_remote_chassis_has_no_chassis_of_its_own() {
    for (value, expect) in [
        ("true", &["chassis_identity"][..]),
        ("TRUE", &["chassis_identity"]),
        ("false", &[]),
        ("yes", &[]),
        ("", &[]),
    ] {
        let mut db = two();
        let config = json!(["map", [["is-remote", value]]]);
        db.update(&json!({"Chassis": {id(1): {"modify": {"other_config": config}}}}));
        assert_eq!(db.judge("a", "c1"), expect, "{value:?}");
        let is_remote = db.index.view().chassis("c1").unwrap().remote;
        assert_eq!(is_remote, !expect.is_empty());
        assert_eq!(db.judge("b", "c2"), [""; 0]);
    }
}

#[test]
fn a_remote_chassis_is_a_rival_where_ovn_finds_it_first_under_the_name_of_the_host() {
    for (number, expect) in [(3, &["chassis_identity"][..]), (6, &[])] {
        let mut db = Db::new(&rows([global(5), chassis(5, "a", 5), remote(number, "a")]));
        assert_eq!(db.judge("a", "c5"), expect, "{number}");
        // Of its own zone it is one in any order.
        db.update(&json!({"Chassis": {id(number): {"modify": {
            "other_config": ["map", [["is-remote", "true"]]]}}}}));
        assert_eq!(db.judge("a", "c5"), ["chassis_identity"], "{number}");
        db.update(&json!({"Chassis": {id(number): {"delete": null}}}));
        assert_eq!(db.judge("a", "c5"), [""; 0], "{number}");
    }
}

/// Sets or takes away what `SB_Global.options` says of `enable_chassis_nb_cfg_update`.
fn updates(value: &str) -> Value {
    let option = json!([
        "map",
        [["enable_chassis_nb_cfg_update", value], ["mac_prefix", "x"]]
    ]);
    json!({"SB_Global": {id(0): {"modify": {"options": option}}}})
}

#[test]
fn without_updates_of_nb_cfg_no_chassis_is_behind() {
    for (value, off) in [
        ("false", true),
        ("False", true),
        ("true", false),
        ("0", false),
        ("no", false),
        ("", false),
    ] {
        let mut db = two();
        db.update(&updates(value));
        db.bump(6);
        db.wait(20);
        let expect = if off {
            &[][..]
        } else {
            &["chassis_not_responding"]
        };
        assert_eq!(db.judge("a", "c1"), expect, "{value:?}");
        assert_eq!(db.lag("c1"), (!off).then_some(20), "{value:?}");
        assert_eq!(db.index.view().reports_lag(), !off, "{value:?}");
    }
}

#[test]
fn with_updates_of_nb_cfg_again_every_chassis_has_all_the_time_that_is_allowed() {
    let mut db = two();
    db.bump(6);
    db.wait(4);
    db.answer(1, 6);
    assert_eq!(db.response("c1"), Some((4, 4)));
    db.update(&updates("false"));
    assert_eq!(db.response("c1"), None, "the earlier response is outdated");
    db.bump(7);
    db.wait(3600);
    // Taken away, as a difference of the map.
    db.update(&updates("false"));
    assert_eq!((db.lag("c1"), db.lag("c2")), (Some(0), Some(0)));
    db.wait(2);
    db.answer(1, 7);
    assert_eq!(db.lag("c1"), None);
    assert_eq!(
        db.response("c1"),
        Some((4, 4)),
        "it could not answer before"
    );
    assert_eq!(steady(&db, "c1"), LONG, "and was not away");
    db.wait(14);
    assert_eq!(db.judge("b", "c2"), ["chassis_not_responding"]);
    // A new question is timed as ever.
    db.bump(8);
    db.wait(12);
    db.answer(1, 8);
    assert_eq!(db.response("c1"), Some((12, 6)));
}

#[test]
fn a_tunnel_needs_an_address() {
    let mut db = two();
    let encap = |ip: &str| json!({"Encap": {id(0x11): {"modify": {"ip": ip}}}});
    db.update(&encap(""));
    assert_eq!(db.judge("a", "c1"), ["chassis_no_tunnel"]);
    db.update(&encap("10.0.0.2"));
    assert_eq!(db.judge("a", "c1"), [""; 0]);
    let none = json!({"Chassis": {id(1): {"modify": {"encaps": ["uuid", id(0x11)]}}}});
    db.update(&none);
    assert_eq!(db.judge("a", "c1"), ["chassis_no_tunnel"]);
    // One of two will do, and it may come before the chassis knows of it.
    db.update(&json!({"Encap": {id(0x1f): {"insert": {"ip": "10.0.0.3"}}}}));
    assert_eq!(db.judge("a", "c1"), ["chassis_no_tunnel"]);
    let both = json!(["set", [["uuid", id(0x11)], ["uuid", id(0x1f)]]]);
    db.update(&json!({"Chassis": {id(1): {"modify": {"encaps": both}}}}));
    db.update(&encap(""));
    assert_eq!(db.judge("a", "c1"), [""; 0]);
}

#[test]
fn a_chassis_is_behind_since_the_first_value_that_it_did_not_answer() {
    let mut db = two();
    db.wait(100);
    assert_eq!(db.lag("c1"), None);
    db.bump(6);
    db.wait(10);
    db.answer(2, 6);
    db.bump(7);
    db.wait(5);
    assert_eq!((db.lag("c1"), db.lag("c2")), (Some(15), Some(5)));
    assert_eq!(db.judge("a", "c1"), [""; 0], "as long as it may be");
    db.wait(1);
    assert_eq!(db.judge("a", "c1"), ["chassis_not_responding"]);
    assert_eq!(db.judge("b", "c2"), [""; 0]);
    // One answer is not all of them.
    db.answer(1, 6);
    assert_eq!(db.lag("c1"), Some(6));
    db.answer(1, 7);
    assert_eq!(db.lag("c1"), None);
    assert_eq!(db.judge("a", "c1"), [""; 0]);
}

#[test]
fn a_lag_that_was_there_before_is_timed_from_the_connection() {
    let mut db = Db::new(&rows([global(5), chassis(1, "a", 2)]));
    assert_eq!(db.lag("c1"), Some(0));
    db.wait(16);
    assert_eq!(db.judge("a", "c1"), ["chassis_not_responding"]);
}

#[test]
fn a_lag_stands_still_without_a_connection() {
    let mut db = two();
    db.bump(6);
    db.wait(10);
    db.index.lost(db.now);
    db.wait(3600);
    assert_eq!(db.lag("c1"), Some(10));
    db.sync(&rows([global(6), chassis(1, "a", 5), chassis(2, "b", 6)]));
    assert_eq!((db.lag("c1"), db.lag("c2")), (Some(10), None));
    db.wait(6);
    assert_eq!(db.judge("a", "c1"), ["chassis_not_responding"]);
    // What was asked and answered in the dark is timed from the light.
    db.index.lost(db.now);
    db.wait(3600);
    db.sync(&rows([global(9), chassis(1, "a", 7), chassis(2, "b", 6)]));
    assert_eq!((db.lag("c1"), db.lag("c2")), (Some(0), Some(0)));
    assert_eq!((db.response("c1"), db.response("c2")), (None, None));
}

#[test]
fn a_new_chassis_has_all_the_time_that_is_allowed() {
    let mut db = two();
    db.wait(100);
    db.bump(6);
    db.wait(100);
    db.update(&chassis(3, "c", 0));
    assert_eq!((db.lag("c3"), db.lag("c1")), (Some(0), Some(100)));
    // One that began again, in the same row or in another.
    db.wait(20);
    db.answer(1, 0);
    assert_eq!((db.lag("c3"), db.lag("c1")), (Some(20), Some(0)));
    db.update(&json!({"Chassis": {id(3): {"delete": null}}}));
    db.wait(1);
    db.update(&json!({"Chassis": {id(4): {"insert": {"name": "c3", "hostname": "c"}}}}));
    assert_eq!(db.lag("c3"), Some(0));
}

#[test]
fn a_chassis_that_never_answered_is_behind() {
    let mut db = two();
    let silent = json!({"Chassis": {id(3): {"insert": {"name": "c3", "hostname": "c"}}}});
    db.update(&silent);
    db.wait(20);
    assert_eq!(
        db.judge("c", "c3"),
        ["chassis_no_tunnel", "chassis_not_responding"]
    );
}

#[test]
fn a_lower_nb_cfg_starts_a_new_history() {
    let mut db = two();
    db.bump(6);
    db.wait(100);
    db.sync(&rows([global(1), chassis(1, "a", 0), chassis(2, "b", 1)]));
    assert_eq!((db.lag("c1"), db.lag("c2")), (Some(0), None));
    assert_eq!(db.index.view().nb_cfg(), Some(1));
    db.sync(&json!({}));
    assert_eq!(db.index.view().nb_cfg(), None);
    assert_eq!(db.judge("a", "c1"), ["chassis_not_registered"]);
}

#[test]
fn a_response_time_is_measured_from_the_value_that_it_answers() {
    let mut db = two();
    db.bump(6);
    db.wait(4);
    db.answer(1, 6);
    assert_eq!(db.response("c1"), Some((4, 4)));
    db.wait(60);
    db.bump(7);
    db.wait(3);
    db.bump(8);
    db.wait(12);
    db.answer(1, 8);
    assert_eq!(db.response("c1"), Some((12, 6)), "(3 * 4 + 12) / 4");
    assert_eq!(db.response("c2"), None);
    // An answer to what was asked before the connection says nothing.
    let mut db = Db::new(&rows([global(5), chassis(1, "a", 2)]));
    db.wait(3);
    db.answer(1, 5);
    assert_eq!((db.response("c1"), db.lag("c1")), (None, None));
}

#[test]
fn a_missing_column_turns_its_checks_off() {
    let nothing_right = rows([
        global(5),
        json!({
            "Chassis": {id(1): {"insert": {"name": "c1", "hostname": "x"}}},
            "Chassis_Private": {id(2): {"insert": {"name": "c1"}}},
        }),
    ]);
    for (columns, c1, other) in [
        (
            &[][..],
            &[
                "chassis_identity",
                "chassis_no_tunnel",
                "chassis_not_responding",
            ][..],
            &["chassis_not_registered"][..],
        ),
        (
            &[("Chassis", "hostname")],
            &["chassis_no_tunnel", "chassis_not_responding"],
            &["chassis_not_registered"],
        ),
        (
            &[("Chassis", "encaps")],
            &["chassis_identity", "chassis_not_responding"],
            &["chassis_not_registered"],
        ),
        (
            &[("Chassis", "other_config"), ("Encap", "ip")],
            &[
                "chassis_identity",
                "chassis_no_tunnel",
                "chassis_not_responding",
            ],
            &["chassis_not_registered"],
        ),
        (
            &[("SB_Global", "nb_cfg")],
            &["chassis_identity", "chassis_no_tunnel"],
            &["chassis_not_registered"],
        ),
        (
            &[("Chassis_Private", "nb_cfg")],
            &["chassis_identity", "chassis_no_tunnel"],
            &["chassis_not_registered"],
        ),
        (
            &[("SB_Global", "options")],
            &[
                "chassis_identity",
                "chassis_no_tunnel",
                "chassis_not_responding",
            ],
            &["chassis_not_registered"],
        ),
        (&[("Chassis", "name")], &[], &[]),
    ] {
        let mut db = Db::lacking(columns, &nothing_right);
        db.wait(20);
        assert_eq!(db.judge("a", "c1"), c1, "{columns:?}");
        assert_eq!(db.judge("a", "c9"), other, "{columns:?}");
    }
    let table = |table| Missing {
        table,
        column: None,
    };
    assert_eq!(
        not_judged(&[table("Chassis")]),
        JUDGED.into_iter().collect()
    );
    assert_eq!(not_judged(&[table("Encap")]), CheckSet::default());
    let responsive = [Check::ChassisNotResponding].into_iter().collect();
    assert_eq!(not_judged(&[table("Chassis_Private")]), responsive);
}

#[test]
fn without_addresses_an_encap_alone_is_a_tunnel() {
    let db = Db::lacking(&[("Encap", "ip")], &rows([global(5), chassis(1, "a", 5)]));
    assert_eq!(db.judge("a", "c1"), [""; 0]);
}

#[test]
fn a_view_is_immutable() {
    let mut db = two();
    let before = db.index.view();
    db.update(&json!({"Chassis": {id(1): {"delete": null}}}));
    db.bump(6);
    db.wait(20);
    assert_eq!((before.count(), before.nb_cfg()), (2, Some(5)));
    assert!(rejections(&before, "a", "c1", db.now).is_empty());
}

/// For how many seconds a chassis has been steady.
fn steady(db: &Db, chassis: &str) -> u64 {
    let view = db.index.view();
    let chassis = view.chassis(chassis).unwrap();
    view.steady_for(chassis, db.now).as_secs()
}

const LONG: u64 = SETTLED.as_secs();

#[test]
fn a_chassis_that_was_always_there_is_steady() {
    let mut db = Db::new(&rows([global(1), chassis(1, "h1", 1)]));
    assert_eq!(steady(&db, "c1"), LONG);
    db.wait(5);
    db.bump(2);
    db.wait(15);
    db.answer(1, 2);
    assert_eq!(steady(&db, "c1"), LONG, "within what is allowed");
}

#[test]
fn a_chassis_that_goes_and_comes_back_has_flapped_until_that_is_long_ago() {
    let mut db = Db::new(&rows([global(1), chassis(1, "h1", 1), chassis(2, "h2", 1)]));
    let [row, encap, private] = [1, 0x11, 0x21].map(id);
    db.update(&json!({"Chassis": {&row: {"delete": null}}, "Encap": {encap: {"delete": null}}, "Chassis_Private": {private: {"delete": null}}}));
    db.wait(30);
    db.update(&json!({"Chassis": {id(0x31): {"insert": {"name": "c1", "hostname": "h1"}}}}));
    assert_eq!((steady(&db, "c1"), steady(&db, "c2")), (0, LONG));
    db.wait(100);
    assert_eq!(steady(&db, "c1"), 100);
    db.update(&json!({"Chassis": {id(0x31): {"modify": {"hostname": "x"}}}}));
    assert_eq!(steady(&db, "c1"), 100, "it is still the same");
    db.wait(LONG);
    assert_eq!(steady(&db, "c1"), LONG);
}

#[test]
fn a_chassis_that_was_gone_for_long_has_not_flapped() {
    let mut db = Db::new(&rows([global(1), chassis(1, "h1", 1)]));
    for (away, expect) in [(LONG + 1, LONG), (LONG, 0)] {
        db.update(&json!({"Chassis": {id(1): {"delete": null}}}));
        db.wait(away);
        db.update(&json!({"Chassis": {id(1): {"insert": {"name": "c1"}}}}));
        assert_eq!(steady(&db, "c1"), expect, "{away}");
        db.wait(2 * LONG);
    }
    assert!(db.index.gone.since.is_empty());
}

#[test]
fn a_chassis_whose_row_is_renewed_or_that_answers_less_than_before_has_flapped() {
    let start = || Db::new(&rows([global(5), chassis(1, "h1", 5)]));
    let mut renewed = start();
    renewed.update(&json!({"Chassis": {
        id(1): {"delete": null},
        id(0x31): {"insert": {"name": "c1", "hostname": "h1"}}}}));
    assert_eq!(steady(&renewed, "c1"), 0);
    let mut restarted = start();
    restarted.answer(1, 0);
    assert_eq!(steady(&restarted, "c1"), 0);
}

#[test]
fn a_chassis_that_answers_later_than_is_allowed_has_flapped() {
    let mut db = Db::new(&rows([global(1), chassis(1, "h1", 1)]));
    db.bump(2);
    db.wait(16);
    assert_eq!(
        steady(&db, "c1"),
        LONG,
        "its lag says enough while it lasts"
    );
    db.answer(1, 2);
    assert_eq!(steady(&db, "c1"), 0);
}

/// A database of so many chassis `c1` on `h1` and so on, all of which answered the last question.
fn many(count: u8) -> Db {
    let all = (1..=count).map(|number| chassis(number, &format!("h{number}"), 5));
    Db::new(&rows(all.chain([global(5)])))
}

/// The chassis of [`many`] that are rejected as not responding.
fn late(db: &Db, count: u8) -> Vec<u8> {
    let is_late = |number: &u8| {
        let [host, name] = ["h", "c"].map(|kind| format!("{kind}{number}"));
        db.judge(&host, &name) == ["chassis_not_responding"]
    };
    (1..=count).filter(is_late).collect()
}

fn stands_still(db: &Db) -> bool {
    db.index.view().is_at_standstill(db.now)
}

#[test]
fn chassis_that_all_fall_behind_together_keep_their_verdicts_until_one_of_them_answers() {
    let mut db = many(3);
    db.bump(6);
    assert!(!stands_still(&db));
    for (seconds, expect) in [(15, false), (1, true), (3600, true)] {
        db.wait(seconds);
        assert_eq!((late(&db, 3), stands_still(&db)), (vec![], expect));
    }
    assert_eq!(db.lag("c1"), Some(3616), "the lag is still reported");
    // Further values and changed rows are not answers.
    db.bump(7);
    db.update(&json!({"Chassis": {id(1): {"modify": {"hostname": "h9"}}}}));
    db.update(&json!({"Chassis": {id(1): {"modify": {"hostname": "h1"}}}}));
    assert_eq!((late(&db, 3), stands_still(&db)), (vec![], true));

    db.wait(1);
    db.answer(2, 7);
    assert_eq!((late(&db, 3), stands_still(&db)), (vec![], false));
    assert_eq!((db.lag("c1"), db.lag("c2")), (Some(0), None));
    assert_eq!(db.response("c2"), None, "it could not answer before");
    assert_eq!(steady(&db, "c2"), LONG, "and was not away");
    db.wait(10);
    db.answer(3, 7);
    assert_eq!(steady(&db, "c3"), LONG);
    db.wait(6);
    assert_eq!((late(&db, 3), stands_still(&db)), (vec![1], false));
}

#[test]
fn chassis_that_do_not_all_fall_behind_together_are_rejected_one_by_one() {
    let silent = |count| (1..=count).collect::<Vec<u8>>();
    // Fewer than three, though all of them.
    let mut db = many(2);
    db.bump(6);
    db.wait(16);
    assert_eq!((late(&db, 2), stands_still(&db)), (silent(2), false));
    // One that keeps up.
    let mut db = many(5);
    db.bump(6);
    db.answer(5, 6);
    db.wait(16);
    assert_eq!((late(&db, 5), stands_still(&db)), (silent(4), false));
    // Those that never answered say nothing for the others.
    let mut db = many(2);
    db.update(&rows([chassis(3, "h3", 0), chassis(4, "h4", 0)]));
    db.bump(6);
    db.wait(16);
    assert_eq!((late(&db, 4), stands_still(&db)), (silent(4), false));
    // A remote chassis neither.
    let mut db = many(2);
    db.update(&remote(3, "h3"));
    db.update(&json!({"Chassis_Private": {id(0x23): {"insert": {"name": "c3", "nb_cfg": 5}}}}));
    db.bump(6);
    db.wait(16);
    assert_eq!((late(&db, 2), stands_still(&db)), (silent(2), false));
}

#[test]
fn chassis_that_failed_before_stay_rejected_when_all_others_fall_behind() {
    let mut db = many(4);
    db.bump(6);
    for number in 1..=3 {
        db.answer(number, 6);
    }
    db.wait(16);
    assert_eq!(late(&db, 4), [4]);
    db.bump(7);
    for seconds in [0, 15, 1, 3600] {
        db.wait(seconds);
        assert_eq!(late(&db, 4), [4], "{seconds}");
    }
    assert!(stands_still(&db));
    db.answer(1, 7);
    assert_eq!(late(&db, 4), [4]);
    db.wait(16);
    assert_eq!(late(&db, 4), [2, 3, 4]);
}

#[test]
fn chassis_that_fall_behind_one_after_the_other_are_together_within_the_lag_that_is_allowed() {
    for (apart, expect) in [(15, &[][..]), (16, &[3])] {
        let mut db = many(5);
        db.bump(6);
        for number in [1, 2, 4, 5] {
            db.answer(number, 6);
        }
        db.wait(apart);
        db.bump(7);
        db.wait(1);
        assert_eq!(late(&db, 5), expect, "{apart}");
        db.wait(14);
        assert_eq!((late(&db, 5), stands_still(&db)), (expect.to_vec(), false));
        db.wait(1);
        assert_eq!((late(&db, 5), stands_still(&db)), (expect.to_vec(), true));
    }
}

#[test]
fn a_standstill_outlasts_a_connection_and_ends_with_an_answer_that_was_not_seen_to_come() {
    let at = |answers: [i64; 3]| {
        let all = (1..=3).zip(answers);
        let all = all.map(|(number, nb_cfg)| chassis(number, &format!("h{number}"), nb_cfg));
        rows(all.chain([global(6)]))
    };
    let mut db = many(3);
    db.bump(6);
    db.wait(16);
    db.index.lost(db.now);
    db.wait(100);
    db.sync(&at([5, 5, 5]));
    assert_eq!((late(&db, 3), stands_still(&db)), (vec![], true));
    db.index.lost(db.now);
    db.sync(&at([6, 5, 5]));
    assert_eq!((late(&db, 3), stands_still(&db)), (vec![], false));
    db.wait(16);
    assert_eq!(late(&db, 3), [2, 3]);
}

/// What happens next to chassis that may or may not answer.
#[derive(Clone, Copy, Debug)]
enum Event {
    Wait(u64),
    Bump,
    Answer(u8),
}

fn event() -> impl proptest::strategy::Strategy<Value = Event> {
    use proptest::prelude::*;
    prop_oneof![
        (1_u64..20).prop_map(Event::Wait),
        Just(Event::Bump),
        (1_u8..=6).prop_map(Event::Answer),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(256))]

    #[test]
    fn a_verdict_at_a_standstill_is_the_one_before_and_without_one_it_is_that_of_the_lag(
        count in 1_u8..=6,
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let mut db = many(count);
        let mut nb_cfg = 5;
        // Of each chassis, since when it has something to answer.
        let mut since: Vec<Option<Instant>> = vec![None; usize::from(count)];
        let (mut before, mut ever) = (late(&db, count), false);
        for event in events {
            match event {
                Event::Wait(seconds) => db.wait(seconds),
                Event::Bump => {
                    nb_cfg += 1;
                    db.bump(nb_cfg);
                    for since in &mut since {
                        since.get_or_insert(db.now);
                    }
                }
                Event::Answer(number) if number <= count => {
                    db.answer(number, nb_cfg);
                    since[usize::from(number) - 1] = None;
                }
                Event::Answer(_) => {}
            }
            let late_now = late(&db, count);
            let over = since.iter().zip(1..).filter(|(since, _)| {
                since.is_some_and(|since| db.now - since > ALLOWED)
            });
            let by_lag: Vec<u8> = over.map(|(_, number)| number).collect();
            if since.iter().any(Option::is_none) {
                // One keeps up: it is what it would be, unless others have time left after a standstill.
                if !ever {
                    proptest::prop_assert_eq!(&late_now, &by_lag);
                }
                proptest::prop_assert!(late_now.iter().all(|number| by_lag.contains(number)));
                proptest::prop_assert!(!stands_still(&db));
                before = late_now;
            } else if stands_still(&db) {
                ever = true;
                proptest::prop_assert!(count >= 3);
                proptest::prop_assert_eq!(&late_now, &before);
            } else if count < 3 {
                proptest::prop_assert_eq!(&late_now, &by_lag);
            }
        }
    }
}

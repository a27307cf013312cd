//! Rows of ports, and where they make networks local.

use ovsdb::{MonitorPlan, Schema, TableCache, UpdateFormat};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A database with its index.
struct Db {
    replica: TableCache,
    index: LocalityIndex,
}

impl Db {
    fn new(rows: &[(u8, Value)]) -> Self {
        Self::lacking(&[], rows)
    }

    /// One without some columns.
    fn lacking(columns: &[&str], rows: &[(u8, Value)]) -> Self {
        let one = |kind: &str| json!({"type": {"key": kind, "min": 0, "max": 1}});
        let map =
            || json!({"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}});
        let mut schema = json!({
            "logical_port": {"type": "string"},
            "type": {"type": "string"},
            "datapath": {"type": {"key": {"type": "uuid", "refTable": "Datapath_Binding"}}},
            "chassis": one("uuid"),
            "additional_chassis": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
            "requested_additional_chassis": {"type": {"key": "uuid", "min": 0, "max": "unlimited"}},
            "options": map(),
            "external_ids": map(),
        });
        for column in columns {
            assert!(schema.as_object_mut().unwrap().remove(*column).is_some());
        }
        let datapaths = json!({"external_ids": map()});
        let schema = json!({"tables": {
            "Port_Binding": {"columns": schema},
            "Datapath_Binding": {"columns": datapaths},
        }});
        let mut replica = TableCache::default();
        let schema = Schema::parse(&schema.to_string()).unwrap();
        replica.plan(MonitorPlan::new(TABLES, &schema));
        let mut db = Self {
            replica,
            index: LocalityIndex::default(),
        };
        db.sync(rows);
        db
    }

    fn sync(&mut self, rows: &[(u8, Value)]) {
        let changes = self
            .replica
            .replace(UpdateFormat::V2, &update("initial", rows))
            .unwrap();
        let missing = self.replica.planned().missing.clone();
        self.index.synced(&changes, &missing);
    }

    fn update(&mut self, kind: &str, rows: &[(u8, Value)]) {
        let changes = self
            .replica
            .update(UpdateFormat::V2, &update(kind, rows))
            .unwrap();
        self.index.changed(&changes);
    }

    /// What was goes where it is not the same any more, and what is comes.
    fn follow(&mut self, before: &BTreeMap<u8, Value>, after: &BTreeMap<u8, Value>) {
        let gone = before
            .iter()
            .filter(|(row, was)| after.get(row) != Some(was));
        let gone: Vec<_> = gone.map(|(row, _)| *row).collect();
        self.delete(&gone);
        let new = after.iter().filter(|(row, is)| before.get(row) != Some(is));
        let new: Vec<_> = new.map(|(row, is)| (*row, is.clone())).collect();
        self.update("insert", &new);
    }

    fn delete(&mut self, rows: &[u8]) {
        let rows: Vec<_> = rows.iter().map(|row| (*row, Value::Null)).collect();
        self.update("delete", &rows);
    }

    /// On which of the chassis 1 to 4 how many of a VM's switches are local, and how many there are:
    /// `1:1 3:2 of 2`.
    fn local(&self, vm: &str) -> String {
        let (namespace, vm) = vm.split_once('/').unwrap();
        let view = self.index.view();
        let Some(switches) = view.switches_of(namespace, vm) else {
            return "unknown".to_owned();
        };
        let local = (1..=4).filter_map(|number| {
            let local = switches.local_on(&chassis(number));
            (local > 0).then(|| format!("{number}:{local} "))
        });
        let local: String = local.collect();
        format!("{local}of {}", switches.count())
    }
}

fn update(kind: &str, rows: &[(u8, Value)]) -> String {
    let mut table = json!({});
    for (number, row) in rows {
        table[id(0, *number)] = json!({ kind: row });
    }
    json!({ "Port_Binding": table }).to_string()
}

/// A chassis of which nothing counts but its row.
fn chassis(number: u8) -> Chassis {
    Chassis {
        row: Uuid::parse(&id(2, number)).unwrap(),
        hostname: "".into(),
        remote: false,
        tunnel: true,
        nb_cfg: None,
        since: std::time::Duration::ZERO,
        response: None,
        flapped: None,
    }
}

/// Of a port (0), a datapath (1) or a chassis (2).
fn id(kind: u8, number: u8) -> String {
    format!("00000000-0000-4000-8000-00000000{kind:02x}{number:02x}")
}

fn uuids(kind: u8, numbers: &[u8]) -> Value {
    let ids = numbers
        .iter()
        .map(|number| json!(["uuid", id(kind, *number)]));
    json!(["set", ids.collect::<Vec<_>>()])
}

/// The port of a VM or pod on a switch, bound on a chassis and then on others.
fn port(owner: &str, switch: u8, bound: &[u8]) -> Value {
    let (namespace, vm) = owner.split_once('/').unwrap();
    let (first, others) = bound.split_at(bound.len().min(1));
    json!({
        "logical_port": format!("{vm}.{namespace}"),
        "datapath": ["uuid", id(1, switch)],
        "chassis": uuids(2, first),
        "additional_chassis": uuids(2, others),
        "external_ids": ["map", [["pod", owner], ["vendor", "kube-ovn"]]],
    })
}

/// One end of a link, as northd writes it.
fn patch(name: &str, datapath: u8, peer: &str) -> Value {
    json!({
        "logical_port": name,
        "type": "patch",
        "datapath": ["uuid", id(1, datapath)],
        "options": ["map", [["peer", peer], ["ipv6_ra_send_periodic", "true"]]],
    })
}

/// Router 9 between the switches 1 and 2.
fn vpc() -> Vec<(u8, Value)> {
    vec![
        (0x10, patch("s1-r", 1, "r-s1")),
        (0x11, patch("r-s1", 9, "s1-r")),
        (0x12, patch("s2-r", 2, "r-s2")),
        (0x13, patch("r-s2", 9, "s2-r")),
    ]
}

fn with_vpc(rows: &[(u8, Value)]) -> Db {
    Db::new(&[vpc(), rows.to_vec()].concat())
}

#[test]
fn a_switch_is_local_where_any_port_of_it_is_bound() {
    let mut db = Db::new(&[
        (1, port("ns/web", 1, &[1])),
        (2, port("ns/pod", 1, &[2])),
        (3, port("other/pod", 2, &[3])),
    ]);
    assert_eq!(db.local("ns/web"), "1:1 2:1 of 1");
    assert_eq!(db.local("ns/absent"), "unknown");
    db.update("modify", &[(2, json!({"chassis": uuids(2, &[4])}))]);
    assert_eq!(db.local("ns/web"), "1:1 4:1 of 1");
    db.update("modify", &[(2, json!({"chassis": uuids(2, &[])}))]);
    assert_eq!(db.local("ns/web"), "1:1 of 1");
    db.delete(&[2]);
    assert_eq!(db.local("ns/web"), "1:1 of 1");
    db.delete(&[1]);
    assert_eq!(db.local("ns/web"), "unknown");
}

#[test]
fn a_switch_stays_local_until_its_last_port_on_the_chassis_is_gone() {
    let mut db = Db::new(&[
        (1, port("ns/web", 1, &[])),
        (2, port("ns/a", 1, &[2])),
        (3, port("ns/b", 1, &[2])),
    ]);
    assert_eq!(db.local("ns/web"), "2:1 of 1");
    db.delete(&[2]);
    assert_eq!(db.local("ns/web"), "2:1 of 1");
    db.delete(&[3]);
    assert_eq!(db.local("ns/web"), "of 1");
}

#[test]
fn a_port_that_moves_is_local_at_both_ends_meanwhile() {
    let mut db = Db::new(&[(1, port("ns/web", 1, &[1]))]);
    let also = json!({"additional_chassis": uuids(2, &[2])});
    db.update("modify", &[(1, also.clone())]);
    assert_eq!(db.local("ns/web"), "1:1 2:1 of 1");
    let mut moved = also;
    moved["chassis"] = uuids(2, &[2]);
    db.update("modify", &[(1, moved)]);
    assert_eq!(db.local("ns/web"), "2:1 of 1");
}

#[test]
fn each_switch_of_a_vm_counts_once() {
    let db = Db::new(&[
        (1, port("ns/web", 1, &[1])),
        (2, port("ns/web", 2, &[1])),
        (3, port("ns/web", 2, &[1])),
        (4, port("ns/pod", 2, &[2])),
    ]);
    assert_eq!(db.local("ns/web"), "1:2 2:1 of 2");
}

#[test]
fn a_vpc_is_local_where_one_of_its_ports_is_bound() {
    let mut db = with_vpc(&[
        (1, port("ns/web", 1, &[1])),
        (2, port("ns/pod", 2, &[2])),
        (3, port("ns/far", 3, &[3])),
    ]);
    assert_eq!(db.local("ns/web"), "1:1 2:1 of 1");
    // The active gateway of the VPC: a port of the router is bound there.
    let gateway = json!({"logical_port": "cr-r-ext", "type": "chassisredirect", "datapath": ["uuid", id(1, 9)], "chassis": uuids(2, &[4])});
    db.update("insert", &[(4, gateway)]);
    assert_eq!(db.local("ns/web"), "1:1 2:1 4:1 of 1");
    // A third switch joins, and the second one leaves.
    db.update(
        "insert",
        &[
            (0x14, patch("s3-r", 3, "r-s3")),
            (0x15, patch("r-s3", 9, "s3-r")),
        ],
    );
    assert_eq!(db.local("ns/web"), "1:1 2:1 3:1 4:1 of 1");
    db.delete(&[0x12, 0x13]);
    assert_eq!(db.local("ns/web"), "1:1 3:1 4:1 of 1");
    assert_eq!(db.local("ns/pod"), "2:1 of 1");
    db.delete(&[0x11]);
    assert_eq!(db.local("ns/web"), "1:1 of 1");
    assert_eq!(db.local("ns/far"), "3:1 4:1 of 1");
}

#[test]
fn a_link_needs_two_ports_that_name_each_other() {
    let both = |one: Value, other: Value| {
        let ports = [(1, port("ns/web", 1, &[1])), (2, port("ns/pod", 2, &[2]))];
        let mut db = Db::new(&ports);
        db.update("insert", &[(3, one)]);
        db.update("insert", &[(4, other)]);
        db.local("ns/web")
    };
    let linked = "1:1 2:1 of 1";
    assert_eq!(both(patch("a", 1, "b"), patch("b", 2, "a")), linked);
    assert_eq!(both(patch("b", 2, "a"), patch("a", 1, "b")), linked);
    assert_eq!(both(patch("a", 1, "b"), patch("b", 2, "c")), "1:1 of 1");
    let mut gateway = patch("b", 2, "a");
    gateway["options"] = json!(["map", [["peer", "a"], ["chassis-redirect-port", "cr-b"]]]);
    assert_eq!(
        both(patch("a", 1, "b"), gateway),
        "1:1 of 1",
        "what is behind a gateway is another network"
    );
    let mut interface = patch("b", 2, "a");
    interface["type"] = json!("");
    assert_eq!(both(patch("a", 1, "b"), interface), "1:1 of 1");
}

#[test]
fn a_link_that_comes_back_under_another_id_in_one_change_is_there() {
    let mut db = with_vpc(&[(1, port("ns/web", 1, &[1])), (2, port("ns/pod", 2, &[2]))]);
    for (old, new) in [(0x10, 0x20), (0x20, 0x10)] {
        let rows = json!({"Port_Binding": {
            id(0, old): {"delete": null},
            id(0, new): {"insert": patch("s1-r", 1, "r-s1")}}});
        let changes = db
            .replica
            .update(UpdateFormat::V2, &rows.to_string())
            .unwrap();
        db.index.changed(&changes);
        assert_eq!(db.local("ns/web"), "1:1 2:1 of 1");
    }
}

#[test]
fn a_vm_is_known_by_its_ports_ids_or_else_by_their_name() {
    let named = |name: &str, kind: &str| json!({"logical_port": name, "type": kind, "datapath": ["uuid", id(1, 1)], "chassis": uuids(2, &[1])});
    for (row, vm, expect) in [
        (named("web.ns", ""), "ns/web", "1:1 of 1"),
        (named("web.1.ns", ""), "ns/web.1", "1:1 of 1"),
        (named("web.ns", "localport"), "ns/web", "unknown"),
        (named("web.ns.nad.ns.ovn", ""), "ns/web", "unknown"),
        (port("ns/web", 1, &[1]), "ns/web", "1:1 of 1"),
        (port("ns/web.ns", 1, &[1]), "ns/web", "unknown"),
    ] {
        assert_eq!(Db::new(&[(1, row.clone())]).local(vm), expect, "{row}");
    }
    // A VM with ports that have ids is not looked up by name as well.
    let db = Db::new(&[(1, port("ns/web", 1, &[1])), (2, named("web.ns", ""))]);
    assert_eq!(db.local("ns/web"), "1:1 of 1");
}

#[test]
fn a_missing_column_limits_only_what_depends_on_it() {
    let rows = [
        vpc(),
        vec![
            (1, port("ns/web", 1, &[1, 3])),
            (2, port("ns/pod", 2, &[2])),
        ],
    ]
    .concat();
    for (lacking, expect) in [
        (&["logical_port"][..], "unknown"),
        (&["datapath"], "unknown"),
        (&["chassis"], "unknown"),
        (&["additional_chassis"], "1:1 2:1 of 1"),
        (&["options"], "1:1 3:1 of 1"),
        (&["external_ids"], "1:1 2:1 3:1 of 1"),
        (&["type"], "1:1 3:1 of 1"),
    ] {
        assert_eq!(
            Db::lacking(lacking, &rows).local("ns/web"),
            expect,
            "{lacking:?}"
        );
    }
    let mut db = Db::lacking(&[], &rows);
    let table = [Missing {
        table: PORT_BINDING,
        column: None,
    }];
    db.index.synced(&[], &table);
    assert_eq!(db.local("ns/web"), "unknown");
}

#[test]
fn a_view_is_immutable_and_a_new_sync_has_the_current_ports() {
    let mut db = with_vpc(&[(1, port("ns/web", 1, &[1]))]);
    let before = db.index.view();
    db.sync(&[(2, port("ns/web", 2, &[2]))]);
    assert_eq!(db.local("ns/web"), "2:1 of 1");
    let switches = before.switches_of("ns", "web").unwrap();
    assert_eq!(
        [1, 2].map(|number| switches.local_on(&chassis(number))),
        [1, 0]
    );
    db.sync(&[]);
    assert_eq!(
        db.index.view(),
        Locality {
            is_known: true,
            has_additional_chassis: true,
            ..Locality::default()
        }
    );
    assert!(db.index.datapaths.is_empty() && db.index.patches.is_empty());
}

/// A port of another type that is bound on a chassis.
fn special(name: &str, kind: &str, switch: u8, bound: u8) -> Value {
    json!({
        "logical_port": name,
        "type": kind,
        "datapath": ["uuid", id(1, switch)],
        "chassis": uuids(2, &[bound]),
    })
}

#[test]
fn the_warm_ports_of_berth_make_no_switch_local_and_those_of_others_do() {
    for (name, kind, expect) in [
        ("berth-s-c", "external", "1:1 of 1"),
        ("sriov", "external", "1:1 2:1 of 1"),
        ("berth-vm.ns", "", "1:1 2:1 of 1"),
    ] {
        let db = Db::new(&[(1, port("ns/web", 1, &[1])), (2, special(name, kind, 1, 2))]);
        assert_eq!(db.local("ns/web"), expect, "{name} {kind}");
    }
}

/// The port of a VM that migrates: the chassis that may bind it beside the first, and those on which the VM
/// has announced itself.
fn migrating(owner: &str, bound: &[u8], requested: &[u8], activated: &str) -> Value {
    let mut port = port(owner, 1, bound);
    port["requested_additional_chassis"] = uuids(2, requested);
    port["options"] = json!(["map", [["additional-chassis-activated", activated]]]);
    port
}

#[test]
fn the_ports_that_migrate_are_listed_with_their_chassis() {
    let number = |id: &Uuid| id.to_string().chars().last().unwrap();
    let listed = |db: &Db| {
        let view = db.index.view();
        let mut listed: Vec<_> = view
            .paired()
            .map(|port| {
                let chassis: String = port.chassis.iter().map(number).collect();
                let [requested, additional] = [&port.requested, &port.additional]
                    .map(|ids| ids.iter().map(number).collect::<String>());
                let on = ["c1", "c2"].map(|name| port.is_activated_on(name));
                format!("{} {chassis}/{requested}/{additional} {on:?}", port.owner)
            })
            .collect();
        listed.sort();
        listed
    };
    let mut db = Db::new(&[
        (1, port("ns/still", 1, &[1])),
        (2, migrating("ns/asked", &[1], &[2], "")),
        (3, migrating("ns/landed", &[1, 2], &[2], "c0,c2")),
        (4, migrating("ns/left", &[2, 1], &[], "")),
    ]);
    assert_eq!(
        listed(&db),
        [
            "ns/asked 1/2/ [false, false]",
            "ns/landed 1/2/2 [false, true]",
            "ns/left 2//1 [false, false]"
        ]
    );
    db.delete(&[2, 3, 4]);
    db.update("insert", &[(3, port("ns/landed", 1, &[2]))]);
    assert_eq!(listed(&db), [""; 0]);
    let view = db.index.view();
    let chassis = |vm| {
        view.chassis_of("ns", vm)
            .flatten()
            .map(|id| number(&id))
            .collect::<String>()
    };
    assert_eq!(["still", "landed", "left"].map(chassis), ["1", "2", ""]);
}

#[test]
fn only_ports_that_migrate_and_warm_ports_are_news() {
    let mut db = with_vpc(&[]);
    let mut news = |kind: &str, row: (u8, Value)| {
        let changes = db
            .replica
            .update(UpdateFormat::V2, &update(kind, &[row]))
            .unwrap();
        db.index.changed(&changes)
    };
    assert!(!news("insert", (1, port("ns/web", 1, &[1]))));
    assert!(news("insert", (2, migrating("ns/db", &[1], &[2], ""))));
    assert!(news("insert", (3, special("berth-s-c", "external", 2, 2))));
    assert!(!news("insert", (4, special("other", "external", 2, 2))));
}

#[test]
fn a_warm_port_warms_all_switches_of_its_vpc_on_its_chassis() {
    let warm = |numbers: &[u8], db: &Db| {
        let view = db.index.view();
        let switches = view.switches_of("ns", "web").unwrap();
        let warm = numbers
            .iter()
            .map(|number| switches.are_warm_on(&chassis(*number)));
        warm.collect::<Vec<_>>()
    };
    let web = || port("ns/web", 1, &[1]);
    let mut db = with_vpc(&[(1, web()), (2, special("berth-s-c", "external", 2, 2))]);
    assert_eq!(warm(&[1, 2, 3], &db), [true, true, false]);
    // A network of its own beside the VPC stays cold.
    db.update("insert", &[(3, port("ns/web", 5, &[1]))]);
    assert_eq!(warm(&[1, 2, 3], &db), [true, false, false]);
    db.delete(&[2]);
    assert_eq!(warm(&[1, 2, 3], &db), [true, false, false]);
}

#[test]
fn a_switch_is_an_underlay_while_it_has_a_port_to_a_physical_network() {
    let web = (1, port("ns/web", 1, &[1]));
    let mut db = with_vpc(&[web, (2, special("net", "localnet", 2, 1))]);
    let is_underlay = |db: &Db| {
        let view = db.index.view();
        view.switches_of("ns", "web").unwrap().are_underlay()
    };
    // Another switch of its VPC is, which the VM is not on.
    assert!(!is_underlay(&db));
    for (row, expect) in [(3, true), (4, true)] {
        db.update("insert", &[(row, special("net", "localnet", 1, 1))]);
        assert_eq!(is_underlay(&db), expect);
    }
    for (row, expect) in [(3, true), (4, false)] {
        db.delete(&[row]);
        assert_eq!(is_underlay(&db), expect);
    }
}

#[test]
fn a_cold_switch_is_known_by_its_vpc_and_by_its_id_in_the_northbound_database() {
    let mut db = with_vpc(&[
        (1, port("ns/web", 1, &[1])),
        (2, port("ns/web", 2, &[])),
        (3, port("ns/web", 3, &[])),
    ]);
    let uuid = |kind, number| Uuid::parse(&id(kind, number)).unwrap();
    let datapaths = |kind: &str, rows: &[(u8, Value)]| {
        let rows = rows
            .iter()
            .map(|(number, row)| (id(1, *number), json!({ kind: row })));
        json!({"Datapath_Binding": rows.collect::<serde_json::Map<_, _>>()}).to_string()
    };
    let named = |number| {
        let ids = json!([["logical-switch", id(5, number)], ["name", "s"]]);
        json!({"external_ids": ["map", ids]})
    };
    let update = datapaths("insert", &[(1, named(1)), (2, named(2)), (9, json!({}))]);
    let changes = db.replica.update(UpdateFormat::V2, &update).unwrap();
    db.index.changed(&changes);
    let cold = |db: &Db, number| {
        let view = db.index.view();
        let switches = view.switches_of("ns", "web").unwrap();
        let cold = switches.cold_on(&chassis(number)).into_iter();
        cold.map(|cold| (cold.vpc, cold.northbound))
            .collect::<Vec<_>>()
    };
    let lone = (uuid(1, 3), None);
    assert_eq!(cold(&db, 1), [lone], "the VPC is local there");
    let vpc = uuid(1, 1);
    let both = [(vpc, Some(uuid(5, 1))), (vpc, Some(uuid(5, 2))), lone];
    assert_eq!(cold(&db, 2), both);
    let view = db.index.view();
    assert_eq!(view.vpc_of(&uuid(5, 2)), Some(vpc));

    let update = datapaths("delete", &[(2, Value::Null)]);
    let changes = db.replica.update(UpdateFormat::V2, &update).unwrap();
    db.index.changed(&changes);
    assert_eq!(db.index.view().vpc_of(&uuid(5, 2)), None);
    assert_eq!(cold(&db, 2), [both[0], (vpc, None), lone]);
}

#[test]
fn ports_on_two_chassis_need_a_column_that_old_databases_lack() {
    for (lacking, expect) in [(&[][..], true), (&["additional_chassis"], false)] {
        let db = Db::lacking(lacking, &[]);
        assert_eq!(db.index.view().has_additional_chassis(), expect);
    }
}

/// A row of few switches, chassis, VMs and names, so that they meet; or its end.
fn any_row() -> impl Strategy<Value = (u8, Option<Value>)> {
    let bound = prop::collection::vec(1u8..4, 0..3);
    let vm = (prop::sample::select(vec!["ns/a", "ns/b"]), 1u8..5, bound)
        .prop_map(|(vm, switch, bound)| port(vm, switch, &bound));
    let name = || prop::sample::select(vec!["p", "q", "r", "s"]);
    let end = (name(), 1u8..5, name()).prop_map(|(name, at, peer)| patch(name, at, peer));
    let two = (1u8..4, 1u8..4).prop_map(|(first, other)| migrating("ns/a", &[first], &[other], ""));
    let warm = (1u8..5, 1u8..4).prop_map(|(at, on)| special("berth-x", "external", at, on));
    (
        0u8..8,
        prop::option::weighted(0.8, prop_oneof![vm, end, two, warm]),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn after_any_changes_the_view_equals_that_of_a_fresh_copy(
        steps in prop::collection::vec(prop::collection::vec(any_row(), 1..4), 0..30),
    ) {
        let mut db = Db::new(&[]);
        let mut rows = BTreeMap::new();
        for (turn, step) in steps.into_iter().enumerate() {
            let before = rows.clone();
            for (number, row) in step {
                let taken = |row: &Value, rows: &BTreeMap<u8, Value>| {
                    rows.iter().any(|(other, known): (&u8, &Value)| {
                        *other != number && known["type"] == "patch"
                            && known["logical_port"] == row["logical_port"]
                    })
                };
                match row {
                    // The database itself keeps names apart.
                    Some(row) if taken(&row, &rows) => {}
                    Some(row) => { rows.insert(number, row); }
                    None => { rows.remove(&number); }
                }
            }
            let all: Vec<_> = rows.clone().into_iter().collect();
            // As a server tells of changes, and as one that is met again does.
            if turn % 3 > 0 {
                db.follow(&before, &rows);
            } else {
                db.sync(&all);
            }
            prop_assert_eq!(db.index.view(), Db::new(&all).index.view());
        }
    }
}

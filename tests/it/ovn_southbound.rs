//! The southbound database of a real OVN: what becomes of its chassis is seen, and whatever happens
//! to its servers, what is known in the end is what a fresh copy would be.

use std::time::Duration;

use berth::decide::version::Version;
use berth::metrics::Registry;
use berth::ovn::Probe;
use berth::ovn::probe::ProbeMetrics;
use ovsdb::{ClientOptions, Endpoints, ErrorKind};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::ovn_lab::{Followed, Lab, Ovn, Proxy, Server, insert_chassis};
use crate::support::until;

fn mk_probe(endpoints: &str) -> Probe {
    let endpoints = Endpoints::parse("test", endpoints).unwrap();
    Probe::new(ClientOptions::new(endpoints))
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_chassis_that_is_dead_is_behind_until_it_returns_and_the_others_never_are() {
    let Some(mut lab) = Lab::start() else { return };
    lab.add("n1", "c1");
    lab.add("n2", "c2");
    let mut followed = Followed::start(&lab.southbound.unix(), None);
    let mut probe = mk_probe(&lab.northbound.unix());
    let nb_cfg = |followed: &Followed, chassis: &str| followed.view().chassis(chassis)?.nb_cfg;
    let healthy = |followed: &Followed, node: &str, chassis: &str| {
        followed.judge(node, chassis, 60).is_empty()
    };
    assert_eq!(probe.bump().await.unwrap(), 1);
    followed
        .until("both answer", |f| {
            nb_cfg(f, "c1") == Some(1) && nb_cfg(f, "c2") == Some(1)
        })
        .await;
    assert!(healthy(&followed, "n1", "c1") && healthy(&followed, "n2", "c2"));

    assert_eq!(probe.bump().await.unwrap(), 2);
    followed
        .until("both are measured", |f| {
            ["c1", "c2"].iter().all(|name| {
                let view = f.view();
                view.response(view.chassis(name).unwrap()).is_some()
            })
        })
        .await;

    lab.kill_controller("n1");
    for value in 3..6 {
        assert_eq!(probe.bump().await.unwrap(), value);
        followed
            .until("the other answers", |f| {
                f.view().nb_cfg() == Some(value) && nb_cfg(f, "c2") == Some(value)
            })
            .await;
        assert_eq!(followed.judge("n1", "c1", 16), ["chassis_not_responding"]);
        assert_eq!(followed.judge("n2", "c2", 3600), [""; 0]);
    }
    assert_eq!(
        followed.judge("n1", "c1", 0),
        [""; 0],
        "not for long enough yet"
    );
    followed.until_equal(&lab.ovn, &lab.southbound).await;

    lab.start_controller("n1");
    followed
        .until("it returns", |f| healthy(f, "n1", "c1"))
        .await;
    assert!(healthy(&followed, "n2", "c2"));
    followed.until_equal(&lab.ovn, &lab.southbound).await;
    assert_eq!(followed.lost(), 0);
}

/// What switches off that chassis report how far they are.
const UPDATES: &str = "options:enable_chassis_nb_cfg_update";

#[tokio::test(flavor = "multi_thread")]
async fn ovn_chassis_that_are_told_not_to_answer_are_not_behind_and_not_asked() {
    let Some(mut lab) = Lab::start() else { return };
    lab.add("n1", "c1");
    let mut followed = Followed::start(&lab.southbound.unix(), None);
    followed
        .until("its chassis", |f| {
            f.judge("n1", "c1", 0).is_empty() && f.view().count() == 1
        })
        .await;
    lab.nbctl(&["sync"]);
    lab.kill_controller("n1");
    let northbound = Endpoints::parse("test", &lab.northbound.unix()).unwrap();
    let mut probe = Probe::new(ClientOptions::new(northbound));
    let value = probe.bump().await.unwrap();
    followed
        .until("the question", |f| f.view().nb_cfg() == Some(value))
        .await;
    assert_eq!(followed.judge("n1", "c1", 16), ["chassis_not_responding"]);

    // northd copies the option from the northbound database.
    lab.nbctl_without_chassis(&["set", "NB_Global", ".", &format!("{UPDATES}=false")]);
    followed.until("the option", |f| f.view().updates_off).await;
    assert_eq!(followed.judge("n1", "c1", 3600), [""; 0]);
    let stats = ProbeMetrics::register(&Registry::default()).unwrap();
    let view = followed.view();
    let asking = timeout(
        Duration::from_millis(300),
        probe.run(Duration::from_millis(10), &stats, || !view.updates_off),
    );
    assert!(asking.await.is_err());
    assert_eq!(stats.probes.get(), 0);

    lab.nbctl_without_chassis(&[
        "remove",
        "NB_Global",
        ".",
        "options",
        "enable_chassis_nb_cfg_update",
    ]);
    followed.until("no option", |f| !f.view().updates_off).await;
    assert_eq!(followed.judge("n1", "c1", 0), [""; 0]);
    assert_eq!(followed.judge("n1", "c1", 16), ["chassis_not_responding"]);
    lab.start_controller("n1");
    followed
        .until("it returns", |f| f.judge("n1", "c1", 60).is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_northd_finds_the_chassis_that_berth_takes_for_the_one_of_a_host() {
    let Some(lab) = Lab::start() else { return };
    let mut followed = Followed::start(&lab.southbound.unix(), None);
    // Two hosts, each with a chassis and one of the same name in another zone.
    let id = |number: u8| format!("00000000-0000-4000-8000-0000000000{number:02x}");
    for (number, name, host, remote) in [
        (1, "far-1", "h1", true),
        (2, "near-1", "h1", false),
        (3, "near-2", "h2", false),
        (4, "far-2", "h2", true),
    ] {
        let mut operations = insert_chassis(name, host, &format!("127.0.3.{number}"));
        operations[1]["uuid"] = json!(id(number));
        if remote {
            operations[1]["row"]["other_config"] = json!(["map", [["is-remote", "true"]]]);
        }
        lab.southbound.transact(&lab.ovn, &operations);
    }
    followed
        .until("all of them", |f| f.view().count() == 4)
        .await;
    assert_eq!(followed.judge("h1", "near-1", 0), ["chassis_identity"]);
    assert_eq!(followed.judge("h2", "near-2", 0), [""; 0]);
    assert_eq!(followed.judge("h1", "far-1", 0), ["chassis_identity"]);

    lab.nbctl_without_chassis(&["ls-add", "s"]);
    for (port, host, expect) in [("p1", "h1", id(1)), ("p2", "h2", id(3))] {
        let requested = format!("requested-chassis={host}");
        lab.nbctl_without_chassis(&[
            "lsp-add",
            "s",
            port,
            "--",
            "lsp-set-options",
            port,
            &requested,
        ]);
        let select = json!({"op": "select", "table": "Port_Binding", "where": [["logical_port", "==", port]], "columns": ["requested_chassis"]});
        let found = lab.southbound.transact(&lab.ovn, &[select]);
        let requested = &found[0]["rows"][0]["requested_chassis"];
        assert_eq!(requested, &json!(["uuid", expect]), "{port}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_chassis_that_is_not_what_the_node_says_is_told_by_what_is_wrong() {
    let Some(mut lab) = Lab::start() else { return };
    lab.add("n1", "c1");
    lab.add("n2", "c2");
    let mut followed = Followed::start(&lab.southbound.unix(), None);
    followed
        .until("both are there", |f| {
            f.judge("n1", "c1", 0).is_empty()
                && f.judge("n2", "c2", 0).is_empty()
                && f.view().count() == 2
        })
        .await;

    lab.set("n1", "hostname", "n1.example.com");
    followed
        .until("the name", |f| {
            f.judge("n1", "c1", 0) == ["chassis_identity"]
        })
        .await;
    lab.set("n1", "hostname", "n1");
    followed
        .until("the old name", |f| f.judge("n1", "c1", 0).is_empty())
        .await;

    // What an installation before left behind, on another address.
    let old = insert_chassis("c0", "n1", "127.0.2.99");
    lab.southbound.transact(&lab.ovn, &old);
    followed
        .until("two for one node", |f| {
            f.judge("n1", "c1", 0) == ["chassis_identity"]
        })
        .await;
    assert_eq!(followed.judge("n2", "c2", 0), [""; 0]);
    let gone =
        |name: &str| json!({"op": "delete", "table": "Chassis", "where": [["name", "==", name]]});
    lab.southbound.transact(&lab.ovn, &[gone("c0")]);
    followed
        .until("one again", |f| f.judge("n1", "c1", 0).is_empty())
        .await;

    // Installed again under another id, it is kept from its address by its own old row.
    lab.kill_controller("n2");
    lab.set("n2", "system-id", "c9");
    lab.start_controller("n2");
    assert_eq!(followed.judge("n2", "c9", 0), ["chassis_not_registered"]);
    lab.southbound.transact(&lab.ovn, &[gone("c2")]);
    followed
        .until("another id", |f| {
            f.judge("n2", "c2", 0) == ["chassis_not_registered"]
                && f.judge("n2", "c9", 0).is_empty()
        })
        .await;

    // Whose ovn-controller can't put it back.
    lab.kill_controller("n1");
    lab.southbound.transact(&lab.ovn, &[gone("c1")]);
    followed
        .until("no chassis", |f| {
            f.judge("n1", "c1", 0) == ["chassis_not_registered"]
        })
        .await;
    lab.start_controller("n1");
    followed
        .until("it returns", |f| f.judge("n1", "c1", 0).is_empty())
        .await;
    followed.until_equal(&lab.ovn, &lab.southbound).await;
}

/// A southbound database without anybody but berth.
struct Alone {
    ovn: Ovn,
    server: Server,
    dir: TempDir,
}

impl Alone {
    fn start(edit: impl FnOnce(&mut Value)) -> Option<Self> {
        let ovn = Ovn::find()?;
        let dir = tempfile::tempdir().unwrap();
        let mut schema = ovn.schema("OVN_Southbound");
        edit(&mut schema);
        let server = Server::create(&ovn, &dir.path().join("a"), "OVN_Southbound", &schema, &[]);
        let alone = Self { ovn, server, dir };
        alone.fill(&alone.server);
        Some(alone)
    }

    fn fill(&self, server: &Server) {
        server.transact(
            &self.ovn,
            &[json!({"op": "insert", "table": "SB_Global", "row": {"nb_cfg": 1}})],
        );
        for (name, hostname, ip) in [("c1", "n1", "127.0.2.1"), ("c2", "n2", "127.0.2.2")] {
            server.transact(&self.ovn, &insert_chassis(name, hostname, ip));
        }
    }

    fn rename(&self, server: &Server, chassis: &str, hostname: &str) {
        let update = json!({"op": "update", "table": "Chassis", "where": [["name", "==", chassis]], "row": {"hostname": hostname}});
        server.transact(&self.ovn, &[update]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_chassis_without_encap_has_no_tunnel() {
    // OVN's own schema does not let it happen, but for an encap of no address.
    let alone = Alone::start(|schema| {
        schema["tables"]["Chassis"]["columns"]["encaps"]["type"]["min"] = json!(0);
    });
    let Some(alone) = alone else { return };
    let mut followed = Followed::start(&alone.server.unix(), None);
    followed
        .until("it is there", |f| f.view().count() == 2)
        .await;
    assert_eq!(followed.judge("n1", "c1", 0), [""; 0]);
    let none = json!({"op": "update", "table": "Chassis", "where": [["name", "==", "c1"]], "row": {"encaps": ["set", []]}});
    alone.server.transact(&alone.ovn, &[none]);
    followed
        .until("no encap", |f| {
            f.judge("n1", "c1", 0) == ["chassis_no_tunnel"]
        })
        .await;
    let empty = json!({"op": "update", "table": "Encap", "where": [["chassis_name", "==", "c2"]], "row": {"ip": ""}});
    alone.server.transact(&alone.ovn, &[empty]);
    followed
        .until("no address", |f| {
            f.judge("n2", "c2", 0) == ["chassis_no_tunnel"]
        })
        .await;
    followed.until_equal(&alone.ovn, &alone.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_database_that_is_stopped_and_started_is_followed_again_as_it_is_then() {
    let Some(mut alone) = Alone::start(|_| ()) else {
        return;
    };
    let mut followed = Followed::start(&alone.server.unix(), None);
    followed.until_equal(&alone.ovn, &alone.server).await;
    alone.server.kill();
    followed.until("it is lost", |f| f.lost() == 1).await;
    assert!(!followed.stats.is_synced());
    assert_eq!(followed.view().count(), 2, "the last view stays");
    alone.server.start(&alone.ovn);
    followed.until("it is there", |f| f.stats.is_synced()).await;
    alone.rename(&alone.server, "c1", "x");
    followed
        .until("a change", |f| f.judge("x", "c1", 0).is_empty())
        .await;
    followed.until_equal(&alone.ovn, &alone.server).await;

    // Another database at the same place.
    alone.server.kill();
    followed.until("it is lost", |f| f.lost() == 2).await;
    let schema = alone.ovn.schema("OVN_Southbound");
    let again = alone.dir.path().join("a");
    std::fs::remove_file(again.join("OVN_Southbound.db")).unwrap();
    alone.server = Server::create(&alone.ovn, &again, "OVN_Southbound", &schema, &[]);
    followed
        .until("it is empty", |f| {
            f.stats.is_synced() && f.view().count() == 0
        })
        .await;
    assert_eq!(followed.judge("n2", "c2", 0), ["chassis_not_registered"]);
    alone.fill(&alone.server);
    followed
        .until("it is filled", |f| f.judge("n2", "c2", 0).is_empty())
        .await;
    followed.until_equal(&alone.ovn, &alone.server).await;
    assert!(followed.stats.connections.get() >= 3);
    assert!(followed.failures(ErrorKind::Closed) >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_server_that_stalls_without_closing_is_left_for_the_next() {
    let Some(alone) = Alone::start(|_| ()) else {
        return;
    };
    let proxy = Proxy::start(alone.server.port).await.unwrap();
    let endpoints = format!("tcp:127.0.0.1:{},{}", proxy.port, alone.server.unix());
    let mut followed = Followed::start(&endpoints, None);
    followed.until_equal(&alone.ovn, &alone.server).await;
    proxy.stall();
    alone.rename(&alone.server, "c1", "x");
    assert_eq!(followed.judge("n1", "c1", 0), [""; 0], "nobody knows yet");
    followed
        .until("the next is followed", |f| {
            f.judge("n1", "c1", 0) == ["chassis_identity"]
        })
        .await;
    assert_eq!(followed.failures(ErrorKind::Timeout), 1);
    assert!(followed.stats.silence().unwrap() < Duration::from_secs(2));
    followed.until_equal(&alone.ovn, &alone.server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_second_endpoint_takes_over_from_one_that_is_down() {
    let Some(mut alone) = Alone::start(|_| ()) else {
        return;
    };
    let schema = alone.ovn.schema("OVN_Southbound");
    let other = Server::create(
        &alone.ovn,
        &alone.dir.path().join("b"),
        "OVN_Southbound",
        &schema,
        &[],
    );
    other.transact(&alone.ovn, &insert_chassis("c7", "n7", "127.0.2.7"));
    let endpoints = format!(
        "tcp:127.0.0.1:{},tcp:127.0.0.1:{}",
        alone.server.port, other.port
    );
    let mut followed = Followed::start(&endpoints, None);
    followed.until_equal(&alone.ovn, &alone.server).await;
    alone.server.kill();
    followed.until_equal(&alone.ovn, &other).await;
    assert_eq!(followed.judge("n7", "c7", 0), [""; 0]);
    assert_eq!(followed.judge("n1", "c1", 0), ["chassis_not_registered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_schema_without_a_column_leaves_one_check_less_until_it_is_converted() {
    let Some(alone) = Alone::start(|_| ()) else {
        return;
    };
    let whole = alone.ovn.schema("OVN_Southbound");
    let mut less = whole.clone();
    let version = |schema: &mut Value, number: u32| {
        schema["version"] = json!(format!("99.{number}.0"));
        schema.as_object_mut().unwrap().remove("cksum");
    };
    less["tables"]["Chassis"]["columns"]
        .as_object_mut()
        .unwrap()
        .remove("hostname");
    less["tables"]
        .as_object_mut()
        .unwrap()
        .remove("Chassis_Private");
    version(&mut less, 1);
    let convert = |schema: &Value| {
        let file = alone.dir.path().join("schema");
        std::fs::write(&file, schema.to_string()).unwrap();
        let args = ["convert", &alone.server.unix(), file.to_str().unwrap()];
        alone.ovn.run("ovsdb-client", alone.dir.path(), &args);
    };
    let mut followed = Followed::start(&alone.server.unix(), None);
    followed.until_equal(&alone.ovn, &alone.server).await;
    assert_eq!(
        followed.judge("another", "c1", 60),
        ["chassis_identity", "chassis_not_responding"]
    );
    assert_eq!(followed.missing(), [""; 0]);

    convert(&less);
    followed
        .until("less is seen", |f| {
            f.missing() == ["Chassis.hostname", "Chassis_Private"]
        })
        .await;
    followed.until_equal(&alone.ovn, &alone.server).await;
    assert_eq!(followed.judge("another", "c1", 60), [""; 0]);
    assert_eq!(
        followed.judge("another", "c3", 60),
        ["chassis_not_registered"]
    );

    let mut more = whole;
    version(&mut more, 2);
    convert(&more);
    followed
        .until("all is seen", |f| f.missing().is_empty())
        .await;
    followed.until_equal(&alone.ovn, &alone.server).await;
    assert_eq!(followed.judge("another", "c1", 0), ["chassis_identity"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_cluster_member_without_the_others_is_left_and_the_next_goes_on_where_it_was() {
    let Some(ovn) = Ovn::find() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut members = cluster(&ovn, dir.path());
    members[0].transact(&ovn, &insert_chassis("c1", "n1", "127.0.2.1"));
    let endpoints: Vec<_> = members.iter().map(Server::unix).collect();
    let mut followed = Followed::start(&endpoints.join(","), None);
    followed.until_equal(&ovn, &members[0]).await;

    // The one that is followed goes, and the next has only to tell what is new.
    members[0].kill();
    followed
        .until("another is followed", |f| {
            f.stats.is_synced() && f.lost() == 1
        })
        .await;
    assert_eq!(followed.syncs("resumed"), 1);
    followed
        .until("a leader", |_| {
            let update = json!({"op": "insert", "table": "SB_Global", "row": {"nb_cfg": 5}});
            let said = members[1].transact(&ovn, &[update]);
            said.len() == 1
        })
        .await;
    followed
        .until("a change", |f| f.view().nb_cfg() == Some(5))
        .await;
    members[0].start(&ovn);

    // The others go, and the one that is followed knows that it is cut off.
    let unfit = followed.failures(ErrorKind::Unfit);
    members[0].kill();
    members[2].kill();
    followed
        .until("it is left", |f| {
            f.failures(ErrorKind::Unfit) > unfit && !f.stats.is_synced()
        })
        .await;
    assert_eq!(followed.view().count(), 1, "the last view stays");
    members[2].start(&ovn);
    followed
        .until("it is fit again", |f| f.stats.is_synced())
        .await;
    followed.until_equal(&ovn, &members[1]).await;
    assert_eq!(followed.syncs("full"), 1, "nothing was read twice");
}

fn cluster(ovn: &Ovn, dir: &std::path::Path) -> Vec<Server> {
    let schema = dir.join("schema");
    std::fs::write(&schema, ovn.schema("OVN_Southbound").to_string()).unwrap();
    let address = |number: usize| format!("unix:{}", dir.join(format!("raft{number}")).display());
    (0..3)
        .map(|number| {
            let dir = dir.join(number.to_string());
            std::fs::create_dir(&dir).unwrap();
            let file = "OVN_Southbound.db";
            let local = address(number);
            if number == 0 {
                let args = ["create-cluster", file, schema.to_str().unwrap(), &local];
                ovn.run("ovsdb-tool", &dir, &args);
            } else {
                let args = ["join-cluster", file, "OVN_Southbound", &local, &address(0)];
                ovn.run("ovsdb-tool", &dir, &args);
            }
            let server = Server::serve(ovn, &dir, "OVN_Southbound", file.to_owned(), &[]);
            let args = [
                "--timeout=20",
                "wait",
                &server.unix(),
                "OVN_Southbound",
                "connected",
            ];
            ovn.run("ovsdb-client", &dir, &args);
            server
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_probe_asks_at_its_interval_by_the_server_that_does_it() {
    let Some(lab) = Lab::start() else { return };
    let mut followed = Followed::start(&lab.southbound.unix(), None);
    let nowhere = lab.northbound.socket().with_extension("none");
    let list = format!("unix:{},{}", nowhere.display(), lab.northbound.unix());
    let mut probe = mk_probe(&list);
    let stats = ProbeMetrics::register(&Registry::default()).unwrap();
    let running = {
        let stats = stats.clone();
        tokio::spawn(async move { probe.run(Duration::from_millis(50), &stats, || true).await })
    };
    followed
        .until("it is asked", |f| f.view().nb_cfg() >= Some(3))
        .await;
    // The chassis may know of a probe before its sender does.
    until("the third is counted", || stats.probes.get() >= 3).await;
    running.abort();

    let mut lost = mk_probe(&format!("unix:{}", nowhere.display()));
    assert_eq!(lost.bump().await.unwrap_err().kind(), ErrorKind::Connection);
    let mut wrong = mk_probe(&lab.southbound.unix());
    let error = wrong.bump().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_release_is_the_one_that_northd_says() {
    let Some(lab) = Lab::start() else { return };
    let dir = tempfile::tempdir().unwrap();
    let said = lab.ovn.run("ovn-northd", dir.path(), &["--version"]);
    let release = said.lines().next().unwrap().split_whitespace().last();
    let release = Version::parse(release.unwrap());
    assert!(release.is_some(), "{said}");
    let mut followed = Followed::start(&lab.southbound.unix(), None);
    followed
        .until("northd's release", |f| f.view().northd == release)
        .await;
}

//! What a real southbound database says of chassis, in the verdicts of the filter and of the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use berth::config::{Config, OnStale};
use berth::http::{Metrics, Service};
use berth::metrics::Registry;
use berth::ovn::probe::ProbeMetrics;
use berth::ovn::{ChassisView, ConnectionMetrics, Probe, southbound};
use berth::snapshot::{Changes, ClusterGauges, SouthboundGauges, SouthboundStore, Stores};
use ovsdb::{ClientOptions, Endpoints};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::check::causes::{attach, base};
use crate::check::report;
use crate::ovn_lab::{Lab, Ovn, Server, insert_chassis};
use crate::process::{PATIENCE, Served, berth, get, snapshot};
use crate::support::{Asked, capture_json, cluster, item, until, view};

const NODES: [&str; 4] = ["el9-1", "el9-2", "el9-3", "el9-nochassis"];

/// A southbound database with the chassis that the nodes of the captured cluster claim.
struct Southbound {
    ovn: Ovn,
    server: Server,
    _dir: TempDir,
}

impl Southbound {
    fn start() -> Option<Self> {
        let ovn = Ovn::find()?;
        let dir = tempfile::tempdir().unwrap();
        let mut schema = ovn.schema("OVN_Southbound");
        schema["tables"]["Chassis"]["columns"]["encaps"]["type"]["min"] = json!(0);
        let database = "OVN_Southbound";
        let server = Server::create(&ovn, &dir.path().join("sb"), database, &schema, &[]);
        let southbound = Self {
            ovn,
            server,
            _dir: dir,
        };
        southbound.transact(&[json!({"op": "insert", "table": "SB_Global", "row": {}})]);
        for (number, node) in [(2, "el9-1"), (3, "el9-2"), (4, "el9-3")] {
            let address = format!("127.0.2.{number}");
            southbound.transact(&insert_chassis(&chassis(number), node, &address));
        }
        Some(southbound)
    }

    fn transact(&self, operations: &[Value]) {
        self.server.transact(&self.ovn, operations);
    }

    fn set(&self, table: &str, number: u32, column: &str, value: &Value) {
        let name = [["name", "==", &chassis(number)]];
        self.transact(&[
            json!({"op": "update", "table": table, "where": name, "row": {column: value}}),
        ]);
    }
}

/// The chassis of a captured node.
pub(crate) fn chassis(number: u32) -> String {
    format!("{number:08}-1111-4222-8333-444455556666")
}

/// A service on the captured cluster that follows the database.
pub(crate) struct Following {
    pub(crate) asked: Asked,
    source: SouthboundStore,
    /// How often something new was told that may let a node pass, or not.
    news: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Following {
    pub(crate) fn start(server: &Server, config: &str, stale_after: Duration) -> Self {
        let config = Config::parse(config).unwrap();
        let registry = Registry::default();
        let source = SouthboundStore {
            view: Arc::new(ArcSwap::from_pointee(ChassisView::default())),
            connection: Arc::new(ConnectionMetrics::register(&registry).unwrap()),
            stale_after,
        };
        let options = ClientOptions {
            inactivity: Duration::from_secs(1),
            ..ClientOptions::new(Endpoints::parse("test", &server.unix()).unwrap())
        };
        let spec = southbound::spec(false, config.scoring.locality > 0);
        let (view_of, connection) = (Arc::clone(&source.view), Arc::clone(&source.connection));
        let allowed_lag = config.southbound.allowed_lag.0;
        let news = Arc::new(AtomicUsize::new(0));
        let publish = {
            let news = Arc::clone(&news);
            move |_: &ChassisView| {
                news.fetch_add(1, Ordering::SeqCst);
            }
        };
        let following = southbound::watch(options, spec, allowed_lag, view_of, connection, publish);
        let task = tokio::spawn(following);
        let stores = Stores {
            cluster: Arc::new(ArcSwap::from_pointee(view(&cluster()))),
            southbound: Some(source.clone()),
            changes: Changes::default(),
        };
        let rejects = config.southbound.on_stale == OnStale::Reject;
        let gauges = SouthboundGauges::new(source.clone(), rejects);
        registry.collect(gauges.unwrap()).unwrap();
        let gauges = ClusterGauges::new(stores.clone(), config.policy());
        registry.collect(gauges.unwrap()).unwrap();
        let metrics = Metrics::register(&registry).unwrap();
        let policy = config.policy();
        let service = Service::new(stores, None, None, policy, metrics, &config.limits);
        Self {
            asked: Asked { service, registry },
            source,
            news,
            task,
        }
    }

    /// The reason of each node that does not pass.
    async fn reasons(&self) -> BTreeMap<String, String> {
        let mut args = capture_json("filter-names-migration");
        args["NodeNames"] = json!(NODES);
        let reply = self.asked.ask("/scheduler/filter", args.to_string()).await;
        assert_eq!(reply["Error"], "");
        serde_json::from_value(reply["FailedAndUnresolvableNodes"].clone()).unwrap()
    }

    async fn until(&self, reasons: &[(&str, &str)]) {
        let expect: BTreeMap<String, String> = reasons
            .iter()
            .map(|(node, reason)| ((*node).to_owned(), (*reason).to_owned()))
            .collect();
        let mut last = BTreeMap::new();
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            while last != expect {
                last = self.reasons().await;
                tokio::task::yield_now().await;
            }
        });
        let waited = waited.await;
        assert!(waited.is_ok(), "{last:#?}, not {expect:#?}");
    }

    /// Waits for one verdict, and for no other than the one there is until then.
    async fn only_until(&self, before: &[(&str, &str)], after: &[(&str, &str)]) {
        let map = |reasons: &[(&str, &str)]| {
            let owned = |(node, reason): &(&str, &str)| ((*node).to_owned(), (*reason).to_owned());
            reasons.iter().map(owned).collect::<BTreeMap<_, _>>()
        };
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let reasons = self.reasons().await;
                if reasons == map(after) {
                    break;
                }
                assert_eq!(reasons, map(before));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(waited.await.is_ok(), "{after:?} never came");
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const UNCLAIMED: (&str, &str) = ("el9-nochassis", "OVN chassis not registered");
pub(crate) const PATIENT: Duration = Duration::from_hours(1);

#[tokio::test(flavor = "multi_thread")]
async fn ovn_verdict_follows_what_becomes_of_a_chassis() {
    let Some(southbound) = Southbound::start() else {
        return;
    };
    let following = Following::start(&southbound.server, "southbound: {allowedLag: 1ms}", PATIENT);
    // Until it is read, the database is not held against anybody.
    following.until(&[UNCLAIMED]).await;

    let gone = json!({"op": "delete", "table": "Chassis", "where": [["name", "==", chassis(2)]]});
    southbound.transact(&[gone]);
    southbound.set("Chassis", 3, "hostname", &json!("el9-2.example.com"));
    southbound.set("Chassis", 4, "encaps", &json!(["set", []]));
    let bad = [
        ("el9-1", "OVN chassis not registered"),
        ("el9-2", "OVN chassis identity mismatch"),
        ("el9-3", "OVN chassis has no tunnel endpoint"),
        UNCLAIMED,
    ];
    following.until(&bad).await;
    for node in NODES {
        let ready = format!("berth_chassis_ready{{node=\"{node}\"}}");
        assert_eq!(following.asked.metric(&ready), 0.0, "{node}");
    }
    assert_eq!(following.asked.metric("berth_southbound_connected"), 1.0);
    assert_eq!(following.asked.metric("berth_southbound_chassis"), 2.0);

    // Its Chassis_Private was left.
    let [encap, row, _] = insert_chassis(&chassis(2), "el9-1", "127.0.2.42");
    southbound.transact(&[encap, row]);
    southbound.set("Chassis", 3, "hostname", &json!("el9-2"));
    let rival = insert_chassis("another", "el9-2", "127.0.2.43");
    southbound.transact(&rival);
    following.until(&[bad[1], bad[2], UNCLAIMED]).await;

    // Everyone is asked, and nobody answers.
    let asked = json!({"op": "update", "table": "SB_Global", "where": [], "row": {"nb_cfg": 7}});
    southbound.transact(&[asked]);
    let late = "OVN chassis not responding";
    following
        .until(&[("el9-1", late), bad[1], bad[2], UNCLAIMED])
        .await;
    southbound.set("Chassis_Private", 2, "nb_cfg", &json!(7));
    following.until(&[bad[1], bad[2], UNCLAIMED]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_option_that_keeps_chassis_from_answering_turns_the_check_off_and_rejects_no_node() {
    let Some(southbound) = Southbound::start() else {
        return;
    };
    let following = Following::start(&southbound.server, "southbound: {allowedLag: 1ms}", PATIENT);
    following.until(&[UNCLAIMED]).await;
    let active = |check: &str| {
        let series = format!("berth_check_active{{check=\"{check}\"}}");
        following.asked.metric(&series)
    };
    let lags = |number| {
        let series = format!(
            "berth_chassis_lag_seconds{{chassis=\"{}\"}}",
            chassis(number)
        );
        following.asked.registry.encode().unwrap().contains(&series)
    };
    let global = |row: Value| {
        southbound
            .transact(&[json!({"op": "update", "table": "SB_Global", "where": [], "row": row})]);
    };
    global(json!({"nb_cfg": 7}));
    let late = "OVN chassis not responding";
    let all = [("el9-1", late), ("el9-2", late), ("el9-3", late), UNCLAIMED];
    following.until(&all).await;
    assert_eq!(active("chassis_not_responding"), 1.0);
    assert!(lags(2));

    global(json!({"options": ["map", [["enable_chassis_nb_cfg_update", "false"]]]}));
    following.until(&[UNCLAIMED]).await;
    assert_eq!(active("chassis_not_responding"), 0.0);
    assert_eq!(active("chassis_identity"), 1.0);
    assert!(!lags(2));

    global(json!({"options": ["map", []]}));
    following.until(&all).await;
    assert_eq!(active("chassis_not_responding"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_chassis_that_all_fall_behind_together_reject_no_node_until_one_answers() {
    let Some(southbound) = Southbound::start() else {
        return;
    };
    let config = "southbound: {allowedLag: 200ms}";
    let following = Following::start(&southbound.server, config, PATIENT);
    let asked = |nb_cfg: i64| {
        southbound.transact(&[
            json!({"op": "update", "table": "SB_Global", "where": [], "row": {"nb_cfg": nb_cfg}}),
        ]);
    };
    let answered = |numbers: &[u32], nb_cfg: i64| {
        for number in numbers {
            southbound.set("Chassis_Private", *number, "nb_cfg", &json!(nb_cfg));
        }
    };
    asked(1);
    answered(&[2, 3, 4], 1);
    following.until(&[UNCLAIMED]).await;
    let standstill = || following.asked.metric("berth_southbound_standstill");
    assert_eq!(standstill(), 0.0);
    asked(2);
    until("the standstill", || standstill() > 0.0).await;
    following.only_until(&[], &[UNCLAIMED]).await;
    // One answers, and the others have their time from then.
    answered(&[2], 2);
    let late = "OVN chassis not responding";
    following
        .only_until(&[UNCLAIMED], &[("el9-2", late), ("el9-3", late), UNCLAIMED])
        .await;
    assert_eq!(standstill(), 0.0);
    answered(&[3], 2);
    following
        .only_until(
            &[("el9-2", late), ("el9-3", late), UNCLAIMED],
            &[("el9-3", late), UNCLAIMED],
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_node_that_claims_the_chassis_of_another_zone_is_rejected() {
    let Some(southbound) = Southbound::start() else {
        return;
    };
    let following = Following::start(&southbound.server, "", PATIENT);
    following.until(&[UNCLAIMED]).await;
    let remote = json!(["map", [["is-remote", "true"]]]);
    southbound.set("Chassis", 2, "other_config", &remote);
    let expect = [("el9-1", "OVN chassis identity mismatch"), UNCLAIMED];
    following.until(&expect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_chassis_that_is_killed_is_rejected_when_it_did_not_answer_and_the_others_never_are() {
    let Some(mut lab) = Lab::start() else { return };
    for (number, node) in [(2, "el9-1"), (3, "el9-2"), (4, "el9-3")] {
        lab.add(node, &chassis(number));
    }
    let config = "southbound: {allowedLag: 5s}";
    let following = Following::start(&lab.southbound, config, PATIENT);
    let northbound = Endpoints::parse("test", &lab.northbound.unix()).unwrap();
    let stats = ProbeMetrics::register(&Registry::default()).unwrap();
    let asked = stats.clone();
    let asking = tokio::spawn(async move {
        let mut probe = Probe::new(ClientOptions::new(northbound));
        match probe.run(Duration::from_millis(500), &asked, || true).await {}
    });
    let answer = |number| {
        let view = following.source.view.load();
        view.chassis(&chassis(number))?.nb_cfg
    };
    let all_answer = || (2..5).all(|number| answer(number) > Some(1));
    until("all answer", all_answer).await;
    following.until(&[UNCLAIMED]).await;

    lab.kill_controller("el9-1");
    let last = stats.probes.get();
    let late = ("el9-1", "OVN chassis not responding");
    following.only_until(&[UNCLAIMED], &[late, UNCLAIMED]).await;
    // It was timed from the first question that it could not answer.
    let unanswered = i64::try_from(last).unwrap();
    assert!(answer(2) >= Some(unanswered - 1), "{:?} {last}", answer(2));
    let ready = |node: &str| {
        let series = format!("berth_chassis_ready{{node=\"{node}\"}}");
        following.asked.metric(&series)
    };
    assert_eq!(["el9-1", "el9-2", "el9-3"].map(ready), [0.0, 1.0, 1.0]);

    lab.start_controller("el9-1");
    following.only_until(&[late, UNCLAIMED], &[UNCLAIMED]).await;
    let response = format!(
        "berth_chassis_response_seconds{{chassis=\"{}\"}}",
        chassis(3)
    );
    assert!(following.asked.metric(&response) > 0.0);
    asking.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_database_out_of_reach_is_left_out_or_rejects_every_node() {
    let reject = "southbound: {onStale: Reject}\nguard: {checks: {chassisResponsive: false}}";
    for (config, standing) in [("", "left_out"), (reject, "rejects")] {
        let Some(mut southbound) = Southbound::start() else {
            return;
        };
        southbound.set("Chassis", 3, "hostname", &json!("another"));
        let stale_after = Duration::from_secs(2);
        let following = Following::start(&southbound.server, config, stale_after);
        let fresh = [("el9-2", "OVN chassis identity mismatch"), UNCLAIMED];
        following.until(&fresh).await;
        southbound.server.kill();
        let stale = "OVN southbound database out of reach";
        let all = ["el9-1", "el9-2", "el9-3"].map(|node| (node, stale));
        let rejected = match standing {
            "rejects" => [&all[..], &[UNCLAIMED]].concat(),
            _ => vec![UNCLAIMED],
        };
        following.until(&rejected).await;
        let holds = format!("berth_southbound_standing{{standing=\"{standing}\"}}");
        assert_eq!(following.asked.metric(&holds), 1.0);
        assert_eq!(following.asked.metric("berth_southbound_connected"), 0.0);
        southbound.server.start(&southbound.ovn);
        following.until(&fresh).await;
        assert!(following.source.connection.connections.get() > 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_ports_that_change_are_seen_and_wake_nobody() {
    let Some(southbound) = Southbound::start() else {
        return;
    };
    let following = Following::start(&southbound.server, "", PATIENT);
    let news = || following.news.load(Ordering::SeqCst);
    let holds = async |chassis: usize, ports: usize| {
        let seen = || {
            let view = following.source.view.load();
            (view.count(), view.locality.ports())
        };
        let waited = tokio::time::timeout(Duration::from_secs(30), async {
            while seen() != (chassis, ports) {
                tokio::task::yield_now().await;
            }
        });
        let waited = waited.await;
        assert!(waited.is_ok(), "{:?}", seen());
    };
    holds(3, 0).await;
    // A view is there before it is told of.
    until("the first news", || news() > 0).await;
    let first = news();
    let port = |name: &str| json!({"op": "insert", "table": "Port_Binding", "row": {"logical_port": name, "datapath": ["named-uuid", "d"], "tunnel_key": 1}});
    let switch = |key: u8| json!({"op": "insert", "table": "Datapath_Binding", "uuid-name": "d", "row": {"tunnel_key": key}});
    southbound.transact(&[switch(1), port("a")]);
    southbound.transact(&[switch(2), port("b")]);
    holds(3, 2).await;
    southbound.transact(&insert_chassis("another", "el9-9", "127.0.2.44"));
    holds(4, 2).await;
    until("news of the chassis", || news() > first).await;
    assert_eq!(news(), first + 1, "none of the ports");
}

#[test]
fn ovn_database_is_waited_for_before_berth_is_ready() {
    let Some(mut southbound) = Southbound::start() else {
        return;
    };
    let endpoint = southbound.server.unix();
    southbound.server.kill();
    let served = Served::start(&["--ovn-sb", &endpoint]);
    let missing = "not ready: the southbound database is not replicated yet\n";
    assert_eq!(get(served.admin, "/readyz"), (503, missing.to_owned()));
    southbound.server.start(&southbound.ovn);
    while get(served.admin, "/readyz").0 != 200 {
        std::thread::yield_now();
    }
}

#[test]
fn an_endpoint_that_is_none_is_named() {
    let output = berth()
        .args(["serve", "--ovn-sb", "tcp:ovn-sb", "--snapshot"])
        .arg(snapshot())
        .args(["--tls-cert", "/none", "--tls-key", "/none"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.starts_with("error: ") && said.contains("tcp:ovn-sb") && said.contains("6642"),
        "{said}"
    );
}

#[test]
fn check_finds_a_vm_without_a_port_and_the_targets_on_which_its_network_is_not() {
    let Some(southbound) = Southbound::start() else {
        return;
    };
    let mut cluster = base();
    attach(&mut cluster);
    for (node, number) in [("a", 5), ("b", 6)] {
        let address = format!("127.0.2.{number}");
        southbound.transact(&insert_chassis(&chassis(number), node, &address));
        let annotations = &mut item(&mut cluster, "Node", node)["metadata"]["annotations"];
        annotations["ovn.kubernetes.io/chassis"] = json!(chassis(number));
    }
    let endpoint = southbound.server.unix();
    let of_ports = || {
        let report = report(&cluster, &["--ovn-sb", &endpoint]);
        let items = report["items"].as_array().unwrap().iter();
        let found = items.flat_map(|item| item["findings"].as_array().unwrap());
        let found = found.filter(|found| found["code"].as_str().unwrap().starts_with("BRT03"));
        found
            .map(|found| json!([found["code"], found["nodes"]]))
            .collect::<Vec<Value>>()
    };
    assert_eq!(of_ports(), [json!(["BRT0302", []])]);
    let row = json!({
        "logical_port": "anything",
        "datapath": ["named-uuid", "d"],
        "tunnel_key": 1,
        "external_ids": ["map", [["pod", "default/web"]]],
    });
    let port = json!({"op": "insert", "table": "Port_Binding", "row": row});
    let switch = json!({"op": "insert", "table": "Datapath_Binding", "uuid-name": "d", "row": {"tunnel_key": 1}});
    let on = |number: u32| {
        let name = [["name", "==", &chassis(number)]];
        let select =
            json!({"op": "select", "table": "Chassis", "where": name, "columns": ["_uuid"]});
        let found = southbound.server.transact(&southbound.ovn, &[select]);
        let row = json!({"chassis": found[0]["rows"][0]["_uuid"]});
        json!({"op": "update", "table": "Port_Binding", "where": [], "row": row})
    };
    southbound.transact(&[switch, port, on(5)]);
    assert_eq!(of_ports(), [json!(["BRT0303", ["b"]])]);
    southbound.transact(&[on(6)]);
    assert_eq!(of_ports(), [] as [Value; 0]);
    // As a migration leaves it that nobody has tidied up after (kube-ovn#7419).
    let select = json!({"op": "select", "table": "Chassis", "where": [["name", "==", &chassis(5)]], "columns": ["_uuid"]});
    let found = southbound.server.transact(&southbound.ovn, &[select]);
    let row = json!({"requested_additional_chassis": found[0]["rows"][0]["_uuid"]});
    let pair = json!({"op": "update", "table": "Port_Binding", "where": [], "row": row});
    southbound.transact(&[pair]);
    assert_eq!(of_ports(), [json!(["BRT0309", []])]);
}

//! The bind verb, and the network of a migration on a real OVN: the pair on the VM's ports, warm ports, and
//! what the leader tidies up.

mod faults;
mod gate;
mod kube_ovn;
mod whole;
mod world;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use berth::cluster::ClusterView;
use berth::config::Config;
use berth::continuity::{
    Binder, Keeper, Metrics, PairOutcome, Target, Upholding, WarmOptions, WarmOutcome,
};
use berth::http::{self, Service};
use berth::metrics::Registry;
use berth::snapshot::Stores;
use kube::Client;
use serde_json::{Value, json};

use self::whole::Whole;
use crate::apiserver::{ApiServer, Verb};
use crate::ovn_lab::Lab;
use crate::preparing::Preparing;
use crate::process::berth;
use crate::southbound::chassis;
use crate::support::{Asked, cluster, item, items, until, view};

const KEEP: Duration = Duration::from_mins(10);

pub(crate) const OPTIONS: WarmOptions = WarmOptions {
    coalesce: Duration::from_millis(100),
    min_interval: Duration::from_millis(100),
    max_concurrent: 4,
    timeout: Duration::from_secs(20),
    keep: KEEP,
};

/// The captured cluster: VM `web` runs on `el9-0`, and its migration has no target pod.
pub(crate) fn migrating() -> Value {
    let mut cluster = cluster();
    items(&mut cluster).retain(|item| {
        let labels = &item["metadata"]["labels"];
        item["kind"] != "Pod" || labels["kubevirt.io/migrationJobUID"].is_null()
    });
    for vm in ["other", "nobody"] {
        let mut another = migration_of_web(&mut cluster).clone();
        another["metadata"]["name"] = vm.into();
        another["metadata"]["uid"] = format!("m-{vm}").into();
        another["spec"]["vmiName"] = vm.into();
        items(&mut cluster).push(another);
    }
    cluster
}

pub(crate) fn migration_of_web(cluster: &mut Value) -> &mut Value {
    let mut all = items(cluster).iter_mut();
    all.find(|i| i["kind"] == MIGRATION && i["spec"]["vmiName"] == "web")
        .unwrap()
}

/// The UID of an object of the captured cluster.
pub(crate) fn uid(kind: &str, name: &str) -> String {
    let mut cluster = cluster();
    let uid = &item(&mut cluster, kind, name)["metadata"]["uid"];
    uid.as_str().unwrap().to_owned()
}

const MIGRATION: &str = "VirtualMachineInstanceMigration";

/// The UID of the migration of `web`.
pub(crate) fn migration() -> String {
    let mut cluster = cluster();
    let uid = &migration_of_web(&mut cluster)["metadata"]["uid"];
    uid.as_str().unwrap().to_owned()
}

fn target(vm: &str, node: &str) -> Target {
    Target {
        namespace: "default".to_owned(),
        vm: vm.to_owned(),
        vmi_uid: uid("VirtualMachineInstance", "web"),
        migration: match vm {
            "web" => migration(),
            vm => format!("m-{vm}"),
        },
        node: node.to_owned(),
    }
}

/// A VPC of two switches and two chassis. VM `web` has its port on `s1` and is bound on `el9-0`; VM `other`
/// has its own on `s2` and is bound nowhere.
pub(crate) fn lab() -> Option<Lab> {
    let mut lab = Lab::start()?;
    for (number, node) in (1..).zip(["el9-0", "el9-1", "el9-2"]) {
        lab.add(node, &chassis(number));
    }
    nbctl(
        &lab,
        "lr-add r -- lrp-add r r-s1 00:00:00:00:01:01 10.0.1.1/24 -- lrp-add r r-s2 00:00:00:00:02:01 10.0.2.1/24",
    );
    for switch in ["s1", "s2"] {
        nbctl(
            &lab,
            &format!(
                "ls-add {switch} -- lsp-add {switch} {switch}-r -- lsp-set-type {switch}-r router -- lsp-set-addresses {switch}-r router -- lsp-set-options {switch}-r router-port=r-{switch}"
            ),
        );
    }
    port(&lab, "s1", "web.default", "default/web");
    port(&lab, "s2", "other.default", "default/other");
    lab.plug("el9-0", "web.default");
    lab.nbctl(&["sync"]);
    while !is_up(&lab, "web.default") {
        std::thread::yield_now();
    }
    Some(lab)
}

/// Whether northd says that a port is bound.
fn is_up(lab: &Lab, port: &str) -> bool {
    let select = json!({"op": "select", "table": "Logical_Switch_Port", "where": [["name", "==", port]], "columns": ["up"]});
    lab.northbound.transact(&lab.ovn, &[select])[0]["rows"][0]["up"] == true
}

pub(crate) fn nbctl(lab: &Lab, args: &str) {
    lab.nbctl(&args.split_ascii_whitespace().collect::<Vec<_>>());
}

/// A port as Kube-OVN makes it.
pub(crate) fn port(lab: &Lab, switch: &str, port: &str, pod: &str) {
    nbctl(
        lab,
        &format!(
            "lsp-add {switch} {port} -- set Logical_Switch_Port {port} external_ids:pod={pod} external_ids:vendor=kube-ovn"
        ),
    );
}

/// The options of a port, but for those that are not of a migration.
fn options(lab: &Lab, port: &str) -> [Value; 2] {
    let select = json!({"op": "select", "table": "Logical_Switch_Port", "where": [["name", "==", port]], "columns": ["options"]});
    let found = lab.northbound.transact(&lab.ovn, &[select]);
    let pairs = found[0]["rows"][0]["options"][1]
        .as_array()
        .unwrap()
        .clone();
    ["requested-chassis", "activation-strategy"].map(|key| {
        let pair = pairs.iter().find(|pair| pair[0] == key);
        pair.map_or(Value::Null, |pair| pair[1].clone())
    })
}

/// The names in a table of the northbound database that begin as those of berth do.
fn of_berth(lab: &Lab, table: &str) -> Vec<String> {
    let select = json!({"op": "select", "table": table, "where": [], "columns": ["name"]});
    let found = lab.northbound.transact(&lab.ovn, &[select]);
    let names = found[0]["rows"].as_array().unwrap().iter();
    let names = names.map(|row| row["name"].as_str().unwrap().to_owned());
    let mut names: Vec<_> = names.filter(|name| name.starts_with("berth-")).collect();
    names.sort();
    names
}

/// What berth remembers in the northbound database.
fn records(lab: &Lab) -> usize {
    let select =
        json!({"op": "select", "table": "NB_Global", "where": [], "columns": ["external_ids"]});
    let found = lab.northbound.transact(&lab.ovn, &[select]);
    let pairs = found[0]["rows"][0]["external_ids"][1]
        .as_array()
        .unwrap()
        .clone();
    let keys = pairs.iter().map(|pair| pair[0].as_str().unwrap());
    keys.filter(|key| key.starts_with("berth-")).count()
}

impl Preparing {
    /// A replica on a lab, which knows the VMs of [`lab`].
    async fn on(lab: &Lab, cluster: &Value, options: WarmOptions) -> Self {
        Self::at(lab, &lab.northbound.unix(), cluster, options).await
    }

    /// The same, with another way to the northbound database.
    async fn at(lab: &Lab, northbound: &str, cluster: &Value, options: WarmOptions) -> Self {
        let vms = ["web", "other"];
        Self::start(
            &lab.southbound.unix(),
            northbound,
            view(cluster),
            options,
            &vms,
        )
        .await
    }

    fn keeper(&self, client: Client, upholding: Upholding) -> Keeper {
        Keeper::new(
            self.northbound.clone(),
            Some(client),
            self.stores.clone(),
            upholding,
            self.metrics.clone(),
        )
    }

    fn set_cluster(&self, cluster: &Value) {
        let view: ClusterView = view(cluster);
        self.stores.cluster.store(Arc::new(view));
    }

    fn metric(&self, series: &str) -> f64 {
        let text = self.registry.encode().unwrap();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no series {series} in\n{text}"))
    }
}

async fn client(server: &ApiServer) -> Client {
    let dir = tempfile::tempdir().unwrap();
    let path = server.kubeconfig(dir.path());
    berth::api::connect(Some(&path)).await.unwrap().client
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_first_landing_waits_until_the_chassis_has_the_flows_of_the_vpc() {
    let Some(lab) = lab() else { return };
    let continuity = Preparing::on(&lab, &migrating(), OPTIONS).await;
    assert!(!lab.has_flows("el9-1", "s1") && !lab.has_flows("el9-1", "s2"));

    let prepared = continuity.preparer.prepare(&target("web", "el9-1")).await;
    assert_eq!(prepared, (PairOutcome::Written, WarmOutcome::Warmed));
    assert!(lab.has_flows("el9-1", "s1") && lab.has_flows("el9-1", "s2"));
    assert!(!lab.has_flows("el9-2", "s1"));
    assert_eq!(options(&lab, "web.default"), ["el9-0,el9-1", "rarp"]);
    let warm = of_berth(&lab, "Logical_Switch_Port");
    assert_eq!(warm.len(), 1);
    assert_eq!(of_berth(&lab, "HA_Chassis_Group"), warm);
    assert_eq!(records(&lab), 2);

    // kube-scheduler chooses another node after a bind that failed.
    let elsewhere = continuity.preparer.prepare(&target("web", "el9-2")).await;
    assert_eq!(elsewhere, (PairOutcome::Written, WarmOutcome::Warmed));
    assert_eq!(options(&lab, "web.default"), ["el9-0,el9-2", "rarp"]);
    let back = continuity.preparer.prepare(&target("web", "el9-1")).await;
    assert_eq!(back, (PairOutcome::Written, WarmOutcome::Warmed));
    let warm = of_berth(&lab, "Logical_Switch_Port");
    assert_eq!(warm.len(), 2);

    // Another VM of the VPC finds the port, and so does the same call, which kube-scheduler may repeat.
    let again = continuity.preparer.prepare(&target("web", "el9-1")).await;
    assert_eq!(again, (PairOutcome::Present, WarmOutcome::Warmed));
    let other = continuity.preparer.prepare(&target("other", "el9-1")).await;
    assert_eq!(other, (PairOutcome::NoSource, WarmOutcome::Warmed));
    assert_eq!(of_berth(&lab, "Logical_Switch_Port"), warm);

    // Its port finds all flows there.
    let before = lab.count_flows("el9-1");
    lab.plug("el9-1", "other.default");
    until("the port", || lab.is_installed("el9-1", "other.default")).await;
    assert!(lab.has_flows("el9-1", "s1") && lab.count_flows("el9-1") >= before);

    // The VPC is local where the VM runs.
    let local = continuity.preparer.prepare(&target("other", "el9-0")).await;
    assert_eq!(local, (PairOutcome::NoSource, WarmOutcome::Local));
    let written = "berth_port_pairs_total{outcome=\"written\"}";
    assert_eq!(continuity.metric(written), 3.0);
    assert_eq!(
        continuity.metric("berth_warmings_total{outcome=\"warmed\"}"),
        5.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_two_vms_of_one_vpc_that_land_together_share_a_warm_port() {
    let Some(lab) = lab() else { return };
    let continuity = Preparing::on(&lab, &migrating(), OPTIONS).await;
    let (web, other) = (target("web", "el9-1"), target("other", "el9-1"));
    let (one, two) = tokio::join!(
        continuity.preparer.prepare(&web),
        continuity.preparer.prepare(&other)
    );
    assert_eq!((one.1, two.1), (WarmOutcome::Warmed, WarmOutcome::Warmed));
    assert_eq!(of_berth(&lab, "Logical_Switch_Port").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_underlay_and_options_of_others_are_left_alone() {
    let Some(lab) = lab() else { return };
    nbctl(
        &lab,
        "set Logical_Switch_Port web.default options:requested-chassis=el9-2",
    );
    let continuity = Preparing::on(&lab, &migrating(), OPTIONS).await;
    let (pair, _) = continuity.preparer.prepare(&target("web", "el9-1")).await;
    assert_eq!(pair, PairOutcome::Foreign);
    assert_eq!(options(&lab, "web.default"), [json!("el9-2"), Value::Null]);

    nbctl(
        &lab,
        "lsp-add s1 physical -- lsp-set-type physical localnet -- lsp-set-options physical network_name=p",
    );
    let view = || {
        continuity
            .stores
            .southbound
            .as_ref()
            .unwrap()
            .view
            .load_full()
    };
    until("the localnet port", || {
        let view = view();
        let switches = view.locality.switches_of("default", "web");
        switches.is_some_and(|switches| switches.are_underlay())
    })
    .await;
    let prepared = continuity.preparer.prepare(&target("web", "el9-2")).await;
    assert_eq!(prepared, (PairOutcome::Underlay, WarmOutcome::Underlay));
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_vm_without_a_port_gets_none() {
    let Some(lab) = lab() else { return };
    let before = Whole::read(&lab);
    let continuity = Preparing::on(&lab, &migrating(), OPTIONS).await;
    let unknown = continuity
        .preparer
        .prepare(&target("nobody", "el9-2"))
        .await;
    assert_eq!(unknown, (PairOutcome::Unknown, WarmOutcome::Unknown));
    before.is_back(&lab);
}

/// The captured cluster at an API server.
async fn served(cluster: &Value) -> (ApiServer, Client) {
    let server = ApiServer::start();
    for item in cluster["items"].as_array().unwrap() {
        server.apply(item.clone());
    }
    let client = client(&server).await;
    (server, client)
}

#[tokio::test]
async fn ovn_leader_restores_a_pair_while_the_migration_runs_and_removes_it_after_the_end() {
    let Some(lab) = lab() else { return };
    let mut cluster = migrating();
    let continuity = Preparing::on(&lab, &cluster, OPTIONS).await;
    let (server, client) = served(&cluster).await;
    let mut keeper = continuity.keeper(client, Upholding::while_on(KEEP));
    continuity.preparer.prepare(&target("web", "el9-1")).await;
    let port = "web.default";
    let written = [json!("el9-0,el9-1"), json!("rarp")];
    assert!(keeper.look().await.unwrap());
    assert_eq!(options(&lab, port), written);

    // Deleting any pod of the VM makes Kube-OVN remove both options.
    nbctl(
        &lab,
        "remove Logical_Switch_Port web.default options requested-chassis activation-strategy",
    );
    keeper.look().await.unwrap();
    assert_eq!(options(&lab, port), written);
    assert_eq!(
        continuity.metric("berth_continuity_upkeep_total{action=\"pair_restored\"}"),
        1.0
    );

    // The migration has succeeded, and nobody else finishes the port.
    migration_of_web(&mut cluster)["status"]["phase"] = "Succeeded".into();
    item(&mut cluster, "VirtualMachineInstance", "web")["status"]["nodeName"] = "el9-1".into();
    continuity.set_cluster(&cluster);
    assert!(keeper.look().await.unwrap());
    assert_eq!(options(&lab, port), written, "not at once");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(30)).await;
    tokio::time::resume();
    keeper.look().await.unwrap();
    assert_eq!(
        options(&lab, port),
        written,
        "not before the API server says so"
    );
    for (kind, name) in [(MIGRATION, "web"), ("VirtualMachineInstance", "web")] {
        let changed = items(&mut cluster).iter().find(|item| {
            item["kind"] == kind
                && (item["spec"]["vmiName"] == name || item["metadata"]["name"] == name)
        });
        server.apply(changed.unwrap().clone());
    }
    keeper.look().await.unwrap();
    // Kube-OVN named no chassis before.
    assert_eq!(options(&lab, port), [Value::Null, Value::Null]);
    assert!(!keeper.look().await.unwrap());
    assert_eq!(records(&lab), 1, "that of the warm port");
}

#[tokio::test]
async fn ovn_leader_keeps_the_pair_for_a_migration_that_follows_a_failed_one() {
    let Some(lab) = lab() else { return };
    let mut cluster = migrating();
    nbctl(
        &lab,
        "set Logical_Switch_Port web.default options:requested-chassis=el9-0",
    );
    let continuity = Preparing::on(&lab, &cluster, OPTIONS).await;
    continuity.preparer.prepare(&target("web", "el9-1")).await;

    // The first has failed, nobody has finished the port, and the next one goes to the same node.
    let mut next = migration_of_web(&mut cluster).clone();
    migration_of_web(&mut cluster)["status"]["phase"] = "Failed".into();
    next["metadata"]["name"] = "next".into();
    next["metadata"]["uid"] = "m-next".into();
    items(&mut cluster).push(next);
    continuity.set_cluster(&cluster);
    let (_server, client) = served(&cluster).await;
    let mut keeper = continuity.keeper(client, Upholding::while_on(KEEP));
    let again = Target {
        migration: "m-next".to_owned(),
        ..target("web", "el9-1")
    };
    let written = [json!("el9-0,el9-1"), json!("rarp")];
    for moment in ["before its bind", "after it"] {
        keeper.look().await.unwrap();
        tokio::time::pause();
        tokio::time::advance(Duration::from_mins(1)).await;
        tokio::time::resume();
        keeper.look().await.unwrap();
        assert_eq!(options(&lab, "web.default"), written, "{moment}");
        let (pair, _) = continuity.preparer.prepare(&again).await;
        assert_eq!(pair, PairOutcome::Present, "{moment}");
    }

    // What was there before comes back after the last.
    for item in items(&mut cluster).iter_mut() {
        if item["metadata"]["uid"] == "m-next" {
            item["status"]["phase"] = "Failed".into();
        }
    }
    continuity.set_cluster(&cluster);
    let (_server, client) = served(&cluster).await;
    let mut keeper = continuity.keeper(client, Upholding::at_once());
    keeper.look().await.unwrap();
    assert_eq!(options(&lab, "web.default"), [json!("el9-0"), Value::Null]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_pair_is_not_restored_once_the_vm_has_arrived() {
    let Some(lab) = lab() else { return };
    let mut cluster = migrating();
    let continuity = Preparing::on(&lab, &cluster, OPTIONS).await;
    continuity.preparer.prepare(&target("web", "el9-1")).await;
    let vmi = item(&mut cluster, "VirtualMachineInstance", "web");
    vmi["status"]["migrationState"] = json!({
        "migrationUid": migration(),
        "targetNodeDomainReadyTimestamp": "2026-01-01T00:00:00Z",
    });
    let (_server, client) = served(&cluster).await;
    let mut keeper = continuity.keeper(client, Upholding::while_on(KEEP));
    nbctl(
        &lab,
        "remove Logical_Switch_Port web.default options requested-chassis activation-strategy",
    );
    keeper.look().await.unwrap();
    assert_eq!(options(&lab, "web.default"), [Value::Null, Value::Null]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_pod_that_only_looks_like_a_target_and_a_node_that_ovn_does_not_find_get_no_pair() {
    let Some(mut lab) = lab() else { return };
    lab.add("el9-3.example.com", &chassis(4));
    lab.nbctl(&["sync"]);
    let continuity = Preparing::on(&lab, &migrating(), OPTIONS).await;
    let forged = Target {
        migration: "m-other".to_owned(),
        ..target("web", "el9-1")
    };
    let prepared = continuity.preparer.prepare(&forged).await;
    assert_eq!(
        prepared,
        (PairOutcome::NoMigration, WarmOutcome::NoMigration)
    );
    let (pair, _) = continuity.preparer.prepare(&target("web", "el9-3")).await;
    assert_eq!(pair, PairOutcome::Unresolved);
    assert_eq!(options(&lab, "web.default"), [Value::Null, Value::Null]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_leader_deletes_warm_ports_that_no_migration_needs_also_those_of_a_replica_that_is_gone()
 {
    let Some(lab) = lab() else { return };
    let cluster = migrating();
    let (_server, client) = served(&cluster).await;
    let before = Preparing::on(&lab, &cluster, OPTIONS).await;
    before.preparer.prepare(&target("web", "el9-1")).await;
    drop(before);

    let continuity = Preparing::on(&lab, &cluster, OPTIONS).await;
    let mut keeper = continuity.keeper(client.clone(), Upholding::while_on(KEEP));
    keeper.look().await.unwrap();
    assert_eq!(of_berth(&lab, "Logical_Switch_Port").len(), 1);
    assert_eq!(continuity.metric("berth_warm_ports"), 1.0);

    let mut keeper = continuity.keeper(client, Upholding::after_off());
    keeper.look().await.unwrap();
    assert!(of_berth(&lab, "Logical_Switch_Port").is_empty());
    assert_eq!(
        of_berth(&lab, "HA_Chassis_Group").len(),
        1,
        "in a later transaction"
    );
    keeper.look().await.unwrap();
    assert!(of_berth(&lab, "HA_Chassis_Group").is_empty());
    assert_eq!(records(&lab), 1, "that of the pair, whose migration runs");
}

/// The target pod of `web`, not bound yet.
fn pod(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": format!("uid-of-{name}"),
            "labels": labels,
            "ownerReferences": [{
                "apiVersion": "kubevirt.io/v1",
                "kind": "VirtualMachineInstance",
                "name": "web",
                "uid": uid("VirtualMachineInstance", "web"),
                "controller": true,
            }],
        },
        "spec": {"containers": [{"name": "compute", "image": "launcher"}]},
    })
}

fn call(pod: &str, node: &str) -> String {
    let args = json!({"PodName": pod, "PodNamespace": "default", "PodUID": format!("uid-of-{pod}"), "Node": node});
    args.to_string()
}

/// The routes with a binder.
fn asked(stores: Stores, binder: Option<Binder>) -> Asked {
    let registry = Registry::default();
    let config = Config::default();
    let metrics = http::Metrics::register(&registry).unwrap();
    let service = Service::new(
        stores,
        None,
        binder,
        config.policy(),
        metrics,
        &config.limits,
    );
    Asked { service, registry }
}

fn node_of(server: &ApiServer, pod: &str) -> Value {
    server.get("pods", Some("default"), pod).unwrap()["spec"]["nodeName"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn bind_is_done_once_and_said_to_be_done_when_it_is_asked_for_again() {
    let (server, client) = served(&migrating()).await;
    let launcher = json!({"kubevirt.io": "virt-launcher"});
    for name in ["one", "two"] {
        server.apply(pod(name, &launcher));
    }
    let metrics = Metrics::register(&Registry::default()).unwrap();
    let binder = Binder::new(client, None, metrics);
    let stores = Stores::from(Arc::new(ArcSwap::from_pointee(view(&migrating()))));
    let asked = asked(stores, Some(binder));
    let bound = json!({"Error": ""});
    let bind = |pod, node| asked.ask("/scheduler/bind", call(pod, node));
    assert_eq!(bind("one", "el9-1").await, bound);
    assert_eq!(node_of(&server, "one"), "el9-1");
    assert_eq!(bind("one", "el9-1").await, bound, "again");
    for (pod, node, expect) in [
        (
            "one",
            "el9-2",
            "berth: pod default/one is bound to node el9-1 already, not to el9-2",
        ),
        (
            "gone",
            "el9-1",
            "berth: pod default/gone can't be bound to node el9-1: pods \"gone\" not found",
        ),
        (
            "../two",
            "el9-1",
            "berth: PodName of the call is not the name of an object: \"../two\"",
        ),
    ] {
        let answer = bind(pod, node).await;
        assert!(
            answer["Error"].as_str().unwrap().starts_with(expect),
            "{answer}"
        );
    }
    server.deny(Verb::Create, "pods/binding");
    let denied = bind("two", "el9-1").await;
    let denied = denied["Error"].as_str().unwrap();
    assert!(denied.contains("component `continuity`"), "{denied}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bind_without_an_api_server_says_so() {
    let stores = Stores::from(Arc::new(ArcSwap::from_pointee(view(&migrating()))));
    let asked = asked(stores, None);
    let answer = asked.ask("/scheduler/bind", call("one", "el9-1")).await;
    assert_eq!(
        answer["Error"],
        "berth: it decides on a snapshot and has no API server; leave bindVerb out of kube-scheduler's configuration"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_bind_of_a_target_prepares_its_network_and_of_another_pod_does_not() {
    let Some(lab) = lab() else { return };
    let (server, client) = served(&migrating()).await;
    let labels =
        json!({"kubevirt.io": "virt-launcher", "kubevirt.io/migrationJobUID": migration()});
    server.apply(pod("target", &labels));
    server.apply(pod("new", &json!({"kubevirt.io": "virt-launcher"})));
    let continuity = Preparing::on(&lab, &migrating(), OPTIONS).await;
    let binder = Binder::new(
        client,
        Some(continuity.preparer.clone()),
        continuity.metrics.clone(),
    );
    let asked = asked(continuity.stores.clone(), Some(binder));
    let bound = json!({"Error": ""});
    let new = asked.ask("/scheduler/bind", call("new", "el9-2")).await;
    assert_eq!(
        (new, node_of(&server, "new")),
        (bound.clone(), json!("el9-2"))
    );
    assert!(of_berth(&lab, "Logical_Switch_Port").is_empty());
    let target = asked.ask("/scheduler/bind", call("target", "el9-1")).await;
    assert_eq!(
        (target, node_of(&server, "target")),
        (bound, json!("el9-1"))
    );
    assert_eq!(options(&lab, "web.default"), ["el9-0,el9-1", "rarp"]);
    assert_eq!(of_berth(&lab, "Logical_Switch_Port").len(), 1);
    assert_eq!(
        continuity.metric("berth_binds_total{outcome=\"bound\"}"),
        2.0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_cleanup_shows_what_is_left_over_and_deletes_it_with_apply() {
    let Some(lab) = lab() else { return };
    let before = Whole::read(&lab);
    let mut cluster = migrating();
    let (server, _) = served(&cluster).await;
    let continuity = Preparing::on(&lab, &cluster, OPTIONS).await;
    continuity.preparer.prepare(&target("web", "el9-1")).await;
    drop(continuity);
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = server.kubeconfig(dir.path());
    let run = |flags: &[&str]| {
        let mut command = berth();
        command.args([
            "cleanup",
            "--ovn-nb",
            &lab.northbound.unix(),
            "--kubeconfig",
        ]);
        let output = command.arg(&kubeconfig).args(flags).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said, told)
    };
    let name = of_berth(&lab, "Logical_Switch_Port").remove(0);
    let shown = format!(
        "warm port {name} on chassis {}\nHA group  {name}\nport pair el9-0,el9-1 of VM default/web",
        chassis(2)
    );
    let (code, said, _) = run(&[]);
    let running = format!(
        "{shown}, whose migration is under way: it stays\n2 to delete; --apply deletes them, and a berth that prepares migrations makes warm ports again\n"
    );
    assert_eq!((code, said), (1, running));

    // The target pod is gone, and the migration has failed.
    let migration = migration_of_web(&mut cluster);
    migration["status"]["phase"] = "Failed".into();
    server.apply(migration.clone());
    let (code, said, _) = run(&["--apply"]);
    assert_eq!(
        (code, said),
        (0, format!("{shown}\n3 deleted, 0 left over\n"))
    );
    before.is_back(&lab);
    let (code, said, _) = run(&[]);
    let nothing = "nothing of berth is left over in the northbound database\n";
    assert_eq!((code, said.as_str()), (0, nothing));

    server.deny(Verb::List, "virtualmachineinstances");
    let (code, _, told) = run(&[]);
    assert_eq!(code, 3);
    assert!(
        told.contains("which pairs of chassis are still needed"),
        "{told}"
    );
}

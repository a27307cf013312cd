//! Migrations that are observed on a real OVN: their timelines, what is found wrong, Events, and `berth watch`.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use berth::continuity::{History, Observer, Told};
use berth::decide::continuity::timeline::News;
use serde_json::{Value, json};

use crate::apiserver::ApiServer;
use crate::continuity::{OPTIONS, lab, migrating, migration, migration_of_web, nbctl, port, uid};
use crate::live_process::{series, wait_for};
use crate::ovn_lab::{Lab, Server};
use crate::preparing::Preparing;
use crate::process::{Served, berth, get};
use crate::support::{item, items, until, view};

const VMI: &str = "VirtualMachineInstance";

/// The target pod of the migration of `web`, bound to this node.
fn target_pod(node: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "virt-launcher-web-target",
            "namespace": "default",
            "uid": "t",
            "creationTimestamp": "2026-11-21T02:24:25Z",
            "labels": {"kubevirt.io": "virt-launcher", "kubevirt.io/migrationJobUID": migration()},
            "ownerReferences": [{"apiVersion": "kubevirt.io/v1", "kind": VMI, "name": "web", "uid": uid(VMI, "web"), "controller": true}],
        },
        "spec": {"nodeName": node, "containers": []},
        "status": {"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-21T02:24:26Z"}]},
    })
}

/// The VMI `web` with this state of its migration.
fn vmi(cluster: &mut Value, state: Value) -> Value {
    let vmi = item(cluster, VMI, "web");
    vmi["status"]["migrationState"] = state;
    vmi["status"]["migrationState"]["migrationUid"] = migration().into();
    if vmi["status"]["migrationState"]["completed"] == true {
        vmi["status"]["nodeName"] = "el9-1".into();
    }
    vmi.clone()
}

/// Migration is asked for, as Kube-OVN does.
fn pair(lab: &Lab, pair: &str) {
    nbctl(
        lab,
        &format!("lsp-set-options web.default requested-chassis={pair} activation-strategy=rarp"),
    );
}

/// The port is the target's alone, as Kube-OVN does after a migration.
fn finish(lab: &Lab, node: &str) {
    nbctl(
        lab,
        &format!("lsp-set-options web.default requested-chassis={node}"),
    );
}

fn serve(kubeconfig: &Path, dir: &Path, lab: &Lab) -> Served {
    let config = json!({
        "southbound": {
            "endpoints": lab.southbound.unix(),
            "probe": {"endpoints": lab.northbound.unix(), "interval": "1s"},
        },
        "nodeCondition": {"publish": false},
        "lease": {"leaderElection": "Always", "duration": "10s"},
        "shutdown": {"delay": "1s"},
    });
    let path = dir.join("berth.yaml");
    fs::write(&path, config.to_string()).unwrap();
    Served::start_on(&[
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--config",
        path.to_str().unwrap(),
    ])
}

/// `berth watch web`, as it runs.
struct Watching {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    seen: Vec<String>,
}

impl Watching {
    fn start(kubeconfig: &Path, lab: &Lab, format: &str) -> Self {
        let mut command = berth();
        command.args([
            "watch",
            "web",
            "-n",
            "default",
            "-o",
            format,
            "--kubeconfig",
        ]);
        command.arg(kubeconfig);
        command.args([
            "--ovn-sb",
            &lab.southbound.unix(),
            "--ovn-nb",
            &lab.northbound.unix(),
        ]);
        command.args(["--timeout", "60s"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Reads up to a line with this text.
    fn until(&mut self, text: &str) {
        while !self.seen.last().is_some_and(|line| line.contains(text)) {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap();
            assert!(read > 0, "no {text:?} in {:#?}", self.seen);
            self.seen.push(line.trim_end().to_owned());
        }
    }

    /// All lines, and the exit code.
    fn end(mut self) -> (Vec<String>, i32) {
        let rest = self.lines.lines().map(Result::unwrap);
        self.seen.extend(rest);
        (self.seen, self.child.wait().unwrap().code().unwrap())
    }
}

#[test]
fn ovn_migration_is_told_by_events_metrics_and_watch_from_its_creation_to_its_end() {
    let Some(lab) = lab() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start();
    let mut cluster = migrating();
    items(&mut cluster).retain(|item| {
        item["metadata"]["uid"]
            .as_str()
            .is_none_or(|uid| !uid.starts_with("m-"))
    });
    for item in items(&mut cluster) {
        server.apply(item.clone());
    }
    let kubeconfig = server.kubeconfig(dir.path());
    let berth = serve(&kubeconfig, dir.path(), &lab);
    wait_for("the lease", || series(&berth, "berth_lease_held") == "1");
    let mut watched = Watching::start(&kubeconfig, &lab, "table");
    let mut streamed = Watching::start(&kubeconfig, &lab, "json");
    watched.until("created");

    pair(&lab, "el9-0,el9-1");
    server.apply(target_pod("el9-1"));
    watched.until("target pod bound to el9-1");
    lab.plug("el9-1", "web.default");
    watched.until("both ends ready");
    server.apply(vmi(
        &mut cluster,
        json!({"targetNodeDomainReadyTimestamp": "2026-11-21T02:24:40Z"}),
    ));
    watched.until("VM on the target");
    server.apply(vmi(
        &mut cluster,
        json!({"targetNodeDomainReadyTimestamp": "2026-11-21T02:24:40Z", "completed": true}),
    ));
    finish(&lab, "el9-1");
    let ended = migration_of_web(&mut cluster);
    ended["status"]["phase"] = "Succeeded".into();
    server.apply(ended.clone());
    watched.until("right at both ends");
    assert_told(watched.end());

    streamed.until("\"outcome\"");
    let (lines, code) = streamed.end();
    assert_eq!(code, 1);
    let last: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
    let shown = [
        "namespace",
        "vm",
        "source",
        "target",
        "pairWrittenBy",
        "outcome",
    ]
    .map(|key| &last[key]);
    assert_eq!(
        shown,
        ["default", "web", "el9-0", "el9-1", "other", "confirmed"]
    );

    assert_counted(&berth, &server);
}

/// What `berth watch` has said of it, and its exit code.
fn assert_told((lines, code): (Vec<String>, i32)) {
    assert_eq!(
        code, 1,
        "OVN of Debian says too early that a port is installed: {lines:#?}"
    );
    let words: Vec<&str> = lines
        .iter()
        .filter_map(|line| line.split_once(" s    ").map(|(_, text)| text))
        .collect();
    let expect = [
        "created",
        "target pod made",
        "target pod bound to el9-1",
        "ports name both chassis",
        "ports bound on the target as well",
        "flows on the target",
        "both ends ready",
        "VM on the target",
        "VM announced on the target",
        "ports moved to the target",
        "ports name one chassis",
        "done",
    ];
    let is_expected = |word: &&&str| expect.contains(*word);
    let mut found: Vec<&str> = words.iter().filter(is_expected).copied().collect();
    found.sort_unstable();
    let mut all = expect.to_vec();
    all.sort_unstable();
    assert_eq!(found, all, "{lines:#?}");
    let finding = lines.iter().find(|line| line.contains("BRT0314"));
    assert!(finding.is_some(), "{lines:#?}");
    let last = lines[lines.len() - 2..].join(" ");
    assert_eq!(
        last,
        "√ the VM is on the target, and its network was right at both ends; Kube-OVN wrote the pair of   chassis"
    );
}

/// What the service has counted, written and kept.
fn assert_counted(berth: &Served, server: &ApiServer) {
    wait_for("the end", || {
        series(berth, "berth_cutovers_total{outcome=\"confirmed\"}") == "1"
    });
    assert_eq!(
        series(berth, "berth_cutover_findings_total{code=\"BRT0314\"}"),
        "1"
    );
    wait_for("the Events", || {
        series(berth, "berth_events_total{outcome=\"written\"}") == "2"
    });
    let (_, events) = get(server.address(), "/api/v1/namespaces/default/events");
    let events: Value = serde_json::from_str(&events).unwrap();
    let mut bodies = events["items"].as_array().unwrap().clone();
    bodies.sort_by_key(|event| event["reason"].to_string());
    bodies.reverse();
    let reasons: Vec<_> = bodies
        .iter()
        .map(|event| {
            [
                &event["type"],
                &event["reason"],
                &event["involvedObject"]["kind"],
            ]
        })
        .collect();
    let kind = json!("VirtualMachineInstanceMigration");
    assert_eq!(
        reasons,
        [
            [&json!("Warning"), &json!("FlowsLate"), &kind],
            [&json!("Normal"), &json!("CutoverConfirmed"), &kind]
        ]
    );
    let (status, text) = get(berth.admin, "/migrations");
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200);
    assert_eq!(list["kind"], "MigrationTimelineList");
    let under_way = list["underWay"].as_array().unwrap();
    let under_way: Vec<_> = under_way.iter().map(|one| &one["name"]).collect();
    assert_eq!(under_way, ["mig-legacy"]);
    assert_eq!(list["ended"][0]["outcome"], "confirmed");
    assert_eq!(list["ended"][0]["findings"][0]["code"], "BRT0314");
}

/// An observer of this cluster on a real OVN, with a clock of the test.
struct Watched {
    berth: Preparing,
    observer: Observer,
    now: Duration,
}

impl Watched {
    async fn start(lab: &Lab, cluster: &Value) -> Self {
        let [southbound, northbound] = [&lab.southbound, &lab.northbound].map(Server::unix);
        let berth =
            Preparing::start(&southbound, &northbound, view(cluster), OPTIONS, &["web"]).await;
        let source = berth.stores.southbound.as_ref().unwrap();
        until("the port on its chassis", || {
            let view = source.view.load();
            view.locality
                .chassis_of("default", "web")
                .any(|chassis| chassis.is_some())
        })
        .await;
        Self {
            observer: Observer::new(berth.stores.clone(), None, History::default()),
            berth,
            now: Duration::from_secs(1_000_000),
        }
    }

    fn set_cluster(&self, cluster: &Value) {
        self.berth.stores.cluster.store(Arc::new(view(cluster)));
    }

    /// Waits until the number of ports that name or hold two chassis is this one.
    async fn paired(&self, count: usize) {
        let source = self.berth.stores.southbound.as_ref().unwrap();
        until("the pair", || {
            source.view.load().locality.paired().count() == count
        })
        .await;
    }

    /// The codes that are found so many seconds later.
    fn after(&mut self, seconds: u64) -> Vec<&'static str> {
        self.now += Duration::from_secs(seconds);
        let mut found = Vec::new();
        self.observer.look(self.now, |told| match told {
            Told::Migration(_, News::Found(finding)) => found.push(finding.cause.row().code),
            Told::Stale { .. } => found.push("BRT0309"),
            Told::Migration(..) => {}
        });
        found
    }
}

fn bound() -> Value {
    let mut cluster = migrating();
    items(&mut cluster).push(target_pod("el9-1"));
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_port_that_is_never_prepared_is_found_five_seconds_after_the_bind() {
    let Some(lab) = lab() else { return };
    let mut watched = Watched::start(&lab, &bound()).await;
    let mut late = target_pod("el9-1");
    let mut cluster = migrating();
    late["status"]["conditions"] = json!([]);
    items(&mut cluster).push(late);
    watched.set_cluster(&cluster);
    assert_eq!(watched.after(0), [""; 0]);
    assert_eq!(watched.after(4), [""; 0]);
    assert_eq!(watched.after(1), ["BRT0307"]);
    assert_eq!(watched.after(1), [""; 0], "it is said once");
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_pair_that_is_removed_in_the_middle_is_found_and_so_is_one_that_is_left() {
    let Some(lab) = lab() else { return };
    let mut watched = Watched::start(&lab, &bound()).await;
    pair(&lab, "el9-0,el9-1");
    watched.paired(1).await;
    assert_eq!(watched.after(0), [""; 0]);
    // As Kube-OVN does when any pod of the VM is deleted.
    nbctl(&lab, "clear Logical_Switch_Port web.default options");
    watched.paired(0).await;
    assert_eq!(watched.after(1), [""; 0]);
    assert_eq!(watched.after(2), ["BRT0308"]);

    // Written again, and left when the migration is gone.
    pair(&lab, "el9-0,el9-1");
    watched.paired(1).await;
    let mut cluster = bound();
    migration_of_web(&mut cluster)["status"]["phase"] = "Failed".into();
    watched.set_cluster(&cluster);
    assert_eq!(watched.after(1), [""; 0]);
    assert_eq!(watched.after(5), [""; 0], "it has failed");
    assert_eq!(watched.after(60), [""; 0], "the timeline is closed");
    assert_eq!(watched.after(1), [""; 0]);
    assert_eq!(watched.after(59), ["BRT0309"]);
    finish(&lab, "el9-0");
    watched.paired(0).await;
    assert_eq!(watched.after(1), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_port_that_stays_behind_after_success_is_found() {
    let Some(lab) = lab() else { return };
    let mut watched = Watched::start(&lab, &bound()).await;
    pair(&lab, "el9-0,el9-1");
    watched.paired(1).await;
    assert_eq!(watched.after(0), [""; 0]);
    let mut cluster = bound();
    vmi(
        &mut cluster,
        json!({"targetNodeDomainReadyTimestamp": "2026-11-21T02:24:40Z", "completed": true}),
    );
    watched.set_cluster(&cluster);
    assert_eq!(watched.after(1), [""; 0]);
    assert_eq!(watched.after(9), [""; 0]);
    assert_eq!(watched.after(1), ["BRT0311"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ovn_port_with_the_address_of_another_is_named() {
    let Some(lab) = lab() else { return };
    let watched = Watched::start(&lab, &migrating()).await;
    let northbound = &watched.berth.northbound;
    // `lsp-set-addresses` refuses an address that is there already.
    let set = |port: &str, addresses: &str| {
        lab.nbctl(&[
            "set",
            "Logical_Switch_Port",
            port,
            &format!("addresses=\"{addresses}\""),
        ]);
    };
    set("web.default", "00:00:00:00:00:07 10.0.1.7");
    let ports = northbound.ports_of("default", "web").await.unwrap();
    assert_eq!(northbound.twins_of(&ports).await.unwrap(), []);
    // As Kube-OVN does with --keep-vm-ip=false (kube-ovn#6634).
    port(
        &lab,
        "s1",
        "virt-launcher-web-target.default",
        "default/virt-launcher-web-target",
    );
    set(
        "virt-launcher-web-target.default",
        "00:00:00:00:00:07 10.0.1.7",
    );
    let twin = |port: &str, twin: &str| (port.to_owned(), twin.to_owned());
    assert_eq!(
        northbound.twins_of(&ports).await.unwrap(),
        [twin("web.default", "virt-launcher-web-target.default")]
    );
    // Words of OVN are no addresses.
    for name in ["web.default", "virt-launcher-web-target.default"] {
        set(name, "unknown");
    }
    let ports = northbound.ports_of("default", "web").await.unwrap();
    assert_eq!(northbound.twins_of(&ports).await.unwrap(), []);
}

//! `berth serve` on a live cluster: what it says and shows while it gets to know it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::apiserver::{ApiServer, Fault, Verb};
use crate::live::{captured, load};
use crate::process::{PATIENCE, Served, berth, get};

fn serve_on(server: &ApiServer, dir: &Path) -> Served {
    let kubeconfig = server.kubeconfig(dir);
    Served::start_on(&["--kubeconfig", kubeconfig.to_str().unwrap()])
}

pub(crate) fn series(served: &Served, name: &str) -> String {
    let (_, metrics) = get(served.admin, "/metrics");
    let value = metrics.lines().find_map(|line| line.strip_prefix(name));
    value
        .unwrap_or_else(|| panic!("no {name}"))
        .trim()
        .to_owned()
}

#[track_caller]
pub(crate) fn wait_for(what: &str, is_true: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn it_is_ready_once_every_kind_was_listed_and_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start();
    load(&server);
    for resource in ["nodes", "virtualmachineinstances"] {
        server.fail(Fault::hang().verb(Verb::List).resource(resource));
    }
    let served = serve_on(&server, dir.path());
    let missing = "not ready: the cluster view is not complete yet (waiting for node, vmi)\n";
    wait_for("the other kinds", || {
        get(served.admin, "/readyz") == (503, missing.to_owned())
    });
    assert_eq!(series(&served, r#"berth_cluster_synced{kind="node"}"#), "0");
    assert_eq!(
        series(&served, r#"berth_cluster_synced{kind="namespace"}"#),
        "1"
    );
    server.heal();
    let line = served.line("the cluster view is complete");
    assert_eq!((&line["nodes"], &line["vmis"]), (&json!(9), &json!(3)));
    wait_for("ready", || get(served.admin, "/readyz").0 == 200);
    assert_eq!(
        series(&served, r#"berth_watch_lists_total{kind="node"}"#),
        "1"
    );
}

#[test]
fn with_a_kubeconfig_it_looks_and_changes_nothing_unless_it_is_told_to() {
    for (election, writes) in [("Auto", false), ("Always", true), ("Never", false)] {
        let dir = tempfile::tempdir().unwrap();
        let server = ApiServer::start();
        load(&server);
        let config = dir.path().join("berth.yaml");
        let text = format!("lease: {{leaderElection: {election}}}\nshutdown: {{delay: 1ms}}\n");
        fs::write(&config, text).unwrap();
        let kubeconfig = server.kubeconfig(dir.path());
        let flags = ["--kubeconfig", kubeconfig.to_str().unwrap(), "--config"];
        let served = Served::start_on(&[&flags[..], &[config.to_str().unwrap()]].concat());
        if writes {
            served.line("this replica holds the lease");
        } else {
            wait_for("ready", || get(served.admin, "/readyz").0 == 200);
            let (_, metrics) = get(served.admin, "/metrics");
            assert!(!metrics.contains("berth_lease"), "{election}");
        }
        served.signal("TERM");
        assert!(served.wait().success());
        let reads = [Verb::Get, Verb::List, Verb::Watch];
        let written = server.count(|request| !reads.contains(&request.verb));
        assert_eq!(written > 0, writes, "{election}");
        let leases = server.count(|request| request.resource == "leases");
        assert_eq!(leases > 0, writes, "{election}");
    }
}

#[test]
fn who_does_not_know_everything_yet_does_nothing_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start();
    load(&server);
    server.fail(Fault::hang().verb(Verb::List).resource("nodes"));
    let config = dir.path().join("berth.yaml");
    fs::write(&config, "lease: {leaderElection: Always}").unwrap();
    let kubeconfig = server.kubeconfig(dir.path());
    let served = Served::start_on(&[
        "--kubeconfig",
        kubeconfig.to_str().unwrap(),
        "--config",
        config.to_str().unwrap(),
    ]);
    let missing = "not ready: the cluster view is not complete yet (waiting for node)\n";
    wait_for("the other kinds", || {
        get(served.admin, "/readyz") == (503, missing.to_owned())
    });
    assert_eq!(server.count(|request| request.resource == "leases"), 0);
    server.heal();
    served.line("this replica holds the lease");
}

#[test]
fn once_ready_it_stays_so_while_nobody_answers() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ApiServer::start();
    load(&server);
    let served = serve_on(&server, dir.path());
    served.line("the cluster view is complete");
    server.stop();
    let line = served.line_that("a warning", |line| line["level"] == "WARN");
    assert_eq!(line["cause"], "connection");
    let message = line["message"].as_str().unwrap();
    // Reset or refused, by when the watch broke.
    assert!(
        message.starts_with("the watch fails, and its last data stay in use: "),
        "{message}"
    );
    wait_for("every kind", || {
        let (_, metrics) = get(served.admin, "/metrics");
        let failing = metrics
            .lines()
            .filter(|line| line.starts_with("berth_watch_failing{"));
        failing.filter(|line| line.ends_with(" 1")).count() == 7
    });
    assert_eq!(get(served.admin, "/readyz").0, 200);
    assert_eq!(
        series(&served, r#"berth_cluster_objects{kind="node"}"#),
        "9"
    );
}

const FORBIDDEN: &str = "nodes is forbidden: User \"system:serviceaccount:kube-system:berth\" cannot list resource \"nodes\" in API group \"\" at the cluster scope (status 403); apply the ClusterRole berth-view of berth's manifests";

#[test]
fn what_rbac_does_not_allow_is_named_in_the_log_and_keeps_it_unready() {
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start();
    load(&server);
    server.deny(Verb::List, "nodes");
    let served = serve_on(&server, dir.path());
    let line = served.line_that("a warning", |line| line["level"] == "WARN");
    assert_eq!(
        (&line["kind"], &line["cause"], &line["message"]),
        (
            &json!("node"),
            &json!("forbidden"),
            &json!(format!("can't list nodes yet: {FORBIDDEN}"))
        )
    );
    let missing = format!(
        "not ready: the cluster view is not complete yet (waiting for node: {FORBIDDEN})\n"
    );
    wait_for("the other kinds", || {
        get(served.admin, "/readyz") == (503, missing.clone())
    });
    server.allow(Verb::List, "nodes");
    served.line("the cluster view is complete");
}

#[test]
fn a_check_that_the_cluster_begins_to_show_is_said_to_be_on() {
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start();
    let mut node = captured("Node", "old-nolabels");
    server.apply(node.clone());
    let served = serve_on(&server, dir.path());
    let is_said = |level: &'static str| {
        move |line: &Value| line["level"] == level && line["check"] == "machine_type"
    };
    served.line_that("the check is off", is_said("WARN"));
    node["metadata"]["labels"]["machine-type.node.kubevirt.io/q35"] = json!("true");
    server.apply(node);
    served.line_that("the check is on", is_said("INFO"));
    assert_eq!(
        series(&served, r#"berth_check_active{check="machine_type"}"#),
        "1"
    );
}

/// A kubeconfig of one context, for this cluster and this user.
fn kubeconfig(cluster: &Value, user: &Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    })
    .to_string()
}

/// Starts it with a kubeconfig of this text and checks what is said of that.
#[track_caller]
fn check_kubeconfig(text: &str, expect: &str) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kubeconfig");
    fs::write(&path, text).unwrap();
    let output = berth()
        .args(["serve", "--kubeconfig"])
        .arg(&path)
        .args(["--tls-cert", "/none", "--tls-key", "/none"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let path = path.display();
    assert_eq!(said, format!("error: --kubeconfig {path}: {expect}\n"));
}

#[test]
fn a_cluster_that_shows_only_a_part_is_named_once_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start();
    let mut unlabelled = captured("Node", "old-nolabels");
    server.apply(unlabelled.clone());
    server.apply(captured("Node", "el9-1"));
    server.apply(captured("Pod", "kube-ovn-cni-el9-11"));
    let served = serve_on(&server, dir.path());
    let said = |level: &str, check: &str, message: &str| {
        let line = served.line_that(message, |line| line["check"] == check);
        assert_eq!(
            (&line["level"], &line["message"]),
            (&json!(level), &json!(message))
        );
    };
    said(
        "WARN",
        "agents_not_ready",
        "no ovs-ovn pod is in the cluster: nodes pass the agents check without one (agents.whenUnseen, agents.namespace)",
    );
    said(
        "INFO",
        "machine_type",
        "1 of 2 nodes carry machine-type labels: the others are no target of a migration until KubeVirt has labelled them (machineType.whenUnlabelled: Allow lets them pass)",
    );
    let required = |agent: &str| {
        series(
            &served,
            &format!("berth_agent_required{{agent=\"{agent}\"}}"),
        )
    };
    assert_eq!([required("ovs-ovn"), required("kube-ovn-cni")], ["0", "1"]);

    // A node that joins is unlabelled for a moment, which is not said again; what comes next is.
    let label = "machine-type.node.kubevirt.io/q35";
    unlabelled["metadata"]["labels"][label] = json!("true");
    server.apply(unlabelled.clone());
    unlabelled["metadata"]["labels"]
        .as_object_mut()
        .unwrap()
        .remove(label);
    server.apply(unlabelled);
    server.apply(captured("Pod", "ovs-ovn-el9-11"));
    let line = served.line_that("the next line", |line| line["check"].is_string());
    assert_eq!(
        line["message"],
        "ovs-ovn pods are in the cluster: nodes need one to pass the agents check"
    );
    assert_eq!([required("ovs-ovn"), required("kube-ovn-cni")], ["1", "1"]);
}

#[test]
fn a_kubeconfig_that_can_not_be_used_is_named_with_what_is_wrong() {
    for (text, expect) in [
        (
            "}{",
            "not a kubeconfig: line 1, column 1: check indentation, quotes, brackets and colons there and just before",
        ),
        (
            "clusters: 5",
            "not a kubeconfig: line 1, column 11: a list is expected",
        ),
        (
            "",
            "current-context is not set; choose one with `kubectl config use-context`",
        ),
        (
            "current-context: b\ncontexts: [{name: a}, {name: c}]",
            "there is no context \"b\"; there are a, c",
        ),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: k}}]",
            "there is no cluster \"k\", which the context names",
        ),
        (
            "current-context: a\ncontexts: [{name: a, context: {cluster: k, user: u}}]",
            "there is no user \"u\", which the context names",
        ),
    ] {
        check_kubeconfig(text, expect);
    }
}

#[test]
fn a_cluster_or_a_user_of_a_kubeconfig_that_can_not_be_used_is_named() {
    let server = "https://localhost:1";
    let exec = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "command": "/none/login",
        "interactiveMode": "Never",
    });
    for (cluster, user, expect) in [
        (json!({}), json!({}), "the cluster has no server"),
        (
            json!({"server": "what is this"}),
            json!({}),
            "the cluster's server is not a URL, such as https://10.0.0.1:6443",
        ),
        (
            json!({"server": server, "certificate-authority": "/none/ca.crt"}),
            json!({}),
            "certificate-authority /none/ca.crt: No such file or directory (os error 2)",
        ),
        (
            json!({"server": server, "certificate-authority-data": "!!"}),
            json!({}),
            "certificate-authority-data is not base64",
        ),
        (
            json!({"server": server}),
            json!({"client-certificate-data": "aGVsbG8="}),
            "neither client-key nor client-key-data is set, and the other of the pair is",
        ),
        (
            json!({"server": server}),
            json!({"tokenFile": "/none/token"}),
            "tokenFile /none/token: No such file or directory (os error 2)",
        ),
        (
            json!({"server": server}),
            json!({ "exec": exec }),
            "the command of the user's exec can't be started: No such file or directory (os error 2)",
        ),
    ] {
        check_kubeconfig(&kubeconfig(&cluster, &user), expect);
    }
}

#[test]
fn credentials_that_are_refused_keep_it_unready_until_they_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let server = ApiServer::start();
    load(&server);
    let kubeconfig = server.kubeconfig(dir.path());
    server.require_token("another");
    let served = Served::start_on(&["--kubeconfig", kubeconfig.to_str().unwrap()]);
    let said =
        "Unauthorized (status 401): the API server does not accept the token or client certificate";
    for line in first_warnings(&served) {
        let (kind, plural) = kind_of(&line);
        assert_eq!(
            (&line["cause"], &line["message"]),
            (
                &json!("unauthorized"),
                &json!(format!("can't list {plural} yet: {said}"))
            ),
            "{kind}"
        );
    }
    let missing = KINDS.map(|(kind, _)| format!("{kind}: {said}")).join("; ");
    let missing =
        format!("not ready: the cluster view is not complete yet (waiting for {missing})\n");
    assert_eq!(get(served.admin, "/readyz"), (503, missing));
}

/// Every kind, by its name in the log and at the API server.
const KINDS: [(&str, &str); 7] = [
    ("node", "nodes"),
    ("agent_pod", "pods"),
    ("vmi", "virtualmachineinstances"),
    ("migration", "virtualmachineinstancemigrations"),
    ("target_pod", "pods"),
    ("namespace", "namespaces"),
    ("kubevirt", "kubevirts"),
];

/// The first warning of each kind, in the order in which they came.
fn first_warnings(served: &Served) -> Vec<Value> {
    let lines = KINDS.map(|_| served.line_that("a warning", |line| line["level"] == "WARN"));
    let kinds: std::collections::BTreeSet<&str> =
        lines.iter().map(|line| kind_of(line).0).collect();
    assert_eq!(kinds.len(), KINDS.len());
    lines.to_vec()
}

fn kind_of(line: &Value) -> (&'static str, &'static str) {
    let kind = KINDS.into_iter().find(|(name, _)| line["kind"] == *name);
    kind.unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn an_api_server_that_is_down_at_the_start_is_named_with_its_address() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ApiServer::start();
    let kubeconfig = server.kubeconfig(dir.path());
    let address = server.url();
    server.stop();
    let served = Served::start_on(&["--kubeconfig", kubeconfig.to_str().unwrap()]);
    for line in first_warnings(&served) {
        let (_, plural) = kind_of(&line);
        let message = line["message"].as_str().unwrap();
        let said = format!("can't list {plural} yet: {address}: client error (Connect): ");
        assert!(
            message.starts_with(&said) && message.contains("Connection refused"),
            "{message}"
        );
        assert_eq!(line["cause"], "connection");
    }
    let (status, missing) = get(served.admin, "/readyz");
    assert_eq!(status, 503);
    for (kind, _) in KINDS {
        let cause = format!("{kind}: {address}: client error (Connect): ");
        assert!(missing.contains(&cause), "{missing}");
    }
}

#[test]
fn a_cluster_comes_from_one_place() {
    let output = berth()
        .args(["serve", "--kubeconfig", "a", "--snapshot", "b"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: --kubeconfig and --snapshot exclude each other; see berth serve --help\n"
    );
}

//! A real Prometheus scrapes the real service, and promtool has nothing to say about what it gets.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::process::{PATIENCE, Served, get};
use crate::tools;

/// A running Prometheus, ended by its own process id when it goes out of scope.
struct Prometheus {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    /// Starts it with the manifests' rules, scraping one target every second.
    fn start(program: &Path, target: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("prometheus.yml");
        let rules = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/manifests/prometheus-rules.yaml"
        );
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules}]\nscrape_configs:\n- job_name: berth\n  static_configs: [{{targets: [\"{target}\"]}}]\n"
        );
        fs::write(&config, text).unwrap();
        let log = dir.path().join("log");
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.path().join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut prometheus = Self {
            child,
            address: target,
            log,
            _dir: dir,
        };
        let mut address = None;
        prometheus.until("its address", |prometheus| {
            address = prometheus.log().lines().find_map(|line| {
                let (_, rest) = line.split_once("msg=\"Listening on\" address=")?;
                rest.trim().parse().ok()
            });
            address.is_some()
        });
        prometheus.address = address.unwrap();
        prometheus
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            assert!(
                start.elapsed() < PATIENCE,
                "{what} never came:\n{}",
                self.log()
            );
            std::thread::yield_now();
        }
    }

    fn api(&self, path: &str) -> Value {
        let (_, answer) = get(self.address, &format!("/api/v1/{path}"));
        serde_json::from_str(&answer).unwrap_or_default()
    }

    /// The first value of a query.
    fn query(&self, query: &str) -> Option<String> {
        let answer = self.api(&format!("query?query={query}"));
        Some(
            answer
                .pointer("/data/result/0/value/1")?
                .as_str()?
                .to_owned(),
        )
    }

    /// Name, health and state of every alert.
    fn alerts(&self) -> Vec<[String; 3]> {
        let answer = self.api("rules");
        let rules = answer
            .pointer("/data/groups/0/rules")
            .and_then(Value::as_array);
        rules
            .into_iter()
            .flatten()
            .map(|rule| {
                ["name", "health", "state"].map(|field| rule[field].as_str().unwrap().to_owned())
            })
            .collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_real_prometheus_scrapes_it() {
    let Some(program) = tools::find("prometheus", "scrape by a real Prometheus") else {
        return;
    };
    let served = Served::start(&[]);
    let prometheus = Prometheus::start(&program, served.admin);
    for (query, value) in [
        ("up", "1"),
        ("sum(berth_cluster_objects)", "38"),
        ("sum(berth_chassis_ready)", "8"),
        ("berth_build_info", "1"),
        ("count(process_resident_memory_bytes)", "1"),
    ] {
        prometheus.until(query, |prometheus| {
            prometheus.query(query).as_deref() == Some(value)
        });
    }

    // Every alert is loaded and was evaluated, and with everything in order none is active, but for
    // `BerthDown` before the first scrape.
    prometheus.until("every alert's evaluation", |prometheus| {
        let alerts = prometheus.alerts();
        let is_in_order = |[_, health, state]: &[String; 3]| health == "ok" && state == "inactive";
        !alerts.is_empty() && alerts.iter().all(is_in_order)
    });
    let names = prometheus.alerts().into_iter().map(|[name, ..]| name);
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            "BerthDown",
            "BerthCertificateExpires",
            "BerthCertificateRefused",
            "BerthCertificatesNotManaged",
            "BerthNextCertificateAuthority",
            "BerthRefusesRequests",
            "BerthCannotReadObjects",
            "BerthViewIsOld",
            "BerthCannotReadTheCluster",
            "BerthNodeConditionsWait",
            "BerthLeaseNotHeld",
            "BerthProbeFails",
            "BerthBindsFail",
            "BerthMigrationsNotPrepared",
            "BerthPortPairsLeft",
            "BerthMigrationsLoseNetwork",
            "BerthChassisStandStill",
            "BerthSouthboundTooLarge",
            "BerthMigrationsNotGuarded",
            "BerthPanics",
            "BerthLogLinesDropped",
        ]
    );
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let Some(program) = tools::find("promtool", "metrics and alerts as promtool checks them")
    else {
        return;
    };
    let served = Served::start(&[]);
    let (status, metrics) = get(served.admin, "/metrics");
    assert_eq!(status, 200);
    let mut child = Command::new(program)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(metrics.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8_lossy(&said), "");
    assert!(output.status.success());
}

#[test]
fn promtool_accepts_the_alerts_and_their_tests() {
    let Some(program) = tools::find("promtool", "metrics and alerts as promtool checks them")
    else {
        return;
    };
    for args in [
        ["check", "rules", "prometheus-rules.yaml"],
        ["test", "rules", "../tests/data/alerts.yaml"],
    ] {
        let output = Command::new(&program)
            .args(args)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/manifests"))
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&said)
        );
    }
}

//! A real Prometheus scrapes the real service, and promtool has nothing to say about what it gets.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::process::{PATIENCE, Served, get};
use crate::tools;

/// A server that is ended by its own process id.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_real_prometheus_scrapes_it() {
    let Some(program) = tools::find("prometheus", "scrape by a real Prometheus") else {
        return;
    };
    let served = Served::start(&[]);
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("prometheus.yml");
    let rules = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/manifests/prometheus-rules.yaml"
    );
    fs::write(
        &config,
        format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [{rules}]\nscrape_configs:\n- job_name: berth\n  static_configs: [{{targets: [\"{}\"]}}]\n",
            served.admin
        ),
    )
    .unwrap();
    // Prometheus does not say which port it took: one that was free just now.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let prometheus = Command::new(program)
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            dir.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={port}"))
        .stdout(Stdio::null())
        .stderr(fs::File::create(dir.path().join("log")).unwrap())
        .spawn()
        .unwrap();
    let _prometheus = Ended(prometheus);

    let query = |query: &str| -> Option<String> {
        let answer = std::net::TcpStream::connect(port)
            .is_ok()
            .then(|| get(port, &format!("/api/v1/query?query={query}")))?;
        let body: Value = serde_json::from_str(&answer.1).ok()?;
        let value = body.pointer("/data/result/0/value/1")?;
        Some(value.as_str()?.to_owned())
    };
    let expect = |series: &str, value: &str| {
        let start = Instant::now();
        while query(series).as_deref() != Some(value) {
            assert!(
                start.elapsed() < PATIENCE,
                "{series} is {:?}, not {value}; the log of Prometheus:\n{}",
                query(series),
                fs::read_to_string(dir.path().join("log")).unwrap_or_default()
            );
            std::thread::yield_now();
        }
    };
    expect("up", "1");
    expect("sum(berth_cluster_objects)", "34");
    expect("sum(berth_chassis_ready)", "8");
    expect("berth_build_info", "1");
    expect("count(process_resident_memory_bytes)", "1");
    // The alerts are loaded, and with everything in order none is active.
    expect("count(up)-count(ALERTS)or(count(up))", "1");
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

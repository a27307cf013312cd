//! A replica of berth: the real program, as the Deployment of the manifests runs it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitStatus;

use rustix::process::Signal;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::api::Api;
use crate::http;
use crate::process::{Log, Process};
use crate::programs;
use crate::wait;

/// A running replica.
pub(crate) struct Berth {
    process: Process,
    runtime: Handle,
    pub(crate) admin: SocketAddr,
}

impl Berth {
    /// Starts one on free ports, and waits until its admin port is open.
    pub(crate) fn start(runtime: &Handle, name: &str, logs: &Path, flags: &[String]) -> Self {
        let mut command = programs::berth();
        command
            .args(["serve", "--log-format=json"])
            .args(["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"])
            .args(flags);
        let mut process = Process::start(name, command, logs);
        let admin = wait::until("berth starts", || {
            process.check();
            address(process.log(), "admin").ok_or_else(|| process.log().text())
        });
        Self {
            process,
            runtime: runtime.clone(),
            admin,
        }
    }

    /// Where it serves HTTPS, if it does by now: not before it has a certificate.
    pub(crate) fn https(&self) -> Option<SocketAddr> {
        address(self.process.log(), "https")
    }

    /// What `/readyz` says.
    pub(crate) fn readyz(&self) -> (u16, String) {
        self.get("/readyz")
    }

    pub(crate) fn wait_until_ready(&self) {
        wait::until("berth is ready", || match self.readyz() {
            (200, _) => Ok(()),
            (status, text) => Err(format!("{status} {text}")),
        });
    }

    /// What Prometheus scrapes.
    pub(crate) fn metrics(&self) -> String {
        self.get("/metrics").1
    }

    /// The sum of the series that begin so: all of a name, or those whose first labels are given.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let text = self.metrics();
        let values: Vec<f64> = text
            .lines()
            .filter_map(|line| line.strip_prefix(series))
            .filter(|rest| rest.starts_with([' ', '{', ',', '}']))
            .map(|rest| rest.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        let name = series.split('{').next().unwrap();
        let near: Vec<&str> = text.lines().filter(|l| l.starts_with(name)).collect();
        assert!(!values.is_empty(), "no series {series} among {near:#?}");
        // Counters and gauges here are whole numbers, and small.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let sum = values.iter().sum::<f64>() as u64;
        sum
    }

    /// Asks as a caller with this CA does.
    pub(crate) fn caller(&self, ca: &Path) -> Api {
        let https = self.https().expect("HTTPS is served");
        Api::anonymous(&self.runtime, &format!("https://{https}"), ca)
    }

    /// The lines of the log.
    pub(crate) fn lines(&self) -> Vec<Value> {
        json_lines(self.process.log())
    }

    pub(crate) fn log(&self) -> &Log {
        self.process.log()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(crate) fn wait(self) -> ExitStatus {
        self.process.wait()
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.runtime.block_on(http::get(self.admin, path)).unwrap()
    }
}

/// An address that the log tells.
fn address(log: &Log, field: &str) -> Option<SocketAddr> {
    let lines = json_lines(log);
    let told = lines.iter().find_map(|line| line[field].as_str());
    told.map(|address| address.parse().unwrap())
}

/// A log in JSON, without a line that is being written.
fn json_lines(log: &Log) -> Vec<Value> {
    let text = log.text();
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

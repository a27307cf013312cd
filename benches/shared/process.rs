//! The release binary as a process of its own, and what it costs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rcgen::CertifiedKey;
use serde_json::Value;

/// The environment of the `Dockerfile`, where the shell has no other.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_MMAP_THRESHOLD_", "1048576"),
    ("MALLOC_TRIM_THRESHOLD_", "1048576"),
];

/// Those of them that the shell does not set.
fn unset(
    variables: [(&'static str, &'static str); 3],
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let variables = variables.into_iter();
    variables.filter(|(name, _)| std::env::var_os(name).is_none())
}

/// The service, as a process.
pub(crate) struct Berth {
    child: Child,
    pub(crate) begun: Instant,
    pub(crate) https: SocketAddr,
    /// The CA of its certificate, which is for `localhost`.
    pub(crate) ca: PathBuf,
    _dir: tempfile::TempDir,
}

impl Berth {
    /// Starts it with these flags more, and waits until it serves.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_until("serving", flags)
    }

    /// Starts it with these flags more, and waits until it has said this, and that it serves.
    pub(crate) fn start_until(message: &str, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let ca = write(dir.path(), "tls.crt", &cert.pem());
        let begun = Instant::now();
        let mut child = Command::new(env!("CARGO_BIN_EXE_berth"))
            .envs(unset(ENVIRONMENT))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--admin-listen", "127.0.0.1:0", "--log-format", "json"])
            .arg("--tls-cert")
            .arg(&ca)
            .arg("--tls-key")
            .arg(write(dir.path(), "tls.key", &signing_key.serialize_pem()))
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let mut https = None;
        let mut said = false;
        while https.is_none() || !said {
            let line = lines.next().expect("it begins to serve");
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
            let text = line["message"].as_str().unwrap_or_default();
            said |= text.contains(message);
            if text == "serving" {
                https = line["https"].as_str().map(|text| text.parse().unwrap());
            }
        }
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            child,
            begun,
            https: https.unwrap(),
            ca,
            _dir: dir,
        }
    }

    /// A line of its status, in MiB.
    pub(crate) fn memory(&self, name: &str) -> f64 {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<f64>().unwrap() / 1024.0
    }

    /// Begins its peak of memory (`VmHWM`) anew.
    pub(crate) fn forget_peak(&self) {
        fs::write(self.proc("clear_refs"), "5").unwrap();
    }

    /// Time on a processor so far, in the kernel and out of it.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(self.proc("stat")).unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        // A tick is 10 ms on every Linux that matters here (USER_HZ).
        Duration::from_millis(10 * ticks)
    }

    /// Until it has done nothing for a second.
    pub(crate) fn rest(&self) {
        let mut last = self.cpu();
        loop {
            sleep(Duration::from_secs(1));
            let now = self.cpu();
            if now.saturating_sub(last) < Duration::from_millis(20) {
                return;
            }
            last = now;
        }
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id())
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file with this text.
pub(crate) fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path
}

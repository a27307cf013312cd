//! A log that can't be written, or that somebody else writes in: requests are answered, the process
//! ends as it would, and each line is berth's own.

use std::fs::{self, File};
use std::io::{PipeReader, Read, Write, pipe};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::process::{PATIENCE, berth, certificate, get, snapshot};
use crate::service::{connect, exchange, good_review, head};
use crate::support::{capture, capture_json};

/// `berth serve` whose standard error is not read as its log. Ended by its own process id when it goes
/// out of scope.
struct Silent {
    child: Child,
    https: SocketAddr,
    admin: SocketAddr,
    ca: PathBuf,
    _dir: tempfile::TempDir,
}

impl Silent {
    /// Starts it on the captured cluster, and waits until it is ready.
    fn start(stderr: impl Into<Stdio>, flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ca, cert, key) = certificate(dir.path());
        // No line tells the ports: these were free a moment ago.
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [https, admin] = free.map(|listener| listener.local_addr().unwrap());
        let config = dir.path().join("berth.yaml");
        fs::write(&config, "shutdown: {delay: 1ms, timeout: 1s}").unwrap();
        let child = berth()
            .args(["serve", "--listen", &https.to_string()])
            .args(["--admin-listen", &admin.to_string()])
            .arg("--config")
            .arg(config)
            .arg("--snapshot")
            .arg(snapshot())
            .arg("--tls-cert")
            .arg(cert)
            .arg("--tls-key")
            .arg(key)
            .args(flags)
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut silent = Self {
            child,
            https,
            admin,
            ca,
            _dir: dir,
        };
        let begun = std::time::Instant::now();
        while std::net::TcpStream::connect(admin).is_err() || get(admin, "/readyz").0 != 200 {
            assert_eq!(silent.child.try_wait().unwrap(), None);
            assert!(begun.elapsed() < PATIENCE, "it is never ready");
            std::thread::yield_now();
        }
        silent
    }

    async fn good(&self) {
        good_review(&mut connect(self.https, &self.ca, None).await.unwrap()).await;
        assert_eq!(get(self.admin, "/livez"), (200, "ok\n".to_owned()));
    }

    /// Requests until lines are dropped. Each of them is answered.
    async fn flood(&self) {
        while self.dropped() == 0 {
            let good = (0..96).map(|_| async {
                good_review(&mut connect(self.https, &self.ca, None).await.unwrap()).await;
            });
            join_all(good).await;
        }
    }

    async fn post(&self, path: &str, body: &str) -> String {
        let mut stream = connect(self.https, &self.ca, None).await.unwrap();
        exchange(&mut stream, &head(path, body.len()), body).await
    }

    fn dropped(&self) -> u64 {
        let (_, metrics) = get(self.admin, "/metrics");
        let mut lines = metrics.lines();
        let dropped = lines.find_map(|line| line.strip_prefix("berth_log_lines_dropped_total "));
        dropped.unwrap().parse().unwrap()
    }

    fn end(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        let kill = std::process::Command::new("kill").arg(pid).status();
        assert!(kill.unwrap().success());
        wait(&mut self.child)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its end, which comes by itself.
#[track_caller]
fn wait(child: &mut Child) -> ExitStatus {
    let begun = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "it never ends");
        std::thread::yield_now();
    }
}

fn full() -> Stdio {
    File::options()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// A pipe that nothing reads, and that takes nothing more.
fn clogged() -> (PipeReader, Stdio) {
    let (reader, mut writer) = pipe().unwrap();
    // The capacity that Linux gives it.
    writer.write_all(&vec![b'\n'; 65_536]).unwrap();
    (reader, writer.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_costs_lines_and_nothing_else() {
    let berth = Silent::start(full(), &[]);
    berth.good().await;
    assert!(berth.dropped() > 0);
    assert!(berth.end().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_gone_costs_lines_and_nothing_else() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let berth = Silent::start(writer, &["--log-level", "debug"]);
    berth.good().await;
    assert!(berth.dropped() > 0);
    assert!(berth.end().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_never_reads_costs_lines_and_nothing_else() {
    let (reader, writer) = pipe().unwrap();
    let berth = Silent::start(writer, &["--log-level", "trace"]);
    berth.flood().await;
    berth.good().await;
    let call = capture("filter-names-migration");
    let answer = berth.post("/scheduler/filter", &call).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(berth.end().success());
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_lines_are_read_again_the_log_says_how_many_it_lacks() {
    let (mut reader, stderr) = clogged();
    let berth = Silent::start(stderr, &["--log-format", "json", "--log-level", "trace"]);
    berth.flood().await;
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    });
    // What waits is written, and then the line that tells.
    berth.good().await;
    assert!(berth.end().success());
    let text = reading.join().unwrap();
    let lines = text.lines().filter(|line| !line.is_empty());
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    let told = |line: &&Value| {
        line["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("log lines were dropped: "))
    };
    let told = lines.iter().find(told).expect("a line that tells");
    assert!(told["lines"].as_u64().unwrap() > 0, "{told}");
}

#[test]
fn an_error_that_nothing_reads_ends_the_process_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (_, cert, key) = certificate(dir.path());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let snapshot = snapshot();
    let late = [
        "serve",
        "--listen",
        &address,
        "--admin-listen",
        "127.0.0.1:0",
        "--snapshot",
        snapshot.to_str().unwrap(),
        "--tls-cert",
        cert.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    for (args, code) in [
        (&["serve", "--snapshto", "x"][..], 3),
        (&["serve", "--config", "/none"], 1),
        (&late, 1),
    ] {
        let (reader, stderr) = clogged();
        let mut child = berth().args(args).stderr(stderr).spawn().unwrap();
        assert_eq!(wait(&mut child).code(), Some(code), "{args:?}");
        drop(reader);
    }
}

#[test]
fn no_command_panics_on_output_that_can_not_be_written() {
    let gone = || {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let default = ["config", "default"];
    let wrong = ["config", "check", "/none"];
    for (args, stdout, stderr, code) in [
        // A reader that has seen enough is no error; a full disk is.
        (&default[..], gone(), full(), 0),
        (&default, full(), full(), 1),
        (&["config", "schema"], full(), gone(), 1),
        (&["--help"], full(), full(), 0),
        (&["--help"], gone(), gone(), 0),
        (&["moor"], gone(), full(), 3),
        (&["moor"], gone(), gone(), 3),
        (&wrong, full(), full(), 1),
        (&wrong, gone(), gone(), 1),
        (&["demo"], full(), full(), 0),
        (&["demo"], gone(), gone(), 0),
    ] {
        let mut child = berth()
            .args(args)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        assert_eq!(wait(&mut child).code(), Some(code), "{args:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_a_request_makes_no_line_of_its_own() {
    const FORGED: &str = "a\n2026-01-01T00:00:00.000000Z ERROR berth: the forged line\r\u{1b}[2J\u{9b}1m\u{202e}\u{2028}";
    for format in ["human", "json"] {
        let (mut reader, writer) = pipe().unwrap();
        let flags = ["--log-format", format, "--log-level", "debug"];
        let berth = Silent::start(writer, &flags);
        let mut review = capture_json("admission-create-vm-bridge");
        review["request"]["name"] = json!(FORGED);
        review["request"]["namespace"] = json!(FORGED);
        let answer = berth.post("/mutate", &review.to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let mut call = capture_json("filter-names-migration");
        call["Pod"]["metadata"]["name"] = json!(FORGED);
        call["Pod"]["metadata"]["namespace"] = json!(FORGED);
        let answer = berth.post("/scheduler/filter", &call.to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert!(berth.end().success());
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert!(text.contains("the forged line"), "{text}");
        for line in text.lines() {
            assert!(!line.starts_with("2026-01-01T00:00:00.0"), "{line}");
            assert!(!line.contains(berth::escape::is_control), "{line:?}");
        }
    }
}

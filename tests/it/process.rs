//! The `berth` program, run as its users run it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// How long anything here may take before the test gives up; nothing waits for it to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The program.
pub(crate) fn berth() -> Command {
    without_variables(Path::new(env!("CARGO_BIN_EXE_berth")))
}

/// A program without the variables of berth in its environment.
pub(crate) fn without_variables(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BERTH_") {
            command.env_remove(name);
        }
    }
    command
}

/// `berth serve` on free ports of loopback, with a log that can be read.
fn serve() -> Command {
    let mut command = berth();
    command.args(["serve", "--log-format", "json"]);
    command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    command
}

/// A certificate for localhost, and its key, in a folder.
pub(crate) fn certificate(dir: &Path) -> (PathBuf, PathBuf, PathBuf) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::new(vec![]).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let cert = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    (
        write("ca.crt", ca.pem()),
        write("tls.crt", cert.pem()),
        write("tls.key", key.serialize_pem()),
    )
}

pub(crate) fn snapshot() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/captures/cluster.json")
}

/// A running `berth serve`, ended by its own process id when it goes out of scope.
pub(crate) struct Served {
    child: Child,
    lines: mpsc::Receiver<String>,
    pub(crate) https: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) ca: PathBuf,
    /// Where its certificate is, until it ends.
    dir: Option<tempfile::TempDir>,
}

impl Served {
    /// Starts it on the captured cluster and free ports, and waits until it says that it serves.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let snapshot = snapshot();
        let on_captures = ["--snapshot", snapshot.to_str().unwrap()];
        Self::start_on(&[&on_captures, flags].concat())
    }

    /// The same on the cluster that the flags name.
    pub(crate) fn start_on(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (ca, cert, key) = certificate(dir.path());
        let files = [
            "--tls-cert",
            cert.to_str().unwrap(),
            "--tls-key",
            key.to_str().unwrap(),
        ];
        let mut served = Self::start_with(&[&files, flags].concat());
        served.ca = ca;
        served.dir = Some(dir);
        served
    }

    /// The same with the certificate that the flags name.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let mut child = serve().args(flags).stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let mut served = Self {
            child,
            lines,
            https: SocketAddr::from(([127, 0, 0, 1], 0)),
            admin: SocketAddr::from(([127, 0, 0, 1], 0)),
            ca: PathBuf::new(),
            dir: None,
        };
        let line = served.line("serving");
        served.https = line["https"].as_str().unwrap().parse().unwrap();
        served.admin = line["admin"].as_str().unwrap().parse().unwrap();
        served
    }

    /// The same with a configuration file.
    pub(crate) fn start_configured(config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("berth.yaml");
        std::fs::write(&path, config).unwrap();
        // It is read once, at start.
        Self::start(&["--config", path.to_str().unwrap()])
    }

    /// Waits for the log line with this message.
    pub(crate) fn line(&self, message: &str) -> Value {
        self.line_that(message, |line| line["message"] == message)
    }

    /// Waits for the log line of which this is true.
    pub(crate) fn line_that(&self, what: &str, is_true: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect(what);
            let line: Value = serde_json::from_str(&line).expect(&line);
            if is_true(&line) {
                return line;
            }
        }
    }

    /// A field of its `/proc/…/status` in bytes: `VmRSS`, or `VmHWM` for the peak of it.
    pub(crate) fn memory(&self, field: &str) -> usize {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let value = line.and_then(|line| line.split_whitespace().nth(1));
        value.unwrap().parse::<usize>().unwrap() * 1024
    }

    /// Begins the peak of its memory anew.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(self.proc("clear_refs"), "5").unwrap();
    }

    fn proc(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.child.id()).into()
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        drop(self.dir.take());
    }
}

/// A GET over plain HTTP: status and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: berth\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split_whitespace().nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

/// Posts a file with curl, over TLS that is checked: status and body.
fn curl(curl: &Path, served: &Served, path: &str, file: &Path) -> (u16, String) {
    let output = Command::new(curl)
        .args(["--silent", "--show-error", "--cacert"])
        .arg(&served.ca)
        .args(["--write-out", "\n%{http_code}", "--data-binary"])
        .arg(format!("@{}", file.display()))
        .arg(format!("https://localhost:{}{path}", served.https.port()))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), body.to_owned())
}

#[test]
fn curl_is_answered_and_every_decision_is_one_line_at_debug() {
    let Some(program) = crate::tools::find("curl", "HTTPS as curl speaks it") else {
        return;
    };
    let served = Served::start(&["--log-level", "info,berth::decision=debug"]);
    let captures = snapshot();
    let file = |name: &str| captures.with_file_name(format!("{name}.json"));

    let review = file("admission-create-vm-bridge");
    let (status, body) = curl(&program, &served, "/mutate?timeout=10s", &review);
    assert_eq!(status, 200);
    assert!(body.contains(r#""patchType":"JSONPatch""#), "{body}");
    let line = served.line("review answered");
    assert_eq!(
        (&line["outcome"], &line["name"], &line["kind"]),
        (
            &"patched".into(),
            &"vm-bridge".into(),
            &"VirtualMachine".into()
        )
    );

    let launch = file("filter-names-launch");
    let (status, _) = curl(&program, &served, "/scheduler/filter", &launch);
    assert_eq!(status, 200);
    let line = served.line("pod is not guarded");
    assert_eq!(
        (&line["pod"], &line["launcher"], &line["migration"]),
        (
            &"default/virt-launcher-web-gfvqz".into(),
            &true.into(),
            &false.into()
        )
    );

    let args = file("filter-names-migration-no-selector");
    let (status, _) = curl(&program, &served, "/scheduler/filter", &args);
    assert_eq!(status, 200);
    let line = served.line("nodes judged");
    assert_eq!(
        (&line["vmi"], &line["passed"], &line["not_passed"]),
        (&"default/legacy".into(), &4.into(), &4.into())
    );
    let details = line["details"].as_str().unwrap();
    for detail in [
        "el9-nochassis: chassis_not_registered (annotation missing), agents_not_ready (ovs-ovn missing, kube-ovn-cni missing)",
        "old-nolabels: machine_type (no labels)",
        "el10-1: machine_type (has pc-q35-rhel10.0.0 pc-q35-rhel10.2.0 pc-q35-rhel9.4.0 pc-q35-rhel9.6.0 pc-q35-rhel9.8.0 q35)",
    ] {
        assert!(details.contains(detail), "{details}");
    }

    let (status, body) = curl(&program, &served, "/mutate", &args);
    assert_eq!(status, 400);
    assert!(
        body.starts_with("berth: the body's kind is \"\", not \"AdmissionReview\""),
        "{body}"
    );
}

#[test]
fn sigterm_makes_it_unready_first_and_ends_it_well() {
    // As long as it takes to ask, and ended by the second signal.
    let served = Served::start_configured("shutdown: {delay: 1h}");
    assert_eq!(get(served.admin, "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(get(served.admin, "/livez"), (200, "ok\n".to_owned()));
    served.signal("TERM");
    served.line("shutting down: requests are taken until shutdown.delay is over");
    while get(served.admin, "/readyz").0 == 200 {
        std::thread::yield_now();
    }
    assert_eq!(
        get(served.admin, "/readyz"),
        (503, "not ready: shutting down\n".to_owned())
    );
    assert_eq!(get(served.admin, "/livez").0, 200);
    // Who has not noticed yet is still served.
    std::net::TcpStream::connect(served.https).unwrap();
    served.signal("TERM");
    assert!(served.wait().success());
}

#[test]
fn a_short_delay_ends_by_itself() {
    let served = Served::start_configured("shutdown: {delay: 1ms}");
    served.signal("INT");
    served.line("HTTPS has ended");
    assert!(served.wait().success());
}

#[test]
fn a_cluster_that_does_not_show_what_a_check_looks_at_is_said_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("empty.yaml");
    std::fs::write(&path, "kind: List\nitems: []\n").unwrap();
    let (_, cert, key) = certificate(dir.path());
    let mut child = serve()
        .env("BERTH_SNAPSHOT", &path)
        .env("BERTH_TLS_CERT", &cert)
        .env("BERTH_TLS_KEY", &key)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<Value> = BufReader::new(child.stderr.take().unwrap())
        .lines()
        .take(5)
        .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    let said: Vec<_> = lines
        .iter()
        .map(|line| (&line["level"], &line["check"]))
        .collect();
    assert_eq!(
        said,
        [
            (&"INFO".into(), &Value::Null),
            (&"INFO".into(), &Value::Null),
            (&"WARN".into(), &Value::Null),
            (&"WARN".into(), &"machine_type".into()),
            (&"WARN".into(), &"agents_not_ready".into()),
        ]
    );
}

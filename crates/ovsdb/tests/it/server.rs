//! A real ovsdb-server with a small database, on a socket in a directory of its own.

use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ovsdb::{ClientOptions, Endpoints, MonitorColumns};
use serde_json::json;
use tempfile::TempDir;

/// Where the repository's tests/setup.sh unpacks the programs that are not installed.
const UNPACKED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/bin");

/// How long a test waits for a program before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The columns that tests follow.
pub(crate) const SHELVES: MonitorColumns = MonitorColumns {
    table: "Shelf",
    columns: &["name", "books", "labels"],
};

/// Runs the server, which ends with it.
pub(crate) struct Server {
    program: PathBuf,
    dir: TempDir,
    process: Option<Child>,
}

impl Server {
    /// A server of an empty database, unless ovsdb-server is missing and so the test is left out. In CI
    /// nothing is left out.
    pub(crate) fn start() -> Option<Self> {
        let (Some(program), Some(tool)) = (find("ovsdb-server"), find("ovsdb-tool")) else {
            let ci = env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!ci, "no ovsdb-server: run tests/setup.sh");
            let _ = writeln!(
                io::stderr(),
                "left out: a real ovsdb-server (run tests/setup.sh)"
            );
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("schema"), schema()).unwrap();
        let created = Command::new(tool)
            .current_dir(&dir)
            .args(["create", "library.db", "schema"])
            .status();
        assert!(created.unwrap().success());
        let mut server = Self {
            program,
            dir,
            process: None,
        };
        server.restart();
        Some(server)
    }

    /// Starts it, again after [`Self::stop`].
    pub(crate) fn restart(&mut self) {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut process = Command::new(&self.program)
            .current_dir(&self.dir)
            .args(["library.db", "--remote=punix:db.sock", "--unixctl=ctl"])
            .args(["-vsyslog:off", "-vconsole:info"])
            .env("OVS_RUNDIR", self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let start = Instant::now();
        while UnixStream::connect(self.path("db.sock")).is_err() {
            let ended = process.try_wait().unwrap();
            let log = || fs::read_to_string(self.path("log"));
            assert!(
                start.elapsed() < PATIENCE && ended.is_none(),
                "{ended:?}: {:?}",
                log()
            );
            std::thread::yield_now();
        }
        self.process = Some(process);
    }

    /// Kills it. The database stays.
    pub(crate) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_file(self.path("db.sock"));
    }

    /// A file in its directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where it is, as text.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix:{}", self.path("db.sock").display())
    }

    /// How it is reached.
    pub(crate) fn options(&self) -> ClientOptions {
        options(&self.endpoint())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Options for these endpoints.
pub(crate) fn options(endpoints: &str) -> ClientOptions {
    ClientOptions {
        inactivity: Duration::from_secs(1),
        ..ClientOptions::new(Endpoints::parse("test", endpoints).unwrap())
    }
}

fn schema() -> String {
    let strings = json!({"key": "string", "value": "string", "min": 0, "max": "unlimited"});
    let books = json!({"key": {"type": "uuid", "refTable": "Book"}, "min": 0, "max": "unlimited"});
    let schema = json!({"name": "Library", "version": "1.0.0", "tables": {
        "Shelf": {
            "columns": {
                "name": {"type": "string"},
                "books": {"type": books},
                "labels": {"type": strings},
            },
            "indexes": [["name"]],
            "isRoot": true,
        },
        "Book": {
            "columns": {
                "title": {"type": "string"},
                "pages": {"type": "integer"},
                "weight": {"type": "real"},
            },
        },
    }});
    schema.to_string()
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = env::split_paths(&path).chain([PathBuf::from(UNPACKED)]);
    let mut files = dirs.map(|dir| dir.join(program));
    files.find(|file| Path::is_file(file))
}

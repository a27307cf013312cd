//! A real OVN on loopback: a northbound and a southbound database with northd, and chassis, each
//! with its own database, switch and ovn-controller. Nothing of it needs the kernel or a port that
//! is known before. Each process is held here and ended by its own id.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use berth::decide::checks::Check;
use berth::decide::evaluate::Evaluator;
use berth::decide::policy::Policy;
use berth::domain::{Agents, ChassisClaim, NodeFacts};
use berth::metrics::Registry;
use berth::ovn::chassis::WANTED;
use berth::ovn::southbound;
use berth::ovn::{ChassisIndex, ChassisView, ConnectionMetrics};
use berth::snapshot::{Snapshot, SouthboundState};
use berth::tls::ClientFiles;
use ovsdb::{
    ClientEvent, ClientOptions, Endpoints, ErrorKind, MonitorPlan, Row, Schema, TableCache,
    UpdateFormat, Uuid, follow,
};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::tools;

const ALLOWED_LAG: Duration = Duration::from_secs(15);

const TEST: &str = "the southbound database of a real OVN";

/// How long a test waits for a program before it fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the programs are, and the schemas that came with them.
pub(crate) struct Ovn {
    programs: PathBuf,
    share: PathBuf,
}

impl Ovn {
    /// The programs, unless the test is left out.
    pub(crate) fn find() -> Option<Self> {
        let program = tools::find("ovn-controller", TEST)?;
        let programs = program.parent().unwrap().to_owned();
        // As `make install` puts them, so that another release in front of `PATH` has its own schemas.
        let beside = programs.join("../share");
        let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/ovn/usr/share");
        let shares = [beside, unpacked, PathBuf::from("/usr/share")];
        let share = shares.into_iter().find(|share| share.join("ovn").is_dir());
        let share = share.expect("OVN's schemas");
        Some(Self { programs, share })
    }

    fn command(&self, program: &str, dir: &Path) -> Command {
        let beside = self.programs.join(program);
        let mut command = Command::new(if beside.is_file() {
            beside
        } else {
            tools::find(program, TEST).unwrap()
        });
        command.current_dir(dir);
        for name in [
            "OVS_RUNDIR",
            "OVN_RUNDIR",
            "OVS_SYSCONFDIR",
            "OVS_DBDIR",
            "OVS_LOGDIR",
            "OVN_LOGDIR",
        ] {
            command.env(name, dir);
        }
        command
    }

    /// Runs a program to its end and gives what it says.
    pub(crate) fn run(&self, program: &str, dir: &Path, args: &[&str]) -> String {
        let output = self.command(program, dir).args(args).output().unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{program} {args:?}: {out}{err}");
        out
    }

    fn start(&self, program: &str, dir: &Path, args: &[&str]) -> Daemon {
        // A log for each process, so that a failed test shows the one that was restarted as well.
        let taken = |number: &u32| !dir.join(format!("{program}.{number}.log")).exists();
        let number = (0..u32::MAX).find(taken).unwrap();
        let log = dir.join(format!("{program}.{number}.log"));
        let file = fs::File::create(&log).unwrap();
        let child = self
            .command(program, dir)
            .args(args)
            .args(["-vsyslog:off", "-vconsole:info"])
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Daemon { child, log }
    }

    /// The schema of `OVN_Southbound`, `OVN_Northbound` or `Open_vSwitch`.
    pub(crate) fn schema(&self, database: &str) -> Value {
        let path = match database {
            "OVN_Southbound" => "ovn/ovn-sb.ovsschema",
            "OVN_Northbound" => "ovn/ovn-nb.ovsschema",
            _ => "openvswitch/vswitch.ovsschema",
        };
        let text = fs::read_to_string(self.share.join(path)).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// A process, killed when it goes out of scope.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !holds(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                start.elapsed() < PATIENCE && ended.is_none(),
                "{what} never came ({ended:?}):\n{}",
                self.log()
            );
            std::thread::yield_now();
        }
    }

    /// The port that a server found free.
    #[track_caller]
    fn port(&mut self) -> u16 {
        let mut port = None;
        self.until("its port", |daemon| {
            port = daemon.log().lines().find_map(|line| {
                let (_, port) = line.split_once("listening on port ")?;
                port.trim().parse().ok()
            });
            port.is_some()
        });
        port.unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            tools::tell(&format!("{}:\n{}", self.log.display(), self.log()));
        }
    }
}

/// A database with its server.
pub(crate) struct Server {
    database: &'static str,
    dir: PathBuf,
    file: String,
    args: Vec<String>,
    daemon: Option<Daemon>,
    /// On 127.0.0.1, another after each start.
    pub(crate) port: u16,
}

impl Server {
    /// Begins a database of this schema, and serves it.
    pub(crate) fn create(
        ovn: &Ovn,
        dir: &Path,
        database: &'static str,
        schema: &Value,
        args: &[&str],
    ) -> Self {
        fs::create_dir_all(dir).unwrap();
        let file = format!("{database}.db");
        let schema_file = dir.join(format!("{database}.ovsschema"));
        fs::write(&schema_file, schema.to_string()).unwrap();
        ovn.run(
            "ovsdb-tool",
            dir,
            &["create", &file, schema_file.to_str().unwrap()],
        );
        Self::serve(ovn, dir, database, file, args)
    }

    /// Serves a database that is there.
    pub(crate) fn serve(
        ovn: &Ovn,
        dir: &Path,
        database: &'static str,
        file: String,
        args: &[&str],
    ) -> Self {
        let mut server = Self {
            database,
            dir: dir.to_owned(),
            file,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            daemon: None,
            port: 0,
        };
        server.start(ovn);
        server
    }

    pub(crate) fn start(&mut self, ovn: &Ovn) {
        let remote = format!("--remote=punix:{}", self.socket().display());
        let control = format!(
            "--unixctl={}",
            self.dir.join(format!("{}.ctl", self.database)).display()
        );
        let mut args = vec![self.file.as_str(), &remote, &control];
        if self.args.is_empty() {
            args.push("--remote=ptcp:0:127.0.0.1");
        }
        args.extend(self.args.iter().map(String::as_str));
        let mut daemon = ovn.start("ovsdb-server", &self.dir, &args);
        self.port = daemon.port();
        let socket = self.socket();
        daemon.until("its socket", |_| UnixStream::connect(&socket).is_ok());
        self.daemon = Some(daemon);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.daemon.take().unwrap().kill();
        let _ = fs::remove_file(self.socket());
    }

    /// The same, while others hold it; [`Self::restart`] is for later.
    pub(crate) fn crash(&self) {
        let child = &self.daemon.as_ref().unwrap().child;
        rustix::process::kill_process(Pid::from_child(child), Signal::KILL).unwrap();
        while UnixStream::connect(self.socket()).is_ok() {
            std::thread::yield_now();
        }
    }

    /// Starts it again.
    pub(crate) fn restart(&mut self, ovn: &Ovn) {
        self.kill();
        self.start(ovn);
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join(format!("{}.sock", self.database))
    }

    /// Its address in the file system, the same after each start.
    pub(crate) fn unix(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// Runs operations, and gives what each says.
    #[track_caller]
    pub(crate) fn transact(&self, ovn: &Ovn, operations: &[Value]) -> Vec<Value> {
        let mut transaction = vec![json!(self.database)];
        transaction.extend(operations.iter().cloned());
        let transaction = Value::from(transaction).to_string();
        let said = ovn.run(
            "ovsdb-client",
            &self.dir,
            &["transact", &self.unix(), &transaction],
        );
        let results: Vec<Value> = serde_json::from_str(&said).unwrap();
        assert!(
            results.iter().all(|result| result.get("error").is_none()),
            "{operations:?}: {said}"
        );
        results
    }

    /// What is in the tables that berth follows, read anew.
    pub(crate) fn dump(&self, ovn: &Ovn) -> Rows {
        let schema = ovn.run(
            "ovsdb-client",
            &self.dir,
            &["get-schema", &self.unix(), self.database],
        );
        let plan = MonitorPlan::new(&WANTED, &Schema::parse(&schema).unwrap());
        let selects = plan.tables.iter().map(|table| {
            let columns = table.columns.iter().map(|column| column.name);
            let columns: Vec<_> = ["_uuid"].into_iter().chain(columns).collect();
            json!({"op": "select", "table": table.name, "where": [], "columns": columns})
        });
        let results = self.transact(ovn, &selects.collect::<Vec<_>>());
        let mut tables = json!({});
        for (table, result) in plan.tables.iter().zip(&results) {
            for row in result["rows"].as_array().unwrap() {
                let id = row["_uuid"][1].as_str().unwrap();
                tables[table.name][id] = json!({ "new": row });
            }
        }
        let mut replica = TableCache::default();
        replica.plan(plan);
        replica
            .replace(UpdateFormat::V1, &tables.to_string())
            .unwrap();
        let tables = WANTED.iter().map(|wanted| wanted.table);
        tables
            .flat_map(|table| {
                replica
                    .rows(table)
                    .map(move |(id, row)| ((table, id), row.clone()))
            })
            .collect()
    }
}

/// Rows by table and id.
pub(crate) type Rows = BTreeMap<(&'static str, Uuid), Row>;

/// The operations that make the rows of a chassis as its ovn-controller does.
pub(crate) fn insert_chassis(name: &str, hostname: &str, ip: &str) -> [Value; 3] {
    let encap = json!({"type": "geneve", "ip": ip, "chassis_name": name});
    [
        json!({"op": "insert", "table": "Encap", "uuid-name": "e", "row": encap}),
        json!({"op": "insert", "table": "Chassis", "row": {"name": name, "hostname": hostname, "encaps": ["named-uuid", "e"]}}),
        json!({"op": "insert", "table": "Chassis_Private", "row": {"name": name}}),
    ]
}

/// The whole of it.
pub(crate) struct Lab {
    pub(crate) ovn: Ovn,
    pub(crate) northbound: Server,
    pub(crate) southbound: Server,
    northd: Option<Daemon>,
    chassis: BTreeMap<&'static str, Chassis>,
    dir: TempDir,
}

struct Chassis {
    dir: PathBuf,
    controller: Option<Daemon>,
    _switch: Daemon,
    _database: Daemon,
}

impl Lab {
    /// The databases and northd, and no chassis yet.
    pub(crate) fn start() -> Option<Self> {
        let ovn = Ovn::find()?;
        let dir = tempfile::tempdir().unwrap();
        let create = |database| {
            Server::create(
                &ovn,
                &dir.path().join("central"),
                database,
                &ovn.schema(database),
                &[],
            )
        };
        let (northbound, southbound) = (create("OVN_Northbound"), create("OVN_Southbound"));
        let global = json!({"op": "insert", "table": "NB_Global", "row": {}});
        northbound.transact(&ovn, &[global]);
        let mut lab = Self {
            northbound,
            southbound,
            northd: None,
            chassis: BTreeMap::new(),
            ovn,
            dir,
        };
        lab.start_northd();
        Some(lab)
    }

    pub(crate) fn start_northd(&mut self) {
        let databases = [
            format!("--ovnnb-db={}", self.northbound.unix()),
            format!("--ovnsb-db={}", self.southbound.unix()),
        ];
        let [nb, sb] = databases.each_ref().map(String::as_str);
        let dir = self.dir.path().join("central");
        self.northd = Some(self.ovn.start("ovn-northd", &dir, &[nb, sb]));
    }

    /// `kill -9`.
    pub(crate) fn kill_northd(&mut self) {
        self.northd.take().unwrap().kill();
    }

    /// Adds a node with its chassis.
    pub(crate) fn add(&mut self, hostname: &'static str, system_id: &str) {
        let ovn = &self.ovn;
        let number = self.chassis.len() + 1;
        let dir = self.dir.path().join(hostname);
        fs::create_dir(&dir).unwrap();
        let schema = dir.join("schema");
        fs::write(&schema, ovn.schema("Open_vSwitch").to_string()).unwrap();
        ovn.run("ovsdb-tool", &dir, &["create", "conf.db", "schema"]);
        let socket = dir.join("db.sock");
        let at = format!("unix:{}", socket.display());
        let remote = format!("--remote=p{at}");
        let mut database = ovn.start(
            "ovsdb-server",
            &dir,
            &["conf.db", &remote, "--unixctl=ovsdb.ctl"],
        );
        database.until("its socket", |_| UnixStream::connect(&socket).is_ok());
        let ids = [
            ("system-id", system_id.to_owned()),
            ("hostname", hostname.to_owned()),
            ("ovn-remote", self.southbound.unix()),
            ("ovn-encap-type", "geneve".to_owned()),
            ("ovn-encap-ip", format!("127.0.2.{number}")),
        ];
        let ids: Vec<_> = ids
            .iter()
            .map(|(key, value)| format!("external_ids:{key}={value}"))
            .collect();
        let mut args = vec!["--no-wait", "init", "--", "set", "Open_vSwitch", "."];
        args.extend(ids.iter().map(String::as_str));
        args.extend([
            "--",
            "add-br",
            "br-int",
            "--",
            "set",
            "bridge",
            "br-int",
            "datapath-type=dummy",
            "fail-mode=secure",
        ]);
        vsctl(ovn, &dir, &args);
        let switch = ovn.start(
            "ovs-vswitchd",
            &dir,
            &[
                &at,
                "--enable-dummy=system",
                "--disable-system",
                "--unixctl=vswitchd.ctl",
            ],
        );
        self.chassis.insert(
            hostname,
            Chassis {
                dir,
                controller: None,
                _switch: switch,
                _database: database,
            },
        );
        self.start_controller(hostname);
    }

    /// Kills a node's ovn-controller, which leaves its rows as they are.
    pub(crate) fn kill_controller(&mut self, hostname: &str) {
        let chassis = self.chassis.get_mut(hostname).unwrap();
        chassis.controller.take().unwrap().kill();
    }

    pub(crate) fn start_controller(&mut self, hostname: &str) {
        let chassis = self.chassis.get_mut(hostname).unwrap();
        let at = format!("unix:{}", chassis.dir.join("db.sock").display());
        chassis.controller = Some(self.ovn.start("ovn-controller", &chassis.dir, &[&at]));
    }

    /// Changes the northbound database, and waits until every chassis has caught up.
    pub(crate) fn nbctl(&self, args: &[&str]) {
        self.nbctl_until("--wait=hv", args);
    }

    /// Changes the northbound database, and waits until the southbound one is the same.
    pub(crate) fn nbctl_without_chassis(&self, args: &[&str]) {
        self.nbctl_until("--wait=sb", args);
    }

    fn nbctl_until(&self, wait: &str, args: &[&str]) {
        let db = format!("--db={}", self.northbound.unix());
        let mut all = vec![db.as_str(), "--timeout=30", wait];
        all.extend(args);
        let dir = self.dir.path().join("central");
        self.ovn.run("ovn-nbctl", &dir, &all);
    }

    /// Plugs an interface of a node into a logical port.
    pub(crate) fn plug(&self, hostname: &str, port: &str) {
        let id = format!("external_ids:iface-id={port}");
        let add = ["--", "set", "Interface", port, "type=dummy", &id];
        let dir = &self.chassis[hostname].dir;
        vsctl(
            &self.ovn,
            dir,
            &[&["add-port", "br-int", port][..], &add].concat(),
        );
    }

    pub(crate) fn unplug(&self, hostname: &str, port: &str) {
        let dir = &self.chassis[hostname].dir;
        vsctl(&self.ovn, dir, &["del-port", "br-int", port]);
    }

    /// Whether a node's switch has flows of a logical switch, by which ovn-controller makes it local.
    pub(crate) fn has_flows(&self, hostname: &str, switch: &str) -> bool {
        let named = json!({"op": "select", "table": "Datapath_Binding", "where": [["external_ids", "includes", ["map", [["name", switch]]]]], "columns": ["tunnel_key"]});
        let found = self.southbound.transact(&self.ovn, &[named]);
        let key = &found[0]["rows"][0]["tunnel_key"];
        let dir = &self.chassis[hostname].dir;
        let flows = self.ovn.run(
            "ovs-ofctl",
            dir,
            &[
                "-O",
                "OpenFlow15",
                "dump-flows",
                "br-int",
                &format!("metadata={key}"),
            ],
        );
        flows.contains("cookie=")
    }

    /// How many flows a node's switch has.
    pub(crate) fn count_flows(&self, hostname: &str) -> usize {
        let dir = &self.chassis[hostname].dir;
        let args = ["-O", "OpenFlow15", "dump-aggregate", "br-int"];
        let said = self.ovn.run("ovs-ofctl", dir, &args);
        let count = said.split("flow_count=").nth(1).unwrap();
        count.trim().parse().unwrap()
    }

    /// Whether ovn-controller says that a port that is plugged in has its flows.
    pub(crate) fn is_installed(&self, hostname: &str, port: &str) -> bool {
        let dir = &self.chassis[hostname].dir;
        let args = [
            "--if-exists",
            "get",
            "Interface",
            port,
            "external_ids:ovn-installed",
        ];
        vsctl(&self.ovn, dir, &args).contains("true")
    }

    /// Changes what a node tells its ovn-controller.
    pub(crate) fn set(&self, hostname: &str, key: &str, value: &str) {
        let entry = format!("external_ids:{key}={value}");
        let dir = &self.chassis[hostname].dir;
        vsctl(
            &self.ovn,
            dir,
            &["--no-wait", "set", "Open_vSwitch", ".", &entry],
        );
    }
}

fn vsctl(ovn: &Ovn, dir: &Path, args: &[&str]) -> String {
    let at = format!("--db=unix:{}", dir.join("db.sock").display());
    let mut all = vec![at.as_str(), "--timeout=20"];
    all.extend(args);
    ovn.run("ovs-vsctl", dir, &all)
}

/// A southbound database, followed.
pub(crate) struct Followed {
    pub(crate) stats: Arc<ConnectionMetrics>,
    seen: Arc<Mutex<Seen>>,
    changed: watch::Receiver<u64>,
    task: tokio::task::JoinHandle<()>,
}

/// What was told of it.
struct Seen {
    rows: Rows,
    index: ChassisIndex,
    missing: BTreeSet<String>,
    lost: usize,
}

impl Followed {
    pub(crate) fn start(endpoints: &str, tls: Option<ClientFiles>) -> Self {
        let options = ClientOptions {
            endpoints: Endpoints::parse("test", endpoints).unwrap(),
            tls: tls.map(Into::into),
            inactivity: Duration::from_secs(1),
        };
        let spec = southbound::spec(false, false);
        let stats = Arc::new(ConnectionMetrics::register(&Registry::default()).unwrap());
        let seen = Arc::new(Mutex::new(Seen {
            rows: Rows::new(),
            index: ChassisIndex::new(ALLOWED_LAG),
            missing: BTreeSet::new(),
            lost: 0,
        }));
        let (send, changed) = watch::channel(0);
        let tell = {
            let (seen, stats) = (Arc::clone(&seen), Arc::clone(&stats));
            move |event: ClientEvent<'_>| {
                stats.observe(&event);
                seen.lock().unwrap().take(&event);
                send.send_modify(|count| *count += 1);
            }
        };
        let task = tokio::spawn(async move {
            let never = follow(options, spec, tell).await;
            match never {}
        });
        Self {
            stats,
            seen,
            changed,
            task,
        }
    }

    pub(crate) fn view(&self) -> ChassisView {
        self.seen.lock().unwrap().index.view()
    }

    pub(crate) fn rows(&self) -> Rows {
        self.seen.lock().unwrap().rows.clone()
    }

    pub(crate) fn missing(&self) -> Vec<String> {
        self.seen.lock().unwrap().missing.iter().cloned().collect()
    }

    /// How often a connection has failed by this.
    pub(crate) fn failures(&self, kind: ErrorKind) -> u64 {
        let failures = &self.stats.failures;
        failures.with_label_values(&[kind.name()]).get()
    }

    /// How often the rows were read, `full` or `resumed`.
    pub(crate) fn syncs(&self, kind: &str) -> u64 {
        self.stats.syncs.with_label_values(&[kind]).get()
    }

    /// How often the connection was lost.
    pub(crate) fn lost(&self) -> usize {
        self.seen.lock().unwrap().lost
    }

    /// Waits until something is told after which this holds.
    #[track_caller]
    pub(crate) fn until(
        &mut self,
        what: &str,
        holds: impl Fn(&Self) -> bool,
    ) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let start = Instant::now();
            while !holds(self) {
                let left = PATIENCE.saturating_sub(start.elapsed());
                let waited = timeout(left, self.changed.changed()).await;
                assert!(
                    waited.is_ok() || holds(self),
                    "{place}: {what} never came:\n{}",
                    self.seen.lock().unwrap()
                );
            }
        }
    }

    /// Waits until a connection has come to nothing by this.
    #[track_caller]
    pub(crate) fn failed(&mut self, what: &str, cause: ErrorKind) -> impl Future<Output = ()> {
        let what = format!("{what}: {}", cause.name());
        let place = std::panic::Location::caller();
        async move {
            let start = Instant::now();
            while self.failures(cause) == 0 {
                assert!(
                    start.elapsed() < PATIENCE,
                    "{place}: {what} never came: {:?}",
                    self.stats
                );
                tokio::task::yield_now().await;
            }
        }
    }

    /// Waits until what is known is what is in the database.
    #[track_caller]
    pub(crate) fn until_equal(&mut self, ovn: &Ovn, server: &Server) -> impl Future<Output = ()> {
        self.until("what a fresh copy would be", |followed| {
            followed.stats.is_synced() && followed.rows() == server.dump(ovn)
        })
    }

    /// What is wrong with a node's chassis, as seen so many seconds from now.
    pub(crate) fn judge(&self, node: &str, chassis: &str, seconds: u64) -> Vec<&'static str> {
        judge(&self.view(), node, chassis, seconds)
    }
}

/// The checks that reject a node which claims a chassis, as seen so many seconds from now, where 15
/// are allowed.
pub(crate) fn judge(
    view: &ChassisView,
    node: &str,
    chassis: &str,
    seconds: u64,
) -> Vec<&'static str> {
    let now = Instant::now() + Duration::from_secs(seconds);
    judge_at(view, node, chassis, now, ALLOWED_LAG)
}

/// The same at some time, where such a lag is allowed.
pub(crate) fn judge_at(
    view: &ChassisView,
    node: &str,
    chassis: &str,
    now: Instant,
    allowed_lag: Duration,
) -> Vec<&'static str> {
    let snapshot = Snapshot {
        cluster: Arc::default(),
        southbound: SouthboundState::Fresh(Arc::new(view.clone()), now),
    };
    let node_facts = NodeFacts {
        chassis: ChassisClaim::Registered(chassis.into()),
        ..NodeFacts::default()
    };
    let candidate = snapshot.candidate_with(node, &node_facts, Agents::default());
    let policy = Policy {
        allowed_lag,
        ..Policy::default()
    };
    let verdict = Evaluator::for_any_vm(&policy, snapshot.capabilities()).evaluate(&candidate);
    verdict.failed.iter().map(Check::name).collect()
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for ((table, id), row) in &self.rows {
            let columns = row.iter().filter(|(name, _)| *name != "other_config");
            writeln!(f, "{table} {id} {:?}", columns.collect::<Vec<_>>())?;
        }
        write!(f, "missing {:?}, lost {} times", self.missing, self.lost)
    }
}

impl Seen {
    fn take(&mut self, event: &ClientEvent<'_>) {
        let now = Instant::now();
        let changes: &[_] = match *event {
            ClientEvent::Synced {
                changes, missing, ..
            } => {
                self.missing = missing.iter().map(ToString::to_string).collect();
                self.index.synced(changes, missing, now);
                changes
            }
            ClientEvent::Changed(changes) => {
                self.index.changed(changes, now);
                changes
            }
            ClientEvent::Failed {
                synced_for: Some(_),
                ..
            } => {
                self.lost += 1;
                self.index.lost(now);
                &[]
            }
            ClientEvent::Connected(_) | ClientEvent::Answered | ClientEvent::Failed { .. } => &[],
        };
        for change in changes {
            let key = (change.table, change.id);
            match &change.row {
                Some(row) => self.rows.insert(key, row.clone()),
                None => self.rows.remove(&key),
            };
        }
    }
}

async fn until_true(value: &mut watch::Receiver<bool>) {
    // The sender lives as long as the proxy.
    let _ = value.wait_for(|value| *value).await;
}

/// A way to a server that can be held up without being closed.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    stalled: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn start(to: u16) -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (stalled, receiver) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let mut stalled = receiver.clone();
                connections.spawn(async move {
                    let Ok(mut server) = tokio::net::TcpStream::connect(("127.0.0.1", to)).await
                    else {
                        return;
                    };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
                        () = until_true(&mut stalled) => {}
                    }
                    // Both are held, and nothing is read of either.
                    std::future::pending::<()>().await;
                    drop((client, server));
                });
            }
        });
        Ok(Self {
            port,
            stalled,
            task,
        })
    }

    /// From now on nothing passes any more.
    pub(crate) fn stall(&self) {
        self.stalled.send_replace(true);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

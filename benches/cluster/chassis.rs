//! What the southbound database costs: a real one with as many chassis as there are nodes, all of
//! which answer each question, and berth beside it, which publishes a condition on every node.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use ovsdb::{frame::Framer, rpc};
use serde_json::{Value, json};

use crate::ovn_lab::{Ovn, Server, insert_chassis};
use crate::process::Berth;
use crate::{Cluster, node_name, uid};

const SIZES: [usize; 3] = [50, 500, 2_000];

/// Questions, each answered by every chassis.
const ROUNDS: u32 = 20;

/// Operations of a transaction; each is small.
const TOGETHER: usize = 300;

pub(crate) fn measure() {
    let Some(ovn) = Ovn::find() else { return };
    println!(
        "{:>8} {:>9} {:>9} {:>10} {:>10} {:>11} {:>11}",
        "chassis", "ready s", "cpu s", "peak MiB", "idle MiB", "round ms", "answer µs"
    );
    for size in SIZES {
        let database = Database::new(&ovn, size);
        let cluster = Cluster::with_nodes(size);
        let file = database.dir.path().join("berth.yaml");
        let config = json!({
            "southbound": {"endpoints": database.server.unix()},
            "nodeCondition": {"writesPerSecond": 1_000},
            "lease": {"leaderElection": "Always"},
        });
        fs::write(&file, config.to_string()).unwrap();
        let kubeconfig = cluster.server.kubeconfig(database.dir.path());
        let flags = ["--kubeconfig", kubeconfig.to_str().unwrap()];
        let flags = [&flags[..], &["--config", file.to_str().unwrap()]].concat();
        let berth = Berth::start_until("the cluster view is complete", &flags);
        let ready = berth.begun.elapsed();
        berth.rest();
        let cpu = berth.cpu();
        let (peak, idle) = (berth.memory("VmHWM"), berth.memory("VmRSS"));
        let mut connection = Connection::open(&database.server);
        for round in 1..=ROUNDS {
            connection.ask(round, size);
            berth.rest();
        }
        let round = berth.cpu().saturating_sub(cpu).as_secs_f64() / f64::from(ROUNDS);
        let answers = f64::from(u32::try_from(size).unwrap());
        println!(
            "{size:>8} {:>9.2} {:>9.2} {peak:>10.1} {idle:>10.1} {:>11.1} {:>11.1}",
            ready.as_secs_f64(),
            cpu.as_secs_f64(),
            round * 1e3,
            round * 1e6 / answers,
        );
    }
}

struct Database {
    server: Server,
    dir: tempfile::TempDir,
}

impl Database {
    fn new(ovn: &Ovn, size: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let name = "OVN_Southbound";
        let server = Server::create(ovn, &dir.path().join("sb"), name, &ovn.schema(name), &[]);
        let mut connection = Connection::open(&server);
        let global = json!({"op": "insert", "table": "SB_Global", "row": {}});
        connection.transact(&[global]);
        for i in 0..size {
            let address = format!("10.{}.{}.{}", i >> 16, (i >> 8) & 255, i & 255);
            connection.transact(&insert_chassis(&uid(i), &node_name(i), &address));
        }
        connection.drain();
        Self { server, dir }
    }
}

/// A client that writes as northd and the controllers do, each in a transaction of its own.
struct Connection {
    socket: UnixStream,
    framer: Framer,
    sent: u64,
    answered: u64,
}

impl Connection {
    fn open(server: &Server) -> Self {
        Self {
            socket: UnixStream::connect(server.socket()).unwrap(),
            framer: Framer::new(1 << 20),
            sent: 0,
            answered: 0,
        }
    }

    fn transact(&mut self, operations: &[Value]) {
        let mut params = vec![json!("OVN_Southbound")];
        params.extend(operations.iter().cloned());
        self.sent += 1;
        let request = rpc::request(self.sent, "transact", &params.into());
        self.socket.write_all(&request).unwrap();
        if self.sent - self.answered > TOGETHER as u64 {
            self.drain();
        }
    }

    /// Reads until everything is answered.
    fn drain(&mut self) {
        let mut bytes = vec![0; 1 << 16];
        while self.answered < self.sent {
            let read = self.socket.read(&mut bytes).unwrap();
            assert_ne!(read, 0, "the server has ended the connection");
            self.framer.push(&bytes[..read]);
            while let Some(message) = self.framer.next_message().unwrap() {
                let message = String::from_utf8(message.to_vec()).unwrap();
                assert!(!message.contains("\"details\""), "{message}");
                self.answered += 1;
            }
        }
    }

    /// A question, and the answer of every chassis.
    fn ask(&mut self, round: u32, size: usize) {
        let row = json!({"nb_cfg": round});
        let update = |table: &str, condition: Value| json!({"op": "update", "table": table, "where": condition, "row": row});
        self.transact(&[update("SB_Global", json!([]))]);
        for i in 0..size {
            let condition = json!([["name", "==", uid(i)]]);
            self.transact(&[update("Chassis_Private", condition)]);
        }
        self.drain();
    }
}

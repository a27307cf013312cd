//! What happens around berth meanwhile: a cluster and a southbound database that change and go away,
//! and a certificate that is replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::apiserver::ApiServer;
use crate::ovn_lab::{Ovn, Server, insert_chassis};
use crate::process::{PATIENCE, Served, certificate};
use crate::support::{cluster, item, items};
use crate::tally::Tally;
use crate::tls::connect;

/// Nodes that change all the time.
pub(crate) const NODES: usize = 8;

/// Between two changes of the cluster.
const BEAT: Duration = Duration::from_millis(5);

pub(crate) fn node_name(i: usize) -> String {
    format!("churn-{i}")
}

fn chassis_name(number: usize) -> String {
    format!("{number:08}-1111-4222-8333-444455556666")
}

/// The stand-in for kube-apiserver, with the captured cluster.
pub(crate) struct Cluster {
    server: ApiServer,
    node: Value,
    vmi: Value,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let server = ApiServer::start();
        let mut cluster = cluster();
        for item in items(&mut cluster) {
            server.apply(item.clone());
        }
        Self {
            server,
            node: item(&mut cluster, "Node", "el9-1").clone(),
            vmi: item(&mut cluster, "VirtualMachineInstance", "db").clone(),
        }
    }

    pub(crate) fn kubeconfig(&self, dir: &Path) -> PathBuf {
        self.server.kubeconfig(dir)
    }

    /// Changes it until told to stop.
    pub(crate) fn churn(mut self, stop: &AtomicBool, tally: &Tally) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        for step in 0.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            self.step(step, tally);
            if step % 200 == 199 {
                runtime.block_on(self.server.cut_watches_in_a_line());
                tally.event("watches cut in an event");
            }
            if step % 500 == 499 {
                // What was missed meanwhile can't be watched for: a new list.
                runtime.block_on(self.server.cut_watches());
                self.server.compact();
                tally.event("watches cut, and 410");
            }
            if step % 700 == 699 {
                self.server.stop();
                sleep(100 * BEAT);
                self.server.restart();
                tally.event("API server away");
            }
            sleep(BEAT);
        }
    }

    fn step(&self, step: usize, tally: &Tally) {
        let i = step / 4 % NODES;
        let name = node_name(i);
        match step % 4 {
            0 => {
                let mut node = self.node.clone();
                node["metadata"]["name"] = json!(name);
                let annotations = &mut node["metadata"]["annotations"];
                if step.is_multiple_of(3) {
                    annotations["ovn.kubernetes.io/chassis"] = json!(chassis_name(100 + i));
                }
                annotations["kubevirt.io/heartbeat"] = json!(step.to_string());
                self.server.apply(node);
                tally.event("node changed");
            }
            1 => {
                let mut vmi = self.vmi.clone();
                vmi["metadata"]["name"] = json!(format!("vm-{}", step % 400));
                vmi["metadata"]["uid"] = json!(format!("uid-{step}"));
                vmi["status"]["nodeName"] = json!(name);
                self.server.apply(vmi);
                tally.event("VMI changed");
            }
            2 if step % 10 == 2 && self.server.get("nodes", None, &name).is_some() => {
                self.server.delete("nodes", None, &name);
                tally.event("node deleted");
            }
            3 => {
                let name = format!("vm-{}", (step * 7 + 1) % 400);
                let (resource, namespace) = ("virtualmachineinstances", Some("default"));
                if self.server.get(resource, namespace, &name).is_some() {
                    self.server.delete(resource, namespace, &name);
                    tally.event("VMI deleted");
                }
            }
            _ => {}
        }
    }
}

/// A real southbound database, with the chassis of the captured nodes.
pub(crate) struct Southbound {
    ovn: Ovn,
    server: Server,
}

const DATABASE: &str = "OVN_Southbound";

impl Southbound {
    /// `None` once it is said that OVN is not there.
    pub(crate) fn start(dir: &Path) -> Option<Self> {
        let ovn = Ovn::find()?;
        let schema = ovn.schema(DATABASE);
        let server = Server::create(&ovn, &dir.join("sb"), DATABASE, &schema, &[]);
        let southbound = Self { ovn, server };
        southbound.transact(&[json!({"op": "insert", "table": "SB_Global", "row": {}})]);
        for (number, node) in [(1, "el9-0"), (2, "el9-1"), (3, "el9-2"), (4, "el9-3")] {
            let address = format!("127.0.2.{number}");
            southbound.transact(&insert_chassis(&chassis_name(number), node, &address));
        }
        Some(southbound)
    }

    pub(crate) fn endpoint(&self) -> String {
        self.server.unix()
    }

    fn transact(&self, operations: &[Value]) {
        self.server.transact(&self.ovn, operations);
    }

    /// Changes it until told to stop.
    pub(crate) fn churn(mut self, stop: &AtomicBool, tally: &Tally) {
        for step in 1.. {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let i = step % NODES;
            let name = chassis_name(100 + i);
            let delete =
                |table| json!({"op": "delete", "table": table, "where": [["name", "==", name]]});
            self.transact(&[delete("Chassis"), delete("Chassis_Private")]);
            let (host, address) = (node_name(i), format!("127.0.3.{i}"));
            self.transact(&insert_chassis(&name, &host, &address));
            tally.event("chassis registered anew");
            // OVN asks, and everybody has answered.
            let all = json!([["name", "!=", ""]]);
            let bump = |table, of: &Value| json!({"op": "update", "table": table, "where": of, "row": {"nb_cfg": step}});
            self.transact(&[bump("SB_Global", &json!([])), bump("Chassis_Private", &all)]);
            tally.event("all chassis caught up");
            if step.is_multiple_of(25) {
                self.server.kill();
                self.server.start(&self.ovn);
                tally.event("southbound server killed");
            }
            sleep(20 * BEAT);
        }
    }
}

/// The certificates that are served in turn.
pub(crate) struct Certificates {
    /// Where the served pair is.
    served: PathBuf,
    address: std::net::SocketAddr,
    bundle: PathBuf,
    pairs: Vec<(PathBuf, PathBuf)>,
    turn: usize,
}

impl Certificates {
    /// Makes some beside the one that is served.
    pub(crate) fn of(served: &Served, dir: &Path) -> Self {
        let folder = served.ca.parent().unwrap().to_owned();
        let mut cas = fs::read_to_string(&served.ca).unwrap();
        let mut pairs = Vec::new();
        for turn in 0..3 {
            let dir = dir.join(format!("certificate-{turn}"));
            fs::create_dir(&dir).unwrap();
            let (ca, cert, key) = certificate(&dir);
            cas.push_str(&fs::read_to_string(ca).unwrap());
            pairs.push((cert, key));
        }
        let bundle = dir.join("bundle.crt");
        fs::write(&bundle, cas).unwrap();
        Self {
            served: folder,
            address: served.https,
            bundle,
            pairs,
            turn: 0,
        }
    }

    /// The CAs of all of them.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.bundle.clone()
    }

    /// Puts the next in place, and waits until a new connection gets it.
    pub(crate) async fn replace(&mut self, tally: &Tally) {
        let (cert, key) = &self.pairs[self.turn % self.pairs.len()];
        self.turn += 1;
        fs::copy(key, self.served.join("tls.key")).unwrap();
        fs::copy(cert, self.served.join("tls.crt")).unwrap();
        let expect = CertificateDer::from_pem_file(cert).unwrap();
        let begun = Instant::now();
        loop {
            match connect(self.address, &self.bundle, b"http/1.1").await {
                Ok(stream) => {
                    let (_, session) = stream.get_ref();
                    let shown = session.peer_certificates().and_then(|certs| certs.first());
                    if shown == Some(&expect) {
                        tally.event("certificate replaced");
                        return;
                    }
                }
                Err(error) => return tally.problem(format!("connect: {error}")),
            }
            if begun.elapsed() > PATIENCE {
                return tally.problem("a new certificate is not served".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

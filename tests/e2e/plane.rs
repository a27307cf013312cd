//! etcd and kube-apiserver on loopback.
//!
//! Nothing else of a control plane runs: no kubelet, so that a bound pod stays as it is, and no
//! controllers, so that nothing is garbage-collected and namespaces are never gone.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use axum::http::Method;
use serde_json::json;
use tokio::runtime::Handle;

use crate::api::{Api, write_kubeconfig};
use crate::authority::{Authority, Pair};
use crate::process::Process;
use crate::programs::{Programs, flag};
use crate::wait;

/// The running servers.
pub(crate) struct Plane {
    dir: PathBuf,
    authority: Authority,
    serving: Pair,
    accounts: (PathBuf, PathBuf),
    etcd: Process,
    etcd_port: u16,
    server: Option<Process>,
    /// Where kube-apiserver is, whether it runs or not.
    pub(crate) port: u16,
    /// The kubeconfig of somebody who may do everything.
    pub(crate) admin: PathBuf,
}

impl Plane {
    pub(crate) fn start(programs: &Programs, dir: &Path) -> Self {
        let authority = Authority::new(dir, "kubernetes");
        let serving = authority.server("kube-apiserver");
        let accounts = authority.key("service-accounts");
        let [etcd_port, port] = free_ports();
        let etcd = Process::start("etcd", etcd(programs, dir, etcd_port), &logs(dir));
        let mut plane = Self {
            dir: dir.to_owned(),
            authority,
            serving,
            accounts,
            etcd,
            etcd_port,
            server: None,
            port,
            admin: PathBuf::new(),
        };
        plane.admin = plane.client("admin", "admin", Some("system:masters"));
        plane
    }

    /// The CA of kube-apiserver.
    pub(crate) fn ca(&self) -> &Path {
        &self.authority.ca
    }

    /// The URL of kube-apiserver.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The kubeconfig of somebody with a client certificate.
    pub(crate) fn client(&self, name: &str, user: &str, group: Option<&str>) -> PathBuf {
        let Pair { cert, key } = self.authority.client(name, user, group);
        let path = self.dir.join(format!("{name}.kubeconfig"));
        let user = json!({"client-certificate": cert, "client-key": key});
        write_kubeconfig(&path, &self.url(), self.ca(), "default", &user);
        path
    }

    /// Starts kube-apiserver, unless it runs, and waits until it is ready.
    pub(crate) fn start_server(&mut self, programs: &Programs, runtime: &Handle) {
        self.etcd.check();
        if let Some(server) = &mut self.server {
            return server.check();
        }
        let mut server = Process::start("kube-apiserver", self.server(programs), &logs(&self.dir));
        let api = Api::connect(runtime, &self.admin);
        wait::until("kube-apiserver is ready", || {
            server.check();
            api.send(&Method::GET, "/readyz", "", None)
                .map_err(|error| error.to_string())
        });
        self.server = Some(server);
    }

    /// Ends kube-apiserver as a crash does.
    pub(crate) fn kill_server(&mut self) {
        self.server = None;
    }

    fn server(&self, programs: &Programs) -> Command {
        let (signing, checking) = &self.accounts;
        let mut command = programs.command("kube-apiserver");
        command
            .arg(format!(
                "--etcd-servers=http://127.0.0.1:{}",
                self.etcd_port
            ))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            .arg(format!("--secure-port={}", self.port))
            // There is no Service for it on loopback.
            .arg("--endpoint-reconciler-type=none")
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            .arg(flag("cert-dir", &self.dir.join("kube-apiserver")))
            .arg(flag("tls-cert-file", &self.serving.cert))
            .arg(flag("tls-private-key-file", &self.serving.key))
            .arg(flag("client-ca-file", self.ca()))
            .arg("--service-account-issuer=https://kubernetes.default.svc")
            .arg(flag("service-account-key-file", checking))
            .arg(flag("service-account-signing-key-file", signing))
            .arg("--authorization-mode=RBAC")
            // The first waits for ServiceAccounts, the second adds a taint to new nodes: both are
            // for controllers to go on with.
            .arg("--disable-admission-plugins=ServiceAccount,TaintNodesByCondition");
        command
    }
}

fn etcd(programs: &Programs, dir: &Path, port: u16) -> Command {
    let url = format!("http://127.0.0.1:{port}");
    let mut command = programs.command("etcd");
    command
        .arg(flag("data-dir", &dir.join("etcd")))
        .arg(format!("--listen-client-urls={url}"))
        .arg(format!("--advertise-client-urls={url}"))
        .arg("--listen-peer-urls=http://127.0.0.1:0")
        // The data is for this run alone.
        .args(["--unsafe-no-fsync", "--log-level=error"]);
    command
}

/// The folder of all logs.
pub(crate) fn logs(dir: &Path) -> PathBuf {
    dir.join("logs")
}

/// Ports that nobody listens on.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    // Held together, or the same port would be found twice.
    let held = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

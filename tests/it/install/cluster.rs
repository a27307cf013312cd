//! A cluster in which berth is installed, as the manifests install it, and in order.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use berth::pki::change::{Change, IssueReason};
use berth::pki::decide::CertificatePolicy;
use berth::pki::issue::carry_out;
use berth::pki::state::State;
use berth::pki::x509::{base64, certificate_pem};
use berth::pki::{Names, contents};
use berth::tls::HostName;
use serde_json::{Value, json};

use crate::apiserver::ApiServer;

/// The pods of berth.
pub(super) const PODS: [&str; 2] = ["berth-a", "berth-b"];

pub(super) const DAY: Duration = Duration::from_hours(24);

/// An API server with the objects, and pods that answer.
pub(super) struct Installation {
    pub(super) server: ApiServer,
    pub(super) kubeconfig: String,
    /// What each pod answers.
    pub(super) admin: Admin,
    _dir: tempfile::TempDir,
}

impl Installation {
    /// Everything that berth requires of a cluster, and no berth.
    pub(super) fn without_berth() -> Self {
        let server = ApiServer::start();
        let dir = tempfile::tempdir().unwrap();
        let kubeconfig = server.kubeconfig(dir.path()).to_str().unwrap().to_owned();
        server.apply(namespace("kubevirt"));
        server.apply(kubevirt());
        server.apply(agent());
        Self {
            server,
            kubeconfig,
            admin: Admin::start(),
            _dir: dir,
        }
    }

    /// The same with berth.
    pub(super) fn new() -> Self {
        let installation = Self::without_berth();
        let server = &installation.server;
        server.apply(manifest("base/namespace.yaml"));
        server.apply(deployment());
        server.apply(placed(manifest("base/pod-disruption-budget.yaml")));
        server.apply(service("berth-system", "berth"));
        for pod in PODS {
            server.apply(replica(pod));
            let admin = Some(installation.admin.address);
            server.forward("berth-system", pod, admin);
        }
        installation.certify(&issued(
            SystemTime::now() - Duration::from_mins(5),
            &names(),
        ));
        installation
    }

    /// Stores a Secret with these certificates, and webhook configurations that trust them.
    pub(super) fn certify(&self, state: &State) {
        let secret = contents::write(state, None, "berth-system", "berth-tls");
        let mut secret = serde_json::to_value(secret).unwrap();
        secret["apiVersion"] = "v1".into();
        secret["kind"] = "Secret".into();
        self.server.apply(secret);
        let authorities = state.bundle.iter();
        let bundle: String = authorities
            .map(|trusted| certificate_pem(trusted.authority.id.der()))
            .collect();
        for kind in ["mutating", "validating"] {
            self.server.apply(webhooks(kind, &bundle));
        }
    }
}

/// A name and an address in the manifests.
pub(super) fn names() -> Names {
    HostName::of_service("berth", "berth-system").unwrap()
}

/// A CA and a certificate of it for these names, made at this time.
pub(super) fn issued(at: SystemTime, names: &Names) -> State {
    let policy = CertificatePolicy {
        names: names.clone(),
        leaf_lifetime: 30 * DAY,
        ca_lifetime: 3650 * DAY,
        jitter: 0.0,
    };
    let changes = [
        Change::MakeSigner(IssueReason::First),
        Change::IssueLeaf(IssueReason::First, names.clone()),
    ];
    carry_out(&changes, State::default(), &policy, at).unwrap()
}

/// An object of the manifests, the first in its file.
fn manifest(path: &str) -> Value {
    let path = format!("{}/manifests/{path}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    documents.remove(0)
}

fn placed(mut object: Value) -> Value {
    object["metadata"]["namespace"] = "berth-system".into();
    object
}

pub(super) fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

pub(super) fn kubevirt() -> Value {
    json!({
        "apiVersion": "kubevirt.io/v1", "kind": "KubeVirt",
        "metadata": {"namespace": "kubevirt", "name": "kubevirt"},
        "spec": {"configuration": {}},
        "status": {"phase": "Deployed", "observedKubeVirtVersion": "v1.9.0"},
    })
}

/// A pod of Kube-OVN whose image names no release, and so none with a known bug.
fn agent() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "kube-system", "name": "ovs-ovn-x", "labels": {"app": "ovs"}},
        "spec": {"nodeName": "a", "containers": [{"name": "openvswitch", "image": "kubeovn/kube-ovn:latest"}]},
        "status": {"phase": "Running"},
    })
}

pub(super) fn deployment() -> Value {
    let mut deployment = placed(manifest("base/server/deployment.yaml"));
    deployment["status"] = json!({"replicas": 2, "readyReplicas": 2});
    deployment
}

pub(super) fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"clusterIP": "10.96.0.77", "clusterIPs": ["10.96.0.77"], "ports": [{"port": 443}]},
    })
}

/// A pod as the Deployment makes it, on a node and running.
pub(super) fn replica(name: &str) -> Value {
    let template = &manifest("base/server/deployment.yaml")["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": template["metadata"], "spec": template["spec"],
        "status": {
            "phase": "Running",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{
                "name": "berth", "image": "i", "imageID": "i", "ready": true, "restartCount": 0,
                "state": {"running": {}},
            }],
        },
    });
    pod["metadata"]["namespace"] = "berth-system".into();
    pod["metadata"]["name"] = name.into();
    pod["spec"]["nodeName"] = "a".into();
    pod["spec"]["containers"][0]["image"] = "registry.example.com/berth:0.1.0".into();
    pod
}

fn webhooks(kind: &str, bundle: &str) -> Value {
    let mut configuration = manifest(&format!("base/{kind}-webhook-configuration.yaml"));
    for webhook in configuration["webhooks"].as_array_mut().unwrap() {
        webhook["clientConfig"]["caBundle"] = base64(bundle.as_bytes()).into();
    }
    configuration
}

/// The target pod of a migration that was bound so long ago.
pub(super) fn target(ago: Duration, scheduler: &str) -> Value {
    let at = k8s_openapi::jiff::Timestamp::try_from(SystemTime::now() - ago).unwrap();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": "default", "name": "virt-launcher-web-x2x4z",
            "labels": {"kubevirt.io": "virt-launcher", "kubevirt.io/migrationJobUID": "m"},
        },
        "spec": {"nodeName": "b", "schedulerName": scheduler, "containers": []},
        "status": {"phase": "Running", "conditions": [{
            "type": "PodScheduled", "status": "True",
            "lastTransitionTime": at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }]},
    })
}

/// What the admin listener of a pod answers.
#[derive(Clone)]
pub(super) struct Answers {
    pub(super) readyz: (u16, &'static str),
    pub(super) version: &'static str,
    pub(super) filter_calls: u64,
    /// How long ago the last one of them was; `None` of a replica that does not tell.
    pub(super) last_call: Option<Duration>,
    /// How long it runs.
    pub(super) age: Duration,
}

/// An admin listener. Its threads end with the process.
pub(super) struct Admin {
    pub(super) address: SocketAddr,
    pub(super) answers: Arc<Mutex<Answers>>,
}

impl Admin {
    fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Arc::new(Mutex::new(Answers {
            readyz: (200, "ok\n"),
            version: env!("CARGO_PKG_VERSION"),
            filter_calls: 3,
            last_call: Some(Duration::from_secs(305)),
            age: Duration::from_hours(3),
        }));
        let given = Arc::clone(&answers);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let given = Arc::clone(&given);
                std::thread::spawn(move || serve(&stream, &given));
            }
        });
        Self { address, answers }
    }
}

/// Answers the requests of one connection.
fn serve(mut stream: &TcpStream, answers: &Mutex<Answers>) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    loop {
        let line = lines.next()?.ok()?;
        // The rest of the head.
        while !lines.next()?.ok()?.is_empty() {}
        let answers = answers.lock().unwrap().clone();
        let (status, text) = match line.split(' ').nth(1)? {
            "/readyz" => (answers.readyz.0, answers.readyz.1.to_owned()),
            _ => (200, metrics(&answers)),
        };
        let length = text.len();
        let head = format!("HTTP/1.1 {status} Any\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all((head + &text).as_bytes()).ok()?;
    }
}

fn metrics(answers: &Answers) -> String {
    let Answers {
        version,
        filter_calls,
        last_call,
        age,
        ..
    } = answers;
    let last = last_call.filter(|_| *filter_calls > 0).map(|ago| {
        let at = (SystemTime::now() - ago).duration_since(UNIX_EPOCH);
        let at = at.unwrap().as_secs();
        format!("berth_extender_last_call_timestamp_seconds{{verb=\"filter\"}} {at}\n")
    });
    let started = SystemTime::now() - *age;
    let started = started.duration_since(UNIX_EPOCH).unwrap().as_secs();
    format!(
        "berth_build_info{{version=\"{version}\"}} 1\n\
         berth_extender_requests_total{{outcome=\"judged\",verb=\"filter\"}} {filter_calls}\n\
         process_start_time_seconds {started}\n{}",
        last.unwrap_or_default()
    )
}

//! What the scenarios share: one control plane with the manifests applied, and ways into it.

use std::cell::RefCell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::Method;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::api::{Api, write_kubeconfig};
use crate::authority::{Authority, Pair};
use crate::berth::Berth;
use crate::fleet;
use crate::kubectl::Kubectl;
use crate::manifests::{self, Manifests};
use crate::plane::{Plane, logs};
use crate::programs::{self, Programs, flag};
use crate::service::Service;
use crate::vms::{self, ALLOW};
use crate::wait;

const KUBEVIRTS: &str = "/apis/kubevirt.io/v1/namespaces/kubevirt/kubevirts";

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// How long kube-apiserver may take to remove a kind: where its storage is just being made anew, the
/// finalizer waits for longer than all else.
const FINALIZED: Duration = Duration::from_mins(2);

/// The path to the webhook configuration of the manifests.
pub(crate) const WEBHOOKS: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/berth";

/// The path to the validating webhook configuration of the manifests.
const VALIDATING_WEBHOOKS: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/berth";

/// The path to the Lease of whoever publishes node conditions.
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/berth-system/leases/berth";

/// The control plane and who talks to it.
pub(crate) struct World {
    pub(crate) plane: Plane,
    pub(crate) programs: Programs,
    pub(crate) api: Api,
    pub(crate) kubectl: Kubectl,
    pub(crate) manifests: Manifests,
    /// What kube-scheduler may do.
    pub(crate) scheduler_kubeconfig: PathBuf,
    /// The CA of berth's certificate.
    pub(crate) ca: PathBuf,
    serving: Pair,
    config: PathBuf,
    crds: PathBuf,
    namespaces: RefCell<Vec<String>>,
    runtime: Runtime,
    // The last to go.
    dir: TempDir,
}

impl World {
    /// Starts the control plane and applies the manifests, but for the webhooks.
    pub(crate) fn start(programs: Programs) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let dir = TempDir::with_prefix_in("e2e-", env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::create_dir(logs(dir.path())).unwrap();
        let mut plane = Plane::start(&programs, dir.path());
        plane.start_server(&programs, runtime.handle());
        let api = Api::connect(runtime.handle(), &plane.admin);
        let kubectl = Kubectl::new(&programs, &plane.admin, dir.path());
        let manifests = Manifests::render(&kubectl);
        let scheduler_kubeconfig = plane.client("scheduler", "system:kube-scheduler", None);
        let authority = Authority::new(dir.path(), "berth");
        let config = dir.path().join("config.yaml");
        fs::write(&config, electing(manifests.config()).to_string()).unwrap();
        let own = programs::repository("tests/e2e/data/kubevirt-crds.yaml");
        let world = Self {
            plane,
            api,
            kubectl,
            scheduler_kubeconfig,
            ca: authority.ca.clone(),
            serving: authority.server("berth"),
            config,
            crds: env::var_os("BERTH_E2E_CRDS")
                .filter(|file| !file.is_empty())
                .map_or(own, PathBuf::from),
            namespaces: RefCell::default(),
            manifests,
            programs,
            runtime,
            dir,
        };
        // The namespace comes first in what kustomize renders.
        world.kubectl.apply(&world.manifests.without_webhooks());
        world.namespace("kubevirt");
        world
    }

    /// As a scenario expects it, whatever the last one did.
    pub(crate) fn reset(&mut self) {
        let Self {
            plane, programs, ..
        } = self;
        plane.start_server(programs, self.runtime.handle());
        self.api.delete(WEBHOOKS);
        self.api.delete(VALIDATING_WEBHOOKS);
        self.api.delete(&self.tls_secret(manifests::NAMESPACE));
        // Whoever held it was killed, and another would wait until it is over.
        self.api.delete(LEASE);
        // berth may make neither.
        self.kubectl.apply(&self.manifests.to_be_filled());
        self.install_crds();
        for namespace in self.namespaces.borrow().iter() {
            self.api.delete(&vms::migrations(namespace));
            self.api.delete(&vms::pods(namespace));
            self.api.delete(&vms::vmis(namespace));
            self.api.delete(&vms::vms(namespace));
        }
        self.api.delete(&format!("{KUBEVIRTS}/kubevirt"));
        self.set_default_interface(None);
        fleet::renew(&self.api);
    }

    /// Starts kube-apiserver unless it runs.
    pub(crate) fn start_api_server(&mut self) {
        let Self {
            plane, programs, ..
        } = self;
        plane.start_server(programs, self.runtime.handle());
    }

    pub(crate) fn runtime(&self) -> &Handle {
        self.runtime.handle()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves the logs where they are, and says where.
    pub(crate) fn keep_logs(&mut self) -> PathBuf {
        self.dir.disable_cleanup(true);
        logs(self.dir.path())
    }

    /// A new namespace, which may be there already.
    pub(crate) fn namespace(&self, name: &str) -> String {
        let namespace = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": name},
        });
        self.kubectl.apply(&[namespace]);
        self.namespaces.borrow_mut().push(name.to_owned());
        name.to_owned()
    }

    /// Makes KubeVirt's kinds known, and waits until they are.
    pub(crate) fn install_crds(&self) {
        if self.crd_names().is_empty() {
            let file = self.crds.to_str().unwrap();
            // By the server: KubeVirt's own do not fit into the annotation of the other way.
            let apply = ["apply", "--server-side", "-f", file];
            self.kubectl.run(&apply, "");
            let wait = ["wait", "--for=condition=Established", "--all", "crds"];
            self.kubectl.run(&wait, "");
        }
        wait::until("KubeVirt's kinds are served", || {
            for path in [KUBEVIRTS, &vms::vmis("default"), &vms::vms("default")] {
                let served = self.api.send(&Method::GET, path, "", None);
                served.map_err(|error| format!("{path}: {error}"))?;
            }
            Ok(())
        });
    }

    /// Makes the other kinds known that virt-controller watches, where they are not.
    pub(crate) fn install_other_crds(&self) {
        let file = programs::repository("tests/e2e/data/virt-controller-crds.yaml");
        let list = manifests::document(&fs::read_to_string(file).unwrap());
        let known = self.crd_names();
        let is_new = |crd: &&Value| {
            let name = crd["metadata"]["name"].as_str().unwrap();
            !known.iter().any(|known| known == name)
        };
        let new: Vec<Value> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(is_new)
            .cloned()
            .collect();
        if new.is_empty() {
            return;
        }
        self.kubectl.apply(&new);
        let wait = ["wait", "--for=condition=Established", "--all", "crds"];
        self.kubectl.run(&wait, "");
    }

    /// Takes KubeVirt's kinds and all objects of them away, and waits until they are gone.
    pub(crate) fn remove_crds(&self) {
        for name in self.crd_names() {
            self.api.delete(&format!("{CRDS}/{name}"));
        }
        wait::within(FINALIZED, "KubeVirt's kinds are gone", || {
            match &self.crd_names()[..] {
                [] => Ok(()),
                names => Err(format!("{names:?}")),
            }
        });
    }

    fn crd_names(&self) -> Vec<String> {
        let name = |crd: &Value| crd["metadata"]["name"].as_str().unwrap().to_owned();
        self.api.list(CRDS).iter().map(name).collect()
    }

    /// Makes or changes the KubeVirt CR.
    pub(crate) fn set_default_interface(&self, binding: Option<&str>) {
        let network = match binding {
            Some(binding) => json!({"defaultNetworkInterface": binding}),
            None => json!({}),
        };
        self.apply_kubevirt(&json!({"network": network}));
    }

    /// The same with the status without which virt-controller takes no configuration from it.
    pub(crate) fn configure_kubevirt(&self, configuration: &Value) {
        self.apply_kubevirt(configuration);
        let status = json!({"phase": "Deployed", "observedKubeVirtVersion": "v1.9.0"});
        let path = format!("{KUBEVIRTS}/kubevirt/status");
        self.api.merge(&path, &json!({"status": status}));
    }

    fn apply_kubevirt(&self, configuration: &Value) {
        self.kubectl.apply(&[json!({
            "apiVersion": "kubevirt.io/v1",
            "kind": "KubeVirt",
            "metadata": {"name": "kubevirt", "namespace": "kubevirt"},
            "spec": {"configuration": configuration},
        })]);
    }

    /// A kubeconfig with a token of a `ServiceAccount`, and nothing else.
    pub(crate) fn account(&self, namespace: &str, name: &str, server: &str) -> PathBuf {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token");
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": []},
        });
        let answer = self.api.post(&path, &request);
        let user = json!({"token": answer["status"]["token"]});
        let file = self.dir().join(format!("{namespace}-{name}.kubeconfig"));
        write_kubeconfig(&file, server, self.plane.ca(), namespace, &user);
        file
    }

    /// The kubeconfig of the manifests' `ServiceAccount`.
    pub(crate) fn berths_account(&self) -> PathBuf {
        self.account(manifests::NAMESPACE, manifests::ACCOUNT, &self.plane.url())
    }

    /// Starts a replica with a certificate from files, and waits until it serves.
    pub(crate) fn start_berth(&self, name: &str, kubeconfig: &Path) -> Berth {
        self.start_configured_berth(name, kubeconfig, &self.config)
    }

    /// Starts a ready replica that also reads and asks OVN, as a part of its configuration says.
    pub(crate) fn berth_on_ovn(&self, name: &str, southbound: &Value) -> Berth {
        self.changed_berth(name, |config| config["southbound"] = southbound.clone())
    }

    /// Starts a ready replica with a change of its configuration.
    pub(crate) fn changed_berth(&self, name: &str, change: impl FnOnce(&mut Value)) -> Berth {
        let mut config = electing(self.manifests.config());
        change(&mut config);
        let file = self.dir().join(format!("{name}.yaml"));
        fs::write(&file, config.to_string()).unwrap();
        let berth = self.start_configured_berth(name, &self.berths_account(), &file);
        berth.wait_until_ready();
        berth
    }

    fn start_configured_berth(&self, name: &str, kubeconfig: &Path, config: &Path) -> Berth {
        let Pair { cert, key } = &self.serving;
        let flags = [
            flag("kubeconfig", kubeconfig),
            flag("config", config),
            flag("tls-cert", cert),
            flag("tls-key", key),
        ];
        Berth::start(self.runtime(), name, &logs(self.dir()), &flags)
    }

    /// Starts a replica that manages its certificates, and the CA in one webhook configuration.
    pub(crate) fn start_managing_berth(
        &self,
        name: &str,
        kubeconfig: &Path,
        webhooks: &str,
    ) -> Berth {
        let mut config = electing(self.manifests.config());
        config["tls"]["managed"] = json!({
            // kube-apiserver is given a URL here.
            "extraNames": ["127.0.0.1"],
            "webhookConfigurations": [webhooks],
        });
        let file = self.dir().join(format!("{name}.yaml"));
        fs::write(&file, config.to_string()).unwrap();
        let flags = [
            flag("kubeconfig", kubeconfig),
            flag("config", &file),
            format!("--tls-secret={}", self.manifests.tls_secret()),
            "--manage-certificates".to_owned(),
        ];
        Berth::start(self.runtime(), name, &logs(self.dir()), &flags)
    }

    /// The path to the Secret with berth's certificates.
    pub(crate) fn tls_secret(&self, namespace: &str) -> String {
        let name = self.manifests.tls_secret();
        format!("/api/v1/namespaces/{namespace}/secrets/{name}")
    }

    /// Starts a ready replica of the manifests' `ServiceAccount`.
    pub(crate) fn berth(&self, name: &str) -> Berth {
        let berth = self.start_berth(name, &self.berths_account());
        berth.wait_until_ready();
        berth
    }

    /// The CA that such a replica has made, as a file.
    pub(crate) fn managed_ca(&self, namespace: &str) -> PathBuf {
        let secret = self.api.get(&self.tls_secret(namespace));
        let text = secret["data"]["ca.crt"].as_str().expect("ca.crt");
        let file = self.dir().join(format!("{namespace}-ca.crt"));
        fs::write(&file, BASE64_STANDARD.decode(text).unwrap()).unwrap();
        file
    }

    /// A Service in front of ready replicas.
    pub(crate) fn service(&self, replicas: &[&Berth]) -> Service {
        let service = Service::start(self.runtime());
        for berth in replicas {
            service.add(berth);
        }
        service.wait_for(replicas.len());
        service
    }

    /// Applies the webhooks of the manifests at a URL, and waits until they are asked.
    pub(crate) fn register_webhooks(&self, url: &str) {
        self.register_changed_webhooks(url, |_| {});
    }

    /// The same with changes to each webhook.
    pub(crate) fn register_changed_webhooks(&self, url: &str, change: impl Fn(&mut Value)) {
        let mut configuration = self.manifests.webhooks(url);
        let bundle = self.files_ca();
        for webhook in configuration["webhooks"].as_array_mut().unwrap() {
            webhook["clientConfig"]["caBundle"] = bundle.clone();
            change(webhook);
        }
        self.kubectl.apply(&[configuration]);
        wait::until("the webhooks are asked", || self.probe_webhooks());
    }

    /// Applies the validating webhook of the manifests at a URL.
    pub(crate) fn register_validating_webhook(&self, url: &str) {
        let mut configuration = self.manifests.validating_webhook(url);
        configuration["webhooks"][0]["clientConfig"]["caBundle"] = self.files_ca();
        self.kubectl.apply(&[configuration]);
    }

    /// The CA of the certificate from files, as a bundle of a webhook.
    pub(crate) fn files_ca(&self) -> Value {
        BASE64_STANDARD.encode(fs::read(&self.ca).unwrap()).into()
    }

    /// Whether a VM would get the annotation now.
    pub(crate) fn probe_webhooks(&self) -> Result<(), String> {
        let path = format!("{}?dryRun=All", vms::vms("default"));
        let vm = self
            .api
            .try_post(&path, &vms::bridge_vm("default", "probe"))
            .map_err(|error| error.to_string())?;
        match &vm["spec"]["template"]["metadata"]["annotations"][ALLOW] {
            Value::Null => Err("a VM was not annotated".to_owned()),
            _ => Ok(()),
        }
    }
}

/// A configuration of a replica in a pod, for one that is given a kubeconfig in place of that.
fn electing(mut config: Value) -> Value {
    config["lease"]["leaderElection"] = "Always".into();
    config
}

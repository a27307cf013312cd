//! A migration with everything that takes part in it: an OVN, an API server, and what binds the target.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use berth::continuity::{Binder, Binding, Bound, Upholding, WarmOptions};
use kube::Client;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::gate::{At, Gate};
use super::whole::Whole;
use super::{MIGRATION, OPTIONS, is_up, lab, migrating, migration, migration_of_web, served, uid};
use crate::apiserver::ApiServer;
use crate::ovn_lab::Lab;
use crate::preparing::Preparing;
use crate::support::{item, items, until};

/// Options with which the pair is written before a warm port is.
const ORDERLY: WarmOptions = WarmOptions {
    coalesce: Duration::from_millis(400),
    ..OPTIONS
};

/// Options with which a bind does not wait for long.
pub(super) const HASTY: WarmOptions = WarmOptions {
    timeout: Duration::from_secs(1),
    ..OPTIONS
};

/// For how long berth leaves a pair to Kube-OVN.
pub(super) const LEFT_FOR: Duration = Duration::from_secs(30);

/// How often a leader has to look until nothing is left: each look may collide with the one before.
const LOOKS: usize = 5;

/// The VMs `web` and `other` run on `el9-0` in one VPC, and migrate.
pub(super) struct World {
    pub(super) lab: Lab,
    pub(super) server: ApiServer,
    pub(super) client: Client,
    pub(super) cluster: Value,
    /// The northbound database before berth.
    pub(super) before: Whole,
    /// The names of the target pods.
    pods: RefCell<Vec<String>>,
}

/// What came of a pair and of a chassis, as the metrics have it.
pub(super) type Outcomes = [String; 2];

impl World {
    pub(super) async fn start() -> Option<Self> {
        let lab = lab()?;
        lab.plug("el9-0", "other.default");
        until("its port is up", || is_up(&lab, "other.default")).await;
        let mut cluster = migrating();
        let mut other = item(&mut cluster, "VirtualMachineInstance", "web").clone();
        other["metadata"]["name"] = "other".into();
        other["metadata"]["uid"] = "v-other".into();
        items(&mut cluster).push(other);
        let (server, client) = served(&cluster).await;
        let before = Whole::read(&lab);
        Some(Self {
            lab,
            server,
            client,
            cluster,
            before,
            pods: RefCell::default(),
        })
    }

    /// A replica of berth.
    pub(super) async fn berth(&self, options: WarmOptions) -> Preparing {
        Preparing::on(&self.lab, &self.cluster, options).await
    }

    /// A replica that reaches the northbound database through a gate.
    pub(super) async fn behind(&self, gate: &Gate) -> Preparing {
        Preparing::at(&self.lab, &gate.endpoint(), &self.cluster, ORDERLY).await
    }

    /// A gate that stops at the write of this number.
    pub(super) async fn gate(&self, write: usize, at: At) -> Gate {
        Gate::start(&self.lab.northbound.socket(), (write, at)).await
    }

    /// The target pod of a VM's migration, which is not bound yet.
    pub(super) fn target(&self, vm: &str, migration: &str) -> String {
        let name = format!("{vm}-{}", self.pods.borrow().len());
        let labels = json!({"kubevirt.io": "virt-launcher", "kubevirt.io/migrationJobUID": migration, "kubevirt.io/nodeName": "el9-0"});
        let mut pod = super::pod(&name, &labels);
        pod["metadata"]["ownerReferences"][0]["name"] = vm.into();
        pod["metadata"]["ownerReferences"][0]["uid"] = vmi_uid(vm).into();
        self.server.apply(pod);
        self.pods.borrow_mut().push(name.clone());
        name
    }

    /// The last target pod of a migration.
    pub(super) fn pod_of(&self, migration: &str) -> Option<Value> {
        let pods = self.pods.borrow();
        let pods = pods.iter().rev();
        let mut pods = pods.filter_map(|pod| self.server.get("pods", Some("default"), pod));
        pods.find(|pod| pod["metadata"]["labels"]["kubevirt.io/migrationJobUID"] == migration)
    }

    /// The target pod of the migration that a VM has from the beginning.
    pub(super) fn first_target(&self, vm: &str) -> String {
        match vm {
            "web" => self.target(vm, &migration()),
            vm => self.target(vm, &format!("m-{vm}")),
        }
    }

    /// Binds a target pod in time, as kube-scheduler has it bound.
    pub(super) async fn bind(&self, berth: &Preparing, pod: &str, node: &str) -> Outcomes {
        let binder = self.binder(berth);
        let before = outcomes(berth);
        let bound = timeout(binder.patience(), binder.bind(&binding(pod, node))).await;
        assert_eq!(bound.unwrap().unwrap(), Bound::Now, "{pod}");
        assert_eq!(super::node_of(&self.server, pod), node);
        let mut after = outcomes(berth);
        after.retain(|outcome, count| before[outcome] != *count);
        let changed: Vec<_> = after.into_keys().map(|(_, outcome)| outcome).collect();
        changed.try_into().unwrap()
    }

    pub(super) fn binder(&self, berth: &Preparing) -> Binder {
        let preparer = Some(berth.preparer.clone());
        Binder::new(self.client.clone(), preparer, berth.metrics.clone())
    }

    /// Changes the first migration of `web`, its VMI or both.
    pub(super) fn change(&mut self, phase: &str, node: &str) {
        migration_of_web(&mut self.cluster)["status"]["phase"] = phase.into();
        let vmi = item(&mut self.cluster, "VirtualMachineInstance", "web");
        vmi["status"]["nodeName"] = node.into();
        self.publish();
    }

    /// The API server gets the cluster as it is here.
    pub(super) fn publish(&self) {
        for item in self.cluster["items"].as_array().unwrap() {
            if [MIGRATION, "VirtualMachineInstance"]
                .iter()
                .any(|kind| item["kind"] == *kind)
            {
                self.server.apply(item.clone());
            }
        }
    }

    /// All migrations are under way again, from `el9-0`.
    pub(super) fn begin(&mut self) {
        self.end("Scheduling");
        self.change("Scheduling", "el9-0");
    }

    /// All migrations end as this says.
    pub(super) fn end(&mut self, phase: &str) {
        for item in items(&mut self.cluster) {
            if item["kind"] == MIGRATION {
                item["status"]["phase"] = phase.into();
            }
        }
        self.publish();
    }

    /// A replica leads until nothing of berth is left, and the northbound database is as it was before.
    pub(super) async fn tidy(&self, berth: &Preparing) {
        self.lead(berth).await;
        self.before.is_back(&self.lab);
    }

    /// A replica leads until nothing of berth is left.
    pub(super) async fn lead(&self, berth: &Preparing) {
        berth.set_cluster(&self.cluster);
        let upholding = Upholding::while_on(Duration::ZERO);
        let mut keeper = berth.keeper(self.client.clone(), upholding);
        keeper.look().await.unwrap();
        later(LEFT_FOR).await;
        for _ in 0..LOOKS {
            keeper.look().await.unwrap();
        }
        assert!(!keeper.look().await.unwrap(), "a pair is left");
    }
}

/// So much later.
pub(super) async fn later(by: Duration) {
    tokio::time::pause();
    tokio::time::advance(by).await;
    tokio::time::resume();
}

pub(super) fn binding(pod: &str, node: &str) -> Binding {
    Binding {
        namespace: "default".to_owned(),
        name: pod.to_owned(),
        uid: format!("uid-of-{pod}"),
        node: node.to_owned(),
    }
}

fn vmi_uid(vm: &str) -> String {
    match vm {
        "web" => uid("VirtualMachineInstance", "web"),
        vm => format!("v-{vm}"),
    }
}

/// How often each outcome of a pair and of a chassis was counted.
fn outcomes(berth: &Preparing) -> BTreeMap<(&'static str, String), String> {
    let text = berth.registry.encode().unwrap();
    let lines = text.lines().flat_map(|line| {
        ["berth_port_pairs_total", "berth_warmings_total"].map(|name| {
            let series = line.strip_prefix(name)?.strip_prefix("{outcome=\"")?;
            let (outcome, count) = series.split_once("\"} ")?;
            Some(((name, outcome.to_owned()), count.to_owned()))
        })
    });
    lines.flatten().collect()
}

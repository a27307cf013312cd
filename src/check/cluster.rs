//! The cluster that a command judges: read once, with what could not be read.

use std::time::Duration;

use crate::api::Fault;
use crate::api::client::{self, ClientError};
use crate::app::southbound;
use crate::args::fleet::{ClusterArgs, FleetArgs, ScopeArgs};
use crate::cluster::file::SnapshotError;
use crate::cluster::object::ObjectKey;
use crate::config::{Config, ConfigError};
use crate::decide::causes::Cause;
use crate::decide::checks::Check;
use crate::decide::policy::Policy;
use crate::domain::Provider;
use crate::fleet::advise;
use crate::fleet::finding::Finding;
use crate::fleet::kind::Kind;
use crate::fleet::load::{self, ListError, Loaded};
use crate::fleet::versions::Versions;
use crate::snapshot::{Snapshot, SouthboundState};

/// The longest that the southbound database may take.
const SOUTHBOUND_DEADLINE: Duration = Duration::from_secs(15);

/// A cluster, and how it is judged.
#[derive(Debug)]
pub struct Cluster {
    /// What was read.
    pub loaded: Loaded,
    /// The same cluster as the service sees it.
    pub snapshot: Snapshot,
    /// The checks of nodes.
    pub policy: Policy,
    /// The namespace that a command is about where none is named.
    pub namespace: String,
}

/// Why a cluster can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No client for the cluster can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A list failed.
    #[error(transparent)]
    List(#[from] ListError),
    /// The file can't be read.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The API server does not answer.
    #[error("the API server does not answer: {0}")]
    Unanswered(Fault),
    /// The API server, or a proxy before it, does not say which version it has.
    #[error("can't read the version of the API server: {}", .0.with_remedy("the user of the kubeconfig needs the right to get /version"))]
    NoVersion(Fault),
    /// The southbound database can't be asked.
    #[error("{0}")]
    Southbound(String),
}

/// The VMs that a command is about.
#[derive(Clone, Debug)]
pub enum Scope {
    /// Those of all namespaces.
    All,
    /// Those of a namespace, or of the namespace of the context.
    Namespace(Option<String>),
}

impl From<&ScopeArgs> for Scope {
    fn from(args: &ScopeArgs) -> Self {
        if args.all_namespaces {
            Self::All
        } else {
            Self::Namespace(args.namespace.clone())
        }
    }
}

impl Cluster {
    /// Reads the cluster.
    pub async fn read(args: &FleetArgs, scope: Scope) -> Result<Self, ClusterError> {
        let FleetArgs {
            cluster: args,
            ovn_sb,
        } = args;
        let mut config = config(args)?;
        // Those of the configuration are reached from a pod of the cluster, not from where a person is.
        config.southbound.endpoints.clone_from(ovn_sb);
        let network = config.network();
        let (mut loaded, namespace) = match (&args.snapshot, scope) {
            (Some(path), scope) => {
                let loaded = load::from_file(path, &network)?;
                let asked = match scope {
                    Scope::All => None,
                    Scope::Namespace(asked) => asked,
                };
                (loaded, asked.unwrap_or_else(|| "default".to_owned()))
            }
            (None, scope) => {
                let kubeconfig = args.kubeconfig.as_deref();
                let connected = client::choose(kubeconfig, args.context.as_deref()).await;
                let connected = connected.map_err(ClientError::or_file)?;
                let (only, namespace) = match scope {
                    Scope::All => (None, connected.namespace),
                    Scope::Namespace(asked) => {
                        let namespace = asked.unwrap_or(connected.namespace);
                        (Some(namespace.clone()), namespace)
                    }
                };
                let loaded = load::from_api(&connected.client, &network, only.as_deref()).await?;
                (loaded, namespace)
            }
        };
        let southbound = southbound::read_once(&config.southbound, SOUTHBOUND_DEADLINE).await;
        let southbound = southbound.map_err(|error| ClusterError::Southbound(error.to_string()))?;
        if let SouthboundState::Fresh(view, _) = &southbound {
            loaded.fleet.ovn = view.northd;
        }
        let snapshot = Snapshot {
            southbound,
            ..Snapshot::from(&loaded.view)
        };
        Ok(Self {
            loaded,
            snapshot,
            policy: config.policy(),
            namespace,
        })
    }

    /// What is found of the cluster as a whole: what could not be read, and the known bugs of its releases.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding<'static>> {
        let mut found = self.unread(|_| true);
        if self.lacks_agents() {
            let agents = self.policy.provider.agents().iter();
            let agents: Vec<&str> = agents.map(|agent| agent.name()).collect();
            found.push(Finding::of(Cause::AgentsNotRead, &agents.join(", ")));
        }
        found.extend(self.unknown_releases());
        found.extend(advise::of_cluster(&Versions::of(&self.loaded.fleet)));
        match self.snapshot.southbound {
            SouthboundState::NotRead => found.push(Finding::of(Cause::SouthboundNotRead, "")),
            SouthboundState::Stale => {
                let detail = format!("no answer within {} s", SOUTHBOUND_DEADLINE.as_secs());
                found.push(Finding::of(Cause::SouthboundNotRead, &detail));
            }
            SouthboundState::Fresh(..) => {}
        }
        found
    }

    /// The components that run, and whose releases are not known. That their objects were not read is a finding
    /// already.
    #[must_use]
    pub fn unknown_releases(&self) -> Vec<Finding<'static>> {
        let fleet = &self.loaded.fleet;
        let is_kubevirt_unknown = match &fleet.kubevirt {
            Some(cr) => cr.status.observed_kube_virt_version.is_none(),
            None => self.was_read(Kind::KubeVirt),
        };
        let is_kube_ovn_unknown = self.policy.provider == Provider::KubeOvn
            && self.shows_network()
            && self.was_read(Kind::Pod)
            && Versions::of(fleet).kube_ovn.is_none();
        let unknown = [
            (is_kubevirt_unknown, Cause::KubeVirtVersionUnknown),
            (is_kube_ovn_unknown, Cause::KubeOvnVersionUnknown),
        ];
        let unknown = unknown.into_iter().filter(|(is_unknown, _)| *is_unknown);
        unknown.map(|(_, cause)| Finding::of(cause, "")).collect()
    }

    /// Whether the network provider runs, its agents are to be checked, and not one of their pods was read.
    fn lacks_agents(&self) -> bool {
        self.policy.checks.contains(Check::AgentsNotReady)
            && self.shows_network()
            && self.was_read(Kind::Pod)
            && self.snapshot.capabilities().agents_seen.is_empty()
    }

    /// Whether nodes or launcher pods have the annotations of the network provider.
    fn shows_network(&self) -> bool {
        let mut nodes = self.snapshot.cluster.nodes();
        let mut pods = self.loaded.fleet.pods.values();
        nodes.any(|(_, facts, _)| facts.chassis.name().is_some())
            || self.policy.provider == Provider::KubeOvn
                && pods.any(|pod| {
                    let launcher = pod.launcher.as_deref();
                    launcher.is_some_and(|launcher| !launcher.networks.is_empty())
                })
    }

    /// Whether the objects of a vital kind were read.
    fn was_read(&self, kind: Kind) -> bool {
        !self
            .loaded
            .fleet
            .unread
            .vital()
            .any(|unread| unread == kind)
    }

    /// What was not read without which nothing can be said of where VMs are or fit: nodes, pods, the KubeVirt
    /// CR, VMs or VMIs, or not all of them.
    #[must_use]
    pub fn gaps(&self) -> Vec<Finding<'static>> {
        let is_vital = |kind: &Kind| {
            matches!(
                kind,
                Kind::Node
                    | Kind::Pod
                    | Kind::KubeVirt
                    | Kind::VirtualMachine
                    | Kind::VirtualMachineInstance
            )
        };
        self.unread(is_vital)
    }

    /// Whether nothing could be said of the cluster's VMs, of a damaged one that is asked for, of the network's
    /// agents, or of the chassis where they are asked for.
    #[must_use]
    pub fn is_unanswered(&self, is_asked: impl Fn(&ObjectKey) -> bool) -> bool {
        let is_asked = |(kind, key, _): &(Kind, ObjectKey, String)| {
            matches!(kind, Kind::VirtualMachine | Kind::VirtualMachineInstance) && is_asked(key)
        };
        self.loaded.fleet.unread.vital().next().is_some()
            || self.lacks_vmis()
            || self.lacks_agents()
            || self.loaded.unreadable.iter().any(is_asked)
            || matches!(self.snapshot.southbound, SouthboundState::Stale)
    }

    /// Whether there is no VMI, not even a damaged one, although VMs say that they run.
    fn lacks_vmis(&self) -> bool {
        let fleet = &self.loaded.fleet;
        let mut vms = fleet.vms.values();
        let mut damaged = fleet.unread.objects.iter();
        let has_damaged = damaged.any(|(kind, _)| *kind == Kind::VirtualMachineInstance);
        fleet.vmis.is_empty() && !has_damaged && vms.any(|vm| vm.status.runs())
    }

    /// What could not be read of these kinds.
    pub fn unread(&self, is_asked: impl Fn(&Kind) -> bool) -> Vec<Finding<'static>> {
        let mut found = Vec::new();
        for (kind, fault) in self
            .loaded
            .not_allowed
            .iter()
            .filter(|(kind, _)| is_asked(kind))
        {
            let detail = format!("{}: {fault}", kind.plural());
            found.push(Finding::of(Cause::NotAllowed, &detail));
        }
        for kind in self.loaded.absent.iter().filter(|kind| is_asked(kind)) {
            found.push(Finding::of(Cause::NotInSnapshot, kind.plural()));
        }
        let vmis = Kind::VirtualMachineInstance;
        if is_asked(&vmis) && self.lacks_vmis() {
            found.push(Finding::of(Cause::NotInSnapshot, vmis.plural()));
        }
        for (kind, key, problem) in &self.loaded.unreadable {
            if is_asked(kind) {
                let kind = kind.name();
                let detail = if load::has_name(key) {
                    format!("{kind} {key}: {problem}")
                } else {
                    format!("a {kind} without a name: {problem}")
                };
                found.push(Finding::of(Cause::Unreadable, &detail));
            }
        }
        found
    }
}

/// The configuration that the service runs with, as far as the command line has it.
pub(crate) fn config(args: &ClusterArgs) -> Result<Config, ConfigError> {
    let mut config = match &args.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    if let Some(provider) = args.network_provider {
        config.network.provider = provider;
    }
    Ok(config)
}

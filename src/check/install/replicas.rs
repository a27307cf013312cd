//! The pods of berth: are all of them there, ready, and of one release?

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::line::{Asked, Line, answered};
use super::metrics::Metrics;
use super::rights::{self, Action};
use super::selector::matches;
use crate::decide::requirements::Requirement;
use crate::domain::Provider;
use crate::layout::plural;

/// What was read of berth's own objects.
#[derive(Debug)]
pub(super) struct Installed {
    /// The Deployment, if it is there.
    pub(super) deployment: Asked<Option<Deployment>>,
    /// The pods, with what each answered.
    pub(super) replicas: Asked<Vec<Replica>>,
    /// The budgets of the namespace.
    pub(super) budgets: Asked<Vec<PodDisruptionBudget>>,
    /// What the service account may do.
    pub(super) reviews: Vec<(Action, Asked<bool>)>,
    /// The `ClusterIP` of the Service, if there is a Service.
    pub(super) service: Asked<Option<String>>,
    /// The namespace.
    pub(super) namespace: String,
}

/// A pod of berth.
#[derive(Debug)]
pub(super) struct Replica {
    /// `namespace/name`.
    pub(super) name: String,
    /// The image of its container.
    pub(super) image: String,
    /// Why it does not run; `None` if it does.
    pub(super) lack: Option<String>,
    /// What it answers to `/readyz`: what is missing, if anything is.
    pub(super) missing: Asked<Option<String>>,
    /// What it counted.
    pub(super) metrics: Asked<Metrics>,
}

impl Installed {
    /// Everything that is found of them. Without a Deployment there is no more to say than that.
    pub(super) fn judge(&self) -> Vec<Line> {
        let deployment = match answered(&self.deployment, Requirement::NotInstalled) {
            Ok(Some(deployment)) => deployment,
            Ok(None) => {
                return vec![Line::unmet(
                    Requirement::NotInstalled,
                    &self.deployment_name(),
                )];
            }
            Err(line) => return vec![line],
        };
        let mut lines = vec![Line::met(
            Requirement::NotInstalled,
            &self.deployment_name(),
        )];
        lines.push(ready(deployment));
        lines.extend(self.replicas());
        lines.push(self.budget(deployment));
        lines.push(rights::judge(Requirement::RightMissing, &self.reviews));
        lines.push(self.service());
        lines
    }

    fn deployment_name(&self) -> String {
        format!("Deployment {}/{}", self.namespace, super::NAME)
    }

    fn replicas(&self) -> Vec<Line> {
        let replicas = match answered(&self.replicas, Requirement::ReplicaNotReady) {
            Ok(replicas) => replicas,
            Err(line) => return vec![line],
        };
        if replicas.is_empty() {
            return Vec::new();
        }
        let mut lines: Vec<Line> = replicas.iter().filter_map(Replica::lack).collect();
        if lines.is_empty() {
            let detail = plural(replicas.len(), "replica");
            lines.push(Line::met(Requirement::ReplicaNotReady, &detail));
        }
        let images = distinct(replicas.iter().map(|replica| replica.image.as_str()));
        let is_one = images.len() == 1;
        let detail = images.join(", ");
        lines.push(Line::of(is_one, Requirement::ImagesDiffer, &detail));
        lines.extend(version(replicas));
        lines
    }

    fn budget(&self, deployment: &Deployment) -> Line {
        let budgets = match answered(&self.budgets, Requirement::NoDisruptionBudget) {
            Ok(budgets) => budgets,
            Err(line) => return line,
        };
        let template = deployment.spec.as_ref().map(|spec| &spec.template);
        let labels = template.and_then(|template| template.metadata.as_ref()?.labels.clone());
        let labels = labels.unwrap_or_default();
        let keeps = |budget: &&PodDisruptionBudget| {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            selector.is_some_and(|selector| matches(selector, &labels))
        };
        match budgets.iter().find(keeps) {
            Some(budget) => {
                let name = budget.metadata.name.as_deref().unwrap_or_default();
                Line::met(Requirement::NoDisruptionBudget, name)
            }
            None => Line::unmet(Requirement::NoDisruptionBudget, ""),
        }
    }

    fn service(&self) -> Line {
        let name = format!("{}/{}", self.namespace, super::NAME);
        match answered(&self.service, Requirement::ServiceNotFound) {
            Ok(Some(address)) => Line::met(
                Requirement::ServiceNotFound,
                &format!("{name} at {address}"),
            ),
            Ok(None) => Line::unmet(Requirement::ServiceNotFound, &name),
            Err(line) => line,
        }
    }
}

/// How many replicas are ready, as the Deployment says.
fn ready(deployment: &Deployment) -> Line {
    let spec = deployment.spec.as_ref();
    let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let status = deployment.status.as_ref();
    let ready = status.and_then(|status| status.ready_replicas).unwrap_or(0);
    let detail = format!("{ready} of {wanted}");
    match ready {
        0 => Line::unmet(Requirement::NoReplicaReady, &detail),
        _ => Line::of(ready >= wanted, Requirement::ReplicaMissing, &detail),
    }
}

impl Replica {
    /// What is wrong with it, if anything is.
    fn lack(&self) -> Option<Line> {
        let requirement = Requirement::ReplicaNotReady;
        let name = &self.name;
        if let Some(lack) = &self.lack {
            return Some(Line::unmet(requirement, &format!("{name}: {lack}")));
        }
        match &self.missing {
            Ok(None) => None,
            Ok(Some(missing)) => Some(Line::unmet(requirement, &format!("{name}: {missing}"))),
            Err(fault) => {
                let why = format!("{name} was not reached: {fault}");
                Some(Line::unknown(requirement, &why))
            }
        }
    }
}

/// Whether this program is of the release of the replicas, as they say it themselves.
fn version(replicas: &[Replica]) -> Option<Line> {
    let own = env!("CARGO_PKG_VERSION");
    let metrics = replicas.iter().flat_map(|replica| &replica.metrics);
    let versions = distinct(metrics.filter_map(|metrics| metrics.version.as_deref()));
    if versions.is_empty() {
        return None;
    }
    let is_same = versions == [own];
    let detail = if is_same {
        own.to_owned()
    } else {
        format!("{own}, they have {}", versions.join(", "))
    };
    Some(Line::of(is_same, Requirement::VersionDiffers, &detail))
}

fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut texts: Vec<&str> = texts.collect();
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// Why a pod does not run, as its status says; `None` if berth runs in it.
pub(super) fn lack(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let conditions = status.conditions.iter().flatten();
    let mut unscheduled = conditions
        .filter(|condition| condition.type_ == "PodScheduled" && condition.status == "False");
    if let Some(condition) = unscheduled.next() {
        let why = condition.message.as_deref().unwrap_or("no node yet");
        return Some(format!("not scheduled: {why}"));
    }
    let mut containers = status.container_statuses.iter().flatten();
    if let Some(why) = containers.find_map(waits) {
        return Some(why);
    }
    match status.phase.as_deref() {
        Some("Running") => None,
        phase => Some(format!("phase {}", phase.unwrap_or("unknown"))),
    }
}

/// Why a container does not run.
fn waits(status: &ContainerStatus) -> Option<String> {
    let state = status.state.as_ref()?;
    let (reason, said) = if let Some(waiting) = &state.waiting {
        (waiting.reason.as_deref(), waiting.message.as_deref())
    } else {
        let ended = state.terminated.as_ref()?;
        (ended.reason.as_deref(), ended.message.as_deref())
    };
    let reason = reason.unwrap_or("not started");
    Some(match said {
        Some(said) if !said.is_empty() => format!("{reason}: {said}"),
        _ => reason.to_owned(),
    })
}

/// The value of a variable of the container.
pub(super) fn variable<'d>(deployment: &'d Deployment, name: &str) -> Option<&'d str> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    let mut variables = pod.containers.first()?.env.iter().flatten();
    variables
        .find(|variable| variable.name == name)?
        .value
        .as_deref()
}

/// The network provider that the component `ovn-kubernetes` sets.
pub(super) fn provider(deployment: &Deployment) -> Option<Provider> {
    variable(deployment, "BERTH_NETWORK_PROVIDER")?.parse().ok()
}

/// The port of berth's admin listener.
pub(super) fn admin_port(container: &Container) -> Option<u16> {
    let mut ports = container.ports.iter().flatten();
    let admin = ports.find(|port| port.name.as_deref() == Some("admin"))?;
    u16::try_from(admin.container_port).ok()
}

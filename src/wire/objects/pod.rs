//! Pods: virt-launchers and the network's agents.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::agent::{agent_of, bystanders};
use super::condition::Condition;
use super::time::time;
use crate::domain::{Agent, AgentState, Provider, UnixTime};
use crate::wire::gather::{Gather, Gathered};
use crate::wire::{Map, Text};

/// A Pod.
#[derive(Debug, Deserialize)]
pub struct Pod<'a> {
    #[serde(borrow)]
    metadata: PodMetadata<'a>,
    spec: Option<PodSpec<'a>>,
    status: Option<PodStatus<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodMetadata<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default)]
    namespace: Text<'a>,
    #[serde(default)]
    uid: Text<'a>,
    labels: Option<Map<PodLabels<'a>>>,
    owner_references: Option<Gathered<VmiController<'a>>>,
    creation_timestamp: Option<Text<'a>>,
    deletion_timestamp: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct PodLabels<'a> {
    #[serde(borrow, rename = "kubevirt.io")]
    kubevirt: Option<Text<'a>>,
    #[serde(rename = "kubevirt.io/migrationJobUID")]
    migration_job: Option<Text<'a>>,
    app: Option<Text<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OwnerReference<'a> {
    #[serde(borrow)]
    api_version: Text<'a>,
    kind: Text<'a>,
    name: Text<'a>,
    uid: Text<'a>,
    controller: Option<bool>,
}

/// Of a pod's owners, the VMI that controls it.
#[derive(Debug, Default)]
struct VmiController<'a>(Option<OwnerReference<'a>>);

impl<'de: 'a, 'a> Gather<'de> for VmiController<'a> {
    type Item = OwnerReference<'a>;

    fn take(&mut self, owner: Self::Item) {
        if self.0.is_none() && owner.is_vmi_in_control() {
            self.0 = Some(owner);
        }
    }
}

impl OwnerReference<'_> {
    fn is_vmi_in_control(&self) -> bool {
        self.controller == Some(true)
            && self.kind.as_str() == "VirtualMachineInstance"
            && self.api_version.as_str().starts_with("kubevirt.io/")
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodSpec<'a> {
    #[serde(borrow)]
    node_name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodStatus<'a> {
    #[serde(borrow)]
    phase: Option<Text<'a>>,
    conditions: Option<Gathered<Conditions>>,
    container_statuses: Option<Gathered<Unready>>,
}

/// Of a pod's conditions, whether it is Ready, and since when it is bound.
#[derive(Debug, Default)]
struct Conditions {
    is_ready: bool,
    bound: Option<UnixTime>,
}

impl<'a> Gather<'a> for Conditions {
    type Item = Condition<'a>;

    fn take(&mut self, condition: Self::Item) {
        self.is_ready |= condition.is_true("Ready");
        if condition.is_true("PodScheduled") {
            self.bound = time(condition.last_transition_time.as_ref());
        }
    }
}

/// Of a pod's containers, those that are not ready.
#[derive(Debug, Default)]
struct Unready {
    /// Those that some agent does without.
    bystanders: Vec<&'static str>,
    /// There are others.
    others: bool,
}

impl<'a> Gather<'a> for Unready {
    type Item = ContainerStatus<'a>;

    fn take(&mut self, container: Self::Item) {
        if container.ready {
            return;
        }
        let mut all = Agent::ALL.iter().flat_map(|agent| bystanders(*agent));
        match all.find(|name| **name == container.name.as_str()) {
            None => self.others = true,
            Some(name) if !self.bystanders.contains(name) => self.bystanders.push(name),
            Some(_) => {}
        }
    }
}

#[derive(Debug, Deserialize)]
struct ContainerStatus<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(default)]
    ready: bool,
}

impl PodStatus<'_> {
    /// Whether the condition `Ready` holds.
    fn is_ready(&self) -> bool {
        matches!(
            self.conditions,
            Some(Gathered(Conditions { is_ready: true, .. }))
        )
    }

    /// Whether some containers are not ready, and all of those are among these. Where none is, it is
    /// something else that keeps the pod from being Ready: a node that has gone silent.
    fn lacks_only(&self, containers: &[&str]) -> bool {
        let Some(Gathered(Unready { bystanders, others })) = &self.container_statuses else {
            return false;
        };
        !others && !bystanders.is_empty() && bystanders.iter().all(|name| containers.contains(name))
    }
}

/// A launcher pod's VMI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner<'a> {
    /// The VMI's name, in the pod's namespace.
    pub name: &'a str,
    /// The VMI's UID.
    pub uid: &'a str,
}

impl Pod<'_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_str()
    }

    /// Its namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_str()
    }

    /// Its UID.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_str()
    }

    /// Whether it is a virt-launcher. Hot-plug attachment pods carry the migration's labels as
    /// well, but not this one.
    #[must_use]
    pub fn is_launcher(&self) -> bool {
        let labels = self.metadata.labels.as_ref();
        labels
            .and_then(|Map(labels)| labels.kubevirt.as_ref())
            .is_some_and(|kind| kind.as_str() == "virt-launcher")
    }

    /// Whether a migration made it.
    #[must_use]
    pub fn belongs_to_migration(&self) -> bool {
        self.migration().is_some()
    }

    /// The UID of the migration that made it (KubeVirt `MigrationJobLabel`).
    #[must_use]
    pub fn migration(&self) -> Option<&str> {
        let labels = self.metadata.labels.as_ref();
        let Map(labels) = labels?;
        labels.migration_job.as_ref().map(Text::as_str)
    }

    /// The VMI that controls it.
    #[must_use]
    pub fn vmi(&self) -> Option<Owner<'_>> {
        let Gathered(VmiController(owner)) = self.metadata.owner_references.as_ref()?;
        let owner = owner.as_ref()?;
        Some(Owner {
            name: owner.name.as_str(),
            uid: owner.uid.as_str(),
        })
    }

    /// Which of a provider's agents it is, by the label `app` that their `DaemonSet`s set.
    #[must_use]
    pub fn agent(&self, provider: Provider) -> Option<Agent> {
        let app = self.metadata.labels.as_ref()?.0.app.as_ref()?;
        agent_of(provider, app.as_str())
    }

    /// The node that it runs on.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        let node = self.spec.as_ref()?.node_name.as_ref()?.as_str();
        (!node.is_empty()).then_some(node)
    }

    /// When it was created.
    #[must_use]
    pub fn created(&self) -> Option<UnixTime> {
        time(self.metadata.creation_timestamp.as_ref())
    }

    /// When it was bound to its node.
    #[must_use]
    pub fn bound(&self) -> Option<UnixTime> {
        let Gathered(conditions) = self.status.as_ref()?.conditions.as_ref()?;
        conditions.bound
    }

    /// Whether its containers have ended, or it is about to go.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let phase = self.status.as_ref().and_then(|s| s.phase.as_ref());
        self.metadata.deletion_timestamp.is_some()
            || matches!(phase.map(Text::as_str), Some("Succeeded" | "Failed"))
    }

    /// How an agent's pod is: ready when it is Ready, or would be but for containers that no VM's
    /// traffic needs. One that is being deleted is on its way out, ready or not.
    #[must_use]
    pub fn agent_state(&self, agent: Agent) -> AgentState {
        let ready = self
            .status
            .as_ref()
            .is_some_and(|status| status.is_ready() || status.lacks_only(bystanders(agent)));
        if ready && self.metadata.deletion_timestamp.is_none() {
            AgentState::Ready
        } else {
            AgentState::NotReady
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn mk_pod(text: &str) -> Pod<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_pods_vmi_is_its_controller_and_nothing_else() {
        let owned = |owner: Value| json!({"metadata": {"ownerReferences": [owner]}}).to_string();
        let good = json!({"apiVersion": "kubevirt.io/v1", "kind": "VirtualMachineInstance", "name": "web", "uid": "1", "controller": true});
        assert_eq!(
            mk_pod(&owned(good.clone())).vmi(),
            Some(Owner {
                name: "web",
                uid: "1"
            })
        );
        for (key, value) in [
            ("apiVersion", json!("example.com/v1")),
            ("kind", json!("ReplicaSet")),
            ("controller", json!(false)),
            ("controller", json!(null)),
        ] {
            let mut other = good.clone();
            other[key] = value;
            assert_eq!(mk_pod(&owned(other)).vmi(), None);
        }
        assert_eq!(mk_pod(r#"{"metadata":{}}"#).vmi(), None);
    }

    #[test]
    fn an_agent_is_ready_when_its_condition_says_so_and_it_is_not_going_away() {
        let pod = |ready: &str, metadata: Value| {
            json!({"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": ready}]}}).to_string()
        };
        for (pod, expect) in [
            (pod("True", json!({})), AgentState::Ready),
            (pod("False", json!({})), AgentState::NotReady),
            (
                pod("True", json!({"deletionTimestamp": "2026-11-21T02:24:24Z"})),
                AgentState::NotReady,
            ),
            (r#"{"metadata":{}}"#.to_owned(), AgentState::NotReady),
        ] {
            for &agent in Agent::ALL {
                assert_eq!(mk_pod(&pod).agent_state(agent), expect, "{pod}");
            }
        }
    }

    #[test]
    fn ovnkube_node_is_ready_without_the_containers_that_no_traffic_needs() {
        use AgentState::{NotReady, Ready};
        for (unready, expect) in [
            (&["ovs-metrics-exporter"][..], Ready),
            (&["kube-rbac-proxy-node", "ovn-acl-logging"], Ready),
            (&["kube-rbac-proxy-ovn-metrics"], Ready),
            (&["ovn-controller"], NotReady),
            (&["ovn-controller", "ovs-metrics-exporter"], NotReady),
            (&["ovnkube-controller"], NotReady),
            (&["sb-ovsdb"], NotReady),
            (&["northd"], NotReady),
            // Its purpose is not known.
            (&["newcomer"], NotReady),
            // The node is gone: the pod is not Ready, and its containers are as they were.
            (&[], NotReady),
        ] {
            let others = ["ovn-controller", "sb-ovsdb", "ovnkube-controller"];
            let others = others.iter().filter(|name| !unready.contains(name));
            let statuses: Vec<Value> = unready
                .iter()
                .map(|name| json!({"name": name, "ready": false}))
                .chain(others.map(|name| json!({"name": name, "ready": true})))
                .collect();
            let status = json!({
                "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": statuses,
            });
            let pod = json!({"metadata": {}, "status": status}).to_string();
            assert_eq!(
                mk_pod(&pod).agent_state(Agent::OvnkubeNode),
                expect,
                "{pod}"
            );
            assert_eq!(mk_pod(&pod).agent_state(Agent::Ovs), NotReady, "{pod}");
            let going = json!({"metadata": {"deletionTimestamp": "2026-11-21T02:24:24Z"}, "status": status}).to_string();
            assert_eq!(mk_pod(&going).agent_state(Agent::OvnkubeNode), NotReady);
        }
    }
}

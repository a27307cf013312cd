//! Kubernetes, KubeVirt and the network: are they there, and does berth know their releases?

use serde_json::Value;

use super::line::{Asked, Line, answered};
use crate::decide::compatibility::{Compatibility, KUBE_OVN, KUBERNETES, KUBEVIRT, Relation};
use crate::decide::requirements::Requirement;
use crate::decide::version::Version;
use crate::domain::Network;
use crate::fleet::Fleet;
use crate::fleet::advise;
use crate::fleet::versions::Versions;

/// The kinds of KubeVirt that berth lists and watches, as `manifests/base/server/rbac.yaml` allows.
const WATCHED: [&str; 3] = [
    "virtualmachineinstances",
    "virtualmachineinstancemigrations",
    "kubevirts",
];

/// What was read of the cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    /// The release of Kubernetes, as `/version` has it.
    pub(super) kubernetes: Asked<String>,
    /// The plurals that the group `kubevirt.io/v1` serves; `None` if there is no such group.
    pub(super) kinds: Asked<Option<Vec<String>>>,
    /// The KubeVirt CRs.
    pub(super) kubevirts: Asked<Vec<Value>>,
    /// The images of the pods of the network provider's agents.
    pub(super) agents: Asked<Vec<String>>,
    /// The network that berth is configured for.
    pub(super) network: Network,
}

impl Cluster {
    /// Everything that is found of it.
    pub(super) fn judge(&self) -> Vec<Line> {
        let mut lines = self.kubernetes();
        lines.extend(self.kubevirt());
        lines.extend(self.agents());
        let versions = Versions::of(&self.fleet());
        lines.extend(advise::of_cluster(&versions).into_iter().map(Line::bug));
        lines
    }

    fn kubernetes(&self) -> Vec<Line> {
        match answered(&self.kubernetes, Requirement::ReleaseTooOld) {
            Ok(text) => release(&KUBERNETES, text),
            Err(line) => vec![line],
        }
    }

    fn kubevirt(&self) -> Vec<Line> {
        let kinds = match answered(&self.kinds, Requirement::KindNotServed) {
            Ok(Some(kinds)) => kinds,
            Ok(None) => {
                let detail = "the API server does not serve kubevirt.io/v1";
                return vec![Line::unmet(Requirement::KubeVirtNotFound, detail)];
            }
            Err(line) => return vec![line],
        };
        let missing: Vec<&str> = WATCHED
            .into_iter()
            .filter(|kind| !kinds.iter().any(|served| served == kind))
            .collect();
        let served = Line::of(
            missing.is_empty(),
            Requirement::KindNotServed,
            &missing.join(", "),
        );
        let mut lines = match answered(&self.kubevirts, Requirement::KubeVirtNotFound) {
            Ok(kubevirts) => match kubevirts.first() {
                Some(cr) => kubevirt(cr),
                None => vec![Line::unmet(
                    Requirement::KubeVirtNotFound,
                    "there is no KubeVirt CR",
                )],
            },
            Err(line) => vec![line],
        };
        lines.push(served);
        lines
    }

    fn agents(&self) -> Vec<Line> {
        let namespace = &self.network.agent_namespace;
        let images = match answered(&self.agents, Requirement::AgentsNotFound) {
            Ok(images) => images,
            Err(line) => return vec![line],
        };
        let place = format!("namespace {namespace}");
        if images.is_empty() {
            return vec![Line::unmet(Requirement::AgentsNotFound, &place)];
        }
        let detail = format!("{} in {place}", images.len());
        let mut lines = vec![Line::met(Requirement::AgentsNotFound, &detail)];
        if let Some(kube_ovn) = Versions::of(&self.fleet()).kube_ovn {
            lines.extend(release(&KUBE_OVN, &kube_ovn.to_string()));
        }
        lines
    }

    /// The part of a fleet that tells which releases run.
    fn fleet(&self) -> Fleet {
        let kubevirt = self.kubevirts.iter().flatten().next();
        Fleet {
            kubevirt: kubevirt.and_then(|cr| serde_json::from_value(cr.clone()).ok()),
            images: self.agents.iter().flatten().cloned().collect(),
            ..Fleet::default()
        }
    }
}

/// What is found of the KubeVirt CR.
fn kubevirt(cr: &Value) -> Vec<Line> {
    let text = |pointer: &str| cr.pointer(pointer).and_then(Value::as_str);
    let name = |field: &str| text(&format!("/metadata/{field}")).unwrap_or_default();
    let found = format!("{}/{}", name("namespace"), name("name"));
    let mut lines = vec![Line::met(Requirement::KubeVirtNotFound, &found)];
    let phase = text("/status/phase").unwrap_or("no phase yet");
    lines.push(Line::of(
        phase == "Deployed",
        Requirement::KubeVirtNotDeployed,
        phase,
    ));
    match text("/status/observedKubeVirtVersion") {
        Some(version) => lines.extend(release(&KUBEVIRT, version)),
        None => lines.push(Line::unknown(
            Requirement::ReleaseTooOld,
            "the KubeVirt CR has no status.observedKubeVirtVersion",
        )),
    }
    lines.push(Line::of(
        permits_bridge(cr),
        Requirement::BridgeNotPermitted,
        "",
    ));
    lines
}

/// Whether a KubeVirt CR allows bridge binding on the pod network, as it does by default.
pub(super) fn permits_bridge(cr: &Value) -> bool {
    let permitted = cr.pointer("/spec/configuration/network/permitBridgeInterfaceOnPodNetwork");
    permitted.and_then(Value::as_bool) != Some(false)
}

/// How a release relates to those that berth knows.
fn release(row: &Compatibility, text: &str) -> Vec<Line> {
    let component = row.component;
    let Some(version) = Version::parse(text) else {
        let why = format!("{component} {text:?} is no release that berth can compare");
        return vec![Line::unknown(Requirement::ReleaseTooOld, &why)];
    };
    let found = format!("{component} {version}");
    let detail = format!("{found}; berth knows {}", row.releases());
    match row.relation(version) {
        Relation::TooOld => vec![Line::unmet(Requirement::ReleaseTooOld, &detail)],
        Relation::Known => vec![Line::met(Requirement::ReleaseTooOld, &found)],
        Relation::NotKnown => vec![
            Line::met(Requirement::ReleaseTooOld, &found),
            Line::unmet(Requirement::ReleaseNotKnown, &detail),
        ],
    }
}

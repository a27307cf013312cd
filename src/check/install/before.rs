//! What an installation needs before it is made: rights, a namespace, and a free address.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Namespace, Service};

use super::line::{Asked, Line, answered};
use super::rights::{self, Action};
use crate::decide::requirements::Requirement;

/// The label of a namespace by which Kubernetes refuses pods.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// What was read of the place for berth.
#[derive(Debug)]
pub(super) struct Place {
    /// The namespace, if it is there.
    pub(super) namespace: Asked<Option<Namespace>>,
}

/// What was read before berth is installed.
#[derive(Debug)]
pub(super) struct Before {
    /// What the user of the kubeconfig may create.
    pub(super) reviews: Vec<(Action, Asked<bool>)>,
    /// The address that the Service is to have.
    pub(super) address: IpAddr,
    /// Why the API server can't assign the address, if it can't.
    pub(super) refusal: Asked<Option<String>>,
    /// The Services of all namespaces.
    pub(super) services: Asked<Vec<Service>>,
    /// The namespace that berth is for.
    pub(super) own: String,
}

impl Place {
    /// What is found of the namespace.
    pub(super) fn judge(&self) -> Vec<Line> {
        let namespace = match answered(&self.namespace, Requirement::NamespaceTerminating) {
            Ok(Some(namespace)) => namespace,
            Ok(None) => return Vec::new(),
            Err(line) => return vec![line],
        };
        let name = namespace.metadata.name.as_deref().unwrap_or_default();
        let is_going = namespace.metadata.deletion_timestamp.is_some();
        let labels = namespace.metadata.labels.as_ref();
        let level = labels.and_then(|labels| labels.get(ENFORCE));
        let found = match level {
            Some(level) => format!("{name} has {ENFORCE}: {level}"),
            None => format!("{name} has no label {ENFORCE}"),
        };
        let is_restricted = level.is_some_and(|level| level == "restricted");
        vec![
            Line::of(!is_going, Requirement::NamespaceTerminating, name),
            if is_restricted {
                Line::met(Requirement::PodSecurity, name)
            } else {
                Line::unmet(Requirement::PodSecurity, &found)
            },
        ]
    }
}

impl Before {
    /// What is found before berth is installed.
    pub(super) fn judge(&self) -> Vec<Line> {
        let mut lines = vec![rights::judge(Requirement::MayNotInstall, &self.reviews)];
        lines.extend(self.address());
        lines
    }

    fn address(&self) -> Vec<Line> {
        let address = self.address.to_string();
        let range = match answered(&self.refusal, Requirement::ClusterIpOutOfRange) {
            Ok(None) => Line::met(Requirement::ClusterIpOutOfRange, &address),
            Ok(Some(why)) => return vec![Line::unmet(Requirement::ClusterIpOutOfRange, why)],
            Err(line) => line,
        };
        let services = match answered(&self.services, Requirement::ClusterIpTaken) {
            Ok(services) => services,
            Err(line) => return vec![range, line],
        };
        let holder = services.iter().find(|service| has(service, self.address));
        let name = |service: &Service| {
            let metadata = &service.metadata;
            let namespace = metadata.namespace.clone().unwrap_or_default();
            (namespace, metadata.name.clone().unwrap_or_default())
        };
        let free = match holder.map(name) {
            None => Line::met(Requirement::ClusterIpTaken, &address),
            Some((namespace, name)) if namespace == self.own && name == super::NAME => {
                let detail = format!("{address}, which {namespace}/{name} has already");
                Line::met(Requirement::ClusterIpTaken, &detail)
            }
            Some((namespace, name)) => {
                let detail = format!("{namespace}/{name} has {address}");
                Line::unmet(Requirement::ClusterIpTaken, &detail)
            }
        };
        vec![range, free]
    }
}

/// Whether a Service has this address.
fn has(service: &Service, address: IpAddr) -> bool {
    let spec = service.spec.as_ref();
    let addresses = spec.and_then(|spec| spec.cluster_ips.as_ref());
    let mut addresses = addresses.into_iter().flatten();
    addresses.any(|text| text.parse() == Ok(address))
}

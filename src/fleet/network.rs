//! Whether the networks of a VM are there, and where: Multus' definitions, what Kube-OVN keeps of the VM,
//! and OVN's ports.

use std::borrow::Borrow;

use crate::cluster::object::ObjectKey;
use crate::decide::causes::Cause;
use crate::fleet::Fleet;
use crate::fleet::finding::Finding;
use crate::fleet::kind::Kind;
use crate::fleet::model::{Launcher, Network};
use crate::snapshot::{Snapshot, SouthboundState};

/// The definitions of Multus networks that are missing.
#[must_use]
pub fn attachments(fleet: &Fleet, namespace: &str, networks: &[Network]) -> Vec<Finding<'static>> {
    let names = networks.iter();
    let names = names.filter_map(|network| Some(network.multus.as_ref()?.network_name.as_str()));
    let missing = names.filter_map(|full| {
        let key = definition(namespace, full);
        if fleet.attachments.contains_key(&key) {
            return None;
        }
        let cause = if fleet.may_have(Kind::NetworkAttachmentDefinition, &key) {
            Cause::NetworkNotJudged
        } else {
            Cause::NetworkNotFound
        };
        Some(Finding::of(cause, full))
    });
    missing.collect()
}

/// The definition of the network with this name, of a VM in this namespace.
pub(super) fn definition(namespace: &str, network: &str) -> ObjectKey {
    let (namespace, name) = network.split_once('/').unwrap_or((namespace, network));
    ObjectKey::new(namespace, name)
}

/// What Kube-OVN lacks of a VM that runs in this pod, and what of it was not read. It always has a subnet, a VPC
/// and an address: where there is none, they were not read.
#[must_use]
pub fn kube_ovn(fleet: &Fleet, vm: &ObjectKey, launcher: &Launcher) -> Vec<Finding<'static>> {
    let mut findings = Vec::new();
    let mut unread = Vec::new();
    for network in &launcher.networks {
        match of_subnet(fleet, &network.subnet) {
            Known::Ready => {}
            Known::Lacking(problem) => {
                findings.push(Finding::of(Cause::SubnetNotReady, &problem));
            }
            Known::NotRead(what) if unread.contains(&what) => {}
            Known::NotRead(what) => unread.push(what),
        }
    }
    if !launcher.networks.is_empty() && !fleet.addresses.contains(vm) {
        if may_have_address(fleet, vm) {
            unread.push("its address".to_owned());
        } else {
            findings.push(Finding::of(Cause::AddressNotKept, ""));
        }
    }
    if !unread.is_empty() {
        findings.push(Finding::of(Cause::KubeOvnNotJudged, &unread.join(", ")));
    }
    findings
}

/// What is known of an object that a VM needs.
enum Known {
    Ready,
    Lacking(String),
    NotRead(String),
}

fn of_subnet(fleet: &Fleet, name: &str) -> Known {
    let key = ObjectKey::new("", name);
    let Some(subnet) = fleet.subnets.get(name) else {
        return if fleet.subnets.is_empty() || fleet.may_have(Kind::Subnet, &key) {
            Known::NotRead(format!("subnet {name}"))
        } else {
            Known::Lacking(format!("{name} does not exist"))
        };
    };
    if !subnet.is_ready {
        return Known::Lacking(name.to_owned());
    }
    let Some(vpc) = subnet.vpc.as_deref() else {
        return Known::Ready;
    };
    if fleet.vpcs.contains(vpc) {
        Known::Ready
    } else if fleet.vpcs.is_empty() || fleet.may_have(Kind::Vpc, &ObjectKey::new("", vpc)) {
        Known::NotRead(format!("VPC {vpc}"))
    } else {
        Known::Lacking(format!("{name}, whose VPC {vpc} does not exist"))
    }
}

/// Whether an address of a VM that is not among those that were read may exist all the same. Kube-OVN names an IP
/// after the pod and the namespace, and the provider of a second network (`ovs.PodNameToPortName`).
fn may_have_address(fleet: &Fleet, vm: &ObjectKey) -> bool {
    let vm: &str = vm.borrow();
    let (namespace, name) = vm.split_once('/').unwrap_or(("", vm));
    let name = format!("{name}.{namespace}");
    let is_its = |ip: &ObjectKey| {
        let ip: &str = ip.borrow();
        let rest = ip.strip_prefix(&name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let unread = &fleet.unread;
    let mut damaged = unread.objects.iter();
    fleet.addresses.is_empty()
        || unread.kinds.contains(&Kind::Ip)
        || damaged.any(|(kind, ip)| *kind == Kind::Ip && is_its(ip))
}

/// The targets that are not connected to a provider network of the VM. Where no node is, the label is
/// not in use.
#[must_use]
pub fn underlay<'f>(
    fleet: &'f Fleet,
    launcher: &Launcher,
    targets: &[&'f str],
) -> Vec<Finding<'f>> {
    let networks = launcher.networks.iter();
    let networks = networks.filter_map(|network| network.provider_network.as_deref());
    let findings = networks.filter_map(|network| {
        let label = format!("{network}.provider-network.kubernetes.io/ready");
        let is_connected = |node: &str| {
            let node = fleet.nodes.get(node);
            node.is_some_and(|node| node.labels.get(&label).is_some_and(|value| value == "true"))
        };
        if !fleet.nodes.keys().any(|node| is_connected(node)) {
            return None;
        }
        let lacking = targets.iter().copied().filter(|node| !is_connected(node));
        of_nodes(Cause::UnderlayNotOnNode, network, lacking)
    });
    findings.collect()
}

/// What OVN's southbound database says of the ports of a VM that runs in this pod: that there is none, on
/// which targets its network is not, or that they were left with a pair of chassis.
#[must_use]
pub fn ports<'f>(
    snapshot: &Snapshot,
    vm: [&str; 2],
    launcher: &Launcher,
    targets: &[&'f str],
) -> Vec<Finding<'f>> {
    let SouthboundState::Fresh(view, _) = &snapshot.southbound else {
        return Vec::new();
    };
    if launcher.networks.is_empty() || !view.locality.is_known() {
        return Vec::new();
    }
    let [namespace, name] = vm;
    let Some(switches) = view.locality.switches_of(namespace, name) else {
        return vec![Finding::of(Cause::PortNotFound, "")];
    };
    let is_local = |node: &str| {
        let candidate = snapshot.candidate(node);
        let chassis = candidate.and_then(|candidate| view.chassis(candidate.facts.chassis.name()?));
        chassis.is_some_and(|chassis| switches.local_on(chassis) == switches.count())
    };
    let absent = targets.iter().copied().filter(|node| !is_local(node));
    let not_local = of_nodes(Cause::NetworkNotLocal, "", absent);
    let key = ObjectKey::new(namespace, name);
    let mut migrations = snapshot.cluster.active_migrations();
    if migrations.any(|(_, migration)| migration.vmi == key) {
        return not_local.into_iter().collect();
    }
    let paired = view.locality.paired();
    let paired = paired.filter(|port| port.is_of(namespace, name));
    let mut names: Vec<&str> = paired.map(|port| &*port.name).collect();
    names.sort_unstable();
    let stale = (!names.is_empty()).then(|| Finding::of(Cause::PairStale, &names.join(", ")));
    not_local.into_iter().chain(stale).collect()
}

/// A finding about these nodes, if there are any.
fn of_nodes<'f>(
    cause: Cause,
    detail: &str,
    nodes: impl Iterator<Item = &'f str>,
) -> Option<Finding<'f>> {
    let nodes: Vec<&str> = nodes.collect();
    (!nodes.is_empty()).then(|| Finding {
        nodes,
        ..Finding::of(cause, detail)
    })
}

#[cfg(test)]
mod tests;

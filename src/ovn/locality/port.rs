//! The row of a port in the southbound database, decoded.

use std::collections::BTreeSet;
use std::sync::Arc;

use ovsdb::{Datum, Row, Uuid};

use crate::decide::continuity::warm::WARM_PORT;

pub(super) const ADDITIONAL_CHASSIS: &str = "additional_chassis";

/// A port.
pub(super) struct Port {
    pub(super) datapath: Uuid,
    pub(super) chassis: Option<Uuid>,
    pub(super) additional: Vec<Uuid>,
    pub(super) owner: Option<Arc<str>>,
    pub(super) patch: Option<(Box<str>, Patch)>,
    pub(super) is_localnet: bool,
    pub(super) is_warm: bool,
    pub(super) paired: Option<PairedPort>,
}

/// One end of a link.
#[derive(Debug, PartialEq)]
pub(super) struct Patch {
    pub(super) datapath: Uuid,
    pub(super) peer: Box<str>,
}

/// A port that more than one chassis may bind, or has bound: its VM migrates, or did. Chassis are the
/// ids of their rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairedPort {
    /// Its name.
    pub name: Arc<str>,
    /// Its VM or pod, `namespace/name`; the name of the port where OVN has nothing else.
    pub owner: Arc<str>,
    /// The chassis that it is bound on.
    pub chassis: Option<Uuid>,
    /// The chassis that may bind it as well.
    pub requested: Vec<Uuid>,
    /// Those of them that have.
    pub additional: Vec<Uuid>,
    /// The names of the chassis on which the VM has announced itself, separated by commas.
    pub activated: Box<str>,
}

impl PairedPort {
    /// Whether it is a port of this VM.
    #[must_use]
    pub fn is_of(&self, namespace: &str, vm: &str) -> bool {
        let owner = self.owner.split_once('/');
        let by_name = || self.owner.strip_prefix(vm)?.strip_prefix('.');
        owner == Some((namespace, vm)) || by_name() == Some(namespace)
    }

    /// Whether the VM has announced itself on the chassis of this name.
    #[must_use]
    pub fn is_activated_on(&self, chassis: &str) -> bool {
        self.activated.split(',').any(|name| name == chassis)
    }
}

impl Port {
    pub(super) fn read(row: &Row) -> Option<Self> {
        let text = |column| row.get(column).and_then(Datum::text);
        let uuids = |column| row.get(column).map(Datum::uuids).into_iter().flatten();
        let name = text("logical_port")?;
        let kind = text("type").unwrap_or_default();
        let datapath = row.get("datapath")?.uuids().next()?;
        // OVN-Kubernetes only marks a port as a pod's: `pod` is then not `namespace/name`.
        let pod = row.get("external_ids").and_then(|ids| ids.entry("pod"));
        let pod = pod.filter(|pod| pod.contains('/'));
        // A port of a VM or a pod has no type.
        let named = || kind.is_empty().then_some(name);
        let owner: Option<Arc<str>> = pod.or_else(named).map(Arc::from);
        let chassis = uuids("chassis").next();
        let additional: Vec<Uuid> = uuids(ADDITIONAL_CHASSIS).collect();
        let requested: Vec<Uuid> = uuids("requested_additional_chassis").collect();
        let options = row.get("options");
        let activated = options.and_then(|options| options.entry("additional-chassis-activated"));
        let is_paired = !(additional.is_empty() && requested.is_empty());
        let paired = owner.clone().filter(|_| is_paired).map(|owner| PairedPort {
            name: name.into(),
            owner,
            chassis,
            requested,
            additional: additional.clone(),
            activated: activated.unwrap_or_default().into(),
        });
        Some(Self {
            datapath,
            chassis,
            additional,
            owner,
            patch: patch(row, kind, datapath).map(|patch| (name.into(), patch)),
            is_localnet: kind == "localnet",
            is_warm: kind == "external" && name.starts_with(WARM_PORT),
            paired,
        })
    }

    /// The chassis that have the flows of the port's network because of it. A chassis claims a warm port
    /// before it has the flows, which is what is waited for.
    pub(super) fn places(&self) -> BTreeSet<Uuid> {
        let chassis = self.chassis.iter().chain(&self.additional).copied();
        chassis.filter(|_| !self.is_warm).collect()
    }
}

/// The end of a link that is the same on every chassis. A distributed gateway port is excluded: it
/// leads to another network, and whether that becomes local too depends on the chassis and on OVN's
/// version.
fn patch(row: &Row, kind: &str, datapath: Uuid) -> Option<Patch> {
    let options = row.get("options")?;
    if kind != "patch" || options.entry("chassis-redirect-port").is_some() {
        return None;
    }
    let peer = options.entry("peer")?.into();
    Some(Patch { datapath, peer })
}

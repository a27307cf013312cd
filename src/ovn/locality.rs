//! On which chassis a VM's logical network is local: builds views from changes of ports. The cost
//! of a port does not depend on the number of ports; a link between a switch and a router, which
//! rarely changes, costs a pass over its VPC.
//!
//! A chassis on which one port of a VPC is bound has the whole VPC local: ovn-controller follows
//! the links from the port's switch to every router and switch behind them, and installs flows for
//! each. The next VM of the VPC on this chassis finds them installed.

mod port;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ovsdb::{Change, Missing, MonitorColumns, Row, Uuid};
use rpds::HashTrieMapSync;

pub use crate::ovn::locality::port::PairedPort;
use crate::ovn::locality::port::{ADDITIONAL_CHASSIS, Patch, Port};
use crate::ovn::view::Chassis;

/// The columns of ports in the southbound database. The maps hold most of a row's bytes, so only
/// four of their keys are kept.
pub const WANTED: MonitorColumns = MonitorColumns {
    table: PORT_BINDING,
    columns: &[
        "logical_port",
        "type",
        "datapath",
        "chassis",
        ADDITIONAL_CHASSIS,
        "requested_additional_chassis",
        "options:peer,chassis-redirect-port,additional-chassis-activated",
        "external_ids:pod",
    ],
};

/// The columns of logical switches and routers: of each switch, its id in the northbound database.
const DATAPATHS: MonitorColumns = MonitorColumns {
    table: DATAPATH_BINDING,
    columns: &["external_ids:logical-switch"],
};

/// All tables that locality needs.
pub const TABLES: &[MonitorColumns] = &[WANTED, DATAPATHS];

const PORT_BINDING: &str = "Port_Binding";
const DATAPATH_BINDING: &str = "Datapath_Binding";

/// Without any one of these columns, locality is unknown. Without one of the others, there are no
/// links, no additional chassis, or only the ports that are named after their VM.
const NEEDED: [&str; 3] = ["logical_port", "datapath", "chassis"];

/// Whether locality is unknown because of these missing tables and columns.
#[must_use]
pub fn is_lost(missing: &[Missing]) -> bool {
    missing.iter().any(|missing| {
        missing.table == PORT_BINDING && missing.column.is_none_or(|name| NEEDED.contains(&name))
    })
}

/// The number of ports on each chassis, by the chassis' row.
type Places = HashTrieMapSync<Uuid, u32>;

/// An immutable snapshot of where logical networks are local. Only a [`LocalityIndex`] makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// For each owner, where each of its ports is, sorted.
    attached: HashTrieMapSync<Arc<str>, Arc<[Attached]>>,
    /// The ports that migrate or did, by their row.
    paired: HashTrieMapSync<Uuid, PairedPort>,
    /// The switch and the chassis of each bound warm port, by its row.
    warm: HashTrieMapSync<Uuid, [Uuid; 2]>,
    /// For each switch or router with links, its VPC: the lowest id in it.
    vpcs: HashTrieMapSync<Uuid, Uuid>,
    places: HashTrieMapSync<Uuid, Places>,
    /// The id in the northbound database of each switch, and the other way round.
    northbound: HashTrieMapSync<Uuid, Uuid>,
    datapaths: HashTrieMapSync<Uuid, Uuid>,
    /// How many ports lead from each switch to a physical network.
    localnets: HashTrieMapSync<Uuid, u32>,
    ports: usize,
    is_known: bool,
    has_additional_chassis: bool,
}

/// Where a port is: on which switch, and on which chassis it is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Attached {
    switch: Uuid,
    chassis: Option<Uuid>,
}

/// The logical switches of a VM.
#[derive(Debug)]
pub struct Switches<'a> {
    locality: &'a Locality,
    datapaths: Vec<Uuid>,
}

/// A switch whose VPC is not local on a chassis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColdSwitch {
    /// Its VPC: switches of one VPC have the same.
    pub vpc: Uuid,
    /// Its id in the northbound database, where it is known.
    pub northbound: Option<Uuid>,
}

impl Locality {
    /// The switches of a VM's ports; `None` if no port of it is known.
    #[must_use]
    pub fn switches_of(&self, namespace: &str, vm: &str) -> Option<Switches<'_>> {
        if !self.is_known {
            return None;
        }
        let attached = self.attached_of(namespace, vm)?.iter();
        let mut datapaths: Vec<_> = attached.map(|port| port.switch).collect();
        datapaths.dedup();
        Some(Switches {
            locality: self,
            datapaths,
        })
    }

    fn attached_of(&self, namespace: &str, vm: &str) -> Option<&[Attached]> {
        let by_id = self.attached.get(format!("{namespace}/{vm}").as_str());
        let by_name = || self.attached.get(format!("{vm}.{namespace}").as_str());
        by_id.or_else(by_name).map(AsRef::as_ref)
    }

    /// The row of the chassis that each port of a VM is bound on; empty if no port of it is known.
    pub fn chassis_of(&self, namespace: &str, vm: &str) -> impl Iterator<Item = Option<Uuid>> {
        let attached = self.attached_of(namespace, vm).unwrap_or_default();
        attached.iter().map(|port| port.chassis)
    }

    /// The ports that migrate or did, in no order.
    pub fn paired(&self) -> impl Iterator<Item = &PairedPort> {
        self.paired.values()
    }

    /// The VPC of a switch of the northbound database.
    #[must_use]
    pub fn vpc_of(&self, northbound: &Uuid) -> Option<Uuid> {
        self.datapaths.get(northbound).map(|id| *self.vpc(id))
    }

    /// Whether the database can tell where networks are local.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether OVN can bind a port on more than one chassis (since 22.06).
    #[must_use]
    pub const fn has_additional_chassis(&self) -> bool {
        self.has_additional_chassis
    }

    /// The number of ports.
    #[must_use]
    pub const fn ports(&self) -> usize {
        self.ports
    }

    fn vpc<'a>(&'a self, datapath: &'a Uuid) -> &'a Uuid {
        self.vpcs.get(datapath).unwrap_or(datapath)
    }
}

impl Switches<'_> {
    /// The number of switches: one for each network of the VM, unless two networks share a switch.
    #[must_use]
    pub fn count(&self) -> usize {
        self.datapaths.len()
    }

    /// How many of the switches are local on a chassis.
    #[must_use]
    pub fn local_on(&self, chassis: &Chassis) -> usize {
        let switches = self.datapaths.iter();
        switches.filter(|id| self.is_local(id, chassis)).count()
    }

    /// The switches that are not local on a chassis.
    #[must_use]
    pub fn cold_on(&self, chassis: &Chassis) -> Vec<ColdSwitch> {
        let switches = self.datapaths.iter();
        let cold = switches.filter(|id| !self.is_local(id, chassis));
        let cold = cold.map(|id| ColdSwitch {
            vpc: *self.locality.vpc(id),
            northbound: self.locality.northbound.get(id).copied(),
        });
        cold.collect()
    }

    /// Whether each of the switches that are not local on a chassis has a warm port there.
    #[must_use]
    pub fn are_warm_on(&self, chassis: &Chassis) -> bool {
        let vpc = |switch| self.locality.vpc(switch);
        let warm = self.locality.warm.values();
        let warm: BTreeSet<_> = warm
            .filter(|[_, at]| *at == chassis.row)
            .map(|[switch, _]| vpc(switch))
            .collect();
        let mut switches = self.datapaths.iter();
        switches.all(|id| self.is_local(id, chassis) || warm.contains(vpc(id)))
    }

    /// Whether one of the switches leads to a physical network: an underlay.
    #[must_use]
    pub fn are_underlay(&self) -> bool {
        let localnets = &self.locality.localnets;
        self.datapaths.iter().any(|id| localnets.contains_key(id))
    }

    fn is_local(&self, switch: &Uuid, chassis: &Chassis) -> bool {
        let places = self.locality.places.get(self.locality.vpc(switch));
        places.is_some_and(|places| places.contains_key(&chassis.row))
    }
}

/// Builds views from changes of ports.
#[derive(Debug, Default)]
pub struct LocalityIndex {
    view: Locality,
    /// The last known rows, which share their values with the replica.
    ports: HashMap<Uuid, Row>,
    datapaths: HashMap<Uuid, Datapath>,
    patches: HashMap<Box<str>, Patch>,
}

/// A logical switch or router: its ports on each chassis, and its links to each other datapath.
#[derive(Debug, Default)]
struct Datapath {
    places: BTreeMap<Uuid, u32>,
    links: BTreeMap<Uuid, u32>,
}

/// Switches and routers whose links changed.
type Relinked = BTreeSet<Uuid>;

impl LocalityIndex {
    /// The view as it is now.
    #[must_use]
    pub fn view(&self) -> Locality {
        self.view.clone()
    }

    /// The replica is in sync with the database: `changes` are the differences from before, and
    /// `missing` is what the database's schema lacks.
    pub fn synced(&mut self, changes: &[Change], missing: &[Missing]) {
        self.view.is_known = !is_lost(missing);
        self.view.has_additional_chassis = !missing.iter().any(|missing| {
            missing.table == PORT_BINDING
                && missing.column.is_none_or(|name| name == ADDITIONAL_CHASSIS)
        });
        self.changed(changes);
    }

    /// The database has changed. Returns whether a port changed that migrates or did, or a warm port.
    pub fn changed(&mut self, changes: &[Change]) -> bool {
        self.datapaths_changed(changes);
        let ports = || changes.iter().filter(|change| change.table == PORT_BINDING);
        let mut relinked = Relinked::new();
        // Removals first: one change can delete a name and add it again.
        let mut is_news = false;
        for Change { id, .. } in ports() {
            if let Some(old) = self.ports.remove(id).as_ref().and_then(Port::read) {
                is_news |= self.view.paired.remove_mut(id) | self.view.warm.remove_mut(id);
                self.count(old, -1, &mut relinked);
            }
        }
        for Change { id, row, .. } in ports() {
            let Some(row) = row else {
                continue;
            };
            self.ports.insert(*id, row.clone());
            if let Some(mut new) = Port::read(row) {
                if let Some(paired) = new.paired.take() {
                    self.view.paired.insert_mut(*id, paired);
                    is_news = true;
                }
                if let Some(chassis) = new.chassis.filter(|_| new.is_warm) {
                    self.view.warm.insert_mut(*id, [new.datapath, chassis]);
                    is_news = true;
                }
                self.count(new, 1, &mut relinked);
            }
        }
        self.relink(relinked);
        self.view.ports = self.ports.len();
        is_news
    }

    fn datapaths_changed(&mut self, changes: &[Change]) {
        let datapaths = changes
            .iter()
            .filter(|change| change.table == DATAPATH_BINDING);
        for Change { id, row, .. } in datapaths {
            if let Some(known) = self.view.northbound.get(id).copied() {
                self.view.northbound.remove_mut(id);
                self.view.datapaths.remove_mut(&known);
            }
            let ids = row.as_ref().and_then(|row| row.get("external_ids"));
            let northbound = ids.and_then(|ids| ids.entry("logical-switch"));
            if let Some(northbound) = northbound.and_then(Uuid::parse) {
                self.view.northbound.insert_mut(*id, northbound);
                self.view.datapaths.insert_mut(northbound, *id);
            }
        }
    }

    /// Adds a port if `change` is 1, and removes it if it is -1.
    fn count(&mut self, port: Port, change: i32, relinked: &mut Relinked) {
        for chassis in port.places() {
            self.place(port.datapath, chassis, change);
        }
        let Port {
            datapath,
            chassis,
            owner,
            patch,
            is_localnet,
            ..
        } = port;
        if is_localnet {
            add(&mut self.view.localnets, datapath, change);
        }
        if let Some(owner) = owner {
            let attached = Attached {
                switch: datapath,
                chassis,
            };
            self.count_attached(owner, attached, change);
        }
        let Some((name, patch)) = patch else {
            return;
        };
        if change < 0 {
            // Another port may have the name now.
            if self.patches.get(&name) != Some(&patch) {
                return;
            }
            self.patches.remove(&name);
        }
        if let Some(other) = self.peer_of(&name, &patch) {
            self.link(datapath, other, change, relinked);
        }
        if change > 0 {
            self.patches.insert(name, patch);
        }
    }

    fn count_attached(&mut self, owner: Arc<str>, port: Attached, change: i32) {
        let known = self.view.attached.get(&owner);
        let mut ports = known.map(|ports| ports.to_vec()).unwrap_or_default();
        let at = ports.partition_point(|other| *other < port);
        if change > 0 {
            ports.insert(at, port);
        } else if ports.get(at) == Some(&port) {
            ports.remove(at);
        }
        if ports.is_empty() {
            self.view.attached.remove_mut(&owner);
        } else {
            self.view.attached.insert_mut(owner, ports.into());
        }
    }

    /// Adds `change` to the number of ports that a switch or router has on a chassis.
    fn place(&mut self, datapath: Uuid, chassis: Uuid, change: i32) {
        self.edit(datapath, |known| {
            edit_count(&mut known.places, chassis, change);
        });
        let vpc = *self.view.vpc(&datapath);
        if self.view.places.get(&vpc).is_none() {
            self.view.places.insert_mut(vpc, Places::default());
        }
        // In place where no view shares it, as while the first copy of the database is read.
        let Some(places) = self.view.places.get_mut(&vpc) else {
            return;
        };
        add(places, chassis, change);
        if places.is_empty() {
            self.view.places.remove_mut(&vpc);
        }
    }

    /// The datapath at the other end, if each end names the other.
    fn peer_of(&self, name: &str, patch: &Patch) -> Option<Uuid> {
        let peer = self.patches.get(&patch.peer)?;
        (peer.peer.as_ref() == name).then_some(peer.datapath)
    }

    fn link(&mut self, one: Uuid, other: Uuid, change: i32, relinked: &mut Relinked) {
        for (from, to) in [(one, other), (other, one)] {
            self.edit(from, |datapath| edit_count(&mut datapath.links, to, change));
            relinked.insert(from);
        }
    }

    /// Edits a switch or router, and removes it when it has neither ports nor links.
    fn edit(&mut self, id: Uuid, edit: impl FnOnce(&mut Datapath)) {
        let datapath = self.datapaths.entry(id).or_default();
        edit(datapath);
        if datapath.places.is_empty() && datapath.links.is_empty() {
            self.datapaths.remove(&id);
        }
    }

    /// Computes the VPCs of the datapaths whose links changed. Each part of a VPC that was split
    /// has one of them, so all its former members are visited.
    fn relink(&mut self, mut relinked: Relinked) {
        let mut found = Vec::new();
        while let Some(first) = relinked.pop_first() {
            let members = self.reachable(first);
            relinked.retain(|id| !members.contains(id));
            found.push(members);
        }
        for member in found.iter().flatten() {
            let vpc = *self.view.vpc(member);
            self.view.places.remove_mut(&vpc);
        }
        for members in found {
            let Some(vpc) = members.first().copied() else {
                continue;
            };
            let mut places = BTreeMap::<Uuid, u32>::new();
            for member in &members {
                if members.len() == 1 {
                    self.view.vpcs.remove_mut(member);
                } else if self.view.vpcs.get(member) != Some(&vpc) {
                    self.view.vpcs.insert_mut(*member, vpc);
                }
                let datapath = self.datapaths.get(member).into_iter();
                for (chassis, count) in datapath.flat_map(|datapath| &datapath.places) {
                    *places.entry(*chassis).or_default() += count;
                }
            }
            if !places.is_empty() {
                self.view
                    .places
                    .insert_mut(vpc, places.into_iter().collect());
            }
        }
    }

    fn reachable(&self, first: Uuid) -> BTreeSet<Uuid> {
        let mut members = BTreeSet::from([first]);
        let mut ahead = vec![first];
        while let Some(id) = ahead.pop() {
            let datapath = self.datapaths.get(&id).into_iter();
            for next in datapath.flat_map(|datapath| datapath.links.keys()) {
                if members.insert(*next) {
                    ahead.push(*next);
                }
            }
        }
        members
    }
}

/// Adds `change` to a count of a view, and removes the count at zero.
fn add(counts: &mut HashTrieMapSync<Uuid, u32>, key: Uuid, change: i32) {
    let count = counts.get(&key).copied().unwrap_or_default();
    match count.saturating_add_signed(change) {
        0 => {
            counts.remove_mut(&key);
        }
        count => counts.insert_mut(key, count),
    }
}

/// Adds `change` to a count, and removes the count at zero.
fn edit_count(counts: &mut BTreeMap<Uuid, u32>, key: Uuid, change: i32) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add_signed(change);
    if *count == 0 {
        counts.remove(&key);
    }
}

#[cfg(test)]
mod tests;

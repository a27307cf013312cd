//! What a snapshot shows of one migration.

use std::time::Instant;

use ovsdb::Uuid;

use crate::cluster::object::ObjectKey;
use crate::continuity::observer::Open;
use crate::continuity::observer::paired::Paired;
use crate::decide::continuity::timeline::{NetworkSight, PodSight, Presence, Sight};
use crate::decide::version::Version;
use crate::domain::MigrationEnd;
use crate::ovn::ChassisView;
use crate::ovn::locality::{PairedPort, Switches};
use crate::ovn::view::Chassis;
use crate::snapshot::Snapshot;

/// The first release of OVN that can wait with `ovn-installed` for the flows: its main branch does since
/// May 2026 (commit dd46a88d8), and 26.03 does not.
const INSTALLED_WITH_FLOWS: Version = Version(26, 9, 0);

/// What is seen of a migration.
pub(super) fn of<'a>(
    snapshot: &'a Snapshot,
    paired: Option<&Paired<'_>>,
    uid: &str,
    open: &'a Open,
    end: Option<MigrationEnd>,
) -> Sight<'a> {
    let vmi = snapshot.cluster.vmi_at(&open.vmi);
    let active = open.last.as_ref();
    let pod = active.and_then(|active| active.target.as_ref());
    let pod = pod.map(|pod| PodSight {
        node: pod.node.as_deref(),
        created: pod.created,
        bound: pod.bound,
    });
    let latest = vmi.and_then(|vmi| vmi.latest_migration.as_ref());
    let latest = latest.filter(|latest| *latest.uid == *uid);
    let node = vmi.and_then(|vmi| vmi.node.as_deref());
    let timeline = &open.timeline;
    let source = timeline.source.as_deref().or(node);
    let target = pod.and_then(|pod| pod.node);
    let target = target.or(timeline.target.as_deref());
    let is_same = vmi.map(|vmi| &*vmi.uid) == open.vmi_uid.as_deref();
    let migrates_again = || {
        let mut active = snapshot.cluster.active_migrations();
        active.any(|(other, active)| other != uid && active.vmi == open.vmi)
    };
    let is_superseded = end.is_some() && (!is_same || node.is_none() || migrates_again());
    let network = paired.zip(target).filter(|_| !open.is_received);
    Sight {
        phase: active.map(|active| active.phase).unwrap_or_default(),
        created: active.and_then(|active| active.created),
        source,
        pod,
        domain_ready: latest.and_then(|latest| latest.domain_ready),
        end,
        is_superseded,
        network: network
            .and_then(|(paired, target)| seen(snapshot, paired, &open.vmi, [source, node], target)),
    }
}

/// The VM's ports and the chassis of the nodes: the source, the node that the VM runs on, and the target.
fn seen(
    snapshot: &Snapshot,
    paired: &Paired<'_>,
    vmi: &ObjectKey,
    [source, home]: [Option<&str>; 2],
    target: &str,
) -> Option<NetworkSight> {
    let view = paired.view;
    let [namespace, vm] = vmi.parts();
    let bound: Vec<Option<Uuid>> = view.locality.chassis_of(namespace, vm).collect();
    let ports = paired.ports_of(namespace, vm);
    let chassis = |node: &str| {
        let facts = snapshot.cluster.node(node)?.facts()?;
        let name = facts.chassis.name()?;
        Some((name, view.chassis(name)?))
    };
    let (name, target) = chassis(target)?;
    let [source, home] = [source, home].map(|node| Some(node.and_then(chassis)?.1));
    let at = |row: Uuid| {
        bound
            .iter()
            .filter(|chassis| **chassis == Some(row))
            .count()
    };
    let count =
        |holds: &dyn Fn(&PairedPort) -> bool| ports.iter().filter(|port| holds(port)).count();
    let row = target.row();
    let is_beside = |port: &PairedPort| port.chassis != Some(row) && port.additional.contains(&row);
    let switches = view.locality.switches_of(namespace, vm)?;
    Some(NetworkSight {
        ports: bound.len(),
        paired: count(&|port| port.requested.contains(&row)),
        additional: at(row) + count(&is_beside),
        activated: count(&|port| port.is_activated_on(name)),
        at_target: at(row),
        at_home: home.map_or(0, |home| at(home.row())),
        open: ports.len(),
        presence: presence(&switches, target),
        has_tunnels: target.tunnel && source.is_some_and(|source| source.tunnel),
        answers: answers(view, target),
        behind: behind(view, target, paired.now),
        says_installed_early: view
            .northd
            .is_none_or(|northd| northd < INSTALLED_WITH_FLOWS),
    })
}

fn presence(switches: &Switches<'_>, target: &Chassis) -> Presence {
    if switches.local_on(target) == switches.count() {
        Presence::Local
    } else if switches.are_warm_on(target) {
        Presence::Warm
    } else {
        Presence::Cold
    }
}

fn answers(view: &ChassisView, target: &Chassis) -> Option<(i64, i64)> {
    if !view.reports_lag() {
        return None;
    }
    view.nb_cfg().zip(target.nb_cfg)
}

fn behind(view: &ChassisView, target: &Chassis, now: Instant) -> Option<std::time::Duration> {
    let lag = view.lag(target, now)?;
    (!lag.is_held).then_some(lag.time)
}

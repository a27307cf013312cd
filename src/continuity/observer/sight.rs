//! What a snapshot shows of one migration.

use std::time::Instant;

use ovsdb::Uuid;

use crate::cluster::object::ObjectKey;
use crate::cluster::view::ActiveMigration;
use crate::decide::continuity::timeline::{NetworkSight, PodSight, Presence, Sight};
use crate::decide::version::Version;
use crate::domain::{MigrationEnd, Vmi};
use crate::ovn::ChassisView;
use crate::ovn::locality::{PairedPort, Switches};
use crate::ovn::view::Chassis;
use crate::snapshot::{Snapshot, SouthboundState};

/// The first release of OVN that can wait with `ovn-installed` for the flows: its main branch does since
/// May 2026 (commit dd46a88d8), and 26.03 does not.
const INSTALLED_WITH_FLOWS: Version = Version(26, 9, 0);

/// What is seen of a migration. `active` is what the API server had of it last; the two nodes are those
/// that were seen before.
pub(super) fn of<'a>(
    snapshot: &'a Snapshot,
    uid: &str,
    vmi: &ObjectKey,
    active: Option<&'a ActiveMigration>,
    [known_source, known_target]: [Option<&'a str>; 2],
    end: Option<MigrationEnd>,
) -> Sight<'a> {
    let vm = snapshot.cluster.vmi_at(vmi);
    let pod = active.and_then(|active| active.target.as_ref());
    let pod = pod.map(|pod| PodSight {
        node: pod.node.as_deref(),
        created: pod.created,
        bound: pod.bound,
    });
    let latest = vm.and_then(|vm| vm.latest_migration.as_ref());
    let latest = latest.filter(|latest| *latest.uid == *uid);
    let source = known_source.or_else(|| vm.and_then(|vm| vm.node.as_deref()));
    let target = pod.and_then(|pod| pod.node).or(known_target);
    Sight {
        phase: active.map(|active| active.phase).unwrap_or_default(),
        created: active.and_then(|active| active.created),
        source,
        pod,
        domain_ready: latest.and_then(|latest| latest.domain_ready),
        end,
        network: network(snapshot, vmi, vm, source, target),
    }
}

/// The VM's ports and the two chassis. Before the target pod is bound, the target is the one chassis that
/// all ports name beside the source's.
fn network(
    snapshot: &Snapshot,
    key: &ObjectKey,
    vmi: Option<&Vmi>,
    source: Option<&str>,
    target: Option<&str>,
) -> Option<NetworkSight> {
    let SouthboundState::Fresh(view, now) = &snapshot.southbound else {
        return None;
    };
    // A receiver's source is in another cluster, and its ports never name two chassis.
    if vmi.is_some_and(|vmi| vmi.sender.is_some()) {
        return None;
    }
    let [namespace, vm] = key.parts();
    let bound: Vec<Option<Uuid>> = view.locality.chassis_of(namespace, vm).collect();
    let paired = view.locality.paired();
    let paired: Vec<&PairedPort> = paired.filter(|port| port.is_of(namespace, vm)).collect();
    let chassis = |node: &str| {
        let facts = snapshot.cluster.node(node)?.facts()?;
        Some((facts.chassis.name()?, view.chassis(facts.chassis.name()?)?))
    };
    let requested = || {
        let first = *paired.first()?.requested.first()?;
        let agree = paired.iter().all(|port| port.requested == [first]);
        agree.then(|| view.by_row(first)).flatten()
    };
    let (name, target) = match target {
        Some(node) => chassis(node)?,
        None => requested()?,
    };
    let source = source.and_then(chassis).map(|(_, chassis)| chassis);
    let at = |row: Uuid| {
        bound
            .iter()
            .filter(|chassis| **chassis == Some(row))
            .count()
    };
    let count =
        |holds: &dyn Fn(&PairedPort) -> bool| paired.iter().filter(|port| holds(port)).count();
    let row = target.row();
    let switches = view.locality.switches_of(namespace, vm)?;
    Some(NetworkSight {
        ports: bound.len(),
        paired: count(&|port| port.requested.contains(&row)),
        additional: at(row)
            + count(&|port| port.chassis != Some(row) && port.additional.contains(&row)),
        activated: count(&|port| port.is_activated_on(name)),
        at_target: at(row),
        at_source: source.map_or(0, |source| at(source.row())),
        open: paired.len(),
        presence: presence(&switches, target),
        has_tunnels: target.tunnel && source.is_some_and(|source| source.tunnel),
        answers: answers(view, target),
        behind: behind(view, target, *now),
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

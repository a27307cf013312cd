//! Prepares the network of one migration. Whatever goes wrong, the migration goes on: each outcome but
//! the good ones only says what was left out.

use std::time::Duration;

use futures_util::future::join_all;
use strum::{AsRefStr, VariantArray};
use tokio::time::{Instant, timeout};

use crate::cluster::ClusterView;
use crate::cluster::object::ObjectKey;
use crate::continuity::northbound::{Northbound, PortChange, has_changed};
use crate::continuity::warmer::{NotWarm, Warmer};
use crate::continuity::{Metrics, WarmOptions};
use crate::decide::continuity::pair::{Pair, Preparation, names_chassis};
use crate::decide::continuity::record::PairRecord;
use crate::decide::continuity::warm::{Need, Place};
use crate::domain::ChassisIdentity;
use crate::ovn::ChassisView;
use crate::snapshot::{Snapshot, SouthboundState, Stores};

/// How long the pair may take.
const PAIR_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a port is read again that somebody else changed in between.
const TRIES: usize = 3;

/// The target pod of a migration, about to be bound.
#[derive(Clone, Debug)]
pub struct Target {
    /// The namespace of the VM.
    pub namespace: String,
    /// The name of the VM.
    pub vm: String,
    /// The UID of its VMI.
    pub vmi_uid: String,
    /// The UID of the migration.
    pub migration: String,
    /// The node that it is to be bound to.
    pub node: String,
}

/// What came of the pair of chassis on the VM's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum PairOutcome {
    /// berth wrote it.
    Written,
    /// It was there.
    Present,
    /// A port has other options, which berth does not change.
    Foreign,
    /// No migration of the VM that is under way made the pod.
    NoMigration,
    /// OVN does not find the chassis of a node by the node's name, by which the pair names it.
    Unresolved,
    /// The VM has no port in the northbound database.
    NoPort,
    /// It is not known on which node the VM runs, or that is the target.
    NoSource,
    /// A network of the VM is an underlay, which is not prepared.
    Underlay,
    /// This OVN binds a port on one chassis only.
    Unsupported,
    /// The southbound database is out of reach, or does not know the VM's ports.
    Unknown,
    /// The northbound database can't be read or written.
    Failed,
    /// It took too long.
    Late,
}

/// What came of the flows of the VM's VPCs on the target's chassis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AsRefStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum WarmOutcome {
    /// They were there: other ports of the VPCs are bound on the chassis.
    Local,
    /// They are there because of a warm port.
    Warmed,
    /// A warm port is there, and OVN is told not to say when the flows are
    /// (`NB_Global.options:enable_chassis_nb_cfg_update=false`).
    Unconfirmed,
    /// No migration of the VM that is under way made the pod.
    NoMigration,
    /// A network of the VM is an underlay, which is not prepared.
    Underlay,
    /// The southbound database is out of reach, or does not know the VM's ports or the chassis.
    Unknown,
    /// Too many other migrations wait.
    Limited,
    /// The northbound database can't be read or written.
    Failed,
    /// The chassis did not get so far in time.
    Late,
}

/// Prepares the networks of migrations.
#[derive(Clone, Debug)]
pub struct Preparer {
    northbound: Northbound,
    stores: Stores,
    warmer: Warmer,
    options: WarmOptions,
    metrics: Metrics,
}

impl Preparer {
    /// A preparer that asks this warmer for warm places.
    #[must_use]
    pub const fn new(
        northbound: Northbound,
        stores: Stores,
        warmer: Warmer,
        options: WarmOptions,
        metrics: Metrics,
    ) -> Self {
        Self {
            northbound,
            stores,
            warmer,
            options,
            metrics,
        }
    }

    /// The longest time that [`Self::prepare`] takes.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.options.timeout.max(PAIR_TIMEOUT)
    }

    /// Writes the pair and warms the chassis, both at once. Ends within [`Self::patience`].
    pub async fn prepare(&self, target: &Target) -> (PairOutcome, WarmOutcome) {
        let start = Instant::now();
        let snapshot = self.stores.snapshot();
        let (pair, warm) = if is_of_migration(target, &snapshot) {
            let pairing = timeout(PAIR_TIMEOUT, self.pair(target, &snapshot));
            let warming = timeout(self.options.timeout, self.warm(target, &snapshot));
            let (pair, warm) = tokio::join!(pairing, warming);
            (
                pair.unwrap_or(PairOutcome::Late),
                warm.unwrap_or(WarmOutcome::Late),
            )
        } else {
            (PairOutcome::NoMigration, WarmOutcome::NoMigration)
        };
        let took = start.elapsed();
        self.metrics.prepared(pair, warm, took);
        let Target {
            namespace,
            vm,
            migration,
            node,
            ..
        } = target;
        tracing::info!(
            namespace,
            vm,
            migration,
            node,
            pair = pair.as_ref(),
            warm = warm.as_ref(),
            seconds = took.as_secs_f64(),
            "the target of a migration is about to be bound"
        );
        (pair, warm)
    }

    async fn pair(&self, target: &Target, snapshot: &Snapshot) -> PairOutcome {
        let Target {
            namespace,
            vm,
            vmi_uid,
            migration,
            node,
        } = target;
        let SouthboundState::Fresh(view, now) = &snapshot.southbound else {
            return PairOutcome::Unknown;
        };
        let Some(switches) = view.locality.switches_of(namespace, vm) else {
            return PairOutcome::Unknown;
        };
        if switches.are_underlay() {
            return PairOutcome::Underlay;
        }
        if !view.locality.has_additional_chassis() {
            return PairOutcome::Unsupported;
        }
        let vmi = snapshot.cluster.vmi(namespace, vm, vmi_uid);
        let source = vmi.and_then(|vmi| vmi.node.as_deref());
        let Some(source) = source.filter(|source| source != node) else {
            return PairOutcome::NoSource;
        };
        // Where OVN does not find the source, it takes the target alone, and the VM loses its port.
        let found = |node: &str| {
            let chassis = chassis_of(snapshot, node)?;
            let southbound = view.southbound(node, chassis, *now);
            (southbound.row()?.identity == ChassisIdentity::Own).then_some(chassis)
        };
        let (Some(source_chassis), Some(_)) = (found(source), found(node)) else {
            return PairOutcome::Unresolved;
        };
        let source_names = [source, source_chassis];
        let record = PairRecord {
            namespace: namespace.clone(),
            vm: vm.clone(),
            vmi_uid: vmi_uid.clone(),
            migration: migration.clone(),
            named_chassis: true,
            pair: Pair {
                source: source.to_owned(),
                target: node.clone(),
            },
        };
        for _ in 0..TRIES {
            match self
                .write_pair(&record, &source_names, &snapshot.cluster)
                .await
            {
                Ok(outcome) => return outcome,
                Err(error) if has_changed(&error) => {}
                Err(error) => {
                    self.metrics.failed(&error);
                    tracing::warn!(
                        namespace,
                        vm,
                        migration,
                        cause = error.kind().name(),
                        "the ports of a VM can't be prepared for its migration: {error}"
                    );
                    return PairOutcome::Failed;
                }
            }
        }
        PairOutcome::Failed
    }

    async fn write_pair(
        &self,
        record: &PairRecord,
        source_names: &[&str],
        cluster: &ClusterView,
    ) -> Result<PairOutcome, ovsdb::TransactError> {
        let ports = self
            .northbound
            .ports_of(&record.namespace, &record.vm)
            .await?;
        let is_there = !ports.is_empty();
        let mut changes = Vec::new();
        let (mut has_foreign, mut is_written) = (false, false);
        for port in ports {
            let known = port.record.as_ref();
            // A migration that failed may be retried at once, to another node.
            let ours = known.filter(|known| {
                known.migration == record.migration
                    || cluster.vmi_of_active_migration(&known.migration).is_none()
            });
            let pair = ours.map(|ours| &ours.pair);
            let options = match record.pair.prepare(&port.options, source_names, pair) {
                Preparation::Write(options) => {
                    is_written = true;
                    Some((port.options.clone(), options))
                }
                // berth wrote it for an earlier migration, which did not end in order.
                Preparation::Present
                    if known.is_some_and(|known| {
                        known.migration != record.migration && known.pair == record.pair
                    }) =>
                {
                    None
                }
                Preparation::Present => continue,
                Preparation::Foreign => {
                    has_foreign = true;
                    continue;
                }
            };
            let named_chassis =
                known.map_or_else(|| names_chassis(&port.options), |known| known.named_chassis);
            changes.push(PortChange {
                id: port.id,
                options,
                remembered: port.record,
                record: Some(PairRecord {
                    named_chassis,
                    ..record.clone()
                }),
            });
        }
        if !changes.is_empty() {
            self.northbound.change_ports(&changes).await?;
        }
        Ok(match (is_there, has_foreign, is_written) {
            (false, ..) => PairOutcome::NoPort,
            (_, true, _) => PairOutcome::Foreign,
            (_, _, true) => PairOutcome::Written,
            (_, _, false) => PairOutcome::Present,
        })
    }

    async fn warm(&self, target: &Target, snapshot: &Snapshot) -> WarmOutcome {
        let SouthboundState::Fresh(view, _) = &snapshot.southbound else {
            return WarmOutcome::Unknown;
        };
        let Some(name) = chassis_of(snapshot, &target.node) else {
            return WarmOutcome::Unknown;
        };
        let Some(needs) = needs(view, target, name) else {
            return WarmOutcome::Unknown;
        };
        let needs = match needs {
            Needs::Underlay => return WarmOutcome::Underlay,
            Needs::Places(needs) if needs.is_empty() => return WarmOutcome::Local,
            Needs::Places(needs) => needs,
        };
        let asked = needs.into_iter().map(|need| self.warmer.ask(need));
        let mut last = 0;
        for answer in join_all(asked).await {
            match answer {
                Ok(nb_cfg) => last = last.max(nb_cfg),
                Err(NotWarm::Limited) => return WarmOutcome::Limited,
                Err(NotWarm::Failed) => return WarmOutcome::Failed,
            }
        }
        self.wait_for(name, last).await
    }

    /// Waits until a chassis has this `nb_cfg`.
    async fn wait_for(&self, chassis: &str, nb_cfg: i64) -> WarmOutcome {
        let mut changes = self.stores.changes.subscribe();
        loop {
            match self.stores.snapshot().southbound {
                SouthboundState::Fresh(view, _) => {
                    if view.updates_off {
                        return WarmOutcome::Unconfirmed;
                    }
                    let reached = view.chassis(chassis).and_then(|chassis| chassis.nb_cfg);
                    if reached >= Some(nb_cfg) {
                        return WarmOutcome::Warmed;
                    }
                }
                SouthboundState::NotRead | SouthboundState::Stale => return WarmOutcome::Unknown,
            }
            let _ = changes.next(self.options.timeout).await;
        }
    }
}

/// Whether a migration that is under way, of the VM that the pod names, made the pod: anybody can make one
/// with KubeVirt's labels.
fn is_of_migration(target: &Target, snapshot: &Snapshot) -> bool {
    let vmi = snapshot.cluster.vmi_of_active_migration(&target.migration);
    vmi == Some(&ObjectKey::new(&target.namespace, &target.vm))
}

/// The name of a node's chassis.
fn chassis_of<'s>(snapshot: &'s Snapshot, node: &str) -> Option<&'s str> {
    snapshot.cluster.node(node)?.facts()?.chassis.name()
}

enum Needs {
    Underlay,
    Places(Vec<Need>),
}

/// What has to be warmed on a chassis for a VM; `None` where that is not known.
fn needs(view: &ChassisView, target: &Target, chassis: &str) -> Option<Needs> {
    let row = view.chassis(chassis)?;
    let switches = view.locality.switches_of(&target.namespace, &target.vm)?;
    if switches.are_underlay() {
        return Some(Needs::Underlay);
    }
    let mut needs: Vec<Need> = Vec::new();
    for cold in switches.cold_on(row) {
        let place = Place {
            vpc: cold.vpc.to_string(),
            chassis: chassis.to_owned(),
        };
        if needs.iter().all(|need| need.place != place) {
            let switch = cold.northbound?.to_string();
            needs.push(Need { place, switch });
        }
    }
    Some(Needs::Places(needs))
}

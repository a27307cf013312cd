//! What the leader does for the ports and HA groups that replicas of berth wrote: it restores and finishes
//! pairs, and deletes warm ports that no migration needs any more. It begins anew from the northbound
//! database, so that it also tidies up after a crash and after the mode was turned off.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use kube::Client;
use kube::api::{GetParams, ListParams};
use kube::core::Request;
use ovsdb::{ErrorKind, TransactError, Uuid};
use tokio::time::{Instant, sleep};

use crate::api::Cause;
use crate::api::fault::within;
use crate::cluster::ClusterView;
use crate::continuity::Metrics;
use crate::continuity::metrics::Upkept;
use crate::continuity::northbound::{Northbound, PortChange, State, has_changed};
use crate::continuity::warmer::now;
use crate::decide::continuity::collect::leftovers;
use crate::decide::continuity::pair::{Options, Progress, Upkeep, finished};
use crate::decide::continuity::record::PairRecord;
use crate::failure_log::FailureLog;
use crate::snapshot::Stores;
use crate::wire::objects::{MigrationList, VmiPlace};

/// The time between two looks while a pair is open: whoever removes it takes the VM's network along.
const OPEN_TICK: Duration = Duration::from_secs(1);

/// The time between two looks else.
const TICK: Duration = Duration::from_secs(5);

/// The same where nothing is written any more.
const OFF_TICK: Duration = Duration::from_mins(1);

/// For how long a pair stays as berth wrote it, after its migration has ended, before berth removes it:
/// Kube-OVN does so itself, within seconds.
const LEFT_FOR: Duration = Duration::from_secs(30);

/// How long the API server may take to read a migration.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// What is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Upholding {
    /// For how long a warm port is kept after a migration last needed it.
    keep: Duration,
    /// For how long a pair is left to Kube-OVN after its migration.
    left_for: Duration,
    /// Pairs are written again while their migration runs.
    restores: bool,
}

impl Upholding {
    /// While berth prepares migrations.
    #[must_use]
    pub const fn while_on(keep: Duration) -> Self {
        Self {
            keep,
            left_for: LEFT_FOR,
            restores: true,
        }
    }

    /// After it was turned off: warm ports are not needed any more.
    #[must_use]
    pub const fn after_off() -> Self {
        Self {
            keep: Duration::ZERO,
            left_for: LEFT_FOR,
            restores: false,
        }
    }

    /// When somebody asks for everything to be tidied up now.
    #[must_use]
    pub const fn at_once() -> Self {
        Self {
            keep: Duration::ZERO,
            left_for: Duration::ZERO,
            restores: false,
        }
    }
}

/// Keeps up what berth wrote to the northbound database.
pub struct Keeper {
    northbound: Northbound,
    client: Option<Client>,
    stores: Stores,
    upholding: Upholding,
    metrics: Metrics,
    /// Since when a migration is seen to have ended, by the port and the UID of the migration.
    ended: BTreeMap<(Uuid, String), Instant>,
    failures: FailureLog<ErrorKind>,
}

/// What the API server says of a VM whose port has a pair.
struct Now {
    /// The migration of the pair is under way, and the VM still runs on its source.
    is_before_cut_over: bool,
    /// Any migration of the VM is under way.
    is_migrating: bool,
    /// The node that the VMI of the pair runs on.
    node: Option<String>,
}

impl Keeper {
    /// A keeper. Without a client it changes the options of no port.
    #[must_use]
    pub fn new(
        northbound: Northbound,
        client: Option<Client>,
        stores: Stores,
        upholding: Upholding,
        metrics: Metrics,
    ) -> Self {
        Self {
            northbound,
            client,
            stores,
            upholding,
            metrics,
            ended: BTreeMap::new(),
            failures: FailureLog::default(),
        }
    }

    /// Keeps everything up until the future is dropped.
    pub async fn run(&mut self) -> Infallible {
        let idle_tick = if self.upholding.restores {
            TICK
        } else {
            OFF_TICK
        };
        loop {
            let tick = match self.look().await {
                Ok(is_open) => {
                    if self.failures.clear() {
                        tracing::info!("the northbound database can be read and written again");
                    }
                    if is_open { OPEN_TICK } else { idle_tick }
                }
                Err(error) => {
                    self.failed(&error);
                    idle_tick
                }
            };
            sleep(tick).await;
        }
    }

    fn failed(&mut self, error: &TransactError) {
        if has_changed(error) {
            return;
        }
        self.metrics.failed(error);
        let kind = error.kind();
        if self.failures.record(kind) {
            tracing::warn!(
                cause = kind.name(),
                "what berth wrote to the northbound database can't be tidied up: {error}"
            );
        }
    }

    /// Does what is due. Returns whether a pair is open.
    ///
    /// # Errors
    /// The database can't be read, or something in it has changed meanwhile.
    pub async fn look(&mut self) -> Result<bool, TransactError> {
        let state = self.northbound.state().await?;
        self.metrics
            .pairs_open
            .set(number(state.records.pairs.len()));
        self.metrics.warm_ports.set(number(state.ports.len()));
        let cluster = self.stores.cluster.load_full();
        let kept_up = self.keep_up_pairs(&state, &cluster).await;
        // Whatever is wrong with one pair does not keep warm ports. They are read again at the next look
        // where a record has changed.
        match self.collect(&state, &cluster).await {
            Err(error) if !has_changed(&error) => return Err(error),
            _ => {}
        }
        kept_up?;
        Ok(!state.records.pairs.is_empty())
    }

    async fn keep_up_pairs(
        &mut self,
        state: &State,
        cluster: &ClusterView,
    ) -> Result<(), TransactError> {
        let records: BTreeMap<Uuid, &PairRecord> = state
            .records
            .pairs
            .iter()
            .filter_map(|(id, record)| Some((Uuid::parse(id)?, record)))
            .collect();
        self.ended.retain(|(id, migration), _| {
            let record = records.get(id);
            record.is_some_and(|record| record.migration == *migration)
        });
        let options = self.northbound.options_of(records.keys().copied());
        let options = options.await?;
        for (id, record) in records {
            let options = options.get(&id);
            let progress = self.progress(id, record, cluster);
            let upkeep = record.pair.keep_up(options, progress);
            let Some((change, done)) = self.change(id, record, upkeep, options).await else {
                continue;
            };
            match self.northbound.change_ports(&[change]).await {
                Ok(()) => self.metrics.upkept(done, 1),
                // It is read again at the next look.
                Err(error) if has_changed(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn progress(&mut self, id: Uuid, record: &PairRecord, cluster: &ClusterView) -> Progress {
        let key = (id, record.migration.clone());
        if cluster.vmi_of_active_migration(&record.migration).is_some() {
            self.ended.remove(&key);
            return Progress::UnderWay;
        }
        let since = *self.ended.entry(key).or_insert_with(Instant::now);
        let vmi = cluster.vmi_named(&record.namespace, &record.vm);
        // A VM that was stopped may start on any node.
        let is_gone = vmi.is_none_or(|vmi| *vmi.uid != *record.vmi_uid);
        Progress::Ended {
            is_due: is_gone || since.elapsed() >= self.upholding.left_for,
        }
    }

    /// The change of a port that is due, if one is. Before the options change, the API server is asked: the
    /// watches may be behind.
    async fn change(
        &self,
        id: Uuid,
        record: &PairRecord,
        upkeep: Upkeep,
        options: Option<&Options>,
    ) -> Option<(PortChange, Upkept)> {
        let change = |wanted: Option<Options>, kept: Option<PairRecord>| PortChange {
            id,
            options: options.cloned().zip(wanted),
            remembered: Some(record.clone()),
            record: kept,
        };
        let PairRecord {
            namespace,
            vm,
            migration,
            ..
        } = record;
        match upkeep {
            Upkeep::Leave => None,
            Upkeep::Restore => {
                if !self.upholding.restores || !self.now(record).await?.is_before_cut_over {
                    return None;
                }
                tracing::warn!(
                    namespace,
                    vm,
                    migration,
                    "somebody removed the pair of chassis from a port while its VM migrates, and it is written again"
                );
                let wanted = record.pair.added_to(options?);
                let change = change(Some(wanted), Some(record.clone()));
                Some((change, Upkept::PairRestored))
            }
            Upkeep::Finish => {
                let now = self.now(record).await?;
                if now.is_migrating {
                    return None;
                }
                tracing::info!(
                    namespace,
                    vm,
                    migration,
                    "the pair of chassis that berth wrote to a port is removed: its migration has ended"
                );
                let chassis = now.node.filter(|_| record.named_chassis);
                let wanted = finished(options?, chassis.as_deref());
                Some((change(Some(wanted), None), Upkept::PairFinished))
            }
            Upkeep::Forget => Some((change(None, None), Upkept::PairForgotten)),
        }
    }

    /// What the API server says of the VM of a pair; `None` where it does not.
    async fn now(&self, record: &PairRecord) -> Option<Now> {
        let PairRecord {
            namespace,
            vm,
            vmi_uid,
            migration,
            pair,
            ..
        } = record;
        let client = self.client.as_ref()?;
        let path = format!("/apis/kubevirt.io/v1/namespaces/{namespace}");
        let request = Request::new(format!("{path}/virtualmachineinstancemigrations"));
        let request = request.list(&ListParams::default()).ok()?;
        let migrations = within(READ_TIMEOUT, client.request_text(request)).await;
        let migrations = migrations.ok()?;
        let migrations: MigrationList<'_> = serde_json::from_str(&migrations).ok()?;
        let of_vm = migrations.items.iter();
        let mut active = of_vm.filter(|one| one.vmi_name() == vm && one.is_active());
        let request = Request::new(format!("{path}/virtualmachineinstances"));
        let request = request.get(vm, &GetParams::default()).ok()?;
        let vmi = match within(READ_TIMEOUT, client.request_text(request)).await {
            Ok(vmi) => Some(vmi),
            Err(fault) if fault.cause == Cause::NotFound => None,
            Err(_) => return None,
        };
        let vmi: Option<VmiPlace<'_>> = match &vmi {
            Some(text) => Some(serde_json::from_str(text).ok()?),
            None => None,
        };
        let vmi = vmi.filter(|vmi| vmi.uid() == vmi_uid);
        let node = vmi.as_ref().and_then(VmiPlace::node);
        let is_at_source = node == Some(&pair.source)
            && vmi.as_ref().is_some_and(|vmi| !vmi.has_arrived(migration));
        Some(Now {
            is_before_cut_over: is_at_source && active.clone().any(|one| one.uid() == migration),
            is_migrating: active.next().is_some(),
            node: node.map(str::to_owned),
        })
    }

    async fn collect(&self, state: &State, cluster: &ClusterView) -> Result<(), TransactError> {
        let made = state.made();
        let arriving = arriving(cluster);
        let left = leftovers(
            &made,
            &state.records,
            now(),
            self.upholding.keep,
            |chassis| arriving.contains(&chassis),
        );
        if left.is_empty() {
            return Ok(());
        }
        self.northbound.delete(state, &left).await?;
        self.metrics.upkept(Upkept::PortDeleted, left.ports.len());
        self.metrics.upkept(Upkept::GroupDeleted, left.groups.len());
        for port in &left.ports {
            tracing::info!(
                port,
                "a warm port that no migration needs any more is deleted"
            );
        }
        Ok(())
    }
}

/// The chassis of the nodes at which migrations arrive.
fn arriving(cluster: &ClusterView) -> Vec<&str> {
    let nodes = cluster.nodes();
    let nodes = nodes.filter(|(_, _, entry)| entry.arriving() > 0);
    nodes
        .filter_map(|(_, facts, _)| facts.chassis.name())
        .collect()
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

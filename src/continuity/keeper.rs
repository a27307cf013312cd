//! What the leader does for the ports and HA groups that replicas of berth wrote: it restores and finishes
//! pairs, and deletes warm ports that no migration needs any more. It begins anew from the northbound
//! database, so that it also tidies up after a crash and after the mode was turned off.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use kube::Client;
use kube::api::GetParams;
use kube::core::Request;
use ovsdb::{ErrorKind, TransactError, Uuid};
use tokio::time::{Instant, sleep};

use crate::api::Fault;
use crate::api::fault::within;
use crate::cluster::ClusterView;
use crate::continuity::Metrics;
use crate::continuity::metrics::Upkept;
use crate::continuity::northbound::{Northbound, PortChange, State, has_changed};
use crate::continuity::warmer::now;
use crate::decide::continuity::collect::leftovers;
use crate::decide::continuity::pair::{Options, Progress, Upkeep};
use crate::decide::continuity::record::PairRecord;
use crate::failure_log::FailureLog;
use crate::snapshot::Stores;
use crate::wire::objects::Migration;

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
    /// Since when the migration of each open pair is seen to have ended, with the pair as it was written.
    ended: BTreeMap<Uuid, Instant>,
    failures: FailureLog<ErrorKind>,
}

/// An open pair: its port, its record, and what becomes of it.
struct Open<'s> {
    id: Uuid,
    record: &'s PairRecord,
    upkeep: Upkeep,
}

impl Keeper {
    /// A keeper. To restore a pair it asks the API server whether the migration runs.
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
        self.keep_up_pairs(&state, &cluster).await?;
        self.collect(&state, &cluster).await?;
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
        self.ended.retain(|id, _| records.contains_key(id));
        let ports = self.northbound.ports(records.keys().copied()).await?;
        for (id, record) in records {
            let options = ports.get(&id).map(|port| &port.options);
            let progress = self.progress(id, record, cluster);
            let upkeep = record.pair.keep_up(options, progress);
            let open = Open { id, record, upkeep };
            let Some((change, done)) = self.change(open, options).await else {
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

    fn progress<'c>(
        &mut self,
        id: Uuid,
        record: &PairRecord,
        cluster: &'c ClusterView,
    ) -> Progress<'c> {
        if cluster.active_migration(&record.migration).is_some() {
            self.ended.remove(&id);
            return Progress::UnderWay;
        }
        let since = *self.ended.entry(id).or_insert_with(Instant::now);
        let vmi = cluster.vmi_named(&record.namespace, &record.vm);
        Progress::Ended {
            runs_on: vmi.and_then(|vmi| vmi.node.as_deref()),
            is_due: since.elapsed() >= self.upholding.left_for,
        }
    }

    /// The change of a port that is due, if one is.
    async fn change(
        &self,
        open: Open<'_>,
        options: Option<&Options>,
    ) -> Option<(PortChange, Upkept)> {
        let Open { id, record, upkeep } = open;
        let PairRecord {
            namespace,
            vm,
            migration,
            ..
        } = record;
        let written = |wanted| options.map(|read| (read.clone(), wanted));
        match upkeep {
            Upkeep::Leave => None,
            Upkeep::Restore(wanted) => {
                // The watch may not have told of the end yet.
                if !self.upholding.restores || !self.is_active(namespace, migration).await {
                    return None;
                }
                tracing::warn!(
                    namespace,
                    vm,
                    migration,
                    "somebody removed the pair of chassis from a port while its VM migrates, and it is written again"
                );
                let change = PortChange {
                    id,
                    options: written(wanted),
                    record: Some(record.clone()),
                };
                Some((change, Upkept::PairRestored))
            }
            Upkeep::Finish(wanted) => {
                tracing::info!(
                    namespace,
                    vm,
                    migration,
                    "the pair of chassis that berth wrote to a port is removed: its migration has ended"
                );
                let change = PortChange {
                    id,
                    options: written(wanted),
                    record: None,
                };
                Some((change, Upkept::PairFinished))
            }
            Upkeep::Forget => {
                let change = PortChange {
                    id,
                    options: None,
                    record: None,
                };
                Some((change, Upkept::PairForgotten))
            }
        }
    }

    /// Whether the API server has a migration with this UID that is not over.
    async fn is_active(&self, namespace: &str, uid: &str) -> bool {
        let url =
            format!("/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstancemigrations");
        let cluster = self.stores.cluster.load_full();
        let (Some(key), Some(client)) = (cluster.active_migration(uid), &self.client) else {
            return false;
        };
        let read = async {
            let request = Request::new(url).get(key.name(), &GetParams::default());
            let request =
                request.map_err(|error| Fault::from(&kube::Error::BuildRequest(error)))?;
            within(READ_TIMEOUT, client.request_text(request)).await
        };
        let Ok(text) = read.await else {
            return false;
        };
        let migration: Result<Migration<'_>, _> = serde_json::from_str(&text);
        migration.is_ok_and(|migration| migration.uid() == uid && migration.is_active())
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

//! `berth cleanup`: what berth wrote to OVN's northbound database and no migration needs. The leader deletes it
//! as well; this is for when berth is removed, or when nobody leads. It writes with `--apply` alone.

use std::fmt::Write as _;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kube::Client;
use ovsdb::TransactError;

use crate::api::client::{self, ClientError};
use crate::app::southbound;
use crate::args::Cleanup;
use crate::args::fleet::FleetArgs;
use crate::check::cluster::{Cluster, ClusterError, Scope, config};
use crate::check::output::Answer;
use crate::cluster::ClusterView;
use crate::config::{ConfigError, Refusal};
use crate::continuity::{Keeper, Metrics, Northbound, State, Upholding};
use crate::decide::continuity::record::PairRecord;
use crate::fleet::kind::Kind;
use crate::metrics::Registry;
use crate::snapshot::Stores;
use crate::text::{LONGEST_TEXT, shorten};

/// How often the database is looked at: ports and their groups go in two transactions, and each may collide
/// with one of somebody else.
const LOOKS: usize = 5;

/// Why nothing was tidied up.
#[derive(Debug, thiserror::Error)]
pub enum CleanupError {
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The endpoints are not some.
    #[error("{0}")]
    Refused(#[source] Refusal),
    /// No database is named.
    #[error(
        "no northbound database: set --ovn-nb ENDPOINTS, as in --ovn-nb tcp:10.0.0.1:6641, or southbound.probe.endpoints in --config FILE"
    )]
    NoDatabase,
    /// The cluster can't be read.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No client for the cluster can be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// VMIs or migrations can't be read.
    #[error("{0}; without it berth can't tell which pairs of chassis are still needed")]
    Unread(String),
    /// The database can't be read or written.
    #[error("the northbound database: {0}")]
    Northbound(#[from] TransactError),
    /// A metric can't be registered: a defect.
    #[error("a metric: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Shows what is left over, and deletes it where it is asked to.
///
/// # Errors
/// The cluster or the database can't be read or written.
pub async fn run(args: &Cleanup) -> Result<Answer, CleanupError> {
    let fleet = FleetArgs {
        cluster: args.cluster.clone(),
        ..FleetArgs::default()
    };
    let mut config = config(&args.cluster)?;
    if args.ovn_nb.is_some() {
        config.southbound.probe.endpoints.clone_from(&args.ovn_nb);
    }
    let options = southbound::northbound(&config.southbound).map_err(CleanupError::Refused)?;
    let northbound = Northbound::new(options.ok_or(CleanupError::NoDatabase)?);
    // First the database: a migration that begins after it is none of its records.
    let state = northbound.state().await?;
    let cluster = read(&fleet).await?;
    let mut text = listed(&state, &cluster);
    let is_left = |state: &State| count_left(state, &cluster);
    let before = is_left(&state);
    if before == 0 {
        text += "nothing of berth is left over in the northbound database\n";
        return Ok(Answer { code: 0, text });
    }
    if !args.apply {
        let _ = writeln!(
            text,
            "{before} to delete; --apply deletes them, and a berth that prepares migrations makes warm ports again"
        );
        return Ok(Answer { code: 1, text });
    }
    let kubeconfig = args.cluster.kubeconfig.as_deref();
    let connected = client::choose(kubeconfig, args.cluster.context.as_deref()).await?;
    let after = tidy_up(&northbound, &cluster, connected.client).await?;
    let left = is_left(&after);
    let _ = writeln!(
        text,
        "{} deleted, {left} left over",
        before.saturating_sub(left)
    );
    Ok(Answer {
        code: if left == 0 { 0 } else { 2 },
        text,
    })
}

/// The cluster, if its VMIs and migrations could be read.
async fn read(fleet: &FleetArgs) -> Result<ClusterView, CleanupError> {
    let cluster = Cluster::read(fleet, Scope::All).await?;
    let needed = [
        Kind::VirtualMachineInstance,
        Kind::VirtualMachineInstanceMigration,
    ];
    match cluster.unread(|kind| needed.contains(kind)).first() {
        Some(finding) => Err(CleanupError::Unread(finding.message.clone())),
        None => Ok(cluster.loaded.view),
    }
}

/// Deletes what is left over, and returns what is there then.
async fn tidy_up(
    northbound: &Northbound,
    cluster: &ClusterView,
    client: Client,
) -> Result<State, CleanupError> {
    let stores = Stores::from(Arc::new(ArcSwap::from_pointee(cluster.clone())));
    let metrics = Metrics::register(&Registry::default())?;
    let upholding = Upholding::at_once();
    let mut keeper = Keeper::new(northbound.clone(), Some(client), stores, upholding, metrics);
    let mut state = State::default();
    for _ in 0..LOOKS {
        // A collision with a replica of berth is one of the next look.
        if let Err(error) = keeper.look().await
            && !matches!(error, TransactError::Failed(_))
        {
            return Err(error.into());
        }
        state = northbound.state().await?;
        if count_left(&state, cluster) == 0 {
            break;
        }
    }
    Ok(state)
}

/// How many ports, groups and pairs no migration needs.
fn count_left(state: &State, cluster: &ClusterView) -> usize {
    let pairs = state.records.pairs.values();
    let ended = pairs.filter(|record| !is_under_way(record, cluster));
    ended.count() + state.ports.len() + state.groups.len()
}

fn is_under_way(record: &PairRecord, cluster: &ClusterView) -> bool {
    cluster.vmi_of_active_migration(&record.migration).is_some()
}

/// What there is, a line for each.
fn listed(state: &State, cluster: &ClusterView) -> String {
    let mut text = String::new();
    for port in &state.ports {
        let _ = writeln!(text, "warm port {} on chassis {}", port.name, port.chassis);
    }
    for group in &state.groups {
        let _ = writeln!(text, "HA group  {group}");
    }
    for record in state.records.pairs.values() {
        let PairRecord {
            namespace,
            vm,
            pair,
            ..
        } = record;
        let stays = if is_under_way(record, cluster) {
            ", whose migration is under way: it stays"
        } else {
            ""
        };
        let _ = writeln!(
            text,
            "port pair {},{} of VM {namespace}/{vm}{stays}",
            pair.source, pair.target
        );
    }
    // What is in the database is not ours to trust.
    text.lines()
        .map(|line| shorten(line, LONGEST_TEXT) + "\n")
        .collect()
}

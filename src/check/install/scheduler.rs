//! Does kube-scheduler ask berth? A migration that was bound lately must have caused a call.

use std::time::{Duration, SystemTime};

use super::line::{Asked, Line, answered};
use super::replicas::Replica;
use crate::check::text::plural;
use crate::decide::requirements::Requirement;

/// How long ago a migration may have been bound.
const LATELY: Duration = Duration::from_hours(1);

/// A replica that is replaced goes on answering for a while after its successor has started.
const OVERLAP: Duration = Duration::from_mins(2);

/// The target pod of a migration that has a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// `namespace/name` of the pod.
    pub(super) pod: String,
    /// The scheduler that it asks for.
    pub(super) scheduler: String,
    /// When it was bound.
    pub(super) at: SystemTime,
}

/// Judges the calls that replicas counted against the migrations that were bound. `scheduler` is the one
/// that is to ask berth. Without a replica there is nothing to judge.
pub(super) fn judge(
    replicas: &Asked<Vec<Replica>>,
    migrations: &Asked<Vec<Bound>>,
    scheduler: &Asked<&'static str>,
    now: SystemTime,
) -> Option<Line> {
    let requirement = Requirement::SchedulerNotAsking;
    match (
        answered(replicas, requirement),
        answered(scheduler, requirement),
    ) {
        (Ok(replicas), _) if replicas.is_empty() => None,
        (Ok(replicas), Ok(scheduler)) => Some(asks(replicas, migrations, scheduler, now)),
        (Err(line), _) | (_, Err(line)) => Some(line),
    }
}

fn asks(
    replicas: &[Replica],
    migrations: &Asked<Vec<Bound>>,
    scheduler: &str,
    now: SystemTime,
) -> Line {
    let known = replicas.iter().flat_map(|replica| &replica.metrics);
    let calls: u64 = known.clone().map(|metrics| metrics.filter_calls).sum();
    if calls > 0 {
        let calls = plural(usize::try_from(calls).unwrap_or(usize::MAX), "call");
        let detail = format!("{calls} of the filter since the replicas started");
        return Line::met(Requirement::SchedulerNotAsking, &detail);
    }
    let unreached = replicas.iter().find_map(|replica| {
        let fault = replica.metrics.as_ref().err()?;
        Some(format!("{} was not reached: {fault}", replica.name))
    });
    if let Some(why) = unreached {
        return Line::unknown(Requirement::SchedulerNotAsking, &why);
    }
    let migrations = match answered(migrations, Requirement::SchedulerNotAsking) {
        Ok(migrations) => migrations,
        Err(line) => return line,
    };
    let since = known.filter_map(|metrics| metrics.started).max();
    let since = since.and_then(|since| since.checked_add(OVERLAP));
    let lately = now.checked_sub(LATELY);
    let unasked = migrations.iter().filter(|bound| {
        bound.scheduler == scheduler && lately <= Some(bound.at) && since <= Some(bound.at)
    });
    match unasked.max_by_key(|bound| bound.at) {
        Some(bound) => {
            let ago = now.duration_since(bound.at).unwrap_or_default();
            let detail = format!(
                "{scheduler} bound {} {} ago, and no replica has counted a call",
                bound.pod,
                plural(
                    usize::try_from(ago.as_secs() / 60).unwrap_or_default(),
                    "minute"
                )
            );
            Line::unmet(Requirement::SchedulerNotAsking, &detail)
        }
        None => Line::unmet(
            Requirement::NoMigrationLately,
            "no migration lately, not judged",
        ),
    }
}

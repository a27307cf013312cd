//! Does kube-scheduler ask berth? A migration that was bound lately must have caused a call.

use std::time::{Duration, SystemTime};

use super::line::{Asked, Line, answered};
use super::metrics::Metrics;
use super::replicas::Replica;
use crate::decide::requirements::Requirement;
use crate::layout::plural;

/// How long ago a migration may have been bound.
const LATELY: Duration = Duration::from_hours(1);

/// A replica that is replaced goes on answering for a while after its successor has started.
const OVERLAP: Duration = Duration::from_mins(2);

/// The filter is called before a pod is bound; the two times are of different clocks.
const BEFORE_BOUND: Duration = Duration::from_mins(2);

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
    let requirement = Requirement::SchedulerNotAsking;
    let migrations = match answered(migrations, requirement) {
        Ok(migrations) => migrations,
        Err(line) => return line,
    };
    let known = replicas.iter().flat_map(|replica| &replica.metrics);
    let lately = now.checked_sub(LATELY);
    let since = known.clone().filter_map(|metrics| metrics.started).max();
    let since = since.and_then(|since| since.checked_add(OVERLAP));
    let bound = migrations.iter().filter(|bound| {
        bound.scheduler == scheduler && lately <= Some(bound.at) && since <= Some(bound.at)
    });
    let bound = bound.max_by_key(|bound| bound.at);
    let calls: u64 = known.clone().map(|metrics| metrics.filter_calls).sum();
    let calls = plural(usize::try_from(calls).unwrap_or(usize::MAX), "call");
    let calls = format!("{calls} of the filter since the replicas started");
    let last = known.clone().filter_map(|metrics| metrics.last_filter_call);
    let last = last.max();
    let expected = match bound {
        Some(bound) => bound.at.checked_sub(BEFORE_BOUND),
        None => lately,
    };
    if let Some(last) = last
        && expected <= Some(last)
    {
        let detail = format!("{calls}, the last one {}", ago(now, last));
        return Line::met(requirement, &detail);
    }
    let does_not_tell =
        |metrics: &Metrics| metrics.filter_calls > 0 && metrics.last_filter_call.is_none();
    if known.clone().any(does_not_tell) {
        let detail = format!(
            "{calls}; when the last one was is not known, because a replica has no berth_extender_last_call_timestamp_seconds"
        );
        return Line::met(requirement, &detail);
    }
    let unreached = replicas.iter().find_map(|replica| {
        let fault = replica.metrics.as_ref().err()?;
        Some(format!("{} was not reached: {fault}", replica.name))
    });
    if let Some(why) = unreached {
        return Line::unknown(requirement, &why);
    }
    let last = last.map(|last| format!("the last call of the filter was {}", ago(now, last)));
    let Some(bound) = bound else {
        let last = last.map_or_else(String::new, |last| format!("; {last}"));
        let detail = format!("no migration lately, not judged{last}");
        return Line::unmet(Requirement::NoMigrationLately, &detail);
    };
    let last = last.as_deref().unwrap_or("no replica has counted a call");
    let (pod, ago) = (&bound.pod, ago(now, bound.at));
    let detail = format!("{scheduler} bound {pod} {ago}, and {last}");
    Line::unmet(requirement, &detail)
}

/// How long before now a time was, in its largest unit.
fn ago(now: SystemTime, at: SystemTime) -> String {
    let minutes = now.duration_since(at).unwrap_or_default().as_secs() / 60;
    let (count, unit) = match minutes {
        0 => return "less than a minute ago".to_owned(),
        1..120 => (minutes, "minute"),
        120..2880 => (minutes / 60, "hour"),
        _ => (minutes / 1440, "day"),
    };
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    format!("{} ago", plural(count, unit))
}

//! Which warm ports to make. A warm port is a disabled port of type `external` without addresses, on one
//! switch of a VPC, whose HA group has one chassis: that chassis makes the whole VPC local, and has its
//! flows before the first VM lands there. One is enough for a VPC and a chassis.

use std::collections::BTreeMap;

use crate::decide::continuity::record::WarmRecord;

/// A VPC that is to be local on a chassis.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whatever tells the VPC from others.
    pub vpc: String,
    /// The name of the chassis.
    pub chassis: String,
}

/// A place that a migration needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The place.
    pub place: Place,
    /// The id of a logical switch of the VPC, in the northbound database.
    pub switch: String,
}

/// A warm port that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmPort {
    /// Its name, and that of its HA group.
    pub name: String,
    /// Where it is; `None` if its switch or its VPC is not known.
    pub place: Option<Place>,
    /// What is remembered of it.
    pub record: Option<WarmRecord>,
}

/// What limits the making of warm ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most ports whose chassis is still at work on them.
    pub max_concurrent: usize,
    /// A chassis that has not come to an end after so many seconds does not count any more.
    pub timeout: u64,
    /// A port that was needed so many seconds ago is marked as needed again.
    pub mark_after: u64,
    /// The `nb_cfg` of the database: a record with a later one is from before it was set back.
    pub nb_cfg: i64,
}

/// What a need comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The place is warm once its chassis has this `nb_cfg`.
    At(i64),
    /// The place is warm once its chassis has the `nb_cfg` of the transaction that is now made.
    AtThis,
    /// There is no room for it now.
    Later,
}

/// What is to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The answer to each need, in the order of the needs.
    pub answers: Vec<Answer>,
    /// The ports to make.
    pub create: Vec<Need>,
    /// The names of ports whose record is to be written anew, with the `nb_cfg` that each has; `None`
    /// stands for the one of the transaction.
    pub mark: Vec<(String, Option<i64>)>,
}

impl Plan {
    /// Whether the transaction has to ask the chassis with a new `nb_cfg`.
    #[must_use]
    pub fn asks(&self) -> bool {
        self.answers.contains(&Answer::AtThis)
    }
}

/// What the name of every warm port begins with.
pub const WARM_PORT: &str = "berth-";

/// The name of a warm port and of its HA group. Replicas that make the same port at once collide.
#[must_use]
pub fn name(switch: &str, chassis: &str) -> String {
    format!("{WARM_PORT}{switch}-{chassis}")
}

/// Decides what to do for these needs, at `now` in seconds since the epoch. `reached` has the `nb_cfg` of
/// each chassis.
#[must_use]
pub fn plan(
    needs: &[Need],
    ports: &[WarmPort],
    reached: impl Fn(&str) -> Option<i64>,
    now: u64,
    limits: Limits,
) -> Plan {
    let under_way = ports.iter().filter(|port| {
        let (Some(place), Some(record)) = (&port.place, port.record) else {
            return false;
        };
        reached(&place.chassis).is_none_or(|reached| reached < record.nb_cfg)
            && now.abs_diff(record.used) <= limits.timeout
    });
    let mut room = limits.max_concurrent.saturating_sub(under_way.count());
    let mut plan = Plan::default();
    let mut answered: BTreeMap<&Place, Answer> = BTreeMap::new();
    for need in needs {
        let answer = answered.entry(&need.place).or_insert_with(|| {
            let name = name(&need.switch, &need.place.chassis);
            let is_it =
                |port: &&WarmPort| port.place.as_ref() == Some(&need.place) || port.name == name;
            match ports.iter().find(is_it) {
                Some(port) => reuse(port, now, limits, &mut plan.mark),
                None if room == 0 => Answer::Later,
                None => {
                    room -= 1;
                    plan.create.push(need.clone());
                    Answer::AtThis
                }
            }
        });
        plan.answers.push(*answer);
    }
    plan
}

fn reuse(
    port: &WarmPort,
    now: u64,
    limits: Limits,
    mark: &mut Vec<(String, Option<i64>)>,
) -> Answer {
    let record = port.record.filter(|record| record.nb_cfg <= limits.nb_cfg);
    let Some(WarmRecord { used, nb_cfg }) = record else {
        mark.push((port.name.clone(), None));
        return Answer::AtThis;
    };
    if now.abs_diff(used) >= limits.mark_after {
        mark.push((port.name.clone(), Some(nb_cfg)));
    }
    Answer::At(nb_cfg)
}

#[cfg(test)]
mod tests;

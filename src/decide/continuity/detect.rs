//! What goes wrong with the network of a migration, each as a cause of the codes 03xx. Each is found once.

use std::time::Duration;

use crate::decide::causes::Cause;
use crate::decide::continuity::timeline::{Marks, NetworkSight, Stage};
use crate::domain::{MigrationEnd, UnixTime};

/// The pair of chassis has to be on the ports so long after the target pod was bound.
pub const PAIR_WITHIN: Duration = Duration::from_secs(5);

/// A pair has to be away for so long: at the end of a migration OVN may be ahead of the API server.
const PAIR_AWAY_FOR: Duration = Duration::from_secs(2);

/// A chassis that does not answer for so long is behind.
const BEHIND_FOR: Duration = Duration::from_secs(10);

/// Ports have to be at the end that a migration left them at within this time.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub cause: Cause,
    /// When it was seen.
    pub at: UnixTime,
    /// How it shows here.
    pub message: String,
}

/// What the detectors know of a migration at one moment.
pub(super) struct Moment<'a> {
    pub(super) network: Option<&'a NetworkSight>,
    pub(super) marks: &'a Marks,
    /// How the migration ended, and when that was seen.
    pub(super) end: Option<(MigrationEnd, UnixTime)>,
}

impl Moment<'_> {
    const fn has(&self, stage: Stage) -> bool {
        self.marks.has(stage)
    }
}

/// What was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    found: Vec<Cause>,
    /// Since when a pair that was there is away.
    away: Option<UnixTime>,
    /// The ports were seen, and not on the target yet.
    has_yet_to_land: bool,
}

impl Faults {
    /// What is found at this moment and was not found before.
    pub(super) fn look(&mut self, moment: &Moment<'_>, now: UnixTime) -> Vec<Finding> {
        let Some(network) = moment.network else {
            self.away = None;
            return Vec::new();
        };
        let is_away = moment.has(Stage::Pair)
            && !network.is_all(network.paired)
            && !moment.has(Stage::Moved)
            && moment.end.is_none();
        self.away = is_away.then(|| self.away.unwrap_or(now));
        // Of ports that were there at the first look nobody knows how they came.
        let is_landing = moment.has(Stage::Additional) && self.has_yet_to_land;
        self.has_yet_to_land = !moment.has(Stage::Additional);
        let found = [
            not_prepared(moment, network, now),
            self.removed(network, now),
            flows_late(moment, network, is_landing),
            behind(moment, network),
            not_moved(moment, network, now),
            elsewhere(moment, network, now),
        ];
        let mut new = Vec::new();
        for (cause, message) in found.into_iter().flatten() {
            if !self.found.contains(&cause) {
                self.found.push(cause);
                new.push(Finding {
                    cause,
                    at: now,
                    message,
                });
            }
        }
        new
    }

    fn removed(&self, network: &NetworkSight, now: UnixTime) -> Option<(Cause, String)> {
        let away = now.saturating_sub(self.away?);
        (away >= PAIR_AWAY_FOR).then(|| {
            let message = format!(
                "{} of {} ports",
                network.ports - network.paired,
                network.ports
            );
            (Cause::PairRemoved, message)
        })
    }
}

fn not_prepared(
    moment: &Moment<'_>,
    network: &NetworkSight,
    now: UnixTime,
) -> Option<(Cause, String)> {
    let since = now.saturating_sub(moment.marks.at(Stage::Bound)?);
    let is_due = since >= PAIR_WITHIN && moment.end.is_none() && !moment.has(Stage::Moved);
    (is_due && !moment.has(Stage::Pair) && !moment.has(Stage::DomainReady)).then(|| {
        let ready = network.ports - network.paired;
        let message = format!(
            "{ready} of {} ports, {} s after the target pod was bound",
            network.ports,
            since.as_secs()
        );
        (Cause::PairMissing, message)
    })
}

fn flows_late(
    moment: &Moment<'_>,
    network: &NetworkSight,
    is_landing: bool,
) -> Option<(Cause, String)> {
    let is_cold = is_landing && !moment.has(Stage::Flows) && !moment.has(Stage::Warm);
    (is_cold && network.says_installed_early).then(|| {
        let message =
            "the VPC was not there, and this OVN reports a port as installed before its flows";
        (Cause::FlowsLate, message.to_owned())
    })
}

fn behind(moment: &Moment<'_>, network: &NetworkSight) -> Option<(Cause, String)> {
    let behind = network.behind.filter(|behind| *behind >= BEHIND_FOR)?;
    (moment.has(Stage::Bound) && !moment.has(Stage::Moved) && moment.end.is_none()).then(|| {
        let message = format!("no answer for {} s", behind.as_secs());
        (Cause::TargetBehind, message)
    })
}

fn not_moved(
    moment: &Moment<'_>,
    network: &NetworkSight,
    now: UnixTime,
) -> Option<(Cause, String)> {
    let since = now.saturating_sub(moment.marks.at(Stage::Activated)?);
    let Some((MigrationEnd::Succeeded, ended)) = moment.end else {
        return None;
    };
    let is_due = now.saturating_sub(ended) >= SETTLED_WITHIN;
    (is_due && !moment.has(Stage::Moved)).then(|| {
        let message = format!(
            "{} of {} ports, {} s after the VM announced itself there",
            network.ports - network.at_target,
            network.ports,
            since.as_secs()
        );
        (Cause::PortNotMoved, message)
    })
}

fn elsewhere(
    moment: &Moment<'_>,
    network: &NetworkSight,
    now: UnixTime,
) -> Option<(Cause, String)> {
    let (end, ended) = moment.end?;
    let has_not_moved = moment.has(Stage::Activated) && !moment.has(Stage::Moved);
    if end == MigrationEnd::Succeeded && has_not_moved {
        return None;
    }
    let is_due = now.saturating_sub(ended) >= SETTLED_WITHIN;
    (is_due && !network.is_all(network.at_home)).then(|| {
        let message = format!(
            "{} of {} ports",
            network.ports - network.at_home,
            network.ports
        );
        (Cause::PortElsewhere, message)
    })
}

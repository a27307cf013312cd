//! What the southbound database says of each chassis: an immutable snapshot, looked up by the
//! chassis' name or its host's. The caller passes the time at which lag is evaluated.

use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use ovsdb::Uuid;
use rpds::{HashTrieMapSync, RedBlackTreeSetSync};

use crate::decide::checks::{Check, CheckSet};
use crate::decide::version::Version;
use crate::domain::{ChassisIdentity, ChassisRow, Southbound};
use crate::ovn::lag::{Clock, NbCfgHistory, Restart, Standstill};
use crate::ovn::locality::Locality;
use crate::sharded::ShardedMap;

/// After this time a restart of a chassis no longer counts: an ovn-controller that fails does so
/// every few minutes. One that ends in order takes its row along, and so has flapped as well.
pub const SETTLED: Duration = Duration::from_mins(10);

/// How fast a chassis answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// The last time.
    pub last: Duration,
    /// The mean, in which older times count for less and less.
    pub mean: Duration,
}

impl Response {
    /// With one more time, of which the mean takes a quarter.
    pub(super) fn then(before: Option<Self>, last: Duration) -> Self {
        let mean = before.map_or(last, |before| (before.mean * 3 + last) / 4);
        Self { last, mean }
    }
}

/// How far a chassis is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// For how long, while berth could see it.
    pub time: Duration,
    /// It fell behind together with all others, and nothing follows from it.
    pub is_held: bool,
}

/// A chassis, as its rows say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chassis {
    pub(super) row: Uuid,
    /// The host that it says it is on.
    pub hostname: Arc<str>,
    /// It is of another availability zone, which OVN's interconnection made it known from: no port of
    /// this zone is bound there.
    pub remote: bool,
    /// It has an address for tunnels.
    pub tunnel: bool,
    /// What it answered last.
    pub nb_cfg: Option<i64>,
    /// Lag before this time does not count.
    pub(super) since: Duration,
    pub(super) response: Option<Response>,
    /// When it was last seen to come back from something.
    pub(super) flapped: Option<Duration>,
}

impl Chassis {
    /// The id of its row.
    #[must_use]
    pub const fn row(&self) -> Uuid {
        self.row
    }

    /// What it answered last, where it is of this zone and ever did.
    pub(super) fn answer(&self) -> Option<i64> {
        self.nb_cfg.filter(|nb_cfg| *nb_cfg > 0 && !self.remote)
    }
}

/// An immutable snapshot of every chassis. Only a [`ChassisIndex`](super::ChassisIndex) makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChassisView {
    pub(super) chassis: ShardedMap<Chassis>,
    /// The names of the chassis that say they are on a host.
    pub(super) hosts: HashTrieMapSync<Arc<str>, RedBlackTreeSetSync<Arc<str>>, RandomState>,
    /// How many hosts more than one chassis says it is on.
    pub(super) contested: usize,
    pub(super) history: NbCfgHistory,
    pub(super) clock: Clock,
    pub(super) restart: Restart,
    pub(super) standstill: Option<Standstill>,
    /// `SB_Global.options:enable_chassis_nb_cfg_update` is false: no chassis answers.
    pub updates_off: bool,
    /// The release of northd (`SB_Global.options:northd_internal_version`, which begins with it).
    pub northd: Option<Version>,
    /// What can be judged: the database was seen, and has the columns for it.
    pub judged: CheckSet,
    /// Where logical networks are local.
    pub locality: Locality,
}

impl ChassisView {
    /// What the database says of the chassis that a node claims. What it has no columns for speaks
    /// against no chassis.
    #[must_use]
    pub fn southbound(&self, node: &str, chassis: &str, now: Instant) -> Southbound {
        let Some(chassis) = self.chassis(chassis) else {
            return if self.judged.contains(Check::ChassisNotRegistered) {
                Southbound::NoChassis
            } else {
                Southbound::Unknown
            };
        };
        let lag = self.lag(chassis, now);
        Southbound::Chassis(ChassisRow {
            identity: if self.judged.contains(Check::ChassisIdentity) {
                self.identity(node, chassis)
            } else {
                ChassisIdentity::Own
            },
            has_tunnel: chassis.tunnel || !self.judged.contains(Check::ChassisNoTunnel),
            behind: lag.map(|lag| lag.time),
            is_held: lag.is_some_and(|lag| lag.is_held),
            seen_for: self.seen_for(chassis, now),
        })
    }

    fn identity(&self, node: &str, chassis: &Chassis) -> ChassisIdentity {
        if chassis.remote {
            return ChassisIdentity::Remote;
        }
        if *chassis.hostname != *node {
            return ChassisIdentity::OtherHost;
        }
        match self.rival_of(node, chassis) {
            None => ChassisIdentity::Own,
            Some(rival) if rival.remote => ChassisIdentity::RemoteRival,
            Some(_) => ChassisIdentity::Rival,
        }
    }

    /// The chassis of this name.
    #[must_use]
    pub fn chassis(&self, name: &str) -> Option<&Chassis> {
        self.chassis.get(name)
    }

    /// All chassis with their names, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Chassis)> {
        self.chassis.iter()
    }

    /// How many chassis there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.chassis.len()
    }

    /// The names of the chassis that say they are on a host, in order.
    pub fn on_host(&self, hostname: &str) -> impl Iterator<Item = &str> {
        let names = self.hosts.get(hostname).into_iter();
        names.flat_map(|names| names.iter().map(AsRef::as_ref))
    }

    /// A chassis that OVN may find in the place of this one when it looks for it by the name of its
    /// host, as it does for `requested-chassis`: any other of this zone, and of the remote ones those
    /// whose row comes before. OVN takes the first row of a hostname, in the order of row ids.
    fn rival_of(&self, hostname: &str, chassis: &Chassis) -> Option<&Chassis> {
        if self.contested == 0 {
            return None;
        }
        let others = self.on_host(hostname).filter_map(|name| self.chassis(name));
        let rivals = others
            .filter(|other| other.row != chassis.row && (!other.remote || other.row < chassis.row));
        rivals.min_by_key(|rival| rival.remote)
    }

    /// Whether chassis report how far they are: the database has the columns for it, and OVN is not
    /// told to leave it (`enable_chassis_nb_cfg_update`).
    #[must_use]
    pub fn reports_lag(&self) -> bool {
        self.judged.contains(Check::ChassisNotResponding) && !self.updates_off
    }

    /// How long a chassis is behind, while berth could see it; `None` where it is not, or where
    /// nothing is known of it.
    #[must_use]
    pub fn lag(&self, chassis: &Chassis, now: Instant) -> Option<Lag> {
        if !self.reports_lag() {
            return None;
        }
        let since = self.behind_since(chassis)?;
        Some(Lag {
            time: self.clock.at(now).saturating_sub(since),
            is_held: self.standstill.is_some_and(|all| since >= all.from),
        })
    }

    /// Whether every chassis that ever answered is behind for longer than is allowed and fell behind
    /// within that time, so that what was judged of each by its lag before stays.
    #[must_use]
    pub fn is_at_standstill(&self, now: Instant) -> bool {
        self.reports_lag()
            && self
                .standstill
                .is_some_and(|all| self.clock.at(now) > all.over)
    }

    /// Since when a chassis is behind, on the clock.
    pub(super) fn behind_since(&self, chassis: &Chassis) -> Option<Duration> {
        let asked = self.history.first_after(chassis.nb_cfg)?;
        Some(self.restart.apply(asked.at.max(chassis.since)))
    }

    /// How fast a chassis answers, where it was seen to and still does.
    #[must_use]
    pub fn response(&self, chassis: &Chassis) -> Option<Response> {
        chassis.response.filter(|_| self.reports_lag())
    }

    /// For how long a chassis was seen, while berth could see it; since it came, or came back.
    #[must_use]
    pub fn seen_for(&self, chassis: &Chassis, now: Instant) -> Duration {
        self.clock.at(now).saturating_sub(chassis.since)
    }

    /// For how long a chassis has neither gone and come back, nor begun again, nor answered late;
    /// [`SETTLED`] where that is longer ago, or never was.
    #[must_use]
    pub fn steady_for(&self, chassis: &Chassis, now: Instant) -> Duration {
        let since = chassis.flapped;
        let steady = since.map(|since| self.clock.at(now).saturating_sub(since));
        steady.map_or(SETTLED, |steady| steady.min(SETTLED))
    }

    /// What OVN asked last of every chassis.
    #[must_use]
    pub fn nb_cfg(&self) -> Option<i64> {
        self.history.current()
    }
}

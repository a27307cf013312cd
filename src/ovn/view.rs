//! What the southbound database says of each chassis: an immutable snapshot, looked up by the
//! chassis' name or its host's, and judged by the clock of whoever asks.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;
use rpds::{HashTrieMapSync, RedBlackTreeSetSync};

use crate::ovn::lag::{Bumps, Clock, Restart, Standstill};
use crate::ovn::locality::Locality;
use crate::ovn::value::Uuid;
use crate::table::Table;

/// After this time nobody remembers that a chassis came and went: an ovn-controller that fails does so
/// every few minutes. One that ends in order takes its row along, and so has flapped as well.
pub const SETTLED: Duration = Duration::from_mins(10);

/// What can be wrong with a node's chassis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Problem {
    /// There is no chassis of that name.
    NotRegistered,
    /// The chassis is of another availability zone or names another host, or OVN may find another
    /// chassis under this host's name.
    Identity,
    /// The chassis has no address for tunnels.
    Tunnel,
    /// The chassis is behind what OVN asked of all of them for too long.
    Unresponsive,
}

impl Problem {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::NotRegistered,
        Self::Identity,
        Self::Tunnel,
        Self::Unresponsive,
    ];

    /// The name in metric labels and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotRegistered => "not_registered",
            Self::Identity => "identity",
            Self::Tunnel => "tunnel",
            Self::Unresponsive => "unresponsive",
        }
    }
}

/// A set of problems.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Problems(u8);

impl Problems {
    /// All of them.
    #[must_use]
    pub fn all() -> Self {
        Problem::ALL.into_iter().collect()
    }

    /// Whether a problem is in the set.
    #[must_use]
    pub const fn contains(self, problem: Problem) -> bool {
        self.0 & (1 << problem as u8) != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All in the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Problem> {
        let all = Problem::ALL.into_iter();
        all.filter(move |problem| self.contains(*problem))
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        let bits = problems.into_iter().map(|problem| 1 << problem as u8);
        Self(bits.fold(0, |set, bit| set | bit))
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

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
    pub(super) hostname: Arc<str>,
    pub(super) remote: bool,
    pub(super) tunnel: bool,
    pub(super) nb_cfg: Option<i64>,
    /// Since when it may be held against it that it is behind.
    pub(super) since: Duration,
    pub(super) response: Option<Response>,
    /// When it was last seen to come back from something.
    pub(super) flapped: Option<Duration>,
}

impl Chassis {
    /// The host that it says it is on.
    #[must_use]
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// It is of another availability zone, which OVN's interconnection made it known from: no port of
    /// this zone is bound there.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        self.remote
    }

    /// It has an address for tunnels.
    #[must_use]
    pub const fn has_tunnel(&self) -> bool {
        self.tunnel
    }

    /// What it answered last.
    #[must_use]
    pub const fn nb_cfg(&self) -> Option<i64> {
        self.nb_cfg
    }

    /// What it answered last, where it is of this zone and ever did.
    pub(super) fn answer(&self) -> Option<i64> {
        self.nb_cfg.filter(|nb_cfg| *nb_cfg > 0 && !self.remote)
    }
}

/// An immutable snapshot of every chassis. Only a [`ChassisIndex`](super::ChassisIndex) makes one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChassisView {
    pub(super) chassis: Table<Chassis>,
    /// The names of the chassis that say they are on a host.
    pub(super) hosts: HashTrieMapSync<Arc<str>, RedBlackTreeSetSync<Arc<str>>, RandomState>,
    /// How many hosts more than one chassis says it is on.
    pub(super) contested: usize,
    pub(super) bumps: Bumps,
    pub(super) clock: Clock,
    pub(super) restart: Restart,
    pub(super) standstill: Option<Standstill>,
    /// `SB_Global.options:enable_chassis_nb_cfg_update` is false: no chassis answers.
    pub(super) updates_off: bool,
    /// What the database has the columns for, once it was seen.
    pub(super) judged: Problems,
    pub(super) locality: Locality,
}

impl ChassisView {
    /// The same with this of where networks are local.
    #[must_use]
    pub(super) fn with_locality(self, locality: Locality) -> Self {
        Self { locality, ..self }
    }

    /// What is wrong with the chassis that a node claims, where the database tells.
    #[must_use]
    pub fn judge(
        &self,
        node: &str,
        chassis: &str,
        now: Instant,
        allowed_lag: Duration,
    ) -> Problems {
        let entry = self.chassis(chassis);
        let holds = |problem| match problem {
            Problem::NotRegistered => entry.is_none(),
            Problem::Identity => entry.is_some_and(|entry| {
                entry.is_remote()
                    || entry.hostname() != node
                    || self.rival_of(node, entry).is_some()
            }),
            Problem::Tunnel => entry.is_some_and(|entry| !entry.has_tunnel()),
            Problem::Unresponsive => {
                let lag = entry.and_then(|entry| self.lag(entry, now));
                lag.is_some_and(|lag| lag.time > allowed_lag && !lag.is_held)
            }
        };
        let judged = self.judged.iter();
        judged.filter(|problem| holds(*problem)).collect()
    }

    /// What can be judged: the database was seen, and has the columns for it.
    #[must_use]
    pub const fn judged(&self) -> Problems {
        self.judged
    }

    /// The chassis of this name.
    #[must_use]
    pub fn chassis(&self, name: &str) -> Option<&Chassis> {
        self.chassis.get(name)
    }

    /// The chassis of some names, looked up together, which is faster than one after the other.
    #[must_use]
    pub fn chassis_of<const N: usize>(&self, names: &[&str; N]) -> [Option<&Chassis>; N] {
        self.chassis.get_each(names)
    }

    /// All chassis with their names, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Chassis)> {
        self.chassis.iter()
    }

    /// How many chassis there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.chassis.iter().count()
    }

    /// The names of the chassis that say they are on a host, in order.
    pub fn on_host(&self, hostname: &str) -> impl Iterator<Item = &str> {
        let names = self.hosts.get(hostname).into_iter();
        names.flat_map(|names| names.iter().map(AsRef::as_ref))
    }

    /// A chassis that OVN may find in the place of this one when it looks for it by the name of its
    /// host, as it does for `requested-chassis`: any other of this zone, and of the remote ones those
    /// whose row comes before. OVN takes the first row of a hostname, in the order of row ids.
    #[must_use]
    pub fn rival_of(&self, hostname: &str, chassis: &Chassis) -> Option<&Chassis> {
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
    pub const fn reports_lag(&self) -> bool {
        self.judged.contains(Problem::Unresponsive) && !self.updates_off
    }

    /// Whether OVN is told that no chassis is to report how far it is.
    #[must_use]
    pub const fn updates_are_off(&self) -> bool {
        self.updates_off
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
        let asked = self.bumps.first_after(chassis.nb_cfg)?;
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

    /// Where logical networks are local.
    #[must_use]
    pub const fn locality(&self) -> &Locality {
        &self.locality
    }

    /// What OVN asked last of every chassis.
    #[must_use]
    pub fn nb_cfg(&self) -> Option<i64> {
        self.bumps.current()
    }
}

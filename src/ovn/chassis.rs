//! Builds views of the chassis from changes of four tables. The cost of an update depends only on what
//! changed.

mod gone;
mod rows;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ovsdb::{Change, Datum, Missing, MonitorColumns, Row, Uuid};

use crate::decide::checks::{Check, CheckSet};
use crate::ovn::lag::{Answers, Bump, Restart};
use crate::ovn::view::{Chassis, ChassisView, Response};

use gone::Gone;
use rows::{Global, PrivateRow, RawChassis};

/// What there is to know of chassis in the southbound database.
pub const WANTED: [MonitorColumns; 4] = [
    MonitorColumns {
        table: SB_GLOBAL,
        columns: &[
            "nb_cfg",
            "options:enable_chassis_nb_cfg_update,northd_internal_version",
        ],
    },
    MonitorColumns {
        table: CHASSIS,
        columns: &["name", "hostname", "encaps", "other_config"],
    },
    MonitorColumns {
        table: CHASSIS_PRIVATE,
        columns: &["name", "nb_cfg"],
    },
    MonitorColumns {
        table: ENCAP,
        columns: &["ip"],
    },
];

const SB_GLOBAL: &str = "SB_Global";
const CHASSIS: &str = "Chassis";
const CHASSIS_PRIVATE: &str = "Chassis_Private";
const ENCAP: &str = "Encap";

/// What can't be judged without a column. Without `Encap.ip`, `Chassis.other_config` or
/// `SB_Global.options` everything can be, a little less well.
const NEEDED: [(&str, &str, &[Check]); 6] = [
    (CHASSIS, "name", &JUDGED),
    (CHASSIS, "hostname", &[Check::ChassisIdentity]),
    (CHASSIS, "encaps", &[Check::ChassisNoTunnel]),
    (SB_GLOBAL, "nb_cfg", &[Check::ChassisNotResponding]),
    (CHASSIS_PRIVATE, "name", &[Check::ChassisNotResponding]),
    (CHASSIS_PRIVATE, "nb_cfg", &[Check::ChassisNotResponding]),
];

/// The checks that a database with all columns has the facts for.
const JUDGED: [Check; 4] = [
    Check::ChassisNotRegistered,
    Check::ChassisIdentity,
    Check::ChassisNoTunnel,
    Check::ChassisNotResponding,
];

/// What is missing in a database keeps from being judged.
#[must_use]
pub fn not_judged(missing: &[Missing]) -> CheckSet {
    let is_missing = |table: &str, column: &str| {
        missing.iter().any(|missing| {
            missing.table == table && missing.column.is_none_or(|name| name == column)
        })
    };
    let lost = NEEDED.iter();
    let lost = lost.filter(|(table, column, _)| is_missing(table, column));
    lost.flat_map(|(_, _, checks)| checks.iter().copied())
        .collect()
}

/// Builds views from changes of rows.
#[derive(Debug)]
pub struct ChassisIndex {
    /// A chassis that responds later than this has flapped.
    allowed_lag: Duration,
    view: ChassisView,
    globals: HashMap<Uuid, Global>,
    chassis: HashMap<Uuid, RawChassis>,
    private: HashMap<Uuid, PrivateRow>,
    /// Whether each encap has an address.
    encaps: HashMap<Uuid, bool>,
    /// The chassis rows of each encap: normally one, but the schema does not enforce it.
    users: HashMap<Uuid, BTreeSet<Uuid>>,
    /// The rows of each name: one of each table, except while another row takes the name over.
    rows_of: HashMap<Arc<str>, Rows>,
    answers: Answers,
    gone: Gone,
}

#[derive(Debug, Default)]
struct Rows {
    chassis: BTreeSet<Uuid>,
    private: BTreeSet<Uuid>,
}

impl ChassisIndex {
    /// Of a database that nothing is known of yet.
    #[must_use]
    pub fn new(allowed_lag: Duration) -> Self {
        Self {
            allowed_lag,
            view: ChassisView::default(),
            globals: HashMap::new(),
            chassis: HashMap::new(),
            private: HashMap::new(),
            encaps: HashMap::new(),
            users: HashMap::new(),
            rows_of: HashMap::new(),
            answers: Answers::default(),
            gone: Gone::default(),
        }
    }

    /// The view as it is now.
    #[must_use]
    pub fn view(&self) -> ChassisView {
        self.view.clone()
    }

    /// The replica is what is in the database: this is different from before, and that the database
    /// does not have. Lags are timed from here on.
    pub fn synced(&mut self, changes: &[Change], missing: &[Missing], now: Instant) {
        self.view.clock.start(now);
        let lost = not_judged(missing);
        let judged = JUDGED.into_iter();
        self.view.judged = judged.filter(|check| !lost.contains(*check)).collect();
        self.apply(changes, now, false);
    }

    /// Applies changes of the database. Whether any of them concerns chassis.
    pub fn changed(&mut self, changes: &[Change], now: Instant) -> bool {
        self.apply(changes, now, true)
    }

    /// Nothing is seen of the database any more. Lags stand still until it is.
    pub fn lost(&mut self, now: Instant) {
        self.view.clock.stop(now);
    }

    fn apply(&mut self, changes: &[Change], now: Instant, live: bool) -> bool {
        let at = self.view.clock.at(now);
        let stood_still = self.view.standstill.filter(|all| at > all.over);
        let mut touched = HashSet::new();
        let mut global = false;
        let mut any = false;
        for Change { table, id, row } in changes {
            let row = row.as_ref();
            match *table {
                SB_GLOBAL => {
                    global = true;
                    match row {
                        Some(row) => self.globals.insert(*id, Global::read(row)),
                        None => self.globals.remove(id),
                    };
                }
                CHASSIS => self.put_chassis(*id, row, &mut touched),
                CHASSIS_PRIVATE => self.put_private(*id, row, &mut touched),
                ENCAP => self.put_encap(*id, row, &mut touched),
                _ => continue,
            }
            any = true;
        }
        if global {
            self.see_global(at, live);
        }
        if let Some(all) = stood_still
            && touched.iter().any(|name| self.has_answered(name))
        {
            // It goes on, and each of the others has as long as it has at any question.
            let restart = Restart {
                from: all.from,
                to: at,
            };
            self.view.restart = self.view.restart.then(restart);
        }
        for name in touched {
            self.refresh(&name, at, live);
        }
        let ChassisView {
            history, restart, ..
        } = &self.view;
        self.view.standstill = self.answers.standstill(history, *restart, self.allowed_lag);
        any
    }

    fn see_global(&mut self, at: Duration, live: bool) {
        match self.globals.values().filter_map(|row| row.nb_cfg).max() {
            Some(nb_cfg) => self.view.history.see(nb_cfg, Bump { at, live }),
            None => self.view.history.clear(),
        }
        self.view.northd = self.globals.values().find_map(|row| row.northd);
        let off = self.globals.values().any(|row| row.updates_off);
        if std::mem::replace(&mut self.view.updates_off, off) && !off {
            self.view.restart = Restart {
                from: Duration::ZERO,
                to: at,
            };
        }
    }

    fn put_chassis(&mut self, id: Uuid, row: Option<&Row>, touched: &mut HashSet<Arc<str>>) {
        if let Some(old) = self.chassis.remove(&id) {
            self.edit_rows(&old.name, |rows| rows.chassis.remove(&id));
            for encap in &old.encaps {
                if let Some(users) = self.users.get_mut(encap) {
                    users.remove(&id);
                    if users.is_empty() {
                        self.users.remove(encap);
                    }
                }
            }
            touched.insert(old.name);
        }
        if let Some(new) = row.and_then(RawChassis::read) {
            self.edit_rows(&new.name, |rows| rows.chassis.insert(id));
            for encap in &new.encaps {
                self.users.entry(*encap).or_default().insert(id);
            }
            touched.insert(Arc::clone(&new.name));
            self.chassis.insert(id, new);
        }
    }

    fn put_private(&mut self, id: Uuid, row: Option<&Row>, touched: &mut HashSet<Arc<str>>) {
        if let Some(old) = self.private.remove(&id) {
            self.edit_rows(&old.name, |rows| rows.private.remove(&id));
            touched.insert(old.name);
        }
        if let Some(new) = row.and_then(PrivateRow::read) {
            self.edit_rows(&new.name, |rows| rows.private.insert(id));
            touched.insert(Arc::clone(&new.name));
            self.private.insert(id, new);
        }
    }

    fn put_encap(&mut self, id: Uuid, row: Option<&Row>, touched: &mut HashSet<Arc<str>>) {
        match row {
            Some(row) => {
                let ip = row.get("ip").and_then(Datum::text);
                self.encaps.insert(id, ip != Some(""))
            }
            None => self.encaps.remove(&id),
        };
        let users = self.users.get(&id).into_iter().flatten();
        let names = users.filter_map(|id| Some(Arc::clone(&self.chassis.get(id)?.name)));
        touched.extend(names);
    }

    fn edit_rows(&mut self, name: &Arc<str>, edit: impl FnOnce(&mut Rows) -> bool) {
        let rows = self.rows_of.entry(Arc::clone(name)).or_default();
        edit(rows);
        if rows.chassis.is_empty() && rows.private.is_empty() {
            self.rows_of.remove(name);
        }
    }

    /// Makes a chassis of the rows of its name.
    fn refresh(&mut self, name: &Arc<str>, at: Duration, live: bool) {
        let old = self.view.chassis.get(name).cloned();
        let mut new = self.chassis_of(name, old.as_ref(), at, live);
        match &mut new {
            Some(new) if old.is_none() && self.gone.came_back(name, at) => new.flapped = Some(at),
            None if old.is_some() => self.gone.removed(name, at),
            Some(_) | None => {}
        }
        if let Some(old) = &old
            && new.as_ref().is_none_or(|new| new.hostname != old.hostname)
        {
            self.set_claim(&old.hostname, name, false);
        }
        if let Some(answer) = old.as_ref().and_then(Chassis::answer) {
            self.answers.remove(answer);
        }
        let Some(new) = new else {
            self.view.chassis.remove(name);
            return;
        };
        if let Some(answer) = new.answer() {
            self.answers.add(answer);
        }
        self.set_claim(&new.hostname, name, true);
        self.view.chassis.insert(name, new);
    }

    fn chassis_of(
        &self,
        name: &Arc<str>,
        old: Option<&Chassis>,
        at: Duration,
        live: bool,
    ) -> Option<Chassis> {
        let rows = self.rows_of.get(name)?;
        let id = *rows.chassis.first()?;
        let row = self.chassis.get(&id)?;
        let nb_cfg = self.nb_cfg_of(rows);
        // A chassis that came back, or that begins again, has all the time that a new one has.
        let same = old.filter(|old| old.row == id && old.nb_cfg <= nb_cfg);
        let response = old.and_then(|old| old.response);
        let answered = nb_cfg.filter(|nb_cfg| {
            live && self.view.reports_lag()
                && same.is_some_and(|same| same.nb_cfg.is_some() && same.nb_cfg < Some(*nb_cfg))
        });
        let asked = answered.and_then(|nb_cfg| self.view.history.first_from(nb_cfg));
        // How long the answer took says nothing where no chassis could answer for a while.
        let asked = asked.filter(|asked| asked.live && asked.at >= self.view.restart.to);
        let behind = answered.and_then(|_| {
            let since = self.view.behind_since(same?)?;
            Some(at.saturating_sub(since))
        });
        let begins_again = old.is_some() && same.is_none();
        let was_away = behind.is_some_and(|behind| behind > self.allowed_lag);
        let has_address = |id: &Uuid| self.encaps.get(id).copied().unwrap_or_default();
        Some(Chassis {
            row: id,
            hostname: Arc::clone(&row.hostname),
            remote: row.remote,
            tunnel: row.encaps.iter().any(has_address),
            nb_cfg,
            since: same.map_or(at, |same| same.since),
            response: match asked {
                Some(asked) => Some(Response::then(response, at.saturating_sub(asked.at))),
                None => response,
            },
            flapped: if begins_again || was_away {
                Some(at)
            } else {
                old.and_then(|old| old.flapped)
            },
        })
    }

    fn nb_cfg_of(&self, rows: &Rows) -> Option<i64> {
        let private = rows.private.iter();
        let values = private.filter_map(|id| Some(self.private.get(id)?.nb_cfg));
        values.max()
    }

    /// Whether its rows answer more than the view knows of yet.
    fn has_answered(&self, name: &Arc<str>) -> bool {
        let rows = self.rows_of.get(name);
        let known = self.view.chassis.get(name).and_then(Chassis::answer);
        let now = rows.and_then(|rows| self.nb_cfg_of(rows));
        now > known.max(Some(0))
    }

    fn set_claim(&mut self, hostname: &Arc<str>, name: &Arc<str>, claims: bool) {
        let mut names = self.view.hosts.get(hostname).cloned().unwrap_or_default();
        self.view.contested -= usize::from(names.size() > 1);
        if claims {
            names.insert_mut(Arc::clone(name));
        } else {
            names.remove_mut(name);
        }
        self.view.contested += usize::from(names.size() > 1);
        if names.is_empty() {
            self.view.hosts.remove_mut(hostname);
        } else {
            self.view.hosts.insert_mut(Arc::clone(hostname), names);
        }
    }
}

#[cfg(test)]
mod tests;

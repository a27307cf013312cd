//! The conversation with a server whose tables are followed, from the first request to the changes:
//! messages in, messages and changes out. It outlives its connections, so that the next one resumes
//! where the last one ended.
//!
//! A server is first asked about itself and left if it is unfit, then for its schema, and then for
//! those of the wanted tables and columns that the schema has: by `monitor_cond_since`, or where that
//! is refused by `monitor_cond`, or by `monitor`, which every server knows. A large table is asked for
//! by itself, after the others, so that no reply has to hold everything.

mod stage;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::error::{Error, ErrorKind};
use crate::rpc::{self, Message};
use crate::schema::{Missing, MonitorPlan, MonitorSpec, Schema};
use crate::server_status::{self, Demand, ServerStatus};
use crate::table_cache::{Change, Row, TableCache, UpdateFormat};
use crate::uuid::Uuid;
use crate::value::Datum;

use stage::{Method, Stage};

/// The monitor of what the server says about itself. Those of the followed tables are numbered.
const STATUS_MONITOR: &str = "status";

/// What a server may say about itself, in bytes: a row and a schema for each of its databases.
const STATUS_LIMIT: usize = 8 << 20;

/// What a message leads to.
#[derive(Debug, Default, PartialEq)]
pub struct Received {
    /// A message to be sent.
    pub send: Option<Vec<u8>>,
    /// What is new in the tables.
    pub event: Option<SessionEvent>,
    /// The server has answered a request, and so is there.
    pub answered: bool,
}

/// What is new in the tables.
#[derive(Debug, PartialEq)]
pub enum SessionEvent {
    /// The cache is what is in the database now, and stays so.
    Synced {
        /// What is different from what it was before.
        changes: Vec<Change>,
        /// The server had only to send what changed since the last connection.
        resumed: bool,
    },
    /// The database has changed.
    Changed(Vec<Change>),
}

/// A conversation, and what was learned in it and in those before it.
#[derive(Debug)]
pub struct Session {
    spec: MonitorSpec,
    stage: Stage,
    last_id: u64,
    /// The request whose reply moves the conversation on.
    awaited: u64,
    /// The last echo.
    echo: u64,
    about: TableCache,
    status: ServerStatus,
    cache: TableCache,
    /// The last transaction that the cache has, by group, where the server says.
    last_transactions: Vec<Option<Uuid>>,
    /// All groups so far had only to send what changed.
    resumed: bool,
    /// What has changed since the last event, until all groups are there.
    pending: BTreeMap<(&'static str, Uuid), Change>,
}

impl Session {
    /// A conversation that has not begun.
    #[must_use]
    pub fn new(spec: MonitorSpec) -> Self {
        Self {
            spec,
            stage: Stage::StatusSchema,
            last_id: 0,
            awaited: 0,
            echo: 0,
            about: TableCache::with_limit(STATUS_LIMIT),
            status: ServerStatus::default(),
            cache: TableCache::with_limit(spec.limit),
            last_transactions: vec![None; spec.groups()],
            resumed: true,
            pending: BTreeMap::new(),
        }
    }

    /// Begins again on a new connection. Returns the first message to send.
    pub fn begin(&mut self) -> Vec<u8> {
        self.about = TableCache::with_limit(STATUS_LIMIT);
        let params = json!([server_status::DATABASE]);
        self.ask(Stage::StatusSchema, "get_schema", &params)
    }

    /// What is followed.
    #[must_use]
    pub const fn spec(&self) -> MonitorSpec {
        self.spec
    }

    /// Whether the cache is what is in the database.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.stage == Stage::Synced
    }

    /// What is known of the database.
    #[must_use]
    pub const fn cache(&self) -> &TableCache {
        &self.cache
    }

    /// What the database does not have.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.cache.planned().missing
    }

    /// Where the server stands that is followed, or was last.
    #[must_use]
    pub const fn status(&self) -> ServerStatus {
        self.status
    }

    /// A request that shows by its answer that the server is there.
    pub fn echo(&mut self) -> Vec<u8> {
        self.last_id += 1;
        self.echo = self.last_id;
        rpc::request(self.last_id, "echo", &json!(["ovsdb"]))
    }

    /// Takes a message of the server.
    ///
    /// # Errors
    /// The conversation can't go on, and the connection is of no use.
    pub fn receive(&mut self, message: &[u8]) -> Result<Received, Error> {
        let mut received = Received::default();
        match Message::parse(message)? {
            Message::Request { method, params, id } => {
                received.send = Some(rpc::answer(&method, params, id)?);
            }
            Message::Notification { method, params } => {
                received.event = self.notified(&method, params)?;
            }
            Message::Reply { id, outcome } => {
                let id: Option<u64> = id.get().parse().ok();
                let awaits = id == Some(self.awaited);
                received.answered = awaits || id == Some(self.echo);
                if awaits {
                    self.replied(outcome, &mut received)?;
                }
            }
        }
        Ok(received)
    }

    fn ask(&mut self, stage: Stage, method: &str, params: &Value) -> Vec<u8> {
        self.stage = stage;
        self.last_id += 1;
        self.awaited = self.last_id;
        rpc::request(self.last_id, method, params)
    }

    fn notified(&mut self, method: &str, params: &RawValue) -> Result<Option<SessionEvent>, Error> {
        let (monitor, last, updates, format): (_, _, &RawValue, _) = match method {
            "update" | "update2" => {
                let (monitor, updates) = read("params of", method, params)?;
                let format = if method == "update" {
                    UpdateFormat::V1
                } else {
                    UpdateFormat::V2
                };
                (monitor, None, updates, format)
            }
            "update3" => {
                let (monitor, last, updates) = read("params of", method, params)?;
                (monitor, transaction(last), updates, UpdateFormat::V2)
            }
            "monitor_canceled" => {
                let (monitor,) = read("params of", method, params)?;
                let message = "the server has taken the database away";
                return match self.group_named(monitor) {
                    Some(_) => Err(Error::new(ErrorKind::Unfit, message)),
                    None => Ok(None),
                };
            }
            // `locked`, `stolen`, or what a later server may send.
            _ => return Ok(None),
        };
        let Some(group) = self.group_named(monitor) else {
            if name_of(monitor) == Some(STATUS_MONITOR) {
                self.about.update(format, updates.get())?;
                self.judge()?;
            }
            return Ok(None);
        };
        let changes = self.cache.update(format, updates.get());
        let changes = changes.inspect_err(|_| self.forget_transactions())?;
        if format == UpdateFormat::V2 {
            self.last_transactions[group] = last;
        }
        if !self.is_synced() {
            self.keep_for_later(changes);
            return Ok(None);
        }
        Ok((!changes.is_empty()).then_some(SessionEvent::Changed(changes)))
    }

    fn keep_for_later(&mut self, changes: Vec<Change>) {
        let changes = changes.into_iter();
        let changes = changes.map(|change| ((change.table, change.id), change));
        self.pending.extend(changes);
    }

    /// The group that a monitor is of.
    fn group_named(&self, monitor: &RawValue) -> Option<usize> {
        let group = name_of(monitor)?.parse().ok()?;
        (group < self.spec.groups()).then_some(group)
    }

    fn replied(
        &mut self,
        outcome: Result<&RawValue, &RawValue>,
        received: &mut Received,
    ) -> Result<(), Error> {
        let refused = |method, error| Err(Error::refused(method, &rpc::words(error)));
        let next = match (self.stage, outcome) {
            (Stage::StatusSchema, Ok(schema)) => {
                let columns = [server_status::COLUMNS];
                let plan = MonitorPlan::new(&columns, &Schema::parse(schema.get())?);
                let requests = plan.requests(|_| true);
                self.about.plan(plan);
                let params = json!([server_status::DATABASE, STATUS_MONITOR, requests]);
                self.ask(Stage::Status, Method::MonitorCond.name(), &params)
            }
            // A server from before there was anything to ask it about itself.
            (Stage::StatusSchema, Err(_)) => self.ask_for_schema(),
            (Stage::Status, Ok(updates)) => {
                self.about.replace(UpdateFormat::V2, updates.get())?;
                self.judge()?;
                self.ask_for_schema()
            }
            (Stage::Schema, Ok(schema)) => {
                let wanted = [self.spec.tables, self.spec.large_tables].concat();
                let plan = MonitorPlan::new(&wanted, &Schema::parse(schema.get())?);
                if !self.cache.plan(plan) {
                    self.forget_transactions();
                }
                self.resumed = true;
                self.ask_for_tables(Method::MonitorCondSince, 0)
            }
            (Stage::Monitor(method, group), Ok(result)) => {
                let changes = self.read_group(method, group, result)?;
                self.keep_for_later(changes);
                if let Some(next) = self.group_after(group) {
                    self.ask_for_tables(method, next)
                } else {
                    self.stage = Stage::Synced;
                    let changes = std::mem::take(&mut self.pending);
                    received.event = Some(SessionEvent::Synced {
                        changes: changes.into_values().collect(),
                        resumed: self.resumed,
                    });
                    return Ok(());
                }
            }
            (Stage::Monitor(method, group), Err(error)) => match method.fallback() {
                Some(method) => self.ask_for_tables(method, group),
                None => return refused(method.name(), error),
            },
            (Stage::Status, Err(error)) => return refused(Method::MonitorCond.name(), error),
            (Stage::Schema, Err(error)) => return refused("get_schema", error),
            (Stage::Synced, _) => return Ok(()),
        };
        received.send = Some(next);
        Ok(())
    }

    fn ask_for_schema(&mut self) -> Vec<u8> {
        self.ask(Stage::Schema, "get_schema", &json!([self.spec.database]))
    }

    fn ask_for_tables(&mut self, method: Method, group: usize) -> Vec<u8> {
        let spec = self.spec;
        let planned = self.cache.planned();
        let requests = planned.requests(|table| spec.group_of(table) == group);
        let name = group.to_string();
        let last = self.last_transactions[group].unwrap_or(Uuid::ZERO);
        let params = match method {
            Method::MonitorCondSince => json!([spec.database, name, requests, last.to_string()]),
            Method::MonitorCond | Method::Monitor => json!([spec.database, name, requests]),
        };
        self.ask(Stage::Monitor(method, group), method.name(), &params)
    }

    /// The next group of which the database has a table.
    fn group_after(&self, group: usize) -> Option<usize> {
        let tables = self.cache.planned().tables.iter();
        let groups = tables.map(|table| self.spec.group_of(table.name));
        groups.filter(|other| *other > group).min()
    }

    fn read_group(
        &mut self,
        method: Method,
        group: usize,
        result: &RawValue,
    ) -> Result<Vec<Change>, Error> {
        let (found, last, updates) = if method == Method::MonitorCondSince {
            let (found, last, updates) = read("reply to", method.name(), result)?;
            (found, transaction(last), updates)
        } else {
            (false, None, result)
        };
        let format = match method {
            Method::Monitor => UpdateFormat::V1,
            Method::MonitorCondSince | Method::MonitorCond => UpdateFormat::V2,
        };
        let spec = self.spec;
        let changes = if found {
            self.cache.update(format, updates.get())
        } else {
            let selected = |table: &str| spec.group_of(table) == group;
            self.cache.replace_tables(format, selected, updates.get())
        };
        self.last_transactions[group] = last;
        self.resumed &= found;
        changes.inspect_err(|_| self.forget_transactions())
    }

    /// The next server is asked for everything, as after changes that can't be applied.
    fn forget_transactions(&mut self) {
        self.last_transactions.fill(None);
    }

    fn judge(&mut self) -> Result<(), Error> {
        let demand = Demand {
            database: self.spec.database,
            leader_only: self.spec.leader_only,
            last: self.status,
        };
        let rows = self.about.rows(server_status::COLUMNS.table);
        let is_it = |row: &Row| row.get("name").and_then(Datum::text) == Some(demand.database);
        let row = rows.map(|(_, row)| row).find(|row| is_it(row));
        let none = || Error::unfit(format!("it has no database {}", demand.database));
        let row = row.ok_or_else(none)?;
        let status = demand.judge(|name| row.get(name))?;
        // Another cluster has other transactions, and its rows only look the same.
        if status.cluster != self.status.cluster {
            self.forget_transactions();
        }
        self.status = status;
        Ok(())
    }
}

fn read<'a, T: Deserialize<'a>>(part: &str, method: &str, json: &'a RawValue) -> Result<T, Error> {
    serde_json::from_str(json.get())
        .map_err(|_| Error::unreadable(format!("the {part} {method} can't be read")))
}

/// The name of a monitor, where it is one of this client's, which need no escapes.
fn name_of(monitor: &RawValue) -> Option<&str> {
    serde_json::from_str(monitor.get()).ok()
}

/// A transaction to resume after. Servers without a history send zero.
fn transaction(last: &RawValue) -> Option<Uuid> {
    let text: Option<&str> = serde_json::from_str(last.get()).ok();
    let id = text.and_then(Uuid::parse);
    id.filter(|id| *id != Uuid::ZERO)
}

#[cfg(test)]
mod tests;

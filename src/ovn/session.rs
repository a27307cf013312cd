//! The conversation with a database server, from the first question to the changes that follow:
//! messages in, messages and changes out. It outlives its connections, so that the next one goes on
//! where the last one ended.
//!
//! A server is first asked about itself and left if it is unfit, then for its schema, and then for
//! what berth wants to know and the schema has: by `monitor_cond_since`, or where that fails by
//! `monitor_cond`, or by `monitor`, which any server knows. A large table is asked for by itself, after
//! the others, so that no reply has to hold everything.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::ovn::fault::{Cause, Fault};
use crate::ovn::replica::{Change, Replica, ReplicaError, Row};
use crate::ovn::rpc::{self, Message, Notification, RpcError};
use crate::ovn::schema::{Missing, Plan, Schema, SchemaError, Wanted};
use crate::ovn::server::{self, Demand, Standing, Unfit};
use crate::ovn::value::Uuid;

/// The names of the monitors, as they come back in updates: of the tables that are asked for together
/// or, with its number, of one that is asked for by itself, and of the server itself.
const DATA: &str = "berth";
const ABOUT: &str = "berth-server";

/// What a server may say about itself: a row and a schema for each of its databases.
const ABOUT_LIMIT: usize = 8 << 20;

/// The longest request that is answered. Servers ask for nothing but an echo of a few bytes.
const LONGEST_REQUEST: usize = 64 << 10;

/// What is followed, of whatever server.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// The database.
    pub database: &'static str,
    /// The tables and columns that are asked for together, and so never differ by a transaction.
    pub wanted: &'static [Wanted],
    /// Those of which each is asked for by itself, after the others.
    pub large: &'static [Wanted],
    /// Only the leader of a cluster will do.
    pub leader_only: bool,
    /// What may be kept of it, in bytes as [`budget`](crate::ovn::budget) counts them.
    pub limit: usize,
}

impl Subject {
    /// All tables and columns.
    fn all(&self) -> impl Iterator<Item = Wanted> + use<> {
        self.wanted.iter().chain(self.large).copied()
    }

    /// How often the server is asked for tables.
    const fn groups(&self) -> usize {
        1 + self.large.len()
    }

    /// In which of the groups a table is.
    fn group_of(&self, table: &str) -> usize {
        let large = self.large.iter().position(|wanted| wanted.table == table);
        large.map_or(0, |at| at + 1)
    }
}

/// What a message led to.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// To be sent.
    pub send: Option<Vec<u8>>,
    /// To be told.
    pub event: Option<Event>,
    /// The server has answered what it was asked, and so is there.
    pub answered: bool,
}

/// What others want to know.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// The replica is what is in the database now, and will be.
    Synced {
        /// What is different from what it was before, if anything.
        changes: Vec<Change>,
        /// The server had only to send what changed since the last connection.
        resumed: bool,
    },
    /// The database has changed.
    Changed(Vec<Change>),
}

/// Why a conversation can't go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// A message that is none.
    #[error(transparent)]
    Message(#[from] RpcError),
    /// A schema that is none.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Updates that can't be.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// A reply to a monitor request that is none.
    #[error("the reply to {0} can't be read")]
    Reply(&'static str),
    /// The server is no use.
    #[error("the server is left for the next: {0}")]
    Unfit(#[from] Unfit),
    /// The server does not do what it must.
    #[error("the server refuses {method}: {words}")]
    Refused {
        /// What it was asked for.
        method: &'static str,
        /// What it said.
        words: String,
    },
    /// The database went away.
    #[error("the server has taken the database away")]
    Canceled,
    /// A request that no server makes.
    #[error("a request of the server is longer than {LONGEST_REQUEST} bytes")]
    LongRequest,
}

impl From<SessionError> for Fault {
    fn from(error: SessionError) -> Self {
        let cause = match &error {
            SessionError::Replica(ReplicaError::TooLarge(_))
            | SessionError::Schema(SchemaError::TooLarge)
            | SessionError::LongRequest => Cause::TooLarge,
            SessionError::Message(_)
            | SessionError::Schema(_)
            | SessionError::Replica(_)
            | SessionError::Reply(_) => Cause::Unreadable,
            SessionError::Unfit(_) | SessionError::Canceled => Cause::Unfit,
            SessionError::Refused { .. } => Cause::Refused,
        };
        Self::new(cause, error.to_string())
    }
}

/// How far the conversation is: what was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    AboutSchema,
    About,
    Schema,
    /// By a method, for the tables of a group.
    Monitor(Method, usize),
    Synced,
}

/// The ways to ask for tables, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    CondSince,
    Cond,
    Plain,
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::CondSince => "monitor_cond_since",
            Self::Cond => "monitor_cond",
            Self::Plain => "monitor",
        }
    }

    const fn fallback(self) -> Option<Self> {
        match self {
            Self::CondSince => Some(Self::Cond),
            Self::Cond => Some(Self::Plain),
            Self::Plain => None,
        }
    }
}

/// A conversation, and what was learned in it and in those before it.
#[derive(Debug)]
pub struct Session {
    subject: Subject,
    stage: Stage,
    last_id: u64,
    /// The request whose reply moves the conversation on.
    awaited: u64,
    /// The echo that was asked for last.
    echo: u64,
    about: Replica,
    standing: Standing,
    replica: Replica,
    /// The last transaction that the replica knows of, by group, where the server said.
    last_transactions: Vec<Option<Uuid>>,
    /// All groups so far had only to send what changed.
    resumed: bool,
    /// What has changed since it was last told, until all groups are there.
    untold: BTreeMap<(&'static str, Uuid), Option<Row>>,
}

impl Session {
    /// A conversation that was not begun.
    #[must_use]
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            stage: Stage::AboutSchema,
            last_id: 0,
            awaited: 0,
            echo: 0,
            about: Replica::with_limit(ABOUT_LIMIT),
            standing: Standing::default(),
            replica: Replica::with_limit(subject.limit),
            last_transactions: vec![None; subject.groups()],
            resumed: true,
            untold: BTreeMap::new(),
        }
    }

    /// Begins again on a new connection: what to send first.
    pub fn begin(&mut self) -> Vec<u8> {
        self.about = Replica::with_limit(ABOUT_LIMIT);
        self.ask(Stage::AboutSchema, "get_schema", &json!([server::DATABASE]))
    }

    /// What is followed.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        self.subject
    }

    /// The replica is what is in the database.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.stage == Stage::Synced
    }

    /// What is known of the database.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// What the database does not have.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.replica.planned().missing
    }

    /// What the server that is followed, or was last, is.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// A question of which only the answer counts, not what is in it.
    pub fn echo(&mut self) -> Vec<u8> {
        self.last_id += 1;
        self.echo = self.last_id;
        rpc::request(self.last_id, "echo", &json!(["berth"]))
    }

    /// Takes a message.
    pub fn receive(&mut self, message: &[u8]) -> Result<Outcome, SessionError> {
        match Message::parse(message)? {
            Message::Request { method, params, id } => {
                if params.get().len() + id.get().len() > LONGEST_REQUEST {
                    return Err(SessionError::LongRequest);
                }
                Ok(Outcome {
                    send: Some(match method.as_ref() {
                        "echo" => rpc::echo_reply(id, params),
                        _ => rpc::unknown_method(id),
                    }),
                    ..Outcome::default()
                })
            }
            Message::Notification(notification) => self.told(notification),
            Message::Reply { id, outcome } => match id.get().parse::<u64>() {
                Ok(id) if id == self.awaited => Ok(Outcome {
                    answered: true,
                    ..self.answered(outcome)?
                }),
                Ok(id) if id == self.echo => Ok(Outcome {
                    answered: true,
                    ..Outcome::default()
                }),
                _ => Ok(Outcome::default()),
            },
        }
    }

    fn ask(&mut self, stage: Stage, method: &str, params: &Value) -> Vec<u8> {
        self.stage = stage;
        self.last_id += 1;
        self.awaited = self.last_id;
        rpc::request(self.last_id, method, params)
    }

    fn told(&mut self, notification: Notification<'_>) -> Result<Outcome, SessionError> {
        let changes = match notification {
            Notification::Update { monitor, updates } if self.group_named(monitor).is_some() => {
                self.replica.update(updates.get())
            }
            Notification::Update2 { monitor, updates } if self.group_named(monitor).is_some() => {
                self.replica.update2(updates.get())
            }
            Notification::Update3 {
                monitor,
                last,
                updates,
            } => {
                let Some(group) = self.group_named(monitor) else {
                    return Ok(Outcome::default());
                };
                let changes = self.replica.update2(updates.get());
                self.last_transactions[group] = transaction(last);
                changes
            }
            Notification::Update2 { monitor, updates } if name_of(monitor) == ABOUT => {
                self.about.update2(updates.get())?;
                self.judge()?;
                return Ok(Outcome::default());
            }
            Notification::MonitorCanceled { monitor } if self.group_named(monitor).is_some() => {
                return Err(SessionError::Canceled);
            }
            _ => return Ok(Outcome::default()),
        };
        let changes = self.sure_of(changes)?;
        if !self.is_synced() {
            self.tell_later(changes);
            return Ok(Outcome::default());
        }
        Ok(Outcome {
            event: (!changes.is_empty()).then_some(Event::Changed(changes)),
            ..Outcome::default()
        })
    }

    fn tell_later(&mut self, changes: Vec<Change>) {
        let changes = changes.into_iter();
        let changes = changes.map(|Change { table, id, row }| ((table, id), row));
        self.untold.extend(changes);
    }

    /// The group that a monitor is of.
    fn group_named(&self, monitor: &RawValue) -> Option<usize> {
        let name = name_of(monitor);
        (0..self.subject.groups()).find(|group| group_name(*group) == name)
    }

    fn answered(&mut self, outcome: Result<&RawValue, &RawValue>) -> Result<Outcome, SessionError> {
        let refused = |method, error| SessionError::Refused {
            method,
            words: rpc::words(error),
        };
        let next = match (self.stage, outcome) {
            (Stage::AboutSchema, Ok(schema)) => {
                let plan = Plan::new(&server::WANTED, &Schema::parse(schema.get())?);
                let requests = plan.requests(|_| true);
                self.about.plan(plan);
                let params = json!([server::DATABASE, ABOUT, requests]);
                self.ask(Stage::About, Method::Cond.name(), &params)
            }
            // A server from before there was anything to ask it about itself.
            (Stage::AboutSchema, Err(_)) => self.ask_for_schema(),
            (Stage::About, Ok(updates)) => {
                self.about.reset2(updates.get())?;
                self.judge()?;
                self.ask_for_schema()
            }
            (Stage::About, Err(error)) => return Err(refused(Method::Cond.name(), error)),
            (Stage::Schema, Ok(schema)) => {
                let wanted: Vec<_> = self.subject.all().collect();
                let plan = Plan::new(&wanted, &Schema::parse(schema.get())?);
                if !self.replica.plan(plan) {
                    self.begin_all_again();
                }
                self.resumed = true;
                self.ask_for_data(Method::CondSince, 0)
            }
            (Stage::Schema, Err(error)) => return Err(refused("get_schema", error)),
            (Stage::Monitor(method, group), Ok(result)) => {
                let changes = self.read_group(method, group, result)?;
                self.tell_later(changes);
                if let Some(next) = self.group_after(group) {
                    self.ask_for_data(method, next)
                } else {
                    self.stage = Stage::Synced;
                    let changes = std::mem::take(&mut self.untold).into_iter();
                    let changes = changes.map(|((table, id), row)| Change { table, id, row });
                    return Ok(Outcome {
                        event: Some(Event::Synced {
                            changes: changes.collect(),
                            resumed: self.resumed,
                        }),
                        ..Outcome::default()
                    });
                }
            }
            (Stage::Monitor(method, group), Err(error)) => match method.fallback() {
                Some(method) => self.ask_for_data(method, group),
                None => return Err(refused(method.name(), error)),
            },
            (Stage::Synced, _) => return Ok(Outcome::default()),
        };
        Ok(Outcome {
            send: Some(next),
            ..Outcome::default()
        })
    }

    fn ask_for_schema(&mut self) -> Vec<u8> {
        self.ask(Stage::Schema, "get_schema", &json!([self.subject.database]))
    }

    fn ask_for_data(&mut self, method: Method, group: usize) -> Vec<u8> {
        let subject = self.subject;
        let planned = self.replica.planned();
        let requests = planned.requests(|table| subject.group_of(table) == group);
        let name = group_name(group);
        let last = self.last_transactions[group].unwrap_or(Uuid::ZERO);
        let params = match method {
            Method::CondSince => json!([subject.database, name, requests, last.to_string()]),
            Method::Cond | Method::Plain => json!([subject.database, name, requests]),
        };
        self.ask(Stage::Monitor(method, group), method.name(), &params)
    }

    /// The next group of which the database has a table.
    fn group_after(&self, group: usize) -> Option<usize> {
        let planned = || self.replica.planned().tables.iter();
        let has_tables =
            |group: &usize| planned().any(|table| self.subject.group_of(table.name) == *group);
        (group + 1..self.subject.groups()).find(has_tables)
    }

    fn read_group(
        &mut self,
        method: Method,
        group: usize,
        result: &RawValue,
    ) -> Result<Vec<Change>, SessionError> {
        let subject = self.subject;
        let holds = |table: &str| subject.group_of(table) == group;
        let (changes, resumed, last) = match method {
            Method::CondSince => {
                let (found, last, updates): (bool, &RawValue, &RawValue) =
                    serde_json::from_str(result.get())
                        .map_err(|_| SessionError::Reply(method.name()))?;
                let changes = if found {
                    self.replica.update2(updates.get())
                } else {
                    self.replica.reset2_tables(holds, updates.get())
                };
                (changes, found, transaction(last))
            }
            Method::Cond => {
                let changes = self.replica.reset2_tables(holds, result.get());
                (changes, false, None)
            }
            Method::Plain => {
                let changes = self.replica.reset_tables(holds, result.get());
                (changes, false, None)
            }
        };
        self.last_transactions[group] = last;
        self.resumed &= resumed;
        self.sure_of(changes)
    }

    /// Changes that can't be applied leave a replica that can't be gone on with.
    fn sure_of(
        &mut self,
        changes: Result<Vec<Change>, ReplicaError>,
    ) -> Result<Vec<Change>, SessionError> {
        changes.map_err(|error| {
            self.begin_all_again();
            SessionError::Replica(error)
        })
    }

    /// The next server is asked for everything.
    fn begin_all_again(&mut self) {
        self.last_transactions.fill(None);
    }

    fn judge(&mut self) -> Result<(), Unfit> {
        let demand = Demand {
            database: self.subject.database,
            leader_only: self.subject.leader_only,
            last: self.standing,
        };
        let standing = demand.judge(&self.about)?;
        // Another cluster has other transactions, and its rows only look the same.
        if standing.cluster != self.standing.cluster {
            self.begin_all_again();
        }
        self.standing = standing;
        Ok(())
    }
}

fn group_name(group: usize) -> String {
    match group {
        0 => DATA.to_owned(),
        group => format!("{DATA}-{group}"),
    }
}

/// The name of a monitor, where it is one that berth gives.
fn name_of(monitor: &RawValue) -> String {
    let is_short = monitor.get().len() <= 2 * ABOUT.len();
    let name = is_short.then(|| serde_json::from_str(monitor.get()).ok());
    name.flatten().unwrap_or_default()
}

/// A transaction to go on after. Servers without a history say zero.
fn transaction(last: &RawValue) -> Option<Uuid> {
    let text: Option<&str> = serde_json::from_str(last.get()).ok();
    let id = text.and_then(Uuid::parse);
    id.filter(|id| *id != Uuid::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [Wanted; 2] = [
        Wanted {
            table: "T",
            columns: &["name"],
        },
        Wanted {
            table: "U",
            columns: &["name"],
        },
    ];
    const A: &str = "00000000-0000-4000-8000-00000000000a";
    const CLUSTER: &str = "00000000-0000-4000-8000-0000000000c1";
    const OTHER: &str = "00000000-0000-4000-8000-0000000000c2";
    const TXN: &str = "00000000-0000-4000-8000-0000000000f1";

    /// A server that answers as told, and a session that talks to it.
    struct Talk {
        session: Session,
        said: Vec<u8>,
    }

    impl Talk {
        fn new() -> Self {
            Self::about(&WANTED, &[])
        }

        fn about(wanted: &'static [Wanted], large: &'static [Wanted]) -> Self {
            let mut session = Session::new(Subject {
                database: "D",
                wanted,
                large,
                leader_only: false,
                limit: 1 << 20,
            });
            let said = session.begin();
            Self { session, said }
        }

        fn begin(&mut self) {
            self.said = self.session.begin();
        }

        /// What was asked last, `METHOD PARAMS`.
        #[track_caller]
        fn asked(&self) -> String {
            let json: Value = serde_json::from_slice(&self.said).unwrap();
            format!("{} {}", json["method"].as_str().unwrap(), json["params"])
        }

        fn take(&mut self, message: &Value) -> Result<Option<Event>, SessionError> {
            let Outcome { send, event, .. } =
                self.session.receive(message.to_string().as_bytes())?;
            if let Some(send) = send {
                self.said = send;
            }
            Ok(event)
        }

        fn reply(&mut self, result: &Value) -> Result<Option<Event>, SessionError> {
            let asked: Value = serde_json::from_slice(&self.said).unwrap();
            self.take(&json!({"id": asked["id"], "result": result, "error": null}))
        }

        fn refuse(&mut self, error: &Value) -> Result<Option<Event>, SessionError> {
            let asked: Value = serde_json::from_slice(&self.said).unwrap();
            self.take(&json!({"id": asked["id"], "result": null, "error": error}))
        }

        fn tell(&mut self, method: &str, params: &Value) -> Result<Option<Event>, SessionError> {
            self.take(&json!({"method": method, "params": params, "id": null}))
        }

        /// As far as the question for the data, of a member of a cluster.
        fn up_to_data(&mut self, cluster: &str, index: i64) -> Result<(), SessionError> {
            self.reply(&about_schema())?;
            self.reply(&about(cluster, index, true))?;
            self.reply(&schema(&["name", "other"]))?;
            Ok(())
        }

        fn names(&self) -> Vec<String> {
            let rows = self.session.replica().rows("T");
            rows.map(|(_, row)| row.get("name").unwrap().text().unwrap().to_owned())
                .collect()
        }
    }

    fn schema(columns: &[&str]) -> Value {
        let columns = columns
            .iter()
            .map(|name| ((*name).to_owned(), json!({"type": "string"})));
        let columns: serde_json::Map<_, _> = columns.collect();
        json!({"name": "D", "tables": {"T": {"columns": columns}}})
    }

    fn about_schema() -> Value {
        let one = |base: &str| json!({ "type": base });
        let maybe = |base: &str| json!({"type": {"key": base, "min": 0}});
        json!({"name": "_Server", "tables": {"Database": {"columns": {
            "name": one("string"), "model": one("string"), "connected": one("boolean"),
            "cid": maybe("uuid"), "index": maybe("integer")}}}})
    }

    fn about(cluster: &str, index: i64, connected: bool) -> Value {
        json!({"Database": {A: {"initial": {"name": "D", "model": "clustered",
            "connected": connected, "cid": ["uuid", cluster], "index": index}}}})
    }

    fn rows(kind: &str, name: &str) -> Value {
        json!({"T": {A: {kind: {"name": name}}}})
    }

    fn is_synced(event: Option<Event>) -> (usize, bool) {
        match event {
            Some(Event::Synced { changes, resumed }) => (changes.len(), resumed),
            other => panic!("{other:?}"),
        }
    }

    /// As far as the question for the first tables, of a server from before there was one about itself.
    fn up_to_groups(talk: &mut Talk, tables: &[&str]) {
        let columns = json!({"columns": {"name": {"type": "string"}}});
        let tables = tables
            .iter()
            .map(|table| ((*table).to_owned(), columns.clone()));
        let tables: serde_json::Map<_, _> = tables.collect();
        talk.refuse(&json!("no")).unwrap();
        talk.reply(&json!({ "tables": tables })).unwrap();
    }

    #[test]
    fn a_large_table_is_asked_for_by_itself_and_all_is_told_when_all_is_there() {
        let mut talk = Talk::about(&WANTED[..1], &WANTED[1..]);
        let row = |table: &str, kind: &str, name: &str| json!({table: {A: {kind: {"name": name}}}});
        up_to_groups(&mut talk, &["T", "U"]);
        let none = Uuid::ZERO;
        let first = format!(
            r#"monitor_cond_since ["D","berth",{{"T":[{{"columns":["name"]}}]}},"{none}"]"#
        );
        assert_eq!(talk.asked(), first);
        let reply = json!([false, TXN, row("T", "initial", "x")]);
        assert_eq!(talk.reply(&reply), Ok(None));
        let second = format!(
            r#"monitor_cond_since ["D","berth-1",{{"U":[{{"columns":["name"]}}]}},"{none}"]"#
        );
        assert_eq!(talk.asked(), second);
        // What changes meanwhile is told once, as it is in the end.
        let update = json!(["berth", OTHER, row("T", "modify", "y")]);
        assert_eq!(talk.tell("update3", &update), Ok(None));
        let reply = json!([false, TXN, row("U", "initial", "u")]);
        let Ok(Some(Event::Synced { changes, resumed })) = talk.reply(&reply) else {
            panic!("{}", talk.asked());
        };
        let named = |change: &Change| {
            let name = change.row.as_ref().and_then(|row| row.get("name")?.text());
            format!("{} {}", change.table, name.unwrap_or("gone"))
        };
        let told: Vec<_> = changes.iter().map(named).collect();
        assert_eq!((told.join(", ").as_str(), resumed), ("T y, U u", false));
        let update = json!(["berth-1", CLUSTER, row("U", "modify", "v")]);
        let told = talk.tell("update3", &update);
        assert!(matches!(told, Ok(Some(Event::Changed(changes))) if changes.len() == 1));

        // Each goes on after its own last transaction, and a connection that was lost in between
        // loses no change.
        talk.begin();
        up_to_groups(&mut talk, &["T", "U"]);
        assert_eq!(talk.asked(), first.replace(&none.to_string(), OTHER));
        let reply = json!([true, TXN, row("T", "modify", "z")]);
        assert_eq!(talk.reply(&reply), Ok(None));
        talk.begin();
        up_to_groups(&mut talk, &["T", "U"]);
        assert_eq!(talk.reply(&json!([true, TXN, {}])), Ok(None));
        assert_eq!(talk.asked(), second.replace(&none.to_string(), CLUSTER));
        let event = talk.reply(&json!([true, TXN, {}]));
        assert_eq!(is_synced(event.unwrap()), (1, true));

        // What is gone of one table takes nothing of the other along.
        talk.begin();
        up_to_groups(&mut talk, &["T", "U"]);
        talk.reply(&json!([false, TXN, {}])).unwrap();
        let event = talk.reply(&json!([true, TXN, {}]));
        assert_eq!(is_synced(event.unwrap()), (1, false));
        assert_eq!(talk.session.replica().rows("U").count(), 1);
    }

    #[test]
    fn a_large_table_that_a_database_lacks_is_not_asked_for() {
        let mut talk = Talk::about(&WANTED[..1], &WANTED[1..]);
        up_to_groups(&mut talk, &["T"]);
        let event = talk.reply(&json!([false, TXN, rows("initial", "x")]));
        assert_eq!(is_synced(event.unwrap()), (1, false));
    }

    #[test]
    fn answers_to_what_was_asked_count_and_no_others() {
        let mut talk = Talk::new();
        let echo: Value = serde_json::from_slice(&talk.session.echo()).unwrap();
        let first: Value = serde_json::from_slice(&talk.said).unwrap();
        for (message, expect) in [
            (
                json!({"id": echo["id"], "result": ["berth"], "error": null}),
                true,
            ),
            (json!({"id": 77, "result": [], "error": null}), false),
            (json!({"id": "x", "result": [], "error": null}), false),
            (json!({"method": "echo", "params": [], "id": 7}), false),
            (
                json!({"method": "update2", "params": ["berth", {}], "id": null}),
                false,
            ),
            (
                json!({"id": first["id"], "result": about_schema(), "error": null}),
                true,
            ),
        ] {
            let outcome = talk.session.receive(message.to_string().as_bytes());
            assert_eq!(outcome.unwrap().answered, expect, "{message}");
        }
    }

    #[test]
    fn a_conversation_asks_about_the_server_then_for_its_schema_then_for_what_it_has() {
        let mut talk = Talk::new();
        assert_eq!(talk.asked(), r#"get_schema ["_Server"]"#);
        talk.reply(&about_schema()).unwrap();
        assert_eq!(
            talk.asked(),
            r#"monitor_cond ["_Server","berth-server",{"Database":[{"columns":["name","model","connected","cid","index"]}]}]"#
        );
        talk.reply(&about(CLUSTER, 1, true)).unwrap();
        assert_eq!(talk.asked(), r#"get_schema ["D"]"#);
        talk.reply(&schema(&["name", "other"])).unwrap();
        assert_eq!(
            talk.asked(),
            r#"monitor_cond_since ["D","berth",{"T":[{"columns":["name"]}]},"00000000-0000-0000-0000-000000000000"]"#
        );
        assert!(!talk.session.is_synced());
        let event = talk.reply(&json!([false, TXN, rows("initial", "x")]));
        assert_eq!(is_synced(event.unwrap()), (1, false));
        assert!(talk.session.is_synced());
        let missing: Vec<_> = talk
            .session
            .missing()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(missing, ["U"]);
        let event = talk.tell("update3", &json!(["berth", TXN, rows("modify", "y")]));
        assert!(matches!(event, Ok(Some(Event::Changed(changes))) if changes.len() == 1));
        assert_eq!(talk.names(), ["y"]);
        // Of another monitor, without a change, and without meaning.
        for (method, params) in [
            ("update3", json!(["other", TXN, rows("modify", "z")])),
            ("update3", json!(["berth", TXN, {}])),
            (
                "update2",
                json!(["berth-server", {"Database": {A: {"modify": {"index": 2}}}}]),
            ),
            ("locked", json!(["l"])),
        ] {
            assert_eq!(talk.tell(method, &params), Ok(None));
        }
        assert_eq!(talk.names(), ["y"]);
        assert_eq!(talk.session.standing().index, Some(2));
    }

    #[test]
    fn the_next_connection_goes_on_after_the_last_transaction_of_the_same_cluster_alone() {
        for (cluster, last) in [
            (CLUSTER, TXN),
            (OTHER, "00000000-0000-0000-0000-000000000000"),
        ] {
            let mut talk = Talk::new();
            talk.up_to_data(CLUSTER, 1).unwrap();
            talk.reply(&json!([false, TXN, rows("initial", "x")]))
                .unwrap();
            talk.begin();
            assert!(!talk.session.is_synced());
            talk.up_to_data(cluster, 1).unwrap();
            assert!(
                talk.asked().ends_with(&format!("{last:?}]")),
                "{}",
                talk.asked()
            );
            assert_eq!(talk.names(), ["x"], "until there is an answer");
        }
    }

    #[test]
    fn a_server_that_remembers_sends_changes_and_one_that_does_not_sends_all() {
        for (reply, expect, names) in [
            (json!([true, TXN, {}]), (0, true), vec!["x"]),
            (
                json!([true, TXN, rows("modify", "y")]),
                (1, true),
                vec!["y"],
            ),
            (
                json!([false, TXN, rows("initial", "x")]),
                (0, false),
                vec!["x"],
            ),
            (json!([false, TXN, {}]), (1, false), vec![]),
        ] {
            let mut talk = Talk::new();
            talk.up_to_data(CLUSTER, 1).unwrap();
            talk.reply(&json!([false, TXN, rows("initial", "x")]))
                .unwrap();
            talk.begin();
            talk.up_to_data(CLUSTER, 1).unwrap();
            let event = talk.reply(&reply).unwrap();
            assert_eq!(is_synced(event), expect);
            assert_eq!(talk.names(), names);
        }
    }

    #[test]
    fn a_schema_with_other_columns_begins_again() {
        let mut talk = Talk::new();
        talk.up_to_data(CLUSTER, 1).unwrap();
        talk.reply(&json!([false, TXN, rows("initial", "x")]))
            .unwrap();
        talk.begin();
        talk.reply(&about_schema()).unwrap();
        talk.reply(&about(CLUSTER, 1, true)).unwrap();
        talk.reply(&schema(&["other"])).unwrap();
        assert_eq!(
            talk.asked(),
            r#"monitor_cond_since ["D","berth",{"T":[{"columns":[]}]},"00000000-0000-0000-0000-000000000000"]"#
        );
        let missing: Vec<_> = talk
            .session
            .missing()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(missing, ["T.name", "U"]);
    }

    #[test]
    fn an_old_server_is_asked_by_what_it_knows() {
        let unknown = json!({"error": "unknown method", "details": "x"});
        let mut talk = Talk::new();
        talk.refuse(&json!({"error": "unknown database"})).unwrap();
        assert_eq!(talk.asked(), r#"get_schema ["D"]"#);
        talk.reply(&schema(&["name"])).unwrap();
        talk.refuse(&unknown).unwrap();
        assert_eq!(
            talk.asked(),
            r#"monitor_cond ["D","berth",{"T":[{"columns":["name"]}]}]"#
        );
        talk.refuse(&unknown).unwrap();
        assert_eq!(
            talk.asked(),
            r#"monitor ["D","berth",{"T":[{"columns":["name"]}]}]"#
        );
        let event = talk.reply(&json!({"T": {A: {"new": {"name": "x"}}}}));
        assert_eq!(is_synced(event.unwrap()), (1, false));
        let update = json!(["berth", {"T": {A: {"old": {"name": "x"}, "new": {"name": "y"}}}}]);
        assert!(matches!(
            talk.tell("update", &update),
            Ok(Some(Event::Changed(_)))
        ));
        assert_eq!(talk.names(), ["y"]);

        talk.begin();
        talk.refuse(&json!("unknown database")).unwrap();
        talk.reply(&schema(&["name"])).unwrap();
        talk.refuse(&unknown).unwrap();
        let event = talk.reply(&rows("initial", "z"));
        assert_eq!(is_synced(event.unwrap()), (1, false));
        let update = json!(["berth", {"T": {A: {"delete": null}}}]);
        talk.tell("update2", &update).unwrap();
        assert_eq!(talk.names(), [""; 0]);
    }

    #[test]
    fn a_server_is_left_when_it_is_unfit_or_becomes_so() {
        let mut talk = Talk::new();
        talk.reply(&about_schema()).unwrap();
        assert_eq!(
            talk.reply(&about(CLUSTER, 1, false)),
            Err(SessionError::Unfit(Unfit::Disconnected))
        );
        talk.begin();
        talk.up_to_data(CLUSTER, 7).unwrap();
        talk.reply(&json!([false, TXN, rows("initial", "x")]))
            .unwrap();
        let lost = json!(["berth-server", {"Database": {A: {"modify": {"connected": false}}}}]);
        assert_eq!(
            talk.tell("update2", &lost),
            Err(SessionError::Unfit(Unfit::Disconnected))
        );
        talk.begin();
        assert_eq!(
            talk.up_to_data(CLUSTER, 6),
            Err(SessionError::Unfit(Unfit::Behind { index: 6, seen: 7 }))
        );
        talk.begin();
        talk.up_to_data(CLUSTER, 7).unwrap();
        talk.reply(&json!([true, TXN, {}])).unwrap();
        assert_eq!(
            talk.tell("monitor_canceled", &json!(["berth"])),
            Err(SessionError::Canceled)
        );
    }

    #[test]
    fn after_changes_that_can_not_be_all_is_asked_for_again() {
        let mut talk = Talk::new();
        talk.up_to_data(CLUSTER, 1).unwrap();
        talk.reply(&json!([false, TXN, {}])).unwrap();
        let wrong = talk.tell("update3", &json!(["berth", TXN, rows("modify", "y")]));
        assert!(matches!(wrong, Err(SessionError::Replica(_))), "{wrong:?}");
        talk.begin();
        talk.up_to_data(CLUSTER, 1).unwrap();
        assert!(
            talk.asked()
                .ends_with(r#""00000000-0000-0000-0000-000000000000"]"#)
        );
    }

    #[test]
    fn what_a_server_asks_is_answered() {
        let mut session = Talk::new().session;
        for (request, reply) in [
            (
                json!({"method": "echo", "params": ["a"], "id": "echo"}),
                r#"{"id":"echo","result":["a"],"error":null}"#,
            ),
            (
                json!({"method": "steal", "params": [], "id": 1}),
                r#"{"id":1,"result":null,"error":"unknown method"}"#,
            ),
        ] {
            let outcome = session.receive(request.to_string().as_bytes()).unwrap();
            assert_eq!(String::from_utf8(outcome.send.unwrap()).unwrap(), reply);
        }
    }

    #[test]
    fn a_reply_to_something_else_moves_nothing() {
        let mut talk = Talk::new();
        let echo: Value = serde_json::from_slice(&talk.session.echo()).unwrap();
        assert_eq!(echo["method"], "echo");
        for id in [echo["id"].clone(), json!("echo"), json!(99)] {
            let reply = json!({"id": id, "result": ["berth"], "error": null});
            assert_eq!(talk.take(&reply), Ok(None));
        }
        assert_eq!(talk.asked(), r#"get_schema ["_Server"]"#);
        talk.reply(&about_schema()).unwrap();
        assert!(talk.asked().starts_with("monitor_cond "));
    }

    #[test]
    fn what_a_server_refuses_or_garbles_is_told_by_its_cause() {
        let cause = |result: Result<Option<Event>, SessionError>| {
            let fault = Fault::from(result.unwrap_err());
            (fault.cause, fault.to_string())
        };
        let mut talk = Talk::new();
        talk.refuse(&json!("no")).unwrap();
        assert_eq!(
            cause(talk.refuse(&json!({"error": "unknown database", "details": "D"}))),
            (
                Cause::Refused,
                "the server refuses get_schema: unknown database: D".to_owned()
            )
        );
        talk.begin();
        talk.refuse(&json!("no")).unwrap();
        assert_eq!(
            cause(talk.reply(&json!({}))),
            (Cause::Unreadable, "the schema has no tables".to_owned())
        );
        talk.begin();
        talk.up_to_data(CLUSTER, 1).unwrap();
        assert_eq!(
            cause(talk.reply(&json!({}))),
            (
                Cause::Unreadable,
                "the reply to monitor_cond_since can't be read".to_owned()
            )
        );
        assert_eq!(
            Fault::from(SessionError::Unfit(Unfit::Disconnected)).cause,
            Cause::Unfit
        );
    }
}

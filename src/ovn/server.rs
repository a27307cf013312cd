//! Whether a server is fit to be followed: what its `_Server` database says of the database that
//! berth wants. A member of a cluster that has lost the others goes on to answer, with what it knew.

use crate::ovn::replica::{Replica, Row};
use crate::ovn::schema::Wanted;
use crate::ovn::value::{Datum, Uuid};

/// The database that every server since Open vSwitch 2.9 has about itself.
pub const DATABASE: &str = "_Server";

/// What berth wants to know of it.
pub const WANTED: [Wanted; 1] = [Wanted {
    table: "Database",
    columns: &[
        "name",
        "model",
        "connected",
        "leader",
        "schema",
        "cid",
        "sid",
        "index",
    ],
}];

/// A server's standing, where it is fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The cluster that it is in, where it is in one.
    pub cluster: Option<Uuid>,
    /// The server's own id in it.
    pub server: Option<Uuid>,
    /// How far in the cluster's log it is.
    pub index: Option<i64>,
}

/// Why a server is left for the next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has no such database.
    #[error("it has no database {0}")]
    NoDatabase(String),
    /// It has not joined its cluster, or not reached its source, yet.
    #[error("it has no schema of {0} yet")]
    NotJoined(String),
    /// It is cut off from most of its cluster, or from its source.
    #[error("it is disconnected from its cluster")]
    Disconnected,
    /// Another member leads, and berth was told to follow the leader.
    #[error("it is not the leader of its cluster")]
    NotLeader,
    /// It is behind what berth saw of the same cluster before.
    #[error("it is at index {index} of its cluster's log, and another was at {seen}")]
    Behind {
        /// Where it is.
        index: i64,
        /// Where another was.
        seen: i64,
    },
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The database.
    pub database: &'a str,
    /// Only the leader of a cluster will do.
    pub leader_only: bool,
    /// What the last server was that was followed.
    pub last: Standing,
}

impl Demand<'_> {
    /// Judges a server by its replica of `_Server`.
    pub fn judge(&self, about: &Replica) -> Result<Standing, Unfit> {
        let mut rows = about.rows(WANTED[0].table).map(|(_, row)| row);
        let row = rows
            .find(|row| row.get("name").and_then(Datum::text) == Some(self.database))
            .ok_or_else(|| Unfit::NoDatabase(self.database.to_owned()))?;
        if row.get("schema").is_some_and(|text| text.text().is_none()) {
            return Err(Unfit::NotJoined(self.database.to_owned()));
        }
        // Of a database that is in no cluster this is always so.
        if !truth(row, "connected") {
            return Err(Unfit::Disconnected);
        }
        let id = |name| row.get(name).and_then(|id| id.uuids().next());
        let standing = Standing {
            cluster: id("cid"),
            server: id("sid"),
            index: row.get("index").and_then(Datum::integer),
        };
        if row.get("model").and_then(Datum::text) != Some("clustered") {
            return Ok(standing);
        }
        if self.leader_only && !truth(row, "leader") {
            return Err(Unfit::NotLeader);
        }
        if let (Some(index), Some(seen)) = (standing.index, self.last.index)
            && standing.cluster == self.last.cluster
            && index < seen
        {
            return Err(Unfit::Behind { index, seen });
        }
        Ok(standing)
    }
}

/// A column that an old server lacks is no reason against it.
fn truth(row: &Row, name: &str) -> bool {
    row.get(name).and_then(Datum::boolean).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ovn::schema::{Plan, Schema};

    const ID: &str = "00000000-0000-4000-8000-00000000000a";
    const OTHER: &str = "00000000-0000-4000-8000-00000000000b";

    fn standing(index: i64) -> Standing {
        Standing {
            cluster: Uuid::parse(ID),
            server: None,
            index: Some(index),
        }
    }

    fn clustered(index: i64) -> Value {
        json!({"name": "D", "model": "clustered", "connected": true, "leader": false,
            "schema": "{}", "cid": ["uuid", ID], "index": index})
    }

    fn judge(rows: &[Value], leader_only: bool, last: Standing) -> Result<Standing, Unfit> {
        let maybe = |base: &str| json!({"type": {"key": base, "min": 0}});
        let one = |base: &str| json!({ "type": base });
        let schema = json!({"tables": {"Database": {"columns": {
            "name": one("string"), "model": one("string"), "connected": one("boolean"),
            "leader": one("boolean"), "schema": maybe("string"), "cid": maybe("uuid"),
            "sid": maybe("uuid"), "index": maybe("integer")}}}});
        let mut about = Replica::default();
        about.plan(Plan::new(
            &WANTED,
            &Schema::parse(&schema.to_string()).unwrap(),
        ));
        let rows = rows.iter().enumerate().map(|(i, row)| {
            let id = format!("00000000-0000-4000-8000-0000000000{i:02}");
            (id, json!({ "initial": row }))
        });
        let rows: serde_json::Map<_, _> = rows.collect();
        about
            .reset2(&json!({ "Database": rows }).to_string())
            .unwrap();
        Demand {
            database: "D",
            leader_only,
            last,
        }
        .judge(&about)
    }

    #[test]
    fn a_server_alone_is_fit_when_it_has_the_database() {
        let alone = json!({"name": "D", "model": "standalone", "connected": true, "leader": true, "schema": "{}"});
        let server = json!({"name": "_Server", "model": "standalone", "connected": true, "leader": true, "schema": "{}"});
        assert_eq!(
            judge(&[server.clone(), alone], true, standing(5)),
            Ok(Standing::default())
        );
        assert_eq!(
            judge(&[server], false, Standing::default()),
            Err(Unfit::NoDatabase("D".to_owned()))
        );
    }

    #[test]
    fn a_member_of_a_cluster_is_fit_while_it_is_in_touch_and_not_behind() {
        let with = |field: &str, value: Value| {
            let mut row = clustered(7);
            row[field] = value;
            row
        };
        let none = Standing::default();
        for (row, leader_only, last, expect) in [
            (clustered(7), false, none, Ok(standing(7))),
            (clustered(7), false, standing(7), Ok(standing(7))),
            (
                clustered(7),
                false,
                standing(8),
                Err(Unfit::Behind { index: 7, seen: 8 }),
            ),
            (clustered(7), true, none, Err(Unfit::NotLeader)),
            (with("leader", json!(true)), true, none, Ok(standing(7))),
            (
                with("connected", json!(false)),
                false,
                none,
                Err(Unfit::Disconnected),
            ),
            (
                with("schema", json!(["set", []])),
                false,
                none,
                Err(Unfit::NotJoined("D".to_owned())),
            ),
        ] {
            assert_eq!(judge(&[row], leader_only, last), expect);
        }
        // Another cluster has another log.
        let other = with("cid", json!(["uuid", OTHER]));
        assert_eq!(
            judge(&[other], false, standing(8)).map(|standing| standing.index),
            Ok(Some(7))
        );
    }

    #[test]
    fn a_relay_without_its_source_is_unfit() {
        let relay = |connected: bool| json!({"name": "D", "model": "relay", "connected": connected, "leader": false, "schema": "{}"});
        let none = Standing::default();
        assert_eq!(judge(&[relay(true)], true, none), Ok(none));
        assert_eq!(
            judge(&[relay(false)], false, none),
            Err(Unfit::Disconnected)
        );
    }
}

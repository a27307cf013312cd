//! Whether a server is fit to be used, by what its `_Server` database says of a database. A member of
//! a cluster that has lost the others goes on to answer reads, with what it last knew.

use crate::error::Error;
use crate::schema::MonitorColumns;
use crate::uuid::Uuid;
use crate::value::Datum;

/// The database that every server since Open vSwitch 2.9 has about itself.
pub(crate) const DATABASE: &str = "_Server";

/// What is read of it.
pub(crate) const COLUMNS: MonitorColumns = MonitorColumns {
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
};

/// Where a server stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStatus {
    /// The id of the cluster that it is in, where it is in one.
    pub cluster: Option<Uuid>,
    /// The server's own id in it.
    pub server: Option<Uuid>,
    /// How far in the cluster's log it is.
    pub index: Option<i64>,
}

/// What is demanded of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand<'a> {
    /// The database.
    pub(crate) database: &'a str,
    /// Only the leader of a cluster will do.
    pub(crate) leader_only: bool,
    /// Where the server stood that was used last.
    pub(crate) last: ServerStatus,
}

impl Demand<'_> {
    /// Judges a server by the columns of the database's row in `_Server.Database`.
    ///
    /// # Errors
    /// The server has not joined its cluster yet, is cut off from most of it, does not lead it, or is
    /// behind another server of it.
    pub(crate) fn judge<'r>(
        &self,
        column: impl Fn(&str) -> Option<&'r Datum>,
    ) -> Result<ServerStatus, Error> {
        // A column that an old server lacks is no reason against it.
        let flag = |name| column(name).and_then(Datum::boolean).unwrap_or(true);
        if column("schema").is_some_and(|schema| schema.text().is_none()) {
            return Err(Error::unfit(format!(
                "it has no schema of {} yet",
                self.database
            )));
        }
        // A database that is in no cluster is always connected.
        if !flag("connected") {
            return Err(Error::unfit("it is disconnected from its cluster"));
        }
        let id = |name| column(name).and_then(|id| id.uuids().next());
        let status = ServerStatus {
            cluster: id("cid"),
            server: id("sid"),
            index: column("index").and_then(Datum::integer),
        };
        if column("model").and_then(Datum::text) != Some("clustered") {
            return Ok(status);
        }
        if self.leader_only && !flag("leader") {
            return Err(Error::unfit("it is not the leader of its cluster"));
        }
        if let (Some(index), Some(seen)) = (status.index, self.last.index)
            && status.cluster == self.last.cluster
            && index < seen
        {
            return Err(Error::unfit(format!(
                "it is at index {index} of its cluster's log, and another was at {seen}"
            )));
        }
        Ok(status)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const ID: &str = "00000000-0000-4000-8000-00000000000a";
    const OTHER: &str = "00000000-0000-4000-8000-00000000000b";

    type Columns = BTreeMap<String, Datum>;

    fn status(index: i64) -> ServerStatus {
        ServerStatus {
            cluster: Uuid::parse(ID),
            server: None,
            index: Some(index),
        }
    }

    fn mk_row(name: &str, model: &str, connected: bool, leader: bool) -> Columns {
        let columns: [(&str, Datum); 5] = [
            ("name", name.into()),
            ("model", model.into()),
            ("connected", connected.into()),
            ("leader", leader.into()),
            ("schema", "{}".into()),
        ];
        columns.map(|(name, datum)| (name.to_owned(), datum)).into()
    }

    fn mk_clustered(changed: &[(&str, Datum)]) -> Columns {
        let mut row = mk_row("D", "clustered", true, false);
        let ids = [
            ("cid", Uuid::parse(ID).unwrap().into()),
            ("index", 7.into()),
        ];
        let columns = ids.iter().chain(changed);
        row.extend(columns.map(|(name, datum)| ((*name).to_owned(), datum.clone())));
        row
    }

    fn judge(row: &Columns, leader_only: bool, last: ServerStatus) -> Result<ServerStatus, String> {
        let demand = Demand {
            database: "D",
            leader_only,
            last,
        };
        let judged = demand.judge(|name| row.get(name));
        judged.map_err(|error| error.to_string())
    }

    fn unfit(why: &str) -> Result<ServerStatus, String> {
        Err(format!("the server is left for the next: {why}"))
    }

    #[test]
    fn a_standalone_server_is_fit() {
        let row = mk_row("D", "standalone", true, true);
        let fit = judge(&row, true, status(5));
        assert_eq!(fit, Ok(ServerStatus::default()));
    }

    #[test]
    fn a_member_of_a_cluster_is_fit_while_it_is_connected_and_not_behind() {
        let none = ServerStatus::default();
        for (row, leader_only, last, expect) in [
            (mk_clustered(&[]), false, none, Ok(status(7))),
            (mk_clustered(&[]), false, status(7), Ok(status(7))),
            (
                mk_clustered(&[]),
                false,
                status(8),
                unfit("it is at index 7 of its cluster's log, and another was at 8"),
            ),
            (
                mk_clustered(&[]),
                true,
                none,
                unfit("it is not the leader of its cluster"),
            ),
            (
                mk_clustered(&[("leader", true.into())]),
                true,
                none,
                Ok(status(7)),
            ),
            (
                mk_clustered(&[("connected", false.into())]),
                false,
                none,
                unfit("it is disconnected from its cluster"),
            ),
            (
                mk_clustered(&[("schema", Datum::Set([].into()))]),
                false,
                none,
                unfit("it has no schema of D yet"),
            ),
        ] {
            assert_eq!(judge(&row, leader_only, last), expect);
        }
        // Another cluster has another log.
        let other = mk_clustered(&[("cid", Uuid::parse(OTHER).unwrap().into())]);
        assert_eq!(
            judge(&other, false, status(8)).map(|status| status.index),
            Ok(Some(7))
        );
    }

    #[test]
    fn a_relay_without_its_source_is_unfit() {
        let none = ServerStatus::default();
        let relay = |connected| mk_row("D", "relay", connected, false);
        assert_eq!(judge(&relay(true), true, none), Ok(none));
        assert_eq!(
            judge(&relay(false), false, none),
            unfit("it is disconnected from its cluster")
        );
    }
}

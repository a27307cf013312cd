//! Sending a transaction to one of the servers of a database, and telling what came of it.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::client::ClientOptions;
use crate::connection::Connection;
use crate::error::{Error, ErrorKind};
use crate::server_status::{self, Demand, ServerStatus};
use crate::transact_reply::{OperationError, TransactReply, read_reply};
use crate::transaction::{Condition, Transaction};

/// Why a transaction has no results.
#[derive(Debug, thiserror::Error)]
pub enum TransactError {
    /// It took no effect: no server received it, or a server refused it as a whole.
    #[error(transparent)]
    NotDone(#[from] Error),
    /// It took no effect: one of its operations failed, or all of them together.
    #[error("the server refuses transact: {0}")]
    Failed(OperationError),
    /// It was sent, and the connection ended before the reply came: it may have taken effect or not, or
    /// do so later.
    #[error("the transaction may have taken effect or not: {0}")]
    Unknown(#[source] Error),
}

impl TransactError {
    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotDone(error) | Self::Unknown(error) => error.kind(),
            Self::Failed(_) => ErrorKind::Refused,
        }
    }
}

/// Sends transactions, each over a connection of its own, to one of the servers of a database.
#[derive(Debug)]
pub struct Transactor {
    options: ClientOptions,
    /// How long one server may take for everything, from the connection to the reply.
    timeout: Duration,
    /// The longest message of a server, in bytes.
    limit: usize,
    /// The endpoint that took a transaction last.
    good: usize,
}

impl Transactor {
    /// A transactor that gives each server five seconds, and accepts replies of 4 MiB.
    #[must_use]
    pub const fn new(options: ClientOptions) -> Self {
        Self {
            options,
            timeout: Duration::from_secs(5),
            limit: 4 << 20,
            good: 0,
        }
    }

    /// Gives each server so long for everything, from the connection to the reply.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Accepts messages of so many bytes. What is read of one may take some twenty times as much.
    #[must_use]
    pub const fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Sends a transaction to the server that took the last one or, where that is certain to have taken
    /// no effect, to the next. A server that is cut off from its cluster is passed over. Any member of
    /// a cluster will do: it passes the transaction on to the leader.
    ///
    /// # Errors
    /// Of the last server that was tried. A lost connection is not always a transaction that took no
    /// effect: see [`TransactError::Unknown`].
    pub async fn transact(
        &mut self,
        transaction: &Transaction,
    ) -> Result<TransactReply, TransactError> {
        let count = self.options.endpoints.count();
        let mut failed = Error::new(ErrorKind::Connection, "no endpoint").into();
        for number in self.good..self.good + count {
            match self.attempt(number, transaction).await {
                Err(error @ TransactError::NotDone(_)) => failed = error,
                Err(error @ TransactError::Unknown(_)) if transaction.is_repeatable() => {
                    failed = error;
                }
                result => {
                    self.good = number % count;
                    return result;
                }
            }
        }
        Err(failed)
    }

    async fn attempt(
        &self,
        number: usize,
        transaction: &Transaction,
    ) -> Result<TransactReply, TransactError> {
        let deadline = Instant::now() + self.timeout;
        let late = || {
            let message = format!("no answer within {:?}", self.timeout);
            Error::new(ErrorKind::Timeout, message)
        };
        let ClientOptions { endpoints, tls, .. } = &self.options;
        let open = Connection::open(endpoints.at(number), tls.as_ref(), self.limit);
        let opened = timeout_at(deadline, open).await;
        let mut connection = opened.map_err(|_| late())??;
        let mut is_sent = false;
        let exchange = self.exchange(&mut connection, transaction, &mut is_sent);
        let exchanged = timeout_at(deadline, exchange).await;
        connection.close().await;
        match exchanged.unwrap_or_else(|_| Err(late().into())) {
            // A server that refuses has received the whole, and did nothing.
            Err(TransactError::NotDone(error)) if is_sent && error.kind() != ErrorKind::Refused => {
                Err(TransactError::Unknown(error))
            }
            result => result,
        }
    }

    async fn exchange(
        &self,
        connection: &mut Connection,
        transaction: &Transaction,
        is_sent: &mut bool,
    ) -> Result<TransactReply, TransactError> {
        self.check(connection, transaction.database()).await?;
        *is_sent = true;
        let params = transaction.params();
        let result = connection.request(2, "transact", &params).await?;
        let reply = read_reply(&result, transaction.len())?;
        reply.map_err(TransactError::Failed)
    }

    /// Asks the server about itself: whether it answers at all, and is not cut off from its cluster.
    async fn check(&self, connection: &mut Connection, database: &str) -> Result<(), Error> {
        let mut about = Transaction::new(server_status::DATABASE);
        let select = about.select(
            server_status::COLUMNS.table,
            &[Condition::equal("name", database)],
            &["name", "model", "connected"],
        );
        let result = connection.request(1, "transact", &about.params()).await;
        let result = match result {
            // A server from before there was anything to ask it about itself.
            Err(error) if error.kind() == ErrorKind::Refused => return Ok(()),
            result => result?,
        };
        let Ok(reply) = read_reply(&result, about.len())? else {
            return Ok(());
        };
        let demand = Demand {
            database,
            leader_only: false,
            last: ServerStatus::default(),
        };
        // A server without the database refuses the transaction in its own words.
        if let Some(row) = reply.rows(select).first() {
            demand.judge(|name| row.get(name))?;
        }
        Ok(())
    }
}

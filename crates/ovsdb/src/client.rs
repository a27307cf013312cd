//! Following a database: a connection that is kept up by one server after the other.

use std::convert::Infallible;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use crate::budget;
use crate::connection::Connection;
use crate::endpoint::{Endpoint, Endpoints};
use crate::error::{Error, ErrorKind};
use crate::schema::{Missing, MonitorSpec};
use crate::server_status::ServerStatus;
use crate::session::{Received, Session, SessionEvent};
use crate::table_cache::Change;
use crate::tls::Tls;

/// The default of [`ClientOptions::inactivity`].
pub const INACTIVITY: Duration = Duration::from_secs(10);

/// How long it may take from the connection to the last row.
const SYNC: Duration = Duration::from_secs(30);

/// A server that sends slowly is given more time for what it sends, in bytes a second at least: a
/// reply of 64 MB may take two minutes. A slower one is waited for no longer than one that sends
/// nothing.
const LEAST_RATE: u64 = 512 * 1024;

/// The waits after every endpoint has failed. Jitter adds up to as much again.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// A connection that lasted for so long after it was synced was a good one: its loss counts as the
/// first, and the next attempt is made without a wait.
pub const SETTLED: Duration = Duration::from_secs(20);

/// Messages from this size on, in bytes, are decoded on a thread for blocking work.
const LARGE: usize = 256 * 1024;

/// Where a database is, and how it is reached.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Its servers, tried in turn.
    pub endpoints: Endpoints,
    /// For those of them that speak TLS.
    pub tls: Option<Tls>,
    /// How long a server may answer nothing before it is sent an `echo`, and as long again until it is
    /// left for the next.
    pub inactivity: Duration,
}

impl ClientOptions {
    /// Options without TLS.
    #[must_use]
    pub const fn new(endpoints: Endpoints) -> Self {
        Self {
            endpoints,
            tls: None,
            inactivity: INACTIVITY,
        }
    }
}

/// What happens while a database is followed.
#[derive(Clone, Copy, Debug)]
pub enum ClientEvent<'a> {
    /// A connection is established. The server is not known to be fit yet.
    Connected(&'a Endpoint),
    /// The server has answered a request.
    Answered,
    /// What is known is what is in the database now, and stays so until [`ClientEvent::Failed`].
    Synced {
        /// The server.
        endpoint: &'a Endpoint,
        /// Where the server stands.
        status: ServerStatus,
        /// The rows that are different from what they last were.
        changes: &'a [Change],
        /// The wanted tables and columns that the database does not have.
        missing: &'a [Missing],
        /// The server had only to send what changed since the last connection.
        resumed: bool,
        /// The time since the connection was established.
        took: Duration,
    },
    /// The database has changed.
    Changed(&'a [Change]),
    /// A connection could not be established, or has ended. The next attempt follows.
    Failed {
        /// The server.
        endpoint: &'a Endpoint,
        /// Why.
        error: &'a Error,
        /// For how long the database was followed over this connection; `None` where it was not yet.
        synced_for: Option<Duration>,
    },
}

/// Follows a database until the future is dropped, and calls `on_event` for everything that happens.
pub async fn follow(
    options: ClientOptions,
    spec: MonitorSpec,
    mut on_event: impl FnMut(ClientEvent<'_>) + Send,
) -> Infallible {
    let mut rounds = Rounds::new(options.endpoints.count());
    let mut session = Session::new(spec);
    loop {
        let (number, wait) = rounds.next();
        sleep(wait).await;
        let endpoint = options.endpoints.at(number);
        let limit = budget::message(spec.limit);
        let opened = Connection::open(endpoint, options.tls.as_ref(), limit).await;
        let (error, synced_for, connection) = match opened {
            Ok(connection) => {
                on_event(ClientEvent::Connected(endpoint));
                let mut follower = Follower {
                    session,
                    connection,
                    inactivity: options.inactivity,
                    synced: None,
                    endpoint,
                };
                let Err(error) = follower.follow(&mut on_event).await;
                session = follower.session;
                let synced_for = follower.synced.map(|since| since.elapsed());
                (error, synced_for, Some(follower.connection))
            }
            Err(error) => (error, None, None),
        };
        if synced_for.is_some_and(|time| time >= SETTLED) {
            rounds.settled();
        }
        on_event(ClientEvent::Failed {
            endpoint,
            error: &error,
            synced_for,
        });
        if let Some(connection) = connection {
            connection.close().await;
        }
    }
}

/// Follows a database over one connection.
struct Follower<'a> {
    session: Session,
    connection: Connection,
    inactivity: Duration,
    synced: Option<Instant>,
    endpoint: &'a Endpoint,
}

impl Follower<'_> {
    async fn follow(
        &mut self,
        on_event: &mut (impl FnMut(ClientEvent<'_>) + Send),
    ) -> Result<Infallible, Error> {
        let first = self.session.begin();
        self.connection.write(&first).await?;
        let began = Instant::now();
        let mut received = 0;
        let mut silence = Silence::new(self.inactivity, began);
        loop {
            while let Some(message) = self.connection.message()? {
                if self.take(message, began, on_event).await? {
                    on_event(ClientEvent::Answered);
                    silence = Silence::new(self.inactivity, Instant::now());
                }
            }
            let mut until = silence.until();
            if self.synced.is_none() {
                let end = began + SYNC + time_for(received);
                if Instant::now() >= end {
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        "the server does not come to the end of what it was asked for",
                    ));
                }
                until = until.min(end);
            }
            match timeout_at(until, self.connection.read()).await {
                Ok(read) => {
                    let bytes = read? as u64;
                    received += bytes;
                    silence.received += bytes;
                }
                Err(_) if Instant::now() < silence.until() => {}
                Err(_) if silence.asked => {
                    let seconds = silence.since.elapsed().as_secs();
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        format!("the server answers nothing for {seconds} s"),
                    ));
                }
                Err(_) => {
                    silence.asked = true;
                    let echo = self.session.echo();
                    self.connection.write(&echo).await?;
                }
            }
        }
    }

    /// Takes a message, and returns whether it answers a request.
    async fn take(
        &mut self,
        message: Bytes,
        began: Instant,
        on_event: &mut (impl FnMut(ClientEvent<'_>) + Send),
    ) -> Result<bool, Error> {
        let Received {
            send,
            event,
            answered,
        } = self.receive(message).await?;
        if let Some(reply) = send {
            self.connection.write(&reply).await?;
        }
        match event {
            Some(SessionEvent::Synced { changes, resumed }) => {
                self.synced = Some(Instant::now());
                on_event(ClientEvent::Synced {
                    endpoint: self.endpoint,
                    status: self.session.status(),
                    changes: &changes,
                    missing: self.session.missing(),
                    resumed,
                    took: began.elapsed(),
                });
            }
            Some(SessionEvent::Changed(changes)) => on_event(ClientEvent::Changed(&changes)),
            None => {}
        }
        Ok(answered)
    }

    async fn receive(&mut self, message: Bytes) -> Result<Received, Error> {
        if message.len() < LARGE {
            return self.session.receive(&message);
        }
        let spare = Session::new(self.session.spec());
        let mut session = std::mem::replace(&mut self.session, spare);
        let work = spawn_blocking(move || {
            let received = session.receive(&message);
            (session, received)
        });
        match work.await {
            Ok((session, received)) => {
                self.session = session;
                received
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Since when a server has answered nothing. Only answers count: bytes and messages without end show
/// no more than that something sends them.
struct Silence {
    inactivity: Duration,
    since: Instant,
    asked: bool,
    /// An answer comes after all that is under way before it.
    received: u64,
}

impl Silence {
    const fn new(inactivity: Duration, since: Instant) -> Self {
        Self {
            inactivity,
            since,
            asked: false,
            received: 0,
        }
    }

    /// When the server is asked whether it is there or, where it was, is left.
    fn until(&self) -> Instant {
        if self.asked {
            self.since + self.inactivity * 2 + time_for(self.received)
        } else {
            self.since + self.inactivity
        }
    }
}

fn time_for(bytes: u64) -> Duration {
    Duration::from_millis(bytes * 1000 / LEAST_RATE)
}

/// Which endpoint is next, and when.
struct Rounds {
    endpoints: usize,
    tried: usize,
    failed: usize,
    waits: ExponentialBackoff,
}

impl Rounds {
    fn new(endpoints: usize) -> Self {
        Self {
            endpoints,
            tried: 0,
            failed: 0,
            waits: Self::waits(),
        }
    }

    fn waits() -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .with_jitter()
            .without_max_times()
            .build()
    }

    /// The number of the next attempt, and how long to wait for it: after every endpoint has failed.
    fn next(&mut self) -> (usize, Duration) {
        let wait = if self.failed > 0 && self.failed.is_multiple_of(self.endpoints) {
            self.waits.next().unwrap_or(LONGEST_WAIT)
        } else {
            Duration::ZERO
        };
        let number = self.tried % self.endpoints;
        self.tried += 1;
        self.failed += 1;
        (number, wait)
    }

    /// The last attempt went well.
    fn settled(&mut self) {
        self.failed = 0;
        self.waits = Self::waits();
    }
}

#[cfg(test)]
mod tests;

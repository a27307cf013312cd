//! The connection that a database is followed over: kept up as long as berth runs, by one server
//! after the other.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout_at};

use crate::backoff::Backoff;
use crate::ovn::budget;
use crate::ovn::connection::Connection;
use crate::ovn::endpoint::{Endpoint, Endpoints};
use crate::ovn::fault::{Cause, Fault};
use crate::ovn::replica::Change;
use crate::ovn::schema::Missing;
use crate::ovn::session::{Event, Outcome, Session, SessionError, Subject};
use crate::ovn::stats::ClientStats;
use crate::tls::ClientFiles;

/// How long a server may answer nothing before it is asked whether it is there, and again until it
/// is left, unless configured otherwise.
pub const INACTIVITY: Duration = Duration::from_secs(10);

/// From the connection to the last row.
const SYNC: Duration = Duration::from_secs(30);

/// A server that sends slowly is given more time for what it sends, in bytes a second at least: a
/// reply of 64 MB may take two minutes. Whoever sends less is waited for no longer than one who sends
/// nothing.
const LEAST_RATE: u64 = 512 * 1024;

/// Waits after every endpoint has failed. Jitter adds up to as much again.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// A database that was followed for so long was followed well: its next loss is the first.
const SETTLED: Duration = Duration::from_secs(20);

/// Messages from this size on are taken on a thread that nobody else waits for.
const LARGE: usize = 256 * 1024;

/// Which database to follow, where, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its servers.
    pub endpoints: Endpoints,
    /// For those of them that speak TLS.
    pub tls: Option<ClientFiles>,
    /// What to follow.
    pub subject: Subject,
    /// See [`INACTIVITY`].
    pub inactivity: Duration,
}

/// What there is to tell of a database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Told<'a> {
    /// It is followed, and this is different from when it last was.
    Synced {
        /// What is different.
        changes: &'a [Change],
        /// What it does not have of what is wanted.
        missing: &'a [Missing],
    },
    /// It has changed.
    Changed(&'a [Change]),
    /// It is not followed any more.
    Lost,
}

/// Follows a database for ever.
pub async fn replicate(
    settings: Settings,
    stats: Arc<ClientStats>,
    mut tell: impl FnMut(Told<'_>) + Send,
) {
    let mut rounds = Rounds::new(settings.endpoints.count());
    let mut session = Session::new(settings.subject);
    let mut trouble = Trouble::new(settings.subject.database);
    loop {
        let (number, wait) = rounds.next();
        sleep(wait).await;
        let endpoint = settings.endpoints.at(number);
        let limit = budget::message(settings.subject.limit);
        let fault = match Connection::open(endpoint, settings.tls.as_ref(), limit).await {
            Ok(connection) => {
                stats.connected();
                let mut follower = Follower {
                    session,
                    connection,
                    stats: &stats,
                    inactivity: settings.inactivity,
                    synced: None,
                    endpoint,
                };
                let Err(fault) = follower.follow(&mut tell).await;
                let Follower {
                    session: ended,
                    connection,
                    synced,
                    ..
                } = follower;
                session = ended;
                stats.failed(fault.cause);
                if synced.is_some() {
                    tell(Told::Lost);
                }
                if synced.is_some_and(|since| since.elapsed() >= SETTLED) {
                    rounds.settled();
                    trouble.is_over();
                }
                connection.close().await;
                fault
            }
            Err(fault) => {
                stats.failed(fault.cause);
                fault
            }
        };
        trouble.is_here(number, &endpoint.to_string(), &fault);
    }
}

/// Follows a database over one connection.
struct Follower<'a> {
    session: Session,
    connection: Connection,
    stats: &'a ClientStats,
    inactivity: Duration,
    synced: Option<Instant>,
    endpoint: &'a Endpoint,
}

impl Follower<'_> {
    async fn follow(
        &mut self,
        tell: &mut (impl FnMut(Told<'_>) + Send),
    ) -> Result<Infallible, Fault> {
        let first = self.session.begin();
        self.connection.write(&first).await?;
        let began = Instant::now();
        let mut received = 0;
        let mut silence = Silence::new(self.inactivity, began);
        loop {
            while let Some(message) = self.connection.message()? {
                if self.take(message, began, tell).await? {
                    self.stats.answered();
                    silence = Silence::new(self.inactivity, Instant::now());
                }
            }
            let mut until = silence.until();
            if self.synced.is_none() {
                let end = began + SYNC + time_for(received);
                if Instant::now() >= end {
                    return Err(Fault::new(
                        Cause::Timeout,
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
                    self.stats.received(bytes);
                }
                Err(_) if Instant::now() < silence.until() => {}
                Err(_) if silence.asked => {
                    let silence = silence.since.elapsed();
                    return Err(Fault::new(
                        Cause::Timeout,
                        format!("the server answers nothing for {} s", silence.as_secs()),
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

    /// Takes a message, and tells whether it answers what was asked.
    async fn take(
        &mut self,
        message: Bytes,
        began: Instant,
        tell: &mut (impl FnMut(Told<'_>) + Send),
    ) -> Result<bool, Fault> {
        let Outcome {
            send,
            event,
            answered,
        } = self.receive(message).await?;
        if let Some(reply) = send {
            self.connection.write(&reply).await?;
        }
        match event {
            Some(Event::Synced { changes, resumed }) => {
                self.synced = Some(Instant::now());
                self.stats.synced(resumed);
                let standing = self.session.standing();
                tracing::info!(
                    database = self.session.subject().database,
                    endpoint = %self.endpoint,
                    server = standing.server.map(tracing::field::display),
                    resumed,
                    changes = changes.len(),
                    milliseconds = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
                    "the database is followed"
                );
                tell(Told::Synced {
                    changes: &changes,
                    missing: self.session.missing(),
                });
            }
            Some(Event::Changed(changes)) => {
                self.stats.updated();
                tell(Told::Changed(&changes));
            }
            None => {}
        }
        Ok(answered)
    }

    async fn receive(&mut self, message: Bytes) -> Result<Outcome, SessionError> {
        if message.len() < LARGE {
            return self.session.receive(&message);
        }
        let spare = Session::new(self.session.subject());
        let mut session = std::mem::replace(&mut self.session, spare);
        let work = spawn_blocking(move || {
            let outcome = session.receive(&message);
            (session, outcome)
        });
        match work.await {
            Ok((session, outcome)) => {
                self.session = session;
                outcome
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime ends, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Since when a server has answered nothing. Only answers count: bytes and messages without end show
/// no more than that somebody sends them.
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
    backoff: Backoff,
}

impl Rounds {
    fn new(endpoints: usize) -> Self {
        Self {
            endpoints,
            tried: 0,
            failed: 0,
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
        }
    }

    /// The number of the next try, and how long to wait for it: after every endpoint has failed.
    fn next(&mut self) -> (usize, Duration) {
        let wait = if self.failed > 0 && self.failed.is_multiple_of(self.endpoints) {
            self.backoff.next()
        } else {
            Duration::ZERO
        };
        let number = self.tried % self.endpoints;
        self.tried += 1;
        self.failed += 1;
        (number, wait)
    }

    /// The last try went well.
    fn settled(&mut self) {
        self.failed = 0;
        self.backoff.reset();
    }
}

/// What is said of failures: each once, until things went well.
struct Trouble {
    database: &'static str,
    said: HashSet<(usize, Cause)>,
}

impl Trouble {
    fn new(database: &'static str) -> Self {
        Self {
            database,
            said: HashSet::new(),
        }
    }

    fn is_here(&mut self, number: usize, endpoint: &str, fault: &Fault) {
        let (database, cause) = (self.database, fault.cause.name());
        if self.said.insert((number, fault.cause)) {
            tracing::warn!(
                database,
                endpoint,
                cause,
                "the database is not followed, and the last view stays: {fault}"
            );
        } else {
            tracing::debug!(
                database,
                endpoint,
                cause,
                "the database is not followed again: {fault}"
            );
        }
    }

    fn is_over(&mut self) {
        self.said.clear();
    }
}

#[cfg(test)]
mod tests;

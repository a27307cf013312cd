//! Points in time, and arithmetic on them that can't fail.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::time::OffsetDateTime;

pub(super) use crate::tls::utc;

/// The time, and the clock that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The time.
    pub at: SystemTime,
    /// The clock.
    pub by: Source,
}

/// A clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The API server's: it checks the certificates, and is the same for every replica.
    ApiServer,
    /// This node's: it may differ from that of another replica.
    Local,
}

/// The last second of the year 9999, the latest that a certificate can have.
const LAST: u64 = 253_402_300_799;

/// `time` later by `by`, or as late as there is.
pub(super) fn later(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by).unwrap_or(time)
}

/// `time` earlier by `by`, or as early as there is.
pub(super) fn earlier(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_sub(by).unwrap_or(UNIX_EPOCH)
}

/// From `from` until `to`, nothing if that is the past.
pub(super) fn between(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}

/// Seconds since 1970; 0 for a time before that.
pub(super) fn unix(time: SystemTime) -> u64 {
    between(UNIX_EPOCH, time).as_secs()
}

/// The time this many seconds after 1970; `None` beyond the system's range.
pub(super) fn from_unix(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds.min(LAST)))
}

/// The calendar's time, at most the last second that a certificate can have.
pub(super) fn date(time: SystemTime) -> OffsetDateTime {
    let seconds = i64::try_from(unix(time).min(LAST)).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

//! Points in time: whose clock says so, and how they are written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::time::OffsetDateTime;

pub(super) use crate::tls::utc;

/// What time it is, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The time.
    pub at: SystemTime,
    /// Whose time it is.
    pub by: Source,
}

/// Whose clock it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The API server's, which is the one that will look at the certificates, and the same for
    /// every replica.
    ApiServer,
    /// This node's: another replica may well disagree.
    Local,
}

/// The last second of the year 9999, beyond which a certificate can't say a time.
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

/// Seconds since 1970; what is before that is as good as that.
pub(super) fn unix(time: SystemTime) -> u64 {
    between(UNIX_EPOCH, time).as_secs()
}

/// The time of so many seconds since 1970, if the system can tell it.
pub(super) fn from_unix(seconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds.min(LAST)))
}

/// The same time for the calendar; what no certificate can say is the last second it can.
pub(super) fn date(time: SystemTime) -> OffsetDateTime {
    let seconds = i64::try_from(unix(time).min(LAST)).unwrap_or_default();
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

//! Points in time: whose clock says so, and how they are written.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::time::{Date, Month, OffsetDateTime};

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

/// The time in an HTTP `Date` header, as every server writes it: `Sat, 21 Nov 2026 09:00:00 GMT`.
pub(super) fn http_date(text: &str) -> Option<SystemTime> {
    let mut words = text.split(' ');
    let (_, day, month, year, clock, zone) = (
        words.next()?,
        words.next()?.parse().ok()?,
        words.next()?,
        words.next()?.parse().ok()?,
        words.next()?,
        words.next()?,
    );
    let month = MONTHS.iter().position(|name| *name == month)?;
    let month = Month::try_from(u8::try_from(month + 1).ok()?).ok()?;
    let mut parts = clock.split(':').map(|part| part.parse::<u8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if zone != "GMT" || words.next().is_some() || parts.next().is_some() {
        return None;
    }
    let date = Date::from_calendar_date(year, month, day).ok()?;
    let date = date.with_hms(hour, minute, second).ok()?.assume_utc();
    from_unix(u64::try_from(date.unix_timestamp()).ok()?)
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// To the second, as in RFC 3339.
pub(super) fn utc(time: SystemTime) -> String {
    let time = date(time);
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_servers_write_them() {
        for (text, expect) in [
            (
                "Sat, 21 Nov 2026 09:08:07 GMT",
                Some("2026-11-21T09:08:07Z"),
            ),
            (
                "Thu, 01 Jan 1970 00:00:00 GMT",
                Some("1970-01-01T00:00:00Z"),
            ),
            ("Wed, 31 Dec 1969 23:59:59 GMT", None),
            ("Sat, 31 Nov 2026 09:08:07 GMT", None),
            ("Sat, 21 Nov 2026 09:08:07 CET", None),
            ("Sat, 21 Nov 2026 25:08:07 GMT", None),
            ("Sat, 21 Nov 2026 09:08 GMT", None),
            ("2026-11-21T09:08:07Z", None),
            ("", None),
        ] {
            assert_eq!(http_date(text).map(utc).as_deref(), expect, "{text}");
        }
    }
}

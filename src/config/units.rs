//! Durations and sizes as people write them in Kubernetes: `1m30s`, `8Mi`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

use crate::config::notation::notation;

/// A duration above zero and up to 24 hours, written as Go writes durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// In Go's notation, each unit once.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds == 0 {
            return write!(f, "{:?}", self.0);
        }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        let rest = self
            .0
            .saturating_sub(Duration::from_mins(hours * 60 + minutes));
        if rest.is_zero() {
            return Ok(());
        }
        write!(f, "{rest:?}")
    }
}

impl Span {
    /// Go's notation alone: `kube::core::Duration` reads the same and panics on a number that is too
    /// large (kube 5.0); jiff's reads more.
    fn parse(text: &str) -> Result<Self, &str> {
        sum(text, &SECONDS[..7], LONGEST).map(Self).ok_or(text)
    }
}

notation!(
    Span,
    "Duration",
    "a duration above zero and up to 24h, such as 10s or 1m30s",
    Self::parse,
    {
        "type": "string",
        "description": "A duration above zero and up to 24h, such as 10s or 1m30s",
        "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$",
    }
);

/// The units of a duration, in seconds. Those whose name begins as another's come first. Go knows
/// no days, which come last.
const SECONDS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86400.0),
];

/// No wait of a service is longer, and no sum of such waits overflows a clock.
const LONGEST: Duration = Duration::from_hours(24);

/// A sum of parts above zero and up to `longest`, each a number and one of `units`.
fn sum(text: &str, units: &[(&str, f64)], longest: Duration) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at(end);
        let number: f64 = number.parse().ok()?;
        let (name, seconds) = units.iter().find(|(name, _)| unit.starts_with(name))?;
        let part = Duration::try_from_secs_f64(number * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = &unit[name.len()..];
    }
    (!total.is_zero() && total <= longest).then_some(total)
}

/// How long a certificate lasts: a duration above zero and up to a hundred years, in which `d` is a
/// day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime(pub Duration);

const DAY: Duration = Duration::from_hours(24);

/// The last time that a certificate can say is thousands of years away.
const LONGEST_LIFE: Duration = Duration::from_hours(24 * 36_500);

impl Lifetime {
    /// So many days.
    #[must_use]
    pub const fn days(days: u32) -> Self {
        Self(Duration::from_hours(24 * days as u64))
    }

    fn parse(text: &str) -> Result<Self, &str> {
        sum(text, &SECONDS, LONGEST_LIFE).map(Self).ok_or(text)
    }
}

/// In the largest unit that needs no fraction.
impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        for (unit, size) in [("d", DAY.as_secs()), ("h", 3600), ("m", 60)] {
            if seconds.is_multiple_of(size) {
                return write!(f, "{}{unit}", seconds / size);
            }
        }
        write!(f, "{seconds}s")
    }
}

notation!(
    Lifetime,
    "Lifetime",
    "a duration above zero and up to 36500d, such as 30d or 12h",
    Self::parse,
    {
        "type": "string",
        "description": "A duration above zero and up to 36500d, such as 30d or 12h",
        "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h|d))+$",
    }
);

/// A number of bytes above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The units of a size, in bytes, the largest first.
const BYTES: [(&str, u64); 3] = [("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

impl Size {
    /// The number of bytes as the machine counts them.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<Self> {
        let unit = BYTES
            .iter()
            .find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
        let (number, bytes) = unit.unwrap_or((text, 1));
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let size = number.parse::<u64>().ok()?.checked_mul(bytes)?;
        (size > 0).then_some(Self(size))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = BYTES
            .iter()
            .find(|(_, bytes)| self.0.is_multiple_of(*bytes));
        match unit {
            Some((name, bytes)) => write!(f, "{}{name}", self.0 / bytes),
            None => write!(f, "{}", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;

        impl Visitor<'_> for SizeVisitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size above zero in bytes, such as 1048576, 8Mi or 1Gi")
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
                if bytes == 0 {
                    return Err(E::invalid_value(Unexpected::Unsigned(bytes), &self));
                }
                Ok(Size(bytes))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                Size::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(SizeVisitor)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "description": "A number of bytes above zero, such as 1048576, 8Mi or 1Gi",
            "minimum": 1,
            "pattern": "^[0-9]+(Ki|Mi|Gi)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_kubernetes_units() {
        for (text, bytes) in [
            ("8Mi", Some(8 << 20)),
            ("1Gi", Some(1 << 30)),
            ("4Ki", Some(4096)),
            ("7", Some(7)),
            ("0", None),
            ("", None),
            ("Mi", None),
            ("8m", None),
            ("8 Mi", None),
            ("+8Mi", None),
            ("8MiB", None),
            ("99999999999Gi", None),
        ] {
            assert_eq!(Size::parse(text), bytes.map(Size), "{text}");
        }
        assert_eq!(Size(8 << 20).to_string(), "8Mi");
        assert_eq!(Size(1 << 30).to_string(), "1Gi");
        assert_eq!(Size(1500).to_string(), "1500");
    }

    #[test]
    fn durations_are_read_in_gos_notation() {
        for (text, expect) in [
            ("10s", Some(Duration::from_secs(10))),
            ("1m30s", Some(Duration::from_secs(90))),
            ("1h2m3.5s", Some(Duration::from_millis(3_723_500))),
            ("100ms", Some(Duration::from_millis(100))),
            ("5us", Some(Duration::from_micros(5))),
            ("5µs", Some(Duration::from_micros(5))),
            ("7ns", Some(Duration::from_nanos(7))),
            ("24h", Some(Duration::from_hours(24))),
            ("24h1ns", None),
            ("1d", None),
            ("0s", None),
            ("-1s", None),
            ("+1s", None),
            ("10", None),
            ("", None),
            ("s", None),
            (".s", None),
            ("1e3s", None),
            ("10 s", None),
            ("10 seconds", None),
            ("10sec", None),
            ("PT10S", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(text.parse().ok(), expect.map(Span), "{text}");
        }
        for (text, shown) in [
            ("10s", "10s"),
            ("90s", "1m30s"),
            ("60m", "1h"),
            ("3723.5s", "1h2m3.5s"),
            ("500ms", "500ms"),
            ("1h1ms", "1h1ms"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string(), shown);
            assert_eq!(shown.parse(), Ok(span));
        }
    }

    #[test]
    fn lifetimes_have_days() {
        for (text, expect, shown) in [
            ("30d", Some(Lifetime::days(30)), "30d"),
            ("1d12h", Some(Lifetime(Duration::from_hours(36))), "36h"),
            ("90m", Some(Lifetime(Duration::from_mins(90))), "90m"),
            ("10s", Some(Lifetime(Duration::from_secs(10))), "10s"),
            ("36500d", Some(Lifetime::days(36_500)), "36500d"),
            ("36501d", None, ""),
            ("0d", None, ""),
            ("10y", None, ""),
            ("d", None, ""),
        ] {
            assert_eq!(text.parse().ok(), expect, "{text}");
            if let Some(lifetime) = expect {
                assert_eq!(lifetime.to_string(), shown);
            }
        }
    }
}

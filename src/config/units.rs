//! Durations and sizes as people write them in Kubernetes: `1m30s`, `8Mi`.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A duration above zero, written as Go writes durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor;

        impl Visitor<'_> for SpanVisitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"10s\" or \"1m30s\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                parse_duration(text)
                    .map(Span)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_str(SpanVisitor)
    }
}

/// A duration above zero in Go's notation; `None` for everything else. Not `kube::core::Duration`,
/// which panics on a number that is too large (kube 5.0).
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    let duration: jiff::SignedDuration = text.parse().ok()?;
    Duration::try_from(duration)
        .ok()
        .filter(|length| !length.is_zero())
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration above zero, such as 10s or 1m30s",
            "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$",
        })
    }
}

/// A number of bytes above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl Size {
    /// The number of bytes as the machine counts them.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, suffix) in [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")] {
            if self.0.is_multiple_of(unit) {
                return write!(f, "{}{suffix}", self.0 / unit);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;

        impl Visitor<'_> for SizeVisitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 1048576, \"8Mi\" or \"1Gi\"")
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
                if bytes == 0 {
                    return Err(E::invalid_value(Unexpected::Unsigned(bytes), &self));
                }
                Ok(Size(bytes))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                text.parse::<bytesize::ByteSize>()
                    .ok()
                    .filter(|size| size.as_u64() > 0)
                    .map(|size| Size(size.as_u64()))
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
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
            "pattern": "^[0-9]+(\\.[0-9]+)?([KMGT]i?)?B?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_kubernetes_units() {
        for (text, bytes) in [
            ("8Mi", 8 << 20),
            ("1Gi", 1 << 30),
            ("4Ki", 4096),
            ("7", 7),
            ("1M", 1_000_000),
        ] {
            let size: Size = serde_json::from_value(text.into()).unwrap();
            assert_eq!(size, Size(bytes), "{text}");
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
            ("1.5s", Some(Duration::from_millis(1500))),
            ("100ms", Some(Duration::from_millis(100))),
            ("0s", None),
            ("-1s", None),
            ("10", None),
            ("", None),
            ("1e400s", None),
            ("99999999999999999999h", None),
        ] {
            assert_eq!(parse_duration(text), expect, "{text}");
        }
    }
}

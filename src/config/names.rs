//! Names of objects in the API, and of servers.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use rustls::pki_types::ServerName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error};

/// A name that an object in the API can have: a DNS subdomain (RFC 1123).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName(String);

/// A name that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no name of an object: lower-case letters, digits, '-' and '.', from a letter or digit to one, up to 253"
)]
pub struct ObjectNameError(String);

impl ObjectName {
    /// What berth's own objects are called.
    #[must_use]
    pub fn berth() -> Self {
        Self("berth".to_owned())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ObjectName {
    type Err = ObjectNameError;

    fn from_str(text: &str) -> Result<Self, ObjectNameError> {
        let label = |label: &str| {
            let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
            !label.is_empty()
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if text.len() <= 253 && text.split('.').all(label) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ObjectNameError(text.to_owned()))
        }
    }
}

impl<'de> Deserialize<'de> for ObjectName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl JsonSchema for ObjectName {
    fn schema_name() -> Cow<'static, str> {
        "ObjectName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The name of an object in the API",
            "maxLength": 253,
            "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
        })
    }
}

/// A name by which a client knows a server: a DNS name or an IP address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(String);

impl HostName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match ServerName::try_from(text.as_str()) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(D::Error::custom(format!(
                "{text:?} is neither a DNS name nor an IP address"
            ))),
        }
    }
}

impl JsonSchema for HostName {
    fn schema_name() -> Cow<'static, str> {
        "HostName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A DNS name or an IP address",
            "minLength": 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_objects_are_dns_subdomains() {
        let long = "a".repeat(254);
        for (text, good) in [
            ("berth", true),
            ("berth-tls", true),
            ("0.berth.dev", true),
            ("", false),
            ("Berth", false),
            ("-berth", false),
            ("berth-", false),
            ("a..b", false),
            ("berth/tls", false),
            (&long, false),
            (&long[1..], true),
        ] {
            assert_eq!(text.parse::<ObjectName>().is_ok(), good, "{text}");
        }
    }
}

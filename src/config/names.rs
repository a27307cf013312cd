//! Names of objects in the API, and of servers.

use std::fmt;

use crate::config::notation::notation;
use crate::tls::HostName;

/// A name that an object in the API can have: a DNS subdomain (RFC 1123).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName(String);

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

    fn parse(text: &str) -> Result<Self, &str> {
        if text.len() <= 253 && text.split('.').all(is_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(text)
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

notation!(
    ObjectName,
    "ObjectName",
    "the name of an object: use lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit, up to 253 characters",
    Self::parse,
    {
        "type": "string",
        "description": "The name of an object in the API",
        "maxLength": 253,
        "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    }
);

fn is_part(text: &str) -> bool {
    let inner = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether it is a DNS label (RFC 1123), as the names of Services and namespaces are.
pub(super) fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

notation!(
    HostName,
    "HostName",
    "a DNS name or an IP address, such as berth.example.com or 10.96.0.77",
    |text| Self::parse(text).map_err(|_| text),
    {
        "type": "string",
        "description": "A DNS name or an IP address",
        "minLength": 1,
    }
);

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

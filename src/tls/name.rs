//! The names by which clients know a server.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use rustls::pki_types::ServerName;

/// A name by which a client knows a server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostName {
    /// A DNS name in lower case.
    Dns(String),
    /// An IP address.
    Ip(IpAddr),
}

/// A text that is not the name of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a DNS name nor an IP address")]
pub struct NameError(String);

impl HostName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match ServerName::try_from(text) {
            Ok(ServerName::DnsName(name)) => Ok(Self::Dns(name.as_ref().to_ascii_lowercase())),
            Ok(ServerName::IpAddress(address)) => Ok(Self::Ip(address.into())),
            _ => Err(NameError(text.to_owned())),
        }
    }

    /// The names under which a cluster knows a Service.
    pub fn of_service(service: &str, namespace: &str) -> Result<BTreeSet<Self>, NameError> {
        [
            service.to_owned(),
            format!("{service}.{namespace}"),
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}.svc.cluster.local"),
        ]
        .iter()
        .map(|name| Self::parse(name))
        .collect()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_names_and_addresses() {
        for (text, expect) in [
            (
                "Berth.example.COM",
                Some(HostName::Dns("berth.example.com".into())),
            ),
            ("127.0.0.1", Some(HostName::Ip([127, 0, 0, 1].into()))),
            ("::1", Some(HostName::Ip("::1".parse().unwrap()))),
            ("", None),
            ("a b", None),
            ("https://berth", None),
            ("berth:8443", None),
            ("-berth", None),
        ] {
            assert_eq!(HostName::parse(text).ok(), expect, "{text}");
        }
        let shown: Vec<_> = HostName::of_service("berth", "ns")
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                "berth",
                "berth.ns",
                "berth.ns.svc",
                "berth.ns.svc.cluster.local"
            ]
        );
    }
}

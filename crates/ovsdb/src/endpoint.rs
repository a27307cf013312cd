//! Where a database server is: `tcp:HOST:PORT`, `ssl:HOST:PORT` or `unix:PATH`, as Open vSwitch
//! writes it, and several of them with commas between.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Over TCP.
    Tcp(Address),
    /// Over TLS on TCP.
    Ssl(Address),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// A host, by name or number, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The servers of one database, at least one, in the order in which they are tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints(Vec<Endpoint>);

/// A list that can't be used: where it was written, the entry, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin} {entry:?}: {problem}")]
pub struct EndpointError {
    /// The flag or the field of the configuration.
    pub origin: String,
    /// The entry.
    pub entry: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Endpoints {
    /// Reads a list; `origin` is the flag or the field that it comes from.
    pub fn parse(origin: &str, list: &str) -> Result<Self, EndpointError> {
        let endpoints = list.split(',').map(str::trim).map(|entry| {
            Endpoint::parse(entry).map_err(|problem| EndpointError {
                origin: origin.to_owned(),
                entry: entry.to_owned(),
                problem,
            })
        });
        endpoints.collect::<Result<_, _>>().map(Self)
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.0.len()
    }

    /// The one to try after `tried` others; after the last comes the first.
    #[must_use]
    pub fn at(&self, tried: usize) -> &Endpoint {
        &self.0[tried % self.0.len()]
    }

    /// Whether any of them is reached over TLS.
    #[must_use]
    pub fn any_ssl(&self) -> bool {
        let is_ssl = |endpoint: &Endpoint| matches!(endpoint, Endpoint::Ssl(_));
        self.0.iter().any(is_ssl)
    }
}

impl Endpoint {
    fn parse(entry: &str) -> Result<Self, &'static str> {
        if entry.is_empty() {
            return Err("an endpoint is missing; use tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH");
        }
        let (method, rest) = entry.split_once(':').ok_or(NO_METHOD)?;
        match method {
            "tcp" => Address::parse(rest).map(Self::Tcp),
            "ssl" => Address::parse(rest).map(Self::Ssl),
            "unix" if rest.is_empty() => {
                Err("a path is missing, as in unix:/run/ovn/ovnsb_db.sock")
            }
            "unix" => Ok(Self::Unix(rest.into())),
            "ptcp" | "pssl" | "punix" => {
                Err("a client connects and does not listen; use tcp:, ssl: or unix:")
            }
            _ => Err(NO_METHOD),
        }
    }
}

const NO_METHOD: &str = "an endpoint begins with tcp:, ssl: or unix:, as in tcp:ovn-sb:6642";

/// OVN's databases have no port by default.
const NO_PORT: &str =
    "a port is missing; ovn's southbound database is usually on 6642, its northbound on 6641";

/// The end of an IPv6 address can't be told from the port.
const NO_BRACKETS: &str = "an ipv6 address stands in brackets, as in tcp:[::1]:6642";

impl Address {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or(NO_BRACKETS)?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err("what is in brackets is not an ipv6 address");
            }
            (host, rest.strip_prefix(':').ok_or(NO_PORT)?)
        } else {
            let (host, port) = text.rsplit_once(':').ok_or(NO_PORT)?;
            if host.contains(':') {
                return Err(NO_BRACKETS);
            }
            (host, port)
        };
        if host.is_empty() {
            return Err("a host is missing, as in tcp:ovn-sb:6642");
        }
        if port.is_empty() {
            return Err(NO_PORT);
        }
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse() {
            Ok(port) if digits && port != 0 => Ok(Self {
                host: host.to_owned(),
                port,
            }),
            _ => Err("the port is not a number from 1 to 65535"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Ssl(address) => write!(f, "ssl:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

impl fmt::Display for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, endpoint) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{endpoint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_as_it_is_read() {
        for (list, count, any_ssl) in [
            ("tcp:10.0.0.1:6642", 1, false),
            (
                "ssl:[fd00::1]:6642,ssl:ovn-sb.kube-system.svc:6642",
                2,
                true,
            ),
            ("unix:/run/ovn/ovnsb_db.sock,tcp:a:1,tcp:b:65535", 3, false),
        ] {
            let endpoints = Endpoints::parse("--ovn-sb", list).unwrap();
            assert_eq!(endpoints.to_string(), list);
            assert_eq!((endpoints.count(), endpoints.any_ssl()), (count, any_ssl));
        }
        let spaced = Endpoints::parse("--ovn-sb", " tcp:a:1 , tcp:b:2 ").unwrap();
        assert_eq!(spaced.to_string(), "tcp:a:1,tcp:b:2");
        assert_eq!(spaced.at(3).to_string(), "tcp:b:2");
    }

    #[test]
    fn an_error_says_what_is_wrong_and_where_it_is_written() {
        for (list, entry, problem) in [
            ("", "", "an endpoint is missing"),
            ("tcp:a:1,", "", "an endpoint is missing"),
            ("a:1", "a:1", "an endpoint begins with"),
            ("localhost", "localhost", "an endpoint begins with"),
            ("TCP:a:1", "TCP:a:1", "an endpoint begins with"),
            ("tcp", "tcp", "an endpoint begins with"),
            ("unix", "unix", "an endpoint begins with"),
            (":6642", ":6642", "an endpoint begins with"),
            (
                "tcp:a:1,ptcp:6642",
                "ptcp:6642",
                "a client connects and does not listen",
            ),
            ("tcp:", "tcp:", "a port is missing"),
            ("tcp::1", "tcp::1", "a host is missing"),
            ("tcp:a", "tcp:a", "a port is missing"),
            ("tcp:a:", "tcp:a:", "a port is missing"),
            ("tcp:a:0", "tcp:a:0", "the port is not a number"),
            ("tcp:a:+1", "tcp:a:+1", "the port is not a number"),
            ("tcp:a:65536", "tcp:a:65536", "the port is not a number"),
            ("tcp:a:x", "tcp:a:x", "the port is not a number"),
            (
                "ssl:fd00::1:6642",
                "ssl:fd00::1:6642",
                "an ipv6 address stands in brackets",
            ),
            (
                "ssl:[fd00::1:6642",
                "ssl:[fd00::1:6642",
                "an ipv6 address stands in brackets",
            ),
            ("ssl:[fd00::1]", "ssl:[fd00::1]", "a port is missing"),
            ("ssl:[a]:1", "ssl:[a]:1", "what is in brackets is not"),
            ("unix:", "unix:", "a path is missing"),
        ] {
            let error = Endpoints::parse("--ovn-sb", list).unwrap_err();
            assert_eq!((&*error.origin, &*error.entry), ("--ovn-sb", entry));
            assert!(error.problem.starts_with(problem), "{list}: {error}");
        }
        assert_eq!(
            Endpoints::parse("southbound.endpoints", "tcp:a")
                .unwrap_err()
                .to_string(),
            "southbound.endpoints \"tcp:a\": a port is missing; ovn's southbound database is usually on 6642, its northbound on 6641"
        );
    }
}

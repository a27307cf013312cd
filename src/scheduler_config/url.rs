//! Where kube-scheduler reaches berth: `https://HOST` or `https://HOST:PORT`.

use std::fmt;
use std::net::IpAddr;

use axum::http::Uri;

use super::StanzaError;
use crate::tls::HostName;

/// A URL without anything after the port.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BaseUrl {
    /// Without brackets.
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl BaseUrl {
    pub(super) fn parse(url: &str) -> Result<Self, StanzaError> {
        let bad = |problem| StanzaError::BadUrl {
            url: url.to_owned(),
            problem,
        };
        let uri: Uri = url.parse().map_err(|_| bad("is not a URL"))?;
        if uri.scheme_str() != Some("https") {
            return Err(bad(
                "does not begin with https://, and berth serves nothing else",
            ));
        }
        let authority = uri.authority().ok_or_else(|| bad("has no host"))?.as_str();
        if authority.contains('@') {
            return Err(bad(
                "has user information (USER@), which berth does not look at",
            ));
        }
        // The URI's own type drops a fragment.
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || url.contains('#') {
            return Err(bad("goes on after the port, and each verb is a path there"));
        }
        let host = uri.host().unwrap_or_default();
        let port = match authority.strip_prefix(host).unwrap_or_default() {
            "" => None,
            rest => match rest.strip_prefix(':').unwrap_or_default().parse() {
                Ok(port) if port > 0 => Some(port),
                _ => return Err(bad("has a port that is not a number from 1 to 65535")),
            },
        };
        let host = host.trim_matches(['[', ']']);
        if host.is_empty() {
            return Err(bad("has no host"));
        }
        if host.parse::<HostName>().is_err() {
            return Err(bad(
                "has a host that is neither a DNS name nor an IP address",
            ));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match host.parse() {
            Ok(IpAddr::V6(address)) => write!(f, "https://[{address}]")?,
            _ => write!(f, "https://{host}")?,
        }
        match port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_written_as_they_are_read() {
        for (url, host) in [
            (
                "https://berth.berth-system.svc:443",
                "berth.berth-system.svc",
            ),
            ("https://berth", "berth"),
            ("https://10.96.0.77:65535", "10.96.0.77"),
            ("https://[fd00::1]:8443", "fd00::1"),
        ] {
            for slash in ["", "/"] {
                let read = BaseUrl::parse(&format!("{url}{slash}")).unwrap();
                assert_eq!((read.to_string().as_str(), read.host.as_str()), (url, host));
            }
        }
    }

    #[test]
    fn a_url_that_kube_scheduler_could_not_use_is_refused() {
        let port = "has a port that is not a number from 1 to 65535";
        let https = "does not begin with https://, and berth serves nothing else";
        let after = "goes on after the port, and each verb is a path there";
        let user = "has user information (USER@), which berth does not look at";
        for (url, problem) in [
            ("", "is not a URL"),
            ("https://a b", "is not a URL"),
            ("https://", "is not a URL"),
            ("http://berth", https),
            ("berth", https),
            ("berth:443", https),
            ("/scheduler", https),
            ("https://berth/scheduler", after),
            ("https://berth/?timeout=1s", after),
            ("https://berth#a", after),
            ("https://berth:65536", port),
            ("https://berth:99999", port),
            ("https://berth:0", port),
            ("https://berth:", port),
            ("https://me:secret@berth", user),
            ("https://me@berth:443", user),
            ("https://:443", "has no host"),
            (
                "https://berth..svc",
                "has a host that is neither a DNS name nor an IP address",
            ),
        ] {
            let error = BaseUrl::parse(url).unwrap_err();
            let expect = format!(
                "--url {url}: {problem}; use https://HOST or https://HOST:PORT, such as https://10.96.0.77:443"
            );
            assert_eq!(error.to_string(), expect);
        }
    }
}

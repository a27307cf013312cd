//! Where a listener listens: `IP:PORT`, and the two short forms that people write.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::notation::notation;

/// The port of the HTTPS listener, unless configured.
pub const HTTPS_PORT: u16 = 8443;

/// The port of the admin listener, unless configured.
pub const ADMIN_PORT: u16 = 8080;

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListenAddress(pub SocketAddr);

impl ListenAddress {
    fn parse(text: &str) -> Result<Self, &str> {
        let short = |host: Ipv4Addr, port: &str| {
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = port.parse().ok().filter(|_| digits)?;
            Some(SocketAddr::new(IpAddr::V4(host), port))
        };
        let address = match text.split_once(':') {
            Some(("localhost", port)) => short(Ipv4Addr::LOCALHOST, port),
            Some(("", port)) => short(Ipv4Addr::UNSPECIFIED, port),
            _ => text.parse().ok(),
        };
        address.map(Self).ok_or(text)
    }
}

notation!(
    ListenAddress,
    "ListenAddress",
    "an address to listen on: use IP:PORT, such as 127.0.0.1:8443 or [::]:8443, localhost:PORT, or :PORT for every IPv4 address of the host",
    Self::parse,
    {
        "type": "string",
        "description": "IP:PORT, such as 127.0.0.1:8443 or [::]:8443; localhost:PORT; or :PORT for every IPv4 address of the host",
        "pattern": r"^([0-9.]+|\[[0-9A-Fa-f:.%]+\]|localhost)?:[0-9]{1,5}$",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them_and_others_are_refused() {
        for (text, expect) in [
            ("127.0.0.1:8443", Some("127.0.0.1:8443")),
            ("0.0.0.0:0", Some("0.0.0.0:0")),
            ("[::]:8443", Some("[::]:8443")),
            ("localhost:8443", Some("127.0.0.1:8443")),
            (":8443", Some("0.0.0.0:8443")),
            ("", None),
            (":", None),
            (":+1", None),
            ("8443", None),
            ("127.0.0.1", None),
            ("localhost", None),
            ("localhost:", None),
            ("localhost:https", None),
            (":65536", None),
            ("127.0.0.1:65536", None),
            ("berth.example.com:8443", None),
            ("::1:8443", None),
            ("https://127.0.0.1:8443", None),
        ] {
            let expect = expect.map(|address| ListenAddress(address.parse().unwrap()));
            assert_eq!(text.parse::<ListenAddress>().ok(), expect, "{text}");
        }
    }
}

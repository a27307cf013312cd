//! OVN's southbound database: where it is, and how much it counts.

use std::path::PathBuf;
use std::time::Duration;

use ovsdb::{Endpoints, budget};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::Refusal;
use crate::config::tls::check_pair;
use crate::config::units::{Size, Span};
use crate::decide::policy::ALLOWED_LAG;

/// OVN's southbound database. Without endpoints it is not read, and what Kubernetes says of a chassis
/// decides alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Southbound {
    /// The servers of the southbound database, separated by commas: `tcp:HOST:PORT`,
    /// `ssl:HOST:PORT` or `unix:PATH`. If unset, berth does not read the database.
    pub endpoints: Option<String>,
    /// PEM file with the CAs of the OVN servers. Needed for `ssl:`.
    #[serde(rename = "caFile")]
    pub ca_file: Option<PathBuf>,
    /// PEM file with berth's client certificate for the OVN servers. Needed for `ssl:`.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the private key of that certificate. Needed for `ssl:`.
    pub key_file: Option<PathBuf>,
    /// Read only from the leader of a clustered database.
    pub leader_only: bool,
    /// How long a server may be silent before berth sends an echo request. After the same time
    /// without a reply, berth moves on to the next server.
    pub inactivity_probe: Span,
    /// How long a chassis may lag behind the database before the check `chassisResponsive` rejects
    /// it.
    pub allowed_lag: Span,
    /// How long the database may be out of reach before its data counts as stale.
    pub stale_after: Span,
    /// What happens with stale data: `Ignore` skips the checks that need the database, `Reject`
    /// rejects every node.
    pub on_stale: OnStale,
    /// The memory limit for the copy of the database. The default holds about 130,000 ports. A
    /// single message may use three quarters of it. berth disconnects from a server that sends more
    /// and counts the failure as `too_large`. For a larger database, raise this together with the
    /// memory of the pod, or set `scoring.locality: 0` to skip the ports.
    pub max_size: Size,
    /// The probe that detects a dead ovn-controller.
    pub probe: Probe,
}

/// The probe of all chassis, by way of the northbound database.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Probe {
    /// The servers of the northbound database, in the same format as `southbound.endpoints` and
    /// with the same certificates. If set, one replica at a time increments `NB_Global.nb_cfg`, to
    /// which every ovn-controller responds; Kube-OVN itself never does this. If unset, there is no
    /// probe.
    pub endpoints: Option<String>,
    /// The time between two probes.
    pub interval: Span,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            endpoints: None,
            interval: Span(Duration::from_secs(30)),
        }
    }
}

/// A large cluster takes seconds to answer, and each answer is a write to the database.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// A dead chassis takes VMs for as long.
const LONGEST_INTERVAL: Duration = Duration::from_mins(5);

/// A schema alone is a message of some 20 KiB.
const LEAST_SIZE: Size = Size(1 << 20);

/// What happens when the southbound database is out of reach for too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum OnStale {
    /// Its checks are left out.
    #[default]
    Ignore,
    /// Every node is rejected.
    Reject,
}

impl Default for Southbound {
    fn default() -> Self {
        Self {
            endpoints: None,
            ca_file: None,
            cert_file: None,
            key_file: None,
            leader_only: false,
            inactivity_probe: Span(Duration::from_secs(10)),
            allowed_lag: Span(ALLOWED_LAG),
            stale_after: Span(Duration::from_mins(1)),
            on_stale: OnStale::default(),
            max_size: Size(budget::LIMIT as u64),
            probe: Probe::default(),
        }
    }
}

impl Southbound {
    /// The servers, where there are any.
    pub fn servers(&self) -> Result<Option<Endpoints>, Refusal> {
        parse("southbound.endpoints, --ovn-sb", self.endpoints.as_deref())
    }

    /// The servers to ask by, where there are any.
    pub fn probed(&self) -> Result<Option<Endpoints>, Refusal> {
        parse(
            "southbound.probe.endpoints, --ovn-nb",
            self.probe.endpoints.as_deref(),
        )
    }

    /// Refuses values that contradict each other, after the flags are applied.
    pub fn check_whole(&self) -> Result<(), Refusal> {
        if self.probe.endpoints.is_some() && self.endpoints.is_none() {
            return Err(Refusal::Combination(format!(
                "southbound.endpoints, --ovn-sb: is not set, and southbound.probe.endpoints, --ovn-nb, {}, needs it: the answers are there",
                self.probe.endpoints.as_deref().unwrap_or_default()
            )));
        }
        self.check()
    }

    /// Refuses values that are out of range or contradict each other.
    pub fn check(&self) -> Result<(), Refusal> {
        let refuse = |text: String| Err(Refusal::Combination(format!("southbound.{text}")));
        check_pair(
            "southbound",
            self.cert_file.as_deref(),
            self.key_file.as_deref(),
        )?;
        let (servers, probed) = (self.servers()?, self.probed()?);
        let ssl = [&servers, &probed]
            .into_iter()
            .flatten()
            .find(|servers| servers.any_ssl());
        if let (Some(servers), None) = (ssl, &self.ca_file) {
            return refuse(format!("caFile: is not set, and {servers} needs it"));
        }
        if !(SHORTEST_INTERVAL..=LONGEST_INTERVAL).contains(&self.probe.interval.0) {
            return refuse(format!(
                "probe.interval: {} is not from 1s to 5m",
                self.probe.interval
            ));
        }
        if self.max_size < LEAST_SIZE {
            return refuse(format!("maxSize: {} is less than 1Mi", self.max_size));
        }
        // A server that is asked may take as long again.
        if self.stale_after.0 <= self.inactivity_probe.0 * 2 {
            return refuse(format!(
                "staleAfter: {} is not more than twice southbound.inactivityProbe, {}: a quiet database would be stale",
                self.stale_after, self.inactivity_probe
            ));
        }
        Ok(())
    }
}

fn parse(from: &'static str, list: Option<&str>) -> Result<Option<Endpoints>, Refusal> {
    list.map(|list| Endpoints::parse(from, list))
        .transpose()
        .map_err(|error| Refusal::Combination(error.to_string()))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn what_can_not_be_had_together_is_refused() {
        for (text, expect) in [
            (
                "{endpoints: 'ssl:ovn-sb:6642'}",
                "southbound.caFile: is not set, and ssl:ovn-sb:6642 needs it",
            ),
            (
                "{certFile: /tls/cert}",
                "southbound.keyFile: is not set, and southbound.certFile, /tls/cert, needs it",
            ),
            (
                "{keyFile: /tls/key}",
                "southbound.certFile: is not set, and southbound.keyFile, /tls/key, needs it",
            ),
            (
                "{staleAfter: 20s}",
                "southbound.staleAfter: 20s is not more than twice southbound.inactivityProbe, 10s: a quiet database would be stale",
            ),
            (
                "{endpoints: 'tcp:ovn-sb:6642', probe: {endpoints: 'ssl:ovn-nb:6641'}}",
                "southbound.caFile: is not set, and ssl:ovn-nb:6641 needs it",
            ),
            (
                "{maxSize: 1023Ki}",
                "southbound.maxSize: 1023Ki is less than 1Mi",
            ),
            (
                "{probe: {interval: 500ms}}",
                "southbound.probe.interval: 500ms is not from 1s to 5m",
            ),
            (
                "{endpoints: 'tcp:ovn-sb'}",
                "southbound.endpoints, --ovn-sb \"tcp:ovn-sb\": a port is missing; ovn's southbound database is usually on 6642, its northbound on 6641",
            ),
            (
                "{endpoints: ''}",
                "southbound.endpoints, --ovn-sb \"\": an endpoint is missing; use tcp:HOST:PORT, ssl:HOST:PORT or unix:PATH",
            ),
            (
                "{probe: {endpoints: 'http://a'}}",
                "southbound.probe.endpoints, --ovn-nb \"http://a\": an endpoint begins with tcp:, ssl: or unix:, as in tcp:ovn-sb:6642",
            ),
            (
                "{onStale: reject}",
                "southbound.onStale: \"reject\" is not one of Ignore, Reject (did you mean Reject?)",
            ),
        ] {
            let refusal = Config::parse(&format!("southbound: {text}")).unwrap_err();
            assert_eq!(refusal.to_string(), expect);
        }
        let unheard = "southbound: {probe: {endpoints: 'tcp:ovn-nb:6641'}}";
        let refusal = Config::parse(unheard).unwrap().southbound.check_whole();
        assert_eq!(
            refusal.unwrap_err().to_string(),
            "southbound.endpoints, --ovn-sb: is not set, and southbound.probe.endpoints, --ovn-nb, tcp:ovn-nb:6641, needs it: the answers are there"
        );
        let good = "{endpoints: 'tcp:a:6642,ssl:b:6642,unix:/c', caFile: /tls/ca, probe: {endpoints: 'ssl:a:6641'}}";
        assert!(Config::parse(&format!("southbound: {good}")).is_ok());
    }
}

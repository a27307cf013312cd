//! Certificates that berth manages by itself.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Refusal;
use super::names::{ObjectName, is_label};
use super::units::Lifetime;
use crate::tls::HostName;

/// Certificates that berth makes, in a Secret that its replicas share.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Managed {
    /// The Secret in berth's namespace that all replicas share. berth creates it if it is missing
    /// and if RBAC allows that. Setting it turns this section on.
    pub secret_name: Option<ObjectName>,
    /// Allow berth to write this Secret and the `caBundle` fields with `--kubeconfig`. Without it,
    /// berth refuses to start with that combination.
    pub outside_pod: bool,
    /// The Service in front of berth. The certificate contains its names in the cluster.
    pub service: ObjectName,
    /// More names for the certificate: DNS names and IP addresses, such as a fixed cluster IP.
    pub extra_names: Vec<HostName>,
    /// The names of the webhook configurations, mutating and validating, in which berth keeps the
    /// `caBundle` of every webhook current. A validating one may be absent.
    pub webhook_configurations: Vec<ObjectName>,
    /// How long a certificate is valid, from 6h to 365d. berth replaces it after two thirds of this
    /// time.
    pub leaf_lifetime: Lifetime,
    /// How long a CA is valid. After two thirds of this time berth adds its successor to the
    /// trusted CAs, and after five sixths the successor signs: restart kube-scheduler with the new
    /// `ca.crt` in between.
    pub ca_lifetime: Lifetime,
}

impl Default for Managed {
    fn default() -> Self {
        Self {
            secret_name: None,
            outside_pod: false,
            service: ObjectName::berth(),
            extra_names: Vec::new(),
            webhook_configurations: vec![ObjectName::berth()],
            leaf_lifetime: Lifetime::days(30),
            ca_lifetime: Lifetime::days(3650),
        }
    }
}

/// A third of it is left when it is renewed, which has to be much longer than clocks are off and
/// an API server is away.
const SHORTEST_LEAF: Duration = Duration::from_hours(6);

/// What renews by itself has no need to last.
const LONGEST_LEAF: Lifetime = Lifetime::days(365);

/// A CA signs to five sixths of its life, and its last leaf has to end within it.
const LEAVES_PER_CA: u32 = 6;

impl Managed {
    /// Refuses values that are out of range or contradict each other.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let Self {
            secret_name: _,
            outside_pod: _,
            service,
            extra_names: _,
            webhook_configurations: _,
            leaf_lifetime: leaf,
            ca_lifetime: ca,
        } = self;
        let refuse = |text: String| Err(Refusal::Combination(text));
        if !is_label(service.as_str()) {
            return refuse(format!(
                "tls.managed.service: {service} is not the name of a Service: it has no dots, and up to 63 characters"
            ));
        }
        if leaf.0 < SHORTEST_LEAF || LONGEST_LEAF < *leaf {
            return refuse(format!(
                "tls.managed.leafLifetime: {leaf} is not from {} to {LONGEST_LEAF}",
                Lifetime(SHORTEST_LEAF)
            ));
        }
        if ca.0 < leaf.0 * LEAVES_PER_CA {
            return refuse(format!(
                "tls.managed.caLifetime: {ca} is less than {LEAVES_PER_CA} times tls.managed.leafLifetime, {leaf}: the ca could not be replaced in time"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    #[test]
    fn what_is_refused_is_named_by_path_and_value() {
        for (text, expect) in [
            (
                "tls: {managed: {secretName: Berth}}",
                "tls.managed.secretName: \"Berth\" is not the name of an object: use lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit, up to 253 characters",
            ),
            (
                "tls: {managed: {service: a.b}}",
                "tls.managed.service: a.b is not the name of a Service: it has no dots, and up to 63 characters",
            ),
            (
                "tls: {managed: {extraNames: [\"https://a\"]}}",
                "tls.managed.extraNames[0]: \"https://a\" is not a DNS name or an IP address, such as berth.example.com or 10.96.0.77",
            ),
            (
                "tls: {managed: {leafLifetime: 10}}",
                "tls.managed.leafLifetime: 10 is not a duration above zero and up to 36500d, such as 30d or 12h",
            ),
            (
                "tls: {managed: {leafLifetime: 1h}}",
                "tls.managed.leafLifetime: 1h is not from 6h to 365d",
            ),
            (
                "tls: {managed: {leafLifetime: 400d}}",
                "tls.managed.leafLifetime: 400d is not from 6h to 365d",
            ),
            (
                "tls: {managed: {caLifetime: 90d}}",
                "tls.managed.caLifetime: 90d is less than 6 times tls.managed.leafLifetime, 30d: the ca could not be replaced in time",
            ),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert_eq!(error, expect, "{text}");
        }
    }
}

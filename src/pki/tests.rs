//! Tables of the pure parts, and a model of several replicas at one API server.

mod bundles;
mod decisions;
mod model;
mod rounds;
mod secrets;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use json_patch::Patch;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::bundle::{Configuration, ConfigurationId, ConfigurationKind, Seen};
use super::change::{Change, IssueReason};
use super::contents::{self, Part};
use super::decide::CertificatePolicy;
use super::issue::carry_out;
use super::state::State;
use super::store::WriteError;
use super::x509::Id;
use super::{Now, Source};
use crate::tls::HostName;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// 2026-11-21T00:00:00Z.
fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(498_672)
}

fn mk_policy() -> CertificatePolicy {
    CertificatePolicy {
        names: [
            HostName::parse("berth.ns.svc").unwrap(),
            HostName::parse("127.0.0.1").unwrap(),
        ]
        .into(),
        leaf_lifetime: 30 * DAY,
        ca_lifetime: 3600 * DAY,
        jitter: 0.0,
    }
}

fn mk_now(at: SystemTime) -> Now {
    let by = Source::ApiServer;
    Now { at, by }
}

/// A CA and a leaf of it, made at `at`.
fn mk_state(at: SystemTime) -> State {
    let first = [
        Change::MakeSigner(IssueReason::First),
        Change::IssueLeaf(IssueReason::First, mk_policy().names),
    ];
    carry_out(&first, State::default(), &mk_policy(), at).unwrap()
}

/// The same with further changes, made at `at`.
fn mk_changed(state: &State, changes: &[Change], at: SystemTime) -> State {
    carry_out(changes, state.clone(), &mk_policy(), at).unwrap()
}

fn mk_secret(state: &State) -> Secret {
    contents::write(state, None, "ns", "berth-tls")
}

/// A Secret with something else in one of its parts.
fn mk_secret_with(state: &State, part: Part, bytes: Option<&[u8]>) -> Secret {
    let mut secret = mk_secret(state);
    let data = secret.data.as_mut().unwrap();
    match bytes {
        Some(bytes) => data.insert(part.name().to_owned(), ByteString(bytes.to_vec())),
        None => data.remove(part.name()),
    };
    secret
}

/// A webhook configuration of this version, with these webhooks and bundles.
fn mk_configuration(
    version: &str,
    webhooks: &[(&str, Option<&str>)],
) -> MutatingWebhookConfiguration {
    let webhooks = webhooks.iter().map(|(name, bundle)| MutatingWebhook {
        name: (*name).to_owned(),
        client_config: WebhookClientConfig {
            ca_bundle: bundle.map(|bundle| ByteString(bundle.as_bytes().to_vec())),
            ..WebhookClientConfig::default()
        },
        ..MutatingWebhook::default()
    });
    MutatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some("berth".to_owned()),
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        },
        webhooks: Some(webhooks.collect()),
    }
}

/// The validating configuration with the same webhooks.
fn mk_validating(configuration: &MutatingWebhookConfiguration) -> ValidatingWebhookConfiguration {
    let webhooks = configuration.webhooks.iter().flatten();
    let webhooks = webhooks.map(|webhook| ValidatingWebhook {
        name: webhook.name.clone(),
        client_config: webhook.client_config.clone(),
        ..ValidatingWebhook::default()
    });
    ValidatingWebhookConfiguration {
        metadata: configuration.metadata.clone(),
        webhooks: Some(webhooks.collect()),
    }
}

fn mk_id(kind: ConfigurationKind) -> ConfigurationId {
    let name = "berth".to_owned();
    ConfigurationId { kind, name }
}

fn mk_seen(configuration: &MutatingWebhookConfiguration) -> Seen {
    Seen::There(Configuration::from(configuration))
}

/// What a bundle of these trusts, in PEM.
fn pem(ids: &[&Id]) -> String {
    ids.iter().map(|id| id.pem()).collect()
}

/// What the API server has.
struct Api {
    secret: Option<Secret>,
    configuration: Option<MutatingWebhookConfiguration>,
    version: u64,
}

impl Api {
    fn read(&self) -> Option<Configuration> {
        self.configuration.as_ref().map(Configuration::from)
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// Stores the Secret, if what is there has the version that was read.
    fn write(&mut self, secret: &Secret) -> Result<(), WriteError> {
        let stored = self.secret.as_ref().map(|secret| &secret.metadata);
        let is_current = match stored {
            Some(stored) => *stored == secret.metadata,
            None => secret.metadata.resource_version.is_none(),
        };
        if !is_current {
            return Err(WriteError::Conflict);
        }
        let mut secret = secret.clone();
        secret.metadata.resource_version = Some(self.next_version());
        self.secret = Some(secret);
        Ok(())
    }

    /// Patches the configuration, if the tests of the patch hold.
    fn patch(&mut self, patch: &Patch) -> Result<Option<Configuration>, WriteError> {
        let Some(configuration) = &self.configuration else {
            return Ok(None);
        };
        let mut value = serde_json::to_value(configuration).unwrap();
        if json_patch::patch(&mut value, patch).is_err() {
            return Err(WriteError::Conflict);
        }
        let mut patched: MutatingWebhookConfiguration = serde_json::from_value(value).unwrap();
        patched.metadata.resource_version = Some(self.next_version());
        let read = Configuration::from(&patched);
        self.configuration = Some(patched);
        Ok(Some(read))
    }
}

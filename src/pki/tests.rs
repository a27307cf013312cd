//! Tables of the pure parts, and a model of several replicas at one API server.

mod bundles;
mod decisions;
mod model;
mod rounds;
mod secrets;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::contents::{self, Part, State};
use super::decide::{Change, Policy, Why};
use super::issue::carry_out;
use super::x509::Id;
use super::{Now, Source};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// 2026-11-21T00:00:00Z.
fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(498_672)
}

fn mk_policy() -> Policy {
    Policy {
        names: [
            "berth.ns.svc".parse().unwrap(),
            "127.0.0.1".parse().unwrap(),
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
        Change::MakeSigner(Why::First),
        Change::IssueLeaf(Why::First, mk_policy().names),
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

/// What a bundle of these trusts, in PEM.
fn pem(ids: &[&Id]) -> String {
    ids.iter().map(|id| id.pem()).collect()
}

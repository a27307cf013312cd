//! Single rounds of one replica at an API server that only answers.

use std::time::SystemTime;

use futures_util::FutureExt;
use json_patch::Patch;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;

use super::super::Now;
use super::super::bundle::{Configuration, ConfigurationId, ConfigurationKind};
use super::super::error::{FailedRequest, Object, PkiError, Verb};
use super::super::event::Event;
use super::super::round::{Replica, Task};
use super::super::state::Leaf;
use super::super::store::{ApiServer, WriteError};
use super::{
    Api, DAY, mk_configuration, mk_id, mk_now, mk_policy, mk_secret, mk_state, mk_validating, pem,
    start,
};
use crate::api::{self, Fault};

/// What came of a round.
#[derive(Debug, Default)]
struct Done {
    served: Option<Leaf>,
    wrote_secret: Option<Secret>,
    published: Vec<String>,
    said: Vec<String>,
}

/// An API server that answers at once, and takes whatever is written.
struct Immediate {
    api: Api,
    validating: Validating,
    at: SystemTime,
    done: Done,
}

/// What there is of the validating configuration, or why it can't be read.
type Validating = Result<Option<ValidatingWebhookConfiguration>, api::Cause>;

fn failed_read(id: &ConfigurationId, cause: api::Cause) -> PkiError {
    let request = FailedRequest {
        verb: Verb::Get,
        object: Object::Configuration(id.clone()),
        fault: Fault::new(cause, "no"),
    };
    match cause {
        api::Cause::Forbidden => PkiError::Forbidden(request),
        _ => PkiError::Unreachable(request),
    }
}

impl ApiServer for Immediate {
    fn now(&self) -> Now {
        mk_now(self.at)
    }

    async fn read_configuration(
        &mut self,
        id: &ConfigurationId,
    ) -> Result<Option<Configuration>, PkiError> {
        match id.kind {
            ConfigurationKind::Mutating => Ok(self.api.read()),
            ConfigurationKind::Validating => match &self.validating {
                Ok(found) => Ok(found.as_ref().map(Configuration::from)),
                Err(cause) => Err(failed_read(id, *cause)),
            },
        }
    }

    async fn read_secret(&mut self) -> Result<Option<Secret>, PkiError> {
        Ok(self.api.secret.clone())
    }

    async fn write_secret(&mut self, secret: &Secret) -> Result<(), WriteError> {
        self.done.wrote_secret = Some(secret.clone());
        Ok(())
    }

    async fn patch_configuration(
        &mut self,
        id: &ConfigurationId,
        patch: Patch,
    ) -> Result<Option<Configuration>, WriteError> {
        self.done.published.push(id.to_string());
        match id.kind {
            ConfigurationKind::Mutating => self.api.patch(&patch),
            ConfigurationKind::Validating => {
                let found = self.validating.clone().ok().flatten();
                let mut value = serde_json::to_value(found.unwrap()).unwrap();
                json_patch::patch(&mut value, &patch).unwrap();
                let patched = serde_json::from_value(value).unwrap();
                let read = Configuration::from(&patched);
                self.validating = Ok(Some(patched));
                Ok(Some(read))
            }
        }
    }
}

fn mk_replica() -> Replica {
    Replica::new(Task {
        namespace: "ns".to_owned(),
        secret: "berth-tls".to_owned(),
        configurations: ConfigurationKind::ALL
            .iter()
            .map(|&kind| mk_id(kind))
            .collect(),
        policy: mk_policy(),
    })
}

/// A whole round at an API server that has these, and takes whatever is written.
fn round(
    replica: &mut Replica,
    secret: Option<&Secret>,
    configuration: Option<&MutatingWebhookConfiguration>,
    at: SystemTime,
) -> Done {
    round_with(replica, secret, configuration, Ok(None), at)
}

/// The same where there is a validating configuration, or may be one.
fn round_with(
    replica: &mut Replica,
    secret: Option<&Secret>,
    configuration: Option<&MutatingWebhookConfiguration>,
    validating: Validating,
    at: SystemTime,
) -> Done {
    let mut immediate = Immediate {
        api: Api {
            secret: secret.cloned(),
            configuration: configuration.cloned(),
            version: 100,
        },
        validating,
        at,
        done: Done::default(),
    };
    let mut served = None;
    let mut serve = |leaf: &Leaf, _| {
        served = Some(leaf.clone());
        true
    };
    let round = replica.round(&mut immediate, &mut serve).now_or_never();
    assert!(round.is_some(), "nothing is waited for");
    let events = replica.events().into_iter();
    let said = events.filter_map(|event| match event {
        Event::Failed(error) => Some(format!("{}: {error}", error.label())),
        Event::Absent { configuration } => Some(format!("absent: {configuration}")),
        Event::Wrote { .. } | Event::Published { .. } | Event::Holds { .. } => None,
    });
    Done {
        served,
        said: said.collect(),
        ..immediate.done
    }
}

#[test]
fn an_empty_secret_that_the_manifests_bring_is_filled_and_keeps_what_they_say_of_it() {
    let mut shipped = mk_secret(&mk_state(start()));
    shipped.data = None;
    shipped.metadata.resource_version = Some("7".to_owned());
    let labels = shipped.metadata.labels.get_or_insert_default();
    labels.insert("app.kubernetes.io/part-of".to_owned(), "berth".to_owned());
    let configuration = mk_configuration("1", &[("vmi", None)]);
    let done = round(
        &mut mk_replica(),
        Some(&shipped),
        Some(&configuration),
        start(),
    );
    let written = done.wrote_secret.unwrap();
    assert_eq!(written.metadata, shipped.metadata);
    assert_eq!(written.type_, shipped.type_);
    assert!(
        written
            .data
            .is_some_and(|data| data.contains_key("tls.crt"))
    );
    assert!(
        done.served.is_some() && done.said.is_empty(),
        "{:?}",
        done.said
    );
}

#[test]
fn an_immutable_secret_is_served_while_it_is_valid_and_never_written() {
    let mut secret = mk_secret(&mk_state(start()));
    secret.immutable = Some(true);
    let configuration = mk_configuration("1", &[("vmi", None)]);
    let mut replica = mk_replica();
    let until = "read_only_secret: secret ns/berth-tls is immutable: its certificate is served until it expires at 2026-12-21T00:00:00Z, and can't be renewed; delete the secret and apply berth's manifests again, and berth writes the same CAs into the new one";
    let done = round(&mut replica, Some(&secret), Some(&configuration), start());
    assert!(done.served.is_some() && done.published.len() == 1);
    assert_eq!(
        (done.wrote_secret, &done.said[..]),
        (None, &[until.to_owned()][..])
    );
    // When it is due for renewal it goes on.
    let done = round(
        &mut replica,
        Some(&secret),
        Some(&configuration),
        start() + 25 * DAY,
    );
    assert_eq!(
        (done.wrote_secret, &done.said[..]),
        (None, &[until.to_owned()][..])
    );

    let expect = "immutable_secret: secret ns/berth-tls is immutable, and holds no certificate that can be served: delete it and apply berth's manifests again, and berth fills the new one";
    let after = start() + 31 * DAY;
    let done = round(
        &mut mk_replica(),
        Some(&secret),
        Some(&configuration),
        after,
    );
    assert!(done.served.is_none());
    assert_eq!(
        (done.wrote_secret, &done.said[..]),
        (None, &[expect.to_owned()][..])
    );
    secret.data = None;
    let done = round(
        &mut mk_replica(),
        Some(&secret),
        Some(&configuration),
        start(),
    );
    assert!(done.served.is_none());
    assert_eq!(
        (done.wrote_secret, &done.said[..]),
        (None, &[expect.to_owned()][..])
    );
}

#[test]
fn a_secret_made_anew_after_an_immutable_one_has_the_same_ca() {
    let state = mk_state(start());
    let mut secret = mk_secret(&state);
    secret.immutable = Some(true);
    let configuration = mk_configuration("1", &[("vmi", None)]);
    let mut replica = mk_replica();
    round(&mut replica, Some(&secret), Some(&configuration), start());
    secret.immutable = None;
    secret.data = None;
    let done = round(&mut replica, Some(&secret), Some(&configuration), start());
    assert_eq!(done.wrote_secret.unwrap().data, mk_secret(&state).data);
}

#[test]
fn a_configuration_that_is_not_there_is_named_once_until_it_is() {
    let secret = mk_secret(&mk_state(start()));
    let configuration = mk_configuration("1", &[("vmi", None)]);
    let mut replica = mk_replica();
    let mut said = |configuration: Option<&MutatingWebhookConfiguration>| {
        round(&mut replica, Some(&secret), configuration, start()).said
    };
    assert_eq!(said(None), ["absent: berth"]);
    assert_eq!(said(None), [""; 0]);
    assert_eq!(said(Some(&configuration)), [""; 0]);
    assert_eq!(said(None), ["absent: berth"]);
}

#[test]
fn the_validating_configuration_comes_to_trust_the_same_ca() {
    let state = mk_state(start());
    let secret = mk_secret(&state);
    let trusted = pem(&[&state.bundle[0].authority.id]);
    let empty = mk_configuration("1", &[("one", None)]);
    let full = mk_configuration("1", &[("one", Some(&trusted))]);
    for (mutating, validating, published) in [
        (Some(&empty), Some(&empty), &["mutating", "validating"][..]),
        (Some(&full), Some(&empty), &["validating"]),
        (Some(&full), Some(&full), &[]),
        (Some(&full), None, &[]),
        (None, Some(&empty), &["validating"]),
    ] {
        let done = round_with(
            &mut mk_replica(),
            Some(&secret),
            mutating,
            Ok(validating.map(mk_validating)),
            start(),
        );
        let expect: Vec<String> = published
            .iter()
            .map(|kind| format!("{kind}webhookconfiguration berth"))
            .collect();
        assert_eq!(done.published, expect);
        assert!(done.served.is_some());
    }
}

#[test]
fn a_validating_configuration_that_may_not_be_read_keeps_no_certificate_from_being_served() {
    let secret = mk_secret(&mk_state(start()));
    let configuration = mk_configuration("1", &[("vmi", None)]);
    let forbidden = "forbidden: not allowed to get validatingwebhookconfigurations.admissionregistration.k8s.io berth: apply the ClusterRole berth-webhook of berth's manifests, and see that its binding names berth's service account (no)";
    let unreachable = "unreachable: cannot get validatingwebhookconfiguration berth: no";
    for (cause, is_served, said) in [
        (api::Cause::Forbidden, true, forbidden),
        // Whether it trusts the CA is not known.
        (api::Cause::Connection, false, unreachable),
    ] {
        let done = round_with(
            &mut mk_replica(),
            Some(&secret),
            Some(&configuration),
            Err(cause),
            start(),
        );
        assert_eq!(done.served.is_some(), is_served, "{said}");
        assert_eq!(done.said, [said]);
    }
}

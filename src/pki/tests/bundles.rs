//! Patches of webhook configurations, applied as an API server does.

use std::collections::BTreeSet;
use std::time::SystemTime;

use json_patch::Patch;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use serde_json::Value;

use super::super::bundle::{
    Configuration, ConfigurationKind, LEFT_ALONE, ObservedBundles, SETTLE, Seen,
};
use super::super::decide::Published;
use super::super::x509::Id;
use super::{HOUR, mk_configuration, mk_id, mk_seen, mk_state, pem, start};

fn mk_ids() -> [Id; 3] {
    [0, 1, 2].map(|_| mk_state(start()).bundle[0].authority.id.clone())
}

fn apply(patch: &Patch, to: &MutatingWebhookConfiguration) -> Option<MutatingWebhookConfiguration> {
    let mut value: Value = serde_json::to_value(to).unwrap();
    json_patch::patch(&mut value, patch).ok()?;
    Some(serde_json::from_value(value).unwrap())
}

fn bundles(configuration: &MutatingWebhookConfiguration) -> Vec<Option<String>> {
    let webhooks = configuration.webhooks.iter().flatten();
    webhooks
        .map(|webhook| {
            let bundle = webhook.client_config.ca_bundle.as_ref()?;
            Some(String::from_utf8(bundle.0.clone()).unwrap())
        })
        .collect()
}

fn sighted(configuration: &MutatingWebhookConfiguration, wanted: &[Id]) -> ObservedBundles {
    let mut observed = ObservedBundles::default();
    observed.observe(&[mk_seen(configuration)], wanted, start());
    observed
}

/// What each webhook trusts after the patch; `None` without a patch.
fn patched(
    configuration: &MutatingWebhookConfiguration,
    wanted: &[Id],
    at: SystemTime,
) -> Option<Vec<Option<String>>> {
    let strays = sighted(configuration, wanted).strays(&mk_id(ConfigurationKind::Mutating), at);
    let patch = Configuration::from(configuration).patch(wanted, &strays)?;
    let after = apply(&patch, configuration).unwrap();
    // Once is enough.
    assert_eq!(Configuration::from(&after).patch(wanted, &strays), None);
    // Nothing else changes.
    let mut others = after.clone();
    for (own, other) in others
        .webhooks
        .iter_mut()
        .flatten()
        .zip(configuration.webhooks.iter().flatten())
    {
        own.client_config
            .ca_bundle
            .clone_from(&other.client_config.ca_bundle);
    }
    assert_eq!(others, *configuration);
    Some(bundles(&after))
}

#[test]
fn every_webhook_comes_to_trust_what_is_wanted() {
    let [a, b, foreign] = &mk_ids();
    let both = [a.clone(), b.clone()];
    let (one, two, three) = (pem(&[a]), pem(&[a, b]), pem(&[a, b, foreign]));
    for (webhooks, expect) in [
        // Never filled, cleared, one of two, with junk in it.
        (vec![None, None], Some(vec![&two, &two])),
        (vec![Some(""), Some(&two)], Some(vec![&two, &two])),
        (vec![Some(&*one), None], Some(vec![&two, &two])),
        (vec![Some("junk"), Some(&*one)], Some(vec![&two, &two])),
        // Right as it is, in any order and with any text around.
        (vec![Some(&*two), Some(&*pem(&[b, a]))], None),
        (vec![Some(&*format!("# CA\n{two}\n")), Some(&*two)], None),
        (vec![], None),
        // A foreign CA stays for a while.
        (vec![Some(&*pem(&[foreign]))], Some(vec![&three])),
        (vec![Some(&*three)], None),
    ] {
        let webhooks: Vec<_> = webhooks
            .into_iter()
            .zip(["vmi", "template"])
            .map(|(bundle, name)| (name, bundle))
            .collect();
        let configuration = mk_configuration("7", &webhooks);
        let expect = expect.map(|all| all.into_iter().cloned().map(Some).collect::<Vec<_>>());
        assert_eq!(
            patched(&configuration, &both, start()),
            expect,
            "{webhooks:?}"
        );
    }
}

#[test]
fn a_foreign_ca_is_left_alone_for_a_while_and_junk_is_not() {
    let [a, b, foreign] = &mk_ids();
    let wanted = [a.clone(), b.clone()];
    let bundle = pem(&[a, b, foreign]);
    let configuration = mk_configuration("7", &[("vmi", Some(&bundle))]);
    let almost = start() + LEFT_ALONE - HOUR / 60;
    assert_eq!(patched(&configuration, &wanted, almost), None);
    let expect = Some(vec![Some(pem(&[a, b]))]);
    assert_eq!(
        patched(&configuration, &wanted, start() + LEFT_ALONE),
        expect
    );

    let damaged = bundle.clone() + "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n";
    let configuration = mk_configuration("7", &[("vmi", Some(&damaged))]);
    let expect = Some(vec![Some(bundle)]);
    assert_eq!(patched(&configuration, &wanted, start()), expect);
}

#[test]
fn a_ca_that_was_a_stray_and_is_wanted_stands_there_once() {
    let [a, b, _] = &mk_ids();
    let configuration = mk_configuration("7", &[("vmi", Some(&pem(&[b])))]);
    let strays = sighted(&configuration, &[]).strays(&mk_id(ConfigurationKind::Mutating), start());
    assert!(strays.contains(b));
    let wanted = [a.clone(), b.clone()];
    let patch = Configuration::from(&configuration).patch(&wanted, &strays);
    let after = apply(&patch.unwrap(), &configuration).unwrap();
    assert_eq!(bundles(&after), [Some(pem(&[a, b]))]);
}

#[test]
fn a_patch_fits_only_what_was_read() {
    let [a, ..] = &mk_ids();
    let read = mk_configuration("7", &[("vmi", None), ("template", None)]);
    let patch = Configuration::from(&read)
        .patch(std::slice::from_ref(a), &BTreeSet::new())
        .unwrap();
    for (changed, fits) in [
        (&[("vmi", None), ("template", None)][..], true),
        (&[("template", None), ("vmi", None)], false),
        (&[("new", None), ("vmi", None), ("template", None)], false),
        (&[("vmi", None)], false),
    ] {
        let same_version = apply(&patch, &mk_configuration("7", changed));
        assert_eq!(same_version.is_some(), fits, "{changed:?}");
        assert_eq!(apply(&patch, &mk_configuration("8", changed)), None);
    }
}

#[test]
fn what_all_webhooks_of_all_configurations_trust_is_published_after_a_while() {
    let [a, b, _] = &mk_ids();
    let [one, both] = [pem(&[a]), pem(&[a, b])];
    let there = |webhooks: &[(&str, Option<&str>)]| mk_seen(&mk_configuration("7", webhooks));
    let only = |ids: &[&Id]| Published::These(ids.iter().copied().cloned().collect());
    for (seen, expect) in [
        (vec![], Published::Everything),
        (vec![Seen::Absent], Published::Everything),
        (vec![there(&[])], Published::Everything),
        (vec![Seen::Unknown], only(&[])),
        (vec![there(&[("vmi", None)])], only(&[])),
        (vec![there(&[("vmi", Some(&both))])], only(&[a, b])),
        (
            vec![there(&[("vmi", Some(&both)), ("template", Some(&one))])],
            only(&[a]),
        ),
        (
            vec![
                there(&[("vmi", Some(&both))]),
                there(&[("other", Some(&one))]),
            ],
            only(&[a]),
        ),
        (
            vec![there(&[("vmi", Some(&both))]), Seen::Absent],
            only(&[a, b]),
        ),
        (
            vec![there(&[("vmi", Some(&both))]), Seen::Unknown],
            only(&[]),
        ),
    ] {
        let mut observed = ObservedBundles::default();
        observed.observe(&seen, &[], start());
        assert_eq!(observed.published(start(), true), expect, "{seen:?}");
        if expect != Published::Everything {
            assert_eq!(observed.published(start(), false), only(&[]), "{seen:?}");
        }
        // Later looks do not begin the time anew.
        observed.observe(&seen, &[], start() + SETTLE);
        assert_eq!(
            observed.published(start() + SETTLE, false),
            expect,
            "{seen:?}"
        );
        // Somebody takes it away in between.
        observed.observe(&[there(&[("vmi", None)])], &[], start() + SETTLE);
        observed.observe(&[there(&[("vmi", Some(&both))])], &[], start() + SETTLE);
        assert_eq!(observed.published(start() + SETTLE, false), only(&[]));
    }
}

#[test]
fn another_manager_of_the_bundle_is_seen() {
    let mut configuration = mk_configuration("7", &[("vmi", None)]);
    assert_eq!(Configuration::from(&configuration).contested, None);
    let annotation = "cert-manager.io/inject-ca-from".to_owned();
    configuration.metadata.annotations = Some([(annotation.clone(), "ns/berth".to_owned())].into());
    assert_eq!(
        Configuration::from(&configuration).contested,
        Some(annotation)
    );
}

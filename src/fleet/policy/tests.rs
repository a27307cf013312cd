//! Tests of migration policies.

use serde_json::{Value, from_value, json};

use super::*;
use crate::fleet::model::{KubeVirt, MigrationPolicy};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// A fleet whose KubeVirt CR has these settings of migrations, and these policies by name.
fn fleet(migrations: &Value, policies: &[(&str, Value)]) -> Fleet {
    let kubevirt = json!({"spec": {"configuration": {"migrations": migrations}}});
    let read = |(name, spec): &(&str, Value)| {
        let policy: MigrationPolicy = from_value(json!({"spec": spec})).unwrap();
        ((*name).to_owned(), policy)
    };
    Fleet {
        kubevirt: Some(from_value::<KubeVirt>(kubevirt).unwrap()),
        policies: policies.iter().map(read).collect(),
        namespaces: [("shop".to_owned(), labels(&[("tier", "gold")]))].into(),
        ..Fleet::default()
    }
}

#[test]
fn the_policy_with_the_most_labels_applies() {
    let selectors = |vmi: Value, namespace: Value| json!({"selectors": {"virtualMachineInstanceSelector": vmi, "namespaceSelector": namespace}});
    let fleet = fleet(
        &json!({}),
        &[
            ("a-everything", json!({"selectors": {}})),
            ("b-no-selectors", json!({})),
            ("c-app", selectors(json!({"app": "web"}), json!({}))),
            ("d-tier", selectors(json!({}), json!({"tier": "gold"}))),
            ("e-zone", selectors(json!({"zone": "1"}), json!({}))),
            (
                "f-both",
                selectors(json!({"zone": "2"}), json!({"tier": "gold"})),
            ),
            (
                "g-silver",
                selectors(json!({"app": "web"}), json!({"tier": "silver"})),
            ),
        ],
    );
    for (namespace, vmi, expect) in [
        ("shop", &[("app", "web")][..], "c-app"),
        ("shop", &[("app", "web"), ("zone", "1")], "c-app"),
        ("shop", &[("app", "db")], "d-tier"),
        ("shop", &[("app", "web"), ("zone", "2")], "f-both"),
        ("other", &[("app", "db")], "a-everything"),
        ("shop", &[], "a-everything"),
    ] {
        let found = findings(&fleet, namespace, &labels(vmi));
        let messages: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
        assert_eq!(
            messages,
            [format!("a migration policy applies: {expect}")],
            "{namespace} {vmi:?}"
        );
    }
}

#[test]
fn the_settings_of_a_policy_are_named() {
    let spec = json!({
        "selectors": {},
        "allowPostCopy": true,
        "allowAutoConverge": false,
        "bandwidthPerMigration": "64Mi",
        "completionTimeoutPerGiB": 800,
    });
    let found = findings(
        &fleet(&json!({}), &[("slow", spec)]),
        "shop",
        &Labels::new(),
    );
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].message,
        "a migration policy applies: slow (post-copy, no auto-converge, 64Mi/s, 800 s for each GiB)"
    );
}

#[test]
fn a_bandwidth_at_which_no_migration_ends_in_time_is_found() {
    let too_low = |text: &str| {
        Some(format!(
            "the bandwidth limit is too low for the completion timeout: {text}"
        ))
    };
    for (cr, policy, expect) in [
        (json!({}), json!({}), None),
        (json!({"bandwidthPerMigration": "0"}), json!({}), None),
        // 150 s for each GiB are 6.8 MiB in a second.
        (json!({"bandwidthPerMigration": "7Mi"}), json!({}), None),
        (
            json!({"bandwidthPerMigration": "6Mi"}),
            json!({}),
            too_low("6Mi/s, 150 s for each GiB, of which 900 MiB are copied"),
        ),
        (
            json!({"bandwidthPerMigration": "6Mi"}),
            json!({"completionTimeoutPerGiB": 171}),
            None,
        ),
        (
            json!({"bandwidthPerMigration": "64Mi", "completionTimeoutPerGiB": 20}),
            json!({"bandwidthPerMigration": "32Mi"}),
            too_low("32Mi/s, 20 s for each GiB, of which 640 MiB are copied"),
        ),
        (
            json!({"bandwidthPerMigration": "6Mi", "allowPostCopy": true}),
            json!({}),
            None,
        ),
        (
            json!({"bandwidthPerMigration": "6Mi"}),
            json!({"allowWorkloadDisruption": true}),
            None,
        ),
        (
            json!({"bandwidthPerMigration": "6Mi", "allowPostCopy": true}),
            json!({"allowPostCopy": false}),
            too_low("6Mi/s, 150 s for each GiB, of which 900 MiB are copied"),
        ),
        (
            json!({"bandwidthPerMigration": "6Mi", "allowWorkloadDisruption": true}),
            json!({"allowPostCopy": false}),
            too_low("6Mi/s, 150 s for each GiB, of which 900 MiB are copied"),
        ),
    ] {
        let mut spec = policy.clone();
        spec["selectors"] = json!({});
        let found = findings(&fleet(&cr, &[("p", spec)]), "shop", &Labels::new());
        let slow = found.get(1).map(|found| found.message.clone());
        assert_eq!(slow, expect, "{cr} {policy}");
    }
}

//! Reviews of migrations of any bytes against the cluster of the captures: an error, or a reply whose lines
//! are short and hold no control character, and that refuses no migration that KubeVirt makes by itself.
#![no_main]

use berth::decide::admit::Outcome;
use berth::decide::policy::{MigrationAdmission, Policy, WhenUnseen};
use berth::domain::Provider;
use berth::escape::is_control;
use berth::http::validate;
use berth_fuzz::captured_cluster;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // No node passes where the agents of the other provider are required.
    let policy = Policy {
        provider: Provider::ALL[data.len() % Provider::ALL.len()],
        when_unseen: WhenUnseen::Exclude,
        migration_admission: MigrationAdmission::Deny,
        ..Policy::default()
    };
    let Ok(answer) = validate(text, &captured_cluster(), &policy, None) else {
        return;
    };
    let reply: Value = serde_json::from_slice(&answer.json).expect("a reply is JSON");
    let response = &reply["response"];
    let is_denied = answer.outcome == Outcome::Denied;
    assert_eq!(response["allowed"], !is_denied);
    let lines = response["warnings"].as_array().into_iter().flatten();
    for line in lines.filter_map(Value::as_str) {
        assert!(line.chars().count() <= 256, "{line:?}");
        assert!(!line.chars().any(is_control), "{line:?}");
    }
    let message = response["status"]["message"].as_str().unwrap_or_default();
    assert!(!message.chars().any(is_control), "{message:?}");
    assert_ne!(message.is_empty(), is_denied);
    // A body that Value can't hold, being too deep, was answered all the same.
    if let Ok(review) = serde_json::from_str::<Value>(text) {
        let annotations = &review["request"]["object"]["metadata"]["annotations"];
        let is_automatic = annotations.get("kubevirt.io/evacuationMigration").is_some_and(Value::is_string);
        assert!(!(is_automatic && is_denied), "{review}");
    }
});

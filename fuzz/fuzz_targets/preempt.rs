//! Preempt calls of any bytes against the cluster of the captures: an error, or an answer whose nodes
//! were all offered.
#![no_main]

use berth::decide::policy::Policy;
use berth::http::preempt;
use berth_fuzz::captured_cluster;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let policy = Policy {
        launches: data.len().is_multiple_of(2),
        ..Policy::default()
    };
    let snapshot = captured_cluster();
    let Ok(answer) = preempt(text, &snapshot, &policy, None) else {
        return;
    };
    // A body, and so its answer, may hold what Value can't.
    let (Ok(args), Ok(reply)) = (
        serde_json::from_str::<Value>(text),
        serde_json::from_slice::<Value>(&answer.json),
    ) else {
        return;
    };
    let nodes = reply["NodeNameToMetaVictims"].as_object().expect("a map");
    for node in nodes.keys() {
        let is_offered = |field: &str| args[field].get(node).is_some();
        assert!(
            is_offered("NodeNameToVictims") || is_offered("NodeNameToMetaVictims"),
            "{node}"
        );
    }
});

//! Prioritize calls of any bytes against the cluster of the captures: an error, or a score from 0 to
//! 10 for every name asked about, in its place.
#![no_main]

use berth::decide::policy::Policy;
use berth::http::prioritize;
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
    let facts = captured_cluster();
    let Ok(answer) = prioritize(text, &facts, &policy) else {
        return;
    };
    let reply: Vec<Value> = serde_json::from_slice(&answer.json).expect("a list");
    assert!(reply.iter().all(|one| one["Score"].as_u64() <= Some(10)));
    let hosts: Vec<_> = reply.iter().map(|one| &one["Host"]).collect();
    // A body may hold what Value can't.
    let Ok(args) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let asked: Vec<_> = match (&args["NodeNames"], &args["Nodes"]["items"]) {
        (Value::Array(names), _) => names.iter().collect(),
        (_, Value::Array(nodes)) => nodes.iter().map(|node| &node["metadata"]["name"]).collect(),
        _ => Vec::new(),
    };
    assert_eq!(hosts, asked);
});

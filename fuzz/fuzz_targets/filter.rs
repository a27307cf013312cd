//! Filter calls of any bytes against the cluster of the captures: an error, or an answer in which
//! every name asked about either passes or fails, and no error holds a control character.
#![no_main]

use berth::decide::policy::Policy;
use berth::domain::Provider;
use berth::escape::is_control;
use berth::http::filter;
use berth_fuzz::captured_cluster;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let policy = Policy {
        provider: Provider::ALL[data.len() / 2 % Provider::ALL.len()],
        launches: data.len().is_multiple_of(2),
        ..Policy::default()
    };
    let Ok(answer) = filter(text, &captured_cluster(), &policy, None) else {
        return;
    };
    // An answer to a body that Value can't hold may hold what came, byte for byte.
    let (Ok(args), Ok(reply)) = (
        serde_json::from_str::<Value>(text),
        serde_json::from_slice::<Value>(&answer.reply.to_vec()),
    ) else {
        return;
    };
    if let Some(error) = reply["Error"].as_str().filter(|error| !error.is_empty()) {
        assert!(!error.chars().any(is_control), "{error:?}");
        return;
    }
    let holds = |field: &str, name: &str| match &reply[field] {
        Value::Array(names) => names.iter().any(|n| n == name),
        Value::Object(failed) => failed.contains_key(name),
        _ => false,
    };
    let asked = args["NodeNames"].as_array().into_iter().flatten();
    for name in asked.filter_map(Value::as_str) {
        let failed = holds("FailedNodes", name) || holds("FailedAndUnresolvableNodes", name);
        assert_ne!(holds("NodeNames", name), failed, "{name}");
    }
});

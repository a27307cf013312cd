//! Admission reviews of any bytes: an error, or a reply whose patch can be applied and is not asked
//! for again, nor for an update that changes nothing, and whose warnings hold no control character.
#![no_main]

use berth::cluster::ClusterView;
use berth::escape::is_control;
use berth::http::mutate;
use json_patch::Patch;
use k8s_openapi::ByteString;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let view = ClusterView::default();
    let Some(patch) = patch_of(text, &view) else {
        return;
    };
    // A body that Value can't hold, being too deep, was answered all the same.
    let Ok(mut review) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let object = review["request"]["object"].clone();
    json_patch::patch(&mut review["request"]["object"], &patch).expect("the patch applies");
    assert_eq!(None, patch_of(&review.to_string(), &view));
    // Nor is there one for an update that leaves the object as it was.
    let request = &mut review["request"];
    request["object"] = object;
    request["oldObject"] = request["object"].clone();
    request["operation"] = "UPDATE".into();
    assert_eq!(None, patch_of(&review.to_string(), &view));
});

fn patch_of(text: &str, view: &ClusterView) -> Option<Patch> {
    let answer = mutate(text, view).ok()?;
    let reply: Value = serde_json::from_slice(&answer.json).expect("a reply is JSON");
    for warning in reply["response"]["warnings"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let warning = warning.as_str().expect("a warning is a text");
        assert!(!warning.chars().any(is_control), "{warning:?}");
    }
    let patch = reply["response"].get("patch")?.clone();
    let ByteString(bytes) = serde_json::from_value(patch).expect("a patch is base64");
    Some(serde_json::from_slice(&bytes).expect("a patch is a JSON Patch"))
}

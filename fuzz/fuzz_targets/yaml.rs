//! YAML of any bytes: an error or a value, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    let _ = serde_saphyr::from_slice::<serde_json::Value>(data);
});

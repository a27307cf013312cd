//! Configuration files of any bytes: a refusal, or a configuration that makes a policy.
#![no_main]

use berth::config::Config;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(config) = Config::parse(text)
    {
        let _ = config.policy();
    }
});

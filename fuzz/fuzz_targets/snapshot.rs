//! Snapshot files of any bytes, JSON or YAML: an error or a view.
#![no_main]

use berth::cluster::file;
use berth::domain::Provider;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        for &provider in Provider::ALL {
            let _ = file::parse(text, &provider.into());
        }
    }
});

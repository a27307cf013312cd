//! Bind calls of any bytes, and records of any text in the northbound database: an error, or what is written
//! again as it was read.
#![no_main]

use berth::decide::continuity::record::{Records, pair_key, warm_key};
use berth::wire::bind::BindingArgs;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // A body may hold what Value can't.
    let read = serde_json::from_str::<Value>(text);
    if let (Ok(args), Ok(read)) = (BindingArgs::read(text), read) {
        assert_eq!(read["PodName"], args.pod_name.as_str());
        assert_eq!(read["PodUID"], args.pod_uid.as_str());
    }
    let entries: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let records = Records::read(entries);
    let pairs = records.pairs.iter();
    let pairs = pairs.map(|(port, record)| (pair_key(port), record.value()));
    let warm = records.warm.iter();
    let warm = warm.map(|(name, record)| (warm_key(name), record.value()));
    let written: Vec<_> = pairs.chain(warm).collect();
    let written = written.iter().map(|(key, value)| (&**key, &**value));
    let again = Records::read(written);
    assert_eq!((again.pairs, again.warm), (records.pairs, records.warm));
});

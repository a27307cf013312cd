//! Answers of the API server, of any bytes and cut anywhere: they come apart into the same parts
//! wherever they are cut, and the items of a list are those that serde reads.
#![no_main]

use berth::cluster::parts::{NotAnObject, Parsed, Part, Splitter};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    let Some((size, stream)) = data.split_first() else {
        return;
    };
    let size = usize::from(*size).max(1);
    let whole = parts(std::iter::once(stream));
    assert_eq!(parts(stream.chunks(size)), whole);

    let Ok(Value::Object(list)) = serde_json::from_slice(stream) else {
        return;
    };
    let (parsed, error) = whole;
    assert_eq!(error, None);
    let items = parsed.iter().filter_map(|parsed| match parsed {
        Parsed::Item(Part::Whole(item)) => Some(item),
        Parsed::Item(Part::TooLarge(_)) | Parsed::Document(_) => None,
    });
    let items: Vec<Value> = items
        .map(|item| serde_json::from_slice(item).expect("an item is JSON"))
        .collect();
    // Serde decodes escapes in keys and, of a key that is there twice, keeps the last value.
    let keys = stream.windows(7).filter(|key| key == br#""items""#).count();
    let is_plain = keys == 1 && !stream.contains(&b'\\');
    if let (Some(Value::Array(expect)), true) = (list.get("items"), is_plain) {
        assert_eq!(&items, expect);
    }
});

type Found = (Vec<Parsed>, Option<NotAnObject>);

fn parts<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Found {
    let mut splitter = Splitter::default();
    let mut found = Vec::new();
    for piece in pieces {
        if let Err(error) = splitter.push(piece, |part| found.push(part)) {
            return (found, Some(error));
        }
    }
    (found, None)
}

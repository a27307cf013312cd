//! What the server gives an object: its time, its uid and the rest of a generated name.

use k8s_openapi::jiff::Timestamp;

pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A uid that no other write gives.
pub(crate) fn uid(revision: u64) -> String {
    format!("5eed0000-0000-4000-8000-{revision:012x}")
}

/// What comes after a generated name's prefix: the real one's alphabet, counted instead of thrown.
pub(crate) fn suffix(mut number: u64) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let base = ALPHABET.len() as u64;
    let letter = |digit: u64| char::from(ALPHABET[usize::try_from(digit).unwrap()]);
    let mut suffix = String::new();
    for _ in 0..5 {
        suffix.insert(0, letter(number % base));
        number /= base;
    }
    suffix
}

//! Secrets of any content: what can be read of them is never too much, and what berth makes of them
//! is right at once.
//!
//! NULs separate the parts, in the order of `Part::ALL`; an empty part is not there. `=A` and `=B`
//! stand for two private keys, which are not in the corpus.
#![no_main]

use std::time::{Duration, UNIX_EPOCH};

use berth::pki::contents::{self, Part};
use berth::pki::decide::{Action, CertificatePolicy, Facts, Published, decide};
use berth::pki::issue::carry_out;
use berth::pki::state::State;
use berth::pki::{Now, Source};
use k8s_openapi::ByteString;
use libfuzzer_sys::fuzz_target;

const A: &str = include_str!("../../src/tls/testdata/ecdsa.pkcs8.b64");
const B: &str = include_str!("../../src/tls/testdata/rsa_a.pkcs8.b64");

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    let mut secret = contents::write(&State::default(), None, "ns", "berth-tls");
    let entries = Part::ALL.iter().zip(data.split(|byte| *byte == 0));
    let entries = entries.filter(|(_, bytes)| !bytes.is_empty());
    secret.data = Some(
        entries
            .map(|(part, bytes)| (part.name().to_owned(), ByteString(expand(bytes))))
            .collect(),
    );
    let found = contents::read(&secret).expect("it is berth's");
    let policy = CertificatePolicy {
        names: ["berth".parse().expect("a name")].into(),
        leaf_lifetime: Duration::from_hours(24),
        ca_lifetime: Duration::from_hours(24 * 6),
        jitter: 0.0,
    };
    let now = Now {
        // 2026-11-21, when the corpus was made.
        at: UNIX_EPOCH + Duration::from_hours(498_672),
        by: Source::ApiServer,
    };
    let facts = Facts {
        state: &found.state,
        defects: &found.defects,
        restored: false,
        published: &Published::Everything,
        serving: None,
        now,
    };
    let Action::Write(changes) = decide(facts, &policy) else {
        return;
    };
    // A CA of others' making may be one that nothing can be signed with.
    if let Ok(state) = carry_out(&changes, found.state, &policy, now.at) {
        let written = contents::write(&state, Some(&secret), "ns", "berth-tls");
        let again = contents::read(&written).expect("it is berth's");
        assert_eq!(again.defects, []);
        assert!(again.state.leaf.is_some());
    }
});

fn expand(bytes: &[u8]) -> Vec<u8> {
    let key = match bytes {
        b"=A" => A,
        b"=B" => B,
        other => return other.to_vec(),
    };
    format!("-----BEGIN PRIVATE KEY-----\n{key}-----END PRIVATE KEY-----\n").into_bytes()
}

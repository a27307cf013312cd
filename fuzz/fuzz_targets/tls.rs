//! Certificates and keys of any bytes: an error or credentials. The first NUL ends the certificate,
//! the second the key; what follows is the client CA.
#![no_main]

use berth::tls::{ClientCas, Credentials, Material, PairSource, PemPair, Source};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: berth_fuzz::catch_stack_overflow(), |data: &[u8]| {
    let mut parts = data.splitn(3, |byte| *byte == 0).map(<[u8]>::to_vec);
    let source = Source {
        pair: PairSource::Files {
            cert: "tls.crt".into(),
            key: "tls.key".into(),
        },
        client_ca: None,
        scheduler_ca: None,
    };
    let material = Material {
        pair: PemPair {
            cert: parts.next().unwrap_or_default(),
            key: parts.next().unwrap_or_default(),
        },
        client_cas: ClientCas {
            client: parts.next(),
            scheduler: None,
        },
    };
    let _ = Credentials::parse(&source, &material);
});
